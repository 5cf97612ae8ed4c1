/*
 * The timer of what the store has to forget. Loop thread; the work is a job, one batch each, one at
 * a time.
 */
#include "engine/housekeeping.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SWEEP_EVERY_MS  60000 /* when there was nothing left */
#define SWEEP_AGAIN_MS  200   /* between two batches */
#define SWEEP_BATCH     1000
#define DAY_S           86400
#define EXPIRY_EVERY_MS 3600000

struct housekeeping {
	struct engine *engine;
	struct store *store;
	struct loop_timer timer;
	bool sweeping;              /* a job is on its way */
	bool expiring;              /* a pass over old items goes on, in steps */
	struct store_expiry expiry; /* where it is */
	bool expiry_again;          /* another one follows: the settings changed */
	int64_t expiry_due_ms;      /* the next pass */
	_Atomic uint64_t expired;   /* items, since the start */
};

enum {
	SWEEP_TOMBSTONES,
	SWEEP_CRASHES,
	SWEEP_IMPORTS,
	SWEEP_SESSIONS,
	SWEEP_ABSENCES,
	SWEEP_LOG,
	SWEEPS
};

static int (*const sweeps[SWEEPS])(
	struct store *store, int64_t before_at, size_t limit, struct err *err) = {
	[SWEEP_TOMBSTONES] = store_sweep,
	[SWEEP_CRASHES] = store_poison_sweep,
	[SWEEP_IMPORTS] = store_import_sweep,
	[SWEEP_SESSIONS] = store_session_sweep,
	[SWEEP_ABSENCES] = store_oof_sweep,
	[SWEEP_LOG] = store_log_sweep,
};

struct sweep {
	struct job job;
	struct housekeeping *owner;
	int64_t before_at[SWEEPS]; /* 0: kept for ever */
	bool expires;
	struct store_expiry expiry;
	int rc, expiry_rc; /* 1: there is more */
	struct err err;
};

static int log_expiry(struct store_tx *tx, void *owner, struct err *err)
{
	const struct store_expiry *e = owner;
	char result[80];
	struct log_row row = {.at = e->now_at,
		.actor = "server",
		.user = "",
		.address = "",
		.device_id = "",
		.device_type = "",
		.action = "old items deleted",
		.result = result};

	(void)snprintf(result, sizeof(result), "%" PRIu64 " in %" PRIu64 " %s", e->removed,
		e->mailboxes, e->mailboxes == 1 ? "mailbox" : "mailboxes");
	return store_log_add(tx, &row, err);
}

/* A step of the pass; one event for the whole of it. */
static void run_expiry(struct sweep *sweep)
{
	struct store *store = sweep->owner->store;
	struct store_expiry *e = &sweep->expiry;

	sweep->expiry_rc = store_expire_step(store, e, SWEEP_BATCH, &sweep->err);
	if (sweep->expiry_rc == 0 && e->removed > 0) {
		log_info(NULL, "expiry_finished", F_UINT("items", e->removed),
			F_UINT("mailboxes", e->mailboxes));
		if (store_transact(store, log_expiry, e, &sweep->err) < 0)
			sweep->rc = -1;
	}
	if (sweep->expiry_rc != 0)
		sweep->rc = sweep->expiry_rc;
}

static void run_sweep(struct job *job, void *thread_state)
{
	struct sweep *sweep = LIST_ENTRY(job, struct sweep, job);

	(void)thread_state;
	for (size_t i = 0; i < SWEEPS && sweep->rc == 0; i++) {
		if (sweep->before_at[i] != 0)
			sweep->rc = sweeps[i](
				sweep->owner->store, sweep->before_at[i], SWEEP_BATCH, &sweep->err);
	}
	if (sweep->rc >= 0 && sweep->expires)
		run_expiry(sweep);
}

