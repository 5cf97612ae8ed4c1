/*
 * Taking mail that a user sends. Recipients are resolved before the transaction, from a snapshot; a
 * user who is deleted in between makes the transaction fail, and then nothing was sent.
 *
 * Invariant: one transaction holds every copy, the row in the queue and the memory of the ClientId,
 * so a request that comes again after a lost answer or a crash either finds everything done or
 * nothing.
 */
#include "submit/submit.h"

#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "store/store_queue.h"
#include "submit/oof_reply.h"

struct submit_mail {
	struct submit_request req;
	struct arena *arena;
	struct account_mail mail, own_copy;
	const struct account_mail *sent_mail; /* one of them */
	bool mail_prepared, copy_prepared;
	struct oof_replies *oof;     /* of recipients; may be NULL */
	const struct user **users;   /* each once */
	const char **user_addresses; /* as the sender wrote them */
	size_t user_count;
	const char **remote; /* for the relay */
	size_t remote_count;
	/* Set by the transaction: */
	const char **full; /* addresses of users who have no room for it */
	size_t full_count;
	bool repeated;
	enum submit_result refusal; /* 0: none of ours */
};

static void add_user(struct submit_mail *d, const struct user *user, const char *address)
{
	for (size_t i = 0; i < d->user_count; i++) {
		if (d->users[i]->id.v == user->id.v)
			return;
	}
	d->user_addresses[d->user_count] = address;
	d->users[d->user_count++] = user;
}

static bool has_relay(const struct submit_request *req)
{
	return req->settings != NULL && req->settings->relay_host[0] != '\0';
}

/* ERR_NOT_FOUND: nobody takes mail for it. */
static int resolve_one(struct store_read *rd, struct arena *arena, struct submit_mail *d,
	const char *address, struct err *err)
{
	const char *at = strrchr(address, '@');
	struct err ignored = ERR_INIT;
	struct user *user;
	bool local = true;

	if (store_user_find_address(rd, address, arena, &user, err) == 0) {
		add_user(d, user, address);
		return 0;
	}
	if (err->code != ERR_NOT_FOUND || at == NULL || !has_relay(&d->req))
		return -1;
	if (store_domain_exists(rd, at + 1, &local, &ignored) < 0) {
		*err = ignored;
		return -1;
	}
	if (local)
		return -1;
	d->remote[d->remote_count++] = address;
	return 0;
}

/* 0 with *ret_resolved false: err names the address. */
static int resolve(struct store *store, struct arena *arena, struct submit_mail *d,
	bool *ret_resolved, struct err *err)
{
	const struct submit_request *req = &d->req;
	struct store_read *rd;
	int rc = 0;

	*ret_resolved = false;
	if (req->recipient_count == 0) {
		(void)err_set(err, ERR_NOT_FOUND, "the message names no recipient");
		return 0;
	}
	if (store_read_begin(store, &rd, err) < 0)
		return -1;
	d->users = arena_x_alloc(arena, req->recipient_count * sizeof(struct user *));
	d->user_addresses = arena_x_alloc(arena, req->recipient_count * sizeof(char *));
	d->full = arena_x_alloc(arena, req->recipient_count * sizeof(char *));
	d->remote = arena_x_alloc(arena, req->recipient_count * sizeof(*d->remote));
	for (size_t i = 0; i < req->recipient_count && rc == 0; i++) {
		rc = resolve_one(rd, arena, d, req->recipients[i], err);
		if (rc < 0)
			(void)err_wrap(err, "recipient <%s>", req->recipients[i]);
	}
	store_read_end(&rd);
	if (rc < 0 && err->code == ERR_NOT_FOUND)
		return 0;
	*ret_resolved = rc == 0;
	return rc;
}

/* ---- the transaction ---- */

static int add_copy(struct store_tx *tx, struct submit_mail *d, const struct account_mail *mail,
	const struct user *user, enum folder_type folder, bool is_read, struct err *err)
{
	/* No device is named: every phone is to see the copy, the sender's own too. */
	const struct device_id nobody = {0};
	struct item_id id;

	if (account_mail_add(
		    tx, user->id, folder, mail, d->req.now_at, is_read, nobody, &id, err) == 0)
		return 0;
	return err_wrap(err, "mailbox of %s@%s", user->login, user->domain);
}

