/* Counters and what belongs to them. Owns the rings. Any thread. */
#include "telemetry/telemetry.h"

#include "base/mem.h"

struct telemetry *telemetry_new(const struct telemetry_limits *limits)
{
	struct telemetry *t = x_new(struct telemetry);

	t->traces = traces_new(&limits->traces);
	t->waits = waits_new(limits->waits);
	t->faults = faults_new(limits->faults);
	t->series = series_new();
	return t;
}

void telemetry_free(struct telemetry **telemetry)
{
	if (*telemetry == NULL)
		return;
	traces_free(&(*telemetry)->traces);
	waits_free(&(*telemetry)->waits);
	faults_free(&(*telemetry)->faults);
	series_free(&(*telemetry)->series);
	mem_free(*telemetry);
	*telemetry = NULL;
}

void telemetry_answer(struct telemetry *t, unsigned command, unsigned http, unsigned status)
{
	if (http >= TELEMETRY_HTTP_MIN && http <= TELEMETRY_HTTP_MAX)
		telemetry_count(&t->http[http - TELEMETRY_HTTP_MIN]);
	if (status != 0)
		telemetry_count(&t->status[command < TELEMETRY_COMMANDS ? command : 0]
					  [MIN(status, TELEMETRY_STATUSES - 1u)]);
}

uint64_t telemetry_requests_of(const struct telemetry *t, unsigned command)
{
	struct histogram_view v;

	histogram_read(&t->request[command], &v);
	return v.count;
}

uint64_t telemetry_requests(const struct telemetry *t)
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < TELEMETRY_COMMANDS; c++)
		sum += telemetry_requests_of(t, c);
	return sum;
}
