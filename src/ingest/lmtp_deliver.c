/*
 * LMTP's way into the store: who a recipient is, and one message into many mailboxes. The message
 * is parsed once; recipients go in by groups, one transaction each; where one of them fails for a
 * reason of its own, the others are done again without it.
 *
 * Threads: any; blocks.
 */
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "ingest/lmtp_internal.h"

#define GROUP_MAX                                                                                  \
	100 /* mailboxes in one transaction: others wait for the writer no longer than that */
#define RETRY_MAX 3 /* from then on each recipient gets a transaction of its own */

enum lmtp_outcome lmtp_delivery_resolve(const struct lmtp_delivery *d, const char *address,
	uint64_t size, struct owner_id *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_read *rd;
	struct user *user;
	int rc;

	if (strchr(address, '@') == NULL && *d->default_domain != '\0')
		address = arena_x_printf(arena, "%s@%s", address, d->default_domain);
	if (store_read_begin(d->store, &rd, err) < 0)
		return LMTP_FAILED;
	rc = store_user_find_address(rd, address, arena, &user, err);
	store_read_end(&rd);
	if (rc < 0)
		return err->code == ERR_NOT_FOUND ? LMTP_NO_USER : LMTP_FAILED;
	/* A disabled user cannot log in, but mail is kept for them. */
	if (user->quota_bytes > 0 && user->used_bytes + size >= user->quota_bytes) {
		(void)err_set(err, ERR_QUOTA, "mailbox full");
		return LMTP_FULL;
	}
	*ret = user->id;
	return LMTP_DELIVERED;
}

/* Some recipients in one transaction. */
struct group {
	const struct account_mail *mail;
	int64_t received_at;
	const struct owner_id *owners;
	enum lmtp_outcome *outcomes; /* 0: to be done */
	size_t count;
	size_t failed; /* set by the transaction: at whom it failed; count: at nobody in particular
			*/
};

static int group_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct device_id nobody = {0};
	struct group *g = owner;

	for (size_t i = 0; i < g->count; i++) {
		struct item_id id;

		if (g->outcomes[i] != 0)
			continue;
		g->failed = i;
		if (account_mail_add(tx, g->owners[i], FOLDER_INBOX, g->mail, g->received_at, false,
			    nobody, &id, err) < 0)
			return -1;
	}
	g->failed = g->count;
	return 0;
}

static enum lmtp_outcome outcome_of(const struct err *err, bool whole_group)
{
	if (err->code == ERR_QUOTA)
		return whole_group ? LMTP_NO_SPACE : LMTP_FULL;
	if (err->code == ERR_NOT_FOUND && !whole_group)
		return LMTP_NO_USER;
	return LMTP_FAILED;
}

static void set_rest(struct group *g, enum lmtp_outcome outcome)
{
	for (size_t i = 0; i < g->count; i++) {
		if (g->outcomes[i] == 0)
			g->outcomes[i] = outcome;
	}
}

static void note_first(struct err *first, const struct err *err)
{
	if (first->code == ERR_NONE)
		*first = *err;
}

static void deliver_singly(struct store *store, struct group *g, struct err *first)
{
	for (size_t i = 0; i < g->count; i++) {
		struct group one = *g;
		struct err err = ERR_INIT;

		if (g->outcomes[i] != 0)
			continue;
		one.owners = &g->owners[i];
		one.outcomes = &g->outcomes[i];
		one.count = 1;
		if (store_transact(store, group_tx, &one, &err) == 0) {
			g->outcomes[i] = LMTP_DELIVERED;
			continue;
		}
		note_first(first, &err);
		g->outcomes[i] = outcome_of(&err, one.failed == 1);
	}
}

static void deliver_group(struct store *store, struct group *g, struct err *first)
{
	for (unsigned tries = 0; tries < RETRY_MAX; tries++) {
		struct err err = ERR_INIT;

		g->failed = g->count;
		if (store_transact(store, group_tx, g, &err) == 0) {
			set_rest(g, LMTP_DELIVERED);
			return;
		}
		note_first(first, &err);
		if (g->failed == g->count || (err.code != ERR_QUOTA && err.code != ERR_NOT_FOUND)) {
			set_rest(g, outcome_of(&err, true));
			return;
		}
		g->outcomes[g->failed] = outcome_of(&err, false);
	}
	deliver_singly(store, g, first);
}

/* Each owner once; *ret_which says for each recipient at which place. */
static size_t distinct_owners(const struct lmtp_message *m, struct owner_id *owners, size_t *which)
{
	size_t count = 0;

	for (size_t i = 0; i < m->recipient_count; i++) {
		size_t at = 0;

		while (at < count && owners[at].v != m->recipients[i].owner.v)
			at++;
		if (at == count)
			owners[count++] = m->recipients[i].owner;
		which[i] = at;
	}
	return count;
}

static void deliver_all(const struct lmtp_delivery *d, const struct lmtp_message *m,
	const struct account_mail *mail, enum lmtp_outcome *outcomes, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct owner_id *owners = arena_x_alloc(arena, m->recipient_count * sizeof(*owners));
	size_t *which = arena_x_alloc(arena, m->recipient_count * sizeof(*which));
	enum lmtp_outcome *by_owner = arena_x_alloc(arena, m->recipient_count * sizeof(*by_owner));
	size_t count = distinct_owners(m, owners, which);

	for (size_t at = 0; at < count; at += GROUP_MAX) {
		struct group g = {.mail = mail,
			.received_at = m->received_at,
			.owners = owners + at,
			.outcomes = by_owner + at,
			.count = MIN(count - at, (size_t)GROUP_MAX)};

		deliver_group(d->store, &g, err);
	}
	for (size_t i = 0; i < m->recipient_count; i++)
		outcomes[i] = by_owner[which[i]];
}

void lmtp_delivery_run(const struct lmtp_delivery *d, const struct lmtp_message *message,
	enum lmtp_outcome *outcomes, struct err *err)
{
	struct account_mail mail;

	if (account_mail_prepare(d->store, message->raw, message->len, &d->mime, &mail, err) < 0) {
		for (size_t i = 0; i < message->recipient_count; i++)
			outcomes[i] = err->code == ERR_QUOTA ? LMTP_NO_SPACE : LMTP_FAILED;
		return;
	}
	deliver_all(d, message, &mail, outcomes, err);
	account_mail_release(&mail);
}