/* Nobody is named here either: the phone does not know what its reply has done. */
static int set_verb(struct store_tx *tx, struct submit_mail *d, struct err *err)
{
	const struct submit_source *source = d->req.source;
	const struct device_id nobody = {0};

	if (source == NULL)
		return 0;
	if (store_item_set_verb(tx, source->owner, source->folder, source->item, source->verb,
		    d->req.now_at, nobody, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		d->refusal = SUBMIT_SOURCE_GONE;
	return -1;
}

static int enqueue(struct store_tx *tx, struct submit_mail *d, struct err *err)
{
	const struct settings *s = d->req.settings;
	struct queue_new mail = {.owner = d->req.sender->id,
		.sender = d->req.from,
		.recipients = d->remote,
		.recipient_count = d->remote_count,
		.failed = d->full,
		.failed_count = d->full_count,
		.failed_answer = "552 5.2.2 Mailbox full",
		.body = &d->mail.body,
		.now_at = d->req.now_at};
	struct queue_id id;

	if (d->remote_count == 0 && d->full_count == 0)
		return 0;
	mail.mails_max = s->relay_queue_max;
	mail.bytes_max = s->relay_queue_max_bytes;
	mail.mails_per_owner_max = s->relay_queue_per_user;
	if (store_queue_add(tx, &mail, &id, err) == 0)
		return 0;
	if (err->code == ERR_DENIED)
		d->refusal = SUBMIT_SEND_QUOTA;
	else if (err->code == ERR_BUSY)
		d->refusal = SUBMIT_BUSY;
	return -1;
}

/* A colleague's full mailbox is no reason to keep the message in the sender's outbox for ever: the
 * queue reports it, as it does what other servers refuse. (When it is the disk that is full, the
 * transaction fails all the same.) */
static int deliver_local(struct store_tx *tx, struct submit_mail *d, struct err *err)
{
	const struct submit_request *req = &d->req;

	d->full_count = 0;
	for (size_t i = 0; i < d->user_count; i++) {
		if (add_copy(tx, d, &d->mail, d->users[i], FOLDER_INBOX, false, err) == 0) {
			if (oof_replies_apply(tx, d->oof, d->users[i]->id, err) < 0)
				return -1;
			continue;
		}
		if (err->code != ERR_QUOTA || req->queue == NULL ||
			d->users[i]->id.v == req->sender->id.v)
			return -1;
		d->full[d->full_count++] = d->user_addresses[i];
		*err = (struct err)ERR_INIT;
	}
	return 0;
}

static int deliver_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct submit_mail *d = owner;
	const struct submit_request *req = &d->req;

	d->repeated = false;
	d->refusal = 0;
	if (req->client_key != NULL) {
		int rc = store_sent_note(tx, req->device, req->client_key, req->now_at,
			req->now_at - (int64_t)req->sent_memory_h * 3600, err);

		d->repeated = rc == 1;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (set_verb(tx, d, err) < 0)
		return -1;
	if (deliver_local(tx, d, err) < 0 || enqueue(tx, d, err) < 0)
		return -1;
	if (!req->save_in_sent)
		return 0;
	return add_copy(tx, d, d->sent_mail, req->sender, FOLDER_SENT, true, err);
}

/* ---- the steps ---- */

void submit_mail_free(struct submit_mail **mail)
{
	struct submit_mail *d = *mail;

	if (d == NULL)
		return;
	oof_replies_free(&d->oof);
	if (d->copy_prepared)
		account_mail_release(&d->own_copy);
	if (d->mail_prepared)
		account_mail_release(&d->mail);
	arena_free(&d->arena);
	mem_free(d);
	*mail = NULL;
}

static int prepare_bodies(
	struct store *store, struct submit_mail *d, enum submit_result *ret, struct err *err)
{
	const struct submit_request *req = &d->req;
	int rc = account_mail_prepare(store, req->raw, req->len, req->limits, &d->mail, err);

	d->mail_prepared = rc == 0;
	d->sent_mail = &d->mail;
	if (rc == 0 && req->save_in_sent && req->sent_raw != NULL) {
		rc = account_mail_prepare(
			store, req->sent_raw, req->sent_len, req->limits, &d->own_copy, err);
		d->copy_prepared = rc == 0;
		d->sent_mail = &d->own_copy;
	}
	/* A full disk shows here first when the body is a file. */
	if (rc < 0 && err->code == ERR_QUOTA) {
		*ret = SUBMIT_QUOTA;
		return 0;
	}
	return rc;
}

static void prepare_oof(struct store *store, struct submit_mail *d)
{
	const struct submit_request *req = &d->req;
	struct owner_id *owners = arena_x_alloc(d->arena, d->user_count * sizeof(*owners));
	const struct oof_reply_request oof = {.sender = req->from,
		.raw = req->raw,
		.len = req->len,
		.owners = owners,
		.owner_count = d->user_count,
		.now_at = req->now_at,
		.limits = req->limits,
		.settings = req->settings,
		.queue = req->queue};

	for (size_t i = 0; i < d->user_count; i++)
		owners[i] = d->users[i]->id;
	if (d->user_count > 0)
		d->oof = oof_replies_prepare(store, &oof);
}

/* 0 with *ret not 0: refused. */
static int prepare(
	struct store *store, struct submit_mail *d, enum submit_result *ret, struct err *err)
{
	const struct submit_request *req = &d->req;
	bool resolved;

	if (resolve(store, d->arena, d, &resolved, err) < 0)
		return err_wrap(err, "resolving the recipients");
	if (!resolved) {
		*ret = SUBMIT_UNRESOLVED;
		return 0;
	}
	if (d->remote_count > 0 && req->len > req->settings->relay_message_max_bytes) {
		(void)err_set(err, ERR_QUOTA, "the relay takes no message of %zu bytes", req->len);
		*ret = SUBMIT_TOO_LARGE;
		return 0;
	}
	if (prepare_bodies(store, d, ret, err) < 0)
		return -1;
	if (*ret == 0)
		prepare_oof(store, d);
	return 0;
}

int submit_prepare(struct store *store, const struct submit_request *req,
	struct submit_mail **ret_mail, enum submit_result *ret, struct err *err)
{
	CLEANUP(submit_mail_free) struct submit_mail *d = x_new(struct submit_mail);

	d->req = *req;
	d->arena = arena_new(0);
	*ret = 0;
	if (prepare(store, d, ret, err) < 0)
		return -1;
	*ret_mail = *ret == 0 ? TAKE(d) : NULL;
	return 0;
}

int submit_apply(
	struct store_tx *tx, struct submit_mail *mail, enum submit_result *ret, struct err *err)
{
	if (deliver_tx(tx, mail, err) == 0) {
		*ret = mail->repeated ? SUBMIT_REPEATED : SUBMIT_SENT;
		return 0;
	}
	*ret = err->code == ERR_QUOTA ? SUBMIT_QUOTA : mail->refusal;
	return -1;
}

void submit_kick(struct submit_mail *mail)
{
	if (!mail->repeated)
		oof_replies_kick(mail->oof);
	if (!mail->repeated && mail->remote_count + mail->full_count > 0 && mail->req.queue != NULL)
		submit_queue_kick(mail->req.queue);
}

/* ---- the whole ---- */

static int transact(
	struct store *store, struct submit_mail *d, enum submit_result *ret, struct err *err)
{
	int rc = store_transact(store, deliver_tx, d, err);

	if (rc < 0 && err->code == ERR_QUOTA)
		*ret = SUBMIT_QUOTA;
	else if (rc < 0 && d->refusal != 0)
		*ret = d->refusal;
	else if (rc < 0)
		return -1;
	else
		*ret = d->repeated ? SUBMIT_REPEATED : SUBMIT_SENT;
	if (rc == 0)
		submit_kick(d);
	return 0;
}

int submit_send(struct store *store, const struct submit_request *req, enum submit_result *ret,
	struct err *err)
{
	CLEANUP(submit_mail_free) struct submit_mail *mail = NULL;

	if (submit_prepare(store, req, &mail, ret, err) < 0)
		return -1;
	return mail != NULL ? transact(store, mail, ret, err) : 0;
}
