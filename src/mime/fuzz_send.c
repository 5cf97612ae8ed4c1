/*
 * Messages that phones send, as they come and as they leave: the sender's copy has the same
 * recipients, what leaves has no Bcc and all that it must have, and leaving twice changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mime/mime.h"
#include "mime/mime_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool good)
{
	if (!good)
		abort();
}

static size_t count_fields(const struct buf *raw, const char *name)
{
	struct mime_header_reader r = {(const char *)raw->data, (const char *)raw->data + raw->len};
	struct mime_field f;
	size_t count = 0;

	while (mime_header_next(&r, &f) == 1)
		count += mime_header_is(&f, name);
	return count;
}

static void prepare(const void *raw, size_t len, struct buf *out, struct buf *bcc)
{
	struct err err = ERR_INIT;

	must(mime_prepare_send(raw, len, "\"Anna \\\"A\\\"\" <anna@example.org>", "example.org",
		     1000000000, NULL, out, bcc, &err) == 0);
}

static void check_leaving(const struct buf *out)
{
	struct buf again = BUF_INIT;

	must(count_fields(out, "from") == 1);
	must(count_fields(out, "bcc") == 0);
	must(count_fields(out, "date") >= 1);
	must(count_fields(out, "message-id") >= 1);
	for (size_t i = 0; i < out->len; i++)
		must(out->data[i] != '\n' || (i > 0 && out->data[i - 1] == '\r'));
	prepare(out->data, out->len, &again, NULL);
	must(again.len == out->len && memcmp(again.data, out->data, out->len) == 0);
	buf_deinit(&again);
}

static void check_recipients(
	struct arena *arena, const struct mime_envelope *was, struct buf *bcc, struct buf *out)
{
	struct mime_envelope *copy, *left;
	struct err err = ERR_INIT;

	must(mime_envelope_read(arena, out->data, out->len, &left, &err) == 0);
	must(left->to_count <= was->to_count);
	buf_add(bcc, out->data, out->len);
	must(mime_envelope_read(arena, bcc->data, bcc->len, &copy, &err) == 0);
	must(copy->to_count == was->to_count);
	must((copy->bad_recipient != NULL) == (was->bad_recipient != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT, bcc = BUF_INIT;
	struct mime_envelope *envelope;
	struct err err = ERR_INIT;

	static bool begun;

	if (!begun)
		mime_global_init();
	begun = true;
	if (mime_envelope_read(arena, bytes, len, &envelope, &err) == 0) {
		for (size_t i = 0; i < envelope->to_count && envelope->bad_recipient == NULL; i++)
			must(mime_address_is_valid(envelope->to[i]));
		prepare(bytes, len, &out, &bcc);
		check_leaving(&out);
		check_recipients(arena, envelope, &bcc, &out);
	} else {
		must(err.code == ERR_BAD_INPUT);
	}
	buf_deinit(&out);
	buf_deinit(&bcc);
	arena_free(&arena);
	return 0;
}
