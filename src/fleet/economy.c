/*
 * A phone's month, event by event. News arrive by a Poisson process that follows the hours of a
 * working day; each way takes the same news. The radio sleeps; whatever moves a byte wakes it, and
 * it stays awake for its tail. A message counts as there when the Sync that brings it is over.
 *
 * Pure. Memory: 8 bytes for each message.
 */
#include "fleet/economy.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fleet/scenario.h"

#define DAY_S 86400.0
#define MONTH 30.0

const struct economy_way economy_ways[ECONOMY_WAYS] = {
	{"SMS trigger", ECONOMY_SMS, 0},
	{"poll 5 min", ECONOMY_POLL, 300},
	{"poll 15 min", ECONOMY_POLL, 900},
	{"poll 60 min", ECONOMY_POLL, 3600},
	{"push 8 min", ECONOMY_PUSH, 480},
	{"push 15 min", ECONOMY_PUSH, 900},
	{"push 30 min", ECONOMY_PUSH, 1800},
	{"push 59 min", ECONOMY_PUSH, 3540},
};

/* Of a day's mail, how much comes in each hour; 24 together. */
static const double hours[24] = {0.15, 0.1, 0.1, 0.1, 0.15, 0.25, 0.5, 1.0, 1.8, 2.4, 2.5, 2.2, 1.6,
	1.9, 2.2, 2.1, 1.8, 1.3, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15};

void economy_defaults(struct economy_options *options)
{
	*options = (struct economy_options){
		.days = 30,
		.mail_per_day = 40,
		.weekend = 0.3,
		.seed = 1,
		.bytes = economy_tls,
		/* A phone on LTE, rounded: docs/PUSH-ECONOMY.md says whose measurements. */
		.radio = {.promotion_s = 0.26,
			.promotion_w = 1.2,
			.awake_w = 1.06,
			.tail_s = 11.6,
			.bytes_per_s = 500000,
			.rtt_s = 0.07},
		.sms_delay_s = 6,
		.sms_fee = 0.05,
		.sms_bytes = 200,
		.battery_wh = 12.8,
	};
}

/* Of messages of 2,000 bytes, and a phone that says no more than it must. */
const struct economy_bytes economy_plain = {.heartbeat = 566,
	.wake = 573,
	.sync_empty = 613,
	.sync_news = 3058,
	.per_news = 2292,
	.connect = 416};
const struct economy_bytes economy_tls = {.heartbeat = 610,
	.wake = 617,
	.sync_empty = 657,
	.sync_news = 3102,
	.per_news = 2292,
	.connect = 1565};

struct radio {
	const struct economy_radio *model;
	double until_s; /* awake until then */
	double awake_s;
	uint64_t wakeups;
};

/* Bytes move, in so many round trips, from then on. Returns when they have. */
static double use(struct radio *r, double at_s, double bytes, double trips)
{
	double end_s = at_s + trips * r->model->rtt_s + bytes / r->model->bytes_per_s;

	if (at_s > r->until_s) {
		r->wakeups++;
		end_s += r->model->promotion_s;
		r->awake_s += end_s - at_s - r->model->promotion_s + r->model->tail_s;
		r->until_s = end_s + r->model->tail_s;
	} else if (end_s + r->model->tail_s > r->until_s) {
		r->awake_s += end_s + r->model->tail_s - r->until_s;
		r->until_s = end_s + r->model->tail_s;
	}
	return end_s;
}

static double chance(const struct economy_options *o, uint64_t a, uint64_t b)
{
	return ((double)(scenario_chance(o->seed, a, b) >> 11) + 0.5) / 9007199254740992.0;
}

/* When news arrive; to be freed. */
static double *arrivals(const struct economy_options *o, size_t *ret_count)
{
	double peak = 2.5, per_s = o->mail_per_day * peak / DAY_S, at_s = 0,
	       end_s = o->days * DAY_S;
	double *times = NULL;
	size_t count = 0, cap = 0;

	for (uint64_t n = 0;; n++) {
		unsigned day, hour;
		double now;

		at_s -= log(chance(o, n, 1)) / per_s;
		if (at_s >= end_s)
			break;
		day = (unsigned)(at_s / DAY_S);
		hour = (unsigned)(fmod(at_s, DAY_S) / 3600);
		now = hours[hour % 24] * (day % 7 >= 5 ? o->weekend : 1);
		if (chance(o, n, 2) * peak > now)
			continue;
		if (count == cap) {
			cap = MAX(cap * 2, (size_t)256);
			times = x_realloc(times, cap * sizeof(*times));
		}
		times[count++] = at_s;
	}
	*ret_count = count;
	return times;
}

