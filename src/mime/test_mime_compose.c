/*
 * Replies and forwards: what the server adds of the original, and where.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static const struct mime_limits limits = {1000, 50, 262144};

struct result {
	struct arena *arena;
	struct buf raw;
	struct mime_summary *s;
};

static struct result compose(const char *raw, const char *source, bool forward, bool replace)
{
	struct mime_compose c = {
		raw, strlen(raw), source, strlen(source), forward, replace, 5000, &limits};
	struct result r = {.arena = arena_new(0), .raw = BUF_INIT};
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_compose(&c, &r.raw, &err), &err);
	(void)buf_cstr(&r.raw);
	REQUIRE_OK(mime_summarize(r.arena, r.raw.data, r.raw.len, &limits, &r.s, &err), &err);
	return r;
}

static void done(struct result *r)
{
	buf_deinit(&r->raw);
	arena_free(&r->arena);
}

static const char *body(struct result *r, enum mime_body_type type)
{
	struct mime_body b;
	struct err err = ERR_INIT;
	const char *text;

	REQUIRE_OK(
		mime_body_render(r->s, r->raw.data, r->raw.len, type, UINT64_MAX, &b, &err), &err);
	text = arena_x_strndup(r->arena, (const char *)b.data.data, b.data.len);
	buf_deinit(&b.data);
	return text;
}

static bool has(const char *text, const char *piece)
{
	if (strstr(text, piece) != NULL)
		return true;
	printf("# no \"%s\" in: %s\n", piece, text);
	return false;
}

#define ORIGINAL_HEAD                                                                              \
	"From: \"Bob <B>\" <bob@x>\r\nTo: anna@y\r\nCc: c@z\r\nSubject: Lunch & more\r\n"          \
	"Date: Fri, 20 Apr 2001 23:35:02 +0000\r\nMessage-ID: <o@x>\r\nReferences: <1@x>\r\n "     \
	"<2@x>\r\n"

static const char plain[] = ORIGINAL_HEAD "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n"
					  "Gr\xfc\xdf"
					  "e\r\n> older\r\nsecond\r\n";
static const char reply[] =
	"From: anna@y\r\nTo: bob@x\r\nSubject: Re: Lunch\r\nMIME-Version: 1.0\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n\r\nYes \xe2\x82\xac.\r\n";

static void test_plain_reply(void)
{
	struct result r = compose(reply, plain, false, false);

	CHECK_STR(body(&r, MIME_BODY_TEXT),
		"Yes \xe2\x82\xac.\r\n\r\n\r\n-----Original Message-----\r\n"
		"From: \"Bob <B>\" <bob@x>\r\nSent: 2001-04-20 23:35 UTC\r\nTo: anna@y\r\nCc: "
		"c@z\r\n"
		"Subject: Lunch & more\r\n\r\n> Gr\xc3\xbc\xc3\x9f"
		"e\r\n>> older\r\n> second\r\n\r\n");
	CHECK(has((char *)r.raw.data,
		"\r\nIn-Reply-To: <o@x>\r\nReferences: <1@x>\r\n <2@x>\r\n <o@x>\r\n"));
	CHECK_INT(r.s->part_count, 1);
	CHECK_STR(r.s->subject, "Re: Lunch");
	CHECK_STR(r.s->root_id, "1@x");
	done(&r);
}

static void test_threading_of_the_client(void)
{
	static const char mine[] =
		"In-Reply-To: <mine@x>\r\nReferences: <mine@x>\r\nTo: bob@x\r\n\r\nx";
	struct result r = compose(mine, plain, false, false);

	CHECK(has((char *)r.raw.data, "In-Reply-To: <mine@x>\r\nReferences: <mine@x>\r\n"));
	CHECK(strstr((char *)r.raw.data, "<o@x>") == NULL);
	done(&r);
	/* Also when the client has replaced the text; and ids of a stranger are only ids. */
	r = compose("To: b@x\r\n\r\nmine alone\r\n",
		"Message-ID: <o@x>\r\nReferences: <a@b\r\n Bcc: x@y> <ok@x>\r\n\r\nsecret", false,
		true);
	CHECK_STR(body(&r, MIME_BODY_TEXT), "mine alone\r\n");
	CHECK(has((char *)r.raw.data, "References: <ok@x>\r\n <o@x>\r\n"));
	CHECK(strstr((char *)r.raw.data, "secret") == NULL);
	done(&r);
}

