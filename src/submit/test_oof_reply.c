/*
 * Answers of users who are out of office: who gets one, once, and what is in it.
 */
#include "submit/oof_reply.h"

#include "base/str.h"
#include "mime/mime.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"

#define NOW_S 1000000
#define DAY_S 86400

static const struct mime_limits limits = {1000, 50, 262144};
static const char usual[] =
	"From: far@far.example\r\nTo: x@y.example, anna@example.org\r\nSubject: "
	"=?utf-8?Q?G=C3=BC?=\r\n"
	"Message-ID: <two@x>\r\nReferences: <one@x> junk <b ad>\r\n\r\nText\r\n";

static struct oof oof;
static struct owner_id away;

static int save_oof(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_oof_save(tx, away, &oof, err);
}

static struct world *world_away(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	oof = (struct oof){.state = 1,
		.messages = {{true, false, "in\nside"}, {true, false, "known"},
			{true, true, "<b>out</b>"}}};
	away = w->anna;
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	return w;
}

static const struct settings *with(const struct settings *s, const char *name, const char *value)
{
	const struct settings *next;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_with(s, name, value, &next, &err), &err);
	settings_unref(&s);
	return next;
}

struct trial {
	struct oof_replies *replies;
	struct owner_id owner;
};

static int apply_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct trial *t = owner;

	return oof_replies_apply(tx, t->replies, t->owner, err);
}

static uint64_t queued(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct queue_counts counts = {0};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_queue_count(rd, &counts, &err), &err);
	return counts.mails;
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

/* A message for Anna, who is away. True: an answer went into the queue. */
static bool answers_at(struct world *w, const struct settings *settings, const char *sender,
	const char *raw, int64_t now_at)
{
	struct trial t = {.owner = w->anna};
	struct oof_reply_request req = {.sender = sender,
		.raw = raw,
		.len = strlen(raw),
		.owners = &w->anna,
		.owner_count = 1,
		.now_at = now_at,
		.limits = &limits,
		.settings = settings};
	struct err err = ERR_INIT;
	uint64_t before = queued(w);

	t.replies = oof_replies_prepare(w->store, &req);
	REQUIRE_OK(store_transact(w->store, apply_tx, &t, &err), &err);
	oof_replies_kick(t.replies);
	oof_replies_free(&t.replies);
	return queued(w) > before;
}

static void test_whom(void)
{
	static const char *const robots[] = {"", "no address", "MAILER-DAEMON@far.example",
		"owner-list@far.example", "list-request@far.example", "noreply@far.example",
		"No-Reply+7@far.example", "bounces+anna=example.org@far.example",
		"anna@example.org", "nobody-here@example.org"};
	struct world *w = world_away();
	const struct settings *s = with(settings_default(), "relay.host", "relay.example");

	for (size_t i = 0; i < ARRAY_LEN(robots); i++)
		CHECK(!answers_at(w, s, robots[i], usual, NOW_S));
	CHECK(!answers_at(w, s, "a@far.example", "To: x@y.example\r\n\r\n", NOW_S));
	CHECK(!answers_at(w, s, "a@far.example", "", NOW_S));
	CHECK(!answers_at(
		w, s, "a@far.example", "To: anna@example.org\r\nPrecedence: bulk\r\n\r\n", NOW_S));
	CHECK(!answers_at(w, NULL, "a@far.example", usual, NOW_S));
	CHECK(answers_at(w, s, "a@far.example", usual, NOW_S));
	s = with(s, "mail.oof_replies", "no");
	CHECK(!answers_at(w, s, "b@far.example", usual, NOW_S));
	s = with(with(s, "mail.oof_replies", "yes"), "relay.host", "");
	CHECK(!answers_at(w, s, "b@far.example", usual, NOW_S));
	settings_unref(&s);
	world_free(&w);
}

