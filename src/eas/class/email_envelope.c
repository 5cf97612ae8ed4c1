/*
 * Properties of a message that are no body: what its header says, where and when it lies, its
 * conversation, and what 14.0 added ([MS-ASEMAIL] 2.2.2). No state; any thread.
 *
 * Limits: lists of addresses are cut behind a whole one, at 32,768 bytes when the message came in,
 * Bcc at BCC_CHARS.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email.h"
#include "eas/class/email_internal.h"
#include "eas/date.h"

/* [MS-ASEMAIL] 2.2.2.8 */
#define BCC_CHARS 1024
/* A To or Cc of this size may have lost its end. */
#define LIST_BYTES_WHOLE ((size_t)31 * 1024)

static void add_date(struct wbxml_writer *w, unsigned tag, int64_t at)
{
	char text[EAS_DATE_SIZE];

	wbxml_add_text(w, tag, eas_date_format(at * 1000, EAS_DATE_DASHED, text));
}

void email_add_present(struct wbxml_writer *w, unsigned tag, const char *text)
{
	if (text[0] != 0)
		wbxml_add_text(w, tag, text);
}

/* The length of what a list begins with: whole addresses of at most max characters together. */
static size_t list_floor(const char *list, size_t max)
{
	size_t chars = 0, end = 0, i = 0;
	bool quoted = false;

	for (; list[i] != 0 && chars <= max; i++) {
		if (list[i] == '\\' && list[i + 1] != 0)
			i++, chars++;
		else if (list[i] == '"')
			quoted = !quoted;
		else if (list[i] == ',' && !quoted)
			end = i;
		chars += ((unsigned char)list[i] & 0xc0) != 0x80;
	}
	return list[i] == 0 && chars <= max ? i : end;
}

void email_encode_envelope(
	struct wbxml_writer *w, const struct email *email, const struct email_view *view)
{
	const struct mime_summary *s = email->summary;
	bool shows_bcc = email->folder_type == FOLDER_DRAFTS || email->folder_type == FOLDER_SENT;
	size_t bcc_len = list_floor(s->bcc, BCC_CHARS);

	email_add_present(w, TAG_Email_To, s->to);
	email_add_present(w, TAG_Email_Cc, s->cc);
	email_add_present(w, TAG_Email_From, s->from);
	email_add_present(w, TAG_Email_Subject, s->subject);
	email_add_present(w, TAG_Email_ReplyTo, s->reply_to);
	add_date(w, TAG_Email_DateReceived, email->item->row.date_at);
	email_add_present(w, TAG_Email_DisplayTo, s->display_to);
	email_add_present(w, TAG_Email_ThreadTopic, s->thread_topic);
	wbxml_add_uint(w, TAG_Email_Importance, s->importance);
	wbxml_add_bool(w, TAG_Email_Read, email->item->is_read);
	wbxml_add_text(w, TAG_Email_MessageClass, s->message_class);
	wbxml_add_uint(w, TAG_Email_InternetCPID, s->cpid);
	if (view->version >= 120)
		wbxml_add_text(w, TAG_Email_ContentClass, s->content_class);
	if (view->version >= 160 && shows_bcc && bcc_len > 0)
		wbxml_add_textn(w, TAG_Email2_Bcc, s->bcc, bcc_len);
	if (view->version >= 160)
		wbxml_add_bool(w, TAG_Email2_IsDraft, email->folder_type == FOLDER_DRAFTS);
}

/* ---- who sent it, who got it ---- */

/* The address in `"Name" <addr>`, or the whole. */
static size_t bare_address(const char *formatted, const char **ret)
{
	const char *open = strrchr(formatted, '<');

	*ret = open != NULL ? open + 1 : formatted;
	return strcspn(*ret, open != NULL ? ">" : "");
}

