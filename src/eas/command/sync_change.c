/*
 * A phone's Change of a message ([MS-ASCMD] 2.2.3.24; conflicts 2.2.3.34): its property groups one
 * by one. What somebody else changed meanwhile is a conflict; what this phone changed itself, also
 * in a request whose answer got lost, is none.
 */
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "eas/class/email.h"
#include "eas/class/email_draft.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

struct change {
	const struct sync_writer *to;
	struct sync_job *job;
	struct item *item;
	struct sync_answer *answer;
};

/* A group that a phone can change: its element, and what is done with it. */
struct group {
	enum sync_group group;
	unsigned tag;
	uint64_t (*seq)(const struct item_row *row);
	bool (*same)(const struct item *item, const struct wbxml_node *value);
	int (*set)(const struct change *c, const struct wbxml_node *value, uint64_t *ret_seq,
		struct err *err);
};

/* An empty tag counts as 1. */
static bool is_true(const struct wbxml_node *value)
{
	return value->len == 0 || value->text[0] != '0';
}

static uint64_t read_seq(const struct item_row *row)
{
	return row->read_seq;
}

static bool read_same(const struct item *item, const struct wbxml_node *value)
{
	return item->is_read == is_true(value);
}

static int read_set(
	const struct change *c, const struct wbxml_node *value, uint64_t *ret_seq, struct err *err)
{
	return c->to->ops->set_read(c->to->tx, c->job->gens.owner, c->job->folder->id,
		c->item->row.id, is_true(value), c->job->gens.device, ret_seq, err);
}

static uint64_t flag_seq(const struct item_row *row)
{
	return row->flag_seq;
}

static bool flag_same(const struct item *item, const struct wbxml_node *value)
{
	struct buf blob = BUF_INIT;
	uint8_t status;
	bool same;

	email_flag_parse(value, &status, &blob);
	same = status == item->flag_status && blob.len == item->flag_len &&
	       (blob.len == 0 || memcmp(blob.data, item->flag, blob.len) == 0);
	buf_deinit(&blob);
	return same;
}

static int flag_set(
	const struct change *c, const struct wbxml_node *value, uint64_t *ret_seq, struct err *err)
{
	struct buf blob = BUF_INIT;
	uint8_t status;
	int result;

	email_flag_parse(value, &status, &blob);
	result = c->to->ops->set_flag(c->to->tx, c->job->gens.owner, c->job->folder->id,
		c->item->row.id, status, blob.data, blob.len, c->job->gens.device, ret_seq, err);
	buf_deinit(&blob);
	return result;
}

static uint64_t categories_seq(const struct item_row *row)
{
	return row->categories_seq;
}

static bool categories_same(const struct item *item, const struct wbxml_node *value)
{
	struct buf blob = BUF_INIT;
	bool same;

	email_categories_parse(value, &blob);
	same = blob.len == item->categories_len &&
	       (blob.len == 0 || memcmp(blob.data, item->categories, blob.len) == 0);
	buf_deinit(&blob);
	return same;
}

static int categories_set(
	const struct change *c, const struct wbxml_node *value, uint64_t *ret_seq, struct err *err)
{
	struct buf blob = BUF_INIT;
	int result;

	email_categories_parse(value, &blob);
	result = c->to->ops->set_categories(c->to->tx, c->job->gens.owner, c->job->folder->id,
		c->item->row.id, blob.data, blob.len, c->job->gens.device, ret_seq, err);
	buf_deinit(&blob);
	return result;
}

static const struct group groups[] = {
	{SYNC_READ, TAG_Email_Read, read_seq, read_same, read_set},
	{SYNC_FLAG, TAG_Email_Flag, flag_seq, flag_same, flag_set},
	{SYNC_CATEGORIES, TAG_Email_Categories, categories_seq, categories_same, categories_set},
};

/* Of a draft: everything else that a phone writes (sync_draft.c). */
static uint64_t content_seq(const struct item_row *row)
{
	return row->content_seq;
}

static const struct group content = {.group = SYNC_CONTENT, .seq = content_seq};

uint8_t sync_change_groups(const struct wbxml_node *command)
{
	const struct wbxml_node *data = wbxml_find(command, TAG_AirSync_ApplicationData);
	uint8_t found = 0, all = 0;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		all |= groups[i].group;
		if (data != NULL && wbxml_find(data, groups[i].tag) != NULL)
			found |= groups[i].group;
	}
	if (wbxml_find(command, TAG_Email2_Send) != NULL || email_draft_has_content(data))
		found |= SYNC_CONTENT;
	return found != 0 ? found : all;
}

/* Somebody else changed that group since this phone's last word. */
static bool is_foreign(const struct change *c, const struct group *g)
{
	const struct item_row *row = &c->item->row;
	uint64_t seq = g->seq(row);

	if (sync_state_has_seen(&c->job->next, row, seq) ||
		sync_state_is_own(&c->job->next, row->id.v, g->group, seq))
		return false;
	/* Or was it this phone, in the request whose answer got lost? */
	return !c->job->repeated ||
	       !sync_collection_is_own(&c->job->gens, row->id.v, g->group, seq);
}

