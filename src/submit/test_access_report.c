/*
 * The mail about phones in quarantine: whom it names, that each is told once and none forgotten,
 * what strangers' words may not do in it, and who is written to.
 */
#include "submit/access_report.h"

#include <inttypes.h>

#include "base/str.h"
#include "store/store_access.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"

#define NOW_S 1000000

static struct device phone; /* in and out of the steps below */
static const char *reason = "rule 1";
static int64_t decided_at;

static int add_tx(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_save(tx, &phone, err);
}

static int quarantine_tx(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_note_access(
		tx, phone.id, ACCESS_QUARANTINE, reason, decided_at, ACCESS_REPORT_DUE, err);
}

static int release_tx(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_note_access(
		tx, phone.id, ACCESS_ALLOW, "", decided_at, ACCESS_REPORT_NONE, err);
}

/* A phone of Anna's, which waits in quarantine. */
static void add_phone(struct world *w, const char *device_id, int64_t at)
{
	struct err err = ERR_INIT;

	phone = (struct device){.owner = w->anna,
		.device_id = device_id,
		.device_type = phone.device_type != NULL ? phone.device_type : "Gadget",
		.user_agent = "Agent/1",
		.model = phone.model != NULL ? phone.model : "Model One",
		.os = "Os 7"};
	decided_at = at;
	REQUIRE_OK(transact(w, add_tx, &err), &err);
	REQUIRE_OK(transact(w, quarantine_tx, &err), &err);
}

static const struct settings *with(const struct settings *s, const char *name, const char *value)
{
	const struct settings *next;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_with(s, name, value, &next, &err), &err);
	settings_unref(&s);
	return next;
}

static const struct settings *settings_of(const char *notify)
{
	return with(with(with(settings_default(), "relay.host", "relay.example"), "server.hostname",
			    "mail.example.org"),
		"access.notify", notify);
}

static bool send(struct world *w, const struct settings *s)
{
	struct err err = ERR_INIT;
	bool sent = false;

	REQUIRE_OK(access_report_send(w->store, s, NULL, NOW_S, &sent, &err), &err);
	return sent;
}

static uint64_t due(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t count;

	REQUIRE_OK(store_access_due_count(rd, &count, &err), &err);
	return count;
}

static uint64_t inbox_of(struct world *w, struct owner_id owner)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folder;
	uint64_t count;

	REQUIRE_OK(store_folder_by_type(rd, owner, FOLDER_INBOX, w->arena, &folder, &err), &err);
	REQUIRE_OK(store_item_count(rd, owner, folder->id, INT64_MIN, 0, &count, &err), &err);
	return count;
}

/* The newest mail in the queue; *ret_count: how many there are. */
static const char *queued(struct world *w, size_t *ret_count)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct queue_mail *list = NULL;
	struct store_body body;
	const char *text;

	REQUIRE_OK(store_queue_list(rd, 100, w->arena, &list, ret_count, &err), &err);
	if (*ret_count == 0)
		return "";
	REQUIRE_OK(store_queue_body(rd, list[*ret_count - 1].id, &body, &err), &err);
	text = arena_x_printf(w->arena, "%.*s", (int)body.len, (const char *)body.bytes);
	store_body_release(&body);
	return text;
}

/* Inside, and outside by the queue; once for all phones, and never again. */
static void test_told_once(void)
{
	struct world *w = world_new();
	const struct settings *s = settings_of("bob@example.net far@far.example");
	const char *text;
	size_t mails;

	CHECK(!send(w, s));
	add_phone(w, "phone1", NOW_S - 20);
	add_phone(w, "phone2", NOW_S - 10);
	CHECK(send(w, s));
	CHECK_INT(due(w), 0);
	CHECK_INT(inbox_of(w, w->bob), 1);
	CHECK_INT(inbox_of(w, w->anna), 0);
	text = queued(w, &mails);
	CHECK_INT(mails, 1);
	CHECK(strstr(text, "Subject: 2 phones in quarantine\r\n") != NULL);
	CHECK(strstr(text, "From: Bellhop <postmaster@mail.example.org>\r\n") != NULL);
	CHECK(strstr(text, "Auto-Submitted: auto-generated\r\n") != NULL);
	CHECK(strstr(text, "Model One, Os 7, Agent/1\r\n") != NULL);
	CHECK(strstr(text, "because of rule 1\r\n") != NULL);
	CHECK(strstr(text, "bellhop device allow anna@example.org phone1\r\n") != NULL);
	CHECK(strstr(text, "bellhop device allow anna@example.org phone2\r\n") != NULL);
	CHECK(!send(w, s));
	(void)queued(w, &mails);
	CHECK_INT(mails, 1);
	/* Only what is new. */
	add_phone(w, "phone3", NOW_S);
	CHECK(send(w, s));
	text = queued(w, &mails);
	CHECK_INT(mails, 2);
	CHECK(strstr(text, "Subject: 1 phone in quarantine\r\n") != NULL);
	CHECK(strstr(text, "phone3") != NULL && strstr(text, "phone1") == NULL);
	/* Nor one that was released before anybody was told. */
	{
		struct err err = ERR_INIT;

		add_phone(w, "phone4", NOW_S);
		REQUIRE_OK(transact(w, release_tx, &err), &err);
	}
	CHECK(!send(w, s));
	settings_unref(&s);
	world_free(&w);
}

