/*
 * What SendMail, SmartReply and SmartForward share. A ClientId, or before 14.0 a hash of the
 * request, makes a repeated request harmless: it is remembered in the transaction that sends.
 *
 * From and Sender must be addresses of the user. [MS-ASCMD] lets the server put the account's
 * address there; we refuse (120, submission failed), so that a phone with a wrong account does not
 * send under a name that its user did not choose. No state; any worker.
 */
#include "eas/command/outgoing.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/request.h"

#define NO_TEMPLATE "00000000-0000-0000-0000-000000000000"

/* ---- the request ---- */

static const char *hash_key(const struct eas_call *call)
{
	const struct eas_query *q = call->query;
	const char *const parts[] = {
		eas_command_info(q->command)->name, q->collection_id, q->item_id, q->long_id};
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t digest[32] = {0};
	struct buf hex = BUF_INIT;
	const char *key;

	if (hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1) {
		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			(void)EVP_DigestUpdate(hash, parts[i], strlen(parts[i]) + 1);
		(void)EVP_DigestUpdate(hash, call->body, call->body_len);
		(void)EVP_DigestFinal_ex(hash, digest, NULL);
	}
	EVP_MD_CTX_free(hash);
	hex_add(&hex, digest, sizeof(digest));
	key = arena_x_printf(call->arena, "sha256:%s", buf_cstr(&hex));
	buf_deinit(&hex);
	return key;
}

static bool refuse(struct eas_call *call, unsigned status)
{
	eas_reply_common(call, status);
	return false;
}

bool outgoing_read(struct eas_call *call, struct outgoing *ret)
{
	const struct wbxml_node *mime;
	const char *template_id;

	*ret = (struct outgoing){.call = call};
	if (call->version < 140) {
		ret->message = call->body;
		ret->len = call->body_len;
		ret->save_in_sent = call->query->save_in_sent;
		ret->key = hash_key(call);
		return true;
	}
	/* There is one account, and it has no id ([MS-ASCMD] 2.2.3.3); no rights management. */
	if (eas_get_text(call->root, TAG_ComposeMail_AccountId, "")[0] != 0)
		return refuse(call, EAS_STATUS_INVALID_ACCOUNT);
	template_id = eas_get_text(call->root, TAG_RightsManagement_TemplateID, NO_TEMPLATE);
	if (!str_eq(template_id, NO_TEMPLATE))
		return refuse(call, EAS_STATUS_IRM_TEMPLATE);
	mime = wbxml_find(call->root, TAG_ComposeMail_Mime);
	if (mime != NULL) {
		ret->message = (const uint8_t *)mime->text;
		ret->len = mime->len;
	}
	ret->save_in_sent = eas_get_bool(call->root, TAG_ComposeMail_SaveInSentItems, false);
	ret->key = arena_x_printf(
		call->arena, "id:%s", eas_get_text(call->root, TAG_ComposeMail_ClientId, ""));
	return true;
}

/* ---- the sender ---- */

struct sender {
	const char **addresses; /* of the user, the primary one first */
	size_t count;
	const char *envelope; /* the one it leaves under */
	const char *from;     /* the field where it is missing: `"Name" <address>` */
};

static int load_addresses(const struct eas_call *call, struct sender *ret, struct err *err)
{
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = store_user_addresses(
		rd, call->user->id, call->arena, &ret->addresses, &ret->count, err);
	store_read_end(&rd);
	if (result == 0 && ret->count == 0)
		return err_set(err, ERR_INTERNAL, "the user has no address");
	return result;
}

static const char *own_address(const struct sender *s, const char *address)
{
	for (size_t i = 0; i < s->count; i++) {
		if (str_eq_nocase(s->addresses[i], address))
			return s->addresses[i];
	}
	return NULL;
}

