/* Short messages of what was done, in a corner and to screen readers. */
import { useEffect, useState } from "preact/hooks";

interface Toast {
	id: number;
	text: string;
}

let next = 1;
let toasts: Toast[] = [];
const listeners = new Set<(all: Toast[]) => void>();

function set(all: Toast[]): void {
	toasts = all;
	for (const listener of listeners) listener(all);
}

export function say(text: string): void {
	const id = next++;
	set([...toasts.slice(-2), { id, text }]);
	window.setTimeout(() => dismiss(id), 8000);
}

/* Browsers give the clipboard to pages of HTTPS alone. */
export function copy(text: string): void {
	if (!navigator.clipboard) say("This browser copies nothing here: select it by hand.");
	else navigator.clipboard.writeText(text).then(() => say("Copied."), () => say("Copying is not allowed here."));
}

function dismiss(id: number): void {
	set(toasts.filter((toast) => toast.id !== id));
}

export function Toasts() {
	const [all, setAll] = useState(toasts);
	useEffect(() => {
		listeners.add(setAll);
		return () => void listeners.delete(setAll);
	}, []);
	return (
		<div class="toasts" role="status" aria-live="polite">
			{all.map((toast) => (
				<div class="toast" key={toast.id}>
					<span>{toast.text}</span>
					<button type="button" onClick={() => dismiss(toast.id)} aria-label="Dismiss this message">OK</button>
				</div>
			))}
		</div>
	);
}
