/*
 * Bodies: transfer encodings, charsets, line ends, format=flowed, HTML both ways, truncation,
 * type 4.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static struct buf render_bytes(const char *raw, size_t len, enum mime_body_type type, uint64_t max,
	struct mime_body *ret_body)
{
	struct arena *arena = arena_new(0);
	struct mime_summary *s = NULL;
	struct mime_body body;
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_summarize(arena, raw, len, NULL, &s, &err), &err);
	REQUIRE_OK(mime_body_render(s, raw, len, type, max, &body, &err), &err);
	CHECK(body.data.len <= max);
	CHECK(body.truncated || body.estimated_bytes == body.data.len);
	CHECK(utf8_valid(body.data.len > 0 ? body.data.data : (const uint8_t *)"", body.data.len));
	arena_free(&arena);
	if (ret_body != NULL)
		*ret_body = body;
	return body.data;
}

static void check_body(const char *raw, enum mime_body_type type, const char *want)
{
	struct buf got = render_bytes(raw, strlen(raw), type, UINT64_MAX, NULL);

	CHECK_STR(buf_cstr(&got), want);
	buf_deinit(&got);
}

static void test_lines(void)
{
	check_body("\na\n\nb\n", MIME_BODY_TEXT, "a\r\n\r\nb\r\n");
	check_body("\r\na\r\nb", MIME_BODY_TEXT, "a\r\nb");
	check_body("\na\rb\r\r\nc", MIME_BODY_TEXT, "a\r\nb\r\n\r\nc");
	check_body("\na\tb\x01\x7f\x0c", MIME_BODY_TEXT, "a\tb\xef\xbf\xbd\x7f\xef\xbf\xbd");
	check_body("Content-Type: text/plain; charset=utf-8\n\n"
		   "\xc3\xbc\xff\xed\xa0\x80\xef\xbf\xbe\xf0\x9f\x98\x80\xc3",
		MIME_BODY_TEXT,
		"\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		"\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd");
	check_body("Subject: x\n\nHi\n", MIME_BODY_MIME, "Subject: x\r\n\r\nHi\r\n");
	check_body("Content-Type: image/png\n\nx", MIME_BODY_TEXT, "");
	check_body("Content-Type: image/png\n\nx", MIME_BODY_HTML, "");
}

struct coded {
	const char *encoding, *in, *want;
};

static void test_transfer(void)
{
	static const struct coded cases[] = {
		{"quoted-printable", "a=3Db=\nc=20\nd \t\ne", "a=bc \nd\ne"},
		{"quoted-printable", "a=\r\nb\r\n", "ab\r\n"},
		{"quoted-printable", "=4 =zz == =4", "=4 =zz == =4"},
		{"quoted-printable", "=c3=BC=", "\xc3\xbc"},
		{"QUOTED-PRINTABLE", "a=  \nb", "ab"},
		{"base64", "aGVsbG8=", "hello"},
		{"base64", "aGVs\r\nbG8", "hello"},
		{"base64", "aG*Vs bG8=\n\nfooter", "hello"},
		{"base64", "aGVsbA==aGVs", "hell"},
		{"base64", "=aGVs", "hel"},
		{"base64", "a", ""},
		{" Base64 (comment)", "aGVs", "hel"},
		{"x-uuencode", "begin 644 x\n%:&5L;&\\\n`\nend\njunk", "hello"},
		{"x-uuencode", "no begin", ""},
		{"7bit", "a=3D", "a=3D"},
		{"x-unheard-of", "a=3D", "a=3D"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf raw = BUF_INIT, part = BUF_INIT;
		struct arena *arena = arena_new(0);
		struct mime_summary *s = NULL;
		struct err err = ERR_INIT;

		buf_addf(&raw, "Content-Transfer-Encoding: %s\n\n%s", cases[i].encoding,
			cases[i].in);
		REQUIRE_OK(mime_summarize(arena, raw.data, raw.len, NULL, &s, &err), &err);
		REQUIRE_OK(mime_part_decode(s, raw.data, raw.len, 0, &part, &err), &err);
		CHECK_STR(buf_cstr(&part), cases[i].want);
		CHECK_INT(s->parts[0].decoded_bytes, strlen(cases[i].want));
		CHECK_INT(mime_part_decode(s, raw.data, raw.len, 1, &part, &err), -1);
		CHECK_INT(err.code, ERR_NOT_FOUND);
		CHECK_INT(mime_part_decode(s, raw.data, 10, 0, &part, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		buf_deinit(&raw);
		buf_deinit(&part);
		arena_free(&arena);
	}
}

/* Text that is not in the encoding that it claims is shown as it is; a line that strayed in is no
 * matter. */
