/* What users do for themselves. */
import { readFileSync, writeFileSync } from "node:fs";
import { admin, assert, command, makeUser, Person, Phone, test, house } from "./house.mjs";

test("an app password is shown once, lets a phone in, and is revoked", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(user, "app-passwords");
	const { page } = person;
	await person.button("Make one").click();
	await page.getByLabel("Name").fill("My tablet");
	await page.getByRole("dialog").getByRole("button", { name: "Make", exact: true }).click();
	const secret = (await page.locator("[data-secret]").textContent()).trim();
	assert.ok(secret.length >= 16, secret);
	await person.button("I have it").click();
	await page.getByRole("row").filter({ hasText: "My tablet" }).waitFor();
	assert.equal((await page.content()).includes(secret), false);
	const passwordFile = `${house.folder}/app-password`;
	writeFileSync(passwordFile, secret + "\n");
	const phone = new Phone({ ...user, passwordFile });
	await phone.wait("ping_parked");
	await page.reload();
	await page.getByRole("row").filter({ hasText: "My tablet" }).filter({ hasText: phone.id }).waitFor();
	await page.getByRole("button", { name: "Revoke My tablet" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
	await page.getByText("No app passwords yet").waitFor();
	/* It waits, and is refused there; nothing else wakes it. */
	await phone.wait("ended");
	assert.equal(phone.status, 3, "refused for its password");
});

test("a phone is set up by the profile", async () => {
	const user = await makeUser();
	const person = await (await Person.at({ size: "phone" })).signIn(user, "setup");
	const { page } = person;
	const image = page.getByRole("img", { name: /QR code/ });
	await image.waitFor();
	assert.ok(await image.evaluate(async (img) => {
		await img.decode();
		return img.naturalWidth > 50;
	}));
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download the profile" }).click()]);
	const text = readFileSync(await download.path(), "latin1");
	assert.match(text, /com\.apple\.eas\.account/);
	assert.ok(text.includes(user.address));
	assert.equal(text.includes(user.password), false);
	for (const kind of ["Android", "Windows Mobile"]) {
		await page.getByLabel("Your phone").selectOption({ label: kind });
		await page.getByRole("list", { name: kind }).getByRole("listitem").nth(1).waitFor();
	}
});

test("a camera reads the address of these pages off the QR code", async () => {
	const user = await makeUser();
	for (const theme of ["light", "dark"]) {
		const person = await (await Person.at({ theme })).signIn(user, "setup");
		const image = person.page.getByRole("img", { name: /QR code/ });
		await image.evaluate((img) => img.decode());
		/* As it stands on the screen, with as much around it as a camera sees. */
		await image.scrollIntoViewIfNeeded();
		const picture = `${house.folder}/qr-${theme}.png`;
		await person.page.screenshot({ path: picture });
		const said = await command("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", picture]);
		const { url } = await person.page.evaluate(async () => (await fetch("/api/v1/me/setup")).json());
		assert.equal(said.trim(), `${url}/#/setup`);
		assert.equal((await image.getAttribute("alt")).includes(url), true);
	}
});

test("a profile with a password inside lets one phone in", async () => {
	const user = await makeUser();
	const person = await (await Person.at({ size: "phone" })).signIn(user, "setup");
	const { page } = person;
	const dialog = page.getByRole("dialog", { name: "A profile with a password inside" });
	const make = dialog.getByRole("button", { name: "Make and download" });
	const take = async () => {
		await person.button("Download it with a password inside").click();
		await dialog.getByLabel("Name").fill("My iPad");
		await make.click();
	};
	const [file] = await Promise.all([page.waitForEvent("download"), take()]);
	assert.equal(file.suggestedFilename(), "bellhop.mobileconfig");
	await page.getByText("The profile is among your downloads").waitFor();
	const text = readFileSync(await file.path(), "latin1");
	assert.ok(text.includes(user.address));
	assert.equal(text.includes(user.password), false);
	const secret = text.match(/<key>Password<\/key>\s*<string>([^<]+)<\/string>/)[1];
	assert.equal((await page.content()).includes(secret), false);
	/* A second of that name is refused, and the dialog says so. */
	person.expect(409);
	await take();
	await dialog.getByRole("alert").filter({ hasText: "My iPad" }).waitFor();
	await dialog.getByRole("button", { name: "Cancel" }).click();
	const passwordFile = `${house.folder}/profile-password`;
	writeFileSync(passwordFile, secret + "\n");
	const phone = new Phone({ ...user, passwordFile });
	await phone.wait("ping_parked");
	await page.goto(`${house.url}/#/app-passwords`);
	await page.getByRole("row").filter({ hasText: "My iPad" }).filter({ hasText: phone.id }).waitFor();
});

test("the password is changed, with the old one asked for", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(user, "account");
	const { page } = person;
	person.expect(403);
	await page.getByLabel("Password so far").fill("not this");
	await page.getByLabel("New password", { exact: true }).fill("another horse");
	await page.getByLabel("New password, once more").fill("another horse");
	await person.button("Change the password").click();
	await page.getByRole("alert").filter({ hasText: "password so far is wrong" }).waitFor();
	await page.getByLabel("Password so far").fill(user.password);
	await person.button("Change the password").click();
	await page.getByText("The new password counts from now on.").waitFor();
	await person.button("Sign out here").click();
	await page.getByText("You are signed out.").waitFor();
	await person.signIn({ ...user, password: "another horse" });
});

test("out of office is kept", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(user, "out-of-office");
	const { page } = person;
	await page.getByLabel("You are").selectOption("on");
	await page.getByLabel("They get an answer").first().check();
	await page.getByLabel("The answer").first().fill("Back on Monday.");
	await person.button("Save").click();
	await page.getByText("Saved.").waitFor();
	await page.reload();
	await page.getByLabel("The answer").first().waitFor();
	assert.equal(await page.getByLabel("You are").inputValue(), "on");
	assert.equal(await page.getByLabel("The answer").first().inputValue(), "Back on Monday.");
});

test("the event log is searched and leaves as CSV and JSON lines", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(admin, `log?user=${encodeURIComponent(user.address)}`);
	const { page } = person;
	await page.getByRole("row").filter({ hasText: "user add" }).waitFor();
	const take = async (name) => {
		const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name, exact: true }).click()]);
		return readFileSync(await download.path(), "utf8");
	};
	const csv = await take("CSV");
	assert.match(csv.split(/\r?\n/)[0], /^id,/);
	assert.ok(csv.includes("user add") && csv.includes(user.address), csv);
	assert.equal(csv.includes(user.password), false);
	const lines = (await take("JSON lines")).trim().split("\n").map((line) => JSON.parse(line));
	assert.ok(lines.length > 0 && lines.every((line) => line.user === user.address));
});