static bool same_address(const char *a, const char *b)
{
	size_t a_len = bare_address(a, &a), b_len = bare_address(b, &b);

	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

/* Does the list name that address, or it with a tag ("user+tag@domain")? Not in a display name:
 * those stand in quotes, and what ends in front of '@' is another address. */
static bool list_names(const char *list, const char *address)
{
	size_t local_len = strcspn(address, "@");

	for (const char *p = list; (p = strcasestr(p, address + local_len)) != NULL; p++) {
		const char *end = p + strlen(address + local_len), *start = p;

		if (*end != '>' && *end != ',' && *end != 0)
			continue;
		while (start > list && strchr("<, \"", start[-1]) == NULL)
			start--;
		if (strncasecmp(start, address, local_len) == 0 &&
			(start + local_len == p || start[local_len] == '+'))
			return true;
	}
	return false;
}

static bool any_named(const char *list, const struct email_view *view)
{
	for (size_t i = 0; i < view->address_count; i++) {
		if (list_names(list, view->addresses[i]))
			return true;
	}
	return false;
}

/* Text of a header field; NULL. */
static const char *field(const struct email *email, struct arena *arena, const char *name)
{
	return email->has_body ? mime_field_text(arena, email->body.bytes, email->body.len, name)
			       : NULL;
}

static bool received_as_bcc(const struct email *email, const struct email_view *view)
{
	const struct mime_summary *s = email->summary;

	switch (email->folder_type) {
	case FOLDER_DRAFTS:
	case FOLDER_SENT:
	case FOLDER_OUTBOX:
		return false;
	default:
		break;
	}
	return view->address_count > 0 && strlen(s->to) < LIST_BYTES_WHOLE &&
	       strlen(s->cc) < LIST_BYTES_WHOLE && !any_named(s->to, view) &&
	       !any_named(s->cc, view) && !any_named(s->from, view) && email->has_body &&
	       !mime_was_distributed(email->body.bytes, email->body.len);
}

/* ---- voice mail ---- */

bool email_is_voice(const struct email *email)
{
	static const char *const classes[] = {"IPM.Note.Microsoft.Voicemail",
		"IPM.Note.RPMSG.Microsoft.Voicemail", "IPM.Note.Microsoft.Missed.Voice"};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (str_starts_nocase(email->summary->message_class, classes[i]))
			return true;
	}
	return false;
}

bool email_voice_seconds(const struct email *email, uint64_t *ret)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const char *text = field(email, arena, "x-voicemessageduration");
	struct err err = ERR_INIT;

	return text != NULL && str_parse_u64(text, INT32_MAX, ret, &err) == 0;
}

static void encode_caller(struct wbxml_writer *w, const struct email *email)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const char *number = field(email, arena, "x-callingtelephonenumber");

	if (number != NULL)
		email_add_present(w, TAG_Email2_UmCallerID, number);
}

void email_encode_conversation(
	struct wbxml_writer *w, const struct email *email, const struct email_view *view)
{
	const struct mime_summary *s = email->summary;
	static const uint8_t none[sizeof(s->conversation_id)];

	if (s->sender[0] != 0 && !same_address(s->sender, s->from))
		wbxml_add_text(w, TAG_Email2_Sender, s->sender);
	if (received_as_bcc(email, view))
		wbxml_add_bool(w, TAG_Email2_ReceivedAsBcc, true);
	/* Left out by a message that is in none ([MS-ASCON] 2.2.2.3.3). */
	if (memcmp(s->conversation_id, none, sizeof(none)) != 0) {
		wbxml_add_opaque(w, TAG_Email2_ConversationId, s->conversation_id,
			sizeof(s->conversation_id));
		wbxml_add_opaque(w, TAG_Email2_ConversationIndex, s->conversation_index,
			s->conversation_index_len);
	}
	if (email->item->last_verb != 0) {
		wbxml_add_uint(w, TAG_Email2_LastVerbExecuted, email->item->last_verb);
		add_date(w, TAG_Email2_LastVerbExecutionTime, email->item->last_verb_at);
	}
	if (email_is_voice(email))
		encode_caller(w, email);
}
