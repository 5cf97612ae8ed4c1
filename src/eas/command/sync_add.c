/*
 * Items that a phone adds ([MS-ASCMD] 2.2.3.7.2): text messages beside the mail, from 14.0 on, and
 * drafts, from 16.0 on, of which some are to be sent at once. Other mail cannot be added, and the
 * other classes are not served yet.
 *
 * What takes time or writes files is done before the transaction: each Add becomes a message of its
 * own, ready to be inserted. An Add which comes again becomes no second item: in a repeated request
 * its answer is known by ClientId, later by all that is in it.
 */
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "eas/class/sms.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

struct sync_new_item {
	enum item_class item_class;
	struct sms sms; /* of a draft, too: what both have */
	struct account_mail mail;
	bool prepared;                 /* mail is to be released */
	struct outgoing_mail *leaving; /* sent instead of kept; NULL: no */
	bool left;                     /* set by the transaction */
};

bool sync_add_is_sms(const struct sync_command *c)
{
	return c->node->tag == TAG_AirSync_Add &&
	       strcmp(eas_get_text(c->node, TAG_AirSync_Class, ""), "SMS") == 0;
}

static int prepare_mail(struct sync_run *run, struct sync_new_item *item, struct err *err)
{
	const struct settings *s = run->call->settings;
	struct mime_limits limits = {.parts = s->mime_parts_max,
		.depth = s->mime_depth_max,
		.header_bytes = 1024 * 1024};

	if (account_mail_prepare(run->call->server->store, item->sms.raw.data, item->sms.raw.len,
		    &limits, &item->mail, err) < 0)
		return -1;
	item->prepared = true;
	if (item->item_class == ITEM_SMS)
		item->mail.conversation = 0; /* conversations are of mail */
	return 0;
}

static int prepare_sms(struct sync_run *run, struct sync_command *c, struct err *err)
{
	struct sync_new_item *item = c->new_item;

	item->item_class = ITEM_SMS;
	if (sms_read(wbxml_find(c->node, TAG_AirSync_ApplicationData), run->call->now_at,
		    &item->sms, err) < 0)
		return -1;
	return prepare_mail(run, item, err);
}

static int prepare_draft(
	struct sync_run *run, struct sync_job *job, struct sync_command *c, struct err *err)
{
	const struct wbxml_node *data = wbxml_find(c->node, TAG_AirSync_ApplicationData);
	const struct wbxml_node *flag = wbxml_find(data, TAG_Email_Flag);
	const struct wbxml_node *categories = wbxml_find(data, TAG_Email_Categories);
	struct sync_new_item *item = c->new_item;

	item->item_class = ITEM_MAIL;
	item->sms.date_at = run->call->now_at;
	item->sms.is_read = eas_get_bool(data, TAG_Email_Read, true);
	if (flag != NULL)
		email_flag_parse(flag, &item->sms.flag_status, &item->sms.flag);
	if (categories != NULL)
		email_categories_parse(categories, &item->sms.categories);
	if (sync_draft_read_add(run, job, c, &item->sms.raw, &item->leaving, err) < 0)
		return -1;
	return c->refused != 0 || item->leaving != NULL ? 0 : prepare_mail(run, item, err);
}

static int prepare_one(
	struct sync_run *run, struct sync_job *job, struct sync_command *c, struct err *err)
{
	bool sms = sync_add_is_sms(c) && eas_folder_is_mail(job->folder->type);

	if (c->node->fault != 0 || (!sms && !sync_draft_is_add(run, job, c)))
		return 0;
	c->new_item = arena_x_new(run->call->arena, struct sync_new_item);
	return sms ? prepare_sms(run, c, err) : prepare_draft(run, job, c, err);
}

int sync_add_prepare(struct sync_run *run, struct sync_job *job, struct err *err)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_command *c = &job->commands[i];

		c->refused = c->node->fault;
		if (prepare_one(run, job, c, err) == 0)
			continue;
		if (err->code != ERR_BAD_INPUT && err->code != ERR_QUOTA)
			return -1;
		log_info(&run->call->reply->log, "item_refused", F_ERR(err));
		c->refused = err->code == ERR_QUOTA ? SYNC_STATUS_FULL : SYNC_STATUS_BAD_ITEM;
		*err = (struct err)ERR_INIT;
	}
	return 0;
}

void sync_add_finish(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_new_item *item = job->commands[i].new_item;

		if (item != NULL && item->left)
			outgoing_finish(item->leaving);
	}
}

void sync_add_release(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_new_item *item = job->commands[i].new_item;

		if (item == NULL)
			continue;
		if (item->prepared)
			account_mail_release(&item->mail);
		outgoing_mail_free(&item->leaving);
		sms_deinit(&item->sms);
		job->commands[i].new_item = NULL;
	}
}

