import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { policies, type Policy, type PolicyOptions, type PolicySetting, type PolicyValue, type Scope } from "../calls";
import { count } from "../format";
import { go } from "../router";
import { Ask, useDialog } from "../ui/dialog";
import { Check, Field } from "../ui/form";
import { Show, useLoad } from "../ui/load";
import { Head, Tag, Words } from "../ui/parts";
import { say } from "../ui/toast";

const GROUPS: Record<string, string> = {
	classic: "First of all", password: "More about the password", encryption: "Encryption", device: "What the phone may use",
	applications: "Programs", mail: "Mail and attachments", smime: "S/MIME",
};
const PLATFORMS: [string, string][] = [["ios", "iOS"], ["android", "Android"], ["windows_mobile", "Windows Mobile"]];

/* "MinDevicePasswordLength" → "Min device password length" */
/* "AllowWiFi" → "Allow Wi-Fi": the names of the protocol, in words. */
const NAMES: Record<string, string> = { WiFi: "Wi-Fi", IrDA: "IrDA", POPIMAP: "POP and IMAP", SMIME: "S/MIME", HTML: "HTML", InROM: "in ROM", Bluetooth: "Bluetooth" };

export function settingName(name: string): string {
	const parts = name.match(/WiFi|IrDA|POPIMAP|SMIME|HTML|InROM|[A-Z][a-z]+|./g) ?? [name];
	return parts.map((word, i) => NAMES[word] ?? (i === 0 ? word : word.toLowerCase())).join(" ");
}

/* Of the time after which the phone locks itself. */
const NEVER_LOCKED_S = 9999;

export function valueText(value: PolicyValue, unit = ""): string {
	if (value === null) return "no limit";
	if (typeof value === "boolean") return value ? "yes" : "no";
	if (Array.isArray(value)) return value.length === 0 ? "none" : value.join(", ");
	/* Exactly what is demanded, so in the largest unit without a rest. */
	if (unit === "bytes" && Number(value) % 1024 === 0) return Number(value) % 1048576 === 0 ? `${count(Number(value) / 1048576)} MB` : `${count(Number(value) / 1024)} KB`;
	if (unit === "s") return value === NEVER_LOCKED_S ? "never" : Number(value) % 60 === 0 ? `${Number(value) / 60} min` : `${value} s`;
	return unit ? `${value} ${unit}` : String(value);
}

export function PolicyPage({ name }: { name: string }) {
	const one = useLoad(async (signal) => {
		const [policy, table] = await Promise.all([policies.show(name, signal), policies.table(signal)]);
		return { policy, table };
	}, [name]);
	return (
		<div class="stack">
			<Head title={name} crumb={{ href: "#/policies", text: "Policies" }} text={one.data?.policy.description} />
			<Show of={one}>{(data) => <Form key={name} policy={data.policy} table={data.table} reload={one.reload} />}</Show>
		</div>
	);
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

function Form({ policy, table, reload }: { policy: Policy; table: PolicySetting[]; reload: () => Promise<void> }) {
	const [values, setValues] = useState(policy.settings);
	const [options, setOptions] = useState<PolicyOptions>(policy.options);
	const [error, setError] = useState("");
	const [busy, setBusy] = useState(false);
	const [dialog, open] = useDialog();
	const changed = table.filter((one) => !same(values[one.setting], policy.settings[one.setting])).length + (same(options, policy.options) ? 0 : 1);
	/* What stood here when nothing was typed yet. */
	const before = useRef({ settings: policy.settings, options: policy.options });
	/* Before anybody can touch what was drawn: after that it would be undone. And what somebody has typed meanwhile stays. */
	useLayoutEffect(() => {
		if (same(values, before.current.settings)) setValues(policy.settings);
		if (same(options, before.current.options)) setOptions(policy.options);
		before.current = policy;
	}, [policy]);

	const save = async (event: Event) => {
		event.preventDefault();
		setBusy(true);
		setError("");
		try {
			const settings = Object.fromEntries(table.filter((one) => !same(values[one.setting], one.default)).map((one) => [one.setting, values[one.setting]]));
			const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
			await policies.change(policy.policy, { settings, options: given });
			before.current = { settings: values, options };
			await reload();
			say("Saved. Phones that have this policy take it anew at their next request.");
		} catch (problem) {
			setError((problem as ApiError).message);
		}
		setBusy(false);
	};
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void reload();
	};
	const groups = [...new Set(table.map((one) => one.group))];
	return (
		<>
			<WhoFor policy={policy} open={open} after={after} />
			<form class="stack" onSubmit={save} novalidate>
				<Options policy={policy} options={options} onChange={setOptions} />
				{groups.map((group) => (
					<section class="card" key={group} aria-labelledby={`group-${group}`}>
						<h2 id={`group-${group}`}>{GROUPS[group] ?? group}</h2>
						{table.filter((one) => one.group === group).map((one) => (
							<SettingRow key={one.setting} info={one} value={values[one.setting]} onChange={(value) => setValues({ ...values, [one.setting]: value })} />
						))}
					</section>
				))}
				<div class="savebar">
					<p class="error" role="alert" hidden={!error}>{error}</p>
					<div class="spread">
						<span class="soft" role="status">{changed === 0 ? "Everything is saved." : `${changed} ${changed === 1 ? "change is" : "changes are"} not saved yet.`}</span>
						<div class="row">
							<button type="button" class="button" disabled={changed === 0} onClick={() => {
								setValues(policy.settings);
								setOptions(policy.options);
								setError("");
							}}>Undo</button>
							<button type="submit" class="button primary" aria-disabled={busy || changed === 0}>{busy ? "Saving…" : "Save"}</button>
						</div>
					</div>
				</div>
			</form>
			{dialog}
		</>
	);
}

