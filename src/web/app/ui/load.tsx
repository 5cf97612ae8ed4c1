/* Data from the server: loaded, loaded again every few seconds while somebody looks, and what to show meanwhile. */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";

export interface Loaded<T> {
	data: T | undefined;
	error: ApiError | undefined;
	loading: boolean;
	reload: () => Promise<void>;
}

export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: unknown[], every = 0): Loaded<T> {
	const [state, setState] = useState<{ data?: T; error?: ApiError; loading: boolean }>({ loading: true });
	const current = useRef<AbortController | null>(null);
	const latest = useRef(load);
	latest.current = load;

	const reload = useCallback(async () => {
		current.current?.abort();
		const controller = new AbortController();
		current.current = controller;
		try {
			const data = await latest.current(controller.signal);
			if (!controller.signal.aborted) setState({ data, loading: false });
		} catch (error) {
			if (controller.signal.aborted || (error as Error).name === "AbortError") return;
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

	return { data: state.data, error: state.error, loading: state.loading, reload };
}

/* The usual three faces of a load. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
	if (of.data === undefined) {
		if (of.error) return <Fault error={of.error} retry={of.reload} />;
		return <p class="loading" role="status">Loading…</p>;
	}
	return (
		<>
			{of.error && <Fault error={of.error} retry={of.reload} />}
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
