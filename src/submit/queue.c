/*
 * The threads of the queue. The normal case: submit_queue_step() claims the message that is due
 * next, hands those of its recipients whose time has come to the relay, a batch for each
 * transaction, and commits what became of them. Who failed for good is then reported to the sender,
 * in a transaction of its own that takes the rows out of the queue: a full mailbox must not keep
 * what the relay said from being written down.
 *
 * Invariants: a message is with one thread at a time (`claimed`). What the relay said is committed
 * before anything else is done with the message, however often the commit fails: giving up would
 * send it twice. Reports are in queue_report.c.
 *
 * When the relay cannot be reached, nothing is asked of it for a moment: messages that are due
 * meanwhile count this as their attempt.
 */
#include "submit/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "mime/mime.h"
#include "store/store_queue.h"
#include "submit/bounce.h"
#include "submit/queue_internal.h"

#define THREADS_MAX    64
#define LOOK_AGAIN_S   60 /* at the latest: the wall clock may have been set */
#define PAUSE_MAX_S    60 /* after trouble with the relay */
#define COMMIT_AGAIN_S 2  /* when what was done cannot be written down */
#define STACK_BYTES    ((size_t)1024 * 1024)

struct submit_queue {
	struct store *store;
	submit_transport_fn transport;
	pthread_t threads[THREADS_MAX];
	uint32_t thread_count;
	atomic_bool stopping;
	_Atomic(uint64_t) sent, deferred, failed, reports, trouble;

	pthread_mutex_t claim_lock; /* held while one looks for work; before `lock` */
	pthread_mutex_t lock;       /* all below */
	pthread_cond_t changed;
	const struct settings *settings;
	uint64_t kicks;
	uint64_t claimed[THREADS_MAX + 1]; /* messages at work; 0: free */
	int64_t paused_until_ms;           /* monotonic */
	char why_paused[256];
};

/* ---- the schedule ---- */

int64_t queue_deadline(const struct work *w)
{
	return w->mail->queued_at + (int64_t)w->settings->relay_give_up_s;
}

int64_t queue_pause_after(const struct settings *s, uint32_t attempts)
{
	uint64_t pause = s->relay_retry_min_s;

	for (uint32_t i = 1; i < attempts && pause < s->relay_retry_max_s; i++)
		pause *= 2;
	return (int64_t)MIN(pause, MAX(s->relay_retry_max_s, s->relay_retry_min_s));
}

struct queue_result *queue_add_result(struct work *w, const struct queue_recipient *r)
{
	struct queue_result *result = &w->results[w->result_count++];

	*result = (struct queue_result){.position = r->position,
		.state = r->state,
		.attempts = r->attempts,
		.next_at = r->next_at,
		.last_at = r->last_at,
		.answer = r->answer};
	return result;
}

static void add_outcome(struct work *w, const struct queue_recipient *r, enum relay_outcome outcome,
	const char *text)
{
	struct submit_queue *q = w->queue;
	struct queue_result *result;

	/* Cut off by ourselves: that was no attempt. */
	if (outcome == RELAY_LATER && atomic_load(&q->stopping))
		return;
	result = queue_add_result(w, r);

	result->attempts++;
	result->last_at = w->now_at;
	result->answer = arena_x_strdup(w->arena, text);
	result->next_at = w->now_at;
	if (outcome == RELAY_ACCEPTED) {
		result->gone = true;
		atomic_fetch_add(&q->sent, 1);
	} else if (outcome == RELAY_REFUSED || w->now_at >= queue_deadline(w)) {
		result->state = QUEUE_FAILED;
		atomic_fetch_add(&q->failed, 1);
	} else {
		/* The last attempt is at the deadline. */
		result->next_at = MIN(w->now_at + queue_pause_after(w->settings, result->attempts),
			MAX(queue_deadline(w), w->now_at + 1));
		atomic_fetch_add(&q->deferred, 1);
	}
}

/* ---- writing down ---- */

int queue_set_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct work *w = owner;

	return store_queue_set(tx, w->mail->id, w->results, w->result_count, err);
}