/* The phone has added just that before. What became of the item meanwhile, it is to be told. */
static int add_again(struct sync_job *job, struct store_read *rd, struct item_id id,
	struct sync_answer *answer, struct err *err)
{
	bool held = id_set_has(&job->next.inventory, id.v);
	struct item_row row;

	if (store_item_row(rd, job->gens.owner, job->folder->id, id, &row, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT;
		held = false;
	}
	answer->item = id.v;
	answer->added = id_set_add(&job->next.inventory, id.v);
	if (held)
		return 0;
	answer->resend_groups = SYNC_ALL_GROUPS;
	if (!sync_state_add_resend(&job->next, id.v, SYNC_ALL_GROUPS))
		return err_set(err, ERR_BUSY, "too many changes wait to be put right");
	return 0;
}

static int set_flags(struct store_tx *tx, const struct account_ops *ops, struct sync_run *run,
	struct sync_job *job, const struct sms *sms, struct item_id id, struct err *err)
{
	struct device_id device = run->call->device->id;

	if (sms->flag_status != 0 &&
		ops->set_flag(tx, job->gens.owner, job->folder->id, id, sms->flag_status,
			sms->flag.data, sms->flag.len, device, NULL, err) < 0)
		return -1;
	return sms->categories.len == 0
		       ? 0
		       : ops->set_categories(tx, job->gens.owner, job->folder->id, id,
				 sms->categories.data, sms->categories.len, device, NULL, err);
}

static int insert(struct store_tx *tx, const struct account_ops *ops, struct sync_run *run,
	struct sync_job *job, struct sync_command *c, struct item_id *ret, struct err *err)
{
	const struct sync_new_item *added = c->new_item;
	struct eas_call *call = run->call;
	struct new_item item = {
		.item_class = added->item_class,
		.date_at = added->sms.date_at,
		.is_read = added->sms.is_read,
		.body = &added->mail.body,
		.summary = added->mail.summary,
		.summary_len = added->mail.summary_len,
		.conversation = added->mail.conversation,
		.device = call->device->id,
	};

	if (ops->add_item(tx, job->gens.owner, job->folder->id, &item, ret, err) < 0 ||
		set_flags(tx, ops, run, job, &added->sms, *ret, err) < 0)
		return -1;
	return store_added_note(tx, job->gens.owner, call->device->id, job->folder->id,
		c->content_hash, *ret, call->now_at,
		call->now_at - (int64_t)call->settings->mail_sent_memory_h * 3600, err);
}

/* 1: added before, and answered so. */
static int find_added(struct store_read *rd, struct sync_run *run, struct sync_job *job,
	const struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	struct item_id id;

	if (store_added_find(rd, job->gens.owner, run->call->device->id, job->folder->id,
		    c->content_hash, &id, err) == 0)
		return add_again(job, rd, id, answer, err) < 0 ? -1 : 1;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	*err = (struct err)ERR_INIT;
	return 0;
}

static int add_new(struct store_tx *tx, const struct account_ops *ops, struct sync_run *run,
	struct sync_job *job, struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	struct item_row row;
	struct item_id id;

	if (insert(tx, ops, run, job, c, &id, err) < 0 ||
		store_item_row(store_tx_read(tx), job->gens.owner, job->folder->id, id, &row, err) <
			0)
		return -1;
	(void)id_set_add(&job->next.inventory, id.v);
	sync_state_add_own(&job->next, id.v, SYNC_ALL_GROUPS, row.changed_seq);
	answer->item = id.v;
	answer->added = true;
	answer->own_seq = row.changed_seq;
	answer->own_groups = SYNC_ALL_GROUPS;
	return 0;
}

int sync_add_apply(struct store_tx *tx, const struct account_ops *ops, struct sync_run *run,
	struct sync_job *job, struct sync_command *c, struct sync_answer *answer, struct err *err)
{
	struct sync_new_item *item = c->new_item;
	int found = 0;

	if (item == NULL || c->refused != 0) {
		answer->status = c->refused != 0 ? c->refused : SYNC_STATUS_BAD_ITEM;
		return 0;
	}
	item->left = false;
	if (item->leaving == NULL)
		found = find_added(store_tx_read(tx), run, job, c, answer, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	/* Another Add of this request has that ClientId: two answers could not be told apart. */
	if (sync_state_find_answer(&job->next, c->hash) != NULL) {
		answer->status = SYNC_STATUS_BAD_ITEM;
		return 0;
	}
	if (item->leaving == NULL)
		return add_new(tx, ops, run, job, c, answer, err);
	if (sync_draft_send(tx, job, c, item->leaving, err) < 0)
		return -1;
	item->left = true;
	return 0;
}
