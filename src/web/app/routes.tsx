/* The pages, and where they stand in the menu. */
import type { ComponentChildren } from "preact";
import { AccountPage } from "./pages/account";
import { DevicePage } from "./pages/device";
import { DevicesPage } from "./pages/devices";
import { GroupsPage } from "./pages/groups";
import { LogPage } from "./pages/log";
import { PhonesPage } from "./pages/phones";
import { QueuePage } from "./pages/queue";
import { UserPage, UsersPage } from "./pages/users";
import type { Place } from "./router";
import type { IconName } from "./ui/icons";

interface Route {
	admin?: boolean;
	render: (place: Place) => ComponentChildren;
}

export const ROUTES: Record<string, Route> = {
	devices: { admin: true, render: (place) => place.path.length >= 3 ? <DevicePage address={place.path[1]} device={place.path[2]} /> : <DevicesPage place={place} /> },
	users: { admin: true, render: (place) => place.path.length >= 2 ? <UserPage address={place.path[1]} /> : <UsersPage place={place} /> },
	groups: { admin: true, render: (place) => <GroupsPage place={place} /> },
	queue: { admin: true, render: () => <QueuePage /> },
	log: { admin: true, render: (place) => <LogPage place={place} /> },
	phones: { render: () => <PhonesPage /> },
	account: { render: () => <AccountPage /> },
};

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
		title: "Server", admin: true, pages: [
			{ path: "queue", title: "Queue", icon: "queue" },
			{ path: "log", title: "Event log", icon: "log" },
		],
	},
	{
		title: "Your account", pages: [
			{ path: "phones", title: "My phones", icon: "device" },
			{ path: "account", title: "Password", icon: "lock" },
		],
	},
];
