/*
 * What stands in a reply or forward: the client's own words, a line, who wrote the original to whom
 * and when, then the original; below the client's words, as mail programs on phones expect. Plain
 * text and HTML are made apart, each from what its message has in that form, converted where it has
 * none.
 *
 * The original is a stranger's: its HTML goes inside a blockquote as it is, and can spoil what
 * comes behind it, which is nothing. Limits: q->max bytes of it. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

/* ---- who, when, to whom ---- */

struct line {
	const char *label, *text;
};

/* Date in UTC; "" when there is none. */
static void format_date(int64_t at, char *out, size_t size)
{
	time_t when = (time_t)at;
	struct tm tm;

	out[0] = 0;
	if (at != 0 && gmtime_r(&when, &tm) != NULL)
		(void)strftime(out, size, "%Y-%m-%d %H:%M UTC", &tm);
}

static size_t fill_lines(const struct mime_summary *s, const char *date, struct line lines[5])
{
	const struct line all[] = {{"From", s->from}, {"Sent", date}, {"To", s->to}, {"Cc", s->cc},
		{"Subject", s->subject}};
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (*all[i].text != 0)
			lines[count++] = all[i];
	}
	return count;
}

/* Fields were unfolded, but a hostile one may hold anything else: one line each. */
static void add_one_line(struct buf *out, const char *text)
{
	for (; *text != 0; text++)
		buf_add_byte(out, (uint8_t)*text < ' ' ? ' ' : (uint8_t)*text);
}

static int render(const struct mime_summary *s, const char *raw, size_t len,
	enum mime_body_type type, uint64_t max, struct mime_body *ret, struct err *err)
{
	return mime_body_render(s, raw, len, type, max, ret, err);
}

/* ---- plain text ---- */

static void add_quoted_lines(struct buf *out, const struct buf *text)
{
	const char *p = mime_bytes(text->data, text->len), *end = p + text->len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *behind = nl != NULL ? nl + 1 : end;

		buf_add_str(out, *p == '>' ? ">" : "> ");
		buf_add(out, p, (size_t)(behind - p));
		p = behind;
	}
}

static void add_text_block(struct buf *out, const struct mime_summary *s)
{
	struct line lines[5];
	char date[40];
	size_t count;

	format_date(s->date_at, date, sizeof(date));
	count = fill_lines(s, date, lines);
	buf_add_str(out, "\r\n\r\n-----Original Message-----\r\n");
	for (size_t i = 0; i < count; i++) {
		buf_addf(out, "%s: ", lines[i].label);
		add_one_line(out, lines[i].text);
		buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\n");
}

int mime_quote_text(const struct mime_quote *q, struct buf *out, struct err *err)
{
	struct mime_body mine, theirs;

	if (render(q->mine, q->raw, q->len, MIME_BODY_TEXT, UINT64_MAX, &mine, err) < 0)
		return -1;
	if (render(q->theirs, q->source, q->source_len, MIME_BODY_TEXT, q->max, &theirs, err) < 0) {
		buf_deinit(&mine.data);
		return -1;
	}
	buf_add(out, mine.data.data, mine.data.len);
	add_text_block(out, q->theirs);
	if (q->forward)
		buf_add(out, theirs.data.data, theirs.data.len);
	else
		add_quoted_lines(out, &theirs.data);
	if (theirs.truncated)
		buf_add_str(out, q->forward ? "\r\n[...]" : "\r\n> [...]");
	buf_add_str(out, "\r\n");
	buf_deinit(&mine.data);
	buf_deinit(&theirs.data);
	return out->failed ? err_set(err, ERR_INTERNAL, "no memory for a quoted text") : 0;
}

/* ---- HTML ---- */

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != 0; text++) {
		switch (*text) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		default:
			buf_add_byte(out, (uint8_t)*text < ' ' ? ' ' : (uint8_t)*text);
		}
	}
}

