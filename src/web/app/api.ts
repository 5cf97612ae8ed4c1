/*
 * The way to the server: JSON over /api/v1 with the session's cookie; changes carry the session's token against forged requests. Every
 * failure becomes an ApiError with a text for people.
 */
import { answered, isTrouble, look, SLOW_MS } from "./line";

export class ApiError extends Error {
	constructor(public status: number, public code: string, text: string) {
		super(text);
	}
}

export type Query = Record<string, string | number | boolean | undefined>;

let csrf = "";
let onLost: () => void = () => {};

export function setCsrf(token: string): void {
	csrf = token;
}

/* Called when the server no longer knows the session. */
export function onSessionLost(handler: () => void): void {
	onLost = handler;
}

export function url(path: string, query: Query = {}): string {
	const search = new URLSearchParams();
	for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(name, String(value));
	const text = search.toString();
	return "/api/v1" + path + (text ? "?" + text : "");
}

/* A path whose variable parts are escaped: at`/users/${address}`. */
export function at(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
	return strings.reduce((text, piece, i) => text + encodeURIComponent(String(parts[i - 1])) + piece);
}

const PLAIN: Record<number, string> = {
	0: "The server does not answer. Is it running, and is this device online?",
	403: "That is not allowed for this account.",
	404: "The server does not know that.",
	413: "That is too much for the server.",
	429: "Too many attempts. Please wait a little.",
	500: "The server made a mistake. Its log says more.",
	503: "The server is busy or starting. Please try again in a moment.",
};

/* A sentence begins with a capital; an address, a setting or a verb stays as it is written. */
export function start(text: string): string {
	return /^[a-z]+[\s,:]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

async function fault(answer: Response): Promise<ApiError> {
	let code = "http";
	let text = PLAIN[answer.status] ?? `The server answered ${answer.status}.`;
	try {
		const body = await answer.json();
		if (typeof body?.error?.text === "string" && body.error.text !== "") text = body.error.text;
		if (typeof body?.error?.code === "string") code = body.error.code;
	} catch {
		/* Not JSON: a proxy's page. The plain text has to do. */
	}
	return new ApiError(answer.status, code, start(text));
}

/* An answer that is well; everything else is thrown. */
async function ask(method: string, path: string, query: Query | undefined, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
	const headers: Record<string, string> = { Accept: accept };
	if (method !== "GET") headers["X-CSRF-Token"] = csrf;
	if (body !== undefined) headers["Content-Type"] = "application/json";
	const slow = window.setTimeout(look, SLOW_MS);
	let answer: Response;
	try {
		answer = await fetch(url(path, query), {
			method, headers, signal, credentials: "same-origin", cache: "no-store", redirect: "error",
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (error) {
		if ((error as Error).name === "AbortError") throw error;
		void look();
		throw new ApiError(0, "network", PLAIN[0]);
	} finally {
		window.clearTimeout(slow);
	}
	if (isTrouble(answer.status)) void look();
	else answered();
	if (!answer.ok) {
		const error = await fault(answer);
		if (answer.status === 401 && path !== "/session") onLost();
		throw error;
	}
	return answer;
}

export async function request<T>(method: string, path: string, query?: Query, body?: unknown, signal?: AbortSignal): Promise<T> {
	const answer = await ask(method, path, query, body, "application/json", signal);
	if (answer.status === 204) return undefined as T;
	const text = await answer.text();
	try {
		return (text === "" ? undefined : JSON.parse(text)) as T;
	} catch {
		throw new ApiError(answer.status, "format", "The server's answer could not be read. Does a proxy change it?");
	}
}

/* A file that is made by asking for it, which no link can: it goes to the browser's downloads. */
export async function download(path: string, body: unknown, name: string): Promise<void> {
	const answer = await ask("POST", path, undefined, body, "*/*");
	let bytes: Blob;
	try {
		bytes = await answer.blob();
	} catch {
		throw new ApiError(0, "network", PLAIN[0]);
	}
	const place = URL.createObjectURL(bytes);
	const link = Object.assign(document.createElement("a"), { href: place, download: name });
	link.click();
	/* The download has begun by then, or never will. */
	setTimeout(() => URL.revokeObjectURL(place), 60000);
}
