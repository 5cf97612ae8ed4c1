/*
 * What phones do beside Sync: they move, send, and change folders (moves.c, sends.c, hierarchy.c,
 * drafts.c). A phone keeps a command until it has heard of it, and repeats the same bytes; a copy
 * may arrive late.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model.h"

struct command *command_new(struct phone *p, const char *name)
{
	struct command *c = x_new(struct command);

	c->name = name;
	c->version = model_versions[p->version];
	c->params = "";
	c->content_type = "application/vnd.ms-sync.wbxml";
	return c;
}

void command_free(struct command **c)
{
	if (*c == NULL)
		return;
	buf_deinit(&(*c)->body);
	mem_free(*c);
	*c = NULL;
}

struct command *command_copy(const struct command *c)
{
	struct command *copy = x_new(struct command);

	*copy = *c;
	copy->body = (struct buf)BUF_INIT;
	buf_add(&copy->body, c->body.data, c->body.len);
	/* Each is a writer of its own. */
	copy->writer.uid_next = 0;
	return copy;
}

/* What the phone says now: what it has not heard of yet, or something new. NULL: nothing. */
struct command *command_begin(struct world *w, struct phone *p, const struct action *a)
{
	struct command **pending = a->kind == ACT_MOVE   ? &p->move
				   : a->kind == ACT_SEND ? &p->send
							 : &p->change;

	/* Its commands are in the phone, and are written anew under the same key. */
	if (a->kind == ACT_DRAFT)
		return drafts_write(w, p, a);
	if (*pending != NULL && sends_given_up(*pending))
		command_free(pending);
	/* It asks what became of it instead. */
	if (*pending != NULL && a->kind == ACT_FOLDER && a->pick[4] % 2 == 0) {
		command_free(pending);
		*pending = hierarchy_ask(w, p);
	}
	if (*pending == NULL)
		*pending = a->kind == ACT_MOVE   ? moves_begin(w, p, a)
			   : a->kind == ACT_SEND ? sends_begin(w, p, a)
						 : hierarchy_change(w, p, a);
	else
		model_trace(w, (int)p->number, "%s again", (*pending)->name);
	return *pending != NULL ? command_copy(*pending) : NULL;
}

void command_send(struct world *w, struct phone *p, struct command *c, struct answer *ret)
{
	struct answer a = {.arena = arena_new(0)};
	void *owner = fiber_owner();

	p->drafts.op.troubled |= w->trouble && c->draft.kind != DRAFT_NONE;
	fiber_set_owner(&c->writer);
	world_post(
		w, p, c->version, c->name, c->params, c->content_type, &c->body, a.arena, &a.reply);
	a.good = a.reply.status == 200 && !vfs_is_cut() &&
		 world_decode(w, a.arena, &a.reply, &a.root);
	w->troubles += !a.good;
	model_trace(w, (int)p->number, "%s: HTTP %d%s", c->name, a.reply.status,
		a.good ? "" : ", trouble");
	/* A Status may tell of trouble, too; what was committed is published then, or was not. */
	if (!a.good)
		ledger_doubt(w, &c->writer);
	fiber_set_owner(owner);
	*ret = a;
}

static struct command **pending_of(struct phone *p, const struct command *c)
{
	if (strcmp(c->name, "MoveItems") == 0)
		return &p->move;
	return c->mail != 0 ? &p->send : &p->change;
}

void command_take(struct world *w, struct phone *p, const struct command *c, struct answer *a)
{
	bool over = false;

	if (a->good && c != NULL && strcmp(c->name, "Sync") == 0) {
		drafts_take(w, p, c, a->root);
	} else if (a->good && c != NULL) {
		if (strcmp(c->name, "MoveItems") == 0) {
			moves_take(w, p, a->root);
			over = true;
		} else {
			over = c->mail != 0 ? sends_take(w, p, c, a->root)
					    : hierarchy_take(w, p, c, a->root);
		}
		if (over)
			command_free(pending_of(p, c));
	}
	buf_deinit(&a->reply.body);
	arena_free(&a->arena);
}

void command_settle(struct world *w, struct phone *p, struct command *c)
{
	struct answer answer;

	command_send(w, p, c, &answer);
	ledger_flush(w);
	if (!answer.good)
		model_fail(w, (int)p->number, "phone %u: no answer, and no trouble", p->number);
	command_take(w, p, c, &answer);
	command_free(&c);
}

void commands_settle(struct world *w, struct phone *p)
{
	struct command **all[] = {&p->late_command, &p->move, &p->send, &p->change};

	for (size_t i = 0; i < ARRAY_LEN(all) && !w->failed; i++) {
		struct answer answer;
		struct command *c = *all[i];

		if (c == NULL || sends_given_up(c))
			continue;
		if (i > 0) {
			command_settle(w, p, command_copy(c));
			continue;
		}
		command_send(w, p, c, &answer);
		ledger_flush(w);
		command_take(w, p, NULL, &answer);
	}
	if (!w->failed) {
		hierarchy_settle(w, p);
		drafts_settle(w, p);
	}
}

void commands_free(struct phone *p)
{
	command_free(&p->late_command);
	command_free(&p->move);
	command_free(&p->send);
	command_free(&p->change);
}
