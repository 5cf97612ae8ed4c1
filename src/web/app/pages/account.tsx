import { useState } from "preact/hooks";
import { setCsrf, type ApiError } from "../api";
import { own } from "../calls";
import { ago, time } from "../format";
import { useSession } from "../session";
import { Field } from "../ui/form";
import { Show, useLoad } from "../ui/load";
import { Head } from "../ui/parts";
import { Table } from "../ui/table";

export function AccountPage() {
	const { session, signOut } = useSession();
	const [old, setOld] = useState("");
	const [fresh, setFresh] = useState("");
	const [again, setAgain] = useState("");
	const [error, setError] = useState("");
	const [done, setDone] = useState(false);
	const [busy, setBusy] = useState(false);
	const sessions = useLoad((signal) => own.sessions(signal), []);
	const mismatch = again !== "" && again !== fresh;
	const save = async (event: Event) => {
		event.preventDefault();
		if (busy) return;
		setError("");
		if (old === "" || fresh === "") return setError("Please fill in all three fields.");
		if (fresh !== again) return setError("The two new passwords differ.");
		setBusy(true);
		try {
			/* The change ends all sessions; this browser is given another one. */
			setCsrf((await own.password(old, fresh)).csrf);
			setDone(true);
			setOld("");
			setFresh("");
			setAgain("");
		} catch (problem) {
			setError((problem as ApiError).message);
		}
		setBusy(false);
	};
	return (
		<div class="stack">
			<Head title="Password and sessions" text={session.address} />
			<section class="card" aria-labelledby="pw-title">
				<form class="stack narrow" onSubmit={save} novalidate>
					<h2 id="pw-title">Change your password</h2>
					<p class="soft">Phones that use it must be told the new one. Those with an <a href="#/app-passwords">app password</a> go on as they are.</p>
					<Field label="Password so far"><input type="password" autocomplete="current-password" value={old} onInput={(e) => setOld(e.currentTarget.value)} /></Field>
					<Field label="New password"><input type="password" autocomplete="new-password" value={fresh} onInput={(e) => setFresh(e.currentTarget.value)} /></Field>
					<Field label="New password, once more" error={mismatch ? "This differs from the one above." : ""}><input type="password" autocomplete="new-password" value={again} onInput={(e) => setAgain(e.currentTarget.value)} /></Field>
					<p class="error" role="alert" hidden={!error}>{error}</p>
					{done && <p class="note good" role="status">The new password counts from now on.</p>}
					<div class="row"><button class="button primary" type="submit" aria-disabled={busy}>{busy ? "Changing…" : "Change the password"}</button></div>
				</form>
			</section>
			<Show of={sessions}>
				{(rows) => rows.length === 0 ? null : (
					<Table caption="Where you are signed in" rows={rows} rowKey={(row) => `${row.created_at} ${row.user_agent} ${row.last_seen_at}`} columns={[
						{ label: "Browser", cell: (row) => <span class="wrap">{row.user_agent || "unknown"}</span> },
						{ label: "From", cell: (row) => row.from || "–" },
						{ label: "Since", cell: (row) => <time>{time(row.created_at)}</time> },
						{ label: "Last seen", cell: (row) => <time title={time(row.last_seen_at)}>{ago(row.last_seen_at)}</time> },
						{ label: "Ends", cell: (row) => <time title={time(row.expires_at)}>{ago(row.expires_at)}</time> },
					]} />
				)}
			</Show>
			<div class="row">
				<button type="button" class="button" onClick={signOut}>Sign out here</button>
				<button type="button" class="button danger" onClick={() => own.endSessions().then(signOut, (problem) => setError(problem.message))}>Sign out everywhere</button>
			</div>
		</div>
	);
}
