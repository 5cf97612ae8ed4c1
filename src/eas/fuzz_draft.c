/*
 * Drafts from any elements, over any old message. The first byte chooses what is there; then come
 * To, Cc, Bcc, ReplyTo, Subject, a body, a file's name, its Content-ID, its type and its bytes,
 * parted by NUL bytes; what is left is the old draft, or there is none.
 *
 * What comes out is a message with no fields but those that were meant; attachments that stay keep
 * their numbers and their bytes; it can be changed again and sent.
 */
#include "eas/class/email_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	FIELDS = 10,
	BODY_TYPE = 3,
	WITH_FILE = 4,
	WITH_HIGH = 8,
	INLINE = 16,
	EMBEDDED = 32,
	REMOVE = 64
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct mime_limits limits = {40, 8, 65536};

static void must(bool good)
{
	if (!good)
		abort();
}

static struct wbxml_node *add(
	struct arena *arena, struct wbxml_node *parent, unsigned tag, const char *text, size_t len)
{
	struct wbxml_node *node = arena_x_new(arena, struct wbxml_node);

	*node = (struct wbxml_node){.tag = (uint16_t)tag,
		.len = (uint32_t)len,
		.text = arena_x_strndup(arena, text, len),
		.parent = parent};
	if (parent == NULL)
		return node;
	if (parent->last_child != NULL)
		parent->last_child->next = node;
	else
		parent->child = node;
	parent->last_child = node;
	return node;
}

/* As the decoder gives it. */
static struct wbxml_node *add_text(
	struct arena *arena, struct wbxml_node *parent, unsigned tag, const char *text, size_t len)
{
	struct buf clean = BUF_INIT;
	struct wbxml_node *node;

	if (len > 0)
		utf8_add_clean(&clean, text, len);
	node = add(arena, parent, tag, clean.len > 0 ? (const char *)clean.data : "", clean.len);
	buf_deinit(&clean);
	return node;
}

struct slice {
	const char *p;
	size_t len;
};

static void add_file(struct arena *arena, struct wbxml_node *parent, unsigned flags,
	const struct slice *in, const char *client_id)
{
	struct wbxml_node *file = add(arena, parent, TAG_AirSyncBase_Add, "", 0);

	add_text(arena, file, TAG_AirSyncBase_ClientId, client_id, strlen(client_id));
	add_text(arena, file, TAG_AirSyncBase_Method, (flags & EMBEDDED) != 0 ? "5" : "1", 1);
	add_text(arena, file, TAG_AirSyncBase_DisplayName, in[6].p, in[6].len);
	add_text(arena, file, TAG_AirSyncBase_ContentId, in[7].p, in[7].len);
	add_text(arena, file, TAG_AirSyncBase_ContentType, in[8].p, in[8].len);
	add(arena, file, TAG_AirSyncBase_Content, in[9].p, in[9].len);
	if ((flags & INLINE) != 0)
		add(arena, file, TAG_AirSyncBase_IsInline, "", 0);
}

static struct wbxml_node *make_data(struct arena *arena, unsigned flags, const struct slice *in)
{
	static const uint16_t tags[] = {
		TAG_Email_To, TAG_Email_Cc, TAG_Email2_Bcc, TAG_Email_ReplyTo, TAG_Email_Subject};
	static const char types[][2] = {"1", "2", "1", "4"};
	struct wbxml_node *data = add(arena, NULL, TAG_AirSync_ApplicationData, "", 0), *body;

	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		/* One that is not there at all, and an empty one. */
		if (in[i].len > 0)
			add_text(arena, data, tags[i], in[i].p, in[i].p[0] == '-' ? 0 : in[i].len);
	}
	if ((flags & WITH_HIGH) != 0)
		add_text(arena, data, TAG_Email_Importance, "2", 1);
	if ((flags & BODY_TYPE) != 2) {
		body = add(arena, data, TAG_AirSyncBase_Body, "", 0);
		add_text(arena, body, TAG_AirSyncBase_Type, types[flags & BODY_TYPE], 1);
		add(arena, body, TAG_AirSyncBase_Data, in[5].p, in[5].len);
	}
	return data;
}

struct draft {
	struct buf raw;
	struct mime_summary *summary;
	struct mime_draft_numbers numbers;
};

static int write_draft(struct arena *arena, const struct wbxml_node *data, const void *old,
	size_t old_len, struct draft *ret)
{
	struct email_draft d = {.data = data,
		.old = old,
		.old_len = old_len,
		.folder = {3},
		.item = {7},
		.device = {5},
		.from = "Anna <anna@example.org>",
		.domain = "example.org",
		.now_at = 1000000000,
		.limits = &limits,
		.attachments_max = 30};
	struct err err = ERR_INIT;

	*ret = (struct draft){.raw = BUF_INIT};
	if (email_draft_write(&d, arena, &ret->raw, &err) < 0) {
		must(err.code == ERR_BAD_INPUT || err.code == ERR_NOT_FOUND ||
			err.code == ERR_QUOTA);
		buf_deinit(&ret->raw);
		return -1;
	}
	must(mime_summarize(arena, ret->raw.data, ret->raw.len, &limits, &ret->summary, &err) == 0);
	mime_draft_numbers_read(arena, ret->summary, ret->raw.data, ret->raw.len, &ret->numbers);
	return 0;
}

