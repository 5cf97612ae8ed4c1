/* Drawn on a 24 grid with one pen. Icons say nothing by themselves: the text beside them does. */
const PATHS = {
	bell: "M4 17a8 8 0 0 1 16 0zM2.5 20.5h19M12 9V7M10 6h4",
	overview: "M3 20h18M6 16v-4M11 16V6M16 16v-7M21 16v-3",
	device: "M7 3h10a1.5 1.5 0 0 1 1.5 1.5v15A1.5 1.5 0 0 1 17 21H7a1.5 1.5 0 0 1-1.5-1.5v-15A1.5 1.5 0 0 1 7 3zM10.5 18h3",
	user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c.6-4 4-6 8-6s7.4 2 8 6",
	group: "M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-3.5 3.2-5 6.5-5s6 1.5 6.5 5M16 5.500a3.3 3.3 0 0 1 0 6.300M18 15.300c2 .6 3.2 2.1 3.5 4.7",
	policy: "M12 3l7.5 2.800v5.400c0 4.7-3 8-7.5 9.8-4.5-1.8-7.5-5.1-7.5-9.800V5.800zM8.5 12l2.5 2.5 4.5-5",
	switches: "M4 7h9M17.5 7H20M15.2 4.800a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.400zM4 16h2.500M11 16h9M8.8 13.800a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.400z",
	key: "M8 15.500a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 11.500h9M18 11.500v3.500M15 11.500v2.5",
	queue: "M3 6.500h18v12H3zM3 7l9 7 9-7",
	log: "M6 3h9l4 4v14H6zM14.5 3v4.500H19M9 12h7M9 16h7",
	settings: "M4 5h16M4 12h16M4 19h16M8 3v4M15 10v4M10 17v4",
	token: "M4 8l8-4.500L20 8v8l-8 4.500L4 16zM9.5 12h5M12 9.500v5",
	setup: "M5 4h6v6H5zM13.5 4h5.500v6h-5.500zM5 13h6v6H5zM14 13.500h2M18 14v5M14 17v2h2",
	away: "M4 18L20 6M15.5 4.500L20 6l-1 4.500M5 9l3 3M4.5 18.500h6",
	lock: "M6 11h12v9.500H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 14.500v2.5",
	menu: "M4 7h16M4 12h16M4 17h16",
	close: "M6 6l12 12M18 6L6 18",
	up: "M6 14l6-6 6 6",
	down: "M6 10l6 6 6-6",
	out: "M10 4H5v16h5M14 8l4 4-4 4M8.5 12H18",
	search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.500L20.5 20.5",
	download: "M12 4v11M7.5 11l4.5 4.500L16.5 11M4.5 20h15",
	plus: "M12 5v14M5 12h14",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
	return (
		<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
			<path d={PATHS[name]} />
		</svg>
	);
}
