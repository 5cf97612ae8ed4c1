/*
 * What is kept of a message beside its bytes: header fields, part map, preview. Works in a scratch
 * arena and hands the result over as one compact copy.
 *
 * Limits: of the caller (zero: the defaults of mime_internal.h); each field MIME_TEXT_FIELD_MAX
 * bytes. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Encoded bytes of a body that are looked at for the preview. */
#define PREVIEW_TEXT_BYTES ((size_t)4 * 1024)
/* Text that HTML gives: enough but for the widest scripts, which get a shorter preview. */
#define PREVIEW_OUT_BYTES  ((size_t)600)
#define PREVIEW_HTML_BYTES ((size_t)64 * 1024)

struct header {
	struct mime_addresses from, to, cc, bcc, reply_to, sender;
	struct mime_slice subject, thread_topic, thread_index, message_id, references, in_reply_to,
		date;
	struct mime_slice importance, x_priority, priority;
};

struct slot {
	const char *name;
	size_t offset; /* in struct header */
	bool is_list;  /* struct mime_addresses, else struct mime_slice (the first field wins) */
};

static const struct slot slots[] = {
	{"from", offsetof(struct header, from), true},
	{"to", offsetof(struct header, to), true},
	{"cc", offsetof(struct header, cc), true},
	{"bcc", offsetof(struct header, bcc), true},
	{"reply-to", offsetof(struct header, reply_to), true},
	{"sender", offsetof(struct header, sender), true},
	{"subject", offsetof(struct header, subject), false},
	{"date", offsetof(struct header, date), false},
	{"message-id", offsetof(struct header, message_id), false},
	{"references", offsetof(struct header, references), false},
	{"in-reply-to", offsetof(struct header, in_reply_to), false},
	{"thread-topic", offsetof(struct header, thread_topic), false},
	{"thread-index", offsetof(struct header, thread_index), false},
	{"importance", offsetof(struct header, importance), false},
	{"x-priority", offsetof(struct header, x_priority), false},
	{"priority", offsetof(struct header, priority), false},
};

static void take_field(struct arena *arena, struct header *h, const struct mime_field *f)
{
	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		void *at = (char *)h + slots[i].offset;

		if ((f->name.p[0] | 0x20) != slots[i].name[0] || !mime_header_is(f, slots[i].name))
			continue;
		if (slots[i].is_list) {
			mime_address_parse(arena, f->value, at);
		} else {
			struct mime_slice *slice = at;

			if (slice->p == NULL)
				*slice = f->value;
		}
		return;
	}
}

/* Bytes of no declared charset which are not UTF-8 are most likely in that of the text. */
static struct mime_slice in_charset(
	struct arena *arena, struct mime_slice value, const char *charset)
{
	static const char replaced[] = "\xef\xbf\xbd";
	struct buf out = BUF_INIT;

	if (*charset == 0 || mime_charset_is_utf8("", value.p, value.len))
		return value;
	mime_charset_add(&out, charset, value.p, value.len);
	if (!out.failed && out.len > 0 && memmem(out.data, out.len, replaced, 3) == NULL)
		value = (struct mime_slice){
			arena_x_strndup(arena, (const char *)out.data, out.len), out.len};
	buf_deinit(&out);
	return value;
}

static void read_header(struct arena *arena, const char *raw, size_t len, size_t header_bytes,
	const char *charset, struct header *h)
{
	struct mime_header_reader r = {raw, raw + len};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		if ((size_t)(r.p - raw) > header_bytes)
			continue;
		if (f.value.len <= MIME_VALUE_MAX)
			f.value = in_charset(arena, f.value, charset);
		take_field(arena, h, &f);
	}
}

/* What the first text of the message says that it is in, or "". */
static const char *text_charset(const struct mime_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct mime_node *n = &tree->nodes[i];

		if (n->kind == MIME_NODE_LEAF && str_starts(n->type.type, "text/"))
			return n->type.charset;
	}
	return "";
}

static uint8_t importance(struct arena *arena, const struct header *h)
{
	char *word;

	if (h->importance.p != NULL) {
		word = mime_header_unfold(arena, h->importance);
		if (str_eq_nocase(word, "high"))
			return 2;
		if (str_eq_nocase(word, "low"))
			return 0;
		if (str_eq_nocase(word, "normal"))
			return 1;
	}
	if (h->x_priority.p != NULL) {
		word = mime_header_unfold(arena, h->x_priority);
		if (*word >= '1' && *word <= '5')
			return *word <= '2' ? 2 : *word == '3' ? 1 : 0;
	}
	word = mime_header_unfold(arena, h->priority);
	return str_eq_nocase(word, "urgent") ? 2 : str_eq_nocase(word, "non-urgent") ? 0 : 1;
}

