import { overview, type Overview, type Point } from "../calls";
import { count, duration } from "../format";
import { Show, useLoad } from "../ui/load";
import { Chart } from "../ui/chart";
import { Head } from "../ui/parts";
import { link, setQuery, type Place } from "../router";

const ms = (us: number) => us === 0 ? null : us / 1000;

export function OverviewPage({ place }: { place: Place }) {
	const day = place.query.get("span") === "day";
	const data = useLoad((signal) => overview(day ? "day" : "hour", signal), [day], 5000);
	return (
		<div class="stack">
			<Head title="Overview" text="What happens right now.">
				<div class="row" role="group" aria-label="Span of the charts">
					<button type="button" class="button mini" aria-pressed={!day} onClick={() => setQuery({ span: undefined })}>Last hour</button>
					<button type="button" class="button mini" aria-pressed={day} onClick={() => setQuery({ span: "day" })}>Last day</button>
				</div>
			</Head>
			<Show of={data}>{(now) => <Now of={now} />}</Show>
		</div>
	);
}

function Now({ of }: { of: Overview }) {
	const points: Point[] = of.points ?? [];
	const last = points[points.length - 1];
	const times = points.map((point) => point.at);
	return (
		<>
			{(of.warnings ?? []).map((one) => (
				<div class="note warn" key={one.text} role="note"><b>{one.text}</b>{one.remedy && <p>{one.remedy}</p>}</div>
			))}
			<dl class="figures">
				<div class="figure first"><dt>phones wait for mail</dt><dd>{count(last?.parked)}</dd></div>
				<div class="figure"><dt>pushes a minute</dt><dd>{count(last && Math.round(last.pushes))}</dd></div>
				<div class="figure"><dt>syncs a minute</dt><dd>{count(last && Math.round(last.syncs))}</dd></div>
				<div class="figure"><dt>errors a minute</dt><dd>{count(last && Math.round(last.errors))}</dd></div>
				<div class="figure"><dt>mean heartbeat</dt><dd>{duration(last?.heartbeat_s)}</dd></div>
			</dl>
			<div class="grid-2">
				<Chart title="Phones that wait" times={times} series={[{ label: "parked", values: points.map((point) => point.parked) }]} />
				<Chart title="Pushes and syncs" unit="a minute" times={times} series={[{ label: "pushes", values: points.map((point) => point.pushes) }, { label: "syncs", values: points.map((point) => point.syncs) }]} />
				<Chart title="Push latency" unit="ms" times={times} series={[{ label: "half within", values: points.map((point) => ms(point.push_p50_us)) }, { label: "99 of 100 within", values: points.map((point) => ms(point.push_p99_us)) }]} />
				<Chart title="Errors" unit="a minute" times={times} series={[{ label: "errors", values: points.map((point) => point.errors) }]} />
				<Chart title="Heartbeat" unit="s, mean" times={times} series={[{ label: "heartbeat", values: points.map((point) => point.heartbeat_s || null) }]} />
			</div>
			<p class="small"><a href={link(["log"])}>What administrators and phones did: the event log</a></p>
		</>
	);
}
