/*
 * Any bytes are a message: it is summarized, stored, loaded, rendered in all forms and sizes, taken
 * apart and prepared for sending. The bytes are also read as a stored summary.
 */
#include <stdlib.h>
#include <string.h>

#include "mime/mime_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(int good)
{
	if (!good)
		abort();
}

static void render(const struct mime_summary *s, const uint8_t *raw, size_t len)
{
	static const enum mime_body_type types[] = {MIME_BODY_TEXT, MIME_BODY_HTML, MIME_BODY_MIME};
	static const uint64_t sizes[] = {0, 1, 7, 100, 32768, UINT64_MAX};

	for (size_t t = 0; t < 3; t++) {
		for (size_t i = 0; i < 6; i++) {
			struct mime_body body;
			struct err err = ERR_INIT;

			must(mime_body_render(s, raw, len, types[t], sizes[i], &body, &err) == 0);
			must(body.data.len <= sizes[i]);
			must(body.truncated || body.estimated_bytes == body.data.len);
			buf_deinit(&body.data);
		}
	}
}

static void render_new(const struct mime_summary *s, const uint8_t *raw, size_t len)
{
	static const uint64_t sizes[] = {0, 1, 100, UINT64_MAX};

	for (size_t i = 0; i < 4; i++) {
		struct mime_body body;
		struct buf preview = BUF_INIT;
		struct err err = ERR_INIT;

		must(mime_body_render_new(s, raw, len, sizes[i], 255, &body, &preview, &err) == 0);
		must(body.data.len <= sizes[i] && preview.len <= 255 * 4);
		must(body.truncated || body.estimated_bytes == body.data.len);
		buf_deinit(&body.data);
		buf_deinit(&preview);
	}
}

/* In small pieces a part decodes to the same. */
static void decode_in_pieces(const struct mime_part *p, const uint8_t *raw, const struct buf *whole)
{
	const char *in = (const char *)raw + p->offset;
	struct mime_transfer t = {.encoding = p->encoding};
	size_t at = 0;

	for (size_t done = 0, n; done < p->length; done += n) {
		struct buf piece = BUF_INIT;

		n = mime_transfer_piece(p->encoding, in + done, p->length - done, 1 + done % 7);
		must(n > 0 && buf_reserve(&piece, mime_transfer_room(n)));
		piece.len = mime_transfer_feed(&t, piece.data, in + done, n, done + n == p->length);
		must(piece.len <= whole->len - at);
		must(piece.len == 0 || memcmp(piece.data, whole->data + at, piece.len) == 0);
		at += piece.len;
		buf_deinit(&piece);
	}
	must(at == whole->len);
}

static void decode_parts(const struct mime_summary *s, const uint8_t *raw, size_t len)
{
	for (uint32_t i = 0; i < s->part_count; i++) {
		struct buf part = BUF_INIT;
		struct err err = ERR_INIT;

		must(mime_part_decode(s, raw, len, i, &part, &err) == 0);
		must(part.len == s->parts[i].decoded_bytes);
		decode_in_pieces(&s->parts[i], raw, &part);
		buf_deinit(&part);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new(0);
	struct mime_limits limits = {30, 8, 4096};
	struct mime_summary *s = NULL, *stored = NULL;
	struct mime_envelope *envelope = NULL, *left = NULL;
	struct buf blob = BUF_INIT, out = BUF_INIT, bcc = BUF_INIT;
	struct err err = ERR_INIT;

	must(mime_summarize(arena, bytes, len, &limits, &s, &err) == 0);
	mime_summary_encode(s, &blob);
	must(mime_summary_decode(arena, blob.data, blob.len, &stored, &err) == 0);
	render(stored, bytes, len);
	render_new(stored, bytes, len);
	(void)mime_was_distributed(bytes, len);
	decode_parts(stored, bytes, len);
	if (mime_envelope_read(arena, bytes, len, &envelope, &err) == 0) {
		must(mime_prepare_send(bytes, len, "\"A\" <a@example.org>", "example.org", 1, NULL,
			     &out, &bcc, &err) == 0);
		/* What leaves has no recipient more, and with the blind ones it has all. */
		must(mime_envelope_read(arena, out.data, out.len, &left, &err) == 0);
		must(left->to_count <= envelope->to_count);
		buf_add(&bcc, out.data, out.len);
		must(mime_envelope_read(arena, bcc.data, bcc.len, &left, &err) == 0);
		must(left->to_count == envelope->to_count);
	}
	if (mime_summary_decode(arena, bytes, len, &stored, &err) == 0 &&
		stored->raw_bytes <= len) {
		render(stored, bytes, len);
		render_new(stored, bytes, len);
	}
	buf_deinit(&blob);
	buf_deinit(&out);
	buf_deinit(&bcc);
	arena_free(&arena);
	return 0;
}
