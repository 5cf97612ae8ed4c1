/*
 * Verbs about the queue of outgoing mail. Threads and transactions: see admin.c; what is tried now
 * is committed before the queue's threads are told.
 *
 * Limits: after LIST_MAX recipients the list ends, with a whole message.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_queue.h"

#define LIST_MAX 10000

static const char *state_to_str(enum queue_state state)
{
	switch (state) {
	case QUEUE_WAITING:
		return "waiting";
	case QUEUE_HELD:
		return "held";
	case QUEUE_FAILED:
		return "failed";
	}
	return "?";
}

static void list_mail(struct admin_call *call, const struct queue_mail *mail)
{
	for (size_t i = 0; i < mail->recipient_count; i++) {
		const struct queue_recipient *r = &mail->recipients[i];
		json_t *row = json_object();

		admin_put_number(row, "mail", mail->id.v);
		admin_put(row, "sender", mail->sender);
		admin_put(row, "recipient", r->address);
		admin_put(row, "state", state_to_str(r->state));
		admin_put_number(row, "attempts", r->attempts);
		admin_put_number(row, "queued_at", (uint64_t)mail->queued_at);
		admin_put_number(row, "next_at", r->state == QUEUE_HELD ? 0 : (uint64_t)r->next_at);
		admin_put_number(row, "last_at", (uint64_t)r->last_at);
		admin_put_number(row, "bytes", mail->bytes);
		admin_put(row, "answer", r->answer);
		(void)json_array_append_new(call->result, row);
	}
}

int admin_queue_list(struct admin_call *call, struct err *err)
{
	struct user *user = NULL;
	struct queue_mail *mails;
	size_t count;

	if (admin_text(call, "address") != NULL && admin_user(call, &user, err) < 0)
		return -1;
	if (store_queue_list(call->rd, LIST_MAX, call->arena, &mails, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (user == NULL || mails[i].owner.v == user->id.v)
			list_mail(call, &mails[i]);
	}
	return 0;
}

struct retry {
	struct queue_id id;
	int64_t now_at;
	uint64_t count;
};

static int retry_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct retry *retry = owner;

	return store_queue_retry(tx, retry->id, retry->now_at, &retry->count, err);
}

int admin_queue_retry(struct admin_call *call, struct err *err)
{
	const struct admin_options *o = &call->admin->options;
	struct retry retry = {{admin_number(call, "mail", 0)}, call->now_at, 0};

	if (store_transact(o->store, retry_tx, &retry, err) < 0)
		return -1;
	if (o->retry_queue != NULL)
		o->retry_queue(o->owner);
	admin_put_number(call->result, "retried", retry.count);
	return 0;
}

int admin_queue_drop(struct admin_call *call, struct err *err)
{
	struct queue_id id = {admin_number(call, "mail", 0)};
	uint64_t count;

	if (store_queue_drop(call->tx, id, admin_text(call, "recipient"), &count, err) < 0)
		return -1;
	admin_put_number(call->result, "dropped", count);
	return 0;
}
