/*
 * Where the person is: "#/devices/anna%40example.org/ABC?state=blocked". All in the fragment, so the server knows one page only, and a
 * reload, a bookmark and the Back button work.
 */
import { useEffect, useState } from "preact/hooks";

export interface Place {
	path: string[];
	query: URLSearchParams;
	key: string;
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

export function placeOf(hash: string): Place {
	const text = hash.replace(/^#\/?/, "");
	const [path, query] = text.split("?", 2);
	return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query ?? ""), key: path };
}

export function link(path: (string | number)[], query: Record<string, string | undefined> = {}): string {
	const search = new URLSearchParams();
	for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(name, value);
	const text = search.toString();
	return "#/" + path.map((part) => encodeURIComponent(String(part))).join("/") + (text ? "?" + text : "");
}

/* A page's first row; what a link says that is no such number is 0. (NaN would differ from itself, and so be loaded for ever.) */
export function offsetOf(place: Place): number {
	const offset = Number(place.query.get("offset") ?? 0);
	return Number.isSafeInteger(offset) && offset > 0 ? offset : 0;
}

export function go(hash: string): void {
	location.hash = hash;
}

/* Changes the query of the place in hand without a new entry in the history. */
export function setQuery(changes: Record<string, string | undefined>): void {
	const place = placeOf(location.hash);
	const all: Record<string, string | undefined> = Object.fromEntries(place.query);
	history.replaceState(null, "", link(place.path, { ...all, ...changes }));
	window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function usePlace(): Place {
	const [place, setPlace] = useState(() => placeOf(location.hash));
	useEffect(() => {
		const changed = () => setPlace(placeOf(location.hash));
		window.addEventListener("hashchange", changed);
		return () => window.removeEventListener("hashchange", changed);
	}, []);
	return place;
}
