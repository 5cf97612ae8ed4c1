/*
 * The queue of outgoing mail (store_queue.h). The body of a queued message is a body of owner 0,
 * under the number of the message, so that backups, checks and the sweep of body files see it like
 * any other; nobody's quota counts it.
 *
 * Invariants: a message has at least one recipient; its next_at is the soonest of theirs, NEVER
 * while all are held. A recipient's row goes in the transaction that knows what became of it.
 * Threads: as the transactions and snapshots they run in.
 */
#include "store/store_queue.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

static const struct owner_id nobody = {0};

/* ---- coming ---- */

static int count_where(
	struct db_stmt *st, uint64_t *ret_count, uint64_t *ret_bytes, struct err *err)
{
	int rc = db_step(st, err);

	if (rc < 0)
		return -1;
	*ret_count = rc > 0 ? db_col_u64(st, 0) : 0;
	*ret_bytes = rc > 0 ? db_col_u64(st, 1) : 0;
	return 0;
}

static int check_room(struct store_tx *tx, const struct queue_new *mail, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *all = NULL, *of_owner = NULL;
	uint64_t count, bytes;

	if (store_prepare_tx(tx, "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM queue_mails", &all,
		    err) < 0 ||
		count_where(all, &count, &bytes, err) < 0)
		return -1;
	if (mail->mails_max > 0 && count >= mail->mails_max)
		return err_set(err, ERR_BUSY, "the queue is full: %" PRIu64 " messages", count);
	if (mail->bytes_max > 0 && bytes + mail->body->len > mail->bytes_max)
		return err_set(err, ERR_BUSY, "the queue is full: %" PRIu64 " bytes", bytes);
	if (mail->mails_per_owner_max == 0)
		return 0;
	if (store_prepare_tx(
		    tx, "SELECT COUNT(*), 0 FROM queue_mails WHERE owner = $1", &of_owner, err) < 0)
		return -1;
	db_bind_u64(of_owner, 1, mail->owner.v);
	if (count_where(of_owner, &count, &bytes, err) < 0)
		return -1;
	return count < mail->mails_per_owner_max
		       ? 0
		       : err_set(err, ERR_DENIED,
				 "%" PRIu64 " messages of this sender wait in the queue", count);
}

static int add_body(
	struct store_tx *tx, uint64_t id, const struct store_new_body *body, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	bool in_file = body->file[0] != '\0';

	if (store_prepare_tx(tx,
		    "INSERT INTO bodies (owner, id, body_bytes, file, bytes)"
		    " VALUES (0, $1, $2, $3, $4)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, body->len);
	db_bind_text(st, 3, in_file ? body->file : NULL);
	if (in_file)
		db_bind_null(st, 4);
	else
		db_bind_blob(st, 4, body->len > 0 ? body->bytes : (const uint8_t *)"", body->len);
	return store_run(st, err);
}

/* answer: why it has failed; NULL: it waits. */
static int add_recipient(struct store_tx *tx, uint64_t id, uint64_t position, const char *address,
	const char *answer, int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO queue_recipients (mail, position, address, state, attempts,"
		    " next_at, last_at, answer) VALUES ($1, $2, $3, $5, 0, $4, $6, $7)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, position);
	db_bind_text(st, 3, address);
	db_bind_i64(st, 4, now_at);
	db_bind_u64(st, 5, answer != NULL ? QUEUE_FAILED : QUEUE_WAITING);
	db_bind_i64(st, 6, answer != NULL ? now_at : 0);
	db_bind_text(st, 7, store_text(answer));
	return store_run(st, err);
}

int store_queue_add(
	struct store_tx *tx, const struct queue_new *mail, struct queue_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t id = 0;

	if (check_room(tx, mail, err) < 0 || store_counter_next(tx, "queue", &id, err) < 0 ||
		add_body(tx, id, mail->body, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO queue_mails (id, owner, sender, queued_at, bytes, next_at)"
			" VALUES ($1, $2, $3, $4, $5, $4)",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, mail->owner.v);
	db_bind_text(st, 3, store_text(mail->sender));
	db_bind_i64(st, 4, mail->now_at);
	db_bind_u64(st, 5, mail->body->len);
	if (store_run(st, err) < 0)
		return -1;
	for (size_t i = 0; i < mail->recipient_count; i++) {
		if (add_recipient(tx, id, i + 1, mail->recipients[i], NULL, mail->now_at, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < mail->failed_count; i++) {
		if (add_recipient(tx, id, mail->recipient_count + i + 1, mail->failed[i],
			    mail->failed_answer, mail->now_at, err) < 0)
			return -1;
	}
	ret->v = id;
	return 0;
}

/* ---- looking ---- */

int store_queue_next(struct store_read *rd, size_t limit, struct arena *arena,
	struct queue_due **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct queue_due *due = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT id, next_at FROM queue_mails WHERE next_at < $1"
		    " ORDER BY next_at, id LIMIT $2",
		    &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, INT64_MAX);
	db_bind_u64(st, 2, limit);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &due, count, &cap, err) < 0)
			return -1;
		due[count++] = (struct queue_due){{db_col_u64(st, 0)}, db_col_i64(st, 1)};
	}
	if (rc < 0)
		return -1;
	*ret = due;
	*ret_count = count;
	return 0;
}

static int load_recipients(
	struct store_read *rd, struct queue_mail *mail, struct arena *arena, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT position, address, state, attempts, next_at, last_at, answer"
		    " FROM queue_recipients WHERE mail = $1 ORDER BY position",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, mail->id.v);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};
		struct queue_recipient *r;

		if (STORE_GROW(arena, &mail->recipients, mail->recipient_count, &cap, err) < 0)
			return -1;
		r = &mail->recipients[mail->recipient_count++];
		r->position = store_row_u64(&row);
		r->address = store_row_text(&row);
		r->state = (enum queue_state)store_row_u64(&row);
		r->attempts = (uint32_t)store_row_u64(&row);
		r->next_at = store_row_i64(&row);
		r->last_at = store_row_i64(&row);
		r->answer = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
	}
	return rc;
}

