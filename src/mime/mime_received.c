/*
 * What the header says of a message's way here. When the site took it in: whoever hands mail over
 * may have kept it for a while (a queue, an old mailbox being moved), and has written down when it
 * came, in the topmost Received field (RFC 5321, section 4.4). And whether it came over a mailing
 * list, or was sent on (RFC 2919, 2369, 3834; RFC 5322, section 3.6.6). Pure; any thread.
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
