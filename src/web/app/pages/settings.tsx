import { useState } from "preact/hooks";
import { settings, type Setting } from "../calls";
import { Field, Check } from "../ui/form";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, Tag } from "../ui/parts";

export function SettingsPage() {
	const all = useLoad((signal) => settings.list(signal), []);
	const [search, setSearch] = useState("");
	const [changed, setChanged] = useState(false);
	return (
		<div class="stack">
			<Head title="Settings" text={<>What the server runs with. They are changed in its configuration file, bellhop.conf, and taken over by <code>bellhop reload</code>.</>} />
			<div class="filters">
				<Field label="Search" class="grow"><input type="search" value={search} placeholder="heartbeat, tls, quarantine" onInput={(e) => setSearch(e.currentTarget.value)} /></Field>
				<Check label="Only what differs from the default" checked={changed} onChange={setChanged} />
			</div>
			<Show of={all}>
				{(list) => {
					const word = search.trim().toLowerCase();
					const found = list.filter((one) => (!changed || one.changed) && (word === "" || `${one.section}.${one.name} ${one.text} ${one.value}`.toLowerCase().includes(word)));
					const sections = [...new Set(found.map((one) => one.section))];
					if (found.length === 0) return <Empty icon="settings" title="No setting fits"><p>{changed ? "Everything has its default." : `Nothing is named or explained with “${search}”.`}</p></Empty>;
					return sections.map((section) => (
						<section class="card stack" key={section} aria-labelledby={`set-${section}`}>
							<h2 id={`set-${section}`}>[{section}]</h2>
							<dl>{found.filter((one) => one.section === section).map((one) => <Row key={one.name} one={one} />)}</dl>
						</section>
					));
				}}
			</Show>
		</div>
	);
}

function Row({ one }: { one: Setting }) {
	const show = (value: string) => value === "" ? "(empty)" : one.unit && /^\d+$/.test(value) ? `${value} ${one.unit}` : value;
	return (
		<div class="setting">
			<dt><code>{one.name}</code></dt>
			<dd class="stack-small">
				<span class="row"><b class="wrap">{show(one.value)}</b>{one.changed && <Tag tone="warn">Changed</Tag>}{!one.reloadable && <Tag>Needs a restart</Tag>}</span>
				<span class="help">{one.text}</span>
				<span class="help">Default: {show(one.default)}{one.range ? `; ${one.range}` : ""}</span>
			</dd>
		</div>
	);
}
