import { useState } from "preact/hooks";
import type { ApiError } from "../api";
import { access, type AccessRule, type AccessTest, type AccessWord, type Scope } from "../calls";
import { Ask, useDialog } from "../ui/dialog";
import { Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Empty, Facts, Head, Tag, Words } from "../ui/parts";
import { isBare, PiecePager, PieceSearch, shown, usePiece } from "../ui/piece";
import { Table } from "../ui/table";
import { say } from "../ui/toast";

const WORDS: [string, string][] = [["allow", "allow"], ["block", "block"], ["quarantine", "quarantine"]];
const EVERYBODY: Scope = { kind: "organisation", name: "" };

/* What a rule does, not the state of a phone. */
function Word({ of }: { of: string }) {
	return <Tag tone={of === "allow" ? "good" : of === "block" ? "bad" : "warn"}>{of.charAt(0).toUpperCase() + of.slice(1)}</Tag>;
}

export function AccessPage() {
	const rules = useLoad((signal) => access.rules(signal), []);
	const piece = usePiece(1); /* what counts for everybody stands first */
	const everybody = useLoad((signal) => access.list({ limit: 1 }, signal), []);
	const laid = useLoad((signal) => access.list(piece.query, signal), piece.deps);
	const message = useLoad((signal) => access.message(signal), []);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) {
			void rules.reload();
			void everybody.reload();
			void laid.reload();
			void message.reload();
		}
	};
	return (
		<div class="stack">
			<Head title="Access rules" text="Which phones may synchronize. What is laid down for a phone or its user comes first, then the rules in their order, then what is laid down for a group or a domain, then the default." />
			<Show of={everybody}>{(rows) => <Default rows={rows} reload={everybody.reload} />}</Show>
			<Show of={rules}>{(rows) => (
				<>
					<div class="spread"><h2>Rules</h2><button type="button" class="button primary" onClick={() => open((close) => <AddRule onClose={after(close)} />)}><Icon name="plus" />Add a rule</button></div>
					{rows.length === 0
						? <Empty icon="key" title="No rules yet"><p>A rule decides by type, model, system, program or protocol version: for example <code>type = iPhone and os = "iOS 12*"</code>.</p></Empty>
						: <Rules rows={rows} open={open} after={after} reload={rules.reload} />}
				</>
			)}</Show>
			<Test />
			<Show of={laid}>{(others) => {
				return (
					<>
						<div class="spread"><h2>For single phones, users, groups and domains</h2><button type="button" class="button" onClick={() => open((close) => <LayDown onClose={after(close)} />)}><Icon name="plus" />Lay something down</button></div>
						{!isBare(piece, others) && <PieceSearch piece={piece} label="Find what is laid down" />}
						{isBare(piece, others)
							? <p class="soft">Nothing is laid down for anybody in particular.</p>
							: (
								<Table caption="Laid down in particular" hideCaption rows={shown(others)} foot={<PiecePager piece={piece} rows={others} noun="row" />} rowKey={(row) => `${row.scope} ${row.name} ${row.device}`} columns={[
									{ label: "Whom", cell: (row) => <span class="wrap address"><Words of={row.name} /></span> },
									{ label: "Kind", cell: (row) => row.device ? <span>phone <code class="small">{row.device}</code>{!row.seen && ", not seen yet"}</span> : row.scope },
									{ label: "Access", cell: (row) => <Word of={row.access} /> },
									{ label: "", bare: true, num: true, cell: (row) => <button type="button" class="button mini" aria-label={`Take back what is laid down for ${row.device || row.name}`} onClick={() => open((close) => (
										<Ask title="Take this back?" doing="Take back" done="The rules count again." run={() => access.set("none", { kind: row.device ? "user" : row.scope, name: row.name }, row.device)} onClose={after(close)}><p>For {row.device || row.name} the rules and the default count again, at once.</p></Ask>
									))}>Take back</button> },
								]} />
							)}
					</>
				);
			}}</Show>
			<Show of={message}>{(text) => (
				<section class="card stack" aria-labelledby="msg-title">
					<div class="card-head"><h2 id="msg-title">What a phone in quarantine reads</h2><button type="button" class="button mini" onClick={() => open((close) => <Message subject={text.subject} text={text.text} onClose={after(close)} />)}>Change</button></div>
					<b>{text.subject}</b>
					<p class="prose">{text.text}</p>
				</section>
			)}</Show>
			{dialog}
		</div>
	);
}

