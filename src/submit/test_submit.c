#include "mime/mime.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"
#include "submit/submit.h"

static const struct mime_limits limits = {1000, 50, 262144};
static const char raw[] =
	"From: anna@example.org\r\nTo: bob@example.net\r\nSubject: Hello\r\n\r\nText\r\n";

static struct device_id anna_phone, other_phone;

static int more_people(struct store_tx *tx, struct world *w, struct err *err)
{
	struct device one = {.owner = w->anna, .device_id = "one", .device_type = "x"}, two = one;

	two.device_id = "two";
	if (store_device_save(tx, &one, err) < 0 || store_device_save(tx, &two, err) < 0)
		return -1;
	anna_phone = one.id;
	other_phone = two.id;
	return store_alias_add(tx, w->bob, "robert@example.org", err);
}

static struct world *people(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, more_people, &err), &err);
	w->event_count = 0;
	return w;
}

static struct submit_request request(struct world *w, const char *const *recipients, size_t count)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *anna;

	REQUIRE_OK(store_user_load(rd, w->anna, w->arena, &anna, &err), &err);
	store_read_end(&rd);
	return (struct submit_request){.sender = anna,
		.device = anna_phone,
		.raw = raw,
		.len = sizeof(raw) - 1,
		.recipients = recipients,
		.recipient_count = count,
		.save_in_sent = true,
		.now_at = 5000,
		.sent_memory_h = 1,
		.limits = &limits};
}

static size_t items_in(struct world *w, struct owner_id owner, enum folder_type type)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folder;
	uint64_t count;

	REQUIRE_OK(store_folder_by_type(rd, owner, type, w->arena, &folder, &err), &err);
	REQUIRE_OK(store_item_count(rd, owner, folder->id, INT64_MIN, 0, &count, &err), &err);
	store_read_end(&rd);
	return count;
}

static void test_sends_and_saves(void)
{
	const char *const to[] = {"bob@example.net", "Robert@Example.org", "anna@example.org"};
	struct world *w = people();
	struct submit_request req = request(w, to, 3);
	enum submit_result result = 0;
	struct err err = ERR_INIT;

	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 1); /* both addresses are his */
	CHECK_INT(items_in(w, w->anna, FOLDER_INBOX), 1);
	CHECK_INT(items_in(w, w->anna, FOLDER_SENT), 1);
	CHECK_INT(items_in(w, w->bob, FOLDER_SENT), 0);
	CHECK_INT(w->event_count, 3);
	for (size_t i = 0; i < w->event_count; i++)
		CHECK_INT(
			w->events[i].device.v, 0); /* the sending phone is to see its copies, too */
	req.save_in_sent = false;
	req.recipient_count = 1;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 2);
	CHECK_INT(items_in(w, w->anna, FOLDER_SENT), 1);
	world_free(&w);
}

static void test_repeats_send_nothing_twice(void)
{
	const char *const to[] = {"bob@example.net"};
	struct world *w = people();
	struct submit_request req = request(w, to, 1);
	enum submit_result result = 0;
	struct err err = ERR_INIT;

	req.client_key = "id-1";
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_REPEATED);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 1);
	/* Of another device it is another message; and after its time it is forgotten. */
	req.device = other_phone;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	req.device = anna_phone;
	req.now_at += 3601;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 3);
	world_free(&w);
}

static void test_all_or_nothing(void)
{
	const char *const to[] = {"bob@example.net", "nobody@example.org", "x@elsewhere.example"};
	struct world *w = people();
	struct submit_request req = request(w, to, 3);
	enum submit_result result = 0;
	struct err err = ERR_INIT;

	req.client_key = "id-1";
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_UNRESOLVED);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK(strstr(err.text, "<nobody@example.org>") != NULL);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 0);
	req.recipient_count = 0;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_UNRESOLVED);
	/* The key was not used up. */
	req.recipient_count = 1;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	world_free(&w);
}

static int small_quota(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->bob, 10, err);
}

static void test_quota(void)
{
	const char *const to[] = {"anna@example.org", "bob@example.net"};
	struct world *w = people();
	struct submit_request req = request(w, to, 2);
	enum submit_result result = 0;
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, small_quota, &err), &err);
	req.client_key = "id-1";
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_QUOTA);
	CHECK(strstr(err.text, "bob@example.net") != NULL);
	CHECK_INT(items_in(w, w->anna, FOLDER_INBOX), 0);
	CHECK_INT(items_in(w, w->anna, FOLDER_SENT), 0);
	req.recipient_count = 1;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	world_free(&w);
}

static int delete_bob(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->bob, err);
}

static void test_deleted_user(void)
{
	const char *const to[] = {"bob@example.net"};
	struct world *w = people();
	struct submit_request req = request(w, to, 1);
	enum submit_result result = 0;
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, delete_bob, &err), &err);
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_UNRESOLVED);
	CHECK_INT(items_in(w, w->anna, FOLDER_SENT), 0);
	world_free(&w);
}

/* Every single write of the store fails once: either all of the message is there, or nothing, and a
 * repeat completes it. */
static void test_failing_store(void)
{
	const char *const to[] = {"bob@example.net", "anna@example.org"};
	struct world *w = people();
	struct submit_request req = request(w, to, 2);
	unsigned failures = 0;

	for (unsigned n = 1; n < 200; n++) {
		size_t before = items_in(w, w->bob, FOLDER_INBOX);
		enum submit_result result = 0;
		struct err err = ERR_INIT;
		char key[16];
		int rc;

		(void)snprintf(key, sizeof(key), "id-%u", n);
		req.client_key = key;
		store_fail_after(w->store, n, ERR_BACKEND);
		rc = submit_send(w->store, &req, &result, &err);
		store_fail_after(w->store, 0, ERR_BACKEND);
		CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), before + (rc == 0));
		CHECK_INT(items_in(w, w->anna, FOLDER_INBOX), before + (rc == 0));
		CHECK_INT(items_in(w, w->anna, FOLDER_SENT), before + (rc == 0));
		if (rc == 0)
			break;
		failures++;
		REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
		CHECK_INT(result, SUBMIT_SENT);
	}
	CHECK(failures > 3);
	world_free(&w);
}