/*
 * The change will move the item's row beyond the position. What was told with the row up to now
 * must not look like somebody else's then, neither to the next request nor to this one, repeated.
 */
static void note_seen(const struct change *c)
{
	const struct item_row *row = &c->item->row;
	const uint64_t seqs[] = {
		row->content_seq, row->read_seq, row->flag_seq, row->categories_seq, row->verb_seq};

	if (!sync_state_has_seen(&c->job->next, row, row->changed_seq))
		return;
	c->answer->seen_seq = row->changed_seq;
	for (size_t i = 0; i < ARRAY_LEN(seqs); i++) {
		if (seqs[i] > c->job->next.since)
			sync_state_add_own(&c->job->next, row->id.v, (uint8_t)(1u << i), seqs[i]);
	}
}

static int set_group(const struct change *c, const struct group *g, const struct wbxml_node *value,
	struct err *err)
{
	uint64_t seq_before = g->seq(&c->item->row), seq;

	if (g->set(c, value, &seq, err) < 0)
		return -1;
	if (seq == seq_before)
		return 0;
	sync_state_add_own(&c->job->next, c->answer->item, g->group, seq);
	c->answer->own_seq = seq;
	c->answer->own_groups |= g->group;
	return 0;
}

/* The server wins, unless both want the same. */
static bool is_refused(const struct change *c, const struct wbxml_node *data, bool foreign[])
{
	const struct sync_options *options = &c->job->next.scope.options;
	bool refused = false;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		const struct wbxml_node *value = wbxml_find(data, groups[i].tag);

		foreign[i] = value != NULL && is_foreign(c, &groups[i]);
		if (foreign[i] && !groups[i].same(c->item, value))
			refused = true;
	}
	return refused && options->conflict != 0;
}

/* What is new in a draft, or that it goes. */
static int apply_draft(
	const struct change *c, struct sync_command *command, bool foreign, struct err *err)
{
	uint64_t seq;

	if (sync_draft_sends(command))
		return sync_draft_send_change(c->to, c->job, command, c->item, c->answer, err);
	if (sync_draft_store(c->to, c->job, command, c->item, c->answer, &seq, err) < 0)
		return -1;
	/* Where somebody else has written, too, the phone does not have the whole of it. */
	if (seq != 0 && !foreign) {
		sync_state_add_own(&c->job->next, c->answer->item, SYNC_CONTENT, seq);
		c->answer->own_seq = seq;
		c->answer->own_groups |= SYNC_CONTENT;
	}
	if (command->send_refused != 0)
		c->answer->status = command->send_refused;
	return 0;
}

/* The draft is to be written in this run: not by a command that is known to be done. */
static bool writes_draft(
	const struct change *c, const struct sync_command *command, bool again, bool foreign)
{
	if (command->draft == NULL)
		return false;
	return !again || (!foreign && !sync_draft_sends(command) &&
				 command->done_seq != c->item->row.content_seq);
}

int sync_change_apply(const struct sync_writer *to, struct sync_job *job,
	struct sync_command *command, bool again, struct sync_answer *answer, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct wbxml_node *data = wbxml_find(command->node, TAG_AirSync_ApplicationData);
	struct change c = {to, job, NULL, answer};
	bool foreign[ARRAY_LEN(groups)] = {false}, foreign_content, refused;

	if (!id_set_has(&job->next.inventory, command->item.v))
		return err_set(err, ERR_NOT_FOUND, "the phone does not hold that item");
	if (store_item_load(store_tx_read(to->tx), job->gens.owner, job->folder->id, command->item,
		    arena, &c.item, err) < 0)
		return -1;
	/* Mail that is no draft cannot be written or sent: the phone must not believe that it was.
	 */
	if (command->writes_mail && command->draft == NULL && c.item->row.item_class == ITEM_MAIL) {
		answer->status = SYNC_STATUS_BAD_ITEM;
		return 0;
	}
	foreign_content = command->draft != NULL && is_foreign(&c, &content);
	refused = is_refused(&c, data, foreign) ||
		  (foreign_content && job->next.scope.options.conflict != 0);
	if (refused && !again) {
		answer->status = SYNC_STATUS_CONFLICT;
		return 0;
	}
	note_seen(&c);
	for (size_t i = 0; i < ARRAY_LEN(groups) && !sync_draft_sends(command); i++) {
		const struct wbxml_node *value = wbxml_find(data, groups[i].tag);

		/* Done before, and somebody has changed it since: that stands. */
		if (value == NULL || (again && foreign[i]))
			continue;
		if (set_group(&c, &groups[i], value, err) < 0)
			return -1;
	}
	return writes_draft(&c, command, again, foreign_content)
		       ? apply_draft(&c, command, foreign_content, err)
		       : 0;
}
