/* Dark or light: what the system says, unless the person has chosen here. */
export type Theme = "auto" | "light" | "dark";

const KEY = "bellhop-theme";
const listeners = new Set<() => void>();

export function themeChoice(): Theme {
	try {
		const kept = localStorage.getItem(KEY);
		return kept === "light" || kept === "dark" ? kept : "auto";
	} catch {
		return "auto";
	}
}

export function applyTheme(): void {
	const choice = themeChoice();
	if (choice === "auto") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = choice;
	for (const listener of listeners) listener();
}

export function chooseTheme(choice: Theme): void {
	try {
		if (choice === "auto") localStorage.removeItem(KEY);
		else localStorage.setItem(KEY, choice);
	} catch {
		/* Private windows may refuse; then it lasts until the reload. */
	}
	if (choice === "auto") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = choice;
	for (const listener of listeners) listener();
}

export function onTheme(listener: () => void): () => void {
	const media = matchMedia("(prefers-color-scheme: dark)");
	listeners.add(listener);
	media.addEventListener("change", listener);
	return () => {
		listeners.delete(listener);
		media.removeEventListener("change", listener);
	};
}