static void nap(struct submit_queue *q, uint32_t seconds)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	(void)pthread_mutex_lock(&q->lock);
	while (!atomic_load(&q->stopping) &&
		pthread_cond_clockwait(&q->changed, &q->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	(void)pthread_mutex_unlock(&q->lock);
}

/* Until it is done: only a stop leaves the message as it was. */
bool queue_commit_results(struct work *w)
{
	for (;;) {
		struct err err = ERR_INIT;

		if (w->result_count == 0 ||
			store_transact(w->queue->store, queue_set_tx, w, &err) == 0) {
			w->result_count = 0;
			return true;
		}
		log_error(NULL, "queue_commit_finished", F_UINT("mail", w->mail->id.v),
			F_STR("result", err_code_to_str(err.code)), F_ERR(&err));
		if (w->queue->thread_count == 0 || atomic_load(&w->queue->stopping))
			return false;
		nap(w->queue, COMMIT_AGAIN_S);
	}
}

/* ---- the relay ---- */

static void add_received(struct work *w, struct buf *out)
{
	buf_addf(out, "Received: by %s (Bellhop) with HTTP id %" PRIu64 ";\r\n\t",
		w->settings->hostname, w->mail->id.v);
	mime_add_date(out, w->mail->queued_at);
	buf_add_str(out, "\r\n");
}

static void begin_pause(struct submit_queue *q, const struct settings *s, const char *why)
{
	int64_t pause_ms = (int64_t)MIN(s->relay_retry_min_s, (uint64_t)PAUSE_MAX_S) * 1000;

	atomic_fetch_add(&q->trouble, 1);
	(void)pthread_mutex_lock(&q->lock);
	q->paused_until_ms = clock_now_ms() + pause_ms;
	(void)snprintf(q->why_paused, sizeof(q->why_paused), "%s", why);
	(void)pthread_mutex_unlock(&q->lock);
}

/* True: text says why. */
static bool is_paused(struct submit_queue *q, struct err *err)
{
	bool paused;

	(void)pthread_mutex_lock(&q->lock);
	paused = clock_now_ms() < q->paused_until_ms;
	if (paused)
		(void)err_set(err, ERR_BACKEND, "%s", q->why_paused);
	(void)pthread_mutex_unlock(&q->lock);
	return paused;
}

static void end_pause(struct submit_queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->paused_until_ms = 0;
	(void)pthread_mutex_unlock(&q->lock);
}

static void log_batch(const struct work *w, const struct relay_answer *answers, size_t count)
{
	size_t accepted = 0, refused = 0;

	for (size_t i = 0; i < count; i++) {
		accepted += answers[i].outcome == RELAY_ACCEPTED;
		refused += answers[i].outcome == RELAY_REFUSED;
	}
	log_info(NULL, "relay_finished", F_UINT("mail", w->mail->id.v),
		F_UINT("accepted", accepted), F_UINT("refused", refused),
		F_UINT("later", count - accepted - refused));
}

/* One transaction with the relay for these recipients. */
static void send_batch(struct work *w, struct queue_recipient *const *batch, size_t count)
{
	struct relay_answer *answers = x_calloc(count, sizeof(*answers));
	const char **addresses = x_calloc(count, sizeof(*addresses));
	struct relay_message message = {.sender = w->mail->sender,
		.recipients = addresses,
		.recipient_count = count,
		.raw = w->body.bytes,
		.len = w->body.len};
	struct buf head = BUF_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < count; i++)
		addresses[i] = batch[i]->address;
	add_received(w, &head);
	message.head = head.data;
	message.head_len = head.len;
	if (w->body.bytes == NULL) {
		for (size_t i = 0; i < count; i++)
			add_outcome(w, batch[i], RELAY_LATER, w->body_err.text);
	} else if (is_paused(w->queue, &err)) {
		for (size_t i = 0; i < count; i++)
			add_outcome(w, batch[i], RELAY_LATER, err.text);
	} else if (w->queue->transport(w->settings, &message, &w->queue->stopping, answers, &err) <
		   0) {
		log_warn(NULL, "relay_finished", F_UINT("mail", w->mail->id.v),
			F_STR("result", err_code_to_str(err.code)), F_ERR(&err));
		begin_pause(w->queue, w->settings, err.text);
		for (size_t i = 0; i < count; i++)
			add_outcome(w, batch[i], RELAY_LATER, err.text);
	} else {
		end_pause(w->queue);
		log_batch(w, answers, count);
		for (size_t i = 0; i < count; i++)
			add_outcome(w, batch[i], answers[i].outcome, answers[i].text);
	}
	buf_deinit(&head);
	mem_free(addresses);
	mem_free(answers);
}

