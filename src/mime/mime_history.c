/*
 * What a message adds to its conversation ([MS-ASCON] 2.2.2.1): its body as HTML, without the
 * earlier messages that its author's program quoted.
 *
 * In HTML the quotes of mail programs are known by their marks: an element that goes away whole, or
 * one behind which all is history. The markup that stays is not touched. In plain text they are
 * lines with '>', the line that introduces them, and all behind "----- Original Message -----".
 * Only a reply has history: what a forward carries, or a report, is what it is about. When nothing
 * would be left, everything is.
 *
 * Limits: MIME_HTML_WORK_BYTES of a body; a larger one is refused. One pass, any thread; pure.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

enum cut {
	CUT_NOTHING,
	CUT_ELEMENT,
	CUT_REST,
};

struct tag {
	const char *start, *behind; /* with its angle brackets */
	struct mime_slice name, attributes;
	bool closes;
};

/* ---- HTML ---- */

static bool is_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
	       c == ':';
}

static bool slice_is(struct mime_slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

static bool slice_has(struct mime_slice s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.len; i++) {
		if (strncasecmp(s.p + i, word, n) == 0)
			return true;
	}
	return false;
}

static bool starts(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - p) >= n && strncasecmp(p, word, n) == 0;
}

/* Behind the '>' that ends a tag; one in a quoted value does not, if the value ends at all. */
static const char *tag_end(const char *p, const char *end)
{
	char quote = 0;
	const char *gt;

	for (const char *at = p; at < end; at++) {
		if (quote != 0)
			quote = *at == quote ? 0 : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '>')
			return at + 1;
	}
	gt = memchr(p, '>', (size_t)(end - p));
	return gt != NULL ? gt + 1 : end;
}

static const char *find(const char *p, const char *end, const char *word)
{
	for (; p < end; p++) {
		p = memchr(p, word[0], (size_t)(end - p));
		if (p == NULL)
			return end;
		if (starts(p, end, word))
			return p;
	}
	return end;
}

/* The next tag at or behind p, which is no comment and not inside a script or a style. */
static bool next_tag(const char *p, const char *end, struct tag *ret)
{
	while ((p = find(p, end, "<")) < end) {
		struct tag t = {.start = p, .closes = end - p > 1 && p[1] == '/'};

		if (starts(p, end, "<!--")) {
			p = find(p, end, "-->");
			continue;
		}
		t.name.p = p + 1 + t.closes;
		while (t.name.p + t.name.len < end && is_name(t.name.p[t.name.len]))
			t.name.len++;
		if (t.name.len == 0) {
			p++;
			continue;
		}
		t.attributes.p = t.name.p + t.name.len;
		t.behind = tag_end(t.attributes.p, end);
		t.attributes.len = (size_t)(t.behind - t.attributes.p);
		*ret = t;
		if (!t.closes && slice_is(t.name, "style"))
			ret->behind = find(t.behind, end, "</style");
		if (!t.closes && slice_is(t.name, "script"))
			ret->behind = find(t.behind, end, "</script");
		return true;
	}
	return false;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* The value of an attribute; empty when there is none. */
static struct mime_slice attribute(const struct tag *t, const char *name)
{
	const char *p = t->attributes.p, *end = p + t->attributes.len;
	size_t n = strlen(name);

	for (; (size_t)(end - p) > n; p++) {
		const char *value, *stop;

		if (strncasecmp(p, name, n) != 0 || is_name(p[-1]) || is_name(p[n]))
			continue;
		value = skip_blanks(p + n, end);
		if (value == end || *value++ != '=')
			continue;
		value = skip_blanks(value, end);
		if (value == end)
			break;
		stop = *value == '"' || *value == '\''
			       ? memchr(value + 1, *value, (size_t)(end - value - 1))
			       : NULL;
		if (stop != NULL)
			return (struct mime_slice){value + 1, (size_t)(stop - value - 1)};
		for (stop = value; stop<end && * stop> ' ' && *stop != '>';)
			stop++;
		return (struct mime_slice){value, (size_t)(stop - value)};
	}
	return (struct mime_slice){"", 0};
}

/* How programs mark what they quote: of an element's class, id or name. */
static const struct {
	const char *attribute, *value;
	enum cut cut;
} marks[] = {
	{"class", "gmail_quote", CUT_ELEMENT},
	{"class", "gmail_attr", CUT_ELEMENT},
	{"class", "gmail_extra", CUT_ELEMENT},
	{"class", "moz-cite-prefix", CUT_ELEMENT},
	{"class", "yahoo_quoted", CUT_ELEMENT},
	{"class", "protonmail_quote", CUT_ELEMENT},
	{"class", "tutanota_quote", CUT_ELEMENT},
	{"class", "zmail_extra", CUT_ELEMENT},
	{"id", "reply-intro", CUT_ELEMENT},
	{"name", "quote", CUT_ELEMENT},
	{"id", "divRplyFwdMsg", CUT_REST},
	{"id", "appendonsend", CUT_REST},
	{"id", "mail-editor-reference-message-container", CUT_REST},
	{"id", "OLK_SRC_BODY_SECTION", CUT_REST},
	{"id", "stopSpelling", CUT_REST},
};

/* The rule above the head of a quoted message, and that head itself (mime_quote.c makes it, too).
 */
static bool is_head(const struct tag *t, const char *end)
{
	const char *p = skip_blanks(t->behind, end);
	struct mime_slice style = attribute(t, "style");

	if (slice_is(t->name, "hr"))
		return starts(p, end, "<div><b>From:");
	if (slice_has(style, "border:none") &&
		(slice_has(style, "border-top:solid") || slice_has(style, "border-top: solid")))
		return true;
	return starts(p, end, "<b>From:");
}

static enum cut what_to_cut(const struct tag *t, const char *end)
{
	struct mime_slice found[3] = {
		attribute(t, "class"), attribute(t, "id"), attribute(t, "name")};
	static const char *const names[] = {"class", "id", "name"};

	if (slice_is(t->name, "blockquote") && slice_is(attribute(t, "type"), "cite"))
		return CUT_ELEMENT;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			if (strcmp(marks[i].attribute, names[k]) == 0 &&
				(k == 0 ? slice_has(found[k], marks[i].value)
					: slice_is(found[k], marks[i].value)))
				return marks[i].cut;
		}
	}
	return is_head(t, end) ? CUT_REST : CUT_NOTHING;
}