struct run {
	const struct economy_options *options;
	struct radio radio;
	const double *news_s;
	size_t count, next;
	double *delays_s;
	double bytes;
	uint64_t sms;
};

/* A Sync that begins then brings all that has arrived. */
static double sync_all(struct run *run, double at_s, double bytes, double trips)
{
	const struct economy_bytes *b = &run->options->bytes;
	size_t first = run->next, brought;
	double end_s;

	while (run->next < run->count && run->news_s[run->next] <= at_s)
		run->next++;
	brought = run->next - first;
	bytes += brought == 0 ? b->sync_empty : b->sync_news + b->per_news * (double)(brought - 1);
	end_s = use(&run->radio, at_s, bytes, trips);
	for (size_t i = first; i < run->next; i++)
		run->delays_s[i] = end_s - run->news_s[i];
	run->bytes += bytes;
	return end_s;
}

static void poll(struct run *run, double interval_s)
{
	double polls = ceil(run->options->days * DAY_S / interval_s);

	/* Three round trips: connection, TLS, Sync. */
	for (unsigned i = 1; i <= polls; i++)
		(void)sync_all(run, i * interval_s, run->options->bytes.connect, 3);
}

static void sms(struct run *run)
{
	const struct economy_options *o = run->options;

	while (run->next < run->count) {
		double delay_s = -o->sms_delay_s * log(chance(o, run->next, 3));
		double at_s = run->news_s[run->next] + delay_s;

		run->sms++;
		run->bytes += o->sms_bytes;
		(void)sync_all(run, at_s, o->bytes.connect, 3);
	}
}

static void push(struct run *run, double heartbeat_s)
{
	const struct economy_bytes *b = &run->options->bytes;
	double end_s = run->options->days * DAY_S, at_s = 0;

	while (at_s < end_s) {
		double over_s = at_s + heartbeat_s;
		double news_s = run->next < run->count ? run->news_s[run->next] : end_s;

		if (news_s < over_s) {
			/* The answer, half a round trip; then the Sync and the next Ping. */
			double woken_s = use(&run->radio, MAX(news_s, at_s), b->wake, 0.5);

			run->bytes += b->wake;
			at_s = sync_all(run, woken_s, 0, 1);
		} else {
			at_s = use(&run->radio, over_s, b->heartbeat, 1);
			run->bytes += b->heartbeat;
		}
	}
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void sum_up(struct run *run, struct economy_result *ret)
{
	const struct economy_options *o = run->options;
	double sum_s = 0;

	*ret = (struct economy_result){.news = (unsigned)run->next};
	for (size_t i = 0; i < run->next; i++)
		sum_s += run->delays_s[i];
	if (run->next > 0) {
		qsort(run->delays_s, run->next, sizeof(double), compare_doubles);
		ret->delay_mean_s = sum_s / (double)run->next;
		ret->delay_p50_s = run->delays_s[run->next / 2];
		ret->delay_p99_s = run->delays_s[run->next * 99 / 100];
		ret->delay_max_s = run->delays_s[run->next - 1];
	}
	ret->bytes_day = run->bytes / o->days;
	ret->bytes_month = ret->bytes_day * MONTH;
	ret->wakeups_day = (double)run->radio.wakeups / o->days;
	ret->joule_day =
		(run->radio.awake_s * o->radio.awake_w +
			(double)run->radio.wakeups * o->radio.promotion_s * o->radio.promotion_w) /
		o->days;
	ret->fees_month = (double)run->sms * o->sms_fee * MONTH / o->days;
}

void economy_run(const struct economy_options *options, const struct economy_way *way,
	struct economy_result *ret)
{
	struct run run = {.options = options, .radio = {.model = &options->radio, .until_s = -1}};
	double *news_s = arrivals(options, &run.count);

	run.news_s = news_s;
	run.delays_s = x_calloc(run.count + 1, sizeof(double));
	switch (way->kind) {
	case ECONOMY_SMS:
		sms(&run);
		break;
	case ECONOMY_POLL:
		poll(&run, way->interval_s);
		break;
	case ECONOMY_PUSH:
		push(&run, way->interval_s);
		break;
	}
	sum_up(&run, ret);
	mem_free(run.delays_s);
	mem_free(news_s);
}
