/* Numbers and times as people read them, in the browser's language and zone. */
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dateOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const integer = new Intl.NumberFormat();
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function time(at: number | undefined): string {
	return at ? dateTime.format(at * 1000) : "never";
}

export function date(at: number | undefined): string {
	return at ? dateOnly.format(at * 1000) : "never";
}

export function hour(at: number): string {
	return clock.format(at * 1000);
}

/* No line ends between a number and its unit. */
function held(text: string): string {
	return text.replace(/(\d) /, "$1\u00a0");
}

export function ago(at: number | undefined, now = Date.now() / 1000): string {
	if (!at) return "never";
	const s = at - now;
	const size = Math.abs(s);
	if (size < 45) return s <= 0 ? "just now" : "in a moment";
	if (size < 2700) return held(relative.format(Math.round(s / 60), "minute"));
	if (size < 79200) return held(relative.format(Math.round(s / 3600), "hour"));
	if (size < 30 * 86400) return held(relative.format(Math.round(s / 86400), "day"));
	return date(at);
}

export function count(n: number | undefined): string {
	return n === undefined ? "–" : integer.format(n);
}

export function counted(n: number, one: string, many = one + "s"): string {
	return `${count(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number | undefined): string {
	if (n === undefined) return "–";
	const units = ["bytes", "KB", "MB", "GB", "TB"];
	let unit = 0;
	let value = n;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}
	return `${unit === 0 ? integer.format(value) : value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[unit]}`;
}

export function duration(s: number | undefined): string {
	if (s === undefined) return "–";
	if (s < 120) return `${Math.round(s)} s`;
	if (s < 7200) return `${Math.round(s / 60)} min`;
	if (s < 172800) return `${Math.round(s / 3600)} h`;
	return `${Math.round(s / 86400)} days`;
}

/* "device_type" → "Device type", for keys that a page knows no better word for. */
export function words(key: string): string {
	const text = key.replace(/_at$/, "").replace(/_/g, " ");
	return text.charAt(0).toUpperCase() + text.slice(1);
}