function Default({ rows, reload }: { rows: AccessWord[]; reload: () => Promise<void> }) {
	const now = rows.find((row) => row.scope === "organisation")?.access ?? "allow";
	return (
		<section class="card" aria-label="Default">
			<div class="switch-row">
				<div class="stack-small"><h2>Default</h2><p class="help">For every phone for which no rule holds and nothing is laid down, not for its user, a group or the domain either. A phone in quarantine gets its folders and one message that explains it; administrators are told by mail.</p></div>
				<Field label="Phones are">
					<select value={now} onChange={(e) => access.set(e.currentTarget.value, EVERYBODY).then(() => say("The default is changed. It counts at once."), (problem: ApiError) => say(problem.message)).then(reload)}>
						<option value="allow">allowed</option>
						<option value="quarantine">put into quarantine</option>
						<option value="block">blocked</option>
					</select>
				</Field>
			</div>
		</section>
	);
}

type Open = ReturnType<typeof useDialog>[1];

function Rules({ rows, open, after, reload }: { rows: AccessRule[]; open: Open; after: (close: () => void) => (did: boolean) => void; reload: () => Promise<void> }) {
	const move = (row: AccessRule, position: number) => access.move(row.id, position).then(() => say(`The rule is number ${position} now.`), (problem: ApiError) => say(problem.message)).then(reload);
	return (
		<Table caption="Rules; the first that holds decides" hideCaption rows={rows} rowKey={(row) => row.id} columns={[
			{ label: "Order", cell: (row) => row.position },
			{ label: "When", cell: (row) => <code class="wrap">{row.rule}</code> },
			{ label: "Then", cell: (row) => <Word of={row.access} /> },
			{ label: "Note", cell: (row) => row.note || "–" },
			{ label: "", bare: true, cell: (row) => (
				<span class="row tight">
					<button type="button" class="button mini" disabled={row.position === 1} aria-label={`Ask rule ${row.position} earlier`} onClick={() => move(row, row.position - 1)}>Earlier</button>
					<button type="button" class="button mini" disabled={row.position === rows.length} aria-label={`Ask rule ${row.position} later`} onClick={() => move(row, row.position + 1)}>Later</button>
					<button type="button" class="button mini danger" aria-label={`Delete rule ${row.position}`} onClick={() => open((close) => (
						<Ask title="Delete this rule?" danger doing="Delete" done="The rule is deleted." run={() => access.remove(row.id)} onClose={after(close)}><p><code>{row.rule}</code></p><p>Phones for which it held are decided anew, at once.</p></Ask>
					))}>Delete</button>
				</span>
			) },
		]} />
	);
}

function WordField({ value, onChange }: { value: string; onChange: (word: string) => void }) {
	return <Field label="Then"><select value={value} onChange={(e) => onChange(e.currentTarget.value)}>{WORDS.map(([word, label]) => <option key={word} value={word}>{label}</option>)}</select></Field>;
}

