import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, request } from "./api";
import { LineNote } from "./line";
import type { Session } from "./session";
import { Field } from "./ui/form";
import { Icon } from "./ui/icons";

/* Where one signs in. */
export function Door({ reason, onEnter }: { reason: string; onEnter: (session: Session) => void }) {
	const [address, setAddress] = useState("");
	const [password, setPassword] = useState("");
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const passwordInput = useRef<HTMLInputElement>(null);

	useEffect(() => {
		document.title = "Sign in · Bellhop";
	}, []);

	const submit = async (event: Event) => {
		event.preventDefault();
		if (busy) return;
		setBusy(true);
		setError("");
		try {
			onEnter(await request<Session>("POST", "/session", {}, { address: address.trim(), password }));
		} catch (problem) {
			const refused = (problem as ApiError).status === 401;
			setError(refused ? "That address and password do not fit together. App passwords of phones do not open these pages." : (problem as ApiError).message);
			if (refused) setPassword("");
			setBusy(false);
			passwordInput.current?.focus();
		}
	};

	return (
		<div class="door">
			<header class="door-front">
				<div class="bell"><Icon name="bell" /></div>
				<div>
					<h1>Bellhop</h1>
					<p>Your phone hears the moment mail arrives. Here you look after it.</p>
				</div>
			</header>
			<main class="door-form" id="main">
				<LineNote />
				<form class="stack" onSubmit={submit} aria-labelledby="door-title">
					<h2 id="door-title">Sign in</h2>
					{reason && <p class="note" role="status">{reason}</p>}
					<Field label="Mail address">
						<input type="email" name="address" autocomplete="username" required value={address} onInput={(e) => setAddress(e.currentTarget.value)} autofocus />
					</Field>
					<Field label="Password" error={error}>
						<input ref={passwordInput} type="password" name="password" autocomplete="current-password" required value={password} onInput={(e) => setPassword(e.currentTarget.value)} />
					</Field>
					<button class="button primary" type="submit" aria-disabled={busy}>{busy ? "Signing in…" : "Sign in"}</button>
				</form>
			</main>
		</div>
	);
}
