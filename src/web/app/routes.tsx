/* The pages, and where they stand in the menu. */
import type { ComponentChildren } from "preact";
import { AccessPage } from "./pages/access";
import { AccountPage } from "./pages/account";
import { AppPasswordsPage } from "./pages/app-passwords";
import { DevicePage } from "./pages/device";
import { DevicesPage } from "./pages/devices";
import { GroupsPage } from "./pages/groups";
import { LogPage } from "./pages/log";
import { OofPage } from "./pages/oof";
import { OverviewPage } from "./pages/overview";
import { PhonesPage } from "./pages/phones";
import { PoliciesPage } from "./pages/policies";
import { QueuePage } from "./pages/queue";
import { SettingsPage } from "./pages/settings";
import { ServicesPage } from "./pages/services";
import { SetupPage } from "./pages/setup";
import { TokensPage } from "./pages/tokens";
import { UserPage, UsersPage } from "./pages/users";
import type { Place } from "./router";
import type { IconName } from "./ui/icons";

interface Route {
	admin?: boolean;
	render: (place: Place) => ComponentChildren;
}

const ROUTES: Record<string, Route> = {
	overview: { admin: true, render: (place) => <OverviewPage place={place} /> },
	devices: { admin: true, render: (place) => place.path.length >= 3 ? <DevicePage place={place} /> : <DevicesPage place={place} /> },
	users: { admin: true, render: (place) => place.path.length >= 2 ? <UserPage address={place.path[1]} /> : <UsersPage place={place} /> },
	groups: { admin: true, render: (place) => <GroupsPage place={place} /> },
	policies: { admin: true, render: (place) => <PoliciesPage place={place} /> },
	access: { admin: true, render: () => <AccessPage /> },
	services: { admin: true, render: (place) => <ServicesPage place={place} /> },
	queue: { admin: true, render: () => <QueuePage /> },
	log: { admin: true, render: (place) => <LogPage place={place} /> },
	settings: { admin: true, render: () => <SettingsPage /> },
	tokens: { admin: true, render: () => <TokensPage /> },
	"app-passwords": { render: () => <AppPasswordsPage /> },
	"out-of-office": { render: () => <OofPage /> },
	setup: { render: () => <SetupPage /> },
	phones: { render: () => <PhonesPage /> },
	account: { render: () => <AccountPage /> },
};

/* Only what stands in the table: "constructor" is a name that every object knows. */
export function routeOf(name: string): Route | undefined {
	return Object.prototype.hasOwnProperty.call(ROUTES, name) ? ROUTES[name] : undefined;
}

export const SECTIONS: { title: string; admin?: boolean; pages: { path: string; title: string; icon: IconName }[] }[] = [
	{
		title: "People and phones", admin: true, pages: [
			{ path: "overview", title: "Overview", icon: "overview" },
			{ path: "devices", title: "Devices", icon: "device" },
			{ path: "users", title: "Users", icon: "user" },
			{ path: "groups", title: "Groups", icon: "group" },
		],
	},
	{
		title: "House rules", admin: true, pages: [
			{ path: "policies", title: "Policies", icon: "policy" },
			{ path: "services", title: "Mobile services", icon: "switches" },
			{ path: "access", title: "Access rules", icon: "key" },
		],
	},
	{
		title: "Server", admin: true, pages: [
			{ path: "queue", title: "Queue", icon: "queue" },
			{ path: "log", title: "Event log", icon: "log" },
			{ path: "settings", title: "Settings", icon: "settings" },
			{ path: "tokens", title: "API tokens", icon: "token" },
		],
	},
	{
		title: "Your account", pages: [
			{ path: "phones", title: "My phones", icon: "device" },
			{ path: "setup", title: "Set up a phone", icon: "setup" },
			{ path: "app-passwords", title: "App passwords", icon: "token" },
			{ path: "out-of-office", title: "Out of office", icon: "away" },
			{ path: "account", title: "Password", icon: "lock" },
		],
	},
];
