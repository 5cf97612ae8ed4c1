/*
 * The timer of the mail about phones in quarantine. Loop thread; the work is a job. One at a time.
 */
#include "engine/access_timer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "submit/access_report.h"

#define LOOK_EVERY_MS 2000

struct access_timer {
	struct engine *engine;
	struct store *store;
	struct submit_queue *queue;
	struct loop_timer timer;
	int64_t next_ms; /* no mail before */
};

struct look {
	struct job job;
	struct access_timer *owner;
	const struct settings *settings;
	bool sent;
	int result;
	struct err err;
};

static void run_look(struct job *job, void *thread_state)
{
	struct look *look = LIST_ENTRY(job, struct look, job);

	(void)thread_state;
	look->result = access_report_send(look->owner->store, look->settings, look->owner->queue,
		clock_now_at(), &look->sent, &look->err);
}

static void on_look_done(struct job *job, bool cancelled)
{
	struct look *look = LIST_ENTRY(job, struct look, job);
	struct access_timer *t = look->owner;
	int64_t now_ms = clock_now_ms();

	if (!cancelled && look->result < 0)
		log_warn(NULL, "access_report_failed", F_ERR(&look->err));
	/* What failed is not tried at once either. */
	if (look->sent || look->result < 0)
		t->next_ms = now_ms + (int64_t)look->settings->access_notify_interval_s * 1000;
	if (!cancelled)
		loop_timer_set(&t->timer, now_ms + LOOK_EVERY_MS);
	settings_unref(&look->settings);
	mem_free(look);
}

static void on_timer(void *owner)
{
	struct access_timer *t = owner;
	const struct settings *s = t->engine->settings;
	struct look *look;

	if (s->access_notify.count == 0 || clock_now_ms() < t->next_ms) {
		loop_timer_set(&t->timer, clock_now_ms() + LOOK_EVERY_MS);
		return;
	}
	look = x_new(struct look);
	look->job = (struct job){.name = "access report", .run = run_look, .done = on_look_done};
	look->owner = t;
	look->settings = settings_ref(s);
	engine_submit(t->engine, &look->job);
}

struct access_timer *access_timer_new(
	struct engine *engine, struct store *store, struct submit_queue *queue)
{
	struct access_timer *t = x_new(struct access_timer);

	t->engine = engine;
	t->store = store;
	t->queue = queue;
	loop_timer_init(&t->timer, engine->loop, "access report", on_timer, t);
	loop_timer_set(&t->timer, clock_now_ms() + LOOK_EVERY_MS);
	return t;
}

void access_timer_free(struct access_timer **timer)
{
	struct access_timer *t = *timer;

	if (t == NULL)
		return;
	loop_timer_clear(&t->timer);
	mem_free(t);
	*timer = NULL;
}
