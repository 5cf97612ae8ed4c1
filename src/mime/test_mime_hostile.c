/*
 * Messages made to be expensive: one thing again and again, half a megabyte of it. Whatever takes
 * more than time and memory in proportion to the input does not come to an end in time here, or
 * gives more than it may.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

/* With sanitizers everything takes ten times as long. */
#define BYTES (POOLS_ARE_MALLOC ? (size_t)64 * 1024 : (size_t)512 * 1024)
/* A tab is the dearest byte: three blanks that HTML does not break, and one that it may. */
#define GROWTH_MAX 20u

#define HTML    "Content-Type: text/html\r\n\r\n"
#define MULTI   "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
#define RELATED "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n" HTML "x\r\n"

static const struct {
	const char *name, *head, *piece, *tail;
} shapes[] = {
	{"div", HTML, "<div>", ""},
	{"b", HTML, "<b>x", ""},
	{"links", HTML, "<p><a href=http://x.y/>", ""},
	{"tables", HTML, "<table><tr><td>x", ""},
	{"cells", HTML "<table>", "<tr><td>x</td><td>y</td></tr>", "</table>"},
	{"lists", HTML, "<ul><li>", ""},
	{"items", HTML "<ul>", "<li>x", ""},
	{"quotes", HTML, "<blockquote>x", ""},
	{"closed", HTML, "</i></b></p>", ""},
	{"lt", HTML, "<", ""},
	{"amp", HTML, "&", ""},
	{"entities", HTML, "&amp;&#128512;&#xD800;&#0;&#55357;&#56832;&nosuch;", ""},
	{"comment", HTML, "<!--", ""},
	{"comments", HTML, "<!-- x -->", ""},
	{"cdata", HTML, "<![CDATA[x]]>", ""},
	{"pi", HTML, "<?x y?>", ""},
	{"long attribute", HTML "<a href=\"", "aaaaaaaaaa", "\">x</a>"},
	{"attributes", HTML "<a", " a=b", ">x</a>"},
	{"attributes apart", HTML, "<a b=c d=e f=g h=i>x</a>", ""},
	{"styles", HTML, "<p style='display displaydisplay: block'>x</p>", ""},
	{"hidden", HTML, "<p style='display: none'>x", ""},
	{"script", HTML "<script>", "</scrip <b>", ""},
	{"textarea", HTML, "<textarea><title>", ""},
	{"svg", HTML, "<svg><g>", ""},
	{"quote marks", HTML, "<p \"'>", ""},
	{"blanks", HTML, " \n", ""},
	{"breaks", HTML, "<br>", ""},
	{"pre", HTML "<pre>", "\n", ""},
	{"fields", "Subject: x\r\n", "X-A: b\r\n", "\r\nx"},
	{"long field", "Subject: ", "aaaaaaaaaa", "\r\n\r\nx"},
	{"folds", "Subject: x\r\n", " a\r\n", "\r\nx"},
	{"encoded words", "Subject: ", "=?utf-8?Q?=C3?= ", "\r\n\r\nx"},
	{"received", "", "Received: from a by b; Mon, 6 May 2024 09:12:00 +0000\r\n", "\r\nx"},
	{"addresses", "To: ", "a@b.c, ", "\r\n\r\nx"},
	{"address fields", "", "To: a@b.c\r\n", "\r\nx"},
	{"references", "References: ", "<a@b> ", "\r\n\r\nx"},
	{"parameters", "Content-Type: text/plain", "; a=b", "\r\n\r\nx"},
	{"pieces of parameters", "Content-Type: text/plain", "; a*0*=''b", "\r\n\r\nx"},
	{"lost parameters", "Content-Type: text/plain;\r\n", "a=b;\r\n", "\r\nx"},
	{"comments in types", "", "Content-Type: text/plain; a=(b\r\n", "\r\nx"},
	{"parts", MULTI, "--b\r\n\r\nx\r\n", "--b--"},
	{"empty parts", MULTI, "--b\r\n\r\n\r\n\r\n", "--b--"},
	{"delimiters", MULTI, "--b\r\n", ""},
	{"nested", "", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", ""},
	{"dashes", MULTI, "--\r\n--c\r\n", ""},
	{"digest", "Content-Type: multipart/digest; boundary=b\r\n\r\n",
		"--b\r\n\r\nSubject: x\r\n\r\n", "--b--"},
	{"embedded", "", "Content-Type: message/rfc822\r\n\r\n", ""},
	{"flowed", "Content-Type: text/plain; format=flowed\r\n\r\n", ">> a \r\n> b \r\n", ""},
	{"8 bits", "\r\n", "\xff\xfe\n", ""},
	{"line feeds", "\r\n", "\n", ""},
	{"tabs", "\r\n", "\t", ""},
	{"carriage returns", "\r\n", "\r", ""},
	{"gb18030", "Content-Type: text/plain; charset=gb18030\r\n\r\n", "\x81\x30\xff", ""},
	{"iso-2022-jp", "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n", "\x1b$B\x1b(B",
		""},
	{"utf-7", "Content-Type: text/plain; charset=utf-7\r\n\r\n", "+//8-", ""},
	{"uuencode", "Content-Transfer-Encoding: x-uuencode\r\n\r\n", "begin 6 x\nend\n", ""},
	{"quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\n", "=\n= \t\n",
		""},
	{"base64", "Content-Transfer-Encoding: base64\r\n\r\n", "=", ""},
	{"untrue base64", "Content-Transfer-Encoding: base64\r\n\r\n", "a b\n", ""},
	{"links to parts", HTML, "cid:%41", ""},
	{"parts with ids", RELATED, "--b\r\nContent-ID: <a>\r\n\r\n\r\n", "--b--"},
};

static void make(size_t i, size_t bytes, struct buf *out)
{
	buf_add_str(out, shapes[i].head);
	while (out->len < bytes)
		buf_add_str(out, shapes[i].piece);
	buf_add_str(out, shapes[i].tail);
}

static void render(const struct mime_summary *s, const struct buf *raw, const char *name)
{
	static const enum mime_body_type types[] = {MIME_BODY_TEXT, MIME_BODY_HTML, MIME_BODY_MIME};
	static const uint64_t sizes[] = {500, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(types) * ARRAY_LEN(sizes); i++) {
		uint64_t max = sizes[i % ARRAY_LEN(sizes)];
		struct mime_body body;
		struct err err = ERR_INIT;

		REQUIRE_OK(mime_body_render(s, raw->data, raw->len, types[i / ARRAY_LEN(sizes)],
				   max, &body, &err),
			&err);
		if (body.data.len > max || body.data.len > GROWTH_MAX * raw->len + 1000 ||
			(body.data.len > 0 && !utf8_valid(body.data.data, body.data.len)))
			CHECK_STR(name, "of bounded size, and clean");
		CHECK(body.truncated || body.estimated_bytes == body.data.len);
		buf_deinit(&body.data);
	}
}

static void test_shapes(void)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct buf raw = BUF_INIT, sent = BUF_INIT, blob = BUF_INIT;
		struct arena *arena = arena_new(0);
		struct mime_envelope *envelope;
		struct mime_summary *s = NULL;
		struct err err = ERR_INIT;

		make(i, BYTES, &raw);
		REQUIRE_OK(mime_summarize(arena, raw.data, raw.len, NULL, &s, &err), &err);
		CHECK(s->part_count <= 1001);
		mime_summary_encode(s, &blob);
		/* What is kept of a message beside it: fields of 32 KB, and parts. */
		CHECK(blob.len < 400000);
		render(s, &raw, shapes[i].name);
		if (mime_envelope_read(arena, raw.data, raw.len, &envelope, &err) == 0)
			CHECK_INT(mime_prepare_send(raw.data, raw.len, "a@b.c", "b.c", 1, NULL,
					  &sent, NULL, &err),
				0);
		CHECK(sent.len <= 2 * raw.len + 1000);
		buf_deinit(&raw);
		buf_deinit(&sent);
		buf_deinit(&blob);
		arena_free(&arena);
	}
}

TEST_MAIN(TEST(test_shapes))
