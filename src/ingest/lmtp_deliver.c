/*
 * LMTP's way into the store: who a recipient is, and one message into many mailboxes. The message
 * is parsed once; recipients go in by groups, one transaction each; where one of them fails for a
 * reason of its own, the others are done again without it.
 *
 * Threads: any; blocks.
 */
#include <string.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/crash_test.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "ingest/lmtp_internal.h"
#include "submit/oof_reply.h"

#define GROUP_MAX                                                                                  \
	100 /* mailboxes in one transaction: others wait for the writer no longer than that */
/* From so many crashes on taking a message in unread does not help either. */
#define UNREAD_TOO (2 * STORE_POISON_CRASHES)
#define RETRY_MAX  3 /* from then on each recipient gets a transaction of its own */

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
	if (user->quota_bytes > 0 && (user->used_bytes >= user->quota_bytes ||
					     size > user->quota_bytes - user->used_bytes)) {
		(void)err_set(err, ERR_QUOTA, "mailbox full");
		return LMTP_FULL;
	}
	*ret = user->id;
	return LMTP_DELIVERED;
}

/* Some recipients in one transaction. */
struct group {
	const struct account_mail *mail;
	struct oof_replies *oof; /* may be NULL */
	int64_t received_at;
	const struct owner_id *owners;
	enum lmtp_outcome *outcomes; /* 0: to be done */
	size_t count;
	size_t failed; /* set by the transaction: at whom it failed; count: at nobody in particular
			*/
};

/* The administrator's event for one mailbox. */
static int log_set_aside(
	struct store_tx *tx, struct owner_id owner, int64_t now_at, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct log_row row = {.at = now_at,
		.actor = "server",
		.action = "item set aside",
		.result = "taken in unread: the engine crashed on it"};
	struct user *user;

	if (store_user_load(store_tx_read(tx), owner, arena, &user, err) < 0)
		return -1;
	row.user = arena_x_printf(arena, "%s@%s", user->login, user->domain);
	return store_log_add(tx, &row, err);
}

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
		if (g->mail->unread && log_set_aside(tx, g->owners[i], g->received_at, err) < 0)
			return -1;
		if (oof_replies_apply(tx, g->oof, g->owners[i], err) < 0)
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

/* A message that crashes who reads it is not read for this either. */
static struct oof_replies *prepare_oof(const struct lmtp_delivery *d, const struct lmtp_message *m,
	const struct account_mail *mail, const struct owner_id *owners, size_t count)
{
	const struct oof_reply_request req = {.sender = m->sender,
		.raw = m->raw,
		.len = m->len,
		.owners = owners,
		.owner_count = count,
		.now_at = clock_now_at(),
		.limits = &d->mime,
		.settings = d->settings,
		.queue = d->queue};

	return mail->unread ? NULL : oof_replies_prepare(d->store, &req);
}

static void deliver_all(const struct lmtp_delivery *d, const struct lmtp_message *m,
	const struct account_mail *mail, int64_t received_at, enum lmtp_outcome *outcomes,
	struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct owner_id *owners = arena_x_alloc(arena, m->recipient_count * sizeof(*owners));
	size_t *which = arena_x_alloc(arena, m->recipient_count * sizeof(*which));
	enum lmtp_outcome *by_owner = arena_x_alloc(arena, m->recipient_count * sizeof(*by_owner));
	size_t count = distinct_owners(m, owners, which);
	CLEANUP(oof_replies_free)
	struct oof_replies *oof = prepare_oof(d, m, mail, owners, count);

	for (size_t at = 0; at < count; at += GROUP_MAX) {
		struct group g = {.mail = mail,
			.oof = oof,
			.received_at = received_at,
			.owners = owners + at,
			.outcomes = by_owner + at,
			.count = MIN(count - at, (size_t)GROUP_MAX)};

		deliver_group(d->store, &g, err);
	}
	oof_replies_kick(oof);
	for (size_t i = 0; i < m->recipient_count; i++)
		outcomes[i] = by_owner[which[i]];
}