static bool can_be_marked(const struct tag *t)
{
	static const char *const names[] = {"div", "blockquote", "hr", "span", "p", "table"};

	for (size_t i = 0; !t->closes && i < ARRAY_LEN(names); i++) {
		if (slice_is(t->name, names[i]))
			return true;
	}
	return false;
}

/* Behind the element that a tag opens; NULL when it is never closed. */
static const char *element_end(const struct tag *opening, const char *end)
{
	struct tag t = *opening;
	size_t depth = 1;

	while (next_tag(t.behind, end, &t)) {
		if (t.name.len != opening->name.len ||
			strncasecmp(t.name.p, opening->name.p, t.name.len) != 0)
			continue;
		depth = t.closes ? depth - 1 : depth + 1;
		if (depth == 0)
			return t.behind;
	}
	return NULL;
}

/* Where a document ends showing things. */
static const char *body_end(const char *p, const char *end)
{
	const char *at = find(p, end, "</body");

	return at < end ? at : find(p, end, "</html");
}

static void strip_html(struct buf *out, const char *p, const char *end)
{
	const char *kept_from = p;
	struct tag t;

	while (next_tag(p, end, &t)) {
		enum cut cut = can_be_marked(&t) ? what_to_cut(&t, end) : CUT_NOTHING;
		const char *behind = NULL;

		p = t.behind;
		if (cut == CUT_NOTHING)
			continue;
		buf_add(out, kept_from, (size_t)(t.start - kept_from));
		if (cut == CUT_ELEMENT)
			behind = element_end(&t, end);
		p = kept_from = behind != NULL ? behind : body_end(t.behind, end);
		if (behind == NULL)
			break;
	}
	buf_add(out, kept_from, (size_t)(end - kept_from));
}

/* ---- plain text ---- */

/* The paragraph that was written last. */
struct paragraph {
	size_t start; /* in the output */
	unsigned lines;
	bool over; /* an empty line came behind it */
};

static struct mime_slice trimmed(const char *p, const char *end)
{
	p = skip_blanks(p, end);
	while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
		end--;
	return (struct mime_slice){p, (size_t)(end - p)};
}

/* "-----Original Message-----", in any language, or a rule of '_', each over "From: ...". */
static bool begins_history(struct mime_slice line, const char *next, const char *end)
{
	struct mime_slice head;
	size_t n = 0;

	while (n < line.len && line.p[n] == line.p[0])
		n++;
	if (line.len < 12 || n < 5)
		return false;
	if (line.p[0] == '-' && (n == line.len || memcmp(line.p + line.len - 5, "-----", 5) != 0))
		return false;
	if (line.p[0] != '-' && (line.p[0] != '_' || n < line.len))
		return false;
	head = trimmed(next, find(next, end, "\n"));
	return memchr(head.p, ':', MIN(head.len, (size_t)20)) != NULL;
}

/* "On ... wrote:" goes with what it introduces. */
static void drop_introduction(struct buf *out, const struct paragraph *above)
{
	const char *text = (const char *)out->data;
	struct mime_slice said;

	if (above->lines == 0 || above->lines > 3)
		return;
	said = trimmed(text + above->start, text + out->len);
	if (said.len > 0 && said.p[said.len - 1] == ':')
		out->len = above->start;
}