static void test_untrue_transfer(void)
{
#define BASE64 "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
	check_body(BASE64 "Dear all,\nthis is\nno base64.\n", MIME_BODY_TEXT,
		"Dear all,\r\nthis is\r\nno base64.\r\n");
	check_body(BASE64 "\n\nWords, again\n", MIME_BODY_TEXT, "\r\n\r\nWords, again\r\n");
	check_body(BASE64 "  aGVs  \nbG8=\n-- \nlist footer\n", MIME_BODY_TEXT, "hello");
	check_body(BASE64 "--\n: :\naGVsbG8=\n", MIME_BODY_TEXT, "hello");
	check_body(BASE64 "", MIME_BODY_TEXT, "");
#undef BASE64
}

struct collected {
	struct buf bytes;
	size_t passed;
};

static void collect(void *owner, const void *bytes, size_t len)
{
	buf_add(&((struct collected *)owner)->bytes, bytes, len);
}

static void on_passed(void *owner, size_t raw_offset)
{
	struct collected *c = owner;

	CHECK(raw_offset > c->passed);
	c->passed = raw_offset;
}

static void check_range(const struct mime_summary *s, const struct buf *raw,
	const struct buf *whole, uint64_t first, uint64_t count)
{
	struct collected c = {.bytes = BUF_INIT};
	struct mime_part_range range = {first, count, collect, on_passed, &c};
	struct err err = ERR_INIT;
	size_t from = (size_t)MIN(first, whole->len);
	size_t len = (size_t)MIN(count, whole->len - from);

	REQUIRE_OK(mime_part_read(s, raw->data, raw->len, 0, &range, &err), &err);
	CHECK_INT(c.bytes.len, len);
	CHECK(len == 0 || memcmp(c.bytes.data, whole->data + from, len) == 0);
	CHECK(c.passed <= raw->len);
	buf_deinit(&c.bytes);
}

