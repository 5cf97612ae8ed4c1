/* A policy on one phone: whence it comes, what the phone has answered, and what phones of its kind really do with each setting. */
import { start } from "../api";
import { policies, type Effective, type PolicyRules, type PolicySetting } from "../calls";
import { time } from "../format";
import { link } from "../router";
import { useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Facts, State, Tag, type Tone } from "../ui/parts";
import { Table } from "../ui/table";
import { Except, refresh } from "./policies";
import { settingName, valueText } from "./policy";

const KINDS: Record<string, string> = { ios: "iPhone or iPad", android: "Android", windows_mobile: "Windows Mobile", unknown: "not known" };

const EFFECTS: Record<string, [Tone, string]> = {
	enforced: ["good", "Does it"],
	ignored: ["bad", "Does not do it"],
	refused: ["warn", "Says that it cannot"],
	not_sent: ["plain", "Is not told"],
	off: ["plain", "Does not count"],
	unknown: ["plain", "Not known"],
};

/* How far the phone's answer is to be trusted, and what the table below is then. */
const ANSWERS: Record<string, string> = {
	none: "The phone has not answered yet. Below stands what phones of its kind do once they take the policy.",
	before: "What the phone has answered was to an earlier policy. Below stands what phones of its kind do once they take it.",
	full: "The phone says that it applies all of it, which is a promise. Below stands what phones of its kind really do.",
	partial: "The phone says that it applies a part of it, and not which. Below stands what phones of its kind do.",
	refused: "The phone has refused the policy, so nothing of it counts there. Below stands what phones of its kind do when they take it.",
	other: "The phone says that something else manages it, so this policy does not count there. Below stands what phones of its kind do when they take it.",
};

function rulesText(rules: PolicyRules): string {
	const out = [rules.required ? "must be taken" : "is only offered", rules.refresh_interval_h ? `taken again ${refresh(rules.refresh_interval_h)}` : "taken once"];
	out.push(rules.allow_partial ? "a part is enough" : "a part is not enough");
	out.push(rules.allow_refused ? "refusing is let through" : "who refuses stays out");
	return out.join("; ");
}

/* "AllowCamera is off" → "Allow camera is off" */
function inWords(note: string): string {
	return start(note.replace(/^([A-Z]\w+)(?= is off$)/, settingName));
}

type Row = Effective["settings"][number];

function What({ row }: { row: Row }) {
	const [tone, word] = EFFECTS[row.effect ?? "unknown"] ?? ["plain", row.effect];
	return (
		<div class="stack-small">
			<Tag tone={tone}>{word}</Tag>
			{row.note && <span>{inWords(row.note)}</span>}
			{row.effect !== "unknown" && <span class="soft small">{row.confirmed ? `Written in: ${row.source}` : "Said of such phones; we could not read where it is written."}</span>}
		</div>
	);
}

function Settings({ found, table }: { found: Effective; table: PolicySetting[] }) {
	const answer = found.policy_status !== "none" && found.policy_current === false ? "before" : found.policy_status ?? "none";
	const info = new Map(table.map((one) => [one.setting, one]));
	return (
		<>
			<p class="note">{ANSWERS[answer] ?? ANSWERS.none}{found.platform === "unknown" && " Of this kind of phone nothing is known."}</p>
			<Table caption="Effective on this phone" rows={found.settings} rowKey={(row) => row.setting} columns={[
				{ label: "Setting", cell: (row) => <div class="setting-name">{settingName(row.setting)}<div class="help">{info.get(row.setting)?.text}</div></div> },
				{ label: "Demanded", cell: (row) => <span class="wrap">{valueText(row.value, info.get(row.setting)?.unit)}</span> },
				{ label: "What such phones do", cell: (row) => <What row={row} /> },
			]} />
		</>
	);
}

export function DevicePolicy({ address, device }: { address: string; device: string }) {
	const one = useLoad((signal) => policies.effective(address, device, signal), [address, device], 10000);
	const table = useLoad((signal) => policies.table(signal), []);
	const all = useLoad((signal) => policies.list(signal), []);
	const [dialog, open] = useDialog();
	return (
		<Show of={one}>
			{(found) => (
				<>
					<section class="card stack" aria-labelledby="dev-policy">
						<div class="card-head"><h2 id="dev-policy">{found.policy_exempt ? "No policy" : <a href={link(["policies", found.policy])}>{found.policy}</a>}</h2>
							<button type="button" class="button mini" onClick={() => open((close) => <Except from={all.data ?? []} address={address} device={device} onClose={(did) => {
								close();
								if (did) void one.reload();
							}} />)}>Make an exception</button></div>
						<Facts of={[
							["Because of", found.policy_from],
							["The phone answered", found.policy_status === "none" ? "nothing yet" : <State of={found.policy_status} />],
							["To the policy as it is now", found.policy_status === "none" || found.policy_current === undefined ? "" : found.policy_current ? <Tag tone="good">Yes</Tag> : <Tag tone="warn">No: it meets it at its next request</Tag>],
							["Takes it again", found.policy_refresh_at ? time(found.policy_refresh_at) : ""],
							["Kind of phone", KINDS[found.platform ?? "unknown"] ?? found.platform],
							["The policy", found.policy_exempt ? "" : rulesText(found.rules)],
						]} />
					</section>
					{found.settings.length === 0
						? <p class="note">{found.policy_exempt ? "Nothing is demanded of this phone." : "This policy demands nothing of the phone."}</p>
						: <Show of={table}>{(infos) => <Settings found={found} table={infos} />}</Show>}
					{dialog}
				</>
			)}
		</Show>
	);
}
