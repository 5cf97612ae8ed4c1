import { useState } from "preact/hooks";
import { tokens } from "../calls";
import { ago, time } from "../format";
import { Ask, useDialog } from "../ui/dialog";
import { Check, Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, Tag, Words } from "../ui/parts";
import { Table } from "../ui/table";
import { Once } from "./app-passwords";

const SCOPES: [string, string][] = [
	["read", "Look at everything, change nothing"],
	["users", "Users, aliases, domains, passwords"],
	["devices", "Phones: allow, block, resync, delete"],
	["wipe", "Wipe phones"],
	["policies", "Policies and groups"],
	["access", "Access rules and service switches"],
	["queue", "The queue"],
	["server", "Reload, restart, upgrade"],
	["metrics", "Numbers for Prometheus alone"],
	["self", "What a user may do for himself"],
];

export function TokensPage() {
	const all = useLoad((signal) => tokens.list(signal), []);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title="API tokens" text={<>Keys for scripts. The REST API does all that these pages do; <a href="/api/v1/openapi.json">its description</a> says how.</>}>
				<button type="button" class="button primary" onClick={() => open((close) => <Make onClose={close} reload={all.reload} />)}><Icon name="plus" />Make a token</button>
			</Head>
			<Show of={all}>
				{(rows) => rows.length === 0
					? <Empty icon="token" title="No tokens"><p>Make one for a script or for Prometheus. Give it only the scopes that it needs.</p></Empty>
					: (
						<Table caption="API tokens" hideCaption rows={rows} rowKey={(row) => row.name} columns={[
							{ label: "Name", cell: (row) => <span class="wrap">{row.name}</span> },
							{ label: "May", cell: (row) => <span class="row">{row.scopes.split(" ").map((scope) => <Tag key={scope}>{scope}</Tag>)}</span> },
							{ label: "For", cell: (row) => row.for ? <span class="wrap address"><Words of={row.for} /></span> : "administration" },
							{ label: "Made", cell: (row) => <span><time title={time(row.created_at)}>{ago(row.created_at)}</time> by <Words of={row.created_by} /></span> },
							{ label: "Last used", cell: (row) => row.last_used_at ? <span><time title={time(row.last_used_at)}>{ago(row.last_used_at)}</time>{row.last_address && ` from ${row.last_address}`}</span> : "never" },
							{ label: "Ends", cell: (row) => row.expires_at ? <time title={time(row.expires_at)}>{ago(row.expires_at)}</time> : "never" },
							{ label: "", bare: true, num: true, cell: (row) => <button type="button" class="button mini danger" aria-label={`Revoke ${row.name}`} onClick={() => open((close) => (
								<Ask title={`Revoke ${row.name}?`} danger doing="Revoke" done={`${row.name} is revoked.`} run={() => tokens.remove(row.name)} onClose={(did) => {
									close();
									if (did) void all.reload();
								}}><p>Scripts that use it are refused from now on.</p></Ask>
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
	const [days, setDays] = useState("");
	const [owner, setOwner] = useState("");
	const [scopes, setScopes] = useState<string[]>(["read"]);
	const [secret, setSecret] = useState("");
	if (secret !== "") {
		return <Once title={`The token ${name}`} secret={secret} onClose={() => {
			onClose();
			reload();
		}}><p>Scripts send it as “Authorization: Bearer …”. It is shown this once.</p></Once>;
	}
	return (
		<Ask title="Make a token" doing="Make" ready={name.trim() !== "" && scopes.length > 0} run={async () => setSecret((await tokens.add({
			name: name.trim(), scopes: scopes.join(" "), ...(days !== "" && { days: Number(days) }), ...(owner.trim() !== "" && { for: owner.trim() }),
		})).token)} onClose={(did) => {
			if (!did) onClose();
		}}>
			<Field label="Name"><input value={name} autocomplete="off" placeholder="backup script" onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<fieldset class="stack-small">
				<legend>It may</legend>
				{SCOPES.map(([scope, help]) => <Check key={scope} label={scope} help={help} checked={scopes.includes(scope)} onChange={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))} />)}
			</fieldset>
			<Field label="Ends after" help="Days; empty: never."><input type="number" min={1} value={days} onInput={(e) => setDays(e.currentTarget.value)} /></Field>
			<Field label="On behalf of" help="A user's address, for the scope self. Empty: administration."><input type="email" autocomplete="off" value={owner} onInput={(e) => setOwner(e.currentTarget.value)} /></Field>
		</Ask>
	);
}
