import { me, type Device } from "../calls";
import { ago, time } from "../format";
import { Ask, useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Empty, Facts, Head, State } from "../ui/parts";
import { sentence, text } from "./device";
import { CancelDialog, ClearDialog, knowsAccountWipe, wiped, WipeDialog, wipePending } from "./device-actions";

export function PhonesPage() {
	const all = useLoad((signal) => me.devices(signal), [], 15000);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void all.reload();
	};
	return (
		<div class="stack">
			<Head title="My phones" text="The phones that sync your mailbox. Lost one? Wipe it from here." />
			<Show of={all}>
				{(found) => found.length === 0
					? <Empty icon="device" title="No phone yet"><p>Set one up; it takes two minutes.</p><a class="button primary" href="#/setup">Set up a phone</a></Empty>
					: (
						<div class="grid">
							{found.map((phone) => {
								const name = phone.model || phone.type || phone.device;
								return (
									<article class="card stack" key={phone.device} aria-label={name}>
										<div class="card-head"><h2 class="wrap">{name}</h2><State of={phone.state} /></div>
										<Facts of={[["Last sync", <time title={time(phone.last_seen_at)}>{ago(phone.last_seen_at)}</time>], ["Type", phone.type], ["Device id", <code>{phone.device}</code>]]} />
										<WipeNote phone={phone} />
										<div class="row">
											{wipePending(phone) && <button type="button" class="button" aria-label={`Cancel the wipe of ${name}`} onClick={() => open((close) => <CancelDialog mine phone={phone} onClose={after(close)} />)}>Cancel the wipe</button>}
											{wiped(phone) && <button type="button" class="button" aria-label={`Clear ${name} after the wipe`} onClick={() => open((close) => <ClearDialog mine phone={phone} onClose={after(close)} />)}>Clear</button>}
											{!wipePending(phone) && !wiped(phone) && <button type="button" class="button danger" aria-label={`Wipe ${name}`} onClick={() => open((close) => <WipeDialog mine phone={phone} account={false} onClose={after(close)} />)}>Wipe</button>}
											{!wipePending(phone) && !wiped(phone) && knowsAccountWipe(phone) && <button type="button" class="button danger" aria-label={`Wipe the account on ${name}`} onClick={() => open((close) => <WipeDialog mine phone={phone} account onClose={after(close)} />)}>Wipe the account only</button>}
											{!wipePending(phone) && !wiped(phone) && <button type="button" class="button" aria-label={`Remove ${name}`} onClick={() => open((close) => (
												<Ask title="Remove this phone?" danger doing="Remove" done={`${name} is removed.`} run={() => me.remove(phone.device)} onClose={after(close)}>
													<p>{name} goes from your list. What it holds stays on it; when it signs in again, it starts anew.</p>
												</Ask>
											))}>Remove</button>}
										</div>
										{!wipePending(phone) && !wiped(phone) && !knowsAccountWipe(phone) && <p class="soft small">The account alone cannot be erased from this phone: that takes protocol 16.1, and it speaks {phone.version || "an unknown version"}.</p>}
									</article>
								);
							})}
						</div>
					)}
			</Show>
			{dialog}
		</div>
	);
}

function WipeNote({ phone }: { phone: Device }) {
	if (!wipePending(phone)) return null;
	return <p class="note bad">{text(phone.wipe_reach_text) ? sentence(text(phone.wipe_reach_text)) : "It erases itself as soon as it calls."}</p>;
}
