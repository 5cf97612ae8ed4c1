import { devices, type Collection, type Device } from "../calls";
import { ago, bytes, count, duration, time } from "../format";
import { go, link } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Facts, Head, State, Tag } from "../ui/parts";
import { Table } from "../ui/table";

const text = (value: unknown) => (typeof value === "string" ? value : "");
const number = (value: unknown) => (typeof value === "number" ? value : undefined);

export function DevicePage({ address, device }: { address: string; device: string }) {
	const one = useLoad((signal) => devices.show(address, device, signal), [address, device], 10000);
	const check = useLoad((signal) => devices.check(address, device, signal), [address, device]);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) {
			void one.reload();
			void check.reload();
		}
	};
	const name = one.data ? one.data.model || one.data.type || device : device;
	return (
		<div class="stack">
			<Head title={name} crumb={{ href: "#/devices", text: "Devices" }} text={<>of <a href={link(["users", address])}>{address}</a></>} />
			<Show of={one}>
				{(phone) => (
					<div class="grid-2">
						<section class="card stack" aria-labelledby="dev-state">
							<div class="card-head"><h2 id="dev-state">State</h2><State of={phone.state} /></div>
							<Facts of={[
								["Last seen", <time title={time(phone.last_seen_at)}>{ago(phone.last_seen_at)}</time>],
								["Waits up to", number(phone.heartbeat_s) ? duration(number(phone.heartbeat_s)) : ""],
								["Protocol", phone.version],
								["First seen", time(number(phone.first_seen_at))],
								["Policy taken", number(phone.provisioned_at) ? time(number(phone.provisioned_at)) : ""],
								["Wipe ordered", number(phone.wipe_at) ? time(number(phone.wipe_at)) : ""],
							]} />
						</section>
						<section class="card stack" aria-labelledby="dev-what">
							<h2 id="dev-what">What it is</h2>
							<Facts of={[
								["Model", phone.model], ["Type", phone.type], ["Its name", text(phone.friendly_name)], ["System", text(phone.os)],
								["Program", text(phone.user_agent)], ["Language", text(phone.language)], ["Operator", text(phone.operator)],
								["Phone number", text(phone.phone_number)], ["IMEI", text(phone.imei)], ["Device id", <code>{device}</code>],
							]} />
						</section>
					</div>
				)}
			</Show>
			{one.data && <Actions phone={one.data} open={open} after={after} />}
			<Show of={check}>
				{(result) => <Folders rows={result.collections} findings={result.findings} ask={(row) => open((close) => (
					<Ask title={`Resync ${row.name}?`} doing="Resync" done={`${row.name} is compared at the phone's next Sync.`} run={() => devices.repair(address, device, row.folder)} onClose={after(close)}>
						<p>The next Sync compares this folder with what is here and sends the difference. The phone keeps its mail and its key.</p>
					</Ask>
				))} />}
			</Show>
			{dialog}
		</div>
	);
}

function Folders({ rows, findings, ask }: { rows: Collection[]; findings: unknown[]; ask: (row: Collection) => void }) {
	return (
		<>
			{findings.length > 0 && <div class="note warn"><b>The check found something</b><ul>{findings.map((one, i) => <li key={i}>{typeof one === "string" ? one : JSON.stringify(one)}</li>)}</ul></div>}
			{rows.length === 0
				? <section class="card"><h2>Folders</h2><p class="soft">The phone has synchronized nothing yet.</p></section>
				: (
					<Table caption="Folders that the phone should hold" rows={rows} rowKey={(row) => row.folder} columns={[
						{ label: "Folder", cell: (row) => row.name },
						{ label: "Items held", num: true, cell: (row) => count(row.held) },
						{ label: "To be sent", num: true, cell: (row) => count(row.pending) },
						{ label: "Withheld", num: true, cell: (row) => count(row.withheld) },
						{ label: "Memory of it", num: true, cell: (row) => bytes(row.state_bytes) },
						{ label: "State", cell: (row) => row.comparing ? <Tag tone="warn">Being compared</Tag> : row.pending > 0 || row.behind > 0 ? <Tag>Something waits</Tag> : <Tag tone="good">Up to date</Tag> },
						{ label: "", bare: true, cell: (row) => <button type="button" class="button mini" aria-label={`Resync ${row.name}`} onClick={() => ask(row)}>Resync</button> },
					]} />
				)}
		</>
	);
}

type Open = ReturnType<typeof useDialog>[1];

function Actions({ phone, open, after }: { phone: Device; open: Open; after: (close: () => void) => (did: boolean) => void }) {
	const { address, device } = phone;
	const name = phone.model || phone.type || device;
	return (
		<section class="card stack" aria-labelledby="dev-do">
			<h2 id="dev-do">Actions</h2>
			<div class="row">
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Let this phone in?" doing="Allow" done={`${name} may sync.`} run={() => devices.unblock(address, device)} onClose={after(close)}><p>{name} of {address} may sync again.</p></Ask>
				))}>Allow</button>
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Block this phone?" doing="Block" danger done={`${name} is blocked.`} run={() => devices.block(address, device)} onClose={after(close)}><p>{name} of {address} is refused from now on, also when it waits. What it holds stays on it.</p></Ask>
				))}>Block</button>
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Resync everything?" doing="Resync all" done="Every folder is compared at the phone's next Syncs." run={() => devices.repair(address, device)} onClose={after(close)}><p>Every folder is compared with what is here, and the difference is sent. The phone keeps its mail.</p></Ask>
				))}>Resync all</button>
				<button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title="Wipe this phone?" danger doing="Wipe" typed={device} typedLabel={`Type the device id ${device} to confirm`} done="The wipe is ordered." run={() => devices.wipe(address, device, {})} onClose={after(close)}>
						<Facts of={[["User", address], ["Model", name], ["Last seen", `${time(phone.last_seen_at)} (${ago(phone.last_seen_at)})`]]} />
					</Ask>
				))}>Wipe</button>
				<button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title="Forget this phone?" danger doing="Delete" done={`${name} is forgotten.`} run={() => devices.remove(address, device)} onClose={(did) => {
						close();
						if (did) go("#/devices");
					}}><p>{name} of {address} goes from the list, with all that is known of it. When it calls again it starts anew.</p></Ask>
				))}>Delete</button>
			</div>
		</section>
	);
}