static void test_when(void)
{
	struct world *w = world_away();
	const struct settings *s = with(settings_default(), "relay.host", "relay.example");
	struct err err = ERR_INIT;

	CHECK(answers_at(w, s, "a@far.example", usual, NOW_S));
	CHECK(!answers_at(w, s, "A@Far.example", usual, NOW_S + 1));
	CHECK(answers_at(w, s, "b@far.example", usual, NOW_S));
	CHECK(!answers_at(w, s, "a@far.example", usual, NOW_S + 30 * DAY_S));
	CHECK(answers_at(w, s, "a@far.example", usual, NOW_S + 30 * DAY_S + 1));
	/* What the sweep forgets. */
	CHECK_INT(store_oof_sweep(w->store, NOW_S + 1, 10, &err), 0);
	CHECK(answers_at(w, s, "b@far.example", usual, NOW_S + 1));
	/* The same absence with another text; another one. */
	oof.messages[OOF_INTERNAL].text = "other";
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	CHECK(!answers_at(w, s, "b@far.example", usual, NOW_S + 2));
	oof.state = 2;
	oof.start_at = NOW_S;
	oof.end_at = NOW_S + 10;
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	CHECK(!answers_at(w, s, "b@far.example", usual, NOW_S - 1));
	CHECK(!answers_at(w, s, "b@far.example", usual, NOW_S + 10));
	CHECK(answers_at(w, s, "b@far.example", usual, NOW_S + 9));
	/* Bounds: senders, and room in the queue. What was refused is not taken for an answer. */
	s = with(s, "mail.oof_senders_max", "1");
	CHECK(!answers_at(w, s, "c@far.example", usual, NOW_S));
	s = with(with(s, "mail.oof_senders_max", "10"), "relay.queue_max", "1");
	CHECK(!answers_at(w, s, "c@far.example", usual, NOW_S));
	s = with(s, "relay.queue_max", "100");
	CHECK(answers_at(w, s, "c@far.example", usual, NOW_S));
	/* For contacts alone: nobody outside. */
	oof.messages[OOF_EXTERNAL_UNKNOWN].enabled = false;
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	CHECK(!answers_at(w, s, "d@far.example", usual, NOW_S));
	settings_unref(&s);
	world_free(&w);
}

static void test_what(void)
{
	struct world *w = world_away();
	const struct settings *s = with(settings_default(), "relay.host", "relay.example");
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct store_body body;
	struct queue_mail *mails;
	struct err err = ERR_INIT;
	size_t count;
	char *text;

	CHECK(answers_at(w, s, "Far@far.example", usual, NOW_S));
	rd = reading(w);
	REQUIRE_OK(store_queue_list(rd, 10, w->arena, &mails, &count, &err), &err);
	REQUIRE(count == 1);
	CHECK_STR(mails[0].sender, "");
	CHECK_STR(mails[0].recipients[0].address, "Far@far.example");
	REQUIRE_OK(store_queue_body(rd, mails[0].id, &body, &err), &err);
	text = arena_x_strndup(w->arena, (const char *)body.bytes, body.len);
	store_body_release(&body);
	CHECK(strstr(text, " <anna@example.org>\r\nTo: <Far@far.example>\r\n") != NULL);
	CHECK(strstr(text, "In-Reply-To: <two@x>\r\nReferences:\r\n <one@x>\r\n <two@x>\r\n") !=
		NULL);
	CHECK(strstr(text, "\r\nAuto-Submitted: auto-replied\r\n") != NULL);
	CHECK(strstr(text, "Content-Type: text/html; charset=utf-8\r\n") != NULL);
	CHECK(str_ends(text, "\r\n\r\nPGI+b3V0PC9iPg==\r\n"));
	CHECK_STR(mime_field_text(w->arena, text, strlen(text), "subject"),
		"Automatic reply: G\xc3\xbc");
	CHECK(mime_is_automatic(text, strlen(text)));
	settings_unref(&s);
	store_read_end(&rd);
	world_free(&w);
}

static void test_both_away(void)
{
	struct world *w = world_away();
	const struct settings *s = settings_default();
	struct err err = ERR_INIT;

	away = w->bob;
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	/* No relay is asked; Bob's own absence is not told to Anna. */
	CHECK(!answers_at(w, s, "bob@example.net", usual, NOW_S));
	CHECK(!answers_at(w, s, "bob@example.net", usual, NOW_S));
	CHECK_INT(inbox_of(w, w->bob), 1);
	CHECK_INT(inbox_of(w, w->anna), 0);
	settings_unref(&s);
	world_free(&w);
}

/* Whatever fails: all of it or nothing. */
static void test_failing_store(void)
{
	struct world *w = world_away();
	const struct settings *s = settings_default();
	struct trial t = {.owner = w->anna};
	struct oof_reply_request req = {.sender = "bob@example.net",
		.raw = usual,
		.len = sizeof(usual) - 1,
		.owners = &w->anna,
		.owner_count = 1,
		.now_at = NOW_S,
		.limits = &limits,
		.settings = s};
	unsigned failures = 0;

	for (unsigned n = 1; n < 100; n++) {
		struct err err = ERR_INIT;
		int rc;

		t.replies = oof_replies_prepare(w->store, &req);
		REQUIRE(t.replies != NULL);
		store_fail_after(w->store, n, ERR_BACKEND);
		rc = store_transact(w->store, apply_tx, &t, &err);
		store_fail_after(w->store, 0, ERR_BACKEND);
		oof_replies_free(&t.replies);
		CHECK_INT(inbox_of(w, w->bob), rc == 0);
		if (rc == 0)
			break;
		failures++;
	}
	CHECK(failures > 2);
	settings_unref(&s);
	world_free(&w);
}

TEST_MAIN(TEST(test_whom), TEST(test_when), TEST(test_what), TEST(test_both_away),
	TEST(test_failing_store))
