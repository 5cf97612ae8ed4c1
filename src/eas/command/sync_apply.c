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

struct apply {
	struct sync_run *run;
	struct sync_job *job;
	const struct account_ops *ops;
	struct store_tx *tx;
	struct folder_id deleted_items;
	bool final_delete; /* not moved to Deleted Items */
};

/* One change of a property group, as it is done and noted. */
struct group_change {
	enum sync_group group;
	uint64_t seq_before;
};

/* Somebody else changed that group since this phone's last word. */
static bool changed_meanwhile(
	const struct apply *a, const struct item_row *row, struct group_change change)
{
	if (sync_state_has_seen(&a->job->next, row, change.seq_before) ||
		sync_state_is_own(&a->job->next, row->id.v, change.group, change.seq_before))
		return false;
	/* Or was it this phone, in the request whose answer got lost? */
	return !a->job->repeated ||
	       !sync_collection_is_own(&a->job->gens, row->id.v, change.group, change.seq_before);
}

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

static void note_own(
	struct apply *a, struct sync_answer *answer, struct group_change change, uint64_t seq)
{
	if (seq == change.seq_before)
		return;
	sync_state_add_own(&a->job->next, answer->item, change.group, seq);
	answer->own_seq = seq;
	answer->own_groups |= change.group;
}

static int change_flag(struct apply *a, const struct wbxml_node *flag, const struct item *item,
	struct sync_answer *answer, struct err *err)
{
	struct device_id device = a->run->call->device->id;
	struct group_change change = {SYNC_FLAG, item->row.flag_seq};
	struct buf blob = BUF_INIT;
	uint64_t seq;
	uint8_t status;
	int result;

	email_flag_parse(flag, &status, &blob);
	result = a->ops->set_flag(a->tx, a->run->call->user->id, a->job->folder->id, item->row.id,
		status, blob.data, blob.len, device, &seq, err);
	buf_deinit(&blob);
	if (result == 0)
		note_own(a, answer, change, seq);
	return result;
}

static int change_categories(struct apply *a, const struct wbxml_node *categories,
	const struct item *item, struct sync_answer *answer, struct err *err)
{
	struct device_id device = a->run->call->device->id;
	struct group_change change = {SYNC_CATEGORIES, item->row.categories_seq};
	struct buf blob = BUF_INIT;
	uint64_t seq;
	int result;

	email_categories_parse(categories, &blob);
	result = a->ops->set_categories(a->tx, a->run->call->user->id, a->job->folder->id,
		item->row.id, blob.data, blob.len, device, &seq, err);
	buf_deinit(&blob);
	if (result == 0)
		note_own(a, answer, change, seq);
	return result;
}

static int change_read(struct apply *a, const struct wbxml_node *application_data,
	const struct item *item, struct sync_answer *answer, struct err *err)
{
	struct device_id device = a->run->call->device->id;
	struct group_change change = {SYNC_READ, item->row.read_seq};
	bool is_read = eas_get_bool(application_data, TAG_Email_Read, false);
	uint64_t seq;

	if (a->ops->set_read(a->tx, a->run->call->user->id, a->job->folder->id, item->row.id,
		    is_read, device, &seq, err) < 0)
		return -1;
	note_own(a, answer, change, seq);
	return 0;
}

/* The server wins when Conflict says so and a group that the phone changes was changed by somebody
 * else. */
static bool loses(
	const struct apply *a, const struct wbxml_node *application_data, const struct item *item)
{
	const struct item_row *row = &item->row;

	if (a->job->next.scope.options.conflict == 0)
		return false;
	if (wbxml_find(application_data, TAG_Email_Read) != NULL &&
		changed_meanwhile(a, row, (struct group_change){SYNC_READ, row->read_seq}))
		return true;
	if (wbxml_find(application_data, TAG_Email_Flag) != NULL &&
		changed_meanwhile(a, row, (struct group_change){SYNC_FLAG, row->flag_seq}))
		return true;
	return wbxml_find(application_data, TAG_Email_Categories) != NULL &&
	       changed_meanwhile(
		       a, row, (struct group_change){SYNC_CATEGORIES, row->categories_seq});
}

static int load_item(
	struct apply *a, struct item_id id, struct arena *arena, struct item **ret, struct err *err)
{
	if (!id_set_has(&a->job->next.inventory, id.v))
		return err_set(err, ERR_NOT_FOUND, "the phone does not hold that item");
	return store_item_load(store_tx_read(a->tx), a->run->call->user->id, a->job->folder->id, id,
		arena, ret, err);
}