/* What came before our own trace fields says when the site got it; never a time to come. */
static int64_t received_at(const struct lmtp_message *m)
{
	int64_t now_at = clock_now_at();
	int64_t at = mime_received_at(m->raw + m->own_len, m->len - m->own_len);

	return at > 0 && at < now_at ? at : now_at;
}

/* How often the engine crashed on this message; a store that cannot answer fails later. */
static uint64_t crashes_on(const struct lmtp_delivery *d, uint64_t hash)
{
	int64_t since_at = clock_now_at() - (int64_t)d->refuse_s;
	const struct owner_id nobody = {0};
	struct err ignored = ERR_INIT;
	struct store_read *rd;
	uint64_t crashes = 0;

	if (!store_poison_any(d->store) || store_read_begin(d->store, &rd, &ignored) < 0)
		return 0;
	if (store_poison_crashes(rd, nobody, hash, since_at, &crashes, &ignored) < 0)
		crashes = 0;
	store_read_end(&rd);
	return crashes;
}

static int refused_tx(struct store_tx *tx, void *owner, struct err *err)
{
	return store_log_add(tx, owner, err);
}

/* Not even as bytes: one more attempt each time would be a crash for everybody each time. */
static void refuse(const struct lmtp_delivery *d, const struct lmtp_message *m,
	enum lmtp_outcome *outcomes, struct err *err)
{
	struct log_row row = {.at = clock_now_at(),
		.actor = "server",
		.user = m->recipients[0].address,
		.action = "message refused",
		.result = "the engine crashed on it"};

	for (size_t i = 0; i < m->recipient_count; i++)
		outcomes[i] = LMTP_REFUSED;
	(void)err_set(err, ERR_BAD_INPUT, "the engine crashed on this message");
	if (store_transact(d->store, refused_tx, &row, err) < 0)
		return;
	(void)err_set(err, ERR_BAD_INPUT, "the engine crashed on this message");
}

/* The message as it goes in: read, or, when reading it crashed the engine, as bytes. */
static int prepare(const struct lmtp_delivery *d, const struct lmtp_message *m, bool unread,
	struct account_mail *ret, int64_t *ret_received_at, struct err *err)
{
	*ret_received_at = unread ? clock_now_at() : received_at(m);
	if (unread) {
		log_error(NULL, "message_taken_unread", F_UINT("bytes", m->len),
			F_UINT("recipients", m->recipient_count));
		return account_mail_prepare_unread(d->store, m->raw, m->len, ret, err);
	}
	CRASH_TEST_FAULT(m->raw, m->len, "bellhop-crash-parser");
	return account_mail_prepare(d->store, m->raw, m->len, &d->mime, ret, err);
}

static void deliver(const struct lmtp_delivery *d, const struct lmtp_message *m, bool unread,
	enum lmtp_outcome *outcomes, struct err *err)
{
	struct account_mail mail;
	int64_t at;

	if (prepare(d, m, unread, &mail, &at, err) < 0) {
		for (size_t i = 0; i < m->recipient_count; i++)
			outcomes[i] = err->code == ERR_QUOTA ? LMTP_NO_SPACE : LMTP_FAILED;
		return;
	}
	CRASH_TEST_ABORT(m->raw, m->len, "bellhop-crash-delivery");
	deliver_all(d, m, &mail, at, outcomes, err);
	account_mail_release(&mail);
}

void lmtp_delivery_run(const struct lmtp_delivery *d, const struct lmtp_message *message,
	enum lmtp_outcome *outcomes, struct err *err)
{
	/* Without our trace fields: the same when it comes again. */
	uint64_t hash =
		notes_hash(0, message->raw + message->own_len, message->len - message->own_len);
	uint64_t crashes = crashes_on(d, hash);

	if (crashes >= UNREAD_TOO) {
		refuse(d, message, outcomes, err);
		return;
	}
	notes_begin(NOTE_MAIL, hash, 0, 0, "LMTP");
	deliver(d, message, crashes >= STORE_POISON_CRASHES, outcomes, err);
	notes_end();
}