type Open = ReturnType<typeof useDialog>[1];
const KIND: Record<string, string> = { user: "User", group: "Group", domain: "Domain", device: "Phone" };

function WhoFor({ policy, open, after }: { policy: Policy; open: Open; after: (close: () => void) => (did: boolean) => void }) {
	return (
		<section class="card stack" aria-labelledby="who-for">
			<div class="card-head"><h2 id="who-for">Whom it is for</h2>{policy.default && <Tag tone="good">Default</Tag>}</div>
			{policy.default && <p>Everybody for whom nothing else is laid down.</p>}
			{!policy.default && policy.assignments.length === 0 && policy.exceptions.length === 0 && <p class="soft">Nobody yet. Assign it to a user, a group or a domain.</p>}
			{policy.assignments.length > 0 && (
				<ul class="stack-small">
					{policy.assignments.map((scope) => (
						<li key={`${scope.kind} ${scope.name}`}><span class="spread"><span class="wrap">{KIND[scope.kind] ?? scope.kind} <b><Words of={scope.name} /></b></span>
							<button type="button" class="button mini" aria-label={`Take the policy from ${scope.name}`} onClick={() => open((close) => (
								<Ask title={`Take the policy from ${scope.name}?`} doing="Take away" done={`${scope.name} has another policy now.`} run={() => policies.unassign(scope)} onClose={after(close)}><p>What is laid down more generally counts from then on; phones take it at their next request.</p></Ask>
							))}>Take away</button></span></li>
					))}
				</ul>
			)}
			{policy.exceptions.length > 0 && <p class="soft">By exception also: {policy.exceptions.map((scope) => scope.name).join(", ")}.</p>}
			<div class="row">
				<button type="button" class="button" onClick={() => open((close) => <Assign policy={policy.policy} onClose={after(close)} />)}>Assign</button>
				{!policy.default && <button type="button" class="button" onClick={() => open((close) => (
					<Ask title={`Make ${policy.policy} the default?`} doing="Make it the default" done={`${policy.policy} is the default now.`} run={() => policies.makeDefault(policy.policy)} onClose={after(close)}><p>It counts for everybody for whom nothing else is laid down. Their phones take it at their next request.</p></Ask>
				))}>Make it the default</button>}
				{!policy.default && <button type="button" class="button danger" onClick={() => open((close) => (
					<Ask title={`Delete ${policy.policy}?`} danger doing="Delete" done={`${policy.policy} is deleted.`} run={() => policies.remove(policy.policy)} onClose={(did) => {
						close();
						if (did) go("#/policies");
					}}><p>It must be for nobody any more. What phones hold stays on them.</p></Ask>
				))}>Delete</button>}
			</div>
		</section>
	);
}