/* ---- other servers ---- */

static const struct settings *with_relay(const char *name, const char *value)
{
	const struct settings *plain = settings_default(), *relay, *both;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_with(plain, "relay.host", "relay.example", &relay, &err), &err);
	REQUIRE_OK(settings_with(relay, name, value, &both, &err), &err);
	settings_unref(&plain);
	settings_unref(&relay);
	return both;
}

static struct queue_counts queued(struct world *w)
{
	struct store_read *rd = reading(w);
	struct queue_counts counts = {0};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_queue_count(rd, &counts, &err), &err);
	store_read_end(&rd);
	return counts;
}

static void check_remote(struct world *w, struct submit_request *req, const char *name,
	const char *value, enum submit_result want)
{
	const struct settings *settings = with_relay(name, value);
	struct queue_counts before = queued(w);
	size_t sent = items_in(w, w->anna, FOLDER_SENT);
	enum submit_result result = 0;
	struct err err = ERR_INIT;
	bool good = want == SUBMIT_SENT;

	req->settings = settings;
	REQUIRE_OK(submit_send(w->store, req, &result, &err), &err);
	CHECK_INT(result, want);
	CHECK_INT(queued(w).mails, before.mails + good);
	CHECK_INT(queued(w).recipients, before.recipients + 2 * (size_t)good);
	CHECK_INT(items_in(w, w->anna, FOLDER_SENT), sent + good);
	settings_unref(&settings);
}

static void test_other_servers(void)
{
	const char *const to[] = {"bob@example.net", "x@far.example", "y@far.example"};
	const char *const unknown[] = {"x@far.example", "nobody@example.org"};
	struct world *w = people();
	struct submit_request req = request(w, to, 3), bad = request(w, unknown, 2);

	req.from = "anna@example.org";
	req.sent_raw = "Bcc: z@z\r\nFrom: x\r\n\r\n";
	req.sent_len = strlen(req.sent_raw);
	check_remote(w, &req, "relay.port", "25", SUBMIT_SENT);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 1);
	check_remote(w, &req, "relay.queue_per_user", "1", SUBMIT_SEND_QUOTA);
	check_remote(w, &req, "relay.queue_max", "1", SUBMIT_BUSY);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 1);
	/* Nobody is asked about an address in a domain of ours. */
	check_remote(w, &bad, "relay.port", "25", SUBMIT_UNRESOLVED);
	world_free(&w);
}

static struct submit_source source;

static int add_source(struct store_tx *tx, struct world *w, struct err *err)
{
	const struct store_new_body body = {.bytes = (const uint8_t *)"x", .len = 1};
	const struct new_item item = {.item_class = ITEM_MAIL, .date_at = 1, .body = &body};

	return store_item_add(tx, w->anna, w->inbox, &item, &source.item, err);
}

static int delete_source(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_item_delete(tx, w->anna, w->inbox, source.item, (struct device_id){0}, err);
}

static void test_source(void)
{
	const char *const to[] = {"bob@example.net"};
	struct world *w = people();
	struct submit_request req = request(w, to, 1);
	enum submit_result result = 0;
	struct err err = ERR_INIT;
	struct item *item;

	REQUIRE_OK(transact(w, add_source, &err), &err);
	source.owner = w->anna;
	source.folder = w->inbox;
	source.verb = 3;
	req.source = &source;
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SENT);
	item = load_item(w, w->inbox, source.item);
	CHECK_INT(item->last_verb, 3);
	CHECK_INT(item->last_verb_at, 5000);
	REQUIRE_OK(transact(w, delete_source, &err), &err);
	REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
	CHECK_INT(result, SUBMIT_SOURCE_GONE);
	CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), 1);
	world_free(&w);
}

/* A disk that is full at any write: nothing is sent, and the phone is told so. */
static void test_full_disk(void)
{
	const char *const to[] = {"bob@example.net", "x@far.example"};
	const struct settings *settings = with_relay("relay.port", "25");
	struct world *w = people();
	struct submit_request req = request(w, to, 2);
	unsigned failures = 0;

	req.from = "anna@example.org";
	req.settings = settings;
	req.client_key = "id:full";
	for (unsigned n = 1; n < 200; n++) {
		enum submit_result result = 0;
		struct err err = ERR_INIT;

		store_fail_after(w->store, n, ERR_QUOTA);
		REQUIRE_OK(submit_send(w->store, &req, &result, &err), &err);
		store_fail_after(w->store, 0, ERR_QUOTA);
		CHECK_INT(queued(w).mails, result == SUBMIT_SENT);
		CHECK_INT(items_in(w, w->bob, FOLDER_INBOX), result == SUBMIT_SENT);
		if (result == SUBMIT_SENT)
			break;
		CHECK_INT(result, SUBMIT_QUOTA);
		failures++;
	}
	CHECK(failures > 5);
	settings_unref(&settings);
	world_free(&w);
}

TEST_MAIN(TEST(test_sends_and_saves), TEST(test_repeats_send_nothing_twice),
	TEST(test_all_or_nothing), TEST(test_quota), TEST(test_deleted_user),
	TEST(test_failing_store), TEST(test_other_servers), TEST(test_source), TEST(test_full_disk))
