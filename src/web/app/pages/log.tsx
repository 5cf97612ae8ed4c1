import { useState } from "preact/hooks";
import { url, type Query } from "../api";
import { log, type LogRow } from "../calls";
import { time } from "../format";
import { link, setQuery, type Place } from "../router";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, Words } from "../ui/parts";
import { Table } from "../ui/table";

/* On a narrow screen each event is a block of lines. */
const size = () => matchMedia("(max-width: 44rem)").matches ? 25 : 100;

export function LogPage({ place }: { place: Place }) {
	const get = (name: string) => place.query.get(name) ?? "";
	const filter: Query = Object.fromEntries(["user", "action", "device", "text", "since", "until"].map((name) => [name, get(name) || undefined]));
	const before = get("before");
	const [rows] = useState(size);
	const [form, setForm] = useState<Record<string, string>>(Object.fromEntries(place.query));
	const input = (name: string) => ({ value: form[name] ?? "", onInput: (e: { currentTarget: { value: string } }) => setForm({ ...form, [name]: e.currentTarget.value }) });
	const actions = useLoad((signal) => log.actions(signal), []);
	const all = useLoad((signal) => log.list({ ...filter, limit: rows + 1, before: before || undefined }, signal), [place.query.toString()]);
	return (
		<div class="stack">
			<Head title="Event log" text="Who did what, when and from where: changes, decisions, wipes, refused logins. It is only ever added to, and holds no passwords and no mail.">
				<a class="button" href={url("/log.csv", filter)} download="bellhop-log.csv"><Icon name="download" />CSV</a>
				<a class="button" href={url("/log.jsonl", filter)} download="bellhop-log.jsonl"><Icon name="download" />JSON lines</a>
			</Head>
			<form class="filters" role="search" onSubmit={(e) => {
				e.preventDefault();
				setQuery({ ...Object.fromEntries(["user", "action", "device", "text", "since", "until"].map((name) => [name, form[name]?.trim()])), before: undefined });
			}}>
				<Field label="Anything" class="grow"><input type="search" placeholder="a word, an address, a device" {...input("text")} /></Field>
				<Field label="User"><input type="search" placeholder="anna@example.org" {...input("user")} /></Field>
				<Field label="Action">
					<select value={form.action ?? ""} onChange={(e) => setForm({ ...form, action: e.currentTarget.value })}>
						<option value="">All</option>
						{(actions.data ?? []).map((one) => <option key={one.action} value={one.action} title={one.text}>{one.action}</option>)}
					</select>
				</Field>
				<Field label="Device id"><input type="search" {...input("device")} /></Field>
				<Field label="From (UTC)"><input type="date" {...input("since")} /></Field>
				<Field label="Before (UTC)"><input type="date" {...input("until")} /></Field>
				<button class="button" type="submit"><Icon name="search" />Search</button>
			</form>
			<Show of={all}>
				{(found) => found.length === 0
					? <Empty icon="log" title="No events">{Object.values(filter).some(Boolean) ? <p>Nothing in the log fits. <a href="#/log" onClick={() => setForm({})}>Show everything</a></p> : <p>As soon as something is changed, it is written down here.</p>}</Empty>
					: (
						<Table<LogRow> caption="Events, newest first" hideCaption rows={found.slice(0, rows)} rowKey={(row) => row.id} columns={[
							{ label: "Time", cell: (row) => <time class="nowrap">{time(row.at)}</time> },
							{ label: "Action", cell: (row) => row.action },
							{ label: "Result", cell: (row) => <span class="wrap">{row.result}</span> },
							{ label: "Actor", cell: (row) => <span class="wrap address"><Words of={row.actor} />{row.address && <span class="soft small"> from {row.address}</span>}</span> },
							{ label: "User", cell: (row) => row.user ? <a class="wrap address" href={link(["users", row.user])}><Words of={row.user} /></a> : "–" },
							{ label: "Device", cell: (row) => row.device ? <span class="wrap">{row.user ? <a href={link(["devices", row.user, row.device])}>{row.device}</a> : row.device}{row.device_type && <span class="soft small"> {row.device_type}</span>}</span> : "–" },
						]} foot={(
							<nav class="pager" aria-label="Pages of events">
								<span class="soft small">{before ? "Older events" : "The newest events"}</span>
								<div class="row">
									{before && <button type="button" class="button mini" onClick={() => setQuery({ before: undefined })}>To the newest</button>}
									<button type="button" class="button mini" disabled={found.length <= rows} onClick={() => setQuery({ before: String(found[rows - 1].id) })}>Older</button>
								</div>
							</nav>
						)} />
					)}
			</Show>
		</div>
	);
}
