/*
 * The queue's work with a made-up relay and a clock that stands still: schedules, reports, what is
 * written down and when. Reports by themselves.
 */
#include "submit/bounce.h"
#include "submit/queue.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/store_internal.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"

#define NOW_S 1000000

static const char body_text[] =
	"From: anna@example.org\r\nMessage-ID: <id@x>\r\nSubject: s\r\n\r\nText\r\n";

/* The relay: an answer for each address, by its first letter. */
static unsigned calls, recipients_seen;
static bool relay_down;
static const char *answer_d = "250 ok"; /* to those who begin with d */
static struct world *world_at_call;     /* its store fails from the answer on */
static char head_seen[200];

static int made_up_relay(const struct settings *settings, const struct relay_message *m,
	const _Atomic(bool) *stopping, struct relay_answer *answers, struct err *err)
{
	(void)settings;
	(void)stopping;
	calls++;
	(void)snprintf(
		head_seen, sizeof(head_seen), "%.*s", (int)m->head_len, (const char *)m->head);
	if (relay_down)
		return err_set(err, ERR_BACKEND, "nobody is there");
	for (size_t i = 0; i < m->recipient_count; i++) {
		const char *text = m->recipients[i][0] == 'a'   ? "250 2.0.0 ok"
				   : m->recipients[i][0] == 'b' ? "451 4.2.1 later"
				   : m->recipients[i][0] == 'c' ? "550 5.1.1 nobody"
								: answer_d;

		recipients_seen++;
		answers[i].outcome = text[0] == '2'   ? RELAY_ACCEPTED
				     : text[0] == '5' ? RELAY_REFUSED
						      : RELAY_LATER;
		(void)snprintf(answers[i].text, sizeof(answers[i].text), "%s", text);
	}
	if (world_at_call != NULL)
		store_fail_after(world_at_call->store, 1, ERR_QUOTA);
	return 0;
}

static const struct settings *settings_of(const char *const *pairs)
{
	const struct settings *s = settings_default();
	struct err err = ERR_INIT;

	for (; *pairs != NULL; pairs += 2) {
		const struct settings *next;

		REQUIRE_OK(settings_with(s, pairs[0], pairs[1], &next, &err), &err);
		settings_unref(&s);
		s = next;
	}
	return s;
}

static const char *const usual[] = {"relay.host", "relay.example", "relay.retry_min_s", "60",
	"relay.retry_max_s", "200", "relay.give_up_s", "1000", "relay.recipients_max", "2",
	"server.hostname", "mail.example.org", NULL};

static struct submit_queue *new_queue(struct world *w)
{
	const struct settings *s = settings_of(usual);
	struct submit_queue_options options = {
		.store = w->store, .settings = s, .transport = made_up_relay};
	struct submit_queue *q = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(submit_queue_start(&options, &q, &err), &err);
	settings_unref(&s);
	calls = recipients_seen = 0;
	relay_down = false;
	world_at_call = NULL;
	answer_d = "250 ok";
	clock_fake_set((int64_t)NOW_S * 1000, 1000);
	return q;
}

static struct queue_new new_mail;
static struct queue_id added;

static int add_tx(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_add(tx, &new_mail, &added, err);
}

static void put(struct world *w, const char *const *to, size_t count, const char *sender)
{
	struct store_new_body body;
	struct err err = ERR_INIT;

	REQUIRE_OK(
		store_body_prepare(w->store, body_text, sizeof(body_text) - 1, &body, &err), &err);
	new_mail = (struct queue_new){.owner = w->anna,
		.sender = sender,
		.recipients = to,
		.recipient_count = count,
		.body = &body,
		.now_at = clock_now_at()};
	REQUIRE_OK(transact(w, add_tx, &err), &err);
}

static struct queue_mail *find(struct world *w)
{
	struct store_read *rd = reading(w);
	struct queue_mail *mail = NULL;
	struct err err = ERR_INIT;
	int rc = store_queue_load(rd, added, w->arena, &mail, &err);