static const char *full_name(const struct eas_call *call, const char *address)
{
	const char *name = call->user->display_name;
	struct buf out = BUF_INIT;
	const char *result;

	if (name[0] == 0)
		return address;
	buf_add_byte(&out, '"');
	for (; *name != 0; name++) {
		if (*name == '"' || *name == '\\')
			buf_add_byte(&out, '\\');
		buf_add_byte(&out, (uint8_t)*name);
	}
	buf_addf(&out, "\" <%s>", address);
	result = arena_x_strdup(call->arena, buf_cstr(&out));
	buf_deinit(&out);
	return result;
}

/* 1: all is well. 0: an address is somebody else's. */
static int check_sender(const struct eas_call *call, const struct mime_envelope *envelope,
	struct sender *ret, struct err *err)
{
	if (load_addresses(call, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < envelope->sender_count; i++) {
		if (own_address(ret, envelope->senders[i]) == NULL)
			return 0;
	}
	ret->envelope = own_address(ret, envelope->from);
	if (ret->envelope == NULL)
		ret->envelope = ret->addresses[0];
	ret->from = full_name(call, ret->envelope);
	return 1;
}

/* ---- handing over ---- */

static unsigned status_of(enum submit_result result, unsigned version)
{
	switch (result) {
	case SUBMIT_SENT:
		return 0;
	case SUBMIT_REPEATED:
		/* Before 14.0 the phone asks whether it arrived, and it did. */
		return version >= 140 ? EAS_STATUS_PREVIOUSLY_SENT : 0;
	case SUBMIT_UNRESOLVED:
		return EAS_STATUS_RECIPIENT_UNRESOLVED;
	case SUBMIT_QUOTA:
		return EAS_STATUS_MAILBOX_FULL;
	case SUBMIT_SOURCE_GONE:
		return EAS_STATUS_ITEM_NOT_FOUND;
	case SUBMIT_TOO_LARGE:
		return EAS_STATUS_ATTACHMENT_TOO_LARGE;
	case SUBMIT_SEND_QUOTA:
		return EAS_STATUS_SEND_QUOTA;
	case SUBMIT_BUSY:
		return EAS_STATUS_RETRY_LATER;
	}
	return EAS_STATUS_SERVER_ERROR;
}

struct leaving {
	struct buf raw, sent; /* sent is empty where it equals raw */
};

/* The message as it leaves, and the sender's copy where that one has Bcc. */
static int complete(
	const struct outgoing *o, const struct sender *sender, struct leaving *ret, struct err *err)
{
	struct buf bcc = BUF_INIT;
	int result = mime_prepare_send(o->message, o->len, sender->from,
		o->call->settings->hostname, o->call->now_at, &ret->raw, &bcc, err);

	if (result == 0 && bcc.len > 0 && o->save_in_sent) {
		buf_add(&ret->sent, bcc.data, bcc.len);
		buf_add(&ret->sent, ret->raw.data, ret->raw.len);
		if (ret->sent.failed)
			result = err_set(err, ERR_INTERNAL, "no memory for a copy in Sent");
	}
	buf_deinit(&bcc);
	return result;
}

static int hand_over(const struct outgoing *o, const struct mime_envelope *envelope,
	const struct sender *sender, const struct leaving *leaving, enum submit_result *ret,
	struct err *err)
{
	const struct eas_call *call = o->call;
	const struct mime_limits limits = {
		.parts = call->settings->mime_parts_max,
		.depth = call->settings->mime_depth_max,
		.header_bytes = (size_t)1024 * 1024,
	};
	const struct submit_request request = {
		.sender = call->user,
		.from = sender->envelope,
		.device = call->device->id,
		.client_key = o->key,
		.raw = leaving->raw.data,
		.len = leaving->raw.len,
		.sent_raw = leaving->sent.data,
		.sent_len = leaving->sent.len,
		.recipients = envelope->to,
		.recipient_count = envelope->to_count,
		.save_in_sent = o->save_in_sent,
		.source = o->source,
		.now_at = call->now_at,
		.sent_memory_h = (uint32_t)call->settings->mail_sent_memory_h,
		.limits = &limits,
		.settings = call->settings,
		.queue = call->server->queue,
	};

