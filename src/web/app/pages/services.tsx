import { useState } from "preact/hooks";
import type { ApiError } from "../api";
import { services, type Scope, type Service } from "../calls";
import { words } from "../format";
import { setQuery, type Place } from "../router";
import { Field } from "../ui/form";
import { Show, useLoad } from "../ui/load";
import { Head, Tag } from "../ui/parts";
import { say } from "../ui/toast";

const TITLES: Record<string, string> = {
	sync: "Synchronisation", direct_push: "Direct Push", notifications: "Notifications by other channels", plain_http: "Plain HTTP",
	versions: "Protocol versions", heartbeat_min_s: "Shortest heartbeat", heartbeat_max_s: "Longest heartbeat", folders_per_ping: "Folders in one Ping",
	devices_per_user: "Devices of one user", items_per_day: "Items a day", megabytes_per_day: "Megabytes a day",
};
const VERSIONS = ["2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1"];

export function ScopePicker({ scope, onPick }: { scope: Scope; onPick: (scope: Scope) => void }) {
	const [kind, setKind] = useState(scope.kind);
	const [name, setName] = useState(scope.name);
	return (
		<form class="filters" onSubmit={(e) => {
			e.preventDefault();
			onPick({ kind, name: kind === "organisation" ? "" : name.trim() });
		}}>
			<Field label="For">
				<select value={kind} onChange={(e) => {
					setKind(e.currentTarget.value);
					if (e.currentTarget.value === "organisation") onPick({ kind: "organisation", name: "" });
				}}>
					<option value="organisation">the whole organisation</option>
					<option value="domain">a domain</option>
					<option value="group">a group</option>
					<option value="user">a user</option>
				</select>
			</Field>
			{kind !== "organisation" && (
				<>
					<Field label={kind === "user" ? "Mail address" : `Name of the ${kind}`}><input value={name} autocomplete="off" onInput={(e) => setName(e.currentTarget.value)} /></Field>
					<button class="button" type="submit">Show</button>
				</>
			)}
		</form>
	);
}

export function ServicesPage({ place }: { place: Place }) {
	const kind = place.query.get("kind") ?? "", name = place.query.get("name") ?? "";
	const scope: Scope = ["domain", "group", "user"].includes(kind) && name !== "" ? { kind, name } : { kind: "organisation", name: "" };
	const all = useLoad((signal) => services.list(scope, signal), [scope.kind, scope.name]);
	const change = async (row: Service, value: string | null) => {
		try {
			const done = await (value === null ? services.unset(scope, row.service) : services.set(scope, row.service, value));
			const warning = (done as { warning?: string } | undefined)?.warning;
			say(warning ? `Done, but: ${warning}` : `${TITLES[row.service] ?? words(row.service)}: done. It counts at once, also for phones that wait.`);
		} catch (problem) {
			say((problem as ApiError).message);
		}
		await all.reload();
	};
	return (
		<div class="stack">
			<Head title="Mobile services" text="What phones may do here at all. A switch for a user comes before that of a group, then the domain, then the organisation. Changes count at once." />
			<ScopePicker scope={scope} onPick={(picked) => setQuery({ kind: picked.kind === "organisation" ? undefined : picked.kind, name: picked.name || undefined })} />
			<Show of={all}>
				{(rows) => (
					<section class="card" aria-labelledby="service-title">
						<h2 id="service-title">{scope.kind === "organisation" ? "For everybody" : `For the ${scope.kind} ${scope.name}`}</h2>
						{rows.map((row) => <Row key={`${scope.kind} ${scope.name} ${row.service}`} row={row} change={(value) => change(row, value)} />)}
					</section>
				)}
			</Show>
		</div>
	);
}

/* Where a switch gets what holds, when it is not laid down here. */
export function whence(from: string): string {
	return from === "settings" || from === "" ? "As in the settings" : from === "organisation" ? "As for everybody" : `As for the ${from}`;
}

function Row({ row, change }: { row: Service; change: (value: string | null) => Promise<void> }) {
	const title = TITLES[row.service] ?? words(row.service);
	const [text, setText] = useState(row.own);
	const note = <span class="row">{row.own !== "" ? <Tag tone="warn">Laid down here</Tag> : <Tag>{whence(row.from)}</Tag>}{row.own !== "" && <button type="button" class="button mini" aria-label={`Take ${title} back`} onClick={() => {
		setText("");
		void change(null);
	}}>Take back</button>}</span>;
	return (
		<div class="switch-row" role="group" aria-label={title}>
			<div class="stack-small"><h3>{title}</h3><p class="help">{row.text}</p>{row.warning !== "" && <p class="note warn">{row.warning}</p>}{note}</div>
			{row.type === "switch" ? (
				<Field label={title} hideLabel>
					<select value={row.value === "on" ? "on" : "off"} onChange={(e) => change(e.currentTarget.value)}>
						<option value="on">On</option>
						<option value="off">Off</option>
					</select>
				</Field>
			) : row.type === "versions" ? (
				<fieldset class="stack-small">
					<legend class="unseen">{title}</legend>
					{VERSIONS.map((version) => {
						const has = row.value.split(",");
						return (
							<label class="row" key={version}>
								<input type="checkbox" checked={has.includes(version)} onChange={(e) => change(VERSIONS.filter((one) => one === version ? e.currentTarget.checked : has.includes(one)).join(","))} />
								<span>{version}</span>
							</label>
						);
					})}
				</fieldset>
			) : (
				<form class="row" onSubmit={(e) => {
					e.preventDefault();
					void change(text);
				}}>
					<Field label={`${title}${row.unit ? ` (${row.unit})` : ""}`} hideLabel help={row.unit ? `Now ${row.value} ${row.unit}` : `Now ${row.value}`}>
						<input type="number" min={row.minimum} max={row.maximum} value={text} placeholder={row.value} onInput={(e) => setText(e.currentTarget.value)} />
					</Field>
					<button type="submit" class="button mini" aria-label={`Set ${title}`} disabled={text === "" || text === row.own}>Set</button>
				</form>
			)}
		</div>
	);
}
