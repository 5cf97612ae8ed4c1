import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, onSessionLost, request, setCsrf } from "./api";
import { Door } from "./door";
import { SessionContext, type Session } from "./session";
import { Shell } from "./shell";

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
		request<Session>("GET", "/session").then(enter, (error: ApiError) => leave(error.status === 401 || error.status === 404 ? "" : error.message));
	}, [enter, leave]);

	if (session === undefined) return <p class="unseen" role="status">Loading</p>;
	if (session === null) return <Door reason={reason} onEnter={enter} />;
	const signOut = () => {
		request("DELETE", "/session").then(() => leave("You are signed out."), (error: ApiError) => leave(error.status === 401 ? "" : error.message));
	};
	return (
		<SessionContext.Provider value={{ session, signOut }}>
			<Shell />
		</SessionContext.Provider>
	);
}