/* A part of many pieces gives the same bytes, whole and in ranges. */
static void test_part_ranges(void)
{
	static const struct {
		const char *encoding, *line;
	} cases[] = {
		{"base64", "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8h\r\n"},
		{"base64", "aGVsb G8gaGVsbG8gaG\n"},
		{"quoted-printable", "a=3Db and a soft=\r\n break, blanks \t\r\n"},
		{"quoted-printable", "no line end at all =3D "},
		{"x-uuencode", "begin 644 x\n%:&5L;&\\\n"},
		{"8bit", "bytes as they are\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf raw = BUF_INIT, whole = BUF_INIT;
		struct arena *arena = arena_new(0);
		struct mime_summary *s = NULL;
		struct err err = ERR_INIT;

		buf_addf(&raw, "Content-Type: image/x\nContent-Transfer-Encoding: %s\n\n",
			cases[i].encoding);
		while (raw.len < 1000000)
			buf_add_str(&raw, cases[i].line);
		REQUIRE_OK(mime_summarize(arena, raw.data, raw.len, NULL, &s, &err), &err);
		REQUIRE_OK(mime_part_decode(s, raw.data, raw.len, 0, &whole, &err), &err);
		CHECK_INT(s->parts[0].decoded_bytes, whole.len);
		CHECK(whole.len > 300000);
		check_range(s, &raw, &whole, 0, UINT64_MAX);
		check_range(s, &raw, &whole, 0, 1);
		check_range(s, &raw, &whole, 196607, 3);
		check_range(s, &raw, &whole, 1000, 250000);
		check_range(s, &raw, &whole, whole.len - 1, 100);
		check_range(s, &raw, &whole, whole.len, 1);
		check_range(s, &raw, &whole, UINT64_MAX, UINT64_MAX);
		buf_deinit(&raw);
		buf_deinit(&whole);
		arena_free(&arena);
	}
}

struct charset_case {
	const char *charset, *in, *want;
};

static void test_charsets(void)
{
	static const struct charset_case cases[] = {
		{"us-ascii", "a", "a"},
		{"us-ascii", "\xc3\xbc", "\xc3\xbc"},
		{"us-ascii", "\xfc", "\xc3\xbc"},
		{"", "\xfc\x80", "\xc3\xbc\xe2\x82\xac"},
		{"utf-8", "\xef\xbb\xbfx", "x"},
		{"unknown", "\xfc", "\xc3\xbc"},
		{"iso-8859-1", "\xfc\x93", "\xc3\xbc\xe2\x80\x9c"},
		{"ISO_8859-2", "\xb9", "\xc5\xa1"},
		{"iso-8859-15", "\xa4", "\xe2\x82\xac"},
		{"windows-1251", "\xcf", "\xd0\x9f"},
		{"windows-1252", "\x81", "\xef\xbf\xbd"},
		{"windows-1255", "\xf9", "\xd7\xa9"},
		{"koi8-r", "\xf0", "\xd0\x9f"},
		{"gb2312", "\xc4\xe3", "\xe4\xbd\xa0"},
		{"gbk", "a\x81", "a\xef\xbf\xbd"},
		{"big5", "\xa7\x41", "\xe4\xbd\xa0"},
		{"shift_jis", "\x93\xfa\x87\x40", "\xe6\x97\xa5\xe2\x91\xa0"},
		{"iso-2022-jp", "\x1b$BF|\x1b(B!", "\xe6\x97\xa5!"},
		{"euc-jp", "\xc6\xfc", "\xe6\x97\xa5"},
		{"euc-kr", "\xbe\xc8", "\xec\x95\x88"},
		{"ks_c_5601-1987", "\xbe\xc8", "\xec\x95\x88"},
		{"utf-7", "+APw-", "\xc3\xbc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf raw = BUF_INIT;

		buf_addf(&raw, "Content-Type: text/plain; charset=\"%s\"\n\n%s", cases[i].charset,
			cases[i].in);
		check_body(buf_cstr(&raw), MIME_BODY_TEXT, cases[i].want);
		buf_deinit(&raw);
	}
	check_body("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n"
		   "//78AA==",
		MIME_BODY_TEXT, "\xc3\xbc");
}

static void test_flowed(void)
{
#define FLOWED "Content-Type: text/plain; format=flowed\n\n"
	check_body(FLOWED "one \ntwo\nthree\n", MIME_BODY_TEXT, "one two\r\nthree\r\n");
	check_body(FLOWED " stuffed\n  two\n", MIME_BODY_TEXT, "stuffed\r\n two\r\n");
	check_body(FLOWED ">> a \n>> b\n> c\nd\n", MIME_BODY_TEXT, ">> a b\r\n> c\r\nd\r\n");
	check_body(FLOWED "> a \nb\n", MIME_BODY_TEXT, "> a \r\nb\r\n");
	check_body(FLOWED "a \n-- \nsig\n", MIME_BODY_TEXT, "a \r\n-- \r\nsig\r\n");
	check_body("Content-Type: text/plain; format=flowed; delsp=yes\n\na \nb\n", MIME_BODY_TEXT,
		"ab\r\n");
	check_body(FLOWED "a \n", MIME_BODY_TEXT, "a ");
}

static void test_html_to_text(void)
{
	static const char *const cases[][2] = {
		{"<p>a<p>b", "a\n\nb\n"},
		{"a<br>b<br><br>c", "a\nb\n\nc\n"},
		{"<div>a</div><div><br></div><div>b</div>", "a\n\nb\n"},
		{"<br><br>a<br><br><br>", "a\n"},
		{"<div style='color:red;DISPLAY : none'>x<p>y</div><p style=\"display:block\">a",
			"a\n"},
		{"a<img alt=x style=display:none>b<span style='display:none'>c<br>e</span>d",
			"abd\n"},
		{"<body style='display:none'>a", "a\n"},
		{"<br><p><br>a</p><br><div><br></div>", "a\n"},
		{"<pre>\n\na\n\n</pre>", "a\n"},
		{" a \n b<b> c</b>d ", "a b cd\n"},
		{"<head><title>t</title><style>x{}</style></head><body>a<script>if (a<b) "
		 "c()</script>b",
			"ab\n"},
		{"&lt;a&gt; &amp; &uuml;&#8364;&nbsp;&bogus;",
			"<a> & \xc3\xbc\xe2\x82\xac\xc2\xa0&bogus;\n"},
		{"<a href=\"http://x.org/\">text</a>.", "text (http://x.org/).\n"},
		{"<a href=\"http://x.org/\">http://x.org</a>", "http://x.org\n"},
		{"<a href=\"mailto:a@b.c?subject=x\">a@b.c</a>", "a@b.c\n"},
		{"<a href=\"#top\">up</a> <a href=\"javascript:x\">y</a>", "up y\n"},
		{"<ul><li>a<li>b<ol><li>c<li>d</ol></ul>e", "* a\n* b\n  1. c\n  2. d\n\ne\n"},
		{"<table><tr><td>a<td>b<tr><td>c</table>d", "a b\nc\nd\n"},
		{"a<blockquote>b<br>c<p>d</blockquote>e", "a\n\n> b\n> c\n>\n> d\n\ne\n"},
		{"<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\n\nd\n"},
		{"a<hr>b", "a\n\n----------------------------------------\nb\n"},
		{"<img src=x alt=\"a picture\"> b", "a picture b\n"},
		{"<!-- c -->a</b></i>", "a\n"},
		{"a <unknown>b</unknown>", "a b\n"},
		{"", ""},
		{"<p>", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf raw = BUF_INIT, want = BUF_INIT;

		buf_addf(&raw, "Content-Type: text/html; charset=utf-8\n\n%s", cases[i][0]);
		for (const char *p = cases[i][1]; *p != 0; p++)
			buf_addf(&want, "%s%c", *p == '\n' ? "\r" : "", *p);
		check_body(buf_cstr(&raw), MIME_BODY_TEXT, buf_cstr(&want));
		buf_deinit(&raw);
		buf_deinit(&want);
	}
}

/* libxml2 is not asked to hold endless nesting; the text is there anyway. */
static void test_html_bombs(void)
{
	static const char *const pieces[] = {"<b>", "<div>", "<table><tr><td>", "<ul><li>",
		"<blockquote>", "</i>", "<a href=http://x.y>", "<", "&", "<!--", "<p>x"};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct buf raw = BUF_INIT, got;

		buf_add_str(&raw, "Content-Type: text/html\n\nbegin ");
		while (raw.len < 200000)
			buf_add_str(&raw, pieces[i]);
		buf_add_str(&raw, " end");
		got = render_bytes((const char *)raw.data, raw.len, MIME_BODY_TEXT, 1000, NULL);
		CHECK(str_starts(buf_cstr(&got), "begin"));
		buf_deinit(&got);
		buf_deinit(&raw);
	}
}

#define HTML_HEAD                                                                                  \
	"<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">"      \
	"</head><body>\r\n"
#define HTML_TAIL "</body></html>\r\n"

static void test_text_to_html(void)
{
	check_body("\na <b> & \"c\"\n", MIME_BODY_HTML,
		HTML_HEAD "a &lt;b&gt; &amp; &quot;c&quot;<br>\r\n" HTML_TAIL);
	check_body("\n  a  b\n\tc\n", MIME_BODY_HTML,
		HTML_HEAD "&nbsp;&nbsp;a&nbsp; b<br>\r\n&nbsp;&nbsp;&nbsp; c<br>\r\n" HTML_TAIL);
	check_body("\na long line of more than sixteen bytes, then < and\r\nmore", MIME_BODY_HTML,
		HTML_HEAD
		"a long line of more than sixteen bytes, then &lt; and<br>\r\nmore" HTML_TAIL);
}

static void test_html_charset(void)
{
#define LATIN "Content-Type: text/html; charset=iso-8859-1\n\n"
	check_body(LATIN "<meta charset=iso-8859-1>\xfc", MIME_BODY_HTML,
		"<meta charset=utf-8>\xc3\xbc");
	check_body(LATIN "<META content='text/html; Charset = \"latin1\"'><p>\xfc", MIME_BODY_HTML,
		"<META content='text/html; Charset = \"utf-8\"'><p>\xc3\xbc");
	check_body(LATIN "<meta charset=utf-8><meta name=x><body charset=a>", MIME_BODY_HTML,
		"<meta charset=utf-8><meta name=x><body charset=a>");
	check_body("Content-Type: text/html\n\n<meta charset=koi8-r>\xf0", MIME_BODY_HTML,
		"<meta charset=utf-8>\xd0\x9f");
	check_body("Content-Type: text/html\n\n<meta charset=utf-8>\xf0", MIME_BODY_TEXT,
		"\xc3\xb0\r\n");
	check_body(LATIN "<meta charset", MIME_BODY_HTML, "<meta charset");
	check_body(LATIN "<meta charset=>", MIME_BODY_HTML, "<meta charset=>");
}

/* Every size: a prefix of the whole, no cut character, the same estimate. HTML may end earlier. */
static void test_truncation(void)
{
	static const char *const raws[] = {
		"Content-Type: text/plain; charset=utf-8\n\na\xc3\xbc\n\xe2\x82\xac "
		"\xf0\x9f\x98\x80\n",
		"Content-Type: text/html; charset=koi8-r\n\n<p>\xf0\xf1 <b>x</b>\n<p>\xf2"};
	static const enum mime_body_type types[] = {MIME_BODY_TEXT, MIME_BODY_HTML, MIME_BODY_MIME};

	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		for (size_t t = 0; t < ARRAY_LEN(types); t++) {
			size_t len = strlen(raws[i]);
			struct buf all = render_bytes(raws[i], len, types[t], UINT64_MAX, NULL);

			for (size_t max = 0; max <= all.len + 1; max++) {
				struct mime_body cut;
				struct buf got = render_bytes(raws[i], len, types[t], max, &cut);

				CHECK(got.len <= max);
				CHECK(types[t] == MIME_BODY_HTML ||
					got.len + 3 >= MIN(max, all.len));
				CHECK(got.len == 0 || memcmp(got.data, all.data, got.len) == 0);
				CHECK_INT(cut.estimated_bytes, all.len);
				CHECK(cut.truncated == (got.len < all.len));
				buf_deinit(&got);
			}
			buf_deinit(&all);
		}
	}
}

/* Only the start of a long body is read when that is enough; the size is estimated from it. */
static void test_long(void)
{
	struct buf raw = BUF_INIT, got;
	struct mime_body body;

	buf_add_str(&raw, "\n");
	while (raw.len < 3000000)
		buf_add_str(&raw, "some line of text\n");
	got = render_bytes((const char *)raw.data, raw.len, MIME_BODY_TEXT, 1000, &body);
	CHECK_INT(got.len, 1000);
	CHECK(body.truncated);
	CHECK(body.estimated_bytes > raw.len && body.estimated_bytes < raw.len + raw.len / 10);
	buf_deinit(&got);
	got = render_bytes((const char *)raw.data, raw.len, MIME_BODY_TEXT, UINT64_MAX, &body);
	CHECK(!body.truncated && got.len > raw.len);
	buf_deinit(&got);
	buf_deinit(&raw);
}

/* A character that stands across the end of what is looked at does not make the text another
 * charset. */
static void test_long_utf8(void)
{
	for (size_t shift = 0; shift < 4; shift++) {
		struct buf raw = BUF_INIT, got;

		buf_addf(&raw, "X: y\n\n%.*s", (int)shift, "abc");
		while (raw.len < 400000)
			buf_add_str(&raw, "\xf0\x9f\x98\x80");
		got = render_bytes((const char *)raw.data, raw.len, MIME_BODY_TEXT, 100, NULL);
		CHECK(got.len > 90 && memcmp(got.data + shift, "\xf0\x9f\x98\x80", 4) == 0);
		buf_deinit(&got);
		got = render_bytes((const char *)raw.data, raw.len, MIME_BODY_MIME, 100, NULL);
		CHECK(got.len > 90 && memcmp(got.data + 8 + shift, "\xf0\x9f\x98\x80", 4) == 0);
		buf_deinit(&got);
		buf_deinit(&raw);
	}
}

struct cut {
	const char *html;
	uint64_t max;
	const char *want;
};

/* HTML ends in front of a tag or an entity that does not fit. */
static void test_html_cut(void)
{
	static const struct cut cuts[] = {
		{"a<b>c</b>", 9, "a<b>c</b>"},
		{"a<b>c</b>", 8, "a<b>c"},
		{"a<b>c</b>", 5, "a<b>c"},
		{"a<b>c</b>", 3, "a"},
		{"a<b>c</b>", 2, "a"},
		{"<b>", 2, ""},
		{"a < b, c", 6, "a < b,"},
		{"a &amp; b", 6, "a "},
		{"a &amp; b", 7, "a &amp;"},
		{"a & bcd", 5, "a & b"},
		{"a &#x20ac", 5, "a "},
		{"<a title='x>y'>z", 12, "<a title='x>"},
		{"x<!-- y --> z", 5, "x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		struct mime_body body;
		struct buf raw = BUF_INIT;

		buf_addf(&raw, "Content-Type: text/html\n\n%s", cuts[i].html);
		render_bytes(buf_cstr(&raw), raw.len, MIME_BODY_HTML, cuts[i].max, &body);
		CHECK_STR(buf_cstr(&body.data), cuts[i].want);
		CHECK_INT(body.estimated_bytes, strlen(cuts[i].html));
		buf_deinit(&body.data);
		buf_deinit(&raw);
	}
}

static void test_mime_of_8bit(void)
{
#define HEAD "Subject: \xfc\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
	check_body(HEAD "Content-Type: text/plain; charset=iso-8859-1\n"
			"Content-Transfer-Encoding: 8bit\n\n\xfc = \nx\n--b\n"
			"Content-Type: image/png; name=\"\xfc\"\n\n\xff\xd8\n--b\n"
			"Content-Type: message/rfc822\n\nSubject: y\n\n\xe4\n--b--\n",
		MIME_BODY_MIME,
		"Subject: \xc3\xbc\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: text/plain; charset=iso-8859-1\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC =3D=20\r\nx\r\n--b\r\n"
		"Content-Type: image/png; name=\"\xc3\xbc\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n/9g=\r\n--b\r\n"
		"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n--b--\r\n");
	/* Clean UTF-8 stays as it is. */
	check_body("Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n", MIME_BODY_MIME,
		"Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n");
}

TEST_MAIN(TEST(test_lines), TEST(test_transfer), TEST(test_untrue_transfer), TEST(test_part_ranges),
	TEST(test_charsets), TEST(test_flowed), TEST(test_html_to_text), TEST(test_html_bombs),
	TEST(test_text_to_html), TEST(test_html_charset), TEST(test_truncation), TEST(test_long),
	TEST(test_long_utf8), TEST(test_html_cut), TEST(test_mime_of_8bit))
