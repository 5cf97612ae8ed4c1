/* Phones, as an administrator and as their owner see them. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { admin, assert, bellhop, bellhopJson, deliver, eventually, house, makeUser, Person, Phone, test } from "./house.mjs";

const device = (user, phone) => `devices/${encodeURIComponent(user.address)}/${encodeURIComponent(phone.id)}`;

function mailOf(phone) {
	const folder = `${phone.folder}/data`;
	return existsSync(folder) ? readdirSync(folder, { recursive: true }).filter((name) => /(^|\/)(cur|new)\/[^/]+$/.test(String(name))) : [];
}

test("a phone parks and is seen to wait, and a push reaches it", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(admin, "overview");
	const { page } = person;
	const figure = page.locator(".figure.first dd");
	await figure.waitFor();
	const before = Number((await figure.textContent()).replace(/\D/g, "")) || 0;
	const phone = new Phone(user);
	await phone.wait("ping_parked");
	await eventually("one more phone waits", async () => Number((await figure.textContent()).replace(/\D/g, "")) > before, 25000);
	await person.go("devices");
	await page.getByRole("searchbox", { name: "Search" }).fill(user.address);
	await page.getByRole("button", { name: "Search" }).click();
	/* The whole list has the phone, too, and stays until the answer to the search is there. */
	await eventually("the phone alone is listed", async () => (await page.getByRole("row").count()) === 2);
	const row = page.getByRole("row").filter({ hasText: phone.id });
	await row.waitFor();
	await row.getByRole("link").first().click();
	await page.getByText("In order").first().waitFor();
	const mark = phone.mark;
	await deliver(user.address, "seen at once");
	await phone.wait("pushed", mark);
	await page.getByRole("link", { name: "Folders" }).click();
	await page.getByRole("row").filter({ hasText: "Inbox" }).filter({ hasText: "Up to date" }).waitFor();
	await page.getByRole("link", { name: "Trace" }).click();
	await page.getByText("Ping").first().waitFor();
	assert.equal((await page.textContent("main")).includes("seen at once"), false);
});

test("a changed policy makes the phone provision again", async () => {
	const user = await makeUser();
	const phone = new Phone(user);
	await phone.wait("ping_parked");
	const shown = () => bellhopJson("device", "show", user.address, phone.id);
	const before = (await shown()).provisioned_at;
	const person = await (await Person.at()).signIn(admin, "policies");
	const { page } = person;
	await page.getByRole("button", { name: "Make a policy" }).click();
	await page.getByLabel("Name", { exact: true }).fill("Field staff");
	await page.getByRole("dialog").getByRole("button", { name: "Make", exact: true }).click();
	await page.getByRole("heading", { level: 1, name: "Field staff" }).waitFor();
	await page.getByLabel("Device password enabled").check();
	await page.getByLabel("Min device password length (characters)").fill("6");
	await page.getByRole("button", { name: "Save" }).click();
	await page.getByText("Everything is saved.").waitFor();
	const mark = phone.mark;
	await person.button("Assign").click();
	await page.getByLabel("To a").selectOption("user");
	await page.getByLabel("Mail address").fill(user.address);
	await page.getByRole("dialog").getByRole("button", { name: "Assign" }).click();
	await page.getByRole("status").filter({ hasText: `${user.address} has Field staff now.` }).waitFor();
	await phone.wait("ping_parked", mark);
	const after = await eventually("the phone has the policy", async () => {
		const now = await shown();
		return now.policy === "Field staff" && now.policy_current && now;
	});
	assert.ok(after.provisioned_at >= before);
	await person.go(`${device(user, phone)}/policy`);
	await page.getByRole("row").filter({ hasText: "Min device password length" }).filter({ hasText: "6" }).waitFor();
	await page.getByText("All accepted").waitFor();
});

