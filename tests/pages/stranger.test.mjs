/*
 * Somebody who means harm has written script and markup wherever others may write (tests/lib/stranger.py). Every page is looked at: all
 * of it is text there. The policy of the pages would stop most of such script, and the browser would complain of it, which fails a test
 * as well; here nothing of it may have become part of a page.
 */
import { admin, assert, house, Person, test } from "./house.mjs";

const { address, device, name, mark, password } = house.stranger;
const at = (...parts) => parts.map(encodeURIComponent).join("/");

/* Where, and what is to be seen there, lest a page that shows nothing passes. */
const FOR_ADMIN = [
	["overview"], ["devices", mark], [`devices?search=${encodeURIComponent("onerror")}`, mark], [at("devices", address, device), mark],
	[at("devices", address, device, "policy")], [at("devices", address, device, "folders"), mark], [at("devices", address, device, "waits")],
	[at("devices", address, device, "errors")], [at("devices", address, device, "trace"), "Provision"], ["users", mark], [at("users", address), device],
	[at("users", "named@example.org"), mark], ["groups", name], [at("groups", name), address], ["policies", name], [at("policies", name), mark],
	["services"], ["services?kind=group&name=" + encodeURIComponent(name), name], ["access", mark], ["queue", "onfocus=window.harm=3"], ["log", mark],
	[`log?text=${encodeURIComponent("<img")}`, mark], [`log?user=${encodeURIComponent(mark)}`], ["settings"], ["tokens", mark],
	["nonsense/" + encodeURIComponent(mark)],
];
const FOR_USER = [["phones", mark], ["setup"], ["app-passwords", mark], ["out-of-office"], ["account"]];

async function look(person, places) {
	const { page } = person;
	for (const [place, seen] of places) {
		await person.go(place);
		await page.getByRole("heading", { level: 1 }).waitFor();
		await page.getByText("Loading…").first().waitFor({ state: "detached" });
		if (seen !== undefined) {
			await page.locator("#main").getByText(seen).first().waitFor({ state: "attached" }).catch(() => assert.fail(`${place}: "${seen}" is not there`));
		}
		const made = await page.evaluate(() => ({
			harm: window.harm,
			strange: [...document.querySelectorAll("img, iframe, object, embed, base, form[action], [onerror], [onfocus], [onload], [autofocus][onfocus], #main script, #main style")]
				.filter((one) => one.tagName !== "IMG" || one.getAttribute("src") === "x").map((one) => one.outerHTML.slice(0, 200)),
			links: [...document.querySelectorAll("a[href], img[src]")].map((one) => one.getAttribute("href") ?? one.getAttribute("src")).filter((href) => /^\s*(javascript|data:text|vbscript)/i.test(href)),
		}));
		assert.deepEqual(made, { harm: undefined, strange: [], links: [] }, place);
		assert.doesNotMatch(await page.locator("#main").innerText(), /\b49\b.*evil/, place);
		assert.match(await page.title(), /Bellhop$/, place);
	}
}

test("what strangers wrote is text on every page of the administrator", async () => {
	await look(await (await Person.at()).signIn(admin, "overview"), FOR_ADMIN);
});

test("what strangers wrote is text on every page of a user", async () => {
	await look(await (await Person.at({ size: "phone", theme: "dark" })).signIn({ address, password }, "phones"), FOR_USER);
});
