import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, onSessionLost, request, setCsrf } from "./api";
import { Door } from "./door";
import { isTrouble, LineNote, onWell } from "./line";
import { SessionContext, type Session } from "./session";
import { Shell } from "./shell";
import { say } from "./ui/toast";

/* Either the door or the house. */
export function App() {
	const [session, setSession] = useState<Session | null | undefined>(undefined);
	const [reason, setReason] = useState("");

	const enter = useCallback((found: Session) => {
		setCsrf(found.csrf);
		setReason("");
		setSession(found);
	}, []);
	const leave = useCallback((why: string) => {
		setCsrf("");
		setReason(why);
		setSession(null);
	}, []);

	useEffect(() => {
		onSessionLost(() => leave("Your session is over. Please sign in again."));
		let known = false;
		const ask = () => request<Session>("GET", "/session").then((found) => {
			known = true;
			enter(found);
		}, (error: ApiError) => {
			/* Nobody is sent to the door because the server is away. */
			if (isTrouble(error.status)) return;
			known = true;
			leave(error.status === 401 || error.status === 404 ? "" : error.message);
		});
		void ask();
		return onWell((wasGone) => {
			if (!known) void ask();
			else if (wasGone) say("The server answers again.");
		});
	}, [enter, leave]);

	if (session === undefined) {
		return (
			<main class="main" id="main">
				<p class="unseen" role="status">Loading</p>
				<LineNote />
			</main>
		);
	}
	if (session === null) return <Door reason={reason} onEnter={enter} />;
	const signOut = () => {
		/* Who could not be signed out is signed in, and should see it. */
		request("DELETE", "/session").then(() => leave("You are signed out."), (error: ApiError) => error.status === 401 ? leave("") : say(`You are still signed in. ${error.message}`));
	};
	return (
		<SessionContext.Provider value={{ session, signOut }}>
			<Shell />
		</SessionContext.Provider>
	);
}
