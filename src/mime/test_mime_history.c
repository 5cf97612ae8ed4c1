/*
 * What a message adds to its conversation: the marks of mail programs, quoted text, forwards, what
 * is no history, sizes.
 */
#include "mime/mime.h"

#include <string.h>

#include "base/mem.h"
#include "base/test.h"

#define REPLY "Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: a\r\n"
#define HTML  "Content-Type: text/html; charset=utf-8\r\n\r\n"
#define TEXT  "Content-Type: text/plain; charset=utf-8\r\n\r\n"

static void render(const char *raw, uint64_t max, unsigned chars, struct mime_body *ret_body,
	struct buf *preview)
{
	struct arena *arena = arena_new(0);
	struct mime_summary *s = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_summarize(arena, raw, strlen(raw), NULL, &s, &err), &err);
	REQUIRE_OK(mime_body_render_new(s, raw, strlen(raw), max, chars, ret_body, preview, &err),
		&err);
	CHECK_INT(ret_body->type, MIME_BODY_HTML);
	CHECK(ret_body->data.len <= max);
	CHECK(ret_body->truncated || ret_body->estimated_bytes == ret_body->data.len);
	arena_free(&arena);
}

static void check(const char *raw, const char *want)
{
	struct mime_body body;

	render(raw, UINT64_MAX, 0, &body, NULL);
	CHECK_STR(buf_cstr(&body.data), want);
	buf_deinit(&body.data);
}

struct row {
	const char *html, *want;
};

