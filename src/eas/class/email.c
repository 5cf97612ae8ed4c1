/*
 * The Email class: loading, attachments, property groups. No state; any thread. What is written
 * depends on the protocol version only here, in email_envelope.c and in email_body.c.
 */
#include "eas/class/email.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crash_test.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "eas/class/email_internal.h"
#include "eas/class/sms.h"

/* As the settings' defaults. */
static const struct mime_limits late_limits = {
	.parts = 1000, .depth = 50, .header_bytes = (size_t)256 * 1024};

static int load_body(struct store_read *rd, struct email *email, struct err *err)
{
	if (store_body_load(rd, email->owner, email->item->body_id, &email->body, err) < 0)
		return err_wrap(err, "body of item %" PRIu64 " of folder %" PRIu64,
			email->item->row.id.v, email->folder.v);
	email->has_body = true;
	return 0;
}

static int load(struct store_read *rd, struct item_id id, bool with_body, struct arena *arena,
	struct email *email, struct err *err)
{
	const struct item *item;
	bool copy;

	if (store_item_load(rd, email->owner, email->folder, id, arena, &email->item, err) < 0)
		return -1;
	item = email->item;
	copy = item->set_aside_at != 0;
	if (!copy && store_poison_check_copy(rd, email->owner, email->folder, item, &copy, err) < 0)
		return -1;
	if (copy)
		return email_placeholder(rd, email, arena, err);
	/* One that came in unread, and was released since, is read now. */
	if (with_body || item->summary_len == 0) {
		if (load_body(rd, email, err) < 0)
			return -1;
	}
	if (item->summary_len == 0)
		return mime_summarize(arena, email->body.bytes, email->body.len, &late_limits,
			&email->summary, err);
	if (mime_summary_decode(arena, item->summary, item->summary_len, &email->summary, err) < 0)
		return err_wrap(err, "item %" PRIu64 " of folder %" PRIu64, id.v, email->folder.v);
	return 0;
}

int email_load(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	enum folder_type folder_type, struct item_id id, bool with_body, struct arena *arena,
	struct email *ret, struct err *err)
{
	struct email email = {.owner = owner, .folder = folder, .folder_type = folder_type};

	/* Until email_release(): a crash on the way is this item's. */
	notes_item(owner.v, folder.v, id.v);
	if (load(rd, id, with_body, arena, &email, err) < 0) {
		email_release(&email);
		return -1;
	}
	email_draft_open(&email, arena);
	CRASH_TEST_FAULT(
		email.summary->subject, strlen(email.summary->subject), "bellhop-crash-loader");
	*ret = email;
	return 0;
}

void email_release(struct email *email)
{
	if (email->has_body)
		store_body_release(&email->body);
	email->has_body = false;
	notes_item_done();
}

void email_file_reference(const struct email *email, uint32_t part, char *text, size_t text_size)
{
	const struct mime_draft_numbers *numbers = email->numbers;
	uint32_t number = part;

	for (size_t i = 0; numbers != NULL && i < numbers->count; i++) {
		if (numbers->v[i].part == part)
			number = numbers->v[i].number;
	}
	(void)snprintf(text, text_size, "%" PRIu64 ":%" PRIu64 ":%" PRIu32, email->folder.v,
		email->item->row.id.v, number);
}

int email_find_part(const struct email *email, uint32_t number, uint32_t *ret_part, struct err *err)
{
	const struct mime_draft_numbers *numbers = email->numbers;

	/* A placeholder has no attachments, whatever the true message has. */
	for (size_t i = 0; !email->set_aside && numbers != NULL && i < numbers->count; i++) {
		if (numbers->v[i].number == number) {
			*ret_part = numbers->v[i].part;
			return 0;
		}
	}
	if (email->set_aside || numbers != NULL || number >= email->summary->part_count)
		return err_set(err, ERR_NOT_FOUND, "the message has no such part");
	*ret_part = number;
	return 0;
}

int email_file_reference_parse(const char *text, struct folder_id *ret_folder,
	struct item_id *ret_item, uint32_t *ret_number, struct err *err)
{
	static const uint64_t limits[3] = {INT64_MAX, INT64_MAX, UINT32_MAX};
	uint64_t numbers[3];
	char copy[80];
	char *at = copy;

	if (strlen(text) >= sizeof(copy))
		return err_set(
			err, ERR_BAD_INPUT, "file reference of %zu characters", strlen(text));
	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (size_t i = 0; i < 3; i++) {
		char *colon = strchr(at, ':');

		if ((colon != NULL) != (i < 2))
			return err_set(err, ERR_BAD_INPUT, "\"%s\" is not a file reference", text);
		if (colon != NULL)
			*colon = 0;
		if (str_parse_u64(at, limits[i], &numbers[i], err) < 0)
			return err_wrap(err, "file reference \"%s\"", text);
		at = colon != NULL ? colon + 1 : at;
	}
	ret_folder->v = numbers[0];
	ret_item->v = numbers[1];
	*ret_number = (uint32_t)numbers[2];
	return 0;
}

