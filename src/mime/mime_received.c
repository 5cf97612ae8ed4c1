/*
 * When the site took a message in. Whoever hands mail over may have kept it for a while (a queue,
 * an old mailbox being moved), and has written down when it came: in the topmost Received field
 * (RFC 5321, section 4.4).
 */
#include <string.h>

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
