/*
 * Replies and forwards of hostile originals by hostile clients. One byte of flags, then two
 * messages with "\n====\n" between them. What comes out can be read, and sent.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void check(const struct mime_compose *c)
{
	struct arena *arena = arena_new(0);
	struct mime_summary *before, *after;
	struct mime_envelope *was, *is;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	must(mime_compose(c, &out, &err) == 0);
	must(mime_summarize(arena, out.data, out.len, c->limits, &after, &err) == 0);
	must(mime_summarize(arena, c->raw, c->len, c->limits, &before, &err) == 0);
	/* The original never adds a recipient or a sender. */
	if (mime_envelope_read(arena, c->raw, c->len, &was, &err) == 0 &&
		mime_envelope_read(arena, out.data, out.len, &is, &err) == 0) {
		must(was->to_count == is->to_count);
		must(was->sender_count == is->sender_count);
	}
	buf_deinit(&out);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char between[] = "\n====\n";
	struct mime_limits limits = {30, 8, 4096};
	struct mime_compose c = {.quote_max = 2000, .limits = &limits};
	const uint8_t *cut;

	if (len < 1)
		return 0;
	c.forward = bytes[0] & 1;
	c.replace = bytes[0] & 2;
	c.raw = bytes + 1;
	c.len = len - 1;
	cut = memmem(bytes + 1, len - 1, between, sizeof(between) - 1);
	if (cut != NULL) {
		c.len = (size_t)(cut + 1 - (bytes + 1));
		c.source = cut + sizeof(between) - 1;
		c.source_len = (size_t)(bytes + len - cut) - (sizeof(between) - 1);
	}
	check(&c);
	return 0;
}
