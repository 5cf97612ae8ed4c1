import { useState } from "preact/hooks";
import { aliases, domains, services, users, type User } from "../calls";
import { ago, bytes, counted, date, time } from "../format";
import { go, link, offsetOf, setQuery, type Place } from "../router";
import { useSession } from "../session";
import { Ask, useDialog } from "../ui/dialog";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Facts, Head, Tag, Words } from "../ui/parts";
import { Pager, Table } from "../ui/table";
import { whence } from "./services";

const SIZE = 50;

export function UserState({ of }: { of: User }) {
	return of.enabled ? <Tag tone="good">Active</Tag> : <Tag tone="bad">Locked out</Tag>;
}

export function UsersPage({ place }: { place: Place }) {
	const search = place.query.get("search") ?? "";
	const offset = offsetOf(place);
	const [text, setText] = useState(search);
	const all = useLoad((signal) => users.list({ search: search || undefined, limit: SIZE + 1, offset: offset || undefined }, signal), [search, offset]);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title="Users" text="People with a mailbox here. The mail address is the login.">
				<button type="button" class="button" onClick={() => open((close) => <DomainsDialog onClose={close} />)}>Domains</button>
				<button type="button" class="button primary" onClick={() => open((close) => <AddUser onClose={close} reload={all.reload} />)}><Icon name="plus" />Add a user</button>
			</Head>
			<form class="filters" role="search" onSubmit={(e) => {
				e.preventDefault();
				setQuery({ search: text, offset: undefined });
			}}>
				<Field label="Search" class="grow"><input type="search" value={text} placeholder="Address or name" onInput={(e) => setText(e.currentTarget.value)} /></Field>
				<button class="button" type="submit"><Icon name="search" />Search</button>
			</form>
			<Show of={all}>
				{(found) => found.length === 0 && offset === 0 ? (
					search !== ""
						? <Empty icon="user" title="Nobody by that name"><p>No address and no name contains “{search}”.</p><button type="button" class="button" onClick={() => {
							setText("");
							setQuery({ search: undefined });
						}}>Show everybody</button></Empty>
						: <Empty icon="user" title="Nobody lives here yet"><p>Add the first user: an address and a password are enough. The domain is made with it.</p></Empty>
				) : (
					<Table caption="Users" hideCaption rows={found.slice(0, SIZE)} rowKey={(user) => user.address} columns={[
						{ label: "Address", cell: (user) => <a class="wrap address" href={link(["users", user.address])}><Words of={user.address} /></a> },
						{ label: "Name", cell: (user) => user.name ? <span class="wrap words"><Words of={user.name} /></span> : <span class="soft">–</span> },
						{ label: "State", cell: (user) => <span class="row"><UserState of={user} />{user.eas === false && <Tag tone="warn">ActiveSync off</Tag>}{user.admin && <Tag>Administrator</Tag>}</span> },
						{ label: "Phones", num: true, cell: (user) => `${user.device_count ?? "–"} of ${user.device_limit ?? "–"}` },
						{ label: "Last seen", cell: (user) => user.last_seen_at ? <time class="nowrap" title={time(user.last_seen_at)}>{ago(user.last_seen_at)}</time> : "never" },
						{ label: "Mail", num: true, cell: (user) => typeof user.quota_bytes === "number" ? `${bytes(user.used_bytes)} of ${bytes(user.quota_bytes)}` : bytes(user.used_bytes) },
						{ label: "Since", cell: (user) => <span class="nowrap">{date(user.created_at)}</span> },
					]} foot={<Pager noun="user" offset={offset} size={SIZE} shown={Math.min(found.length, SIZE)} more={found.length > SIZE} onOffset={(to) => setQuery({ offset: to ? String(to) : undefined })} />} />
				)}
			</Show>
			{dialog}
		</div>
	);
}

