import { start } from "../api";
import { overview, type Overview } from "../calls";
import { ago, count, counted, duration } from "../format";
import { link, setQuery, type Place } from "../router";
import { Chart } from "../ui/chart";
import { Show, useLoad } from "../ui/load";
import { Head } from "../ui/parts";

export function OverviewPage({ place }: { place: Place }) {
	const day = place.query.get("span") === "day";
	const data = useLoad((signal) => overview(signal), [], 3000);
	return (
		<div class="stack">
			<Head title="Overview" text={data.data ? `Bellhop ${data.data.now.version}, engine started ${ago(data.data.now.started_at)}.` : "What happens right now."}>
				<div class="row" role="group" aria-label="Span of the charts">
					<button type="button" class="button mini" aria-pressed={!day} onClick={() => setQuery({ span: undefined })}>Last hour</button>
					<button type="button" class="button mini" aria-pressed={day} onClick={() => setQuery({ span: "day" })}>Last day</button>
				</div>
			</Head>
			<Show of={data}>{(now) => <Now of={now} day={day} />}</Show>
		</div>
	);
}

/* Where on these pages the remedy of a warning is at hand. */
const WHERE: Record<string, [string, string]> = {
	quarantine: ["Phones in quarantine", link(["devices"], { state: "quarantine" })],
	wipe_waits: ["Phones with a wipe", link(["devices"], { state: "wipe" })],
	wipe_failed: ["Phones with a wipe", link(["devices"], { state: "wipe" })],
	queue_stuck: ["The queue", link(["queue"])],
	queue_held: ["The queue", link(["queue"])],
	logins_throttled: ["Failed logins", link(["log"], { action: "login_failed" })],
};
const last = (values: number[] | undefined) => values?.[values.length - 1] ?? 0;
/* 0 stands for "there was none": a gap in the line. */
const gaps = (values: number[] = []) => values.map((value) => value === 0 ? null : value);

function Now({ of: { now, series, warnings }, day }: { of: Overview; day: boolean }) {
	const points = day ? series.day : series.hour;
	const times = points.at ?? [];
	const span = day ? 86400 : 3600;
	return (
		<>
			{warnings.length > 0 && (
				<section class="stack-small" aria-label="Warnings">
					{warnings.map((one) => (
						<div class={`note ${one.severity === "problem" ? "bad" : one.severity === "info" ? "" : "warn"}`} key={one.code + one.text}>
							<b>{start(one.text)}.</b>
							{one.remedy && <p>What helps: {one.remedy}.</p>}
							{WHERE[one.code] && <p><a href={WHERE[one.code][1]}>{WHERE[one.code][0]}</a></p>}
						</div>
					))}
				</section>
			)}
			<dl class="figures">
				<div class="figure first"><dt>{now.parked === 1 ? "phone waits for mail" : "phones wait for mail"}</dt><dd>{count(now.parked)}</dd></div>
				<div class="figure"><dt>pushes a minute</dt><dd>{count(Math.round(last(series.hour.pushes_per_min)))}</dd></div>
				<div class="figure"><dt>syncs a minute</dt><dd>{count(Math.round(last(series.hour.syncs_per_min)))}</dd></div>
				<div class="figure"><dt>errors a minute</dt><dd>{count(Math.round(last(series.hour.errors_per_min)))}</dd></div>
				<div class="figure"><dt>mean heartbeat</dt><dd>{now.heartbeat_s ? duration(now.heartbeat_s) : "–"}</dd></div>
				<div class="figure"><dt>connections</dt><dd>{count(now.connections)}</dd></div>
			</dl>
			<p class="row wide-gap">
				<a href={link(["users"])}>{counted(now.users, "user")}</a>
				<a href={link(["queue"])}>{now.queue_messages === 0 ? "nothing in the queue" : `${counted(now.queue_messages, "mail")} in the queue`}</a>
				{now.wipes_pending > 0 && <a href={link(["devices"], { state: "wipe" })}>{counted(now.wipes_pending, "wipe")} under way</a>}
			</p>
			<div class="grid-2 charts">
				<Chart title="Phones that wait" span={span} times={times} series={[{ label: "parked", values: points.parked ?? [] }]} />
				<Chart title="Pushes and syncs" unit="a minute" span={span} times={times} series={[{ label: "pushes", values: points.pushes_per_min ?? [] }, { label: "syncs", values: points.syncs_per_min ?? [] }]} />
				<Chart title="Push latency" unit="ms" span={span} times={times} series={[{ label: "half within", values: gaps(points.push_p50_ms) }, { label: "99 of 100 within", values: gaps(points.push_p99_ms) }]} />
				<Chart title="Errors" unit="a minute" span={span} times={times} series={[{ label: "errors", values: points.errors_per_min ?? [] }]} />
				<Chart title="Mean heartbeat" unit="s" span={span} times={times} series={[{ label: "heartbeat", values: gaps(points.heartbeat_s) }]} />
				<Chart title="Requests" unit="a minute" span={span} times={times} series={[{ label: "requests", values: points.requests_per_min ?? [] }]} />
			</div>
		</>
	);
}
