/*
 * Tests of the room mime with small messages of their own.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static struct mime_summary *summarize(struct arena *arena, const char *raw)
{
	struct mime_limits limits = {100, 20, 65536};
	struct mime_summary *s = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_summarize(arena, raw, strlen(raw), &limits, &s, &err), &err);
	return s;
}

static void check_body(const char *raw, enum mime_body_type type, const char *want)
{
	struct arena *arena = arena_new(0);
	struct mime_summary *s = summarize(arena, raw);
	struct mime_body body;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_body_render(s, raw, strlen(raw), type, UINT64_MAX, &body, &err), &err);
	CHECK_STR(buf_cstr(&body.data), want);
	CHECK_INT(body.estimated_bytes, strlen(want));
	CHECK(!body.truncated);
	buf_deinit(&body.data);
	arena_free(&arena);
}

static void test_plain(void)
{
	check_body("Subject: x\n\nHi,\n\nthere\n", MIME_BODY_TEXT, "Hi,\r\n\r\nthere\r\n");
	check_body("Subject: x\r\n\r\nHi,\r\nthere", MIME_BODY_TEXT, "Hi,\r\nthere");
	check_body("Subject: x\n\na <b> & c\n", MIME_BODY_HTML,
		"<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; "
		"charset=utf-8\"></head><body>\r\na &lt;b&gt; &amp; c<br>\r\n</body></html>\r\n");
	check_body("Subject: x\n\nHi\n", MIME_BODY_MIME, "Subject: x\r\n\r\nHi\r\n");
}

static const char mixed[] =
	"From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\n"
	"To: a@example.org, \"B, C\" <b@example.org>\n"
	"Subject: Re: AW: =?iso-8859-1?Q?Gr=FC=DFe?=\n"
	"Message-ID: <1@example.org>\nReferences: <0@example.org> <x@example.org>\n"
	"Date: Fri, 20 Apr 2001 19:35:02 -0400\n"
	"Content-Type: multipart/mixed; boundary=\"b1\"\n\npreamble\n"
	"--b1\nContent-Type: multipart/alternative; boundary=b2\n\n"
	"--b2\nContent-Type: text/plain; charset=iso-8859-1\n"
	"Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe =\naus\n"
	"--b2\nContent-Type: text/html; charset=utf-8\n\n<p>Gr\xc3\xbc\xc3\x9f"
	"e <img src=\"cid:i%401\"></p>\n"
	"--b2--\n"
	"--b1\nContent-Type: image/png\nContent-ID: <i@1>\nContent-Transfer-Encoding: base64\n"
	"Content-Disposition: attachment; filename*=utf-8''%C3%BC.png\n\naGVsbG8=\n"
	"--b1\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody\n"
	"--b1--\nepilogue\n";

static void check_mixed(const struct mime_summary *s)
{
	CHECK_STR(s->from, "\"J\xc3\xbcrgen\" <j@example.org>");
	CHECK_STR(s->to, "a@example.org, \"B, C\" <b@example.org>");
	CHECK_STR(s->display_to, "a@example.org;B, C");
	CHECK_STR(s->subject, "Re: AW: Gr\xc3\xbc\xc3\x9f"
			      "e");
	CHECK_STR(s->thread_topic, "Gr\xc3\xbc\xc3\x9f"
				   "e");
	CHECK_STR(s->message_id, "1@example.org");
	CHECK_STR(s->root_id, "0@example.org");
	CHECK_INT(s->date_at, 987809702);
	CHECK_STR(s->message_class, "IPM.Note");
	CHECK_STR(s->preview, "Gr\xc3\xbc\xc3\x9f"
			      "e aus");
	CHECK_INT(s->native_body, 2);
	REQUIRE(s->part_count == 4);
	CHECK_INT(s->text_part, 0);
	CHECK_INT(s->html_part, 1);
	CHECK_STR(s->parts[2].name, "\xc3\xbc.png");
	CHECK(s->parts[2].is_attachment && s->parts[2].is_inline);
	CHECK_STR(s->parts[2].content_id, "i@1");
	CHECK_INT(s->parts[2].decoded_bytes, 5);
	CHECK_STR(s->parts[3].name, "inner.eml");
	CHECK_STR(s->parts[3].content_type, "message/rfc822");
}

static void test_mixed(void)
{
	struct arena *arena = arena_new(0);
	struct mime_summary *s = summarize(arena, mixed), *again = NULL;
	struct buf blob = BUF_INIT, part = BUF_INIT;
	struct err err = ERR_INIT;

	check_mixed(s);
	mime_summary_encode(s, &blob);
	REQUIRE_OK(mime_summary_decode(arena, blob.data, blob.len, &again, &err), &err);
	check_mixed(again);
	REQUIRE_OK(mime_part_decode(again, mixed, strlen(mixed), 2, &part, &err), &err);
	CHECK_STR(buf_cstr(&part), "hello");
	CHECK_INT(mime_part_decode(again, mixed, strlen(mixed), 9, &part, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	for (size_t n = 0; n < blob.len; n++)
		CHECK_INT(mime_summary_decode(arena, blob.data, n, &again, &err), -1);
	buf_deinit(&blob);
	buf_deinit(&part);
	arena_free(&arena);
}

TEST_MAIN(TEST(test_plain), TEST(test_mixed))
