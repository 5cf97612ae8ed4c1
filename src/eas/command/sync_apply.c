/*
 * The phone's own commands ([MS-ASCMD] 3.1.5.4; conflicts 2.2.3.34). They and the new generation
 * are one transaction: what was answered is on disk, and a request that comes again finds its
 * answers and does nothing twice.
 *
 * The transaction's function may run more than once, so it begins by setting up everything anew.
 */
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "eas/class/email.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

/* Each one more is a draft that somebody else has written meanwhile, or a Send that was refused. */
enum { ATTEMPTS_MAX = 50 };

struct apply {
	struct sync_run *run;
	struct sync_job *job;
	struct sync_writer to;
	struct folder_id deleted_items;
	bool final_delete; /* not moved to Deleted Items */
};

static unsigned status_of(const struct err *err)
{
	switch (err->code) {
	case ERR_NOT_FOUND:
		return SYNC_STATUS_NOT_FOUND;
	case ERR_QUOTA:
		return SYNC_STATUS_FULL;
	case ERR_BAD_INPUT:
		return SYNC_STATUS_BAD_ITEM;
	default:
		return 0; /* fails the transaction */
	}
}

static int load_item(
	struct apply *a, struct item_id id, struct arena *arena, struct item **ret, struct err *err)
{
	if (!id_set_has(&a->job->next.inventory, id.v))
		return err_set(err, ERR_NOT_FOUND, "the phone does not hold that item");
	return store_item_load(store_tx_read(a->to.tx), a->run->call->user->id, a->job->folder->id,
		id, arena, ret, err);
}

static int apply_delete(
	struct apply *a, struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct owner_id owner = a->run->call->user->id;
	struct device_id device = a->run->call->device->id;
	struct item *item;
	struct item_id moved;

	if (load_item(a, c->item, arena, &item, err) < 0) {
		/* Gone already. The phone drops it all the same: its deletion is no news to it. */
		if (err->code == ERR_NOT_FOUND) {
			(void)id_set_remove(&a->job->next.inventory, c->item.v);
			answer->removed = true;
		}
		return -1;
	}
	if (a->final_delete) {
		if (a->to.ops->delete_item(
			    a->to.tx, owner, a->job->folder->id, c->item, device, err) < 0)
			return -1;
	} else if (a->to.ops->move_item(a->to.tx, owner, a->job->folder->id, c->item,
			   a->deleted_items, device, &moved, err) < 0) {
		return -1;
	}
	(void)id_set_remove(&a->job->next.inventory, c->item.v);
	answer->removed = true;
	return 0;
}

/* What a command did in the request whose answer got lost: its answer again, and what it left
 * behind. */
static void replay(struct sync_job *job, struct sync_command *c, const struct sync_answer *answer)
{
	c->status = answer->status;
	c->item.v = answer->item;
	if (answer->removed)
		(void)id_set_remove(&job->next.inventory, answer->item);
	if (answer->added)
		(void)id_set_add(&job->next.inventory, answer->item);
	if (answer->own_groups != 0)
		sync_state_add_own(&job->next, answer->item, answer->own_groups, answer->own_seq);
	if (answer->resend_groups != 0)
		(void)sync_state_add_resend(&job->next, answer->item, answer->resend_groups);
	sync_state_add_answer(&job->next, answer);
}

/* The request whose answer got lost once more, word for word: nothing is to be written. */
static bool replay_all(struct sync_job *job)
{
	const struct sync_state *lost = &job->gens.states[SYNC_SIBLING];
	size_t count = 0;

	if (!job->repeated || !job->gens.present[SYNC_SIBLING])
		return false;
	for (size_t i = 0; i < job->command_count; i++) {
		if (job->commands[i].node->tag == TAG_AirSync_Fetch)
			continue;
		if (count >= lost->answer_count ||
			lost->answers[count].command_hash != job->commands[i].hash)
			return false;
		count++;
	}
	if (count != lost->answer_count)
		return false;
	count = 0;
	for (size_t i = 0; i < job->command_count; i++) {
		if (job->commands[i].node->tag != TAG_AirSync_Fetch)
			replay(job, &job->commands[i], &lost->answers[count++]);
	}
	return true;
}

/* The phone did it in its own copy; it was refused: the server's version is to follow. A deletion
 * has taken the item from the phone. False: too many refusals wait already. */
static bool note_refusal(struct apply *a, struct sync_command *c, struct sync_answer *answer)
{
	struct sync_state *next = &a->job->next;

	if (c->item.v == 0 || !id_set_has(&next->inventory, c->item.v))
		return true;
	if (c->node->tag == TAG_AirSync_Delete) {
		(void)id_set_remove(&next->inventory, c->item.v);
		answer->removed = true;
	}
	answer->item = c->item.v;
	answer->resend_groups =
		c->node->tag == TAG_AirSync_Delete ? SYNC_ALL_GROUPS : sync_change_groups(c->node);
	return sync_state_add_resend(next, c->item.v, answer->resend_groups);
}

static bool parse_item(struct apply *a, struct sync_command *c)
{
	return eas_server_id_parse(
		eas_get_text(c->node, TAG_AirSync_ServerId, ""), a->job->folder->id, &c->item);
}

/*
 * Done before, in a request whose answer got lost, but not as its last word on that item: other
 * commands may have come between. So a Change is done again, where nobody else has changed anything
 * since.
 */
static int apply_again(
	struct apply *a, struct sync_command *c, const struct sync_answer *before, struct err *err)
{
	struct sync_answer answer = {
		.command_hash = c->hash, .status = before->status, .item = before->item};

