/* Who is signed in. One session per browser; the cookie is the server's and cannot be read here. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";

export interface Session {
	address: string;
	admin: boolean;
	csrf: string;
	name?: string;
}

export interface SessionControl {
	session: Session;
	signOut: () => void;
}

export const SessionContext = createContext<SessionControl | null>(null);

export function useSession(): SessionControl {
	return useContext(SessionContext)!;
}
