/* Every call of the REST API that the pages make, and what the server answers. The names are those of the verbs' results. */
import { at, download, request, type Query } from "./api";

export interface User {
	address: string;
	name: string;
	enabled: boolean;
	admin?: boolean;
	device_count?: number;
	last_seen_at?: number;
	used_bytes: number;
	/* "none": no bound. */
	quota_bytes: number | string;
	created_at: number;
	aliases?: string[];
	devices?: string[];
	junk_days?: number | string;
	deleted_days?: number | string;
	/* May it synchronize, how many phones may it have, and where that is said: "settings", "domain example.org", ... */
	eas?: boolean;
	eas_from?: string;
	device_limit?: number;
	device_limit_from?: string;
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

export interface Folder {
	folder: number;
	name: string;
	class: string;
	held: number;
	pending: number;
	withheld: number;
	items: number;
	comparing: boolean;
}

export interface Wait {
	ended_at: number;
	asked_s: number;
	lasted_s: number;
	end: string;
}

export interface DeviceError {
	at: number;
	command: string;
	version: string;
	http: number;
	status: number;
	from: string;
	text: string;
}

export interface Trace {
	number: number;
	at: number;
	command: string;
	version: string;
	waits: boolean;
	http: number;
	status: number;
	took_us: number;
	request: string;
	request_bytes: number;
	answer: string;
	answer_bytes: number;
}

export interface Group {
	group: string;
	rank: number;
	members: number | string[];
	member_count?: number;
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
	admin: (address: string, on: boolean) => PUT(at`/users/${address}/admin`, on ? { on: true } : { off: true }),
	appPasswords: (address: string, signal?: AbortSignal) => GET<AppPassword[]>(at`/users/${address}/app-passwords`, {}, signal),
	revokeAppPassword: (address: string, id: number) => DELETE(at`/users/${address}/app-passwords/${id}`),
	quota: (address: string, size: string) => PUT(at`/users/${address}/quota`, { size }),
	expiry: (address: string, junk: string, deleted: string) => PUT(at`/users/${address}/expiry`, { junk, deleted }),
	remove: (address: string) => DELETE(at`/users/${address}`, { yes: true }),
};

export const aliases = {
	add: (alias: string, address: string) => POST("/aliases", { alias, address }),
	remove: (alias: string) => DELETE(at`/aliases/${alias}`),
};

export const domains = {
	list: (signal?: AbortSignal) => GET<{ domain: string; eas: boolean; device_limit: number }[]>("/domains", {}, signal),
	add: (domain: string) => POST("/domains", { domain }),
	remove: (domain: string) => DELETE(at`/domains/${domain}`),
};

export const devices = {
	list: (query: Query, signal?: AbortSignal) => GET<Device[]>("/devices", query, signal),
	show: (address: string, device: string, signal?: AbortSignal) => GET<Device>(at`/users/${address}/devices/${device}`, {}, signal),
	folders: (address: string, device: string, signal?: AbortSignal) => GET<Folder[]>(at`/users/${address}/devices/${device}/folders`, {}, signal),
	waits: (address: string, device: string, signal?: AbortSignal) => GET<Wait[]>(at`/users/${address}/devices/${device}/waits`, {}, signal),
	errors: (address: string, device: string, signal?: AbortSignal) => GET<DeviceError[]>(at`/users/${address}/devices/${device}/errors`, {}, signal),
	trace: (address: string, device: string, signal?: AbortSignal) => GET<{ traces: Trace[]; last: number }>(at`/users/${address}/devices/${device}/trace`, {}, signal),
	repair: (address: string, device: string, folder?: number) => POST(at`/users/${address}/devices/${device}/repair`, which(folder)),
	resync: (address: string, device: string, folder?: number) => POST(at`/users/${address}/devices/${device}/resync`, which(folder)),
	block: (address: string, device: string) => POST(at`/users/${address}/devices/${device}/block`),
	quarantine: (address: string, device: string) => POST(at`/users/${address}/devices/${device}/quarantine`),
	allow: (address: string, device: string) => POST(at`/users/${address}/devices/${device}/allow`),
	ceiling: (address: string, device: string, version: string) => PUT(at`/users/${address}/devices/${device}/ceiling`, { version }),
	wipe: (address: string, device: string, account: boolean) => POST<Device>(at`/users/${address}/devices/${device}/wipe`, account ? { yes: true, account } : { yes: true }),
	cancel: (address: string, device: string) => DELETE<Device>(at`/users/${address}/devices/${device}/wipe`),
	clear: (address: string, device: string) => POST<Device>(at`/users/${address}/devices/${device}/clear`),
	remove: (address: string, device: string) => DELETE(at`/users/${address}/devices/${device}`, { yes: true }),
};

export const groups = {
	list: (signal?: AbortSignal) => GET<Group[]>("/groups", {}, signal),
	show: (group: string, query: Query, signal?: AbortSignal) => GET<Group>(at`/groups/${group}`, query, signal),
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
	actions: (signal?: AbortSignal) => GET<{ action: string; text: string }[]>("/log/actions", {}, signal),
	list: (query: Query, signal?: AbortSignal) => GET<LogRow[]>("/log", query, signal),
};

export const me = {
	devices: (signal?: AbortSignal) => GET<Device[]>("/me/devices", {}, signal),
	wipe: (device: string, account: boolean) => POST<Device>(at`/me/devices/${device}/wipe`, account ? { yes: true, account } : { yes: true }),
	cancel: (device: string) => DELETE<Device>(at`/me/devices/${device}/wipe`),
	clear: (device: string) => POST<Device>(at`/me/devices/${device}/clear`),
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
	certificate_file?: string;
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

/* Each a list, of as many values as `at`. */
export interface Points {
	step_s: number;
	at: number[];
	parked: number[];
	connections: number[];
	heartbeat_s: number[];
	pushes_per_min: number[];
	syncs_per_min: number[];
	requests_per_min: number[];
	errors_per_min: number[];
	push_p50_ms: number[];
	push_p99_ms: number[];
}

export interface Overview {
	now: { at: number; started_at: number; version: string; parked: number; connections: number; heartbeat_s: number; queue_messages: number; users: number; wipes_pending: number };
	series: { hour: Points; day: Points };
	warnings: { code: string; severity: string; text: string; remedy: string }[];
}

export const overview = (signal?: AbortSignal) => GET<Overview>("/overview", {}, signal);

function which(folder: number | undefined): object {
	return folder === undefined ? { all: true } : { folder: String(folder) };
}

/* ---- policies ---- */

export type PolicyValue = boolean | number | null | string[];

export interface PolicyRow {
	policy: string;
	description: string;
	default: boolean;
	version: number;
	settings: number;
	required: boolean;
	refresh_interval_h: number;
	assigned: number;
	/* Phones that it is for, by what they answered; waiting: not yet to what it says now. */
	devices: number;
	full: number;
	partial: number;
	refused: number;
	other: number;
	waiting: number;
}

export interface PolicyRules {
	required: boolean;
	refresh_interval_h: number;
	allow_non_provisionable: boolean;
	allow_partial: boolean;
	allow_refused: boolean;
	allow_other: boolean;
}

export type PolicyOptions = { [name in keyof PolicyRules]: PolicyRules[name] | null };

export interface Scope {
	kind: string;
	name: string;
}

export interface Policy {
	policy: string;
	description: string;
	default: boolean;
	options: PolicyOptions;
	rules: PolicyRules;
	settings: Record<string, PolicyValue>;
	assignments: Scope[];
	exceptions: Scope[];
}

export interface PolicySetting {
	setting: string;
	group: string;
	type: string;
	minimum?: number;
	maximum?: number;
	default: PolicyValue;
	nullable: boolean;
	unit: string;
	since: string;
	text: string;
	[platform: string]: unknown;
}

export interface PolicyException extends Scope {
	policy: string;
	exempt: boolean;
}

export interface Effective {
	policy: string;
	policy_exempt: boolean;
	policy_from: string;
	policy_status?: string;
	policy_current?: boolean;
	policy_refresh_at?: number;
	platform?: string;
	rules: PolicyRules;
	settings: { setting: string; value: PolicyValue; is_default: boolean; effect?: string; confirmed?: boolean; note?: string; source?: string }[];
}

export const policies = {
	list: (signal?: AbortSignal) => GET<PolicyRow[]>("/policies", {}, signal),
	show: (policy: string, signal?: AbortSignal) => GET<Policy>(at`/policies/${policy}`, {}, signal),
	table: (signal?: AbortSignal) => GET<PolicySetting[]>("/policy-settings", {}, signal),
	create: (policy: string, description: string) => POST("/policies", description === "" ? { policy } : { policy, description }),
	copy: (policy: string, copy: string, description: string) => POST(at`/policies/${policy}/copies`, description === "" ? { new: copy } : { new: copy, description }),
	change: (policy: string, body: { settings?: Record<string, PolicyValue>; options?: Partial<PolicyOptions>; description?: string }) => PUT(at`/policies/${policy}`, body),
	makeDefault: (policy: string) => PUT(at`/policies/${policy}/default`),
	remove: (policy: string) => DELETE(at`/policies/${policy}`, { yes: true }),
	assign: (policy: string, scope: Scope) => PUT("/policy-assignments", { policy, ...scopeArgs(scope) }),
	unassign: (scope: Scope) => DELETE("/policy-assignments", scopeArgs(scope)),
	exceptions: (query: Query, signal?: AbortSignal) => GET<PolicyException[]>("/policy-exceptions", query, signal),
	except: (address: string, device: string, policy: string) => PUT("/policy-exceptions", { address, ...(device && { device }), ...(policy && { policy }) }),
	unexcept: (address: string, device: string) => DELETE("/policy-exceptions", { address, device: device || undefined }),
	effective: (address: string, device: string, signal?: AbortSignal) => GET<Effective>(at`/users/${address}/policy`, { device }, signal),
};

/* {"kind": "user", "name": "anna@example.org"} as the arguments of verbs. */
function scopeArgs(scope: Scope): Record<string, string> {
	return scope.kind === "organisation" ? {} : { [scope.kind === "user" ? "address" : scope.kind]: scope.name };
}

/* ---- what lets somebody in ---- */

export interface AppPassword {
	id: number;
	name: string;
	binding: string;
	device: string;
	created_at: number;
	created_by: string;
	last_used_at: number;
	last_device: string;
	last_address: string;
}

export interface Token {
	name: string;
	scopes: string;
	for: string;
	created_at: number;
	created_by: string;
	expires_at: number;
	last_used_at: number;
	last_address: string;
}

export interface WebSession {
	created_at: number;
	last_seen_at: number;
	expires_at: number;
	from: string;
	user_agent: string;
}

export const own = {
	appPasswords: (signal?: AbortSignal) => GET<AppPassword[]>("/me/app-passwords", {}, signal),
	addAppPassword: (name: string, firstUse: boolean) => POST<{ password: string }>("/me/app-passwords", firstUse ? { name, first_use: true } : { name }),
	profileWithPassword: (name: string, firstUse: boolean) => download("/me/profile.mobileconfig", firstUse ? { name, first_use: true } : { name }, "bellhop.mobileconfig"),
	removeAppPassword: (id: number) => DELETE(at`/me/app-passwords/${id}`),
	password: (old: string, password: string) => PUT<{ csrf: string }>("/me/password", { old, password }),
	oof: (signal?: AbortSignal) => GET<Oof>("/me/oof", {}, signal),
	setOof: (settings: Partial<Oof>) => PUT("/me/oof", { settings }),
	sessions: (signal?: AbortSignal) => GET<WebSession[]>("/me/sessions", {}, signal),
	endSessions: () => DELETE("/me/sessions"),
};

export const tokens = {
	list: (signal?: AbortSignal) => GET<Token[]>("/tokens", {}, signal),
	add: (body: { name: string; scopes: string; days?: number; for?: string }) => POST<{ token: string }>("/tokens", body),
	remove: (name: string) => DELETE(at`/tokens/${name}`),
};

export interface OofMessage {
	enabled: boolean;
	html: boolean;
	text: string;
}

export interface Oof {
	state: string;
	start_at: number;
	end_at: number;
	[audience: string]: OofMessage | string | number;
}

/* ---- mobile services and access ---- */

export interface Service {
	service: string;
	type: string;
	value: string;
	/* Where that is laid down: "organisation", "domain example.org", ...; "settings" when nowhere. */
	from: string;
	/* What is laid down for exactly the scope that was asked for; "": nothing. */
	own: string;
	minimum: number;
	maximum: number;
	unit: string;
	text: string;
	/* What is laid down and cannot hold; "": nothing of that kind. */
	warning: string;
}

export interface AccessRule {
	id: number;
	position: number;
	access: string;
	rule: string;
	note: string;
}

export const services = {
	list: (scope: Scope, signal?: AbortSignal) => GET<Service[]>("/services", scopeArgs(scope), signal),
	set: (scope: Scope, service: string, value: string) => PUT<{ warning?: string }>(at`/services/${service}`, { value, ...scopeArgs(scope) }),
	unset: (scope: Scope, service: string) => DELETE(at`/services/${service}`, scopeArgs(scope)),
};

export interface AccessWord {
	scope: string;
	name: string;
	device: string;
	access: string;
	seen: boolean;
}

export interface AccessTest {
	access: string;
	by: string;
	rule: number;
	type: string;
	model: string;
	os: string;
	agent: string;
	version: string;
}

export interface AccessMessage {
	subject: string;
	text: string;
	built_in: boolean;
}

export const access = {
	list: (query: Query, signal?: AbortSignal) => GET<AccessWord[]>("/access", query, signal),
	set: (word: string, scope: Scope, device = "") => PUT("/access", { access: word, ...scopeArgs(scope), ...(device && { device }) }),
	rules: (signal?: AbortSignal) => GET<AccessRule[]>("/access/rules", {}, signal),
	add: (body: { rule: string; access: string; note?: string; position?: number }) => POST("/access/rules", body),
	move: (id: number, position: number) => PUT(at`/access/rules/${id}`, { position }),
	remove: (id: number) => DELETE(at`/access/rules/${id}`, { yes: true }),
	test: (address: string, query: Query) => GET<AccessTest>(at`/users/${address}/access`, query),
	message: (signal?: AbortSignal) => GET<AccessMessage>("/access/message", {}, signal),
	setMessage: (subject: string, text: string) => PUT("/access/message", { subject, text }),
};
