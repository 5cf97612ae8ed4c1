/*
 * Data from the server: loaded, loaded again every few seconds while somebody looks, and when the server was gone and is back; and what to
 * show meanwhile.
 */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { isTrouble, onWell, useLine } from "../line";

export interface Loaded<T> {
	data: T | undefined;
	error: ApiError | undefined;
	loading: boolean;
	reload: () => Promise<void>;
}

/* When the server is well and yet this fails: later and later, lest a question that is too hard for it is asked for ever. */
const AGAIN_MS = 1000;
const AGAIN_MAX_MS = 60000;

export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: unknown[], every = 0): Loaded<T> {
	const [state, setState] = useState<{ data?: T; error?: ApiError; loading: boolean }>({ loading: true });
	const current = useRef<AbortController | null>(null);
	/* The trouble in which the last attempt ended; how many did so in a row. */
	const trouble = useRef<ApiError | null>(null);
	const pending = useRef(false);
	const attempts = useRef(0);
	const latest = useRef(load);
	latest.current = load;

	const reload = useCallback(async () => {
		current.current?.abort();
		const controller = new AbortController();
		current.current = controller;
		trouble.current = null;
		pending.current = true;
		try {
			const data = await latest.current(controller.signal);
			if (controller.signal.aborted) return;
			pending.current = false;
			attempts.current = 0;
			setState({ data, loading: false });
		} catch (error) {
			if (controller.signal.aborted || (error as Error).name === "AbortError") return;
			pending.current = false;
			if (isTrouble((error as ApiError).status)) trouble.current = error as ApiError;
			/* What was there stays, so that one lost answer does not empty the page. */
			setState((old) => ({ data: old.data, error: error as ApiError, loading: false }));
		}
	}, []);

	useEffect(() => {
		setState((old) => ({ data: old.data, loading: true }));
		void reload();
		let timer: number | undefined;
		const tick = async () => {
			if (!document.hidden) await reload();
			timer = window.setTimeout(tick, every);
		};
		if (every > 0) timer = window.setTimeout(tick, every);
		return () => {
			window.clearTimeout(timer);
			current.current?.abort();
		};
	}, deps);

	useEffect(() => {
		let timer: number | undefined;
		const forget = onWell((wasGone) => {
			window.clearTimeout(timer);
			/* What hangs there was asked of a server that is no more. */
			if (wasGone && (pending.current || trouble.current)) void reload();
			else if (trouble.current && trouble.current.code !== "timeout") {
				timer = window.setTimeout(() => void (trouble.current && reload()), Math.min(AGAIN_MS * 2 ** attempts.current++, AGAIN_MAX_MS));
			}
		});
		return () => {
			window.clearTimeout(timer);
			forget();
		};
	}, []);

	return { data: state.data, error: state.error, loading: state.loading, reload };
}

/* The usual three faces of a load. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
	const line = useLine();
	/* The page says by itself that the server does not answer, once. */
	const waits = of.error !== undefined && line !== "well" && isTrouble(of.error.status);
	if (of.data === undefined) {
		if (waits) return <p class="loading">Waiting for the server…</p>;
		if (of.error) return <Fault error={of.error} retry={of.reload} />;
		return <p class="loading" role="status">Loading…</p>;
	}
	return (
		<>
			{of.error && !waits && <Fault error={of.error} retry={of.reload} />}
			{children(of.data)}
		</>
	);
}

export function Fault({ error, retry }: { error: ApiError; retry?: () => void }) {
	return (
		<div class="note bad" role="alert">
			<b>{error.message}</b>
			{retry && error.status !== 403 && error.status !== 404 && (
				<div><button class="button mini" type="button" onClick={retry}>Try again</button></div>
			)}
		</div>
	);
}
