import { start } from "../api";
import { devices, type Device } from "../calls";
import { ago, duration, time } from "../format";
import { link, type Place } from "../router";
import { useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Facts, Head, State, Words } from "../ui/parts";
import { DeviceActions } from "./device-actions";
import { DevicePolicy } from "./device-policy";
import { DeviceErrors, DeviceFolders, DeviceTrace, DeviceWaits } from "./device-tabs";

export const text = (value: unknown) => (typeof value === "string" ? value : "");
export const number = (value: unknown) => (typeof value === "number" && value !== 0 ? value : undefined);
const when = (value: unknown) => number(value) ? time(number(value)) : "";

export function nameOf(phone: Device): string {
	return text(phone.friendly_name) || phone.model || phone.type || phone.device;
}

const TABS: [string, string][] = [["", "State"], ["policy", "Policy"], ["folders", "Folders"], ["waits", "Heartbeats"], ["errors", "Errors"], ["trace", "Trace"]];

export function DevicePage({ place }: { place: Place }) {
	const [, address, device] = place.path;
	const tab = place.path[3] ?? "";
	const one = useLoad((signal) => devices.show(address, device, signal), [address, device], 5000);
	const [dialog, open] = useDialog();
	return (
		<div class="stack">
			<Head title={one.data ? one.data.model || one.data.type || device : device} crumb={{ href: "#/devices", text: "Devices" }}
				text={<span class="row">of <a class="wrap" href={link(["users", address])}><Words of={address} /></a>{one.data && <State of={one.data.state} />}</span>} />
			<nav class="tabs" aria-label="About this phone">
				{TABS.map(([key, label]) => <a key={key} href={link(["devices", address, device, ...(key ? [key] : [])])} aria-current={tab === key ? "page" : undefined}>{label}</a>)}
			</nav>
			{tab === "" && <Show of={one}>{(phone) => <Summary phone={phone} />}</Show>}
			{tab === "" && one.data && <DeviceActions phone={one.data} open={open} reload={one.reload} />}
			{tab === "policy" && <DevicePolicy address={address} device={device} />}
			{tab === "folders" && <DeviceFolders address={address} device={device} />}
			{tab === "waits" && <DeviceWaits address={address} device={device} />}
			{tab === "errors" && <DeviceErrors address={address} device={device} />}
			{tab === "trace" && <DeviceTrace address={address} device={device} />}
			{dialog}
		</div>
	);
}

function Summary({ phone }: { phone: Device }) {
	return (
		<div class="grid-2">
			<WipeState phone={phone} />
			<section class="card stack" aria-labelledby="dev-state">
				<h2 id="dev-state">How it is</h2>
				<Facts of={[
					["Last seen", <time title={time(phone.last_seen_at)}>{ago(phone.last_seen_at)}</time>],
					["Heartbeat", number(phone.heartbeat_s) ? `asks to be told within ${duration(number(phone.heartbeat_s))}` : ""],
					["Protocol", phone.version],
					["At most", text(phone.ceiling) || text(phone.version_ceiling)],
					["Policy", text(phone.policy) || (phone.policy_exempt === true ? "none (exception)" : "")],
					["It answered", text(phone.policy_status) && phone.policy_status !== "none" ? <State of={text(phone.policy_status)} /> : ""],
					["Takes it again", when(phone.policy_refresh_at)],
					["Access", phone.blocked ? <State of="blocked" /> : text(phone.access) && <State of={text(phone.access)} />],
					["Why", phone.blocked ? "this phone itself is blocked" : text(phone.access_reason)],
					["First seen", when(phone.first_seen_at)],
				]} />
			</section>
			<section class="card stack" aria-labelledby="dev-what">
				<h2 id="dev-what">What it is</h2>
				<Facts of={[
					["Model", phone.model], ["Type", phone.type], ["Its name", text(phone.friendly_name)], ["System", text(phone.os)],
					["Program", text(phone.user_agent)], ["Language", text(phone.language)], ["Operator", text(phone.operator)],
					["Phone number", text(phone.phone_number)], ["IMEI", text(phone.imei)], ["Device id", <code>{phone.device}</code>],
					["Recovery password", text(phone.recovery_password) && <details><summary>Show it</summary><code>{text(phone.recovery_password)}</code></details>],
				]} />
			</section>
		</div>
	);
}

/* An order to erase the phone, from its asking to its end. */
export function WipeState({ phone }: { phone: Device }) {
	const state = text(phone.wipe);
	if (state === "" || state === "none") return null;
	const over = state === "cancelled" || state === "cleared" || state === "acknowledged";
	return (
		<section class={`card stack wide ${over ? "" : "note bad"}`} aria-label="Wipe">
			<div class="card-head"><h2>{phone.wipe_kind === "account" ? "Wipe of the account alone" : "Wipe of the whole phone"}</h2><State of={state} /></div>
			{!over && text(phone.wipe_reach_text) && <p>{sentence(text(phone.wipe_reach_text))}</p>}
			<Facts of={[
				["Ordered", when(phone.wipe_asked_at)], ["By", text(phone.wipe_asked_by)], ["Sent to the phone", when(phone.wipe_sent_at)],
				["Answered", when(phone.wipe_answered_at)], ["Ended", when(phone.wipe_ended_at)], ["Ended by", text(phone.wipe_ended_by)],
			]} />
		</section>
	);
}

export const sentence = (words: string) => start(words) + (/[.!?]$/.test(words) ? "" : ".");
