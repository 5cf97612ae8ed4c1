/* Dialogs on the browser's own <dialog>: modal, closed by Escape, and the focus goes back where it came from. */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { Field } from "./form";
import { say } from "./toast";

export function Dialog({ title, danger, onClose, children, foot, onSubmit }: {
	title: string; danger?: boolean; onClose: () => void; children: ComponentChildren; foot: ComponentChildren; onSubmit?: () => void;
}) {
	const box = useRef<HTMLDialogElement>(null);
	const id = useId();
	const close = useRef(onClose);
	close.current = onClose;
	useLayoutEffect(() => {
		const before = document.activeElement as HTMLElement | null;
		const dialog = box.current!;
		const cancel = (event: Event) => {
			event.preventDefault();
			close.current();
		};
		dialog.addEventListener("cancel", cancel);
		dialog.showModal();
		return () => {
			dialog.removeEventListener("cancel", cancel);
			if (dialog.open) dialog.close();
			if (before?.isConnected) before.focus();
			else document.querySelector<HTMLElement>("main h1")?.focus();
		};
	}, []);
	return (
		<dialog ref={box} class={danger ? "danger" : undefined} aria-labelledby={`${id}-title`}>
			<form method="dialog" novalidate onSubmit={(event) => {
				event.preventDefault();
				onSubmit?.();
			}}>
				<div class="dialog-body">
					<h2 id={`${id}-title`}>{title}</h2>
					{children}
				</div>
				<div class="dialog-foot">{foot}</div>
			</form>
		</dialog>
	);
}

/*
 * Asks, does, and says what was done. typed: what must be typed first, for what cannot be taken back. What goes wrong is said in the
 * dialog, which stays.
 */
export function Ask({ title, danger, doing, stay = "Cancel", typed, typedLabel, done, run, onClose, children, ready = true }: {
	title: string; danger?: boolean; doing: string; stay?: string; typed?: string; typedLabel?: ComponentChildren; done?: string;
	run: () => Promise<unknown>; onClose: (did: boolean) => void; children: ComponentChildren; ready?: boolean;
}) {
	const [text, setText] = useState("");
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const may = ready && (typed === undefined || text.trim().toLowerCase() === typed.toLowerCase());
	const submit = async () => {
		if (busy) return;
		if (!may) {
			setError(typed !== undefined && ready ? `Please type ${typed} to go on.` : "Something is missing above.");
			return;
		}
		setBusy(true);
		setError("");
		try {
			await run();
			if (done) say(done);
			onClose(true);
		} catch (problem) {
			setError((problem as ApiError).message);
			setBusy(false);
		}
	};
	return (
		<Dialog title={title} danger={danger} onClose={() => onClose(false)} onSubmit={submit} foot={(
			<>
				<button type="button" class="button" onClick={() => onClose(false)}>{stay}</button>
				<button type="submit" class={`button ${danger ? "danger solid" : "primary"}`} aria-disabled={busy || !may}>{busy ? "Working…" : doing}</button>
			</>
		)}>
			{children}
			{typed !== undefined && (
				<Field label={typedLabel ?? `Type ${typed} to confirm`}>
					<input value={text} autocomplete="off" autocapitalize="off" spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
				</Field>
			)}
			<p class="error" role="alert" hidden={!error}>{error}</p>
		</Dialog>
	);
}

/* One dialog at a time: const [dialog, open] = useDialog(). */
export function useDialog(): [ComponentChildren, (make: ((close: () => void) => ComponentChildren) | null) => void] {
	const [make, setMake] = useState<{ make: (close: () => void) => ComponentChildren } | null>(null);
	return [make?.make(() => setMake(null)), (fn) => setMake(fn && { make: fn })];
}
