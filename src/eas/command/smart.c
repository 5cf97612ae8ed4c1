/*
 * SmartReply and SmartForward ([MS-ASCMD] 2.2.1.19, 2.2.1.20): the phone sends its own words, and
 * the server adds the original below them. With ReplaceMime the phone has written everything, and
 * the original only gets its mark. Sending and the mark (LastVerbExecuted) are one transaction.
 *
 * In the normal case: find the source, from a snapshot; compose, while a crash counts against the
 * source; end the snapshot; send. Every source is mail as yet, so an InstanceId names nothing and
 * is ignored. Any worker; a source is held in memory or mapped, never copied whole but for a
 * forward.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email.h"
#include "eas/command/outgoing.h"
#include "eas/request.h"

enum { VERB_REPLY = 1, VERB_REPLY_ALL = 2, VERB_FORWARD = 3 };

struct smart {
	struct outgoing o;
	struct eas_call *call;
	bool forward, replace;
	const char *folder_id, *item_id, *long_id; /* "" when absent */
	struct submit_source source;
	struct buf written; /* for Forwardees: what the phone would have written */
	struct buf composed;
};

/* ---- the request ---- */

static void read_source(struct smart *s)
{
	const struct eas_query *q = s->call->query;
	const struct wbxml_node *source;

	if (s->call->version < 140) {
		s->folder_id = q->collection_id;
		s->item_id = q->item_id;
		/* Some give both; the ids say more exactly what is meant. */
		s->long_id = q->item_id[0] == 0 ? q->long_id : "";
		return;
	}
	source = wbxml_find(s->call->root, TAG_ComposeMail_Source);
	s->folder_id = eas_get_text(source, TAG_ComposeMail_FolderId, "");
	s->item_id = eas_get_text(source, TAG_ComposeMail_ItemId, "");
	s->long_id = eas_get_text(source, TAG_ComposeMail_LongId, "");
	s->replace = eas_get_bool(s->call->root, TAG_ComposeMail_ReplaceMime, false);
}

/* ---- the source ---- */

/* A LongId is a ServerId: its folder stands in it. */
static bool folder_of_long_id(const char *text, struct folder_id *ret)
{
	const char *colon = strchr(text, ':');
	char folder[24];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(folder))
		return false;
	memcpy(folder, text, (size_t)(colon - text));
	folder[colon - text] = 0;
	return eas_folder_id_parse(folder, ret);
}

static int load_folder(struct smart *s, struct store_read *rd, struct folder **ret, struct err *err)
{
	const struct eas_call *call = s->call;
	struct folder_id id;

	/* Without a folder it is the Inbox ([MS-ASCMD] 2.2.3.93). */
	if (s->long_id[0] == 0 && s->folder_id[0] == 0)
		return store_folder_by_type(
			rd, call->user->id, FOLDER_INBOX, call->arena, ret, err);
	if (s->long_id[0] != 0 ? !folder_of_long_id(s->long_id, &id)
			       : !eas_folder_id_parse(s->folder_id, &id))
		return err_set(err, ERR_NOT_FOUND, "no folder has that id");
	return store_folder_load(rd, call->user->id, id, call->arena, ret, err);
}

/* ERR_NOT_FOUND: it is gone, or never was. */
static int load_source(struct smart *s, struct store_read *rd, struct email *ret, struct err *err)
{
	const char *id = s->long_id[0] != 0 ? s->long_id : s->item_id;
	struct folder *folder;

	if (load_folder(s, rd, &folder, err) < 0)
		return -1;
	s->source.owner = s->call->user->id;
	s->source.folder = folder->id;
	if (!eas_folder_is_mail(folder->type) ||
		!eas_server_id_parse(id, folder->id, &s->source.item))
		return err_set(err, ERR_NOT_FOUND, "no item has that id");
	return email_load(rd, s->source.owner, folder->id, folder->type, s->source.item, true,
		s->call->arena, ret, err);
}

/* ---- Forwardees (16.0 and later) ---- */

static void add_people(struct buf *out, const struct wbxml_node *forwardees)
{
	bool first = true;

	for (const struct wbxml_node *f = forwardees->child; f != NULL; f = f->next) {
		const char *name = eas_get_text(f, TAG_ComposeMail_Name, "");

		buf_add_str(out, first ? "To: " : ",\r\n ");
		first = false;
		if (name[0] != 0) {
			buf_add_byte(out, '"');
			for (; *name != 0; name++) {
				if (*name == '"' || *name == '\\')
					buf_add_byte(out, '\\');
				buf_add_byte(out, (uint8_t)*name < ' ' ? ' ' : (uint8_t)*name);
			}
			buf_add_str(out, "\" ");
		}
		buf_add_byte(out, '<');
		for (const char *p = eas_get_text(f, TAG_ComposeMail_Email, ""); *p != 0; p++)
			buf_add_byte(out, (uint8_t)*p < ' ' ? ' ' : (uint8_t)*p);
		buf_add_byte(out, '>');
	}
	buf_add_str(out, "\r\n");
}