/* False: what was done could not be written down; the message is left alone. */
static bool send_due(struct work *w)
{
	size_t max = w->settings->relay_recipients_max, count = 0;
	struct queue_recipient **batch = arena_x_alloc(
		w->arena, w->mail->recipient_count * sizeof(struct queue_recipient *));

	for (size_t i = 0; i < w->mail->recipient_count; i++) {
		struct queue_recipient *r = &w->mail->recipients[i];

		if (r->state == QUEUE_WAITING && r->next_at <= w->now_at)
			batch[count++] = r;
		if (count == 0 || (count < max && i + 1 < w->mail->recipient_count))
			continue;
		send_batch(w, batch, count);
		count = 0;
		if (!queue_commit_results(w) || atomic_load(&w->queue->stopping))
			return false;
	}
	return true;
}

/* ---- one message ---- */

static int load(struct work *w, struct queue_id id, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(w->queue->store, &rd, err) < 0 ||
		store_queue_load(rd, id, w->arena, &w->mail, err) < 0)
		return -1;
	w->body_err = (struct err)ERR_INIT;
	if (w->body.bytes == NULL && store_queue_body(rd, id, &w->body, &w->body_err) < 0)
		log_error(NULL, "queue_read_finished", F_UINT("mail", id.v),
			F_STR("result", err_code_to_str(w->body_err.code)), F_ERR(&w->body_err));
	w->results = arena_x_alloc(
		w->arena, (w->mail->recipient_count + 1) * sizeof(struct queue_result));
	return 0;
}

static bool has_failures(const struct work *w)
{
	for (size_t i = 0; i < w->mail->recipient_count; i++) {
		if (w->mail->recipients[i].state == QUEUE_FAILED &&
			w->mail->recipients[i].next_at <= w->now_at)
			return true;
	}
	return false;
}

static void process(struct submit_queue *q, struct queue_id id)
{
	struct work w = {
		.queue = q, .store = q->store, .arena = arena_new(0), .now_at = clock_now_at()};
	struct err err = ERR_INIT;

	(void)pthread_mutex_lock(&q->lock);
	w.settings = settings_ref(q->settings);
	(void)pthread_mutex_unlock(&q->lock);
	if (load(&w, id, &err) == 0 && send_due(&w)) {
		/* What the relay said is in the rows now. */
		w.result_count = 0;
		if (load(&w, id, &err) == 0 && has_failures(&w))
			queue_report_failures(&w);
	}
	if (w.reported)
		atomic_fetch_add(&q->reports, 1);
	if (err.code != 0 && err.code != ERR_NOT_FOUND) {
		log_error(NULL, "queue_read_finished", F_UINT("mail", id.v),
			F_STR("result", err_code_to_str(err.code)), F_ERR(&err));
		nap(q, q->thread_count > 0 ? COMMIT_AGAIN_S : 0);
	}
	store_body_release(&w.body);
	settings_unref(&w.settings);
	arena_free(&w.arena);
}

/* ---- looking for work ---- */

/* False when another thread has it, or all places are taken. */
static bool claim(struct submit_queue *q, struct queue_id id, size_t *ret_place)
{
	size_t free_place = ARRAY_LEN(q->claimed);
	bool taken = false;

	(void)pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < ARRAY_LEN(q->claimed); i++) {
		taken |= q->claimed[i] == id.v;
		if (q->claimed[i] == 0)
			free_place = i;
	}
	if (!taken && free_place < ARRAY_LEN(q->claimed)) {
		q->claimed[free_place] = id.v;
		*ret_place = free_place;
	}
	(void)pthread_mutex_unlock(&q->lock);
	return !taken && free_place < ARRAY_LEN(q->claimed);
}

/* False: nothing is due. Under claim_lock, so that nobody claims what we have just read as free. */
static bool find_work(
	struct submit_queue *q, struct queue_id *ret, size_t *ret_place, uint32_t *ret_wait_s)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	int64_t now_at = clock_now_at();
	struct err err = ERR_INIT;
	struct queue_due *due;
	size_t count;

	*ret_wait_s = LOOK_AGAIN_S;
	if (store_read_begin(q->store, &rd, &err) < 0 ||
		store_queue_next(rd, THREADS_MAX + 1, arena, &due, &count, &err) < 0) {
		log_error(NULL, "queue_read_finished", F_STR("result", err_code_to_str(err.code)),
			F_ERR(&err));
		*ret_wait_s = COMMIT_AGAIN_S;
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (due[i].next_at > now_at) {
			*ret_wait_s = (uint32_t)MIN(due[i].next_at - now_at, LOOK_AGAIN_S);
			return false;
		}
		if (claim(q, due[i].id, ret_place)) {
			*ret = due[i].id;
			return true;
		}
	}
	return false;
}