static void fill_addresses(struct arena *arena, const struct header *h, struct mime_summary *s)
{
	s->from = mime_address_format(arena, &h->from, ", ");
	s->to = mime_address_format(arena, &h->to, ", ");
	s->cc = mime_address_format(arena, &h->cc, ", ");
	s->bcc = mime_address_format(arena, &h->bcc, ", ");
	s->reply_to = mime_address_format(arena, &h->reply_to, ";");
	s->sender = mime_address_format(arena, &h->sender, ", ");
	s->display_to = mime_address_display(arena, &h->to);
}

static void fill_ids(struct arena *arena, const struct header *h, struct mime_summary *s)
{
	s->subject = mime_header_text(arena, h->subject);
	s->thread_topic = h->thread_topic.p != NULL ? mime_header_text(arena, h->thread_topic) : "";
	if (*s->thread_topic == 0)
		s->thread_topic = mime_thread_topic(s->subject);
	s->message_id = mime_header_msgid(arena, h->message_id);
	s->root_id = mime_header_msgid(arena, h->references);
	if (*s->root_id == 0)
		s->root_id = mime_header_msgid(arena, h->in_reply_to);
	if (*s->root_id == 0)
		s->root_id = s->message_id;
	s->date_at = mime_header_date(arena, h->date);
	mime_thread_fill(arena, h->thread_index, s);
}

/* Preview and code page come from the same look at the body. */
static void fill_preview(struct arena *arena, const char *raw, struct mime_summary *s)
{
	struct buf text = BUF_INIT, plain = BUF_INIT;
	uint32_t native_cpid = 65001, cpid = 65001;

	s->preview = "";
	if (s->text_part >= 0) {
		mime_body_start(&text, &s->parts[s->text_part], raw, PREVIEW_TEXT_BYTES, &cpid);
		native_cpid = cpid;
		s->preview = mime_text_preview(
			arena, (const char *)text.data, text.len, MIME_PREVIEW_CHARS);
	}
	if (s->html_part >= 0 && *s->preview == 0) {
		buf_clear(&text);
		mime_body_start(
			&text, &s->parts[s->html_part], raw, PREVIEW_HTML_BYTES, &native_cpid);
		mime_html_to_text(
			&plain, (const char *)text.data, text.len, MIME_PREVIEW_CHARS * 8, false);
		s->preview = mime_text_preview(
			arena, (const char *)plain.data, plain.len, MIME_PREVIEW_CHARS);
	} else if (s->html_part >= 0 && *s->parts[s->html_part].charset != 0) {
		native_cpid = mime_charset_cpid(s->parts[s->html_part].charset);
	}
	s->cpid = native_cpid != 0 ? native_cpid : 65001;
	buf_deinit(&text);
	buf_deinit(&plain);
}

static struct mime_limits with_defaults(const struct mime_limits *limits)
{
	struct mime_limits l = limits != NULL ? *limits : (struct mime_limits){0};

	if (l.parts == 0)
		l.parts = MIME_PARTS_DEFAULT;
	if (l.depth == 0)
		l.depth = MIME_DEPTH_DEFAULT;
	if (l.header_bytes == 0)
		l.header_bytes = MIME_HEADER_BYTES_DEFAULT;
	return l;
}

int mime_summarize(struct arena *arena, const void *bytes, size_t len,
	const struct mime_limits *limits, struct mime_summary **ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct mime_limits bounds = with_defaults(limits);
	const char *raw = mime_bytes(bytes, len);
	struct mime_summary s = {0};
	struct header h = {0};
	struct mime_tree tree;
	struct buf blob = BUF_INIT;
	int rc;

	len = MIN(len, (size_t)UINT32_MAX);
	s.raw_bytes = (uint32_t)len;
	mime_scan(scratch, raw, len, &bounds, &tree);
	if (tree.count == 0)
		return err_set(err, ERR_INTERNAL, "no memory for the parts of a message");
	read_header(scratch, raw, len, bounds.header_bytes, text_charset(&tree), &h);
	fill_addresses(scratch, &h, &s);
	fill_ids(scratch, &h, &s);
	s.importance = importance(scratch, &h);
	mime_parts_map(scratch, raw, &tree, &s);
	mime_class_find(&tree, raw, &s);
	fill_preview(scratch, raw, &s);
	mime_scan_free(&tree);
	mime_summary_encode(&s, &blob);
	rc = blob.failed ? err_set(err, ERR_INTERNAL, "no memory for a message summary")
			 : mime_summary_decode(arena, blob.data, blob.len, ret, err);
	buf_deinit(&blob);
	return rc;
}