static int apply_change(
	struct apply *a, struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct wbxml_node *application_data =
		wbxml_find(c->node, TAG_AirSync_ApplicationData);
	const struct wbxml_node *flag = wbxml_find(application_data, TAG_Email_Flag);
	const struct wbxml_node *categories = wbxml_find(application_data, TAG_Email_Categories);
	struct item *item;

	if (load_item(a, c->item, arena, &item, err) < 0)
		return -1;
	if (loses(a, application_data, item)) {
		answer->status = SYNC_STATUS_CONFLICT;
		return 0;
	}
	if (wbxml_find(application_data, TAG_Email_Read) != NULL &&
		change_read(a, application_data, item, answer, err) < 0)
		return -1;
	if (flag != NULL && change_flag(a, flag, item, answer, err) < 0)
		return -1;
	return categories != NULL ? change_categories(a, categories, item, answer, err) : 0;
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
		if (a->ops->delete_item(a->tx, owner, a->job->folder->id, c->item, device, err) < 0)
			return -1;
	} else if (a->ops->move_item(a->tx, owner, a->job->folder->id, c->item, a->deleted_items,
			   device, &moved, err) < 0) {
		return -1;
	}
	(void)id_set_remove(&a->job->next.inventory, c->item.v);
	answer->removed = true;
	return 0;
}

/* The same command in the request whose answer got lost: its answer again, and what it left behind.
 */
static bool replay(struct sync_job *job, struct sync_command *c)
{
	const struct sync_answer *answer =
		job->repeated ? sync_collection_find_answer(&job->gens, c->hash) : NULL;

	if (answer == NULL)
		return false;
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
	return true;
}

/* Were all commands done by the request whose answer got lost? Then nothing is to be written. */
static bool replay_all(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_command *c = &job->commands[i];

		if (c->node->tag != TAG_AirSync_Fetch &&
			(!job->repeated ||
				sync_collection_find_answer(&job->gens, c->hash) == NULL))
			return false;
	}
	for (size_t i = 0; i < job->command_count; i++) {
		if (job->commands[i].node->tag != TAG_AirSync_Fetch)
			(void)replay(job, &job->commands[i]);
	}
	return true;
}

/* Which groups the phone has changed in its own copy, so that a refusal must put them right. */
static uint8_t groups_of(const struct wbxml_node *command)
{
	const struct wbxml_node *data = wbxml_find(command, TAG_AirSync_ApplicationData);
	uint8_t groups = 0;

	if (data == NULL)
		return SYNC_READ | SYNC_FLAG | SYNC_CATEGORIES;
	if (wbxml_find(data, TAG_Email_Read) != NULL)
		groups |= SYNC_READ;
	if (wbxml_find(data, TAG_Email_Flag) != NULL)
		groups |= SYNC_FLAG;
	if (wbxml_find(data, TAG_Email_Categories) != NULL)
		groups |= SYNC_CATEGORIES;
	return groups != 0 ? groups : SYNC_READ | SYNC_FLAG | SYNC_CATEGORIES;
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
		c->node->tag == TAG_AirSync_Delete ? SYNC_ALL_GROUPS : groups_of(c->node);
	return sync_state_add_resend(next, c->item.v, answer->resend_groups);
}

static bool parse_item(struct apply *a, struct sync_command *c)
{
	return eas_server_id_parse(
		eas_get_text(c->node, TAG_AirSync_ServerId, ""), a->job->folder->id, &c->item);
}

static int apply_one(struct apply *a, struct sync_command *c, struct err *err)
{
	struct sync_answer answer = {.command_hash = c->hash, .status = SYNC_STATUS_OK};
	int result = 0;
	bool known = c->node->tag != TAG_AirSync_Add && parse_item(a, c);

	if (c->node->tag == TAG_AirSync_Fetch || replay(a->job, c))
		return 0;
	if (c->node->fault != 0) {
		answer.status = c->node->fault;
	} else if (wbxml_find(c->node, TAG_AirSyncBase_InstanceId) != NULL &&
		   eas_folder_is_mail(a->job->folder->type)) {
		/* Mail has no occurrences; the whole message was not meant. */
		answer.status = SYNC_STATUS_BAD_ITEM;
	} else if (c->node->tag == TAG_AirSync_Add) {
		result = sync_add_apply(a->tx, a->ops, a->run, a->job, c, &answer, err);
		if (result < 0 && (answer.status = status_of(err)) == 0)
			return -1;
		c->item.v = answer.item;
	} else if (!known) {
		answer.status = SYNC_STATUS_NOT_FOUND;
	} else {
		answer.item = c->item.v;
		result = c->node->tag == TAG_AirSync_Delete ? apply_delete(a, c, &answer, err)
							    : apply_change(a, c, &answer, err);
		if (result < 0 && (answer.status = status_of(err)) == 0)
			return -1;
	}
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

	a->tx = tx;
	sync_state_copy(&job->next, job->base);
	job->next.key = key;
	sync_state_set_scope(&job->next, &scope, a->run->call->now_at);
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

int sync_apply_commands(struct sync_run *run, struct sync_job *job, struct err *err)
{
	struct apply a = {
		.run = run,
		.job = job,
		.ops = account_ops_of(run->call->user->id),
		.final_delete = !job->deletes_as_moves || job->folder->type == FOLDER_DELETED,
	};
	int result;

	job->next.key = sync_key_new();
	if (replay_all(job)) {
		job->new_key = true;
		return 0;
	}
	if (!a.final_delete && find_deleted_items(&a, err) < 0)
		return -1;
	result = sync_add_prepare(run, job, err);
	if (result == 0)
		result = store_transact(run->call->server->store, apply_tx, &a, err);
	sync_add_release(job);
	if (result < 0)
		return -1;
	job->new_key = true;
	job->saved = true;
	return 0;
}