static void strip_text(struct buf *out, const char *p, const char *end)
{
	struct paragraph last = {0};

	while (p < end) {
		const char *behind = MIN(find(p, end, "\n") + 1, end);
		struct mime_slice line = trimmed(p, behind);

		if (begins_history(line, behind, end))
			return;
		if (line.len > 0 && *p == '>') {
			drop_introduction(out, &last);
			last = (struct paragraph){.start = out->len};
			p = behind;
			continue;
		}
		if (line.len == 0) {
			last.over = true;
		} else if (last.over || last.lines == 0) {
			last = (struct paragraph){.start = out->len, .lines = 1};
		} else {
			last.lines++;
		}
		buf_add(out, p, (size_t)(behind - p));
		p = behind;
	}
}

/* ---- both ---- */

static bool shows_anything(const struct buf *body, bool is_html)
{
	const char *p = mime_bytes(body->data, body->len);
	struct buf text = BUF_INIT;
	bool shows;

	if (!is_html)
		return trimmed(p, p + body->len).len > 0;
	(void)mime_html_to_text(&text, p, body->len, 256, false);
	p = mime_bytes(text.data, text.len);
	shows = trimmed(p, p + text.len).len > 0;
	buf_deinit(&text);
	p = mime_bytes(body->data, body->len);
	return shows || find(p, p + body->len, "<img") < p + body->len;
}

static bool has_history(const struct mime_summary *s)
{
	bool replies = strcmp(s->root_id, s->message_id) != 0 || s->conversation_index_len > 5 ||
		       strcmp(s->subject, mime_thread_topic(s->subject)) != 0;

	return replies && !mime_thread_is_forward(s->subject) &&
	       !str_starts(s->message_class, "REPORT.");
}

static void write_preview(
	struct buf *out, const struct buf *body, bool is_html, unsigned preview_chars)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct buf text = BUF_INIT;
	const char *p = mime_bytes(body->data, body->len);

	if (is_html)
		(void)mime_html_to_text(&text, p, body->len, (size_t)preview_chars * 8, false);
	else
		buf_add(&text, p, body->len);
	buf_add_str(out,
		mime_text_preview(arena, mime_bytes(text.data, text.len), text.len, preview_chars));
	buf_deinit(&text);
}

static void replace(struct buf *body, struct buf *by)
{
	buf_deinit(body);
	*body = *by;
	*by = (struct buf)BUF_INIT;
}

/* What the message adds, in the form that it has, as clean UTF-8. */
static void load_new(struct buf *out, const struct mime_summary *s, const struct mime_part *p,
	const char *raw, bool is_html)
{
	struct buf made = BUF_INIT;
	const char *start;
	uint32_t cpid;

	mime_body_start(&made, p, raw, MIME_HTML_WORK_BYTES, &cpid);
	if (made.len > 0)
		utf8_add_clean(out, (const char *)made.data, made.len);
	out->failed |= made.failed;
	buf_deinit(&made);
	if (out->len == 0 || !has_history(s))
		return;
	start = (const char *)out->data;
	(is_html ? strip_html : strip_text)(&made, start, start + out->len);
	made.failed |= out->failed;
	if (shows_anything(&made, is_html))
		replace(out, &made);
	buf_deinit(&made);
}

int mime_body_render_new(const struct mime_summary *s, const void *raw, size_t len,
	uint64_t max_bytes, unsigned preview_chars, struct mime_body *ret, struct buf *preview,
	struct err *err)
{
	int32_t index = s->html_part >= 0 ? s->html_part : s->text_part;
	const struct mime_part *p = index >= 0 ? &s->parts[index] : NULL;
	bool is_html = s->html_part >= 0;
	struct mime_body body = {.type = MIME_BODY_HTML};
	struct mime_out o = {.buf = &body.data, .max = max_bytes};
	struct buf text = BUF_INIT, made = BUF_INIT;

	if (p != NULL && (p->offset > len || p->length > len - p->offset))
		return err_set(err, ERR_BAD_INPUT, "summary and message do not match");
	if (p != NULL && p->length > MIME_HTML_WORK_BYTES)
		return err_set(err, ERR_QUOTA, "a body of %u bytes", p->length);
	if (p != NULL)
		load_new(&text, s, p, raw, is_html);
	if (preview_chars > 0)
		write_preview(preview, &text, is_html, preview_chars);
	if (text.len > 0)
		(is_html ? mime_html_add_as_utf8 : mime_html_from_text)(
			&made, (const char *)text.data, text.len);
	mime_text_add_lines(&o, mime_bytes(made.data, made.len), made.len);
	body.estimated_bytes = o.total;
	body.truncated = o.cut;
	if (o.cut && body.data.len > 0)
		body.data.len = mime_html_floor((const char *)body.data.data, body.data.len);
	if (text.failed || made.failed)
		body.data.failed = true;
	buf_deinit(&text);
	buf_deinit(&made);
	if (body.data.failed) {
		buf_deinit(&body.data);
		return err_set(err, ERR_INTERNAL, "no memory for a body");
	}
	*ret = body;
	return 0;
}
