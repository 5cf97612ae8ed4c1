import { useState } from "preact/hooks";
import { groups, type Group } from "../calls";
import { counted } from "../format";
import { go, link, type Place } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Facts, Head, Words } from "../ui/parts";
import { isBare, PiecePager, PieceSearch, shown, usePiece } from "../ui/piece";
import { Table } from "../ui/table";

export function GroupsPage({ place }: { place: Place }) {
	return place.path.length >= 2 ? <GroupPage name={place.path[1]} /> : <GroupList />;
}

function GroupList() {
	const all = useLoad((signal) => groups.list(signal), []);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title="Groups" text="Users for whom the same rules count: a policy, a service switch, an access rule. When somebody is in several, the smaller rank comes first.">
				<button type="button" class="button primary" onClick={() => open((close) => <AddGroup onClose={close} />)}><Icon name="plus" />Make a group</button>
			</Head>
			<Show of={all}>
				{(found) => found.length === 0
					? <Empty icon="group" title="No groups yet"><p>Make one when some people need other rules than the rest: the board, the field staff, test phones.</p></Empty>
					: (
						<Table caption="Groups" hideCaption rows={found} rowKey={(row) => row.group} columns={[
							{ label: "Group", cell: (row) => <a href={link(["groups", row.group])}>{row.group}</a> },
							{ label: "Members", num: true, cell: (row) => typeof row.members === "number" ? row.members : row.members.length },
							{ label: "Rank", num: true, cell: (row) => row.rank },
						]} />
					)}
			</Show>
			{dialog}
		</div>
	);
}

function AddGroup({ onClose }: { onClose: () => void }) {
	const [name, setName] = useState("");
	const [rank, setRank] = useState("100");
	return (
		<Ask title="Make a group" doing="Make" done={`The group ${name} is there.`} ready={name.trim() !== ""} run={() => groups.add(name.trim(), Number(rank))} onClose={(did) => {
			onClose();
			if (did) go(link(["groups", name.trim()]));
		}}>
			<Field label="Name"><input value={name} autocomplete="off" onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<Field label="Rank" help="0 to 9999. When a user is in several groups that say something, the smallest rank counts."><input type="number" min={0} max={9999} value={rank} onInput={(e) => setRank(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function members(group: Group): string[] {
	return Array.isArray(group.members) ? group.members : [];
}

function GroupPage({ name }: { name: string }) {
	const piece = usePiece();
	const one = useLoad((signal) => groups.show(name, piece.query, signal), [name, ...piece.deps]);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void one.reload();
	};
	return (
		<div class="stack">
			<Head title={name} crumb={{ href: "#/groups", text: "Groups" }}>
				<button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title={`Delete the group ${name}?`} danger doing="Delete" done={`The group ${name} is gone.`} run={() => groups.remove(name)} onClose={(did) => {
						close();
						if (did) go("#/groups");
					}}>
						<p>What is laid down for the group goes with it. Its members stay, and the rules for everybody count for them.</p>
					</Ask>
				))}>Delete</button>
				<button type="button" class="button primary" onClick={() => open((close) => <Join name={name} onClose={after(close)} />)}><Icon name="plus" />Add a member</button>
			</Head>
			<Show of={one}>
				{(group) => (
					<>
						<section class="card spread">
							<Facts of={[["Rank", group.rank], ["Members", counted(group.member_count ?? 0, "user")]]} />
							<button type="button" class="button" onClick={() => open((close) => <Rank group={group} onClose={after(close)} />)}>Change the rank</button>
						</section>
						{!isBare(piece, members(group)) && <PieceSearch piece={piece} label="Find a member" />}
						{isBare(piece, members(group))
							? <Empty icon="group" title="Nobody is in this group"><p>Add members by their mail address.</p></Empty>
							: (
								<Table caption="Members" rows={shown(members(group))} foot={<PiecePager piece={piece} rows={members(group)} noun="member" />} rowKey={(row) => row} columns={[
									{ label: "Address", cell: (row) => <a class="wrap address" href={link(["users", row])}><Words of={row} /></a> },
									{ label: "", bare: true, num: true, cell: (row) => (
										<button type="button" class="button mini" aria-label={`Take ${row} out of the group`} onClick={() => open((close) => (
											<Ask title={`Take ${row} out of ${name}?`} doing="Take out" done={`${row} has left ${name}.`} run={() => groups.leave(name, row)} onClose={after(close)}><p>The rules of this group no longer count for {row}.</p></Ask>
										))}>Take out</button>
									) },
								]} />
							)}
					</>
				)}
			</Show>
			{dialog}
		</div>
	);
}

function Join({ name, onClose }: { name: string; onClose: (did: boolean) => void }) {
	const [address, setAddress] = useState("");
	return (
		<Ask title={`Add a member to ${name}`} doing="Add" done={`${address} is in ${name}.`} ready={address.includes("@")} run={() => groups.join(name, address.trim())} onClose={onClose}>
			<Field label="Mail address"><input type="email" autocomplete="off" value={address} onInput={(e) => setAddress(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function Rank({ group, onClose }: { group: Group; onClose: (did: boolean) => void }) {
	const [rank, setRank] = useState(String(group.rank));
	return (
		<Ask title="Change the rank" doing="Set" done="The rank is set." run={() => groups.rank(group.group, Number(rank))} onClose={onClose}>
			<Field label="Rank" help="0 to 9999; the smallest counts first."><input type="number" min={0} max={9999} value={rank} onInput={(e) => setRank(e.currentTarget.value)} /></Field>
		</Ask>
	);
}
