/* The server goes away while pages are open, and comes back: stopped and started again, and with an engine that hangs. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { admin, assert, command, eventually, house, makeUser, own, Person, test } from "./house.mjs";

/* A server of its own, on a port that stays. */
class Inn {
	constructor() {
		this.folder = `${house.folder}/inn-${Date.now()}`;
		this.config = `${this.folder}/bellhop.conf`;
		this.url = `http://127.0.0.1:${house.spare}`;
		for (const name of ["data", "run"]) mkdirSync(`${this.folder}/${name}`, { recursive: true });
		writeFileSync(this.config, `[server]\nfronts = 1\ndata_dir = ${this.folder}/data\nruntime_dir = ${this.folder}/run\n[listen]\nhttp = 127.0.0.1:${house.spare}\nhttps =\nlmtp = unix:lmtp.sock\n`);
		own(this);
	}

	async start() {
		this.process = spawn(house.bellhopd, ["-c", this.config], { stdio: "ignore" });
		this.ended = new Promise((resolve) => this.process.on("exit", resolve));
		await eventually("the server is ready", async () => (await fetch(`${this.url}/readyz`).catch(() => ({ ok: false }))).ok);
	}

	async close() {
		this.engine("SIGCONT");
		this.process.kill("SIGTERM");
		await this.ended;
	}

	engine(signal) {
		const { pid } = this.process;
		let children = "";
		try {
			children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
		} catch {
			return; /* it has ended */
		}
		for (const child of children.trim().split(" ").filter(Boolean)) if (readFileSync(`/proc/${child}/cmdline`, "utf8").includes("--role=engine")) process.kill(Number(child), signal);
	}
}

/* Somebody whose clock is turned on by the test: pages look at the server again after seconds. */
async function arrive() {
	const inn = new Inn();
	await inn.start();
	for (const args of [["user", "add", admin.address, "--password-file", admin.passwordFile], ["user", "admin", admin.address, "--on"]]) await command(house.bellhop, ["-c", inn.config, ...args]);
	const person = await Person.at();
	person.url = inn.url;
	for (const text of ["ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "status of 503"]) person.expected.push(text);
	await person.context.clock.install();
	await person.signIn(admin, "overview");
	return { inn, person };
}

const note = (page) => page.locator(".line-note").getByText("The server does not answer.");

async function turnOnUntil(person, what, check) {
	await eventually(what, async () => {
		await person.context.clock.fastForward(4000);
		return check();
	});
}

test("a server that goes away is missed on every page, and nothing typed is lost when it is back", async () => {
	const { inn, person } = await arrive();
	const overview = person.page;
	const open = async (place) => {
		const page = await person.context.newPage();
		await page.goto(`${inn.url}/#/${place}`);
		await page.getByRole("heading", { level: 1 }).waitFor();
		await page.getByText("Loading…").first().waitFor({ state: "detached" });
		return page;
	};
	const form = await open("policies/default");
	const answer = await open("out-of-office");
	const making = await open("groups");
	const list = await open("users");
	await form.getByLabel("Min device password length (characters)").fill("7");
	await answer.getByLabel("The answer").first().fill("Back on Monday.");
	await making.getByRole("button", { name: "Make a group" }).click();
	const dialog = making.getByRole("dialog");
	await dialog.getByLabel("Name").fill("Night shift");
	await inn.close();

	for (const page of [overview, form, answer, making, list]) await turnOnUntil(person, "the page says it", () => note(page).isVisible());
	await form.getByRole("button", { name: "Save" }).click();
	await form.locator(".savebar").getByText("The server does not answer").waitFor();
	await dialog.getByRole("button", { name: "Make", exact: false }).click();
	await dialog.getByRole("alert").filter({ hasText: "The server does not answer" }).waitFor();
	await list.getByRole("link", { name: "Queue" }).click();
	await list.getByText("Waiting for the server…").waitFor();
	await list.getByRole("button", { name: "Sign out" }).click();
	await list.getByText("You are still signed in.").waitFor();

	const live = overview.waitForResponse((response) => response.url().includes("/overview") && response.ok());
	await inn.start();
	for (const page of [overview, form, answer, making, list]) await turnOnUntil(person, "the page goes on", async () => !await note(page).isVisible());
	await live;
	await list.getByText("Nothing waits").waitFor();
	assert.equal(await form.getByLabel("Min device password length (characters)").inputValue(), "7");
	await form.getByRole("button", { name: "Save" }).click();
	await form.getByText("Everything is saved.").waitFor();
	assert.equal(await answer.getByLabel("The answer").first().inputValue(), "Back on Monday.");
	await dialog.getByRole("button", { name: "Make", exact: false }).click();
	await making.getByRole("heading", { level: 1, name: "Night shift" }).waitFor();
});

test("an engine that hangs is missed, also at the door, and the page goes on by itself", async () => {
	const { inn, person } = await arrive();
	const stranger = await Person.at();
	stranger.url = inn.url;
	stranger.expect(401);
	stranger.expect(503);
	await stranger.context.clock.install();
	await stranger.go();
	await stranger.page.getByLabel("Mail address").fill(admin.address);
	await stranger.page.getByLabel("Password").fill(admin.password);
	inn.engine("SIGSTOP");
	for (const one of [person, stranger]) await turnOnUntil(one, "the page says it", () => note(one.page).isVisible());
	const live = person.page.waitForResponse((response) => response.url().includes("/overview") && response.ok());
	inn.engine("SIGCONT");
	for (const one of [person, stranger]) await turnOnUntil(one, "the page goes on", async () => !await note(one.page).isVisible());
	await live;
	await stranger.page.getByRole("button", { name: "Sign in" }).click();
	await stranger.page.locator("#main.main").getByRole("heading", { level: 1 }).waitFor();
});