static void test_marks(void)
{
	static const struct row rows[] = {
		/* Gmail */
		{"<div>new</div><div class=\"gmail_quote\"><div class=\"gmail_attr\">On x:</div>"
		 "<blockquote class=\"gmail_quote\">old</blockquote></div>",
			"<div>new</div>"},
		/* Apple Mail; what stands between quotes stays */
		{"<body>a<BLOCKQUOTE type='cite'>o<blockquote type=cite>older</blockquote>o"
		 "</BLOCKQUOTE>b<blockquote type=\"cite\">o</blockquote>c</body>",
			"<body>abc</body>"},
		/* Thunderbird */
		{"<div class=moz-cite-prefix>On x:<br></div><blockquote type=\"cite\">old"
		 "</blockquote><p>below</p>",
			"<p>below</p>"},
		/* Outlook, on the web and on the desktop: the rest */
		{"<html><body>new<div id=\"appendonsend\"></div><hr><div id=\"divRplyFwdMsg\">From"
		 "</div>old</body></html>",
			"<html><body>new</body></html>"},
		{"<p>new</p><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p>From: x</p>"
		 "</div><p>old</p>",
			"<p>new</p>"},
		/* ours, see mime_quote.c */
		{"<p>new</p><hr>\r\n<div><b>From:</b> x</div><blockquote type=\"cite\">old"
		 "</blockquote></body></html>",
			"<p>new</p></body></html>"},
		/* never closed: the rest */
		{"new<blockquote type=cite>old<p>old</body>", "new</body>"},
		/* not a mark: comments, styles, values, other blockquotes */
		{"<!-- <blockquote type=cite> --><style>a > b{} <div id=appendonsend></style>"
		 "<a title='<div id=appendonsend>'>x</a><blockquote>mine</blockquote>",
			"<!-- <blockquote type=cite> --><style>a > b{} <div id=appendonsend>"
			"</style><a title='<div id=appendonsend>'>x</a><blockquote>mine"
			"</blockquote>"},
		/* nothing would be left */
		{"<blockquote type=cite>old</blockquote> <br>",
			"<blockquote type=cite>old</blockquote> <br>"},
		{"<img src=x><blockquote type=cite>old</blockquote>", "<img src=x>"},
		{"a<div class", "a<div class"},
		{"a<div class=", "a<div class="},
		{"a<div class=\"gmail_quote", "a"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf raw = BUF_INIT;

		buf_addf(&raw, REPLY HTML "%s", rows[i].html);
		check(buf_cstr(&raw), rows[i].want);
		buf_deinit(&raw);
	}
}

#define HEAD                                                                                       \
	"<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; "                      \
	"charset=utf-8\"></head><body>\r\n"
#define TAIL "</body></html>\r\n"

static void test_text(void)
{
	check(REPLY TEXT "new\r\n\r\nOn Monday, somebody\r\nwrote:\r\n> old\r\n> older\r\n",
		HEAD "new<br>\r\n<br>\r\n" TAIL);
	check(REPLY TEXT "On Monday x wrote:\n\n> old\n\nbelow <1\n",
		HEAD "<br>\r\nbelow &lt;1<br>\r\n" TAIL);
	check(REPLY TEXT "new\n-----Original Message-----\nFrom: x\n", HEAD "new<br>\r\n" TAIL);
	check(REPLY TEXT "new\n________________________________\nVon: x\nold\n",
		HEAD "new<br>\r\n" TAIL);
	check(REPLY TEXT "new\n----- these were refused -----\n<a@x>\n",
		HEAD "new<br>\r\n----- these were refused -----<br>\r\n&lt;a@x&gt;<br>\r\n" TAIL);
	check(REPLY TEXT "a list:\n\nof four\n\nlong\n\nlines\n-- \nme\n",
		HEAD "a list:<br>\r\n<br>\r\nof four<br>\r\n<br>\r\nlong<br>\r\n<br>\r\nlines"
		     "<br>\r\n-- <br>\r\nme<br>\r\n" TAIL);
	check(REPLY TEXT "> all of it\n", HEAD "&gt; all of it<br>\r\n" TAIL);
}

static void test_no_history(void)
{
	static const char quote[] = "new<blockquote type=cite>old</blockquote>";

	check("Message-ID: <1@x>\r\nSubject: a\r\n" HTML
	      "new<blockquote type=cite>old</blockquote>",
		quote);
	check("Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Fwd: a\r\n" HTML
	      "new<blockquote type=cite>old</blockquote>",
		quote);
	check("Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: WG[2] : a\r\n" HTML
	      "new<blockquote type=cite>old</blockquote>",
		quote);
	check("Subject: AW: a\r\n" HTML "new<blockquote type=cite>old</blockquote>", "new");
	check("Subject: Re: Fwd: a\r\n" HTML "new<blockquote type=cite>old</blockquote>", "new");
	check("Subject: a\r\nContent-Type: image/png\r\n\r\nx", "");
}

static void test_sizes(void)
{
	struct mime_body body;
	struct buf preview = BUF_INIT;

	render(REPLY HTML "<p>\xc3\xbc  one</p>two<blockquote type=cite>old</blockquote>", 4, 5,
		&body, &preview);
	CHECK_STR(buf_cstr(&body.data), "<p>");
	CHECK(body.truncated);
	CHECK_INT(body.estimated_bytes, 17);
	CHECK_STR(buf_cstr(&preview), "\xc3\xbc one");
	buf_deinit(&body.data);
	buf_deinit(&preview);
	render(REPLY TEXT "new text\n> old\n", 0, 255, &body, &preview);
	CHECK_INT(body.data.len, 0);
	CHECK(body.truncated);
	CHECK_STR(buf_cstr(&preview), "new text");
	buf_deinit(&body.data);
	buf_deinit(&preview);
}

static void test_too_large(void)
{
	struct arena *arena = arena_new(0);
	struct buf raw = BUF_INIT, preview = BUF_INIT;
	struct mime_summary *s = NULL;
	struct mime_body body;
	struct err err = ERR_INIT;

	buf_add_str(&raw, "Subject: large\r\n" TEXT);
	for (size_t i = 0; i < 9 * 1024; i++)
		buf_addf(&raw, "%01023zu\n", i);
	REQUIRE_OK(mime_summarize(arena, raw.data, raw.len, NULL, &s, &err), &err);
	CHECK(mime_body_render_new(s, raw.data, raw.len, 1, 0, &body, &preview, &err) < 0);
	CHECK_INT(err.code, ERR_QUOTA);
	CHECK(mime_body_render_new(s, raw.data, 10, 1, 0, &body, &preview, &err) < 0);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	buf_deinit(&raw);
	arena_free(&arena);
}

TEST_MAIN(TEST(test_marks), TEST(test_text), TEST(test_no_history), TEST(test_sizes),
	TEST(test_too_large))