function Assign({ policy, onClose }: { policy: string; onClose: (did: boolean) => void }) {
	const [scope, setScope] = useState<Scope>({ kind: "group", name: "" });
	return (
		<Ask title={`Assign ${policy}`} doing="Assign" done={`${scope.name} has ${policy} now.`} ready={scope.name.trim() !== ""} run={() => policies.assign(policy, { ...scope, name: scope.name.trim() })} onClose={onClose}>
			<p>It replaces the policy that is assigned there so far. A user's own comes before that of a group, and a group's before that of the domain.</p>
			<Field label="To a">
				<select value={scope.kind} onChange={(e) => setScope({ ...scope, kind: e.currentTarget.value })}>
					<option value="group">group</option>
					<option value="user">user</option>
					<option value="domain">domain</option>
				</select>
			</Field>
			<Field label={scope.kind === "user" ? "Mail address" : `Name of the ${scope.kind}`}><input autocomplete="off" value={scope.name} onInput={(e) => setScope({ ...scope, name: e.currentTarget.value })} /></Field>
		</Ask>
	);
}

const OPTIONS: [keyof PolicyOptions, string, string][] = [
	["required", "Phones must take the policy", "Off: it is offered, and phones that never ask for it are let in."],
	["allow_non_provisionable", "Let in phones that cannot enforce all of it", "Also the rule for the three below, where they say nothing."],
	["allow_partial", "Let in phones that took only a part", ""],
	["allow_refused", "Let in phones that refused", ""],
	["allow_other", "Let in phones that somebody else manages", "Such as a device management of their own."],
];

function Options({ policy, options, onChange }: { policy: Policy; options: PolicyOptions; onChange: (options: PolicyOptions) => void }) {
	return (
		<section class="card" aria-labelledby="policy-options">
			<h2 id="policy-options">How strict it is</h2>
			{OPTIONS.map(([name, label, help]) => (
				<div class="switch-row" key={name}>
					<Field label={label} help={help} class="field-wide">
						<select value={options[name] === null ? "" : String(options[name])} onChange={(e) => onChange({ ...options, [name]: e.currentTarget.value === "" ? null : e.currentTarget.value === "true" })}>
							<option value="">As the settings say ({policy.rules[name] ? "yes" : "no"})</option>
							<option value="true">Yes</option>
							<option value="false">No</option>
						</select>
					</Field>
				</div>
			))}
			<div class="switch-row">
				<Field label="Phones take it again after" help="Hours; 0: never; empty: as the settings say." class="field-wide">
					<input type="number" min={0} value={options.refresh_interval_h ?? ""} placeholder={String(policy.rules.refresh_interval_h)} onInput={(e) => onChange({ ...options, refresh_interval_h: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) })} />
				</Field>
			</div>
		</section>
	);
}

function SettingRow({ info, value, onChange }: { info: PolicySetting; value: PolicyValue; onChange: (value: PolicyValue) => void }) {
	const label = settingName(info.setting);
	const isDefault = same(value, info.default);
	const effects = (
		<details class="effects">
			<summary>What phones do with it</summary>
			<ul>{PLATFORMS.filter(([key]) => info[key]).map(([key, title]) => <li key={key}><b>{title}</b>: {String(info[key])}{info[`${key}_note`] ? ` – ${info[`${key}_note`]}` : ""}{" "}<span class="soft small">{info[`${key}_confirmed`] ? `(${info[`${key}_source`]})` : "(unconfirmed)"}</span></li>)}</ul>
			<p class="soft small">In the protocol {info.setting}, since version {info.since}.</p>
		</details>
	);
	return (
		<div class={`policy-row ${isDefault ? "" : "set"}`}>
			{info.type === "boolean" || typeof info.default === "boolean"
				? <Check label={label} help={info.text} checked={value === true} onChange={onChange} />
				: Array.isArray(info.default)
					? <Field label={label} help={`${info.text} One per line.`}><textarea value={Array.isArray(value) ? value.join("\n") : ""} onInput={(e) => onChange(e.currentTarget.value.split("\n").map((line) => line.trim()).filter(Boolean))} /></Field>
					: (
						<Field label={info.unit ? `${label} (${info.unit})` : label} help={`${info.text}${info.minimum !== undefined ? ` ${info.minimum} to ${info.maximum}${info.nullable ? ", or empty for no limit" : ""}.` : ""}`} class="field-number">
							<input type="number" min={info.minimum} max={info.maximum} value={value === null ? "" : String(value)} placeholder={info.nullable ? "no limit" : undefined}
								onInput={(e) => onChange(e.currentTarget.value === "" ? (info.nullable ? null : info.default) : Number(e.currentTarget.value))} />
						</Field>
					)}
			<div class="stack-small">{!isDefault && <Tag tone="warn">Demands something</Tag>}{effects}</div>
		</div>
	);
}
