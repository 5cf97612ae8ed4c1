#include "store/store_check.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"

static const char body_text[] = "From: a\r\n\r\nText\r\n";
static const char *const three[] = {"a@far.example", "b@far.example", "C@far.example"};

static struct queue_new new_mail;
static struct queue_id added;

static int add_mail(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_add(tx, &new_mail, &added, err);
}

static struct queue_id put(struct world *w, int64_t now_at)
{
	static struct store_new_body body;
	struct err err = ERR_INIT;

	REQUIRE_OK(
		store_body_prepare(w->store, body_text, sizeof(body_text) - 1, &body, &err), &err);
	new_mail = (struct queue_new){.owner = w->anna,
		.sender = "anna@example.org",
		.recipients = three,
		.recipient_count = 3,
		.body = &body,
		.now_at = now_at};
	REQUIRE_OK(transact(w, add_mail, &err), &err);
	return added;
}

static struct queue_mail *find(struct world *w, struct queue_id id)
{
	struct store_read *rd = reading(w);
	struct queue_mail *mail = NULL;
	struct err err = ERR_INIT;
	int rc = store_queue_load(rd, id, w->arena, &mail, &err);

	store_read_end(&rd);
	CHECK(rc == 0 || err.code == ERR_NOT_FOUND);
	return rc == 0 ? mail : NULL;
}

static struct queue_mail *load(struct world *w, struct queue_id id)
{
	struct queue_mail *mail = find(w, id);

	REQUIRE(mail != NULL);
	return mail;
}

static struct queue_due next(struct world *w)
{
	struct store_read *rd = reading(w);
	struct queue_due *due = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	REQUIRE_OK(store_queue_next(rd, 1, w->arena, &due, &count, &err), &err);
	store_read_end(&rd);
	return count > 0 ? due[0] : (struct queue_due){{0}, INT64_MAX};
}

static struct queue_result results[3];
static size_t result_count;

static int set_results(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_set(tx, added, results, result_count, err);
}

static void on_damage(const char *text, void *owner)
{
	(void)owner;
	CHECK_STR(text, "");
}

static void check_store(struct world *w)
{
	struct store_check_options options = {.found = on_damage};
	struct store_check_result result;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_check(w->store, &options, &result, &err), &err);
}

static void test_life(void)
{
	struct world *w = world_new();
	struct queue_id id = put(w, 5000);
	struct store_read *rd = reading(w);
	struct queue_mail *mail = load(w, id);
	struct store_body body;
	struct queue_counts counts;
	struct err err = ERR_INIT;

	CHECK_INT(mail->recipient_count, 3);
	CHECK_STR(mail->sender, "anna@example.org");
	CHECK_STR(mail->recipients[2].address, "C@far.example");
	CHECK_INT(mail->recipients[2].next_at, 5000);
	REQUIRE_OK(store_queue_body(rd, id, &body, &err), &err);
	CHECK_MEM(body.bytes, body.len, body_text, sizeof(body_text) - 1);
	store_body_release(&body);
	REQUIRE_OK(store_queue_count(rd, &counts, &err), &err);
	CHECK(counts.mails == 1 && counts.recipients == 3 && counts.bytes == mail->bytes);
	store_read_end(&rd);
	check_store(w);
	CHECK_INT(next(w).next_at, 5000);

	/* One went, one waits, one failed. */
	results[0] = (struct queue_result){.position = 1, .gone = true};
	results[1] = (struct queue_result){
		.position = 2, .attempts = 1, .next_at = 5900, .last_at = 5000, .answer = "451 x"};
	results[2] = (struct queue_result){.position = 3,
		.state = QUEUE_FAILED,
		.attempts = 1,
		.next_at = 5400,
		.answer = "550 no"};
	result_count = 3;
	REQUIRE_OK(transact(w, set_results, &err), &err);
	mail = load(w, id);
	CHECK_INT(mail->recipient_count, 2);
	CHECK_STR(mail->recipients[0].answer, "451 x");
	CHECK_INT(mail->recipients[1].state, QUEUE_FAILED);
	CHECK_INT(next(w).next_at, 5400);
	results[0] = (struct queue_result){.position = 2, .gone = true};
	results[1] = (struct queue_result){.position = 3, .gone = true};
	result_count = 2;
	REQUIRE_OK(transact(w, set_results, &err), &err);
	CHECK(find(w, id) == NULL);
	CHECK_INT(next(w).id.v, 0);
	check_store(w);
	world_free(&w);
}

static void test_bounds(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	(void)put(w, 1);
	new_mail.mails_max = 1;
	CHECK_INT(transact(w, add_mail, &err), -1);
	CHECK_INT(err.code, ERR_BUSY);
	new_mail.mails_max = 2;
	new_mail.mails_per_owner_max = 1;
	CHECK_INT(transact(w, add_mail, &err), -1);
	CHECK_INT(err.code, ERR_DENIED);
	new_mail.owner = w->bob;
	new_mail.bytes_max = sizeof(body_text);
	CHECK_INT(transact(w, add_mail, &err), -1);
	CHECK_INT(err.code, ERR_BUSY);
	new_mail.bytes_max = 1000;
	REQUIRE_OK(transact(w, add_mail, &err), &err);
	world_free(&w);
}

static uint64_t count;
static const char *only;

static int do_retry(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_retry(tx, added, 7000, &count, err);
}

static int do_drop(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_drop(tx, added, only, &count, err);
}

static int do_hold(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_queue_hold(tx, err);
}

static void test_administration(void)
{
	struct world *w = world_new();
	struct queue_id id = put(w, 5000);
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, do_hold, &err), &err);
	CHECK_INT(next(w).id.v, 0); /* never, by itself */
	CHECK_INT(load(w, id)->recipients[0].state, QUEUE_HELD);
	REQUIRE_OK(transact(w, do_retry, &err), &err);
	CHECK_INT(count, 3);
	CHECK_INT(next(w).next_at, 7000);
	CHECK_INT(load(w, id)->recipients[0].state, QUEUE_WAITING);
	only = "c@FAR.example";
	REQUIRE_OK(transact(w, do_drop, &err), &err);
	CHECK_INT(count, 1);
	CHECK_INT(transact(w, do_drop, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK(strstr(err.text, "is not for <c@FAR.example>") != NULL);
	added.v += 1000;
	CHECK_INT(transact(w, do_drop, &err), -1);
	CHECK(strstr(err.text, "there is no message ") != NULL);
	added = id;
	only = NULL;
	REQUIRE_OK(transact(w, do_drop, &err), &err);
	CHECK_INT(count, 2);
	CHECK(find(w, id) == NULL);
	CHECK_INT(transact(w, do_retry, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	added.v = 0;
	REQUIRE_OK(transact(w, do_retry, &err), &err);
	check_store(w);
	world_free(&w);
}

TEST_MAIN(TEST(test_life), TEST(test_bounds), TEST(test_administration))