test("what is typed into a policy stays when the list of those it is for changes", async () => {
	const person = await (await Person.at()).signIn(admin, "policies");
	const { page } = person;
	const user = await makeUser();
	await page.getByRole("button", { name: "Make a policy" }).click();
	await page.getByLabel("Name", { exact: true }).fill("Typed");
	await page.getByRole("dialog").getByRole("button", { name: "Make", exact: true }).click();
	const length = page.getByLabel("Min device password length (characters)");
	await length.fill("9");
	await person.button("Assign").click();
	await page.getByLabel("To a").selectOption("user");
	await page.getByLabel("Mail address").fill(user.address);
	await page.getByRole("dialog").getByRole("button", { name: "Assign" }).click();
	await page.getByRole("button", { name: `Take the policy from ${user.address}` }).waitFor();
	assert.equal(await length.inputValue(), "9");
	await page.getByText("1 change is not saved yet.").waitFor();
});

const EFFECTS = { enforced: "Does it", ignored: "Does not do it", refused: "Says that it cannot", not_sent: "Is not told", off: "Does not count", unknown: "Not known" };

test("what each kind of phone makes of its policy is said in words", async () => {
	const user = await makeUser();
	const settings = {
		DevicePasswordEnabled: true, MinDevicePasswordLength: 6, MaxInactivityTimeDeviceLock: 900, MinDevicePasswordComplexCharacters: 2,
		AllowBluetooth: 1, AllowHTMLEmail: false, MaxAttachmentSize: 3145728, ApprovedApplicationList: ["ab".repeat(20), "cd".repeat(20)],
	};
	await bellhop("policy", "create", "Kinds");
	await bellhop("policy", "set", JSON.stringify(settings), "--policy", "Kinds", "--options", '{"allow_partial": true}');
	await bellhop("policy", "assign", "Kinds", "--address", user.address);
	const person = await (await Person.at()).signIn(admin, "devices");
	const { page } = person;
	for (const { type, version, claim, kind, answer, bluetooth } of [
		{ type: "iPhone", version: "16.1", claim: true, kind: "iPhone or iPad", answer: "applies all of it", bluetooth: "ignored" },
		{ type: "SAMSUNGGTI9100", version: "14.1", claim: false, kind: "Android", answer: "applies a part of it", bluetooth: "refused" },
		{ type: "PocketPC", version: "2.5", claim: true, kind: "Windows Mobile", answer: "applies all of it", bluetooth: "not_sent" },
		{ type: "Toaster", version: "14.1", claim: true, kind: "not known", answer: "nothing is known", bluetooth: "unknown" },
	]) {
		const phone = new Phone(user, { version, claim, id: `${type}${process.pid}`, options: ["--device-type", type] });
		await phone.wait("ping_parked");
		await person.go(`${device(user, phone)}/policy`);
		await page.getByText(kind, { exact: true }).waitFor();
		await page.locator("p.note").filter({ hasText: answer }).waitFor();
		const told = (await bellhopJson("policy", "effective", user.address, phone.id)).settings;
		const rows = page.getByRole("table").locator("tbody").getByRole("row");
		await rows.first().waitFor();
		assert.deepEqual(await rows.locator(".tag").allTextContents(), told.map((row) => EFFECTS[row.effect]), type);
		assert.equal(told.find((row) => row.setting === "AllowBluetooth").effect, bluetooth);
		const words = await rows.allTextContents();
		for (const [i, row] of told.entries()) if (row.note && row.effect !== "off") assert.ok(words[i].toLowerCase().includes(row.note.toLowerCase()), `${type}: ${words[i]}`);
		for (const text of ["6 characters", "15 min", "3 MB", "1 only hands-free"]) assert.ok(words.join(" ").includes(text), text);
		assert.equal(await page.evaluate(() => [...document.querySelectorAll(".table-box")].some((box) => box.scrollWidth > box.clientWidth)), false, "the table is cut off");
	}
});

test("a phone in quarantine is released", async () => {
	const user = await makeUser();
	await bellhop("access", "add", "quarantine", `device = ${user.login}phone141`);
	const phone = new Phone(user);
	const person = await (await Person.at()).signIn(admin, "devices?state=quarantine");
	const { page } = person;
	await eventually("the phone is in quarantine", async () => (await bellhopJson("device", "list", user.address)).some((row) => row.state === "quarantine"));
	await page.reload();
	await page.getByRole("row").filter({ hasText: phone.id }).getByRole("link").first().click();
	await page.getByText("In quarantine").first().waitFor();
	await deliver(user.address, "after the release");
	await person.button("Release").click();
	await page.getByRole("dialog").getByRole("button", { name: "Allow" }).click();
	await page.getByText("In order").first().waitFor();
	await eventually("the mail is on the phone", async () => mailOf(phone).some((name) => readFileSync(`${phone.folder}/data/${name}`, "utf8").includes("after the release")), 25000);
});