/* The oldest first, so many in a mail; the rest is announced, and comes with the next. */
static void test_many(void)
{
	struct world *w = world_new();
	const struct settings *s =
		with(settings_of("far@far.example"), "access.notify_devices_max", "2");
	const char *text;
	size_t mails;

	for (int i = 5; i > 0; i--) {
		char device_id[20];

		(void)snprintf(device_id, sizeof(device_id), "phone%d", i);
		add_phone(w, device_id, NOW_S + i);
	}
	CHECK(send(w, s));
	text = queued(w, &mails);
	CHECK(strstr(text, "Subject: 5 phones in quarantine\r\n") != NULL);
	CHECK(strstr(text, "phone1\r\n") != NULL && strstr(text, "phone2\r\n") != NULL);
	CHECK(strstr(text, "phone3") == NULL);
	CHECK(strstr(text, "\r\n3 more are named in the next mail.\r\n") != NULL);
	CHECK_INT(due(w), 3);
	CHECK(send(w, s));
	CHECK(strstr(queued(w, &mails), "phone4\r\n") != NULL);
	CHECK(send(w, s));
	text = queued(w, &mails);
	CHECK(strstr(text, "phone5\r\n") != NULL && strstr(text, "next mail") == NULL);
	CHECK(!send(w, s));
	CHECK_INT(mails, 3);
	settings_unref(&s);
	world_free(&w);
}

/* What a phone says of itself makes no header, no line, and no terminal's command. */
static void test_words_of_strangers(void)
{
	struct world *w = world_new();
	const struct settings *s = settings_of("far@far.example");
	const char *text;
	size_t mails;

	phone.model = "Evil\r\nBcc: all@example.org\r\n\r\nclick\x1b[2J here \xff\xfe";
	phone.device_type = "T\nype";
	add_phone(w, "phone1", NOW_S);
	phone = (struct device){0};
	CHECK(send(w, s));
	text = queued(w, &mails);
	CHECK(strstr(text, "\nBcc:") == NULL && strstr(text, "\nclick") == NULL);
	CHECK(strstr(text, "Bcc: all@example.org") != NULL);
	CHECK(strchr(text, '\x1b') == NULL && strstr(text, "T\nype") == NULL);
	CHECK(utf8_valid((const uint8_t *)text, strlen(text)));
	settings_unref(&s);
	world_free(&w);
}

/* One who cannot be reached does not keep the others from it; when nobody can, it stays due. */
static void test_unreachable(void)
{
	struct world *w = world_new();
	const struct settings *s =
		settings_of("nobody-here@example.org bob@example.net nobody@example.net");
	struct err err = ERR_INIT;
	bool sent = true;
	unsigned calls;

	add_phone(w, "phone1", NOW_S);
	CHECK(send(w, s));
	CHECK_INT(inbox_of(w, w->bob), 1);
	CHECK_INT(due(w), 0);
	s = with(s, "access.notify", "nobody-here@example.org");
	add_phone(w, "phone2", NOW_S);
	CHECK_INT(access_report_send(w->store, s, NULL, NOW_S, &sent, &err), -1);
	CHECK(!sent);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(due(w), 1);
	/* Nor is anything lost when the store fails in the middle. */
	s = with(s, "access.notify", "bob@example.net");
	for (calls = 1; calls < 200; calls++) {
		err = (struct err)ERR_INIT;
		store_fail_after(w->store, calls, ERR_QUOTA);
		if (access_report_send(w->store, s, NULL, NOW_S, &sent, &err) == 0)
			break;
		store_fail_after(w->store, 0, ERR_QUOTA);
		CHECK_INT(due(w), 1);
		CHECK_INT(inbox_of(w, w->bob), 1);
	}
	store_fail_after(w->store, 0, ERR_QUOTA);
	CHECK(calls > 2 && calls < 200);
	CHECK_INT(due(w), 0);
	CHECK_INT(inbox_of(w, w->bob), 2);
	settings_unref(&s);
	world_free(&w);
}

TEST_MAIN(TEST(test_told_once), TEST(test_many), TEST(test_words_of_strangers),
	TEST(test_unreachable))
