import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { own } from "../calls";
import { ago, time } from "../format";
import { Ask, Dialog, useDialog } from "../ui/dialog";
import { Check, Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Head } from "../ui/parts";
import { Table } from "../ui/table";
import { copy } from "../ui/toast";

export function AppPasswordsPage() {
	const all = useLoad((signal) => own.appPasswords(signal), []);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title="App passwords" text="One password for each phone. Lose the phone, revoke its password, and nothing else changes. They let phones in, not people: these pages want your own.">
				<button type="button" class="button primary" onClick={() => open((close) => <Make onClose={close} reload={all.reload} />)}><Icon name="plus" />Make one</button>
			</Head>
			<Show of={all}>
				{(rows) => rows.length === 0
					? <Empty icon="key" title="No app passwords yet"><p>Make one, give it a name, and type it into the phone instead of your own password.</p></Empty>
					: (
						<Table caption="App passwords" hideCaption rows={rows} rowKey={(row) => row.id} columns={[
							{ label: "Name", cell: (row) => <span class="wrap">{row.name}</span> },
							{ label: "Works on", cell: (row) => row.device ? <code class="small">{row.device}</code> : row.binding === "first_use" || row.binding === "first use" ? "the first phone that uses it" : "any phone" },
							{ label: "Made", cell: (row) => <time title={time(row.created_at)}>{ago(row.created_at)}</time> },
							{ label: "Last used", cell: (row) => row.last_used_at ? <span><time title={time(row.last_used_at)}>{ago(row.last_used_at)}</time>{row.last_address && ` from ${row.last_address}`}</span> : "never" },
							{ label: "", bare: true, num: true, cell: (row) => <button type="button" class="button mini danger" aria-label={`Revoke ${row.name}`} onClick={() => open((close) => (
								<Ask title={`Revoke “${row.name}”?`} danger doing="Revoke" done={`“${row.name}” is revoked.`} run={() => own.removeAppPassword(row.id)} onClose={(did) => {
									close();
									if (did) void all.reload();
								}}><p>The phone that uses it is refused from now on, also when it waits. What it holds stays on it: wipe it if it is lost.</p></Ask>
							))}>Revoke</button> },
						]} />
					)}
			</Show>
			{dialog}
		</div>
	);
}

function Make({ onClose, reload }: { onClose: () => void; reload: () => void }) {
	const [name, setName] = useState("");
	const [first, setFirst] = useState(true);
	const [secret, setSecret] = useState("");
	if (secret !== "") {
		return <Once title={`The password for ${name}`} secret={secret} onClose={() => {
			onClose();
			reload();
		}}><p>Type it into the phone now. It is shown this once, and nobody can look it up later.</p></Once>;
	}
	return (
		<Ask title="Make an app password" doing="Make" ready={name.trim() !== ""} run={async () => setSecret((await own.addAppPassword(name.trim(), first)).password)} onClose={(did) => {
			if (!did) onClose();
		}}>
			<Field label="Name" help="So that you know later which phone it is."><input value={name} autocomplete="off" placeholder="My phone" onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<Check label="Only for the first phone that uses it" help="Stolen and typed in elsewhere, it opens nothing." checked={first} onChange={setFirst} />
		</Ask>
	);
}

/* A secret that is shown once. */
export function Once({ title, secret, onClose, children }: { title: string; secret: string; onClose: () => void; children: ComponentChildren }) {
	return (
		<Dialog title={title} onClose={onClose} onSubmit={onClose} foot={(
			<>
				<button type="button" class="button" onClick={() => copy(secret)}>Copy</button>
				<button type="submit" class="button primary">I have it</button>
			</>
		)}>
			{children}
			<p class="secret" data-secret>{secret}</p>
		</Dialog>
	);
}