	return submit_send(call->server->store, &request, ret, err);
}

static int submit(const struct outgoing *o, const struct mime_envelope *envelope,
	const struct sender *sender, unsigned *ret_status, struct err *err)
{
	struct leaving leaving = {BUF_INIT, BUF_INIT};
	enum submit_result outcome = 0;
	int result = complete(o, sender, &leaving, err);

	if (result == 0)
		result = hand_over(o, envelope, sender, &leaving, &outcome, err);
	buf_deinit(&leaving.raw);
	buf_deinit(&leaving.sent);
	if (result < 0)
		return -1;
	*ret_status = status_of(outcome, o->call->version);
	if (outcome == SUBMIT_SENT)
		log_info(&o->call->reply->log, "mail_sent",
			F_UINT("recipients", envelope->to_count));
	else
		log_info(&o->call->reply->log, "mail_refused", F_UINT("status", *ret_status),
			F_ERR(err));
	return 0;
}

int outgoing_submit(const struct outgoing *o, unsigned *ret_status, struct err *err)
{
	struct eas_call *call = o->call;
	struct mime_envelope *envelope;
	struct sender sender;
	int own;

	if (mime_envelope_read(call->arena, o->message, o->len, &envelope, err) < 0) {
		if (err->code != ERR_BAD_INPUT)
			return -1;
		*ret_status = EAS_STATUS_INVALID_MIME;
	} else if (envelope->bad_recipient != NULL) {
		(void)err_set(err, ERR_BAD_INPUT, "a recipient is no address");
		*ret_status = EAS_STATUS_RECIPIENT_UNRESOLVED;
	} else if (envelope->to_count == 0) {
		(void)err_set(err, ERR_BAD_INPUT, "there is no recipient");
		*ret_status = EAS_STATUS_NO_RECIPIENT;
	} else if (envelope->to_count > call->settings->mail_recipients_max) {
		(void)err_set(err, ERR_QUOTA, "%zu recipients", envelope->to_count);
		*ret_status = EAS_STATUS_SEND_QUOTA;
	} else if (envelope->received_count > call->settings->relay_hops_max) {
		(void)err_set(err, ERR_BAD_INPUT, "%zu Received fields: it goes in circles",
			envelope->received_count);
		*ret_status = EAS_STATUS_SUBMISSION_FAILED;
	} else {
		own = check_sender(call, envelope, &sender, err);
		if (own != 0)
			return own < 0 ? -1 : submit(o, envelope, &sender, ret_status, err);
		(void)err_set(err, ERR_DENIED, "From or Sender is an address of somebody else");
		*ret_status = EAS_STATUS_SUBMISSION_FAILED;
	}
	log_info(&call->reply->log, "mail_refused", F_UINT("status", *ret_status), F_ERR(err));
	return 0;
}

/* ---- repeats ---- */

struct look {
	const struct outgoing *o;
	bool known;
};

static int look_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct look *look = owner;
	const struct eas_call *call = look->o->call;
	int rc = store_sent_note(tx, call->device->id, look->o->key, call->now_at,
		call->now_at - (int64_t)call->settings->mail_sent_memory_h * 3600, err);

	look->known = rc == 1;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	/* What was noted now is taken back. */
	return err_set(err, ERR_CONFLICT, "only looking");
}

int outgoing_is_repeated(const struct outgoing *o, bool *ret_known, struct err *err)
{
	struct look look = {.o = o};

	if (store_transact(o->call->server->store, look_tx, &look, err) < 0 &&
		err->code != ERR_CONFLICT)
		return -1;
	*ret_known = look.known;
	return 0;
}

void outgoing_reply(struct eas_call *call, unsigned status)
{
	if (status == 0)
		call->reply->status = 200;
	else
		eas_reply_common(call, status);
}
