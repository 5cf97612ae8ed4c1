/*
 * Attachments by their FileReference, for ItemOperations and GetAttachment. No state; any thread.
 *
 * The message is mapped, not read; what was decoded of it is let go on the way, so that neither its
 * bytes nor those of the attachment are in memory as a whole but in the answer.
 */
#include "eas/command/attachment.h"

#include "base/mem.h"
#include "base/str.h"

/* Of the mapping, let go at once. */
#define PASSED_BYTES ((size_t)2 * 1024 * 1024)

int attachment_open(struct store_read *rd, struct owner_id owner, const char *reference,
	struct arena *arena, struct attachment *ret, struct err *err)
{
	struct attachment a = {.part = 0};
	struct folder_id folder_id;
	const struct mime_part *part;
	struct folder *folder;
	struct item_id item;
	uint32_t number;

	if (email_file_reference_parse(reference, &folder_id, &item, &number, err) < 0)
		return err_set(err, ERR_NOT_FOUND, "a reference that was not made here");
	if (store_folder_load(rd, owner, folder_id, arena, &folder, err) < 0 ||
		email_load(rd, owner, folder_id, folder->type, item, true, arena, &a.email, err) <
			0)
		return -1;
	if (email_find_part(&a.email, number, &a.part, err) < 0) {
		email_release(&a.email);
		return -1;
	}
	part = &a.email.summary->parts[a.part];
	a.total = part->decoded_bytes;
	a.type = part->content_type;
	*ret = a;
	return 0;
}

void attachment_close(struct attachment *a)
{
	email_release(&a->email);
}

struct reading {
	const struct attachment *a;
	struct buf *out;
	bool as_base64;
	uint8_t odd[3]; /* bytes that no group of three is made of yet */
	size_t odd_count;
	size_t passed; /* of the message, let go */
};

static void take_base64(struct reading *r, const uint8_t *bytes, size_t len)
{
	while (len > 0 && r->odd_count > 0 && r->odd_count < 3) {
		r->odd[r->odd_count++] = *bytes++;
		len--;
	}
	if (r->odd_count == 3) {
		base64_add(r->out, r->odd, 3);
		r->odd_count = 0;
	}
	base64_add(r->out, bytes, len / 3 * 3);
	for (size_t i = len / 3 * 3; i < len; i++)
		r->odd[r->odd_count++] = bytes[i];
}

static void take(void *owner, const void *bytes, size_t len)
{
	struct reading *r = owner;

	if (r->as_base64)
		take_base64(r, bytes, len);
	else
		buf_add(r->out, bytes, len);
}

static void passed(void *owner, size_t raw_offset)
{
	struct reading *r = owner;

	if (raw_offset - r->passed < PASSED_BYTES)
		return;
	store_body_forget(&r->a->email.body, raw_offset);
	r->passed = raw_offset;
}

int attachment_read(const struct attachment *a, uint64_t first, uint64_t count, bool as_base64,
	struct buf *out, struct err *err)
{
	struct reading r = {.a = a, .out = out, .as_base64 = as_base64};
	const struct mime_part_range range = {
		.first = first, .count = count, .take = take, .passed = passed, .owner = &r};

	/* All of it at once, so that nothing is copied when it grows. */
	count = first < a->total ? MIN(count, a->total - first) : 0;
	(void)buf_reserve(out, (size_t)(as_base64 ? (count + 2) / 3 * 4 : count) + 64);
	if (mime_part_read(a->email.summary, a->email.body.bytes, a->email.body.len, a->part,
		    &range, err) < 0)
		return -1;
	if (r.odd_count > 0)
		base64_add(out, r.odd, r.odd_count);
	return out->failed ? err_set(err, ERR_BUSY, "no memory for an attachment") : 0;
}