	replay(a->job, c, before);
	if (c->node->tag != TAG_AirSync_Change || before->status != SYNC_STATUS_OK)
		return 0;
	c->done_seq = (before->own_groups & SYNC_CONTENT) != 0 ? before->own_seq : 0;
	if (sync_change_apply(&a->to, a->job, c, true, &answer, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT; /* deleted since: the phone will hear of it */
	}
	sync_state_add_answer(&a->job->next, &answer);
	return 0;
}

static int apply_new(
	struct apply *a, struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	bool known = c->node->tag != TAG_AirSync_Add && parse_item(a, c);

	if (c->node->fault != 0) {
		answer->status = c->node->fault;
		return 0;
	}
	if (wbxml_find(c->node, TAG_AirSyncBase_InstanceId) != NULL &&
		eas_folder_is_mail(a->job->folder->type)) {
		/* Mail has no occurrences; the whole message was not meant. */
		answer->status = SYNC_STATUS_BAD_ITEM;
		return 0;
	}
	if (c->node->tag == TAG_AirSync_Add) {
		int result = sync_add_apply(a->to.tx, a->to.ops, a->run, a->job, c, answer, err);

		c->item.v = answer->item;
		return result;
	}
	if (!known) {
		answer->status = SYNC_STATUS_NOT_FOUND;
		return 0;
	}
	answer->item = c->item.v;
	if (c->refused != 0) {
		answer->status = c->refused;
		return 0;
	}
	return c->node->tag == TAG_AirSync_Delete
		       ? apply_delete(a, c, answer, err)
		       : sync_change_apply(&a->to, a->job, c, false, answer, err);
}

static int apply_one(struct apply *a, struct sync_command *c, struct err *err)
{
	struct sync_answer answer = {.command_hash = c->hash, .status = SYNC_STATUS_OK};
	const struct sync_answer *before =
		a->job->repeated ? sync_collection_find_answer(&a->job->gens, c->hash) : NULL;

	if (c->node->tag == TAG_AirSync_Fetch)
		return 0;
	if (before != NULL)
		return apply_again(a, c, before, err);
	if (apply_new(a, c, &answer, err) < 0 && (answer.status = status_of(err)) == 0)
		return -1;
	if (answer.status != SYNC_STATUS_OK && !note_refusal(a, c, &answer))
		return err_set(err, ERR_BUSY, "too many refused changes wait to be put right");
	c->status = answer.status;
	sync_state_add_answer(&a->job->next, &answer);
	return 0;
}

static int apply_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct apply *a = owner;
	struct sync_job *job = a->job;
	uint64_t key = job->next.key;
	struct sync_scope scope = job->next.scope;

	a->to.tx = tx;
	if (sync_check_folder(tx, job, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	sync_state_copy(&job->next, job->base);
	job->next.key = key;
	sync_state_set_scope(&job->next, &scope, a->run->call->now_at);
	sync_draft_reset(job);
	for (size_t i = 0; i < job->command_count; i++) {
		job->commands[i].status = 0;
		job->commands[i].item.v = 0;
		if (apply_one(a, &job->commands[i], err) < 0)
			return -1;
	}
	if (sync_collection_save(tx, &job->gens, &job->next, err) < 0)
		return -1;
	/* What is remembered of an earlier request names keys that are over. */
	if (a->run->call->version < 121 || a->run->call->device->sync_request == NULL)
		return 0;
	return store_device_set_sync_request(tx, a->run->call->device->id, NULL, 0, err);
}

static int find_deleted_items(struct apply *a, struct err *err)
{
	struct store_read *rd;
	struct folder *folder;
	int result;

	if (store_read_begin(a->run->call->server->store, &rd, err) < 0)
		return -1;
	result = store_folder_by_type(
		rd, a->run->call->user->id, FOLDER_DELETED, a->run->call->arena, &folder, err);
	store_read_end(&rd);
	if (result == 0)
		a->deleted_items = folder->id;
	return result;
}

/* What takes time is done before the transaction, which finds out whether it still fits. */
static int prepare_and_apply(struct apply *a, struct err *err)
{
	struct sync_job *job = a->job;
	int result = sync_add_prepare(a->run, job, err);

	job->retry = false;
	if (result == 0)
		result = sync_draft_prepare(a->run, job, err);
	if (result == 0)
		result = store_transact(a->run->call->server->store, apply_tx, a, err);
	if (result == 0) {
		sync_add_finish(job);
		sync_draft_finish(job);
	}
	sync_draft_release(job);
	sync_add_release(job);
	return result;
}

int sync_apply_commands(struct sync_run *run, struct sync_job *job, struct err *err)
{
	struct apply a = {
		.run = run,
		.job = job,
		.to = {NULL, account_ops_of(run->call->user->id)},
		.final_delete = !job->deletes_as_moves || job->folder->type == FOLDER_DELETED,
	};
	int result, attempt = 0;

	job->next.key = sync_key_new();
	if (replay_all(job)) {
		job->new_key = true;
		return 0;
	}
	if (!a.final_delete && find_deleted_items(&a, err) < 0)
		return -1;
	do {
		*err = (struct err)ERR_INIT;
		result = prepare_and_apply(&a, err);
	} while (result < 0 && job->retry && ++attempt < ATTEMPTS_MAX);
	if (result < 0)
		return -1;
	job->new_key = job->saved = job->status == SYNC_STATUS_OK;
	return 0;
}
