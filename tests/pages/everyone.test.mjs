/* Each page, in both themes and two sizes: found accessible by axe, nothing beside the screen; and a walk by keyboard alone. */
import { mkdirSync } from "node:fs";
import { admin, assert, axeSource, bellhopJson, deliver, house, makeUser, Person, Phone, test } from "./house.mjs";

const PAGES = ["overview", "devices", "users", "groups", "policies", "services", "access", "queue", "log", "settings", "tokens", "phones", "setup", "app-passwords", "out-of-office", "account"];

async function lookAt(person, name, theme, size, found) {
	const { page } = person;
	await page.getByRole("heading", { level: 1 }).waitFor();
	await page.getByText("Loading…").first().waitFor({ state: "detached" });
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
	if (wide > 0) found.push(`${name} is ${wide} pixels wider than the ${size}`);
	const cut = await page.evaluate(() => [...document.querySelectorAll(".table-box")].filter((box) => box.scrollWidth > box.clientWidth).map((box) => `${box.textContent.slice(0, 40)} by ${box.scrollWidth - box.clientWidth}`));
	if (cut.length > 0) found.push(`${name}, ${size}: a table is cut off: ${cut}`);
	if (house.shots) {
		mkdirSync(house.shots, { recursive: true });
		await page.screenshot({ path: `${house.shots}/${name.replace(/\W+/g, "-")}-${theme}-${size}.png`, fullPage: true });
	}
	const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
	found.push(...violations.map((one) => `${name} ${theme} ${size}: ${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 140)} ${node.any[0]?.message ?? ""}`).join(" | ")}`));
}

let prepared;
async function prepare() {
	prepared ??= (async () => {
		const user = await makeUser();
		await deliver(user.address, "one");
		const phone = new Phone(user, { version: "16.1" });
		await phone.wait("ping_parked");
		const policy = (await bellhopJson("policy", "list"))[0].policy;
		/* Words that do not break by themselves. */
		const long = await makeUser(`somebody.with.a.very.long.name.and${".more".repeat(6)}`);
		const other = new Phone(long, { id: "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345" });
		await other.wait("ping_parked");
		return [`devices/${user.address}/${phone.id}`, ...["policy", "folders", "waits", "errors", "trace"].map((tab) => `devices/${user.address}/${phone.id}/${tab}`), `users/${user.address}`, `users/${long.address}`, `devices/${long.address}/${other.id}`, `policies/${encodeURIComponent(policy)}`];
	})();
	return prepared;
}

async function everyPage(theme, size) {
	const more = await prepare();
	const person = await Person.at({ theme, size });
	await person.context.addInitScript({ path: axeSource });
	await person.go();
	await person.page.getByLabel("Password").waitFor();
	const found = [];
	await lookAt(person, "door", theme, size, found);
	await person.signIn(admin, "overview");
	for (const name of [...PAGES, ...more]) {
		await person.go(name);
		await lookAt(person, name, theme, size, found);
	}
	assert.deepEqual(found, []);
}

/* Each theme and each size once: colours come from the theme, what fits from the size. The other pairs are for those who look at pictures. */
test("every page is accessible on a desktop, light", () => everyPage("light", "desktop"));
test("every page is accessible on a phone, dark", () => everyPage("dark", "phone"));
if (house.shots) {
	test("every page is accessible on a desktop, dark", () => everyPage("dark", "desktop"));
	test("every page is accessible on a phone, light", () => everyPage("light", "phone"));
}

/* What stands on more than one line, of an element, cut where the lines are. */
async function linesOf(locator) {
	return locator.evaluate((element) => {
		const lines = [];
		const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
		let top;
		for (let node = walk.nextNode(); node; node = walk.nextNode()) {
			for (let i = 0; i < node.length; i++) {
				const range = document.createRange();
				range.setStart(node, i);
				range.setEnd(node, i + 1);
				const box = range.getBoundingClientRect();
				if (top === undefined || box.top > top + box.height / 2) lines.push("");
				top = box.top;
				lines[lines.length - 1] += node.data[i];
			}
		}
		return lines;
	});
}

test("a long address breaks between its words, and is copied and read out whole", async () => {
	const user = await makeUser(`maximiliane.featherstonehaugh.n${process.pid}`);
	const person = await (await Person.at()).signIn(admin, `users?search=${encodeURIComponent(user.address)}`);
	const { page } = person;
	const link = page.getByRole("table").getByRole("link");
	await link.waitFor();
	const lines = await linesOf(link);
	assert.ok(lines.length > 1, "this address is too short for the test");
	assert.match(lines.join("\n"), /^maximiliane[.]\n?featherstonehaugh[.]\n?n\d+\n?@example[.]org$/);
	const copied = await link.evaluate((element) => {
		getSelection().selectAllChildren(element);
		return getSelection().toString();
	});
	assert.equal(copied, user.address);
	const browser = await person.context.newCDPSession(page);
	const { nodes } = await browser.send("Accessibility.getFullAXTree");
	const names = nodes.filter((node) => node.role?.value === "link").map((node) => node.name.value);
	assert.ok(names.includes(user.address), names.join(", "));
});

/* Notes what has the focus, and the title, in the turn of the browser in which the heading comes: a key may be pressed right after it. */
async function atOnce(page, heading) {
	await page.evaluate((text) => {
		const watch = new MutationObserver(() => {
			if (document.querySelector("main h1")?.textContent !== text) return;
			watch.disconnect();
			window.seen = [document.activeElement?.textContent, document.title];
		});
		watch.observe(document.body, { subtree: true, childList: true, characterData: true });
	}, heading);
}

test("keyboard alone leads through sign-in, menu, dialog and back", async () => {
	const person = await Person.at();
	const { page } = person;
	await person.go("users");
	person.expect(401);
	await page.getByLabel("Mail address").waitFor();
	await page.keyboard.press("Tab");
	const focused = () => page.evaluate(() => document.activeElement?.textContent || document.activeElement?.getAttribute("name") || "");
	if ((await focused()) !== "address") await page.getByLabel("Mail address").focus();
	await page.keyboard.type(admin.address);
	await page.keyboard.press("Tab");
	await page.keyboard.type(admin.password);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
	/* The first stop is the way past the menu. */
	await page.keyboard.press("Tab");
	assert.equal(await focused(), "Skip to the page");
	await page.keyboard.press("Enter");
	assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
	for (let i = 0; i < 12 && (await focused()) !== "Add a user"; i++) await page.keyboard.press("Tab");
	assert.equal(await focused(), "Add a user");
	const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
	assert.notEqual(ring, "none", "the focus is not seen");
	await page.keyboard.press("Enter");
	await page.getByRole("dialog", { name: "Add a user" }).waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("dialog", { name: "Add a user" }).waitFor({ state: "detached" });
	assert.equal(await focused(), "Add a user");
	/* A link in the menu: the focus goes to the heading of the new page. */
	await page.getByRole("link", { name: "Groups" }).focus();
	await atOnce(page, "Groups");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Groups" }).waitFor();
	assert.deepEqual(await page.evaluate(() => window.seen), ["Groups", "Groups · Bellhop"]);
});

test("the appearance is chosen and remembered", async () => {
	const person = await (await Person.at({ theme: "light" })).signIn(admin, "settings");
	const { page } = person;
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const light = await ground();
	await page.getByLabel("Appearance").selectOption("dark");
	const dark = await ground();
	assert.notEqual(dark, light);
	await page.reload();
	await page.getByRole("heading", { level: 1 }).waitFor();
	assert.equal(await ground(), dark);
});

test("a page that is not there says so, whatever it is called", async () => {
	const person = await (await Person.at()).signIn(admin, "users");
	for (const name of ["nonsense", "constructor", "__proto__", "toString/x", "%00"]) {
		await person.go(name);
		await person.page.getByRole("heading", { level: 1, name: "Nothing here" }).waitFor();
	}
});

test("menu of a phone's screen: nothing covers anything, the way out is in reach", async () => {
	const person = await (await Person.at({ size: "phone" })).signIn(admin, "users");
	const { page } = person;
	await person.button("Menu").click();
	const box = async (one) => {
		await one.scrollIntoViewIfNeeded();
		return one.boundingBox();
	};
	const close = await box(person.button("Close the menu")), first = await box(page.getByRole("dialog").getByRole("link", { name: "Overview" }));
	assert.ok(close.y + close.height <= first.y, `the way out at ${JSON.stringify(close)} lies over ${JSON.stringify(first)}`);
	await page.keyboard.press("Escape");
	await page.getByRole("dialog").waitFor({ state: "detached" });
	/* The menu gives the focus to the page that was chosen in it, also when the way leads back while it is open. */
	await person.button("Menu").click();
	await page.getByRole("dialog").getByRole("link", { name: "Groups" }).focus();
	await atOnce(page, "Groups");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Groups" }).waitFor();
	assert.deepEqual(await page.evaluate(() => window.seen), ["Groups", "Groups · Bellhop"]);
	await person.button("Menu").click();
	await page.getByRole("dialog").waitFor();
	await atOnce(page, "Users");
	await page.goBack();
	await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
	assert.deepEqual(await page.evaluate(() => window.seen), ["Users", "Users · Bellhop"]);
	/* At a desk all of the menu is seen at once. */
	const desk = await (await Person.at()).signIn(admin, "users");
	const out = await desk.button("Sign out").boundingBox();
	assert.ok(out.y + out.height <= 800, `"Sign out" is at ${out.y}`);
});

test("a link with nonsense in it is no reason to ask for ever", async () => {
	const person = await (await Person.at()).signIn(admin, "queue");
	const { page } = person;
	for (const [place, path] of [["devices?offset=x", "/api/v1/devices"], ["users?offset=-1e9", "/api/v1/users"], ["services?kind=evil&name=x", "/api/v1/services"]]) {
		const asked = [];
		const count = (request) => asked.push(new URL(request.url()).pathname);
		page.on("request", count);
		await person.go(place);
		await page.getByText("Loading…").first().waitFor({ state: "detached" });
		await page.waitForLoadState("networkidle");
		page.off("request", count);
		assert.equal(asked.filter((one) => one === path).length, 1, `${place}: ${asked}`);
		assert.equal(await page.getByRole("alert").filter({ visible: true }).count(), 0, place);
	}
});
