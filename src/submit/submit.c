/*
 * Sending to local mailboxes. Recipients are resolved before the transaction, from a snapshot; a
 * user who is deleted in between makes the transaction fail, and then nothing was sent.
 *
 * Invariant: one transaction holds every copy and the memory of the ClientId, so a request that
 * comes again after a lost answer or a crash either finds everything done or nothing.
 */
#include "submit/submit.h"

#include <string.h>

#include "account/account.h"
#include "base/mem.h"

struct delivery {
	const struct submit_request *req;
	const struct account_mail *mail;
	const struct user **users; /* each once */
	size_t user_count;
	bool repeated; /* set by the transaction */
};

static void add_user(struct delivery *d, const struct user *user)
{
	for (size_t i = 0; i < d->user_count; i++) {
		if (d->users[i]->id.v == user->id.v)
			return;
	}
	d->users[d->user_count++] = user;
}

/* 0 with *ret_resolved false: err names the address. */
static int resolve(struct store *store, struct arena *arena, struct delivery *d, bool *ret_resolved,
	struct err *err)
{
	const struct submit_request *req = d->req;
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
	for (size_t i = 0; i < req->recipient_count && rc == 0; i++) {
		struct user *user;

		rc = store_user_find_address(rd, req->recipients[i], arena, &user, err);
		if (rc == 0)
			add_user(d, user);
		else
			(void)err_wrap(err, "recipient <%s>", req->recipients[i]);
	}
	store_read_end(&rd);
	if (rc < 0 && err->code == ERR_NOT_FOUND)
		return 0;
	*ret_resolved = rc == 0;
	return rc;
}

static int add_copy(struct store_tx *tx, struct delivery *d, const struct user *user,
	enum folder_type folder, bool is_read, struct err *err)
{
	/* No device is named: every phone is to see the copy, the sender's own too. */
	const struct device_id nobody = {0};
	struct item_id id;

	if (account_mail_add(
		    tx, user->id, folder, d->mail, d->req->now_at, is_read, nobody, &id, err) == 0)
		return 0;
	return err_wrap(err, "mailbox of %s@%s", user->login, user->domain);
}

static int deliver_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct delivery *d = owner;
	const struct submit_request *req = d->req;

	d->repeated = false;
	if (req->client_key != NULL) {
		int rc = store_sent_note(tx, req->device, req->client_key, req->now_at,
			req->now_at - (int64_t)req->sent_memory_h * 3600, err);

		d->repeated = rc == 1;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	for (size_t i = 0; i < d->user_count; i++) {
		if (add_copy(tx, d, d->users[i], FOLDER_INBOX, false, err) < 0)
			return -1;
	}
	if (!req->save_in_sent)
		return 0;
	return add_copy(tx, d, req->sender, FOLDER_SENT, true, err);
}

static int deliver(
	struct store *store, struct delivery *d, enum submit_result *ret, struct err *err)
{
	struct account_mail mail;
	int rc;

	if (account_mail_prepare(store, d->req->raw, d->req->len, d->req->limits, &mail, err) < 0)
		return -1;
	d->mail = &mail;
	rc = store_transact(store, deliver_tx, d, err);
	d->mail = NULL;
	account_mail_release(&mail);
	if (rc < 0 && err->code == ERR_QUOTA) {
		*ret = SUBMIT_QUOTA;
		return 0;
	}
	if (rc == 0)
		*ret = d->repeated ? SUBMIT_REPEATED : SUBMIT_SENT;
	return rc;
}

int submit_send(struct store *store, const struct submit_request *req, enum submit_result *ret,
	struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct delivery d = {.req = req};
	bool resolved;

	if (resolve(store, arena, &d, &resolved, err) < 0)
		return err_wrap(err, "resolving the recipients");
	if (!resolved) {
		*ret = SUBMIT_UNRESOLVED;
		return 0;
	}
	return deliver(store, &d, ret, err);
}
