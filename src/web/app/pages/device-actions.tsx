import { useState } from "preact/hooks";
import { devices, me, type Device } from "../calls";
import { ago, time } from "../format";
import { go } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Facts } from "../ui/parts";
import { say } from "../ui/toast";
import { nameOf, sentence, text } from "./device";

type Open = ReturnType<typeof useDialog>[1];

/* Is an order on its way, and is it done? */
export const wipePending = (phone: Device) => ["pending", "sent", "failed"].includes(text(phone.wipe)) || /^wipe (pending|sent|failed)$/.test(phone.state);
export const wiped = (phone: Device) => text(phone.wipe) === "acknowledged" || phone.state === "wiped";
export const knowsAccountWipe = (phone: Device) => Number(phone.version) >= 16.1;

/* Whose, which, seen when: read before it cannot be taken back. mine: the user's own. */
export function WipeDialog({ phone, account, mine, onClose }: { phone: Device; account: boolean; mine?: boolean; onClose: (did: boolean) => void }) {
	const word = mine ? "wipe" : phone.device;
	return (
		<Ask title={account ? "Erase the account on this phone?" : "Wipe this phone?"} danger doing={account ? "Erase the account" : "Wipe the phone"} typed={word} typedLabel={mine ? "Type wipe to confirm" : <>Type the device id <code>{word}</code> to confirm</>}
			done="The wipe is ordered. A phone that waits is told at once." run={() => mine ? me.wipe(phone.device, account) : devices.wipe(phone.address, phone.device, account)} onClose={onClose}>
			<p>{account ? "Mail, calendar, contacts and tasks of this account go; everything else on the phone stays." : "Everything on the phone is erased, private pictures too, as soon as it calls. Afterwards it stays out until it is cleared."}</p>
			<Facts of={[["User", phone.address], ["Model", phone.model || phone.type], ["Its name", text(phone.friendly_name)], ["Last seen", `${time(phone.last_seen_at)} (${ago(phone.last_seen_at)})`]]} />
			{text(phone.wipe_reach_text) && <p class="note warn">{sentence(text(phone.wipe_reach_text))}</p>}
		</Ask>
	);
}

export function CancelDialog({ phone, mine, onClose }: { phone: Device; mine?: boolean; onClose: (did: boolean) => void }) {
	return (
		<Ask title="Cancel the wipe?" doing="Cancel the wipe" stay="Leave it ordered" run={async () => {
			const done = await (mine ? me.cancel(phone.device) : devices.cancel(phone.address, phone.device));
			say(text(done?.hint) || "The wipe is cancelled.");
		}} onClose={onClose}>
			<p>{nameOf(phone)} keeps its data. If the order was sent already, the phone may erase itself all the same.</p>
		</Ask>
	);
}

export function ClearDialog({ phone, mine, onClose }: { phone: Device; mine?: boolean; onClose: (did: boolean) => void }) {
	return (
		<Ask title="Let this phone in again?" doing="Clear" done="The phone may come back. It starts from nothing." run={() => mine ? me.clear(phone.device) : devices.clear(phone.address, phone.device)} onClose={onClose}>
			<p>{nameOf(phone)} has erased itself. Cleared, it may sign in again and starts anew.</p>
		</Ask>
	);
}

export function DeviceActions({ phone, open, reload }: { phone: Device; open: Open; reload: () => Promise<void> }) {
	const { address, device } = phone;
	const name = nameOf(phone);
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void reload();
	};
	return (
		<section class="card stack" aria-labelledby="dev-do">
			<h2 id="dev-do">Actions</h2>
			<div class="row">
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title={phone.state === "quarantine" ? "Release this phone?" : "Let this phone in?"} doing="Allow" done={`${name} may sync.`} run={() => devices.allow(address, device)} onClose={after(close)}><p>{name} of {address} may sync from now on, whatever the access rules say.</p></Ask>
				))}>{phone.state === "quarantine" ? "Release" : "Allow"}</button>
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Block this phone?" doing="Block" danger done={`${name} is blocked.`} run={() => devices.block(address, device)} onClose={after(close)}><p>{name} of {address} is refused from now on, also when it waits. What it holds stays on it.</p></Ask>
				))}>Block</button>
				{phone.state !== "quarantine" && <button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Put this phone into quarantine?" doing="Quarantine" danger done={`${name} is in quarantine.`} run={() => devices.quarantine(address, device)} onClose={after(close)}><p>{name} of {address} gets its folders and one message that explains it, and nothing else, until it is allowed.</p></Ask>
				))}>Quarantine</button>}
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Resync everything?" doing="Resync all" done="The phone gets everything anew." run={() => devices.resync(address, device)} onClose={after(close)}><p>The phone forgets what it holds of every folder and gets it again.</p></Ask>
				))}>Resync all</button>
				<button type="button" class="button" onClick={() => open((close) => <Ceiling phone={phone} onClose={after(close)} />)}>Protocol ceiling</button>
			</div>
			<div class="row">
				{wipePending(phone) && <button type="button" class="button" onClick={() => open((close) => <CancelDialog phone={phone} onClose={after(close)} />)}>Cancel the wipe</button>}
				{wiped(phone) && <button type="button" class="button" onClick={() => open((close) => <ClearDialog phone={phone} onClose={after(close)} />)}>Clear after the wipe</button>}
				{!wipePending(phone) && !wiped(phone) && (
					<>
						<button type="button" class="button danger" onClick={() => open((close) => <WipeDialog phone={phone} account={false} onClose={after(close)} />)}>Wipe</button>
						{knowsAccountWipe(phone) && <button type="button" class="button danger" onClick={() => open((close) => <WipeDialog phone={phone} account onClose={after(close)} />)}>Wipe the account only</button>}
					</>
				)}
				{!wipePending(phone) && !wiped(phone) && <button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title="Forget this phone?" danger doing="Delete" done={`${name} is forgotten.`} run={() => devices.remove(address, device)} onClose={(did) => {
						close();
						if (did) go("#/devices");
					}}><p>{name} of {address} goes from the list, with all that is known of it. When it calls again it starts anew.</p></Ask>
				))}>Delete</button>}
			</div>
			{wipePending(phone) && <p class="soft small">It cannot be deleted while a wipe is under way: it would never hear of it.</p>}
			{wiped(phone) && <p class="soft small">It was wiped and stays out. Its entry is what keeps it out, so it cannot be deleted now.</p>}
			{!wipePending(phone) && !wiped(phone) && !knowsAccountWipe(phone) && <p class="soft small">An account-only wipe is impossible for this phone: it speaks {phone.version || "an unknown version"}, and only phones of 16.1 can erase one account and leave the rest.</p>}
		</section>
	);
}

const VERSIONS = ["2.5", "12.0", "12.1", "14.0", "14.1", "16.0"];

function Ceiling({ phone, onClose }: { phone: Device; onClose: (did: boolean) => void }) {
	const [ceiling, setCeiling] = useState(text(phone.ceiling));
	return (
		<Ask title="Highest protocol version" doing="Set" done="It counts at the phone's next request." run={() => devices.ceiling(phone.address, phone.device, ceiling || "none")} onClose={onClose}>
			<p>For a phone that goes wrong with a newer version. It is told at its next request, asks what is offered, and starts anew.</p>
			<div class="field">
				<label for="ceiling">At most</label>
				<select id="ceiling" value={ceiling} onChange={(e) => setCeiling(e.currentTarget.value)}>
					<option value="">no ceiling</option>
					{VERSIONS.map((version) => <option key={version} value={version}>{version}</option>)}
				</select>
			</div>
		</Ask>
	);
}