static int read_mail(
	struct db_stmt *st, struct arena *arena, struct queue_mail *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	*ret = (struct queue_mail){.id = {store_row_u64(&row)}};
	ret->owner.v = store_row_u64(&row);
	ret->sender = store_row_text(&row);
	ret->queued_at = store_row_i64(&row);
	ret->bytes = store_row_u64(&row);
	return store_row_end(&row, err);
}

int store_queue_load(struct store_read *rd, struct queue_id id, struct arena *arena,
	struct queue_mail **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct queue_mail *mail = arena_try_alloc(arena, sizeof(*mail));
	int rc;

	if (mail == NULL)
		return err_set(err, ERR_INTERNAL, "a queued message is beyond the memory for it");
	if (store_prepare(rd,
		    "SELECT id, owner, sender, queued_at, bytes FROM queue_mails WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	rc = db_step(st, err);
	if (rc == 0)
		return err_set(
			err, ERR_NOT_FOUND, "there is no message %" PRIu64 " in the queue", id.v);
	if (rc < 0 || read_mail(st, arena, mail, err) < 0 ||
		load_recipients(rd, mail, arena, err) < 0)
		return -1;
	*ret = mail;
	return 0;
}

int store_queue_body(
	struct store_read *rd, struct queue_id id, struct store_body *ret, struct err *err)
{
	return store_body_load(rd, nobody, id.v, ret, err);
}

int store_queue_list(struct store_read *rd, size_t limit, struct arena *arena,
	struct queue_mail **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct queue_mail *mails = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT id, owner, sender, queued_at, bytes FROM queue_mails"
		    " ORDER BY id LIMIT $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, limit);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &mails, count, &cap, err) < 0 ||
			read_mail(st, arena, &mails[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret_count = 0;
	for (size_t recipients = 0; *ret_count < count && recipients < limit; (*ret_count)++) {
		if (load_recipients(rd, &mails[*ret_count], arena, err) < 0)
			return -1;
		recipients += mails[*ret_count].recipient_count;
	}
	*ret = mails;
	return 0;
}

int store_queue_count(struct store_read *rd, struct queue_counts *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *mails = NULL, *recipients = NULL;
	struct queue_counts counts = {0};

	if (store_prepare(rd, "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM queue_mails", &mails,
		    err) < 0 ||
		count_where(mails, &counts.mails, &counts.bytes, err) < 0 ||
		store_prepare(rd,
			"SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 1 THEN 1 ELSE 0 END), 0)"
			" FROM queue_recipients",
			&recipients, err) < 0 ||
		count_where(recipients, &counts.recipients, &counts.held, err) < 0)
		return -1;
	*ret = counts;
	return 0;
}

/* ---- what became of it ---- */

/* After changes of its recipients: the message's own time, or its end. */
static int settle(struct store_tx *tx, struct queue_id id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *left = NULL, *next = NULL;
	uint64_t count = 0;

	if (store_prepare_tx(
		    tx, "SELECT COUNT(*) FROM queue_recipients WHERE mail = $1", &left, err) < 0)
		return -1;
	db_bind_u64(left, 1, id.v);
	if (store_run_u64(left, &count, err) < 0)
		return -1;
	if (count == 0)
		return store_run_id(tx, "DELETE FROM queue_mails WHERE id = $1", id.v, err) < 0 ||
				       store_run_id(tx,
					       "DELETE FROM bodies WHERE owner = 0 AND id = $1",
					       id.v, err) < 0
			       ? -1
			       : 0;
	if (store_prepare_tx(tx,
		    "UPDATE queue_mails SET next_at = COALESCE((SELECT MIN(r.next_at) FROM"
		    " queue_recipients r WHERE r.mail = $1 AND r.state <> 1), $2) WHERE id = $1",
		    &next, err) < 0)
		return -1;
	db_bind_u64(next, 1, id.v);
	db_bind_i64(next, 2, INT64_MAX);
	return store_run(next, err);
}

static int set_one(
	struct store_tx *tx, struct queue_id id, const struct queue_result *result, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	CLEANUP(mem_freep) char *answer = NULL;
	const char *text = store_text(result->answer);

	if (result->gone) {
		if (store_prepare_tx(tx,
			    "DELETE FROM queue_recipients WHERE mail = $1 AND position = $2", &st,
			    err) < 0)
			return -1;
		db_bind_u64(st, 1, id.v);
		db_bind_u64(st, 2, result->position);
		return store_run(st, err);
	}
	answer = x_strndup(text, utf8_floor(text, strlen(text), STORE_QUEUE_ANSWER_MAX));
	if (store_prepare_tx(tx,
		    "UPDATE queue_recipients SET state = $3, attempts = $4, next_at = $5,"
		    " last_at = $6, answer = $7 WHERE mail = $1 AND position = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, result->position);
	db_bind_u64(st, 3, result->state);
	db_bind_u64(st, 4, result->attempts);
	db_bind_i64(st, 5, result->next_at);
	db_bind_i64(st, 6, result->last_at);
	db_bind_text(st, 7, answer);
	return store_run(st, err);
}

int store_queue_set(struct store_tx *tx, struct queue_id id, const struct queue_result *results,
	size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (set_one(tx, id, &results[i], err) < 0)
			return -1;
	}
	return settle(tx, id, err);
}

/* ---- the administrator ---- */

int store_queue_retry(struct store_tx *tx, struct queue_id id, int64_t now_at, uint64_t *ret_count,
	struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *mails = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE queue_recipients SET next_at = $2,"
		    " state = CASE WHEN state = 1 THEN 0 ELSE state END"
		    " WHERE mail = $1 OR $1 = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_i64(st, 2, now_at);
	if (store_run(st, err) < 0)
		return -1;
	*ret_count = db_changes(tx->read.conn);
	if (*ret_count == 0 && id.v != 0)
		return err_set(
			err, ERR_NOT_FOUND, "there is no message %" PRIu64 " in the queue", id.v);
	if (store_prepare_tx(tx, "UPDATE queue_mails SET next_at = $2 WHERE id = $1 OR $1 = 0",
		    &mails, err) < 0)
		return -1;
	db_bind_u64(mails, 1, id.v);
	db_bind_i64(mails, 2, now_at);
	return store_run(mails, err);
}

/* The message, or only this recipient of it. */
static int say_what_is_not_there(
	struct store_read *read, struct queue_id id, const char *address, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int found;

	if (store_prepare(read, "SELECT 1 FROM queue_mails WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	found = db_step(st, err);
	if (found < 0)
		return -1;
	if (found == 0 || address == NULL)
		return err_set(
			err, ERR_NOT_FOUND, "there is no message %" PRIu64 " in the queue", id.v);
	return err_set(err, ERR_NOT_FOUND, "message %" PRIu64 " in the queue is not for <%.200s>",
		id.v, address);
}

int store_queue_drop(struct store_tx *tx, struct queue_id id, const char *address,
	uint64_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM queue_recipients WHERE mail = $1 AND"
		    " ($2 IS NULL OR LOWER(address) = LOWER($2))",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, address);
	if (store_run(st, err) < 0)
		return -1;
	*ret_count = db_changes(tx->read.conn);
	if (*ret_count == 0)
		return say_what_is_not_there(&tx->read, id, address, err);
	return settle(tx, id, err);
}

int store_queue_hold(struct store_tx *tx, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_run_id(tx, "UPDATE queue_recipients SET state = 1 WHERE state = $1",
		    QUEUE_WAITING, err) < 0 ||
		store_prepare_tx(tx,
			"UPDATE queue_mails SET next_at = COALESCE((SELECT MIN(r.next_at) FROM"
			" queue_recipients r WHERE r.mail = queue_mails.id AND r.state <> 1), $1)",
			&st, err) < 0)
		return -1;
	db_bind_i64(st, 1, INT64_MAX);
	return store_run(st, err);
}
