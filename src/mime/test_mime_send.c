/*
 * Envelopes and messages on their way out.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static void check_send(const char *raw, const char *from, const char *want)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_prepare_send(raw, strlen(raw), from, "example.org", 987809702, NULL, &out,
			   NULL, &err),
		&err);
	CHECK_STR(buf_cstr(&out), want);
	buf_deinit(&out);
}

#define COMPLETE "Date: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"

static void test_prepare(void)
{
	check_send("From: A <A@b.c>\n" COMPLETE "Subject: folded\n line\n\na\nb\r\n\xfc", "a@b.c",
		"From: A <A@b.c>\r\n" COMPLETE "Subject: folded\r\n line\r\n\r\na\r\nb\r\n\xfc");
	check_send("From: other@b.c\n" COMPLETE "Bcc: x@y,\n z@y\nTo: t@u\n\n", "\"A\" <a@b.c>",
		"From: other@b.c\r\n" COMPLETE "To: t@u\r\n\r\n");
	check_send(COMPLETE "From: a@b.c, x@y\nFrom: two@b.c\n\nx", "J\xc3\xbc <a@b.c>",
		COMPLETE "From: a@b.c, x@y\r\n\r\nx");
	check_send(COMPLETE "To: t@u\n\n", "J\xc3\xbc <a@b.c>",
		COMPLETE "To: t@u\r\nFrom: =?iso-8859-1?b?Svw=?= <a@b.c>\r\n\r\n");
	check_send(COMPLETE "To: t@u\n\n", "a@b.c", COMPLETE "To: t@u\r\nFrom: a@b.c\r\n\r\n");
	check_send("From:\n" COMPLETE "From: \n \nTo: t@u\n\n", "a@b.c",
		COMPLETE "To: t@u\r\nFrom: a@b.c\r\n\r\n");
	check_send("From: a@b.c\n" COMPLETE "bcc : x@y\nno header", "a@b.c",
		"From: a@b.c\r\n" COMPLETE "\r\nno header");
	check_send(COMPLETE "From: a@b.c", "a@b.c", COMPLETE "From: a@b.c\r\n\r\n");
}

static void test_missing(void)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	const char *text, *id;

	REQUIRE_OK(mime_prepare_send("To: x@y\n\nz", 10, "a@b.c", "example.org", 987809702, NULL,
			   &out, NULL, &err),
		&err);
	text = buf_cstr(&out);
	CHECK(str_starts(text, "To: x@y\r\nFrom: a@b.c\r\n"));
	CHECK(strstr(text, "\r\nDate: Fri, 20 Apr 2001 23:35:02 +0000\r\n") != NULL);
	CHECK(strstr(text, "\r\nMIME-Version: 1.0\r\n\r\nz") != NULL);
	id = strstr(text, "\r\nMessage-ID: <");
	REQUIRE(id != NULL);
	CHECK_INT(strcspn(id + 15, "@"), 32);
	CHECK(str_starts(id + 15 + 32, "@example.org>\r\n"));
	CHECK_INT(mime_prepare_send("", 0, "a@b.c", "x", 1, NULL, &out, NULL, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK_INT(mime_prepare_send("hello\n", 6, "a@b.c", "x", 1, NULL, &out, NULL, &err), -1);
	buf_deinit(&out);
}

static void test_bcc(void)
{
	static const char raw[] =
		"From: a@b.c\n" COMPLETE "Bcc: x@y,\n z@y\nTo: t@u\nBCC: w@y\n\ntext";
	struct buf out = BUF_INIT, bcc = BUF_INIT;
	struct err err = ERR_INIT;

	REQUIRE_OK(
		mime_prepare_send(raw, strlen(raw), "a@b.c", "x", 1, NULL, &out, &bcc, &err), &err);
	CHECK_STR(buf_cstr(&out), "From: a@b.c\r\n" COMPLETE "To: t@u\r\n\r\ntext");
	CHECK_STR(buf_cstr(&bcc), "Bcc: x@y,\r\n z@y\r\nBCC: w@y\r\n");
	buf_deinit(&out);
	buf_deinit(&bcc);
}

static void test_addresses(void)
{
	static const char *const good[] = {"a@b", "a.b+c@d.example", "\"a b\"@c", "\"a@x\"@c",
		"j\xc3\xbc@k\xc3\xb6.de", "x@[::1]"};
	static const char *const bad[] = {"", "a", "@b", "a@", "a b@c", "a@b c", "a@b@c", "a@b..c",
		"a@.b", "a@b.", "a\r\nRCPT TO:<x@y>@b", "a>@b", "\xfc@b", "a\"@b", "a\x7f@b"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(mime_address_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!mime_address_is_valid(bad[i]));
}

static void check_bad(const char *raw, const char *want)
{
	struct arena *arena = arena_new(0);
	struct mime_envelope *e = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_envelope_read(arena, raw, strlen(raw), &e, &err), &err);
	CHECK_STR(e->bad_recipient, want);
	arena_free(&arena);
}

static void test_bad_recipients(void)
{
	check_bad("To: a@b\nCc: undisclosed-recipients:;\nBcc: \n\n", NULL);
	check_bad("To: a@b, bob\n\n", "bob");
	check_bad("To: a@b\nBcc: nobody at all\n\n", "nobody at all");
	check_bad("To: x@y, <a b@c>\n\n", "x@y, <a b@c>");
	check_bad("To: \"Doe, J\" <a@b>, (a, b) c@d,\n e@f,, =?utf-8?q?a,b?= <g@h>\n\n", NULL);
	check_bad("To: <a b@c>\n\n", "<a b@c>");
}

static void test_senders(void)
{
	static const char raw[] = "From: A <a@b>, x@y\nSender: s@t\nReceived: 1\nReceived: 2\n\n";
	struct arena *arena = arena_new(0);
	struct mime_envelope *e = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_envelope_read(arena, raw, strlen(raw), &e, &err), &err);
	REQUIRE(e->sender_count == 3);
	CHECK_STR(e->senders[0], "a@b");
	CHECK_STR(e->senders[2], "s@t");
	CHECK_INT(e->received_count, 2);
	arena_free(&arena);
}

/* What nobody can read may look to people like somebody else. */
static void test_bad_senders(void)
{
	static const struct {
		const char *raw;
		bool bad;
	} cases[] = {
		{"From: A <a@b>\nSender: s@t\n\n", false},
		{"From:\n\n", false},
		{"From: \n \nSender:\n\n", false},
		{"Subject: none\n\n", false},
		{"From: friends: a@b, c@d;\n\n", false},
		{"From: boss(at)bank.example\n\n", true},
		{"From: boss:;\n\n", true},
		{"From: <>\n\n", true},
		{"From: a@b, <a boss@bank>\n\n", true},
		{"From: a@b\nFrom: boss at bank\n\n", true},
		{"From: a@b\nSender: boss\n\n", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *arena = arena_new(0);
		struct mime_envelope *e = NULL;
		struct err err = ERR_INIT;

		REQUIRE_OK(mime_envelope_read(arena, cases[i].raw, strlen(cases[i].raw), &e, &err),
			&err);
		CHECK_INT(e->bad_sender, cases[i].bad);
		arena_free(&arena);
	}
}

static void test_envelope(void)
{
	static const char raw[] = "From: \"A\" <a@b.c>\nTo: x@y, \"Z\" <Z@y>,\n group: g@y;\n"
				  "Cc: X@Y\nBcc: =?utf-8?q?b?= <b@y>, x@y\nTo: second@y\n"
				  "Message-ID: <1@x>\n\nTo: body@y\n";
	static const char *const want[] = {"x@y", "Z@y", "g@y", "b@y", "second@y"};
	struct arena *arena = arena_new(0);
	struct mime_envelope *e = NULL;
	struct buf flood = BUF_INIT;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_envelope_read(arena, raw, strlen(raw), &e, &err), &err);
	CHECK_STR(e->from, "a@b.c");
	CHECK_STR(e->message_id, "1@x");
	REQUIRE(e->to_count == ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		CHECK_STR(e->to[i], want[i]);
	REQUIRE_OK(mime_envelope_read(arena, "Subject: x\n\n", 12, &e, &err), &err);
	CHECK_INT(e->to_count, 0);
	CHECK_STR(e->from, "");
	CHECK_INT(mime_envelope_read(arena, "\nx", 2, &e, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK_INT(mime_envelope_read(arena, NULL, 0, &e, &err), -1);
	/* Nobody is left out in silence. */
	for (unsigned i = 0; i < 11000; i++)
		buf_addf(&flood, "To: u%u@example.org\n", i);
	CHECK_INT(mime_envelope_read(arena, flood.data, flood.len, &e, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	buf_deinit(&flood);
	arena_free(&arena);
}

struct told {
	const char *upto;
	unsigned times;
};

static void on_passed(void *owner, const void *upto)
{
	struct told *told = owner;

	CHECK((const char *)upto > told->upto);
	told->upto = upto;
	told->times++;
}

/* A long message comes through piece by piece, whole, and its end is told. */
static void test_progress(void)
{
	struct buf raw = BUF_INIT, out = BUF_INIT;
	struct told told = {0};
	const struct mime_progress progress = {on_passed, &told};
	struct err err = ERR_INIT;
	const char *body;

	buf_add_str(&raw, "From: a@b.c\r\n\r\n");
	for (unsigned i = 0; raw.len < 5000000; i++)
		buf_addf(&raw, "line %u%s", i, i % 3 == 0 ? "\n" : "\r\n");
	told.upto = (const char *)raw.data;
	REQUIRE_OK(
		mime_prepare_send(raw.data, raw.len, "a@b.c", "x", 1, &progress, &out, NULL, &err),
		&err);
	CHECK(told.times >= 3);
	CHECK(told.upto == (const char *)raw.data + raw.len);
	body = strstr(buf_cstr(&out), "\r\n\r\n");
	REQUIRE(body != NULL);
	body += 4;
	for (unsigned i = 0; *body != 0; i++) {
		char want[40];
		size_t n = (size_t)snprintf(want, sizeof(want), "line %u\r\n", i);

		REQUIRE(strncmp(body, want, n) == 0);
		body += n;
	}
	buf_deinit(&raw);
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_progress), TEST(test_prepare), TEST(test_missing), TEST(test_bcc),
	TEST(test_addresses), TEST(test_bad_recipients), TEST(test_senders), TEST(test_bad_senders),
	TEST(test_envelope))