/* The first (or last) place of an ASCII word, in any case, at or behind p; NULL. */
static const char *find_nocase(const char *p, const char *end, const char *word, bool last)
{
	size_t n = strlen(word);
	const char *found = NULL;

	for (; (size_t)(end - p) >= n; p++) {
		p = memchr(p, word[0], (size_t)(end - p) - n + 1);
		if (p == NULL)
			break;
		if (strncasecmp(p, word, n) == 0) {
			found = p;
			if (!last)
				break;
		}
	}
	return found;
}

/* Behind the tag that begins at p. */
static const char *behind_tag(const char *p, const char *end)
{
	const char *gt = memchr(p, '>', (size_t)(end - p));

	return gt != NULL ? gt + 1 : end;
}

/* What a document shows: inside body, else behind head or html. */
static struct mime_slice inner_html(const char *p, size_t len)
{
	static const char *const openings[] = {"<body", "</head", "<html", "<!doctype"};
	static const char *const closings[] = {"</body", "</html"};
	const char *end = p + len, *at;

	for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
		at = find_nocase(p, end, openings[i], false);
		if (at != NULL) {
			p = behind_tag(at, end);
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(closings); i++) {
		at = find_nocase(p, end, closings[i], true);
		if (at != NULL) {
			end = at;
			break;
		}
	}
	return (struct mime_slice){p, (size_t)(end - p)};
}

static void add_html_block(struct buf *out, const struct mime_summary *s)
{
	struct line lines[5];
	char date[40];
	size_t count;

	format_date(s->date_at, date, sizeof(date));
	count = fill_lines(s, date, lines);
	buf_add_str(out, "\r\n<br>\r\n<hr>\r\n<div>");
	for (size_t i = 0; i < count; i++) {
		buf_addf(out, "%s<b>%s:</b> ", i > 0 ? "<br>\r\n" : "", lines[i].label);
		add_escaped(out, lines[i].text);
	}
	buf_add_str(out, "</div>\r\n<br>\r\n");
}

/* Where the client's document ends showing things. */
static size_t insert_at(const struct buf *html)
{
	const char *p = mime_bytes(html->data, html->len), *end = p + html->len;
	const char *at = html->len > 0 ? find_nocase(p, end, "</body", true) : NULL;

	if (at == NULL && html->len > 0)
		at = find_nocase(p, end, "</html", true);
	return at != NULL ? (size_t)(at - p) : html->len;
}

int mime_quote_html(const struct mime_quote *q, struct buf *out, struct err *err)
{
	struct mime_body mine, theirs;
	struct mime_slice inner;
	size_t at;

	if (render(q->mine, q->raw, q->len, MIME_BODY_HTML, UINT64_MAX, &mine, err) < 0)
		return -1;
	if (render(q->theirs, q->source, q->source_len, MIME_BODY_HTML, q->max, &theirs, err) < 0) {
		buf_deinit(&mine.data);
		return -1;
	}
	at = insert_at(&mine.data);
	inner = inner_html(mime_bytes(theirs.data.data, theirs.data.len), theirs.data.len);
	buf_add(out, mine.data.data, at);
	add_html_block(out, q->theirs);
	buf_add_str(out, q->forward ? "<div>\r\n"
				    : "<blockquote type=\"cite\" style=\"margin:0 0 0 .8ex;"
				      "border-left:1px solid #ccc;padding-left:1ex\">\r\n");
	buf_add(out, inner.p, inner.len);
	if (theirs.truncated)
		buf_add_str(out, "\r\n[...]");
	buf_add_str(out, q->forward ? "\r\n</div>\r\n" : "\r\n</blockquote>\r\n");
	if (at < mine.data.len)
		buf_add(out, mine.data.data + at, mine.data.len - at);
	buf_deinit(&mine.data);
	buf_deinit(&theirs.data);
	return out->failed ? err_set(err, ERR_INTERNAL, "no memory for a quoted HTML text") : 0;
}