function AddUser({ onClose, reload }: { onClose: () => void; reload: () => void }) {
	const [address, setAddress] = useState("");
	const [name, setName] = useState("");
	const [password, setPassword] = useState("");
	return (
		<Ask title="Add a user" doing="Add" done={`${address} is there.`} ready={address.includes("@") && password !== ""}
			run={() => users.add(address.trim(), password, name.trim())} onClose={(did) => {
				onClose();
				if (did) reload();
			}}>
			<Field label="Mail address" help="Also the login. When its domain is new, it is made."><input type="email" autocomplete="off" value={address} onInput={(e) => setAddress(e.currentTarget.value)} /></Field>
			<Field label="Full name" help="May stay empty."><input autocomplete="off" value={name} onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<Field label="Password"><input type="password" autocomplete="new-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function DomainsDialog({ onClose }: { onClose: (did: boolean) => void }) {
	const all = useLoad((signal) => domains.list(signal), []);
	const [domain, setDomain] = useState("");
	return (
		<Ask title="Domains" doing="Add the domain" done={`Mail for ${domain} is taken.`} ready={domain.trim() !== ""} run={() => domains.add(domain.trim())} onClose={onClose}>
			<p class="soft">Mail is taken for these. One without users and aliases can be removed.</p>
			<Show of={all}>
				{(list) => (
					<ul class="stack-small">
						{list.map((row) => (
							<li key={row.domain}><div class="spread"><span class="stack-small"><span class="row">{row.domain}{!row.eas && <Tag tone="warn">ActiveSync off</Tag>}</span><span class="soft small">{counted(row.device_limit, "phone")} each; <a href={link(["services"], { kind: "domain", name: row.domain })} onClick={() => onClose(false)}>mobile services</a></span></span><RemoveDomain domain={row.domain} reload={all.reload} /></div></li>
						))}
					</ul>
				)}
			</Show>
			<Field label="New domain"><input autocomplete="off" placeholder="example.org" value={domain} onInput={(e) => setDomain(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function RemoveDomain({ domain, reload }: { domain: string; reload: () => void }) {
	const [error, setError] = useState("");
	return (
		<span class="row">
			<span class="error" role="alert">{error}</span>
			<button type="button" class="button mini danger" aria-label={`Remove ${domain}`} onClick={() => domains.remove(domain).then(reload, (problem) => setError(problem.message))}>Remove</button>
		</span>
	);
}

export function UserPage({ address }: { address: string }) {
	const { session } = useSession();
	const one = useLoad((signal) => users.show(address, signal), [address]);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void one.reload();
	};
	return (
		<div class="stack">
			<Head title={address} crumb={{ href: "#/users", text: "Users" }} />
			<Show of={one}>
				{(user) => (
					<>
						<div class="grid-2">
							<section class="card stack" aria-labelledby="user-who">
								<h2 id="user-who">Who</h2>
								<Facts of={[
									["Name", user.name],
									["State", <span class="row"><UserState of={user} />{user.admin && <Tag>Administrator</Tag>}</span>],
									["ActiveSync", <span class="row">{user.eas === false ? <Tag tone="warn">Off</Tag> : <Tag tone="good">On</Tag>}<span class="soft">{said(user, user.eas_from)}</span></span>],
									["Phones allowed", <span class="row">{user.device_limit ?? "–"}<span class="soft">{said(user, user.device_limit_from)}</span></span>],
									["Mail", typeof user.quota_bytes === "number" ? `${bytes(user.used_bytes)} of ${bytes(user.quota_bytes)}` : `${bytes(user.used_bytes)}, no bound`],
									["Member since", date(user.created_at)],
									["Junk E-mail keeps", days(user.junk_days)],
									["Deleted Items keeps", days(user.deleted_days)],
								]} />
								<div class="row">
									<button type="button" class="button" onClick={() => open((close) => <PasswordDialog address={address} onClose={after(close)} />)}>Set password</button>
									<button type="button" class="button" onClick={() => open((close) => <QuotaDialog user={user} onClose={after(close)} />)}>Mail bound</button>
									<button type="button" class="button" onClick={() => open((close) => <ExpiryDialog user={user} onClose={after(close)} />)}>Clean-up</button>
									<button type="button" class="button" onClick={() => open((close) => <SyncDialog user={user} onClose={after(close)} />)}>ActiveSync</button>
									<button type="button" class="button" onClick={() => open((close) => <LimitDialog user={user} onClose={after(close)} />)}>Limit of phones</button>
									<button type="button" class="button" disabled={address === session.address} onClick={() => open((close) => (
										<Ask title={user.admin ? `Make ${address} an ordinary user?` : `Make ${address} an administrator?`} danger={!user.admin} doing={user.admin ? "Take the right away" : "Make administrator"} done="Done. It counts from the next sign-in." run={() => users.admin(address, !user.admin)} onClose={after(close)}>
											<p>{user.admin ? "These pages then show only the own phones." : "An administrator sees everybody's phones here, sets policies and wipes phones."} Sessions of {address} on these pages end.</p>
										</Ask>
									))}>{user.admin ? "No longer administrator" : "Make administrator"}</button>
									{user.enabled
										? <button type="button" class="button danger" onClick={() => open((close) => (
											<Ask title={`Lock ${address} out?`} danger doing="Lock out" done={`${address} is locked out.`} run={() => users.disable(address)} onClose={after(close)}>
												<p>Logins are refused from now on, also those of phones that wait. Mail is still taken. A wipe that is ordered still reaches the phone.</p>
											</Ask>
										))}>Lock out</button>
										: <button type="button" class="button" onClick={() => open((close) => (
											<Ask title={`Let ${address} in again?`} doing="Let in" done={`${address} may sign in again.`} run={() => users.enable(address)} onClose={after(close)}>
												<p>Logins with the password are taken again.</p>
											</Ask>
										))}>Let in again</button>}
								</div>
							</section>
							<section class="card stack" aria-labelledby="user-phones">
								<div class="card-head"><h2 id="user-phones">Phones</h2><a href={link(["devices"], { address })}>In the list of devices</a></div>
								<p class="row wide-gap"><a href={link(["services"], { kind: "user", name: address })}>What they may do</a><a href={link(["log"], { user: address })}>What happened</a></p>
								{user.devices?.length ? (
									<ul>{user.devices.map((device) => <li key={device}><a class="wrap" href={link(["devices", address, device])}>{device}</a></li>)}</ul>
								) : <p class="soft">No phone has called yet. It appears here after its first login.</p>}
								<hr />
								<div class="card-head"><h2>More addresses</h2><button type="button" class="button mini" onClick={() => open((close) => <AliasDialog address={address} onClose={after(close)} />)}>Add an alias</button></div>
								{user.aliases?.length ? (
									<ul class="stack-small">{user.aliases.map((alias) => (
										<li key={alias}><span class="spread"><span class="wrap"><Words of={alias} /></span><button type="button" class="button mini danger" aria-label={`Remove ${alias}`} onClick={() => open((close) => (
											<Ask title={`Remove ${alias}?`} danger doing="Remove" done={`${alias} is gone.`} run={() => aliases.remove(alias)} onClose={after(close)}><p>Mail to it is refused from then on.</p></Ask>
										))}>Remove</button></span></li>
									))}</ul>
								) : <p class="soft">Mail comes in under {address} alone.</p>}
							</section>
						</div>
						<UserAppPasswords address={address} />
						<section class="card stack" aria-labelledby="user-del">
							<h2 id="user-del">Delete</h2>
							<p class="soft">The mailbox with all mail, phones and settings goes at once. There is no way back but a backup.</p>
							<div><button type="button" class="button danger" disabled={address === session.address} onClick={() => open((close) => (
								<Ask title={`Delete ${address}?`} danger doing="Delete for good" typed={address} done={`${address} is deleted.`} run={() => users.remove(address)} onClose={(did) => {
									close();
									if (did) go("#/users");
								}}>
									<p>{bytes(user.used_bytes)} of mail and {counted(user.devices?.length ?? 0, "phone")} of {user.name || address} are deleted.</p>
								</Ask>
							))}>Delete this user</button></div>
							{address === session.address && <p class="soft small">You cannot delete yourself here.</p>}
						</section>
					</>
				)}
			</Show>
			{dialog}
		</div>
	);
}

function UserAppPasswords({ address }: { address: string }) {
	const all = useLoad((signal) => users.appPasswords(address, signal), [address]);
	const [dialog, open] = useDialog();
	if (!all.data || all.data.length === 0) return null;
	return (
		<>
			<Table caption="App passwords" rows={all.data} rowKey={(row) => row.id} columns={[
				{ label: "Name", cell: (row) => <span class="wrap">{row.name}</span> },
				{ label: "Works on", cell: (row) => row.device ? <code class="small">{row.device}</code> : row.binding },
				{ label: "Last used", cell: (row) => row.last_used_at ? <time title={time(row.last_used_at)}>{ago(row.last_used_at)}</time> : "never" },
				{ label: "", bare: true, num: true, cell: (row) => <button type="button" class="button mini danger" aria-label={`Revoke ${row.name}`} onClick={() => open((close) => (
					<Ask title={`Revoke “${row.name}”?`} danger doing="Revoke" done={`“${row.name}” is revoked.`} run={() => users.revokeAppPassword(address, row.id)} onClose={(did) => {
						close();
						if (did) void all.reload();
					}}><p>The phone that uses it is refused at its next request.</p></Ask>
				))}>Revoke</button> },
			]} />
			{dialog}
		</>
	);
}

function days(value: number | string | undefined): string {
	if (value === undefined) return "";
	return typeof value === "number" ? counted(value, "day") : value === "never" ? "for ever" : "as the server's settings say";
}

type Closing = { onClose: (did: boolean) => void };

export function PasswordDialog({ address, onClose }: { address: string } & Closing) {
	const [password, setPassword] = useState("");
	return (
		<Ask title={`Set the password of ${address}`} doing="Set password" done="The new password counts from now on." ready={password !== ""} run={() => users.password(address, password)} onClose={onClose}>
			<p>Phones that still send the old one are refused at their next request, those that wait included.</p>
			<Field label="New password"><input type="password" autocomplete="new-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function QuotaDialog({ user, onClose }: { user: User } & Closing) {
	const [size, setSize] = useState(typeof user.quota_bytes === "number" ? user.quota_bytes % 1048576 === 0 ? `${user.quota_bytes / 1048576}M` : String(user.quota_bytes) : "none");
	return (
		<Ask title="Bound what the mail may take" doing="Set" done="The bound is set." run={() => users.quota(user.address, size.trim())} onClose={onClose}>
			<p>{user.address} uses {bytes(user.used_bytes)}. What is there stays; new mail is refused when it does not fit.</p>
			<Field label="Size" help="For example 500M or 2G; none for no bound."><input value={size} autocomplete="off" onInput={(e) => setSize(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function ExpiryDialog({ user, onClose }: { user: User } & Closing) {
	const [junk, setJunk] = useState(String(user.junk_days ?? "default"));
	const [deleted, setDeleted] = useState(String(user.deleted_days ?? "default"));
	const help = "A number of days, never, or default for what the server's settings say.";
	return (
		<Ask title="Clean up by itself" doing="Set" done="It is noted." run={() => users.expiry(user.address, junk.trim(), deleted.trim())} onClose={onClose}>
			<Field label="Junk E-mail keeps mail for" help={help}><input value={junk} autocomplete="off" onInput={(e) => setJunk(e.currentTarget.value)} /></Field>
			<Field label="Deleted Items keeps mail for" help={help}><input value={deleted} autocomplete="off" onInput={(e) => setDeleted(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

const own = (user: User, from: string | undefined) => from === `user ${user.address}`;

/* Where it is said: the same switches as those of the mobile services. */
function said(user: User, from: string | undefined): string {
	return own(user, from) ? "Laid down for this user" : whence(from ?? "");
}

function scopeOf(user: User) {
	return { kind: "user", name: user.address };
}

function SyncDialog({ user, onClose }: { user: User } & Closing) {
	const [value, setValue] = useState(own(user, user.eas_from) ? (user.eas ? "on" : "off") : "");
	return (
		<Ask title={`ActiveSync for ${user.address}`} doing="Set" done="It counts at once, also for phones that wait." run={() => value === "" ? services.unset(scopeOf(user), "sync") : services.set(scopeOf(user), "sync", value)} onClose={onClose}>
			<p>Off: every request of the phones is refused, and mail is still taken. A wipe that is ordered still reaches the phone.</p>
			<Field label="ActiveSync">
				<select value={value} onChange={(e) => setValue(e.currentTarget.value)}>
					<option value="">As for the domain, the groups or everybody</option>
					<option value="on">On</option>
					<option value="off">Off</option>
				</select>
			</Field>
			<p class="small"><a href={link(["services"], scopeOf(user))} onClick={() => onClose(false)}>All mobile services of this user</a></p>
		</Ask>
	);
}

function LimitDialog({ user, onClose }: { user: User } & Closing) {
	const [value, setValue] = useState(own(user, user.device_limit_from) ? String(user.device_limit) : "");
	return (
		<Ask title={`Limit of phones for ${user.address}`} doing="Set" done="The limit is set." run={() => value.trim() === "" ? services.unset(scopeOf(user), "devices_per_user") : services.set(scopeOf(user), "devices_per_user", value.trim())} onClose={onClose}>
			<p>A further phone is refused until another is deleted. Those that are there stay.</p>
			<Field label="Phones" help="Empty: as for the domain, the groups or everybody."><input type="number" min="0" max="1000000" value={value} placeholder={String(user.device_limit ?? "")} onInput={(e) => setValue(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function AliasDialog({ address, onClose }: { address: string } & Closing) {
	const [alias, setAlias] = useState("");
	return (
		<Ask title="Add an alias" doing="Add" done={`${alias} leads to ${address}.`} ready={alias.includes("@")} run={() => aliases.add(alias.trim(), address)} onClose={onClose}>
			<Field label="New address" help={`Mail to it goes to ${address}.`}><input type="email" autocomplete="off" value={alias} onInput={(e) => setAlias(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

