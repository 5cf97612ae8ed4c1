/*
 * What SendMail needs: the envelope of a message, and the message as it leaves. Header fields are
 * passed on as they stand, folds and all; only Bcc and what is missing are touched.
 *
 * Pure but for the random part of a new Message-ID; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "mime/mime_gmime.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

/* Of the body, between two words on progress. */
#define PIECE_BYTES ((size_t)2 * 1024 * 1024)

/* --- the envelope --- */

enum { LOCAL_MAX = 64, ADDRESS_MAX = 254 };

bool mime_address_is_valid(const char *address)
{
	const char *at = strrchr(address, '@');
	size_t len = strlen(address);
	bool quoted = address[0] == '"';

	if (at == NULL || at == address || at[1] == 0 || at - address > LOCAL_MAX ||
		len > ADDRESS_MAX || strstr(at, "..") != NULL || at[1] == '.' ||
		address[len - 1] == '.')
		return false;
	if (quoted && (at - address < 2 || at[-1] != '"'))
		return false;
	for (const char *p = address; *p != 0; p++) {
		uint8_t c = (uint8_t)*p;

		if (c < ' ' || c == 0x7f || c == '<' || c == '>')
			return false;
		if ((!quoted || p > at) && strchr(" \t,;()\"\\", c) != NULL)
			return false;
		if (c == '@' && p != at && !quoted)
			return false;
	}
	return mime_charset_utf8_valid(address, len);
}

/* Addresses of several fields, each once. */
struct collector {
	struct arena *scratch;
	struct mime_addresses list;
	const char *bad; /* in scratch */
	bool full;
	bool empty_group; /* a name without an address */
};

/* Behind an encoded word that begins at p, or p: people's names in them have bare commas. */
static const char *skip_encoded_word(const char *p)
{
	const char *at = p;

	if (p[0] != '=' || p[1] != '?')
		return p;
	/* =?charset?q?text?= */
	for (int i = 0; i < 3 && at != NULL; i++)
		at = strchr(at + (i > 0), '?');
	at = at != NULL ? strstr(at + 1, "?=") : NULL;
	return at != NULL ? at + 2 : p;
}

/* What stands between the commas of a field, as far as quotes and comments let them be seen. */
static size_t count_elements(const char *text)
{
	size_t count = 0, depth = 0;
	bool quoted = false, blank = true;

	for (; *text != 0; text++) {
		const char *behind = quoted ? text : skip_encoded_word(text);

		if (behind > text || (*text == '\\' && text[1] != 0)) {
			text = behind > text ? behind - 1 : text + 1;
			blank = false;
			continue;
		}
		if (*text == '"' && depth == 0)
			quoted = !quoted;
		if (!quoted && *text == '(')
			depth++;
		if (!quoted && *text == ')' && depth > 0) {
			depth--;
			continue;
		}
		if (!quoted && depth == 0 && *text == ',') {
			count += !blank;
			blank = true;
		} else if (depth == 0 && strchr(" \t\r\n", *text) == NULL) {
			blank = false;
		}
	}
	return count + !blank;
}

/* No recipient may be dropped in silence: what is beyond the bounds of the reader is refused. */
static void collect(struct collector *c, struct mime_slice value)
{
	size_t before = c->list.count;
	const char *text;

	if (value.len > MIME_VALUE_MAX) {
		c->full = true;
		return;
	}
	mime_address_parse(c->scratch, value, &c->list);
	c->full |= c->list.count >= MIME_ADDRESSES_MAX;
	text = mime_header_unfold(c->scratch, value);
	for (size_t i = before; i < c->list.count && c->bad == NULL; i++) {
		const char *addr = c->list.v[i].addr;

		/* An empty group has a name and no address. */
		c->empty_group |= *addr == 0;
		if (*addr == 0 ? strchr(text, ':') == NULL : !mime_address_is_valid(addr))
			c->bad = *addr != 0 ? addr : text;
	}
	/* The reader of addresses leaves out what it cannot make sense of; groups have commas of
	 * their own. */
	if (c->bad == NULL && strchr(text, ':') == NULL &&
		c->list.count - before < count_elements(text))
		c->bad = text;
	if (c->list.count == before && *text != 0 && c->bad == NULL)
		c->bad = text;
}