#define BOTH_HEAD                                                                                  \
	"To: bob@x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; "                  \
	"boundary=b\r\n\r\n"                                                                       \
	"--b\r\nContent-Type: text/plain\r\n\r\nmy text\r\n--b\r\nContent-Type: text/html\r\n\r\n"
static const char both[] = BOTH_HEAD "<html><body><p>my html</p></body></html>\r\n--b--\r\n";

static void test_both_forms(void)
{
	struct result r = compose(both, plain, false, false);

	CHECK_INT(r.s->part_count, 2);
	CHECK(str_starts(body(&r, MIME_BODY_TEXT), "my text"));
	CHECK(has(body(&r, MIME_BODY_TEXT), "> second"));
	CHECK(has(body(&r, MIME_BODY_HTML), "<p>my html</p>\r\n<br>\r\n<hr>"));
	CHECK(has(body(&r, MIME_BODY_HTML), "<b>Subject:</b> Lunch &amp; more</div>"));
	CHECK(has(body(&r, MIME_BODY_HTML), "&lt;bob@x&gt;"));
	CHECK(has(body(&r, MIME_BODY_HTML), "</blockquote>\r\n</body></html>"));
	CHECK(has((char *)r.raw.data, "Content-Type: multipart/alternative; boundary=b\r\n"));
	done(&r);
}

#define PICTURE                                                                                    \
	"Content-Type: image/png; name=p.png\r\nX-Evil: 1\r\nContent-ID: <p1>\r\n"                 \
	"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
static const char rich[] = ORIGINAL_HEAD
	"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"
	"Content-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n"
	"<html><head><title>t</title></head><body bgcolor=red><img "
	"src=\"cid:p1\"><b>fat</b></body></html>\r\n"
	"--r\r\n" PICTURE "--r--\r\n--m\r\nContent-Type: application/pdf\r\n"
	"Content-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n\x01\x02\n\x03\r\n"
	"--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--m--\r\n";

static size_t attachments(const struct mime_summary *s, bool inlined)
{
	size_t count = 0;

	for (uint32_t i = 0; i < s->part_count; i++)
		count += s->parts[i].is_attachment && s->parts[i].is_inline == inlined;
	return count;
}

static void test_rich_reply(void)
{
	struct result r = compose(both, rich, false, false);

	CHECK(has(body(&r, MIME_BODY_HTML), "<img src=\"cid:p1\"><b>fat</b>"));
	CHECK(strstr(body(&r, MIME_BODY_HTML), "bgcolor") == NULL);
	CHECK(has(body(&r, MIME_BODY_TEXT), "> "));
	CHECK(has(body(&r, MIME_BODY_TEXT), "fat"));
	CHECK_INT(attachments(r.s, true), 1); /* the picture that the HTML shows */
	CHECK_INT(attachments(r.s, false), 0);
	CHECK(strstr((char *)r.raw.data, "X-Evil") == NULL);
	done(&r);
	/* A reply in plain text has no use for pictures. */
	r = compose(reply, rich, false, false);
	CHECK_INT(r.s->part_count, 1);
	done(&r);
}

