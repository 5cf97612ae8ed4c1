/* Every call of the REST API that the pages make, and what the server answers. The names are those of the verbs' results. */
import { at, request, type Query } from "./api";

export interface User {
	address: string;
	name: string;
	enabled: boolean;
	admin?: boolean;
	used_bytes: number;
	quota_bytes: number;
	created_at: number;
	aliases?: string[];
	devices?: string[];
	junk_days?: number | string;
	deleted_days?: number | string;
	eas?: boolean;
	device_limit?: number;
}

export interface Device {
	address: string;
	device: string;
	type: string;
	model: string;
	version: string;
	last_seen_at: number;
	state: string;
	[more: string]: unknown;
}

export interface Collection {
	folder: number;
	name: string;
	held: number;
	pending: number;
	withheld: number;
	behind: number;
	comparing: boolean;
	state_bytes: number;
}

export interface DeviceCheck {
	collections: Collection[];
	findings: (string | Record<string, unknown>)[];
}

export interface Group {
	group: string;
	rank: number;
	members: number | string[];
}

export interface QueueRow {
	mail: number;
	sender: string;
	recipient: string;
	state: string;
	attempts: number;
	queued_at: number;
	next_at: number;
	last_at: number;
	bytes: number;
	answer: string;
}

export interface LogRow {
	id: number;
	at: number;
	actor: string;
	action: string;
	result: string;
	user: string;
	device: string;
	device_type: string;
	address: string;
}

const GET = <T>(path: string, query?: Query, signal?: AbortSignal) => request<T>("GET", path, query, undefined, signal);
const POST = <T = unknown>(path: string, body: object = {}) => request<T>("POST", path, undefined, body);
const PUT = <T = unknown>(path: string, body: object = {}) => request<T>("PUT", path, undefined, body);
const DELETE = <T = unknown>(path: string, query?: Query) => request<T>("DELETE", path, query);

export const users = {
	list: (query: Query, signal?: AbortSignal) => GET<User[]>("/users", query, signal),
	show: (address: string, signal?: AbortSignal) => GET<User>(at`/users/${address}`, {}, signal),
	add: (address: string, password: string, name: string) => POST("/users", name === "" ? { address, password } : { address, password, name }),
	password: (address: string, password: string) => PUT(at`/users/${address}/password`, { password }),
	enable: (address: string) => POST(at`/users/${address}/enable`),
	disable: (address: string) => POST(at`/users/${address}/disable`),
	quota: (address: string, size: string) => PUT(at`/users/${address}/quota`, { size }),
	expiry: (address: string, junk: string, deleted: string) => PUT(at`/users/${address}/expiry`, { junk, deleted }),
	remove: (address: string) => DELETE(at`/users/${address}`, { yes: true }),
};

export const aliases = {
	add: (alias: string, address: string) => POST("/aliases", { alias, address }),
	remove: (alias: string) => DELETE(at`/aliases/${alias}`),
};

export const domains = {
	list: (signal?: AbortSignal) => GET<{ domain: string }[]>("/domains", {}, signal),
	add: (domain: string) => POST("/domains", { domain }),
	remove: (domain: string) => DELETE(at`/domains/${domain}`),
};

export const devices = {
	list: (query: Query, signal?: AbortSignal) => GET<Device[]>("/devices", query, signal),
	show: (address: string, device: string, signal?: AbortSignal) => GET<Device>(at`/users/${address}/devices/${device}`, {}, signal),
	check: (address: string, device: string, signal?: AbortSignal) => GET<DeviceCheck>(at`/users/${address}/devices/${device}/check`, {}, signal),
	repair: (address: string, device: string, folder?: number) => POST(at`/users/${address}/devices/${device}/repair`, folder === undefined ? { all: true } : { folder: String(folder) }),
	block: (address: string, device: string) => POST(at`/users/${address}/devices/${device}/block`),
	unblock: (address: string, device: string) => POST(at`/users/${address}/devices/${device}/unblock`),
	wipe: (address: string, device: string, body: object) => POST(at`/users/${address}/devices/${device}/wipe`, { yes: true, ...body }),
	remove: (address: string, device: string) => DELETE(at`/users/${address}/devices/${device}`, { yes: true }),
};

export const groups = {
	list: (signal?: AbortSignal) => GET<Group[]>("/groups", {}, signal),
	show: (group: string, signal?: AbortSignal) => GET<Group>(at`/groups/${group}`, {}, signal),
	add: (group: string, rank: number) => POST("/groups", { group, rank }),
	rank: (group: string, rank: number) => PUT(at`/groups/${group}`, { rank }),
	remove: (group: string) => DELETE(at`/groups/${group}`, { yes: true }),
	join: (group: string, address: string) => PUT(at`/groups/${group}/members/${address}`),
	leave: (group: string, address: string) => DELETE(at`/groups/${group}/members/${address}`),
};

export const queue = {
	list: (query: Query, signal?: AbortSignal) => GET<QueueRow[]>("/queue", query, signal),
	retry: (mail?: number) => POST("/queue/retry", mail === undefined ? {} : { mail }),
	drop: (mail: number, recipient?: string) => DELETE(at`/queue/${mail}`, { recipient, yes: true }),
};

export const log = {
	list: (query: Query, signal?: AbortSignal) => GET<LogRow[]>("/log", query, signal),
};

export const me = {
	devices: (signal?: AbortSignal) => GET<Device[]>("/me/devices", {}, signal),
	wipe: (device: string, body: object) => POST(at`/me/devices/${device}/wipe`, { yes: true, ...body }),
	remove: (device: string) => DELETE(at`/me/devices/${device}`, { yes: true }),
	setup: (signal?: AbortSignal) => GET<Setup>("/me/setup", {}, signal),
};

export interface Setup {
	server: string;
	port: number;
	tls: boolean;
	user: string;
	url: string;
	qr: string;
	profile: string;
	certificate?: { self_signed: boolean; sha256: string };
	steps: Record<string, string[]>;
}

export interface Setting {
	section: string;
	name: string;
	value: string;
	default: string;
	changed: boolean;
	unit: string;
	range: string;
	reloadable: boolean;
	text: string;
}

export const settings = {
	list: (signal?: AbortSignal) => GET<Setting[]>("/settings", {}, signal),
};

export interface Point {
	at: number;
	parked: number;
	heartbeat_s: number;
	pushes: number;
	syncs: number;
	errors: number;
	push_p50_us: number;
	push_p99_us: number;
}

export interface Overview {
	points: Point[];
	warnings: { text: string; remedy?: string }[];
}

export const overview = (span: string, signal?: AbortSignal) => GET<Overview>("/overview", { span }, signal);