bool mime_send_addresses(struct arena *arena, struct mime_slice value, struct mime_addresses *list)
{
	struct collector c = {.scratch = arena, .list = *list};

	collect(&c, value);
	*list = c.list;
	return c.bad == NULL && !c.full;
}

/* The valid ones, each once, in the arena; -1 beyond its bound. */
static int take(struct arena *arena, const struct mime_addresses *list, const char ***ret,
	size_t *ret_count)
{
	const char **v = arena_try_alloc(arena, (list->count + 1) * sizeof(*v));
	struct map *seen = map_new();
	bool failed = v == NULL;
	size_t count = 0;

	for (size_t i = 0; i < list->count && !failed; i++) {
		const char *addr = list->v[i].addr;
		char *key = str_lower(x_strdup(addr));

		if (*addr != 0 && map_find_str(seen, key) == NULL) {
			v[count] = arena_try_strndup(arena, addr, strlen(addr));
			failed = v[count++] == NULL;
			(void)map_put_str(seen, key, seen);
		}
		mem_free(key);
	}
	map_free(&seen);
	*ret = v;
	*ret_count = count;
	return failed ? -1 : 0;
}

static bool is_readable(const struct collector *c)
{
	return c->bad == NULL && !c->empty_group;
}

static int envelope_fill(struct arena *arena, const struct collector *to,
	const struct collector *from, const char *message_id, struct mime_envelope *e)
{
	if (take(arena, &to->list, &e->to, &e->to_count) < 0 ||
		take(arena, &from->list, &e->senders, &e->sender_count) < 0)
		return -1;
	if (to->bad != NULL) {
		e->bad_recipient = mime_header_clean(arena, to->bad, strlen(to->bad), ADDRESS_MAX);
		if (e->bad_recipient == NULL)
			return -1;
	}
	e->message_id = arena_try_strndup(arena, message_id, strlen(message_id));
	return e->message_id == NULL ? -1 : 0;
}

int mime_envelope_read(struct arena *arena, const void *raw, size_t len, struct mime_envelope **ret,
	struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct mime_envelope *e = arena_try_alloc(arena, sizeof(*e));
	struct collector to = {.scratch = scratch}, from = to, sender = to;
	struct mime_slice message_id = {0};
	struct mime_field f;
	bool any = false;

	while (e != NULL && mime_header_next(&r, &f) == 1) {
		any = true;
		if (mime_header_is(&f, "to") || mime_header_is(&f, "cc") ||
			mime_header_is(&f, "bcc"))
			collect(&to, f.value);
		else if (mime_header_is(&f, "from"))
			collect(&from, f.value);
		else if (mime_header_is(&f, "sender"))
			collect(&sender, f.value);
		else if (mime_header_is(&f, "message-id") && message_id.p == NULL)
			message_id = f.value;
		else if (mime_header_is(&f, "received"))
			e->received_count++;
	}
	if (to.full || from.full || sender.full)
		return err_set(
			err, ERR_BAD_INPUT, "a message with more addresses than can be read");
	if (e != NULL && !any)
		return err_set(err, ERR_BAD_INPUT, "not a message: it has no header");
	if (e != NULL)
		e->from = from.list.count > 0 ? arena_try_strndup(arena, from.list.v[0].addr,
							strlen(from.list.v[0].addr))
					      : "";
	if (e != NULL)
		e->bad_sender = !is_readable(&from) || !is_readable(&sender);
	for (size_t i = 0; i < sender.list.count; i++)
		mime_address_add(scratch, &from.list, &sender.list.v[i]);
	if (e == NULL || e->from == NULL ||
		envelope_fill(arena, &to, &from, mime_header_msgid(scratch, message_id), e) < 0)
		return err_set(err, ERR_INTERNAL, "no memory for an envelope");
	*ret = e;
	return 0;
}

