import { devices, type Device } from "../calls";
import { ago, time } from "../format";
import { go } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Facts } from "../ui/parts";
import { nameOf } from "./device";

type Open = ReturnType<typeof useDialog>[1];

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
					<Ask title="Let this phone in?" doing="Allow" done={`${name} may sync.`} run={() => devices.unblock(address, device)} onClose={after(close)}><p>{name} of {address} may sync again.</p></Ask>
				))}>Allow</button>
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Block this phone?" doing="Block" danger done={`${name} is blocked.`} run={() => devices.block(address, device)} onClose={after(close)}><p>{name} of {address} is refused from now on, also when it waits. What it holds stays on it.</p></Ask>
				))}>Block</button>
				<button type="button" class="button" onClick={() => open((close) => (
					<Ask title="Resync everything?" doing="Resync all" done="The phone gets everything anew." run={() => devices.resync(address, device)} onClose={after(close)}><p>The phone forgets what it holds of every folder and gets it again.</p></Ask>
				))}>Resync all</button>
				<button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title="Wipe this phone?" danger doing="Wipe" typed={device} typedLabel={`Type the device id ${device} to confirm`} done="The wipe is ordered." run={() => devices.wipe(address, device, {})} onClose={after(close)}>
						<Facts of={[["User", address], ["Model", phone.model || phone.type], ["Last seen", `${time(phone.last_seen_at)} (${ago(phone.last_seen_at)})`]]} />
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
