/*
 * Whether the server answers at all. A request that failed on its way, or waits for long, makes the page look at /readyz; when that fails,
 * too, the server is gone, each page says so, and the page looks again until it is back. Pages that ask for nothing by themselves look
 * now and then, so that nobody fills in a form for a server that is not there.
 */
import { useEffect, useState } from "preact/hooks";

export type Line = "well" | "asking" | "gone";

/* A request that waits for so long is worth a look; the engine, which may hang, has as long to say that it is ready. */
export const SLOW_MS = 8000;
const QUIET_MS = 20000;
const AGAIN_MS = 1000;
const AGAIN_MAX_MS = 10000;

let state: Line = "well";
let asking = false;
let heard = Date.now();
let again = AGAIN_MS;
let timer: number | undefined;
const watchers = new Set<(state: Line) => void>();
const waiting = new Set<(wasGone: boolean) => void>();

/* An answer that a proxy gives, or a front, when there is nobody behind it; 0: there was none. */
export function isTrouble(status: number): boolean {
	return [0, 502, 503, 504].includes(status);
}

/* Calls when a look has found the server well: after it was gone, or after something else went wrong on the way. */
export function onWell(handler: (wasGone: boolean) => void): () => void {
	waiting.add(handler);
	return () => void waiting.delete(handler);
}

function enter(next: Line): void {
	if (next === state) return;
	state = next;
	for (const watcher of [...watchers]) watcher(state);
}

function found(): void {
	const wasGone = state === "gone";
	window.clearTimeout(timer);
	heard = Date.now();
	enter("well");
	for (const handler of [...waiting]) handler(wasGone);
}

async function isReady(): Promise<boolean> {
	const patience = new AbortController();
	const late = window.setTimeout(() => patience.abort(), SLOW_MS);
	try {
		/* It needs no session, and does not count as a use of one. */
		return !isTrouble((await fetch("/readyz", { cache: "no-store", credentials: "omit", signal: patience.signal })).status);
	} catch {
		return false;
	} finally {
		window.clearTimeout(late);
	}
}

export async function look(): Promise<void> {
	if (asking) return;
	asking = true;
	window.clearTimeout(timer);
	if (state === "well") enter("asking");
	const ready = await isReady();
	asking = false;
	if (ready) {
		found();
		return;
	}
	enter("gone");
	/* Not all pages at one moment, and none that nobody sees. */
	timer = window.setTimeout(() => void (document.hidden || look()), again * (0.75 + Math.random() / 2));
	again = Math.min(again * 1.5, AGAIN_MAX_MS);
}

/* The server has answered, whatever it said. */
export function answered(): void {
	heard = Date.now();
	again = AGAIN_MS;
	if (state === "gone") found();
}

window.setInterval(() => {
	if (!document.hidden && state === "well" && Date.now() - heard > QUIET_MS) void look();
}, QUIET_MS / 4);
window.addEventListener("online", () => void look());
window.addEventListener("offline", () => void look());
document.addEventListener("visibilitychange", () => {
	if (!document.hidden && state === "gone") void look();
});

export function useLine(): Line {
	const [now, setNow] = useState(state);
	useEffect(() => {
		setNow(state);
		watchers.add(setNow);
		return () => void watchers.delete(setNow);
	}, []);
	return now;
}

/* Stands on every page, empty as long as all is well, so that screen readers say what comes. */
export function LineNote() {
	const gone = useLine() === "gone";
	return (
		<div class="line-note" role="alert">
			{gone && (
				<div class="note bad">
					<b>The server does not answer.</b>
					<p>Perhaps it is being restarted, or this device is offline. This page goes on by itself as soon as the server is back; what you have typed stays.</p>
				</div>
			)}
		</div>
	);
}
