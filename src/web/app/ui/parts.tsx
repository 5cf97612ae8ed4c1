import { Fragment, type ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { Icon, type IconName } from "./icons";

export type Tone = "plain" | "good" | "warn" | "bad";

export function Tag({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
	return <span class={`tag ${tone === "plain" ? "" : tone}`}>{children}</span>;
}

/* What is longer does not hold together, lest it pushes the other columns off the screen. */
const PIECE = 22;

function pieces(text: string): string[] {
	const at = text.lastIndexOf("@");
	if (at > 0 && text.length - at <= PIECE) return [...pieces(text.slice(0, at)), text.slice(at)];
	return text.match(/@?[^@._\s]+[._\s]*|[@._\s]/g) ?? [];
}

/*
 * A mail address or a name, which breaks before the @, behind dots and at spaces, never within a word. What breaks a line so is no
 * character and is not copied; hidden, because Chromium puts a space there into what a screen reader says.
 */
export function Words({ of }: { of: string }) {
	return (
		<>
			{pieces(of).map((piece, i) => (
				<Fragment key={i}>
					{i > 0 && <wbr aria-hidden="true" />}
					{piece.length > PIECE ? <span class="long">{piece}</span> : piece}
				</Fragment>
			))}
		</>
	);
}

export function Head({ title, text, crumb, children }: { title: string; text?: ComponentChildren; crumb?: { href: string; text: string }; children?: ComponentChildren }) {
	useLayoutEffect(() => {
		document.title = `${title} · Bellhop`;
	}, [title]);
	return (
		<header class="head">
			<div>
				{crumb && <nav class="crumb" aria-label="Up"><a href={crumb.href}>{crumb.text}</a></nav>}
				<h1 tabIndex={-1} class="wrap"><Words of={title} /></h1>
				{text && <p>{text}</p>}
			</div>
			{children && <div class="row">{children}</div>}
		</header>
	);
}

export function Empty({ icon = "bell", title, children }: { icon?: IconName; title: string; children?: ComponentChildren }) {
	return (
		<div class="card empty">
			<Icon name={icon} />
			<h2>{title}</h2>
			{children && <div class="stack-small">{children}</div>}
		</div>
	);
}

/* Names and values; what is empty is left out. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
	return (
		<dl class="facts">
			{of.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false).map(([name, value]) => [
				<dt key={name}>{name}</dt>, <dd key={`${name}.`}>{value}</dd>,
			])}
		</dl>
	);
}

const STATES: Record<string, [Tone, string]> = {
	provisioned: ["good", "In order"],
	"not provisioned": ["warn", "Without policy"],
	"wipe pending": ["bad", "Wipe ordered"],
	cancelled: ["plain", "Cancelled"],
	cleared: ["plain", "Cleared"],
	"wipe failed": ["bad", "Wipe failed"],
	allowed: ["good", "Allowed"],
	allow: ["good", "Allow"],
	new: ["plain", "New"],
	parked: ["good", "Waiting for mail"],
	blocked: ["bad", "Blocked"],
	block: ["bad", "Block"],
	quarantine: ["warn", "In quarantine"],
	provisioning: ["warn", "Gets its policy"],
	"wipe sent": ["bad", "Wipe sent"],
	wiped: ["bad", "Wiped"],
	pending: ["warn", "Ordered"],
	sent: ["warn", "Sent to the phone"],
	acknowledged: ["good", "Confirmed by the phone"],
	failed: ["bad", "Failed"],
	full: ["good", "All accepted"],
	partial: ["warn", "Partly accepted"],
	refused: ["bad", "Refused"],
	other: ["plain", "Managed by another server"],
	none: ["plain", "None"],
};

/* A state of the server as a tag; a word that is not in the table is shown as it is. */
export function State({ of }: { of: string | undefined }) {
	if (!of) return <span class="soft">–</span>;
	const [tone, text] = STATES[of] ?? ["plain", of.charAt(0).toUpperCase() + of.slice(1).replace(/_/g, " ")];
	return <Tag tone={tone}>{text}</Tag>;
}
