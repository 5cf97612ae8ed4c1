import { useState } from "preact/hooks";
import { policies, type PolicyRow } from "../calls";
import { count, counted } from "../format";
import { go, link, type Place } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, Tag, Words } from "../ui/parts";
import { isBare, PiecePager, PieceSearch, shown, usePiece } from "../ui/piece";
import { Table } from "../ui/table";
import { PolicyPage } from "./policy";

export function PoliciesPage({ place }: { place: Place }) {
	return place.path.length >= 2 ? <PolicyPage name={place.path[1]} /> : <PolicyList />;
}

export const refresh = (hours: number) => hours === 0 ? "never" : `every ${counted(hours, "hour")}`;

/* "3 phones: 2 in full, 1 not yet". */
function Answers({ of }: { of: PolicyRow }) {
	if (of.devices === 0) return <span class="soft">no phones</span>;
	const parts: [number, string][] = [[of.full, "in full"], [of.partial, "in part"], [of.refused, "refused"], [of.other, "managed by others"], [of.waiting, "not yet"]];
	return <span>{counted(of.devices, "phone")}: {parts.filter(([n]) => n > 0).map(([n, what]) => `${count(n)} ${what}`).join(", ")}</span>;
}

function PolicyList() {
	const all = useLoad((signal) => policies.list(signal), []);
	const piece = usePiece();
	const exceptions = useLoad((signal) => policies.exceptions(piece.query, signal), piece.deps);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title="Policies" text="What phones must enforce before they get mail: a password, a lock, encryption. Everybody has the default one; others are for users, groups or domains.">
				<button type="button" class="button primary" onClick={() => open((close) => <Make from={all.data ?? []} onClose={close} />)}><Icon name="plus" />Make a policy</button>
			</Head>
			<Show of={all}>
				{(rows) => (
					<Table caption="Policies" hideCaption rows={rows} rowKey={(row) => row.policy} columns={[
						{ label: "Policy", cell: (row) => <span class="row"><a class="wrap" href={link(["policies", row.policy])}>{row.policy}</a>{row.default && <Tag tone="good">Default</Tag>}</span> },
						{ label: "What it is for", cell: (row) => row.description ? <span class="wrap">{row.description}</span> : <span class="soft">–</span> },
						{ label: "Demands", num: true, cell: (row) => row.settings === 0 ? "nothing" : counted(row.settings, "setting") },
						{ label: "Phones", cell: (row) => row.required ? "must take it" : "may go without" },
						{ label: "Answers", cell: (row) => <Answers of={row} /> },
						{ label: "Taken again", cell: (row) => refresh(row.refresh_interval_h) },
						{ label: "Assigned to", num: true, cell: (row) => row.assigned === 0 ? (row.default ? "everybody else" : "nobody") : row.default ? `${count(row.assigned)}, and everybody else` : counted(row.assigned, "assignment") },
					]} />
				)}
			</Show>
			<Show of={exceptions}>
				{(rows) => (
					<>
						<div class="spread"><h2>Exceptions</h2><button type="button" class="button" onClick={() => open((close) => <Except from={all.data ?? []} onClose={(did) => {
							close();
							if (did) void exceptions.reload();
						}} />)}><Icon name="plus" />Add an exception</button></div>
						{!isBare(piece, rows) && <PieceSearch piece={piece} label="Find an exception" />}
						{isBare(piece, rows)
							? <Empty icon="policy" title="No exceptions"><p>A person or a single phone can be let out of every policy here, or be given another one.</p></Empty>
							: (
								<Table caption="Who does not follow what the others follow" rows={shown(rows)} foot={<PiecePager piece={piece} rows={rows} noun="exception" />} rowKey={(row) => `${row.kind} ${row.name}`} columns={[
									{ label: "Who", cell: (row) => <span class="wrap address"><Words of={row.name} /></span> },
									{ label: "Kind", cell: (row) => row.kind === "device" ? "one phone" : "all phones of a user" },
									{ label: "Follows", cell: (row) => row.exempt ? <Tag tone="warn">No policy</Tag> : <a href={link(["policies", row.policy])}>{row.policy}</a> },
									{ label: "", bare: true, num: true, cell: (row) => <button type="button" class="button mini" aria-label={`End the exception for ${row.name}`} onClick={() => open((close) => (
										<Ask title="End this exception?" doing="End it" done="The exception has ended." run={() => policies.unexcept(row.name.split(" ")[0], row.name.split(" ")[1] ?? "")} onClose={(did) => {
											close();
											if (did) void exceptions.reload();
										}}><p>{row.name} follows again what is laid down for the user, and meets it at the next request.</p></Ask>
									))}>End</button> },
								]} />
							)}
					</>
				)}
			</Show>
			{dialog}
		</div>
	);
}

function Make({ from, onClose }: { from: PolicyRow[]; onClose: () => void }) {
	const [name, setName] = useState("");
	const [description, setDescription] = useState("");
	const [copy, setCopy] = useState("");
	return (
		<Ask title="Make a policy" doing="Make" done={`The policy ${name} is there. It counts for nobody yet.`} ready={name.trim() !== ""}
			run={() => copy ? policies.copy(copy, name.trim(), description.trim()) : policies.create(name.trim(), description.trim())} onClose={(did) => {
				onClose();
				if (did) go(link(["policies", name.trim()]));
			}}>
			<Field label="Name"><input value={name} autocomplete="off" onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<Field label="What it is for" help="May stay empty."><input value={description} autocomplete="off" onInput={(e) => setDescription(e.currentTarget.value)} /></Field>
			<Field label="Begin with">
				<select value={copy} onChange={(e) => setCopy(e.currentTarget.value)}>
					<option value="">nothing: it demands nothing yet</option>
					{from.map((row) => <option key={row.policy} value={row.policy}>a copy of {row.policy}</option>)}
				</select>
			</Field>
		</Ask>
	);
}

export function Except({ from, address: known, device: knownDevice, onClose }: { from: PolicyRow[]; address?: string; device?: string; onClose: (did: boolean) => void }) {
	const [address, setAddress] = useState(known ?? "");
	const [device, setDevice] = useState(knownDevice ?? "");
	const [policy, setPolicy] = useState("");
	return (
		<Ask title="Add an exception" doing="Add" done="The exception counts from now on." ready={address.includes("@")} run={() => policies.except(address.trim(), device.trim(), policy)} onClose={onClose}>
			<Field label="User"><input type="email" autocomplete="off" value={address} onInput={(e) => setAddress(e.currentTarget.value)} /></Field>
			<Field label="Device id" help="Empty: all phones of this user."><input autocomplete="off" value={device} onInput={(e) => setDevice(e.currentTarget.value)} /></Field>
			<Field label="Follows">
				<select value={policy} onChange={(e) => setPolicy(e.currentTarget.value)}>
					<option value="">no policy at all</option>
					{from.map((row) => <option key={row.policy} value={row.policy}>{row.policy}</option>)}
				</select>
			</Field>
		</Ask>
	);
}