	store_read_end(&rd);
	return rc == 0 ? mail : NULL;
}

static struct queue_mail *load(struct world *w)
{
	struct queue_mail *mail = find(w);

	REQUIRE(mail != NULL);
	return mail;
}

static size_t inbox(struct world *w)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folder;
	uint64_t count;

	REQUIRE_OK(store_folder_by_type(rd, w->anna, FOLDER_INBOX, w->arena, &folder, &err), &err);
	REQUIRE_OK(store_item_count(rd, w->anna, folder->id, INT64_MIN, 0, &count, &err), &err);
	store_read_end(&rd);
	return count;
}

static void test_outcomes(void)
{
	static const char *const to[] = {"a@x", "b@x", "c@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	struct submit_queue_counters counters;
	struct queue_mail *mail;
	uint32_t wait_s = 0;

	CHECK(!submit_queue_step(q, &wait_s));
	CHECK_INT(wait_s, 60);
	put(w, to, 3, "anna@example.org");
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_INT(calls, 2); /* two recipients at a time */
	CHECK(strstr(head_seen, "Received: by mail.example.org (Bellhop)") == head_seen);
	mail = load(w);
	REQUIRE(mail->recipient_count == 1);
	CHECK_STR(mail->recipients[0].address, "b@x");
	CHECK_STR(mail->recipients[0].answer, "451 4.2.1 later");
	CHECK_INT(mail->recipients[0].next_at, NOW_S + 60);
	CHECK_INT(inbox(w), 1); /* the report about c */
	CHECK(!submit_queue_step(q, &wait_s));
	CHECK_INT(wait_s, 60);
	clock_fake_advance_ms(30 * 1000);
	CHECK(!submit_queue_step(q, &wait_s));
	CHECK_INT(wait_s, 30);
	submit_queue_read_counters(q, &counters);
	CHECK(counters.sent == 1 && counters.deferred == 1 && counters.failed == 1 &&
		counters.reports == 1 && counters.trouble == 0);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

static void test_schedule(void)
{
	static const char *const to[] = {"b@x"};
	static const int64_t due[] = {60, 180, 380, 580, 780, 980, 1000};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	uint32_t wait_s = 0;

	put(w, to, 1, "anna@example.org");
	CHECK(submit_queue_step(q, &wait_s));
	for (size_t i = 0; i < ARRAY_LEN(due); i++) {
		struct queue_mail *mail = load(w);

		CHECK_INT(mail->recipients[0].next_at, NOW_S + due[i]);
		clock_fake_set((NOW_S + due[i]) * 1000 - 1, 1000);
		CHECK(!submit_queue_step(q, &wait_s));
		CHECK_INT(inbox(w), 0);
		clock_fake_set((NOW_S + due[i]) * 1000, 1000);
		CHECK(submit_queue_step(q, &wait_s));
	}
	CHECK(find(w) == NULL);
	CHECK_INT(inbox(w), 1);
	CHECK_INT(calls, 8);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

static void test_trouble(void)
{
	static const char *const to[] = {"a@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	uint32_t wait_s = 0;

	relay_down = true;
	put(w, to, 1, "anna@example.org");
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_STR(load(w)->recipients[0].answer, "nobody is there");
	CHECK_INT(calls, 1);
	/* A pause: the next message does not ask. */
	put(w, to, 1, "anna@example.org");
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_STR(load(w)->recipients[0].answer, "nobody is there");
	CHECK_INT(calls, 1);
	relay_down = false;
	clock_fake_advance_ms(60 * 1000);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_INT(calls, 3);
	CHECK(find(w) == NULL);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

/* What the relay said is lost with a full disk, as with a crash: it is asked again. */
static void test_lost_commit(void)
{
	static const char *const to[] = {"a@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	uint32_t wait_s = 0;

	put(w, to, 1, "anna@example.org");
	world_at_call = w;
	CHECK(submit_queue_step(q, &wait_s));
	store_fail_after(w->store, 0, ERR_QUOTA);
	world_at_call = NULL;
	CHECK_INT(load(w)->recipients[0].attempts, 0);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK(find(w) == NULL);
	CHECK_INT(recipients_seen, 2);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

static int tiny_quota(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->anna, 1, err);
}

static int no_quota(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->anna, 0, err);
}

static int no_anna(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->anna, err);
}

static void test_full_mailbox(void)
{
	static const char *const to[] = {"a@x", "c@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	struct err err = ERR_INIT;
	uint32_t wait_s = 0;

	REQUIRE_OK(transact(w, tiny_quota, &err), &err);
	put(w, to, 2, "anna@example.org");
	CHECK(submit_queue_step(q, &wait_s));
	/* What was accepted is gone; the report waits, and the relay is not asked again. */
	REQUIRE(load(w)->recipient_count == 1);
	CHECK_INT(load(w)->recipients[0].state, QUEUE_FAILED);
	CHECK_INT(inbox(w), 0);
	REQUIRE_OK(transact(w, no_quota, &err), &err);
	clock_fake_advance_ms(1000 * 1000);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_INT(inbox(w), 1);
	CHECK_INT(calls, 1);
	CHECK(find(w) == NULL);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

static const char *last_event(struct world *w)
{
	struct store_read *rd = reading(w);
	struct log_row *rows = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	REQUIRE_OK(store_log_list(rd, "", 0, 1, w->arena, &rows, &count, &err), &err);
	store_read_end(&rd);
	return count > 0 ? rows[0].action : "";
}

/* No report about a report, and none to somebody who is gone. */
static void test_nobody_to_tell(void)
{
	static const char *const to[] = {"c@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	struct err err = ERR_INIT;
	uint32_t wait_s = 0;

	put(w, to, 1, "");
	CHECK(submit_queue_step(q, &wait_s));
	CHECK(find(w) == NULL);
	CHECK_INT(inbox(w), 0);
	CHECK_STR(last_event(w), "mail lost");
	put(w, to, 1, "anna@example.org");
	REQUIRE_OK(transact(w, no_anna, &err), &err);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK(find(w) == NULL);
	CHECK_STR(last_event(w), "mail lost");
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

static int lose_body(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_run_id(tx, "DELETE FROM bodies WHERE owner = 0 AND id = $1", added.v, err);
}

/* What cannot be read does not stop the others, and comes back at the end. */
static void test_lost_body(void)
{
	static const char *const to[] = {"a@x"};
	struct world *w = world_new();
	struct submit_queue *q = new_queue(w);
	struct err err = ERR_INIT;
	uint32_t wait_s = 0;

	put(w, to, 1, "anna@example.org");
	REQUIRE_OK(transact(w, lose_body, &err), &err);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK_INT(calls, 0);
	CHECK_INT(load(w)->recipients[0].next_at, NOW_S + 60);
	CHECK(!submit_queue_step(q, &wait_s));
	clock_fake_advance_ms(1000 * 1000);
	CHECK(submit_queue_step(q, &wait_s));
	CHECK(find(w) == NULL);
	CHECK_INT(inbox(w), 1);
	submit_queue_stop(&q);
	clock_fake_off();
	world_free(&w);
}

/* ---- threads ---- */

enum { MANY = 40 };
static pthread_mutex_t many_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t many_changed = PTHREAD_COND_INITIALIZER;
static unsigned many_seen[MANY], many_total;

static int counting_relay(const struct settings *settings, const struct relay_message *m,
	const _Atomic(bool) *stopping, struct relay_answer *answers, struct err *err)
{
	uint64_t number = 0;

	(void)settings;
	(void)stopping;
	REQUIRE_OK(str_parse_u64(m->recipients[0] + 1, MANY - 1, &number, err), err);
	(void)pthread_mutex_lock(&many_lock);
	many_seen[number]++;
	many_total++;
	answers[0].outcome = RELAY_ACCEPTED;
	(void)pthread_cond_broadcast(&many_changed);
	(void)pthread_mutex_unlock(&many_lock);
	return 0;
}

/* Several threads, mail that comes while they work: each message goes once. */
static void test_threads(void)
{
	const struct settings *s = settings_of(usual);
	struct world *w = world_new();
	struct submit_queue_options options = {
		.store = w->store, .settings = s, .transport = counting_relay, .threads = 3};
	struct submit_queue *q = NULL;
	struct store_read *rd;
	struct queue_counts counts;
	struct err err = ERR_INIT;

	REQUIRE_OK(submit_queue_start(&options, &q, &err), &err);
	for (unsigned i = 0; i < MANY; i++) {
		char address[16];
		const char *const to[] = {address};

		(void)snprintf(address, sizeof(address), "a%u", i);
		put(w, to, 1, "anna@example.org");
		submit_queue_kick(q);
	}
	(void)pthread_mutex_lock(&many_lock);
	while (many_total < MANY)
		(void)pthread_cond_wait(&many_changed, &many_lock);
	(void)pthread_mutex_unlock(&many_lock);
	submit_queue_set_settings(q, s);
	submit_queue_stop(&q);
	for (unsigned i = 0; i < MANY; i++)
		CHECK_INT(many_seen[i], 1);
	rd = reading(w);
	REQUIRE_OK(store_queue_count(rd, &counts, &err), &err);
	store_read_end(&rd);
	CHECK_INT(counts.mails, 0);
	settings_unref(&s);
	world_free(&w);
}

static void test_bounce(void)
{
	static const char raw[] = "Subject: x\r\nMessage-ID: <a@b>\r\n\r\nsecret text\r\n";
	static const struct bounce_recipient failed[] = {
		{"one@x", "550 5.1.1 no\r\nBcc: evil", 987809702}, {"two@x", "421 busy", 0},
		{"three@x", "connection refused", 0}};
	struct bounce b = {.hostname = "h.example",
		.to = "anna@example.org",
		.recipients = failed,
		.recipient_count = 3,
		.queued_at = 987809702,
		.now_at = 987809702,
		.raw = raw,
		.len = sizeof(raw) - 1};
	struct buf out = BUF_INIT;
	const char *text;

	bounce_compose(&b, &out);
	text = buf_cstr(&out);
	CHECK(strstr(text, "To: <anna@example.org>\r\n") != NULL);
	CHECK(strstr(text, "In-Reply-To: <a@b>\r\n") != NULL);
	CHECK(strstr(text, "Arrival-Date: Fri, 20 Apr 2001 23:35:02 +0000\r\n") != NULL);
	CHECK(strstr(text, "Final-Recipient: rfc822; one@x\r\nAction: failed\r\nStatus: 5.1.1\r\n"
			   "Diagnostic-Code: smtp; 550 5.1.1 no  Bcc: evil\r\n") != NULL);
	CHECK(strstr(text, "two@x\r\nAction: failed\r\nStatus: 4.4.7\r\nDiagnostic-Code: smtp; 421 "
			   "busy\r\n") != NULL);
	CHECK(strstr(text, "Diagnostic-Code: x-bellhop; connection refused\r\n") != NULL);
	CHECK(strstr(text, "\r\nBcc: evil") == NULL);
	CHECK(strstr(text, "secret") == NULL); /* only the head goes back */
	CHECK(strstr(text, "\r\n\r\nSubject: x\r\nMessage-ID: <a@b>\r\n") != NULL);
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_outcomes), TEST(test_schedule), TEST(test_trouble), TEST(test_lost_commit),
	TEST(test_full_mailbox), TEST(test_nobody_to_tell), TEST(test_lost_body),
	TEST(test_threads), TEST(test_bounce))
