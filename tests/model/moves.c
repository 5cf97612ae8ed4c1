/*
 * MoveItems of phones. What was moved a phone believes only when its next Syncs say so; the answer
 * has to be true at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model.h"

struct move {
	unsigned from, to;
	uint64_t item;
};

struct command *moves_begin(struct world *w, struct phone *p, const struct action *a)
{
	unsigned from = a->pick[0] % FOLDERS,
		 to = (from + 1 + a->pick[1] % (FOLDERS - 1)) % FOLDERS;
	struct command *c;
	struct wbxml_writer x;
	char id[48];

	c = command_new(p, "MoveItems");
	wbxml_writer_init(&x, &c->body);
	wbxml_start(&x, TAG_Move_MoveItems);
	for (uint32_t i = 0; i < 1 + a->pick[2] % 3; i++) {
		uint64_t item = phone_pick(p, from, a->pick[3] + i * 5);

		if (item == 0)
			continue;
		(void)snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, w->folders[from].v, item);
		wbxml_start(&x, TAG_Move_Move);
		wbxml_add_text(&x, TAG_Move_SrcMsgId, id);
		(void)snprintf(id, sizeof(id), "%" PRIu64, w->folders[from].v);
		wbxml_add_text(&x, TAG_Move_SrcFldId, id);
		(void)snprintf(id, sizeof(id), "%" PRIu64, w->folders[to].v);
		wbxml_add_text(&x, TAG_Move_DstFldId, id);
		wbxml_end(&x);
		c->writer.effects[c->writer.effect_count++] =
			(struct effect){.folder = from, .item = item, .deletes = true};
		model_trace(w, (int)p->number, "moves %u:%" PRIu64 " to folder %u", from, item, to);
	}
	wbxml_end(&x);
	if (c->writer.effect_count == 0)
		command_free(&c);
	return c;
}

/* "folder:item" of one of the folders. */
static struct truth *find_item(struct world *w, const char *id)
{
	char *end;
	uint64_t folder = strtoull(id != NULL ? id : "", &end, 10);

	return ledger_item(w, ledger_folder(w, (struct folder_id){folder}),
		*end == ':' ? strtoull(end + 1, NULL, 10) : 0);
}

static void take_one(struct world *w, struct phone *p, const struct wbxml_node *n)
{
	const char *status = wbxml_text(n, TAG_Move_Status), *id = wbxml_text(n, TAG_Move_SrcMsgId);
	const struct truth *from = find_item(w, id),
			   *to = find_item(w, wbxml_text(n, TAG_Move_DstMsgId));
	bool right = false;

	model_trace(w, (int)p->number, "  moved %s: Status %s", id != NULL ? id : "?",
		status != NULL ? status : "missing");
	if (from == NULL || status == NULL)
		right = false;
	else if (strcmp(status, "3") == 0)
		right = from->deleted && to != NULL && to->uid == from->uid;
	else if (strcmp(status, "1") == 0)
		right = from->deleted;
	else if (strcmp(status, "7") == 0)
		right = w->trouble;
	if (!right)
		model_fail(w, (int)p->number, "phone %u: its move of %s gets Status %s", p->number,
			id != NULL ? id : "?", status != NULL ? status : "missing");
}

void moves_take(struct world *w, struct phone *p, const struct wbxml_node *root)
{
	const struct wbxml_node *n = wbxml_find(root, TAG_Move_Response);

	for (; n != NULL; n = wbxml_next(n, TAG_Move_Response))
		take_one(w, p, n);
}
