/*
 * What the tests of the pages share: the browser, a person in it, phones in the background, the administrator's command. One JSON line
 * per test goes to standard output; tests/test_pages.py reads them. BELLHOP_PAGES says where everything is.
 */
import { spawn, execFile } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import assert from "node:assert/strict";

export { assert };
export const house = JSON.parse(process.env.BELLHOP_PAGES);
const require = createRequire(house.packages + "/");
const { chromium } = require("playwright-core");
export const axeSource = require.resolve("axe-core");
const run = promisify(execFile);

export const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

let browser;
const open = new Set();
const tests = [];

export function test(name, fn) {
	tests.push({ name, fn });
}

/* Closed when the test ends. */
export function own(thing) {
	open.add(thing);
}

const TEST_SECONDS = 60;

async function within(seconds, promise) {
	let timer;
	const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000)));
	try {
		await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

/* Runs what was registered and said to be wanted; every browser window and phone of a test ends with it. */
export async function main(names) {
	browser = await chromium.launch({ executablePath: house.chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	for (const { name, fn } of tests) {
		if (names.length > 0 && !names.includes(name)) continue;
		const started = Date.now();
		let error = "";
		try {
			await within(TEST_SECONDS, fn());
		} catch (problem) {
			error = String(problem?.stack ?? problem);
		}
		for (const thing of [...open].reverse()) {
			try {
				await thing.close();
			} catch (problem) {
				error += `\n${problem}`;
			}
		}
		open.clear();
		process.stdout.write(JSON.stringify({ name, error, ms: Date.now() - started }) + "\n");
	}
	await browser.close();
}

/* What another program says. */
export async function command(program, args) {
	return (await run(program, args)).stdout;
}

/* ---- the server ---- */

export async function bellhop(...args) {
	const { stdout } = await run(house.bellhop, ["-c", house.config, ...args]);
	return stdout;
}

export async function bellhopJson(...args) {
	return JSON.parse(await bellhop(...args, "--json"));
}

export function deliver(to, subject) {
	const lines = [`LHLO test`, `MAIL FROM:<friend@example.net>`, `RCPT TO:<${to}>`, `DATA`,
		`From: friend@example.net\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\nHello.\r\n.`, `QUIT`];
	return new Promise((resolve, reject) => {
		const socket = connect(house.lmtp, "127.0.0.1");
		let text = "";
		socket.on("data", (data) => {
			text += data;
			while (/^\d{3} .*\r\n/m.test(text)) {
				const answer = text.slice(0, text.search(/^\d{3} .*\r\n/m)) + text.match(/^\d{3} .*\r\n/m)[0];
				text = text.slice(answer.length);
				const line = lines.shift();
				if (!/^[23]/.test(answer.match(/^\d{3} /m)[0])) reject(new Error(`LMTP: ${answer}`));
				else if (line === undefined) resolve();
				else socket.write(line + "\r\n");
			}
		});
		socket.on("error", reject);
	});
}

/* ---- phones ---- */

export class Phone {
	constructor(user, { version = "14.1", id, claim = true, options = [] } = {}) {
		this.user = user;
		this.id = id ?? `${user.login}phone${version.replace(".", "")}`;
		this.folder = `${house.folder}/phones/${this.id}-${Date.now()}`;
		this.events = [];
		this.waiting = [];
		mkdirSync(this.folder, { recursive: true });
		this.process = spawn(house.phone, ["--server", house.url, "--insecure", "--user", user.address, "--password-file", user.passwordFile,
			"--data", `${this.folder}/data`, "--device-id", this.id, "--version-eas", version, "--json", ...(claim ? ["--claim-policy"] : []), ...options], { stdio: ["ignore", "pipe", "pipe"] });
		this.ended = new Promise((resolve) => this.process.on("exit", (status) => {
			this.status = status;
			this.add({ ev: "ended", status });
			resolve(status);
		}));
		this.errors = "";
		this.process.stderr.on("data", (data) => (this.errors += data));
		createInterface({ input: this.process.stdout }).on("line", (line) => {
			try {
				this.add(JSON.parse(line));
			} catch {
				/* not an event */
			}
		});
		open.add(this);
	}

	add(event) {
		this.events.push(event);
		this.waiting = this.waiting.filter((one) => !one(event));
	}

	get mark() {
		return this.events.length;
	}

	/* The first event of that name from the mark on. */
	wait(name, since = 0, timeout = 20000) {
		const found = this.events.slice(since).find((event) => event.ev === name);
		if (found) return Promise.resolve(found);
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(`${this.id}: no ${name}; ${JSON.stringify(this.events.slice(-6))} ${this.errors.slice(-500)}`)), timeout);
			this.waiting.push((event) => {
				if (event.ev !== name) {
					if (event.ev === "ended") {
						clearTimeout(timer);
						reject(new Error(`${this.id} ended with ${event.status} before ${name}: ${this.errors.slice(-500)}`));
						return true;
					}
					return false;
				}
				clearTimeout(timer);
				resolve(event);
				return true;
			});
		});
	}

	async close() {
		if (this.status === undefined) {
			this.process.kill("SIGTERM");
			await this.ended;
		}
		rmSync(this.folder, { recursive: true, force: true });
	}
}

