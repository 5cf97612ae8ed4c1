/*
 * Drafts as phones of 16.0 and later write them: from the elements of an Add or a Change to what
 * mime_draft.c makes a message of, and what only drafts show.
 *
 * An attachment is marked with a hash of its Add and of the device, so that the same request, when
 * it comes again after its answer got lost, finds it. No state; any thread. Limits: of the caller.
 */
#include "eas/class/email_draft.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email_internal.h"
#include "eas/request.h"

/* What a phone may write into a draft, beside Read, Flag and Categories. */
static const uint16_t content_tags[] = {TAG_Email_To, TAG_Email_Cc, TAG_Email2_Bcc,
	TAG_Email_ReplyTo, TAG_Email_Subject, TAG_Email_Importance, TAG_AirSyncBase_Body,
	TAG_AirSyncBase_Attachments};

bool email_draft_has_content(const struct wbxml_node *data)
{
	for (size_t i = 0; i < ARRAY_LEN(content_tags); i++) {
		if (wbxml_find(data, content_tags[i]) != NULL)
			return true;
	}
	return false;
}

/* ---- attachments ---- */

uint64_t email_draft_mark(const struct wbxml_node *add, struct device_id device)
{
	return eas_hash_node(add, device.v) | 1;
}

static int read_known(const struct email_draft *d, struct arena *arena,
	struct mime_draft_numbers *ret, struct err *err)
{
	struct mime_summary *summary;

	*ret = (struct mime_draft_numbers){0};
	if (d->old == NULL)
		return 0;
	if (mime_summarize(arena, d->old, d->old_len, d->limits, &summary, err) < 0)
		return -1;
	mime_draft_numbers_read(arena, summary, d->old, d->old_len, ret);
	return 0;
}

/* An attachment of the old draft stands for one Add. */
static bool take_known(struct mime_draft_numbers *known, uint64_t mark)
{
	for (size_t i = 0; i < known->count; i++) {
		if (known->v[i].mark == mark) {
			known->v[i].mark = 0;
			return true;
		}
	}
	return false;
}

static void read_added(
	const struct wbxml_node *add, uint64_t mark, struct mime_draft_attachment *ret)
{
	const struct wbxml_node *content = wbxml_find(add, TAG_AirSyncBase_Content);

	*ret = (struct mime_draft_attachment){
		.content = content->text,
		.len = content->len,
		.name = eas_get_text(add, TAG_AirSyncBase_DisplayName, ""),
		.content_type = eas_get_text(add, TAG_AirSyncBase_ContentType, ""),
		.content_id = eas_get_text(add, TAG_AirSyncBase_ContentId, ""),
		.content_location = eas_get_text(add, TAG_AirSyncBase_ContentLocation, ""),
		.is_inline = wbxml_find(add, TAG_AirSyncBase_IsInline) != NULL,
		.is_message = eas_get_uint(add, TAG_AirSyncBase_Method, 1) == 5,
		.mark = mark,
	};
}

static int read_removed(const struct email_draft *d, const struct wbxml_node *remove, uint32_t *ret,
	struct err *err)
{
	const char *reference = eas_get_text(remove, TAG_AirSyncBase_FileReference, "");
	struct folder_id folder;
	struct item_id item;

	if (email_file_reference_parse(reference, &folder, &item, ret, err) < 0)
		return -1;
	if (folder.v != d->folder.v || item.v != d->item.v)
		return err_set(err, ERR_NOT_FOUND, "\"%s\" is of another message", reference);
	return 0;
}

static bool is_removed(const struct mime_draft *m, uint32_t number)
{
	for (size_t i = 0; i < m->remove_count; i++) {
		if (m->remove[i] == number)
			return true;
	}
	return false;
}

/* One that is gone already is no fault of a request that comes again. */
static bool is_gone(const struct mime_draft_numbers *known, uint32_t number)
{
	for (size_t i = 0; i < known->count; i++) {
		if (known->v[i].number == number)
			return false;
	}
	return number < known->next;
}

static int read_attachments(const struct email_draft *d, const struct wbxml_node *attachments,
	struct arena *arena, struct mime_draft *m, struct err *err)
{
	struct mime_draft_attachment *add;
	uint32_t *remove;
	struct mime_draft_numbers known;
	size_t count = 0;

	if (read_known(d, arena, &known, err) < 0)
		return -1;
	for (const struct wbxml_node *n = attachments->child; n != NULL; n = n->next)
		count++;
	m->add = add = arena_x_alloc(arena, (count + 1) * sizeof(*add));
	m->remove = remove = arena_x_alloc(arena, (count + 1) * sizeof(*remove));
	for (const struct wbxml_node *n = attachments->child; n != NULL; n = n->next) {
		uint64_t mark;
		uint32_t number;

		if (n->tag == TAG_AirSyncBase_Add) {
			mark = email_draft_mark(n, d->device);
			if (!d->again || !take_known(&known, mark))
				read_added(n, mark, &add[m->add_count++]);
			continue;
		}
		if (read_removed(d, n, &number, err) < 0)
			return -1;
		if (!is_removed(m, number) && !(d->again && is_gone(&known, number)))
			remove[m->remove_count++] = number;
	}
	if (known.count + m->add_count > d->attachments_max + m->remove_count)
		return err_set(err, ERR_QUOTA, "more than %zu attachments", d->attachments_max);
	return 0;
}

