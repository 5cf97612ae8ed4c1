/*
 * What the header says of a message's way here. When the site took it in: whoever hands mail over
 * may have kept it for a while (a queue, an old mailbox being moved), and has written down when it
 * came, in the topmost Received field (RFC 5321, section 4.4). And whether it came over a mailing
 * list, or was sent on (RFC 2919, 2369, 3834; RFC 5322, section 3.6.6); and whether a program
 * may answer it. Pure; any thread.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mime/mime.h"
#include "mime/mime_internal.h"

/* The field stands at the top; what has it further down than this has none. */
#define SEARCH_BYTES ((size_t)64 * 1024)

int64_t mime_received_at(const void *raw, size_t len)
{
	struct mime_header_reader reader = {raw, (const char *)raw + MIN(len, SEARCH_BYTES)};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_field field;

	while (mime_header_next(&reader, &field)) {
		const char *semicolon;

		if (!mime_header_is(&field, "received"))
			continue;
		semicolon = memrchr(field.value.p, ';', field.value.len);
		if (semicolon == NULL)
			return 0;
		semicolon++;
		return mime_header_date(
			arena, (struct mime_slice){semicolon,
				       (size_t)(field.value.p + field.value.len - semicolon)});
	}
	return 0;
}

static bool value_is(struct mime_slice value, const char *word)
{
	size_t begin = 0, n = strlen(word);

	while (begin < value.len && (value.p[begin] == ' ' || value.p[begin] == '\t'))
		begin++;
	return value.len - begin >= n && strncasecmp(value.p + begin, word, n) == 0;
}

bool mime_was_distributed(const void *raw, size_t len)
{
	static const char *const names[] = {
		"list-id", "list-post", "mailing-list", "resent-to", "resent-from"};
	const char *bytes = mime_bytes(raw, len);
	struct mime_header_reader reader = {bytes, bytes + MIN(len, SEARCH_BYTES)};
	struct mime_field field;

	while (mime_header_next(&reader, &field) == 1) {
		/* The names above, and Precedence: few others begin so. */
		if (strchr("lmrp", field.name.p[0] | 0x20) == NULL)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			if (mime_header_is(&field, names[i]))
				return true;
		}
		if (mime_header_is(&field, "precedence") &&
			(value_is(field.value, "list") || value_is(field.value, "bulk")))
			return true;
	}
	return false;
}

/* ---- automatic mail ---- */

static bool has_word(struct mime_slice value, const char *word)
{
	size_t n = strlen(word);

	for (size_t at = 0; at + n <= value.len; at++) {
		if (strncasecmp(value.p + at, word, n) == 0)
			return true;
	}
	return false;
}

/* The first word is this one: "no", "no; a comment". */
static bool is_word(struct mime_slice value, const char *word)
{
	size_t n = strlen(word), begin = 0;

	while (begin < value.len && strchr(" \t\r\n", value.p[begin]) != NULL)
		begin++;
	return value.len - begin >= n && strncasecmp(value.p + begin, word, n) == 0 &&
	       (value.len - begin == n || strchr(" \t\r\n;(", value.p[begin + n]) != NULL);
}

static bool field_is_automatic(const struct mime_field *field)
{
	static const char *const marks[] = {"x-autoreply", "x-autorespond", "mailing-list"};
	const struct mime_slice value = field->value;

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (mime_header_is(field, marks[i]))
			return true;
	}
	if (field->name.len > 5 && strncasecmp(field->name.p, "list-", 5) == 0)
		return true;
	if (mime_header_is(field, "auto-submitted"))
		return !is_word(value, "no");
	if (mime_header_is(field, "precedence"))
		return value_is(value, "bulk") || value_is(value, "list") ||
		       value_is(value, "junk");
	/* [MS-OXCMAIL] 2.1.3.2.20 */
	if (mime_header_is(field, "x-auto-response-suppress"))
		return has_word(value, "all") || has_word(value, "oof") ||
		       has_word(value, "autoreply");
	if (mime_header_is(field, "content-type"))
		return value_is(value, "multipart/report");
	if (mime_header_is(field, "x-spam-flag") || mime_header_is(field, "x-spam-status"))
		return value_is(value, "yes");
	return false;
}

bool mime_is_automatic(const void *raw, size_t len)
{
	const char *bytes = mime_bytes(raw, len);
	struct mime_header_reader reader = {bytes, bytes + len};
	struct mime_field field;

	while (mime_header_next(&reader, &field) == 1) {
		if (field_is_automatic(&field))
			return true;
	}
	return false;
}