/* The next pass begins in an hour; a step that failed is tried again with the next sweep. */
static void note_expiry(struct housekeeping *h, const struct sweep *sweep)
{
	if (!sweep->expires)
		return;
	atomic_fetch_add(&h->expired, sweep->expiry.removed - h->expiry.removed);
	h->expiry = sweep->expiry;
	if (sweep->expiry_rc == 0) {
		h->expiring = false;
		h->expiry_due_ms = h->expiry_again ? 0 : clock_now_ms() + EXPIRY_EVERY_MS;
	}
}

static void on_sweep_done(struct job *job, bool cancelled)
{
	struct sweep *sweep = LIST_ENTRY(job, struct sweep, job);
	struct housekeeping *h = sweep->owner;

	h->sweeping = false;
	if (!cancelled) {
		note_expiry(h, sweep);
		if (sweep->rc < 0)
			log_error(NULL, "sweep_finished",
				F_STR("result", err_code_to_str(sweep->err.code)),
				F_ERR(&sweep->err));
		loop_timer_set(&h->timer,
			clock_now_ms() + (sweep->rc == 1 ? SWEEP_AGAIN_MS : SWEEP_EVERY_MS));
	}
	mem_free(sweep);
}

/* A pass begins when it is due; settings that changed count from its next step on. */
static void begin_expiry(struct housekeeping *h)
{
	if (!h->expiring && clock_now_ms() < h->expiry_due_ms)
		return;
	if (!h->expiring) {
		h->expiry = (struct store_expiry){.now_at = clock_now_at()};
		h->expiry_again = false;
	}
	h->expiring = true;
	h->expiry.junk_days = h->engine->settings->mail_junk_days;
	h->expiry.deleted_days = h->engine->settings->mail_deleted_days;
}

static int64_t days_before(int64_t now_at, uint64_t days)
{
	return now_at - (int64_t)days * DAY_S;
}

static void choose_times(struct sweep *sweep, const struct settings *s)
{
	int64_t now_at = clock_now_at();

	sweep->before_at[SWEEP_TOMBSTONES] = days_before(now_at, s->store_tombstone_days);
	sweep->before_at[SWEEP_CRASHES] = now_at - (int64_t)s->poison_request_refuse_s;
	sweep->before_at[SWEEP_IMPORTS] = days_before(now_at, s->store_import_memory_days);
	sweep->before_at[SWEEP_SESSIONS] = now_at;
	sweep->before_at[SWEEP_ABSENCES] = days_before(now_at, s->mail_oof_days);
	if (s->log_keep_days > 0)
		sweep->before_at[SWEEP_LOG] = days_before(now_at, s->log_keep_days);
}

static void on_timer(void *owner)
{
	struct housekeeping *h = owner;
	struct sweep *sweep;

	/* The one that is on its way sets the timer again. */
	if (h->sweeping)
		return;
	h->sweeping = true;
	sweep = x_new(struct sweep);
	begin_expiry(h);
	sweep->expires = h->expiring;
	sweep->expiry = h->expiry;
	sweep->job = (struct job){.name = "sweep", .run = run_sweep, .done = on_sweep_done};
	sweep->owner = h;
	choose_times(sweep, h->engine->settings);
	engine_submit(h->engine, &sweep->job);
}

struct housekeeping *housekeeping_new(struct engine *engine, struct store *store)
{
	struct housekeeping *h = x_new(struct housekeeping);

	h->engine = engine;
	h->store = store;
	loop_timer_init(&h->timer, engine->loop, "sweep", on_timer, h);
	loop_timer_set(&h->timer, clock_now_ms() + SWEEP_EVERY_MS);
	return h;
}

void housekeeping_settings_changed(struct housekeeping *h)
{
	h->expiry_due_ms = 0;
	h->expiry_again = true;
	if (!h->sweeping)
		loop_timer_set(&h->timer, clock_now_ms() + SWEEP_AGAIN_MS);
}

uint64_t housekeeping_expired(const struct housekeeping *h)
{
	return atomic_load(&h->expired);
}

void housekeeping_free(struct housekeeping **housekeeping)
{
	struct housekeeping *h = *housekeeping;

	*housekeeping = NULL;
	if (h == NULL)
		return;
	loop_timer_clear(&h->timer);
	mem_free(h);
}