static void test_forward(void)
{
	struct result r = compose(both, rich, true, false);
	struct buf pdf = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_INT(attachments(r.s, true), 1);
	REQUIRE(attachments(r.s, false) == 2);
	REQUIRE(r.s->part_count == 5);
	CHECK_STR(r.s->parts[3].name, "a.pdf");
	REQUIRE_OK(mime_part_decode(r.s, r.raw.data, r.raw.len, 3, &pdf, &err), &err);
	CHECK_MEM(pdf.data, pdf.len, "\x01\x02\n\x03", 4);
	CHECK_STR(r.s->parts[4].content_type, "message/rfc822");
	CHECK(has(body(&r, MIME_BODY_HTML), "<b>fat</b>"));
	CHECK(strstr(body(&r, MIME_BODY_HTML), "blockquote") == NULL);
	buf_deinit(&pdf);
	done(&r);
	/* In plain text the picture is an attachment like the others. */
	r = compose(reply, rich, true, false);
	CHECK_INT(r.s->part_count, 4);
	CHECK(strstr(body(&r, MIME_BODY_TEXT), "> ") == NULL);
	done(&r);
	/* ReplaceMime: nothing comes along. */
	r = compose(reply, rich, true, true);
	CHECK_INT(r.s->part_count, 1);
	done(&r);
}

static void test_signed(void)
{
	static const char secret[] = "Message-ID: <o@x>\r\nContent-Type: application/pkcs7-mime; "
				     "smime-type=enveloped-data\r\nContent-Transfer-Encoding: "
				     "base64\r\n\r\naGVsbG8=\r\n";
	static const char mine[] =
		"To: b@x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s;"
		" protocol=\"application/pkcs7-signature\"\r\n\r\n--s\r\nContent-Type: "
		"text/plain\r\n\r\nsigned \r\n"
		"--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nsig\r\n--s--\r\n";
	struct result r = compose(mine, plain, false, false);

	CHECK(has((char *)r.raw.data, strstr(mine, "--s\r\n")));
	CHECK(strstr((char *)r.raw.data, "Original Message") == NULL);
	done(&r);
	r = compose(reply, secret, true, false);
	REQUIRE(r.s->part_count == 2);
	CHECK_STR(r.s->parts[1].content_type, "message/rfc822");
	CHECK(has((char *)r.raw.data, secret));
	done(&r);
}

static void test_odd_clients(void)
{
	/* No text of its own; no header; nothing. */
	struct result r =
		compose("To: b@x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: "
			"base64\r\n\r\naGVsbG8=\r\n",
			plain, false, false);

	CHECK(has(body(&r, MIME_BODY_TEXT), "> second"));
	CHECK_INT(attachments(r.s, false), 1);
	done(&r);
	r = compose("To: b@x", "", false, false);
	CHECK(has(body(&r, MIME_BODY_TEXT), "Original Message"));
	done(&r);
	r = compose("", plain, true, false);
	done(&r);
	/* An original that tries to close what is around it. */
	r = compose(both,
		"Subject: <script>\r\nContent-Type: text/html\r\n\r\n</body></html><!-- --b--",
		false, false);
	CHECK(has(body(&r, MIME_BODY_HTML), "<b>Subject:</b> &lt;script&gt;"));
	CHECK(str_starts(body(&r, MIME_BODY_TEXT), "my text"));
	done(&r);
}

static void test_bounds(void)
{
	struct buf big = BUF_INIT;
	struct result r;

	buf_add_str(&big, "Message-ID: <o@x>\r\nReferences:");
	for (int i = 0; i < 100; i++)
		buf_addf(&big, " <%d@x>\r\n", i);
	buf_add_str(&big, "\r\n");
	for (int i = 0; i < 10000; i++)
		buf_add_str(&big, "0123456789\r\n");
	r = compose(reply, buf_cstr(&big), false, false);
	CHECK(r.raw.len < 12000);
	CHECK(has(body(&r, MIME_BODY_TEXT), "> [...]"));
	CHECK(has((char *)r.raw.data, "References: <0@x>\r\n <81@x>\r\n"));
	CHECK(has((char *)r.raw.data, " <99@x>\r\n <o@x>\r\n"));
	done(&r);
	buf_deinit(&big);
}

TEST_MAIN(TEST(test_plain_reply), TEST(test_threading_of_the_client), TEST(test_both_forms),
	TEST(test_rich_reply), TEST(test_forward), TEST(test_signed), TEST(test_odd_clients),
	TEST(test_bounds))