/* ---- people ---- */

/*
 * Somebody at a screen. Whatever the browser complains of (its console, the Content-Security-Policy, a script's error) fails the test
 * when the window is closed, but for answers of the server that the test has said to expect.
 */
export class Person {
	static async at({ size = "desktop", theme = "light", downloads = true } = {}) {
		const person = new Person();
		person.context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, acceptDownloads: downloads, locale: "en-GB", reducedMotion: "reduce", ignoreHTTPSErrors: true });
		person.context.setDefaultTimeout(15000);
		person.page = await person.context.newPage();
		person.complaints = [];
		person.expected = [];
		person.page.on("console", (message) => {
			if (["error", "warning"].includes(message.type())) person.complaints.push(message.text());
		});
		person.page.on("pageerror", (error) => person.complaints.push(`error in the page: ${error.stack ?? error}`));
		open.add(person);
		return person;
	}

	/* An answer like 401 that the browser will write to its console. */
	expect(status) {
		this.expected.push(`status of ${status}`);
	}

	async go(place = "") {
		await this.page.goto(`${this.url ?? house.url}/#/${place}`);
	}

	async signIn(user, place = "") {
		await this.go(place);
		this.expect(401);
		await this.page.getByLabel("Mail address").fill(user.address);
		await this.page.getByLabel("Password").fill(user.password);
		await this.page.getByRole("button", { name: "Sign in" }).click();
		await this.page.getByRole("heading", { level: 1 }).waitFor();
		await this.page.locator("#main.main").waitFor();
		return this;
	}

	button(name, options = {}) {
		return this.page.getByRole("button", { name, exact: true, ...options });
	}

	async close() {
		await this.context.close();
		const bad = this.complaints.filter((text) => !this.expected.some((word) => text.includes(word)));
		assert.deepEqual(bad, [], "the browser complained");
	}
}

/* A user made for this test. */
let number = 0;
export async function makeUser(login = `guest${process.pid}n${++number}`) {
	const address = `${login}@example.org`;
	await bellhop("user", "add", address, "--name", `${login[0].toUpperCase()}${login.slice(1)} Guest`, "--password-file", house.passwordFile);
	return { login, address, password: house.password, passwordFile: house.passwordFile };
}

export const admin = { login: "admin", address: house.admin, password: house.password, passwordFile: house.passwordFile };

export async function eventually(what, check, timeout = 15000) {
	const end = Date.now() + timeout;
	for (;;) {
		const answer = await check();
		if (answer) return answer;
		if (Date.now() > end) throw new Error(`${what}: not within ${timeout} ms`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}
