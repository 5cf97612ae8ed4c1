/* Coming in and going out. */
import { admin, assert, makeUser, Person, test } from "./house.mjs";

test("a wrong password is refused in words, and the right one opens", async () => {
	const person = await Person.at();
	await person.go();
	const { page } = person;
	person.expect(401);
	await page.getByLabel("Mail address").fill(admin.address);
	await page.getByLabel("Password").fill("wrong");
	await page.getByRole("button", { name: "Sign in" }).click();
	await page.getByRole("alert").filter({ hasText: "do not fit together" }).waitFor();
	assert.equal(await page.getByLabel("Password").inputValue(), "");
	await page.getByLabel("Password").fill(admin.password);
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
	await page.reload();
	await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
	await person.button("Sign out").click();
	await page.getByText("You are signed out.").waitFor();
	await page.reload();
	await page.getByLabel("Password").waitFor();
});

test("a user sees the own pages and no others", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(user);
	const { page } = person;
	await page.getByRole("heading", { level: 1, name: "My phones" }).waitFor();
	assert.equal(await page.getByRole("link", { name: "Devices" }).count(), 0);
	await person.go("devices");
	await page.getByText("There is no such page").waitFor();
	person.expect(403);
	const status = await page.evaluate(() => fetch("/api/v1/users").then((answer) => answer.status));
	assert.equal(status, 403);
});

test("a session that ended leads back to the door", async () => {
	const user = await makeUser();
	const person = await (await Person.at()).signIn(user);
	await person.context.clearCookies();
	await person.page.getByRole("link", { name: "App passwords" }).click();
	await person.page.getByText("Your session is over").waitFor();
});