function AddRule({ onClose }: { onClose: (did: boolean) => void }) {
	const [rule, setRule] = useState("");
	const [word, setWord] = useState("quarantine");
	const [position, setPosition] = useState("");
	const [note, setNote] = useState("");
	return (
		<Ask title="Add a rule" doing="Add" done="The rule counts from now on." ready={rule.trim() !== ""} run={() => access.add({ rule: rule.trim(), access: word, ...(note.trim() && { note: note.trim() }), ...(position && { position: Number(position) }) })} onClose={onClose}>
			<Field label="When" help={<>Fields: type, model, os, agent, device, version. = and != take a pattern with * and ?; version also knows &lt; and &gt;. Join with and.</>}><input value={rule} autocomplete="off" placeholder={'type = iPhone and os = "iOS 12*"'} onInput={(e) => setRule(e.currentTarget.value)} /></Field>
			<WordField value={word} onChange={setWord} />
			<Field label="Position" help="From 1 on; empty: at the end."><input type="number" min={1} value={position} onInput={(e) => setPosition(e.currentTarget.value)} /></Field>
			<Field label="Note" help="For people; may stay empty."><input value={note} autocomplete="off" onInput={(e) => setNote(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function LayDown({ onClose }: { onClose: (did: boolean) => void }) {
	const [scope, setScope] = useState<Scope>({ kind: "user", name: "" });
	const [device, setDevice] = useState("");
	const [word, setWord] = useState("allow");
	return (
		<Ask title="Lay down access" doing="Lay down" done="It counts from now on." ready={scope.name.trim() !== ""} run={() => access.set(word, { ...scope, name: scope.name.trim() }, scope.kind === "user" ? device.trim() : "")} onClose={onClose}>
			<Field label="For a">
				<select value={scope.kind} onChange={(e) => setScope({ ...scope, kind: e.currentTarget.value })}><option value="user">user, or one of his phones</option><option value="group">group</option><option value="domain">domain</option></select>
			</Field>
			<Field label={scope.kind === "user" ? "Mail address" : `Name of the ${scope.kind}`}><input autocomplete="off" value={scope.name} onInput={(e) => setScope({ ...scope, name: e.currentTarget.value })} /></Field>
			{scope.kind === "user" && <Field label="Device id" help="Empty: all phones of this user. It may be one that was never seen."><input autocomplete="off" value={device} onInput={(e) => setDevice(e.currentTarget.value)} /></Field>}
			<WordField value={word} onChange={setWord} />
		</Ask>
	);
}

function Message({ subject: before, text: textBefore, onClose }: { subject: string; text: string; onClose: (did: boolean) => void }) {
	const [subject, setSubject] = useState(before);
	const [text, setText] = useState(textBefore);
	return (
		<Ask title="The message in quarantine" doing="Save" done="Phones in quarantine read it from now on." run={() => access.setMessage(subject, text)} onClose={onClose}>
			<Field label="Subject"><input value={subject} autocomplete="off" onInput={(e) => setSubject(e.currentTarget.value)} /></Field>
			<Field label="Text" help="{user}, {device}, {type}, {model}, {os}, {agent} and {version} stand for the phone's. Empty brings the built-in text back."><textarea value={text} onInput={(e) => setText(e.currentTarget.value)} /></Field>
		</Ask>
	);
}

function Test() {
	const [form, setForm] = useState<Record<string, string>>({});
	const [result, setResult] = useState<AccessTest | null>(null);
	const [error, setError] = useState("");
	const input = (name: string) => ({ value: form[name] ?? "", autocomplete: "off", onInput: (e: { currentTarget: { value: string } }) => setForm({ ...form, [name]: e.currentTarget.value }) });
	return (
		<section class="card stack" aria-labelledby="test-title">
			<h2 id="test-title">What would a phone get?</h2>
			<form class="filters" onSubmit={async (e) => {
				e.preventDefault();
				setError("");
				try {
					const { address, ...rest } = form;
					setResult(await access.test((address ?? "").trim(), rest));
				} catch (problem) {
					setResult(null);
					setError((problem as ApiError).message);
				}
			}}>
				<Field label="User"><input type="email" required {...input("address")} /></Field>
				<Field label="Device id"><input {...input("device")} /></Field>
				<Field label="Type"><input placeholder="iPhone" {...input("type")} /></Field>
				<Field label="Model"><input {...input("model")} /></Field>
				<Field label="System"><input placeholder="iOS 17" {...input("os")} /></Field>
				<Field label="Program"><input {...input("agent")} /></Field>
				<Field label="Protocol"><input placeholder="16.1" {...input("protocol")} /></Field>
				<button type="submit" class="button">Test</button>
			</form>
			<p class="error" role="alert" hidden={!error}>{error}</p>
			<div role="status">{result && <Facts of={[["It gets", <Word of={result.access} />], ["Because of", result.by]]} />}</div>
		</section>
	);
}