bool submit_queue_step(struct submit_queue *q, uint32_t *ret_wait_s)
{
	struct queue_id id;
	size_t place;
	bool found;

	(void)pthread_mutex_lock(&q->claim_lock);
	found = find_work(q, &id, &place, ret_wait_s);
	(void)pthread_mutex_unlock(&q->claim_lock);
	if (!found)
		return false;
	process(q, id);
	(void)pthread_mutex_lock(&q->lock);
	q->claimed[place] = 0;
	(void)pthread_mutex_unlock(&q->lock);
	return true;
}

static void *run_thread(void *owner)
{
	struct submit_queue *q = owner;

	notes_thread_join();
	while (!atomic_load(&q->stopping)) {
		struct timespec until;
		uint64_t kicks;
		uint32_t wait_s;

		(void)pthread_mutex_lock(&q->lock);
		kicks = q->kicks;
		(void)pthread_mutex_unlock(&q->lock);
		if (submit_queue_step(q, &wait_s))
			continue;
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)wait_s;
		(void)pthread_mutex_lock(&q->lock);
		while (!atomic_load(&q->stopping) && q->kicks == kicks &&
			pthread_cond_clockwait(&q->changed, &q->lock, CLOCK_MONOTONIC, &until) == 0)
			;
		(void)pthread_mutex_unlock(&q->lock);
	}
	notes_thread_leave();
	return NULL;
}

/* ---- up and down ---- */

void submit_queue_kick(struct submit_queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->kicks++;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
}

void submit_queue_retry_now(struct submit_queue *q)
{
	end_pause(q);
	submit_queue_kick(q);
}

void submit_queue_set_settings(struct submit_queue *q, const struct settings *settings)
{
	const struct settings *old;

	(void)pthread_mutex_lock(&q->lock);
	old = q->settings;
	q->settings = settings_ref(settings);
	(void)pthread_mutex_unlock(&q->lock);
	settings_unref(&old);
	submit_queue_retry_now(q);
}

void submit_queue_read_counters(struct submit_queue *q, struct submit_queue_counters *ret)
{
	ret->sent = atomic_load(&q->sent);
	ret->deferred = atomic_load(&q->deferred);
	ret->failed = atomic_load(&q->failed);
	ret->reports = atomic_load(&q->reports);
	ret->trouble = atomic_load(&q->trouble);
}

static int start_threads(struct submit_queue *q, uint32_t count, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc = 0;

	(void)sigfillset(&all); /* signals are the loop's */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Before the first one looks at it. */
	q->thread_count = MIN(count, (uint32_t)THREADS_MAX);
	for (uint32_t i = 0; i < q->thread_count && rc == 0; i++) {
		rc = pthread_create(&q->threads[i], &attr, run_thread, q);
		if (rc != 0)
			q->thread_count = i;
	}
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc == 0 ? 0 : err_set_errno(err, rc, "threads of the queue");
}

int submit_queue_start(
	const struct submit_queue_options *options, struct submit_queue **ret, struct err *err)
{
	struct submit_queue *q = x_new(struct submit_queue);

	q->store = options->store;
	q->transport = options->transport != NULL ? options->transport : relay_send;
	q->settings = settings_ref(options->settings);
	(void)pthread_mutex_init(&q->claim_lock, NULL);
	(void)pthread_mutex_init(&q->lock, NULL);
	(void)pthread_cond_init(&q->changed, NULL);
	if (start_threads(q, options->threads, err) < 0) {
		submit_queue_stop(&q);
		return -1;
	}
	*ret = q;
	return 0;
}

void submit_queue_stop(struct submit_queue **queue)
{
	struct submit_queue *q = *queue;

	if (q == NULL)
		return;
	*queue = NULL;
	(void)pthread_mutex_lock(&q->lock);
	atomic_store(&q->stopping, true);
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
	for (uint32_t i = 0; i < q->thread_count; i++)
		(void)pthread_join(q->threads[i], NULL);
	settings_unref(&q->settings);
	(void)pthread_mutex_destroy(&q->claim_lock);
	(void)pthread_mutex_destroy(&q->lock);
	(void)pthread_cond_destroy(&q->changed);
	mem_free(q);
}