/* Nothing that a phone gives makes another field. */
static void check_fields(const struct draft *d)
{
	static const char *const good[] = {"from", "to", "cc", "bcc", "reply-to", "subject",
		"importance", "date", "message-id", "mime-version", "content-type",
		"content-transfer-encoding", "x-bellhop-attachments", MIME_DRAFT_TO, MIME_DRAFT_CC,
		MIME_DRAFT_BCC, MIME_DRAFT_REPLY_TO};
	const char *p = (const char *)d->raw.data, *end = p + d->raw.len;

	while (p < end && *p != '\r') {
		const char *colon = memchr(p, ':', (size_t)(end - p)),
			   *line = memchr(p, '\n', (size_t)(end - p));
		bool known = *p == ' ';

		must(line != NULL && line[-1] == '\r');
		for (size_t i = 0; i < ARRAY_LEN(good) && !known; i++)
			known = colon != NULL && (size_t)(colon - p) == strlen(good[i]) &&
				strncasecmp(p, good[i], strlen(good[i])) == 0;
		must(known);
		p = line + 1;
	}
}

static const struct mime_draft_number *find(const struct draft *d, uint32_t number)
{
	for (size_t i = 0; i < d->numbers.count; i++) {
		if (d->numbers.v[i].number == number)
			return &d->numbers.v[i];
	}
	return NULL;
}

static void decode(const struct draft *d, uint32_t part, struct buf *out)
{
	struct err err = ERR_INIT;

	must(mime_part_decode(d->summary, d->raw.data, d->raw.len, part, out, &err) == 0);
}

/* What is in both has the same number and the same bytes. */
static void check_same(const struct draft *before, const struct draft *after)
{
	for (size_t i = 0; i < before->numbers.count; i++) {
		const struct mime_draft_number *was = &before->numbers.v[i],
					       *is = find(after, was->number);
		struct buf a = BUF_INIT, b = BUF_INIT;

		if (is == NULL)
			continue;
		must(is->mark == was->mark);
		decode(before, was->part, &a);
		decode(after, is->part, &b);
		must(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
		buf_deinit(&a);
		buf_deinit(&b);
	}
}

static void check_sending(const struct draft *d)
{
	struct buf left = BUF_INIT, out = BUF_INIT;
	struct err err = ERR_INIT;

	must(mime_draft_to_send(d->raw.data, d->raw.len, &left, &err) == 0);
	must(mime_draft_is_complete(left.data, left.len));
	must(mime_prepare_send(left.data, left.len, "a@example.org", "example.org", 1000, NULL,
		     &out, NULL, &err) == 0);
	buf_deinit(&left);
	buf_deinit(&out);
}

/* One attachment more, the first one gone, and a new body: one after the other. */
static void change(
	struct arena *arena, const struct draft *d, unsigned flags, const struct slice *in)
{
	struct wbxml_node *data = add(arena, NULL, TAG_AirSync_ApplicationData, "", 0),
			  *list = add(arena, data, TAG_AirSyncBase_Attachments, "", 0), *remove;
	struct draft more = {0}, fresh = {0};
	size_t removed = (flags & REMOVE) != 0 && d->numbers.count > 0;
	char reference[64];

	add_file(arena, list, flags, in, "second");
	if (removed > 0) {
		(void)snprintf(reference, sizeof(reference), "3:7:%u", d->numbers.v[0].number);
		remove = add(arena, list, TAG_AirSyncBase_Delete, "", 0);
		add_text(
			arena, remove, TAG_AirSyncBase_FileReference, reference, strlen(reference));
	}
	if (write_draft(arena, data, d->raw.data, d->raw.len, &more) < 0)
		return;
	if (d->summary->part_count + 3 < limits.parts) {
		must(more.numbers.count == d->numbers.count + 1 - removed);
		must(find(&more, d->numbers.next) != NULL);
		must(removed == 0 || find(&more, d->numbers.v[0].number) == NULL);
		check_same(d, &more);
	}
	check_sending(&more);
	if (write_draft(arena, make_data(arena, flags & ~3u, in), more.raw.data, more.raw.len,
		    &fresh) == 0) {
		if (more.summary->part_count + 3 < limits.parts) {
			must(fresh.numbers.count == more.numbers.count);
			check_same(&more, &fresh);
		}
		check_sending(&fresh);
		buf_deinit(&fresh.raw);
	}
	buf_deinit(&more.raw);
}

static size_t cut(const uint8_t *bytes, size_t len, struct slice *in)
{
	size_t at = 1;

	for (size_t i = 0; i < FIELDS; i++) {
		const uint8_t *end = at < len ? memchr(bytes + at, 0, len - at) : NULL;
		size_t stop = end != NULL ? (size_t)(end - bytes) : len;

		in[i] = (struct slice){"", 0};
		if (at < stop)
			in[i] = (struct slice){(const char *)bytes + at, stop - at};
		at = MIN(stop + 1, len);
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena;
	struct slice in[FIELDS];
	struct wbxml_node *data;
	struct draft d;
	size_t at;

	static bool begun;

	if (!begun)
		mime_global_init();
	begun = true;
	if (len < 1)
		return 0;
	arena = arena_new(0);
	at = cut(bytes, len, in);
	data = make_data(arena, bytes[0], in);
	if ((bytes[0] & WITH_FILE) != 0)
		add_file(arena, add(arena, data, TAG_AirSyncBase_Attachments, "", 0), bytes[0], in,
			"first");
	if (write_draft(arena, data, at < len ? bytes + at : NULL, len - at, &d) == 0) {
		if (at == len && (bytes[0] & BODY_TYPE) != 3)
			check_fields(&d);
		check_sending(&d);
		change(arena, &d, bytes[0], in);
		buf_deinit(&d.raw);
	}
	arena_free(&arena);
	return 0;
}
