import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { LineNote } from "./line";
import { usePlace, type Place } from "./router";
import { routeOf, SECTIONS } from "./routes";
import { useSession } from "./session";
import { chooseTheme, themeChoice, type Theme } from "./theme";
import { Icon } from "./ui/icons";
import { Empty, Head } from "./ui/parts";
import { Toasts } from "./ui/toast";

function Brand() {
	const { session } = useSession();
	return (
		<a class="brand" href="#/">
			<Icon name="bell" />
			<div><b>Bellhop</b><span>{session.admin ? "Front desk" : "Your phones"}</span></div>
		</a>
	);
}

function ThemeSwitch() {
	const [theme, setTheme] = useState<Theme>(themeChoice());
	return (
		<label class="row">
			<span>Appearance</span>
			<select value={theme} onChange={(e) => {
				const choice = e.currentTarget.value as Theme;
				setTheme(choice);
				chooseTheme(choice);
			}}>
				<option value="auto">System</option>
				<option value="light">Light</option>
				<option value="dark">Dark</option>
			</select>
		</label>
	);
}

function Nav({ place, label, onGo }: { place: Place; label: string; onGo?: () => void }) {
	const { session, signOut } = useSession();
	const here = place.path[0] ?? "";
	return (
		<>
			<nav class="nav" aria-label={label}>
				{SECTIONS.filter((section) => session.admin || !section.admin).map((section) => (
					<div key={section.title}>
						<h2>{section.title}</h2>
						<ul>
							{section.pages.map((page) => (
								<li key={page.path}>
									<a href={`#/${page.path}`} aria-current={here === page.path || (here === "" && page.path === home(session.admin)) ? "page" : undefined} onClick={onGo}>
										<Icon name={page.icon} />{page.title}
									</a>
								</li>
							))}
						</ul>
					</div>
				))}
			</nav>
			<div class="me">
				<div><span class="unseen">Signed in as </span><b>{session.address}</b></div>
				<ThemeSwitch />
				<button type="button" class="button mini on-navy" onClick={signOut}><Icon name="out" />Sign out</button>
			</div>
		</>
	);
}

export function home(admin: boolean): string {
	return admin ? "overview" : "phones";
}

function Page({ place }: { place: Place }): ComponentChildren {
	const { session } = useSession();
	const name = place.path[0] ?? home(session.admin);
	const route = routeOf(name);
	if (!route || (route.admin && !session.admin)) {
		return (
			<div class="stack">
				<Head title="Nothing here" />
				<Empty title="There is no such page"><p>The link may be old, or it needs an administrator.</p><a class="button" href="#/">To the first page</a></Empty>
			</div>
		);
	}
	return route.render(place);
}

export function Shell() {
	const place = usePlace();
	const [open, setOpen] = useState(false);
	const drawer = useRef<HTMLDialogElement>(null);
	const main = useRef<HTMLElement>(null);
	const first = useRef(true);

	/* Before the place: a dialog that closes gives the focus back to what opened it. */
	useLayoutEffect(() => {
		const dialog = drawer.current!;
		if (open && !dialog.open) dialog.showModal();
		if (!open && dialog.open) dialog.close();
	}, [open]);

	/*
	 * A new page begins at its heading, for the eye and for the screen reader; in the turn that shows it, so that no key pressed
	 * meanwhile is lost. Behind an open menu nothing can be focused.
	 */
	useLayoutEffect(() => {
		setOpen(false);
		if (drawer.current?.open) drawer.current.close();
		const heading = main.current?.querySelector<HTMLElement>("h1");
		if (!first.current) {
			window.scrollTo(0, 0);
			heading?.focus({ preventScroll: true });
		}
		first.current = false;
	}, [place.key]);

	return (
		<>
			<button type="button" class="button primary skip" onClick={() => main.current?.focus()}>Skip to the page</button>
			<div class="shell">
				<header class="bar">
					<Brand />
					<button type="button" class="button mini on-navy" aria-expanded={open} onClick={() => setOpen(true)}><Icon name="menu" />Menu</button>
				</header>
				<aside class="side" aria-label="Menu and account"><Brand /><Nav place={place} label="Pages" /></aside>
				<dialog class="drawer" ref={drawer} aria-label="Menu" onClose={() => setOpen(false)}>
					{open && (
						<>
							<button type="button" class="button mini on-navy close" onClick={() => setOpen(false)} aria-label="Close the menu"><Icon name="close" /></button>
							<Nav place={place} label="Pages" onGo={() => setOpen(false)} />
						</>
					)}
				</dialog>
				<main class="main" id="main" ref={main} tabIndex={-1}><LineNote /><Page place={place} key={place.key} /></main>
			</div>
			<Toasts />
		</>
	);
}