test("a switch for one user and an access rule are laid down and taken back", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(admin, `services?kind=user&name=${encodeURIComponent(user.address)}`);
	const { page } = person;
	const holds = async () => (await bellhopJson("service", "show", "sync", "--address", user.address)).value;
	await page.getByLabel("Synchronisation", { exact: true }).getByRole("combobox").selectOption("off");
	await page.getByRole("button", { name: "Take Synchronisation back" }).waitFor();
	assert.equal(await holds(), "off");
	await page.getByRole("button", { name: "Take Synchronisation back" }).click();
	await page.getByRole("button", { name: "Take Synchronisation back" }).waitFor({ state: "detached" });
	assert.equal(await holds(), "on");
	await person.go("access");
	await person.button("Add a rule").click();
	await page.getByLabel("When").fill("type = Ancient*");
	await page.getByLabel("Then").selectOption("block");
	await page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
	const row = page.getByRole("row").filter({ hasText: "type = Ancient*" }).filter({ hasText: "Block" });
	await row.waitFor();
	await page.getByLabel("User", { exact: true }).fill(user.address);
	await page.getByLabel("Type", { exact: true }).fill("AncientPhone");
	/* Said, lest a rule of somebody else that asks for it leaves the answer open. */
	await page.getByLabel("Model", { exact: true }).fill("One");
	await person.button("Test").click();
	await page.getByRole("status").filter({ hasText: "It gets" }).filter({ hasText: "Block" }).waitFor();
	await row.getByRole("button", { name: /^Delete/ }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
	await row.waitFor({ state: "detached" });
});

test("a wipe erases the phone, which stays out until it is cleared", async () => {
	const user = await makeUser();
	await deliver(user.address, "secret");
	const phone = new Phone(user);
	await phone.wait("ping_parked");
	assert.equal(mailOf(phone).length, 1);
	const person = await (await Person.at()).signIn(admin, device(user, phone));
	const { page } = person;
	await person.button("Wipe").click();
	const dialog = page.getByRole("dialog");
	await dialog.getByText(user.address).waitFor();
	await dialog.getByText("Last seen").waitFor();
	/* Nothing happens before the id is typed. */
	await dialog.getByLabel(/Type the device id/).fill("another phone");
	await page.keyboard.press("Enter");
	await dialog.getByRole("alert").filter({ hasText: "Please type" }).waitFor();
	await dialog.getByLabel(/Type the device id/).fill(phone.id);
	await dialog.getByRole("button", { name: "Wipe the phone" }).click();
	assert.equal(await phone.ended, 4);
	assert.deepEqual(mailOf(phone), []);
	await page.getByText("Confirmed by the phone").waitFor();
	await person.button("Clear after the wipe").click();
	await page.getByRole("dialog").getByRole("button", { name: "Clear" }).click();
	await page.getByText("Cleared").waitFor();
});

test("a wipe that has not reached the phone is cancelled", async () => {
	const user = await makeUser();
	await deliver(user.address, "kept");
	const phone = new Phone(user);
	await phone.wait("ping_parked");
	phone.process.kill("SIGTERM");
	await phone.ended;
	const person = await (await Person.at({ size: "phone" })).signIn(user, "phones");
	const { page } = person;
	await page.getByRole("button", { name: /^Wipe / }).first().click();
	await page.getByLabel("Type wipe to confirm").fill("wipe");
	await page.getByRole("button", { name: "Wipe the phone" }).click();
	await page.getByText("Wipe ordered").waitFor();
	await page.getByRole("button", { name: /^Cancel the wipe of/ }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Cancel the wipe" }).click();
	await page.getByRole("button", { name: /^Wipe / }).first().waitFor();
	assert.equal((await bellhopJson("device", "show", user.address, phone.id)).wipe, "cancelled");
	assert.equal(mailOf(phone).length, 1);
});
