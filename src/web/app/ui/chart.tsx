/* A line chart that lives; with the same numbers as a table for those who cannot see it. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { hour } from "../format";
import { onTheme } from "../theme";

export interface Series {
	label: string;
	values: (number | null)[];
}

export function Chart({ title, times, series, unit, span }: {
	title: string; times: number[]; series: Series[]; unit?: string; span: number;
}) {
	const area = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const show = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 });
	const latest = useRef({ times, series, show });
	latest.current = { times, series, show };
	const labels = series.map((one) => one.label).join("|");

	useEffect(() => {
		const box = area.current!;
		const make = () => {
			plot.current?.destroy();
			const style = getComputedStyle(document.documentElement);
			const colour = (name: string) => style.getPropertyValue(name).trim();
			const { times, series } = latest.current;
			plot.current = new uPlot({
				width: Math.max(box.clientWidth, 120), height: box.clientHeight,
				legend: { show: false },
				cursor: { show: false },
				padding: [8, 22, 0, 0],
				scales: { x: { range: (_, __, high) => [(high || Date.now() / 1000) - span, high || Date.now() / 1000] }, y: { range: (_, __, high) => [0, Math.max(high * 1.12, 1)] } },
				axes: [
					{ stroke: colour("--soft"), grid: { show: false }, ticks: { stroke: colour("--line"), size: 4 }, font: "12px sans-serif", size: 30, values: (_, ticks) => ticks.map(hour), space: 70 },
					{ stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif", size: 56, space: 36, values: (_, ticks) => ticks.map((value) => latest.current.show(value)) },
				],
				series: [{}, ...series.map((one, i) => ({
					label: one.label, stroke: colour(`--series-${(i % 4) + 1}`), width: 2.25, spanGaps: false, points: { show: times.length < 3 },
					dash: [undefined, [7, 4], [2, 4], [12, 3, 2, 3]][i % 4],
					fill: i === 0 && series.length === 1 ? `${colour("--series-1")}1f` : undefined,
				}))],
			}, [times, ...series.map((one) => one.values)] as uPlot.AlignedData, box);
		};
		make();
		const watch = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(box.clientWidth, 120), height: box.clientHeight }));
		watch.observe(box);
		const off = onTheme(make);
		return () => {
			watch.disconnect();
			off();
			plot.current?.destroy();
			plot.current = null;
		};
	}, [labels, span]);

	useEffect(() => {
		plot.current?.setData([times, ...series.map((one) => one.values)] as uPlot.AlignedData);
	}, [times, series]);

	const last = (one: Series) => {
		const value = one.values.length ? one.values[one.values.length - 1] : null;
		return value === null ? "no value" : `${show(value)}${unit ? ` ${unit}` : ""}`;
	};
	const step = Math.max(1, Math.floor(times.length / 30));
	const picked = times.map((_, i) => i).filter((i) => (times.length - 1 - i) % step === 0).reverse();
	return (
		<figure class="card chart">
			<figcaption><b>{title}</b><span class="soft small">{unit}</span></figcaption>
			{series.length > 1 && <ul class="legend" aria-hidden="true">{series.map((one) => <li key={one.label}><i />{one.label}</li>)}</ul>}
			<div class="chart-area" ref={area} role="img" aria-label={`${title}. Now: ${series.map((one) => `${one.label} ${last(one)}`).join(", ")}.`} />
			<details>
				<summary>The numbers</summary>
				<div tabIndex={0} role="region" aria-label={`Numbers of ${title}`}>
					<table>
						<thead><tr><th scope="col">Time</th>{series.map((one) => <th scope="col" class="num" key={one.label}>{one.label}</th>)}</tr></thead>
						<tbody>
							{picked.map((i) => (
								<tr key={times[i]}><th scope="row">{hour(times[i])}</th>{series.map((one) => <td class="num" key={one.label}>{one.values[i] === null ? "–" : show(one.values[i]!)}</td>)}</tr>
							))}
						</tbody>
					</table>
				</div>
			</details>
		</figure>
	);
}