/* ---- the message ---- */

static const char *text_or_null(const struct wbxml_node *data, unsigned tag)
{
	const struct wbxml_node *n = wbxml_find(data, tag);

	return n != NULL ? n->text : NULL;
}

/* A Body without Data leaves the text as it is ([MS-ASCMD] 2.2.3.24). */
static void read_body(const struct wbxml_node *data, struct mime_draft *m)
{
	const struct wbxml_node *body = wbxml_find(data, TAG_AirSyncBase_Body);
	const struct wbxml_node *text = wbxml_find(body, TAG_AirSyncBase_Data);

	if (text == NULL)
		return;
	m->body_type =
		(enum mime_body_type)eas_get_uint(body, TAG_AirSyncBase_Type, MIME_BODY_TEXT);
	m->body = text->text;
	m->body_len = text->len;
}

int email_draft_write(
	const struct email_draft *draft, struct arena *arena, struct buf *out, struct err *err)
{
	const struct wbxml_node *data = draft->data;
	const struct wbxml_node *attachments = wbxml_find(data, TAG_AirSyncBase_Attachments);
	struct mime_draft m = {
		.old = draft->old,
		.old_len = draft->old_len,
		.to = text_or_null(data, TAG_Email_To),
		.cc = text_or_null(data, TAG_Email_Cc),
		.bcc = text_or_null(data, TAG_Email2_Bcc),
		.reply_to = text_or_null(data, TAG_Email_ReplyTo),
		.subject = text_or_null(data, TAG_Email_Subject),
		.from = draft->from,
		.importance = wbxml_find(data, TAG_Email_Importance) == NULL
				      ? -1
				      : (int)eas_get_uint(data, TAG_Email_Importance, 1),
		.domain = draft->domain,
		.now_at = draft->now_at,
		.limits = draft->limits,
	};

	read_body(data, &m);
	if (attachments != NULL && read_attachments(draft, attachments, arena, &m, err) < 0)
		return -1;
	return mime_draft_write(&m, out, err);
}

/* ---- to the phone ---- */

static void show_kept(struct email *email, struct arena *arena, const char *name, const char **ret)
{
	const char *text = mime_field_text(arena, email->body.bytes, email->body.len, name);

	if (text != NULL)
		*ret = text;
}

void email_draft_open(struct email *email, struct arena *arena)
{
	struct mime_draft_numbers *numbers;

	if (email->folder_type != FOLDER_DRAFTS || !email->has_body || email->set_aside)
		return;
	numbers = arena_x_new(arena, struct mime_draft_numbers);
	mime_draft_numbers_read(arena, email->summary, email->body.bytes, email->body.len, numbers);
	email->numbers = numbers;
	show_kept(email, arena, MIME_DRAFT_TO, &email->summary->to);
	show_kept(email, arena, MIME_DRAFT_CC, &email->summary->cc);
	show_kept(email, arena, MIME_DRAFT_BCC, &email->summary->bcc);
	show_kept(email, arena, MIME_DRAFT_REPLY_TO, &email->summary->reply_to);
}

static const struct mime_draft_number *find_mark(const struct email *email, uint64_t mark)
{
	for (size_t i = 0; i < email->numbers->count; i++) {
		if (email->numbers->v[i].mark == mark)
			return &email->numbers->v[i];
	}
	return NULL;
}

void email_draft_encode_added(struct wbxml_writer *w, const struct email *email,
	const struct wbxml_node *data, struct device_id device)
{
	const struct wbxml_node *attachments = wbxml_find(data, TAG_AirSyncBase_Attachments);
	const struct wbxml_node *n = wbxml_find(attachments, TAG_AirSyncBase_Add);
	bool begun = false;
	char reference[80];

	for (; n != NULL && email->numbers != NULL; n = wbxml_next(n, TAG_AirSyncBase_Add)) {
		const struct mime_draft_number *found =
			find_mark(email, email_draft_mark(n, device));

		if (found == NULL)
			continue;
		if (!begun)
			wbxml_start(w, TAG_AirSyncBase_Attachments);
		begun = true;
		email_file_reference(email, found->part, reference, sizeof(reference));
		wbxml_start(w, TAG_AirSyncBase_Attachment);
		wbxml_add_text(
			w, TAG_AirSyncBase_ClientId, eas_get_text(n, TAG_AirSyncBase_ClientId, ""));
		wbxml_add_text(w, TAG_AirSyncBase_FileReference, reference);
		wbxml_end(w);
	}
	if (begun)
		wbxml_end(w);
}
