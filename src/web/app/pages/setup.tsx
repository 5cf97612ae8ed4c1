import { useState } from "preact/hooks";
import { url } from "../api";
import { me, own, type Setup } from "../calls";
import { Ask, useDialog } from "../ui/dialog";
import { Check, Field } from "../ui/form";
import { Icon } from "../ui/icons";
import { Show, useLoad } from "../ui/load";
import { Facts, Head } from "../ui/parts";
import { copy } from "../ui/toast";

const KINDS: [string, string][] = [["ios_profile", "iPhone and iPad, with the profile"], ["ios", "iPhone and iPad, by hand"], ["android", "Android"], ["windows_mobile", "Windows Mobile"]];

export function SetupPage() {
	const setup = useLoad((signal) => me.setup(signal), []);
	return (
		<div class="stack">
			<Head title="Set up a phone" text="Your mail on your phone, and it rings the moment something comes." />
			<Show of={setup}>{(data) => <Ways data={data} />}</Show>
		</div>
	);
}

function Ways({ data }: { data: Setup }) {
	const [kind, setKind] = useState("ios_profile");
	return (
		<div class="grid-2">
			<section class="card stack" aria-labelledby="setup-steps">
				<h2 id="setup-steps">Step by step</h2>
				<div class="field">
					<label for="setup-kind">Your phone</label>
					<select id="setup-kind" value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
						{KINDS.filter(([key]) => data.steps[key]?.length).map(([key, label]) => <option value={key} key={key}>{label}</option>)}
					</select>
				</div>
				{kind === "ios_profile" && <Profile />}
				{data.certificate_file && ["android", "windows_mobile"].includes(kind) && <div><a class="button" href={url("/me/certificate.cer")} download="bellhop.cer"><Icon name="download" />Download the certificate</a></div>}
				<ol class="steps" role="list" aria-label={KINDS.find(([key]) => key === kind)?.[1]}>{(data.steps[kind] ?? []).map((step) => <li key={step}><p>{step}</p></li>)}</ol>
			</section>
			<section class="card stack" aria-labelledby="setup-scan">
				<h2 id="setup-scan">On another screen? Point the phone's camera here</h2>
				<div class="qr"><img src={data.qr} width={240} height={240} alt={`QR code that opens ${data.url} on your phone`} /></div>
				<p class="soft">It opens these pages on your phone. Sign in there and go on with its steps.</p>
				<hr />
				<h2>What the phone asks for</h2>
				<Facts of={[
					["Kind of account", "Exchange or ActiveSync"],
					["Server", <Copy text={data.port === 443 ? data.server : `${data.server}:${data.port}`} />],
					["User", <Copy text={data.user} />],
					["Domain", "leave it empty"],
					["Password", <>yours, or better an <a href="#/app-passwords">app password</a> for this phone</>],
					["TLS", data.tls ? "on" : "off"],
					["Certificate", data.certificate?.self_signed ? "one that phones do not know by themselves; the profile for iPhone and iPad brings it along" : ""],
					["Its SHA-256", data.certificate?.sha256 ? <code class="small wrap">{data.certificate.sha256}</code> : ""],
				]} />
			</section>
		</div>
	);
}

function Profile() {
	const [dialog, open] = useDialog();
	return (
		<>
			<div class="row">
				<a class="button primary" href={url("/me/profile.mobileconfig")} download="bellhop.mobileconfig"><Icon name="download" />Download the profile</a>
				<button type="button" class="button" onClick={() => open((close) => <WithPassword onClose={close} />)}><Icon name="key" />Download it with a password inside</button>
			</div>
			{dialog}
		</>
	);
}

function WithPassword({ onClose }: { onClose: () => void }) {
	const [name, setName] = useState("");
	const [first, setFirst] = useState(true);
	return (
		<Ask title="A profile with a password inside" doing="Make and download" done="The profile is among your downloads; its password is listed under App passwords." ready={name.trim() !== ""} run={() => own.profileWithPassword(name.trim(), first)} onClose={onClose}>
			<p>A new app password is made and goes into the file, so the phone asks for none. Whoever gets hold of the file gets your mail: download it on the phone itself, and delete it once it is installed.</p>
			<Field label="Name" help="So that you know later which phone it is."><input value={name} autocomplete="off" placeholder="My phone" onInput={(e) => setName(e.currentTarget.value)} /></Field>
			<Check label="Only for the first phone that uses it" help="Stolen and used elsewhere, it opens nothing." checked={first} onChange={setFirst} />
		</Ask>
	);
}

function Copy({ text }: { text: string }) {
	return <span class="row"><code>{text}</code><button type="button" class="button mini" aria-label={`Copy ${text}`} onClick={() => copy(text)}>Copy</button></span>;
}
