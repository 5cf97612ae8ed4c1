import { devices, type Folder } from "../calls";
import { ago, bytes, count, duration, time } from "../format";
import { Ask, useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Empty, Tag, type Tone } from "../ui/parts";
import { Table } from "../ui/table";

type Whose = { address: string; device: string };

export function DeviceFolders({ address, device }: Whose) {
	const all = useLoad((signal) => devices.folders(address, device, signal), [address, device], 10000);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void all.reload();
	};
	const ask = (row: Folder) => open((close) => (
		<Ask title={`Resync ${row.name}?`} doing="Resync" done={`The phone gets ${row.name} anew.`} run={() => devices.resync(address, device, row.folder)} onClose={after(close)}>
			<p>The phone forgets what it holds of this folder and gets everything again: {count(row.items)} items. “Compare” is gentler: it sends only the difference.</p>
		</Ask>
	));
	const compare = (row: Folder) => open((close) => (
		<Ask title={`Compare ${row.name}?`} doing="Compare" done={`${row.name} is compared at the phone's next Sync.`} run={() => devices.repair(address, device, row.folder)} onClose={after(close)}>
			<p>The next Sync compares the folder with what is here and sends the difference. The phone keeps its mail.</p>
		</Ask>
	));
	return (
		<Show of={all}>
			{(rows) => (
				<>
					{rows.length === 0
						? <Empty icon="device" title="No folders yet"><p>The phone has synchronized nothing so far.</p></Empty>
						: (
							<Table caption="Folders, and what the phone should hold" rows={rows} rowKey={(row) => row.folder} columns={[
								{ label: "Folder", cell: (row) => row.name },
								{ label: "Class", cell: (row) => row.class || "–" },
								{ label: "On the server", num: true, cell: (row) => count(row.items) },
								{ label: "On the phone", num: true, cell: (row) => count(row.held) },
								{ label: "To be sent", num: true, cell: (row) => count(row.pending) },
								{ label: "Withheld", num: true, cell: (row) => count(row.withheld) },
								{ label: "State", cell: (row) => row.comparing ? <Tag tone="warn">Being compared</Tag> : row.pending > 0 ? <Tag>Something waits</Tag> : <Tag tone="good">Up to date</Tag> },
								{ label: "", bare: true, cell: (row) => <span class="row"><button type="button" class="button mini" aria-label={`Compare ${row.name}`} onClick={() => compare(row)}>Compare</button><button type="button" class="button mini" aria-label={`Resync ${row.name}`} onClick={() => ask(row)}>Resync</button></span> },
							]} />
						)}
					{dialog}
				</>
			)}
		</Show>
	);
}

const ENDS: Record<string, [Tone, string]> = {
	expired: ["good", "Nothing came, on time"],
	woken: ["good", "Woken: something came"],
	closed: ["plain", "Closed by the phone"],
	cut: ["bad", "Cut on the way"],
};

export function DeviceWaits({ address, device }: Whose) {
	const all = useLoad((signal) => devices.waits(address, device, signal), [address, device], 10000);
	return (
		<Show of={all}>
			{(rows) => {
				if (rows.length === 0) return <Empty icon="bell" title="No wait has ended yet"><p>Since the server's engine was started, no Ping or held Sync of this phone has come to its end.</p></Empty>;
				const longest = Math.max(...rows.map((row) => row.asked_s), 1);
				return (
					<>
						{rows.filter((row) => row.end === "cut").length >= 2 && <p class="note warn"><b>Connections of this phone are cut on the way.</b><span>A firewall, a proxy or the mobile network forgets silent connections. The server shortens the waits by itself; a longer idle time-out on the way saves battery.</span></p>}
						<Table caption="Its last waits" rows={rows} rowKey={(row) => `${row.ended_at} ${row.asked_s} ${row.lasted_s}`} columns={[
							{ label: "Ended", cell: (row) => <time title={time(row.ended_at)}>{ago(row.ended_at)}</time> },
							{ label: "How", cell: (row) => <Tag tone={ENDS[row.end]?.[0]}>{ENDS[row.end]?.[1] ?? row.end}</Tag> },
							{ label: "Asked for", num: true, cell: (row) => duration(row.asked_s) },
							{ label: "Lasted", num: true, cell: (row) => duration(row.lasted_s) },
							{ label: "", bare: true, cell: (row) => <meter class="wait" min={0} max={longest} value={row.lasted_s} aria-label={`lasted ${duration(row.lasted_s)} of ${duration(row.asked_s)}`} /> },
						]} />
					</>
				);
			}}
		</Show>
	);
}

export function DeviceErrors({ address, device }: Whose) {
	const all = useLoad((signal) => devices.errors(address, device, signal), [address, device], 10000);
	return (
		<Show of={all}>
			{(rows) => rows.length === 0
				? <Empty icon="policy" title="No errors"><p>Since the server's engine was started, every request of this phone was answered with success.</p></Empty>
				: (
					<Table caption="Its last errors, newest first" rows={rows} rowKey={(row) => `${row.at} ${row.command} ${row.status} ${row.http} ${rows.indexOf(row)}`} columns={[
						{ label: "Time", cell: (row) => <time class="nowrap" title={time(row.at)}>{ago(row.at)}</time> },
						{ label: "Command", cell: (row) => row.command || "–" },
						{ label: "Answer", cell: (row) => row.status ? `status ${row.status} (HTTP ${row.http})` : `HTTP ${row.http}` },
						{ label: "Why", cell: (row) => <span class="wrap">{row.text || "–"}</span> },
						{ label: "From", cell: (row) => row.from || "–" },
					]} />
				)}
		</Show>
	);
}

export function DeviceTrace({ address, device }: Whose) {
	const all = useLoad((signal) => devices.trace(address, device, signal), [address, device], 5000);
	return (
		<Show of={all}>
			{({ traces }) => traces.length === 0
				? <Empty icon="log" title="Nothing recorded"><p>The last requests are kept in memory since the server's engine was started; or the trace is off in the settings.</p></Empty>
				: (
					<section class="stack" aria-label="The last requests of this phone">
						<p class="soft">Decoded and redacted: only keys, ids, numbers and fixed words are shown, everything else by its length.</p>
						{[...traces].reverse().map((one) => (
							<details class="card" key={one.number}>
								<summary>
									<b>{one.command || "unknown"}</b> · {one.waits ? "waits" : one.status ? `status ${one.status}` : `HTTP ${one.http}`} · <time>{time(one.at)}</time>{!one.waits && ` · ${(one.took_us / 1000).toFixed(1)} ms`}{one.version && ` · ${one.version}`}
								</summary>
								<div class="grid-2">
									<div class="stack-small"><h2 class="minor">Request, {bytes(one.request_bytes)}</h2><pre class="trace" tabIndex={0} role="region" aria-label="Request">{one.request || "(empty)"}</pre></div>
									<div class="stack-small"><h2 class="minor">Answer, {bytes(one.answer_bytes)}</h2><pre class="trace" tabIndex={0} role="region" aria-label="Answer">{one.answer || (one.waits ? "(not yet)" : "(empty)")}</pre></div>
								</div>
							</details>
						))}
					</section>
				)}
		</Show>
	);
}