/* --- the message as it leaves --- */

/* Line ends are CRLF afterwards; everything else is kept. */
static void add_crlf(struct buf *out, const char *p, size_t len)
{
	const char *end = p + len;

	if (!buf_reserve(out, len + len / 32))
		return;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl != NULL ? nl : end;

		buf_add(out, p, (size_t)(stop - p));
		if (nl == NULL)
			return;
		buf_add(out, "\r\n", nl > p && nl[-1] == '\r' ? 0 : 1);
		buf_add_byte(out, '\n');
		p = nl + 1;
	}
}

/* Piece by piece, of whole lines. */
static void add_body(
	struct buf *out, const char *p, const char *end, const struct mime_progress *progress)
{
	if (!buf_reserve(out, (size_t)(end - p) + (size_t)(end - p) / 32))
		return;
	while (p < end) {
		const char *stop = (size_t)(end - p) > PIECE_BYTES ? p + PIECE_BYTES : end;
		const char *nl = memchr(stop, '\n', (size_t)(end - stop));

		stop = nl != NULL ? nl + 1 : end;
		add_crlf(out, p, (size_t)(stop - p));
		p = stop;
		if (progress != NULL)
			progress->passed(progress->owner, p);
	}
}

static void add_from(struct buf *out, const char *from)
{
	InternetAddressList *list = internet_address_list_parse(mime_init_options(), from);
	char *encoded = list != NULL ? internet_address_list_to_string(list, NULL, TRUE) : NULL;

	buf_add_str(out, "From: ");
	add_crlf(out, encoded != NULL ? encoded : from, strlen(encoded != NULL ? encoded : from));
	buf_add_str(out, "\r\n");
	g_free(encoded);
	if (list != NULL)
		g_object_unref(list);
}

struct had {
	bool from, date, message_id, mime_version;
};

static bool is_blank(struct mime_slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (strchr(" \t\r\n", value.p[i]) == NULL)
			return false;
	}
	return true;
}

static void pass_field(struct buf *out, struct buf *bcc, const struct mime_field *f,
	const char *behind, struct had *had)
{
	if (mime_header_is(f, "bcc")) {
		out = bcc;
	} else if (mime_header_is(f, "from")) {
		/* An empty one says as little as none. */
		if (had->from || is_blank(f->value))
			return;
		had->from = true;
	}
	had->date |= mime_header_is(f, "date");
	had->message_id |= mime_header_is(f, "message-id");
	had->mime_version |= mime_header_is(f, "mime-version");
	if (out == NULL)
		return;
	add_crlf(out, f->name.p, (size_t)(behind - f->name.p));
	if (behind[-1] != '\n')
		buf_add_str(out, "\r\n");
}

static void add_missing(struct buf *out, const char *from, const char *domain, int64_t now_at,
	const struct had *had)
{
	if (!had->from)
		add_from(out, from);
	if (!had->date)
		mime_write_date(out, now_at);
	if (!had->message_id)
		mime_write_message_id(out, domain);
	if (!had->mime_version)
		buf_add_str(out, "MIME-Version: 1.0\r\n");
}

int mime_prepare_send(const void *raw, size_t len, const char *from, const char *domain,
	int64_t now_at, const struct mime_progress *progress, struct buf *out, struct buf *bcc,
	struct err *err)
{
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct had had = {0};
	struct mime_field f;
	bool any = false;

	while (mime_header_next(&r, &f) == 1) {
		any = true;
		pass_field(out, bcc, &f, r.p, &had);
	}
	if (!any)
		return err_set(err, ERR_BAD_INPUT, "not a message: it has no header");
	add_missing(out, from, domain, now_at, &had);
	buf_add_str(out, "\r\n");
	add_body(out, r.p, r.end, progress);
	return out->failed || (bcc != NULL && bcc->failed)
		       ? err_set(err, ERR_INTERNAL, "no memory for a message to be sent")
		       : 0;
}
