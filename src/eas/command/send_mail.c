/*
 * SendMail ([MS-ASCMD] 2.2.1.17): the message is the body itself up to 12.1, and the Mime element
 * of a WBXML request from 14.0 on. A ClientId, or before 14.0 a hash of the message, makes a
 * repeated request harmless.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/command.h"
#include "eas/request.h"
#include "submit/submit.h"

struct send {
	struct eas_call *call;
	const uint8_t *message;
	size_t len;
	bool save_in_sent;
	const char *key;  /* by which a repeat is known */
	const char *from; /* `"Name" <address>` of the user */
	struct mime_envelope *envelope;
};

static const char *hash_key(struct send *s)
{
	uint8_t digest[32] = {0};
	struct buf hex = BUF_INIT;
	const char *key;

	(void)EVP_Digest(s->message, s->len, digest, NULL, EVP_sha256(), NULL);
	hex_add(&hex, digest, sizeof(digest));
	key = arena_x_printf(s->call->arena, "sha256:%s", buf_cstr(&hex));
	buf_deinit(&hex);
	return key;
}

static void read_request(struct send *s)
{
	const struct wbxml_node *mime;

	if (s->call->version < 140) {
		s->message = s->call->body;
		s->len = s->call->body_len;
		s->save_in_sent = s->call->query->save_in_sent;
		s->key = hash_key(s);
		return;
	}
	mime = wbxml_find(s->call->root, TAG_ComposeMail_Mime);
	s->message = (const uint8_t *)mime->text;
	s->len = mime->len;
	s->save_in_sent = wbxml_find(s->call->root, TAG_ComposeMail_SaveInSentItems) != NULL;
	s->key = arena_x_printf(
		s->call->arena, "id:%s", eas_get_text(s->call->root, TAG_ComposeMail_ClientId, ""));
}

/* From is the user's own address, whatever the phone wrote. */
static int find_from(struct send *s, struct err *err)
{
	const struct user *user = s->call->user;
	const char **addresses;
	size_t count;
	struct store_read *rd;
	int result;

	if (store_read_begin(s->call->server->store, &rd, err) < 0)
		return -1;
	result = store_user_addresses(rd, user->id, s->call->arena, &addresses, &count, err);
	store_read_end(&rd);
	if (result < 0)
		return -1;
	/* Any address of theirs may stand there as it is. */
	for (size_t i = 0; i < count; i++) {
		if (str_eq_nocase(addresses[i], s->envelope->from)) {
			s->from = NULL;
			return 0;
		}
	}
	s->from = user->display_name[0] != 0 ? arena_x_printf(s->call->arena, "\"%s\" <%s>",
						       user->display_name, addresses[0])
					     : addresses[0];
	return 0;
}

static int submit(struct send *s, struct err *err)
{
	struct eas_call *call = s->call;
	struct mime_limits limits = {
		.parts = call->settings->mime_parts_max,
		.depth = call->settings->mime_depth_max,
		.header_bytes = 1024 * 1024,
	};
	struct submit_request request = {
		.sender = call->user,
		.device = call->device->id,
		.client_key = s->key,
		.recipients = s->envelope->to,
		.recipient_count = s->envelope->to_count,
		.save_in_sent = s->save_in_sent,
		.now_at = call->now_at,
		.sent_memory_h = (uint32_t)call->settings->mail_sent_memory_h,
		.limits = &limits,
	};
	enum submit_result outcome = SUBMIT_SENT;
	struct buf prepared = BUF_INIT;
	int result;

	if (mime_prepare_send(s->message, s->len, s->from != NULL ? s->from : s->envelope->from,
		    call->settings->hostname, call->now_at, &prepared, err) < 0) {
		buf_deinit(&prepared);
		return -1;
	}
	request.raw = prepared.data;
	request.len = prepared.len;
	result = submit_send(call->server->store, &request, &outcome, err);
	buf_deinit(&prepared);
	if (result < 0)
		return -1;
	switch (outcome) {
	case SUBMIT_SENT:
		log_info(&call->reply->log, "mail_sent",
			F_UINT("recipients", request.recipient_count));
		call->reply->status = 200;
		break;
	case SUBMIT_REPEATED:
		/* Before 14.0 the phone asks whether it arrived, and it did. */
		if (call->version >= 140)
			eas_reply_common(call, EAS_STATUS_PREVIOUSLY_SENT);
		else
			call->reply->status = 200;
		break;
	case SUBMIT_UNRESOLVED:
		eas_reply_common(call, EAS_STATUS_RECIPIENT_UNRESOLVED);
		break;
	case SUBMIT_QUOTA:
		eas_reply_common(call, EAS_STATUS_MAILBOX_FULL);
		break;
	}
	return 0;
}

void eas_send_mail(struct eas_call *call)
{
	struct send s = {.call = call};
	struct err err = ERR_INIT;

	/* There is one account, and it has no id ([MS-ASCMD] 2.2.3.3). */
	if (call->version >= 141 &&
		eas_get_text(call->root, TAG_ComposeMail_AccountId, "")[0] != 0) {
		eas_reply_common(call, EAS_STATUS_INVALID_ACCOUNT);
		return;
	}
	read_request(&s);
	if (mime_envelope_read(call->arena, s.message, s.len, &s.envelope, &err) < 0) {
		log_info(&call->reply->log, "request_refused", F_ERR(&err));
		eas_reply_common(call, EAS_STATUS_INVALID_MIME);
		return;
	}
	if (s.envelope->to_count == 0) {
		eas_reply_common(call, EAS_STATUS_NO_RECIPIENT);
		return;
	}
	if (find_from(&s, &err) < 0 || submit(&s, &err) < 0)
		eas_reply_error(call, &err);
}