static void write_forward(struct smart *s, const struct email *email)
{
	const struct wbxml_node *root = s->call->root,
				*forwardees = wbxml_find(root, TAG_ComposeMail_Forwardees),
				*body = wbxml_find(root, TAG_AirSyncBase_Body), *data = NULL;
	struct buf *out = &s->written;
	const char *p = email->summary->subject;

	if (forwardees != NULL)
		add_people(out, forwardees);
	buf_add_str(out, "Subject: Fwd: ");
	for (; *p != 0; p++)
		buf_add_byte(out, (uint8_t)*p < ' ' ? ' ' : (uint8_t)*p);
	if (body != NULL)
		data = wbxml_find(body, TAG_AirSyncBase_Data);
	buf_addf(out,
		"\r\nMIME-Version: 1.0\r\nContent-Type: text/%s; charset=utf-8\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n",
		eas_get_uint(body, TAG_AirSyncBase_Type, 1) == 2 ? "html" : "plain");
	if (data != NULL)
		base64_add(out, data->text, data->len);
	s->o.message = out->data;
	s->o.len = out->len;
	s->o.save_in_sent = true;
}

/* ---- composing ---- */

static bool is_own(const char *const *own, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq_nocase(own[i], address))
			return true;
	}
	return false;
}

/* Does it go to somebody else who got the original, beside its author? */
static bool is_reply_to_all(const struct smart *s, const struct email *email, struct store_read *rd)
{
	struct arena *arena = s->call->arena;
	struct mime_envelope *mine, *theirs;
	struct err ignored = ERR_INIT;
	const char **own;
	size_t count;

	if (mime_envelope_read(arena, s->o.message, s->o.len, &mine, &ignored) < 0 ||
		mime_envelope_read(arena, email->body.bytes, email->body.len, &theirs, &ignored) <
			0 ||
		store_user_addresses(rd, s->call->user->id, arena, &own, &count, &ignored) < 0 ||
		mine->to_count < 2)
		return false;
	for (size_t i = 0; i < mine->to_count; i++) {
		if (!is_own(own, count, mine->to[i]) && !str_eq_nocase(mine->to[i], theirs->from) &&
			is_own(theirs->to, theirs->to_count, mine->to[i]))
			return true;
	}
	return false;
}

static int compose(
	struct smart *s, const struct email *email, struct store_read *rd, struct err *err)
{
	const struct settings *settings = s->call->settings;
	const struct mime_limits limits = {.parts = settings->mime_parts_max,
		.depth = settings->mime_depth_max,
		.header_bytes = (size_t)1024 * 1024};
	struct mime_compose c = {.source = email->body.bytes,
		.source_len = email->body.len,
		.forward = s->forward,
		.replace = s->replace,
		.quote_max = settings->mail_quote_max_bytes,
		.limits = &limits};

	if (s->o.message == NULL)
		write_forward(s, email);
	if (s->written.failed)
		return err_set(err, ERR_INTERNAL, "no memory for a forward");
	s->source.verb = s->forward                      ? VERB_FORWARD
			 : is_reply_to_all(s, email, rd) ? VERB_REPLY_ALL
							 : VERB_REPLY;
	c.raw = s->o.message;
	c.len = s->o.len;
	if (mime_compose(&c, &s->composed, err) < 0)
		return -1;
	s->o.message = s->composed.data;
	s->o.len = s->composed.len;
	s->o.source = &s->source;
	return 0;
}

/* ---- the whole ---- */

/* 1: the message is there. 0: *ret_status says why not. */
static int prepare(struct smart *s, unsigned *ret_status, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct mime_envelope *envelope;
	struct email email;
	int result;

	if (s->o.message != NULL &&
		mime_envelope_read(s->call->arena, s->o.message, s->o.len, &envelope, err) < 0) {
		*ret_status = EAS_STATUS_INVALID_MIME;
		return err->code == ERR_BAD_INPUT ? 0 : -1;
	}
	if (store_read_begin(s->call->server->store, &rd, err) < 0)
		return -1;
	if (load_source(s, rd, &email, err) < 0) {
		*ret_status = EAS_STATUS_ITEM_NOT_FOUND;
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	}
	result = compose(s, &email, rd, err);
	email_release(&email);
	return result < 0 ? -1 : 1;
}

/* The source may be gone because the first request, whose answer was lost, has done its work. */
static int answer_refused(struct smart *s, unsigned *status, struct err *err)
{
	log_info(&s->call->reply->log, "mail_refused", F_UINT("status", *status), F_ERR(err));
	return outgoing_forgive_repeat(&s->o, status, err);
}

static int run(struct smart *s, unsigned *ret_status, struct err *err)
{
	int ready = prepare(s, ret_status, err);

	if (ready < 0)
		return -1;
	return ready > 0 ? outgoing_submit(&s->o, ret_status, err)
			 : answer_refused(s, ret_status, err);
}

static void smart(struct eas_call *call, bool forward)
{
	struct smart s = {.call = call, .forward = forward};
	struct err err = ERR_INIT;
	unsigned status = 0;
	int result;

	if (!outgoing_read(call, &s.o))
		return;
	read_source(&s);
	result = run(&s, &status, &err);
	buf_deinit(&s.written);
	buf_deinit(&s.composed);
	if (result < 0)
		eas_reply_error(call, &err);
	else
		outgoing_reply(call, status);
}

void eas_smart_reply(struct eas_call *call)
{
	smart(call, false);
}

void eas_smart_forward(struct eas_call *call)
{
	smart(call, true);
}
