/*
 * Attachments by their FileReference, for ItemOperations and GetAttachment. No state; any thread.
 */
#include "eas/command/attachment.h"

#include "base/mem.h"
#include "eas/class/email.h"

static int decode(const struct email *email, uint32_t number, struct buf *out, struct err *err)
{
	/* A placeholder has no attachments, whatever the true message has. */
	if (number >= email->summary->part_count || email->set_aside)
		return err_set(err, ERR_NOT_FOUND, "the message has no such part");
	return mime_part_decode(
		email->summary, email->body.bytes, email->body.len, number, out, err);
}

int attachment_load(struct store_read *rd, struct owner_id owner, const char *reference,
	struct arena *arena, struct buf *out, const char **ret_type, struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct folder_id folder_id;
	struct folder *folder;
	struct item_id item;
	struct email email;
	uint32_t number;
	int result;

	if (email_file_reference_parse(reference, &folder_id, &item, &number, err) < 0)
		return err_set(err, ERR_NOT_FOUND, "a reference that was not made here");
	if (store_folder_load(rd, owner, folder_id, scratch, &folder, err) < 0 ||
		email_load(rd, owner, folder_id, folder->type, item, true, scratch, &email, err) <
			0)
		return -1;
	result = decode(&email, number, out, err);
	if (result == 0)
		*ret_type = arena_x_strdup(arena, email.summary->parts[number].content_type);
	email_release(&email);
	if (result == 0 && out->failed)
		return err_set(err, ERR_BUSY, "no memory for an attachment");
	return result;
}
