/* A progress bar on standard error, for people who wait. Threads: main. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl_internal.h"

#define EVERY_MS 100
#define WIDTH    30

void ctl_progress_begin(struct ctl_progress *p, bool wanted)
{
	*p = (struct ctl_progress){
		.on = wanted && isatty(STDERR_FILENO) != 0, .begun_ms = clock_now_ms()};
}

void ctl_progress_show(struct ctl_progress *p, bool now)
{
	static const char full[] = "##############################";
	static const char rest[] = "..............................";
	int64_t now_ms = clock_now_ms();
	double part;

	if (!p->on || (!now && now_ms - p->shown_ms < EVERY_MS))
		return;
	p->shown_ms = now_ms;
	part = p->total > 0 ? (double)MIN(p->done, p->total) / (double)p->total : 0;
	(void)fprintf(stderr, "\r[%.*s%.*s] %3d%%  %" PRIu64 " messages", (int)(part * WIDTH), full,
		WIDTH - (int)(part * WIDTH), rest, (int)(part * 100), p->messages);
	if (part > 0.01 && now_ms - p->begun_ms > 2000) {
		int64_t left_s =
			(int64_t)((double)(now_ms - p->begun_ms) * (1 - part) / part / 1000);

		(void)fprintf(stderr, ", %" PRId64 ":%02d left", left_s / 60, (int)(left_s % 60));
	}
	(void)fputs("\033[K", stderr);
	(void)fflush(stderr);
}

void ctl_progress_end(struct ctl_progress *p)
{
	if (!p->on)
		return;
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	p->on = false;
}
