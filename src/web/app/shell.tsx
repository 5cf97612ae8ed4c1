import { useSession } from "./session";

export function Shell() {
	const { session } = useSession();
	return <main id="main"><h1>{session.address}</h1></main>;
}
