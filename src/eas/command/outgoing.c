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

/* 1: all is well. 0: an address is somebody else's, or none. */
static int check_sender(const struct eas_call *call, const struct mime_envelope *envelope,
	struct sender *ret, struct err *err)
{
	if (load_addresses(call, ret, err) < 0)
		return -1;
	if (envelope->bad_sender)
		return 0;
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

int outgoing_own_from(const struct eas_call *call, const char **ret, struct err *err)
{
	struct sender s;

	if (load_addresses(call, &s, err) < 0)
		return -1;
	*ret = full_name(call, s.addresses[0]);
	return 0;
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

struct outgoing_mail {
	const struct eas_call *call;
	struct mime_limits limits;
	struct buf raw, sent; /* as it leaves; the sender's copy, empty where it equals raw */
	size_t recipient_count;
	struct submit_mail *mail;
	bool repeated; /* set by the transaction */
};

void outgoing_mail_free(struct outgoing_mail **mail)
{
	struct outgoing_mail *m = *mail;

	if (m == NULL)
		return;
	submit_mail_free(&m->mail);
	buf_deinit(&m->raw);
	buf_deinit(&m->sent);
	mem_free(m);
	*mail = NULL;
}

/* The message as it leaves, and the sender's copy where that one has Bcc. */
static int complete(const struct outgoing *o, const struct sender *sender, struct outgoing_mail *m,
	struct err *err)
{
	struct buf bcc = BUF_INIT;
	const struct eas_request *request = o->call->request;
	const struct mime_progress progress = {request->body_passed, request->body_owner};
	int result = mime_prepare_send(o->message, o->len, sender->from,
		o->call->settings->hostname, o->call->now_at,
		request->body_passed != NULL ? &progress : NULL, &m->raw, &bcc, err);

	if (result == 0 && bcc.len > 0 && o->save_in_sent) {
		buf_add(&m->sent, bcc.data, bcc.len);
		buf_add(&m->sent, m->raw.data, m->raw.len);
		if (m->sent.failed)
			result = err_set(err, ERR_INTERNAL, "no memory for a copy in Sent");
	}
	buf_deinit(&bcc);
	return result;
}

static int prepare_submit(const struct outgoing *o, const struct mime_envelope *envelope,
	const struct sender *sender, struct outgoing_mail *m, enum submit_result *ret,
	struct err *err)
{
	const struct eas_call *call = o->call;
	const struct submit_request request = {
		.sender = call->user,
		.from = sender->envelope,
		.device = call->device->id,
		.client_key = o->key,
		.raw = m->raw.data,
		.len = m->raw.len,
		.sent_raw = m->sent.data,
		.sent_len = m->sent.len,
		.recipients = envelope->to,
		.recipient_count = envelope->to_count,
		.save_in_sent = o->save_in_sent,
		.source = o->source,
		.now_at = call->now_at,
		.sent_memory_h = (uint32_t)call->settings->mail_sent_memory_h,
		.limits = &m->limits,
		.settings = call->settings,
		.queue = call->server->queue,
	};

	return submit_prepare(call->server->store, &request, &m->mail, ret, err);
}

static void log_refusal(const struct eas_call *call, unsigned status, const struct err *err)
{
	log_info(&call->reply->log, "mail_refused", F_UINT("status", status), F_ERR(err));
}

static int prepare(const struct outgoing *o, const struct mime_envelope *envelope,
	const struct sender *sender, struct outgoing_mail **ret_mail, unsigned *ret_status,
	struct err *err)
{
	const struct settings *settings = o->call->settings;
	CLEANUP(outgoing_mail_free) struct outgoing_mail *m = x_new(struct outgoing_mail);
	enum submit_result refusal = 0;

	*m = (struct outgoing_mail){.call = o->call,
		.limits = {.parts = settings->mime_parts_max,
			.depth = settings->mime_depth_max,
			.header_bytes = (size_t)1024 * 1024},
		.recipient_count = envelope->to_count};
	if (complete(o, sender, m, err) < 0 ||
		prepare_submit(o, envelope, sender, m, &refusal, err) < 0)
		return -1;
	*ret_status = refusal != 0 ? status_of(refusal, o->call->version) : 0;
	if (refusal != 0)
		log_refusal(o->call, *ret_status, err);
	else
		*ret_mail = TAKE(m);
	return 0;
}

/* 0: good. Else why it cannot be sent. */
static unsigned check_envelope(
	const struct eas_call *call, const struct mime_envelope *envelope, struct err *err)
{
	if (envelope->bad_recipient != NULL) {
		(void)err_set(err, ERR_BAD_INPUT, "a recipient is no address");
		return EAS_STATUS_RECIPIENT_UNRESOLVED;
	}
	if (envelope->to_count == 0) {
		(void)err_set(err, ERR_BAD_INPUT, "there is no recipient");
		return EAS_STATUS_NO_RECIPIENT;
	}
	if (envelope->to_count > call->settings->mail_recipients_max) {
		(void)err_set(err, ERR_QUOTA, "%zu recipients", envelope->to_count);
		return EAS_STATUS_SEND_QUOTA;
	}
	if (envelope->received_count > call->settings->relay_hops_max) {
		(void)err_set(err, ERR_BAD_INPUT, "%zu Received fields: it goes in circles",
			envelope->received_count);
		return EAS_STATUS_SUBMISSION_FAILED;
	}
	return 0;
}

int outgoing_prepare(const struct outgoing *o, struct outgoing_mail **ret_mail,
	unsigned *ret_status, struct err *err)
{
	struct eas_call *call = o->call;
	struct mime_envelope *envelope;
	struct sender sender;
	int own;

	*ret_mail = NULL;
	if (mime_envelope_read(call->arena, o->message, o->len, &envelope, err) < 0) {
		if (err->code != ERR_BAD_INPUT)
			return -1;
		*ret_status = EAS_STATUS_INVALID_MIME;
	} else if ((*ret_status = check_envelope(call, envelope, err)) == 0) {
		own = check_sender(call, envelope, &sender, err);
		if (own != 0)
			return own < 0 ? -1
				       : prepare(o, envelope, &sender, ret_mail, ret_status, err);
		(void)err_set(err, ERR_DENIED, "From or Sender is no address of the user");
		*ret_status = EAS_STATUS_SUBMISSION_FAILED;
	}
	log_refusal(call, *ret_status, err);
	return 0;
}

int outgoing_apply(
	struct store_tx *tx, struct outgoing_mail *mail, unsigned *ret_status, struct err *err)
{
	enum submit_result outcome;
	int result = submit_apply(tx, mail->mail, &outcome, err);

	mail->repeated = result == 0 && outcome == SUBMIT_REPEATED;
	*ret_status = result == 0 || outcome != 0 ? status_of(outcome, mail->call->version) : 0;
	return result;
}

void outgoing_finish(struct outgoing_mail *mail)
{
	submit_kick(mail->mail);
	if (mail->repeated)
		return;
	log_info(&mail->call->reply->log, "mail_sent", F_UINT("recipients", mail->recipient_count));
}

struct handing {
	struct outgoing_mail *mail;
	unsigned status;
};

static int hand_over_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct handing *h = owner;

	return outgoing_apply(tx, h->mail, &h->status, err);
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

int outgoing_forgive_repeat(const struct outgoing *o, unsigned *status, struct err *err)
{
	struct look look = {.o = o};

	*err = (struct err)ERR_INIT;
	if (store_transact(o->call->server->store, look_tx, &look, err) < 0 &&
		err->code != ERR_CONFLICT) {
		if (err->code != ERR_QUOTA)
			return -1;
		*status = EAS_STATUS_MAILBOX_FULL; /* nothing can be said before there is room */
	}
	*err = (struct err)ERR_INIT;
	if (look.known)
		*status = status_of(SUBMIT_REPEATED, o->call->version);
	return 0;
}

/* ---- the whole ---- */

int outgoing_submit(const struct outgoing *o, unsigned *ret_status, struct err *err)
{
	CLEANUP(outgoing_mail_free) struct outgoing_mail *mail = NULL;
	struct handing h = {0};

	if (outgoing_prepare(o, &mail, ret_status, err) < 0)
		return -1;
	if (mail == NULL)
		return outgoing_forgive_repeat(o, ret_status, err);
	h.mail = mail;
	if (store_transact(o->call->server->store, hand_over_tx, &h, err) < 0 && h.status == 0) {
		/* Also a disk that was full when it came to the commit. */
		if (err->code != ERR_QUOTA)
			return -1;
		h.status = EAS_STATUS_MAILBOX_FULL;
	}
	*ret_status = h.status;
	if (h.status == 0)
		outgoing_finish(mail);
	else
		log_refusal(o->call, h.status, err);
	return 0;
}

void outgoing_reply(struct eas_call *call, unsigned status)
{
	if (status == 0)
		call->reply->status = 200;
	else
		eas_reply_common(call, status);
}
