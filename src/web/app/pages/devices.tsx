import { useState } from "preact/hooks";
import { devices } from "../calls";
import { ago, time } from "../format";
import { link, offsetOf, setQuery, type Place } from "../router";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, State, Words } from "../ui/parts";
import { Pager, Table } from "../ui/table";

const SIZE = 50;
const SORTS: [string, string][] = [["last_seen_at", "Last seen"], ["first_seen_at", "First seen"], ["address", "User"], ["model", "Model"], ["type", "Type"], ["version", "Protocol"]];

export function DevicesPage({ place }: { place: Place }) {
	const get = (name: string) => place.query.get(name) ?? "";
	const search = get("search"), state = get("state"), address = get("address"), answer = get("policy_status");
	const sort = { by: get("sort") || "last_seen_at", down: get("sort") === "" || get("down") === "1" };
	const offset = offsetOf(place);
	const [text, setText] = useState(search);
	const all = useLoad((signal) => devices.list({
		search: search || undefined, state: state || undefined, policy_status: answer || undefined, address: address || undefined,
		sort: sort.down ? `-${sort.by}` : sort.by, limit: SIZE + 1, offset: offset || undefined,
	}, signal), [search, state, answer, address, sort.by, sort.down, offset], 15000);
	const change = (query: Record<string, string | undefined>) => setQuery({ ...query, offset: undefined });
	const filtered = search !== "" || state !== "" || answer !== "" || address !== "";
	return (
		<div class="stack">
			<Head title="Devices" text="Every phone that ever signed in. Open one to see what it holds, and to act on it." />
			<form class="filters" role="search" onSubmit={(e) => {
				e.preventDefault();
				change({ search: text });
			}}>
				<Field label="Search" class="grow"><input type="search" value={text} placeholder="User, model, device id, system" onInput={(e) => setText(e.currentTarget.value)} /></Field>
				<Field label="State">
					<select value={state} onChange={(e) => change({ state: e.currentTarget.value })}>
						<option value="">All</option>
						<option value="provisioned">Provisioned</option>
						<option value="not provisioned">Not provisioned</option>
						<option value="quarantine">In quarantine</option>
						<option value="blocked">Blocked</option>
						<option value="wipe">Wipe ordered or done</option>
					</select>
				</Field>
				<Field label="Policy">
					<select value={answer} onChange={(e) => change({ policy_status: e.currentTarget.value })}>
						<option value="">All</option>
						<option value="full">Applied in full</option>
						<option value="partial">Applied in part</option>
						<option value="refused">Refused</option>
						<option value="other">Managed by others</option>
						<option value="none">No answer yet</option>
					</select>
				</Field>
				<Field label="Sort by">
					<select value={sort.by} onChange={(e) => change({ sort: e.currentTarget.value, down: e.currentTarget.value === "last_seen_at" ? "1" : undefined })}>
						{SORTS.map(([value, label]) => <option value={value} key={value}>{label}</option>)}
					</select>
				</Field>
				<button class="button" type="submit"><Icon name="search" />Search</button>
			</form>
			{address !== "" && <p>Only phones of <b>{address}</b>. <a href="#/devices">Show all</a></p>}
			<Show of={all}>
				{(found) => found.length === 0 && offset === 0 ? (
					filtered
						? <Empty icon="device" title="No phone fits"><p>Nothing matches what was asked for.</p><a class="button" href="#/devices" onClick={() => setText("")}>Show all phones</a></Empty>
						: <Empty icon="device" title="No phone has called yet"><p>Set one up with the steps under “Set up a phone”. It appears here at its first login.</p></Empty>
				) : (
					<Table caption="Devices" hideCaption rows={found.slice(0, SIZE)} rowKey={(row) => `${row.address} ${row.device}`} sort={sort} onSort={(by) => change({ sort: by.by, down: by.down ? "1" : undefined })} columns={[
						{ label: "Model", sort: "model", cell: (row) => <a class="wrap" href={link(["devices", row.address, row.device])}>{row.model || row.type || row.device}</a> },
						{ label: "User", sort: "address", cell: (row) => <span class="wrap address"><Words of={row.address} /></span> },
						{ label: "State", cell: (row) => <State of={row.state} /> },
						{ label: "Type", sort: "type", cell: (row) => <span class="wrap">{row.type || "–"}</span> },
						{ label: "Protocol", sort: "version", cell: (row) => row.version || "–" },
						{ label: "Last seen", sort: "last_seen_at", cell: (row) => <time title={time(row.last_seen_at)}>{ago(row.last_seen_at)}</time> },
						{ label: "Device id", cell: (row) => <code class="small">{row.device}</code> },
					]} foot={<Pager noun="phone" offset={offset} size={SIZE} shown={Math.min(found.length, SIZE)} more={found.length > SIZE} onOffset={(to) => setQuery({ offset: to ? String(to) : undefined })} />} />
				)}
			</Show>
		</div>
	);
}