/* 1 normal, 5 an embedded message ([MS-ASAIRS] 2.2.2.27). */
static unsigned attachment_method(const struct mime_part *part)
{
	return strcmp(part->content_type, "message/rfc822") == 0 ? 5 : 1;
}

/* The newest voice message is number 1 ([MS-ASEMAIL] 2.2.2.82), and it stands last. */
static unsigned voice_order(const struct email *email, uint32_t number)
{
	unsigned order = 0;

	for (uint32_t i = number; i < email->summary->part_count; i++) {
		const struct mime_part *part = &email->summary->parts[i];

		order += part->is_attachment && str_starts(part->content_type, "audio/");
	}
	return order;
}

static void encode_voice(struct wbxml_writer *w, const struct email *email, uint32_t number)
{
	unsigned order = voice_order(email, number);
	uint64_t seconds;

	if (!str_starts(email->summary->parts[number].content_type, "audio/"))
		return;
	if (order == 1 && email_voice_seconds(email, &seconds))
		wbxml_add_uint(w, TAG_Email2_UmAttDuration, seconds);
	wbxml_add_uint(w, TAG_Email2_UmAttOrder, order);
}

static void encode_attachment(
	struct wbxml_writer *w, const struct email *email, uint32_t number, unsigned version)
{
	const struct mime_part *part = &email->summary->parts[number];
	char reference[80];

	email_file_reference(email, number, reference, sizeof(reference));
	wbxml_start(w, TAG_AirSyncBase_Attachment);
	email_add_present(w, TAG_AirSyncBase_DisplayName, part->name);
	wbxml_add_text(w, TAG_AirSyncBase_FileReference, reference);
	wbxml_add_uint(w, TAG_AirSyncBase_Method, attachment_method(part));
	wbxml_add_uint(w, TAG_AirSyncBase_EstimatedDataSize, part->decoded_bytes);
	email_add_present(w, TAG_AirSyncBase_ContentId, part->content_id);
	email_add_present(w, TAG_AirSyncBase_ContentLocation, part->content_location);
	if (part->is_inline)
		wbxml_add_bool(w, TAG_AirSyncBase_IsInline, true);
	if (version >= 140 && email_is_voice(email))
		encode_voice(w, email, number);
	wbxml_end(w);
}

static void encode_attachment_25(struct wbxml_writer *w, const struct email *email, uint32_t number)
{
	const struct mime_part *part = &email->summary->parts[number];
	char reference[80];

	email_file_reference(email, number, reference, sizeof(reference));
	wbxml_start(w, TAG_Email_Attachment);
	wbxml_add_uint(w, TAG_Email_AttMethod, attachment_method(part));
	wbxml_add_uint(w, TAG_Email_AttSize, part->decoded_bytes);
	email_add_present(w, TAG_Email_DisplayName, part->name);
	wbxml_add_text(w, TAG_Email_AttName, reference);
	email_add_present(w, TAG_Email_AttOid, part->content_id);
	wbxml_end(w);
}

static void encode_attachments(struct wbxml_writer *w, const struct email *email, unsigned version)
{
	bool begun = false;

	for (uint32_t i = 0; i < email->summary->part_count; i++) {
		if (!email->summary->parts[i].is_attachment)
			continue;
		if (!begun)
			wbxml_start(w, version >= 120 ? TAG_AirSyncBase_Attachments
						      : TAG_Email_Attachments);
		begun = true;
		if (version >= 120)
			encode_attachment(w, email, i, version);
		else
			encode_attachment_25(w, email, i);
	}
	if (begun)
		wbxml_end(w);
}

int email_encode(struct wbxml_writer *w, const struct email *email, const struct email_view *view,
	struct err *err)
{
	if (email->item->row.item_class == ITEM_SMS)
		return sms_encode(w, email, view, err);
	email_encode_envelope(w, email, view);
	CRASH_TEST_ABORT(
		email->summary->subject, strlen(email->summary->subject), "bellhop-crash-encoder");
	if (CRASH_TEST_HAS(email->summary->subject, strlen(email->summary->subject),
		    "bellhop-bad-encoder"))
		return err_set(err, ERR_BAD_INPUT, "ordered by its subject");
	if (view->version >= 120)
		email_flag_encode(
			w, email->item->flag_status, email->item->flag, email->item->flag_len);
	if (email_encode_body(w, email, view, err) < 0)
		return -1;
	encode_attachments(w, email, view->version);
	if (view->version >= 140) {
		if (email->item->categories_len > 0 || view->is_change)
			email_categories_encode(
				w, email->item->categories, email->item->categories_len);
		email_encode_conversation(w, email, view);
	}
	return 0;
}

void email_encode_groups(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, unsigned groups)
{
	if ((groups & SYNC_READ) != 0)
		wbxml_add_bool(w, TAG_Email_Read, email->item->is_read);
	if ((groups & SYNC_FLAG) != 0 && view->version >= 120)
		email_flag_encode(
			w, email->item->flag_status, email->item->flag, email->item->flag_len);
	if ((groups & SYNC_CATEGORIES) != 0 && view->version >= 140)
		email_categories_encode(w, email->item->categories, email->item->categories_len);
}
