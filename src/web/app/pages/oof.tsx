import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { own, type Oof, type OofMessage } from "../calls";
import { Check, Field } from "../ui/form";
import { Show, useLoad } from "../ui/load";
import { Head } from "../ui/parts";

const AUDIENCES: [string, string, string][] = [
	["internal", "People of your organisation", "Who has an address in your domain."],
	["external_known", "People outside whom you know", "Who is among your contacts. These are not kept here yet: nobody gets it."],
	["external_unknown", "Everybody else outside", ""],
];

export function OofPage() {
	const one = useLoad((signal) => own.oof(signal), []);
	return (
		<div class="stack">
			<Head title="Out of office" text="What people who write to you are answered while you are away. It is the same setting as on the phone." />
			<Show of={one}>{(oof) => <Form oof={oof} reload={one.reload} />}</Show>
		</div>
	);
}

/* Seconds ↔ what a datetime-local field says, in the zone of the browser. */
function field(at: number): string {
	if (!at) return "";
	const date = new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60000);
	return date.toISOString().slice(0, 16);
}

function seconds(text: string): number {
	const at = Date.parse(text);
	return Number.isNaN(at) ? 0 : Math.floor(at / 1000);
}

interface Typed {
	state: string;
	start: string;
	end: string;
	messages: Record<string, OofMessage>;
}

function typed(oof: Oof): Typed {
	return { state: oof.state, start: field(oof.start_at), end: field(oof.end_at), messages: Object.fromEntries(AUDIENCES.map(([key]) => [key, oof[key] as OofMessage])) };
}

function Form({ oof, reload }: { oof: Oof; reload: () => Promise<void> }) {
	const [form, setForm] = useState(() => typed(oof));
	const { state, start, end, messages } = form;
	const [error, setError] = useState("");
	const [done, setDone] = useState(false);
	/* What stood here when nothing was typed yet. */
	const before = useRef(form);
	/* Before anybody can touch what was drawn: after that it would be undone. And what somebody has typed meanwhile stays. */
	useLayoutEffect(() => {
		const now = typed(oof);
		if (JSON.stringify(form) === JSON.stringify(before.current)) setForm(now);
		before.current = now;
	}, [oof]);
	const change = (key: string, part: Partial<OofMessage>) => setForm({ ...form, messages: { ...messages, [key]: { ...messages[key], ...part } } });
	const save = async (event: Event) => {
		event.preventDefault();
		setError("");
		setDone(false);
		try {
			await own.setOof({ state, ...(state === "timed" && { start_at: seconds(start), end_at: seconds(end) }), ...messages });
			before.current = form;
			await reload();
			setDone(true);
		} catch (problem) {
			setError((problem as ApiError).message);
		}
	};
	return (
		<form class="stack" onSubmit={save} novalidate>
			<section class="card stack" aria-labelledby="oof-when">
				<h2 id="oof-when">When</h2>
				<div class="filters">
					<Field label="You are">
						<select value={state} onChange={(e) => setForm({ ...form, state: e.currentTarget.value })}>
							<option value="off">here</option>
							<option value="on">away until further notice</option>
							<option value="timed">away for a time</option>
						</select>
					</Field>
					{state === "timed" && <Field label="From"><input type="datetime-local" value={start} onInput={(e) => setForm({ ...form, start: e.currentTarget.value })} /></Field>}
					{state === "timed" && <Field label="To"><input type="datetime-local" value={end} onInput={(e) => setForm({ ...form, end: e.currentTarget.value })} /></Field>}
				</div>
			</section>
			{AUDIENCES.filter(([key]) => messages[key]).map(([key, title, help]) => (
				<section class="card stack" key={key} aria-labelledby={`oof-${key}`}>
					<h2 id={`oof-${key}`}>{title}</h2>
					<Check label="They get an answer" help={help} checked={messages[key].enabled} onChange={(enabled) => change(key, { enabled })} />
					<Field label="The answer" help={messages[key].html ? "A phone has written it as HTML." : undefined}><textarea value={messages[key].text} onInput={(e) => change(key, { text: e.currentTarget.value })} /></Field>
				</section>
			))}
			<p class="error" role="alert" hidden={!error}>{error}</p>
			{done && <p class="note good" role="status">Saved. Your phones show it at their next look.</p>}
			<div><button type="submit" class="button primary">Save</button></div>
		</form>
	);
}
