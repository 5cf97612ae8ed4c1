/*
 * What SendMail needs: the envelope of a message, and the message as it leaves. Header fields are
 * passed on as they stand, folds and all; only From, Bcc and what is missing are touched.
 *
 * Pure but for the random part of a new Message-ID; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <time.h>

#include "mime/mime_gmime.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

/* --- the envelope --- */

struct recipients {
	struct arena *arena;
	const char **to;
	size_t count;
	bool failed;
};

static void take_recipients(
	struct recipients *r, const struct mime_addresses *list, struct map *seen)
{
	for (size_t i = 0; i < list->count && !r->failed; i++) {
		const char *addr = list->v[i].addr;
		char *key = x_strdup(addr), *copy;

		str_lower(key);
		if (*addr != 0 && map_find_str(seen, key) == NULL) {
			copy = arena_try_strndup(r->arena, addr, strlen(addr));
			r->failed = copy == NULL;
			(void)map_put_str(seen, key, r);
			r->to[r->count++] = copy;
		}
		mem_free(key);
	}
}

static int envelope_fill(struct arena *arena, const struct mime_addresses *lists, const char *from,
	const char *message_id, struct mime_envelope **ret)
{
	struct mime_envelope *e = arena_try_alloc(arena, sizeof(*e));
	size_t most = lists[0].count + lists[1].count + lists[2].count;
	struct recipients r = {.arena = arena};
	struct map *seen;

	r.to = arena_try_alloc(arena, (most + 1) * sizeof(*r.to));
	if (e == NULL || r.to == NULL)
		return -1;
	seen = map_new();
	for (size_t i = 0; i < 3; i++)
		take_recipients(&r, &lists[i], seen);
	map_free(&seen);
	e->to = r.to;
	e->to_count = r.count;
	e->from = arena_try_strndup(arena, from, strlen(from));
	e->message_id = arena_try_strndup(arena, message_id, strlen(message_id));
	if (r.failed || e->from == NULL || e->message_id == NULL)
		return -1;
	*ret = e;
	return 0;
}

/* No recipient may be dropped in silence: what is beyond the bounds of the reader is refused. */
static bool take_addresses(
	struct arena *arena, struct mime_slice value, struct mime_addresses *list)
{
	if (value.len > MIME_VALUE_MAX)
		return false;
	mime_address_parse(arena, value, list);
	return list->count < MIME_ADDRESSES_MAX;
}

int mime_envelope_read(struct arena *arena, const void *raw, size_t len, struct mime_envelope **ret,
	struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct mime_addresses lists[3] = {0}, from = {0};
	struct mime_slice message_id = {0};
	struct mime_field f;
	bool any = false, fits = true;

	while (fits && mime_header_next(&r, &f) == 1) {
		any = true;
		if (mime_header_is(&f, "to"))
			fits = take_addresses(scratch, f.value, &lists[0]);
		else if (mime_header_is(&f, "cc"))
			fits = take_addresses(scratch, f.value, &lists[1]);
		else if (mime_header_is(&f, "bcc"))
			fits = take_addresses(scratch, f.value, &lists[2]);
		else if (mime_header_is(&f, "from") && from.count == 0)
			mime_address_parse(scratch, f.value, &from);
		else if (mime_header_is(&f, "message-id") && message_id.p == NULL)
			message_id = f.value;
	}
	if (!fits)
		return err_set(err, ERR_BAD_INPUT, "a message to more recipients than can be read");
	if (!any)
		return err_set(err, ERR_BAD_INPUT, "not a message: it has no header");
	if (envelope_fill(arena, lists, from.count > 0 ? from.v[0].addr : "",
		    mime_header_msgid(scratch, message_id), ret) < 0)
		return err_set(err, ERR_INTERNAL, "no memory for an envelope");
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

/* Is the field's only address that of `from`? */
static bool same_sender(struct arena *arena, struct mime_slice value, const char *from)
{
	struct mime_addresses there = {0}, wanted = {0};

	mime_address_parse(arena, value, &there);
	mime_address_parse(arena, (struct mime_slice){from, strlen(from)}, &wanted);
	return there.count == 1 && wanted.count == 1 &&
	       str_eq_nocase(there.v[0].addr, wanted.v[0].addr);
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

static void add_date(struct buf *out, int64_t now_at)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t when = (time_t)now_at;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL)
		return;
	buf_addf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday,
		tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

struct had {
	bool from, date, message_id, mime_version;
};

static void pass_field(struct arena *arena, struct buf *out, const struct mime_field *f,
	const char *behind, const char *from, struct had *had)
{
	if (mime_header_is(f, "bcc"))
		return;
	if (mime_header_is(f, "from")) {
		if (had->from)
			return;
		had->from = true;
		if (!same_sender(arena, f->value, from)) {
			add_from(out, from);
			return;
		}
	}
	had->date |= mime_header_is(f, "date");
	had->message_id |= mime_header_is(f, "message-id");
	had->mime_version |= mime_header_is(f, "mime-version");
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
		add_date(out, now_at);
	if (!had->message_id)
		buf_addf(out, "Message-ID: <%016llx%016llx@%s>\r\n",
			(unsigned long long)random_u64(), (unsigned long long)random_u64(), domain);
	if (!had->mime_version)
		buf_add_str(out, "MIME-Version: 1.0\r\n");
}

int mime_prepare_send(const void *raw, size_t len, const char *from, const char *domain,
	int64_t now_at, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct had had = {0};
	struct mime_field f;
	bool any = false;

	while (mime_header_next(&r, &f) == 1) {
		any = true;
		pass_field(scratch, out, &f, r.p, from, &had);
	}
	if (!any)
		return err_set(err, ERR_BAD_INPUT, "not a message: it has no header");
	add_missing(out, from, domain, now_at, &had);
	buf_add_str(out, "\r\n");
	add_crlf(out, r.p, (size_t)(r.end - r.p));
	return out->failed ? err_set(err, ERR_INTERNAL, "no memory for a message to be sent") : 0;
}
