/*
 * Drafts that phones of 16.0 and later write: one Sync of the Drafts folder at a time, with one
 * command, which is repeated under its key until the phone hears of it. A draft is "m<uid>.<rev>";
 * others write it, too, send it, and delete it.
 *
 * In the end each phone holds what the store has, no draft is there twice or beside its sent self
 * (sends.c knows that it went out once), and none is lost that a phone knows to be there and nobody
 * wanted gone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mime/mime.h"
#include "model.h"

enum { ROUNDS_MAX = 12 };

bool drafts_can(const struct phone *p)
{
	return phone_version(p) >= 160;
}

void drafts_begin(struct phone *p)
{
	struct drafts *d = &p->drafts;

	*d = (struct drafts){.key = "0", .restart = d->restart};
}

static struct draft_fact *fact_of(struct world *w, uint32_t uid)
{
	return &w->draft_facts[uid % ITEMS_MAX];
}

/* ---- what it wants ---- */

static uint64_t pick_item(const struct drafts *d, uint32_t pick)
{
	uint64_t held[ITEMS_MAX];
	uint32_t count = 0;

	for (uint64_t i = 1; i < ITEMS_MAX; i++) {
		if (d->items[i].held)
			held[count++] = i;
	}
	return count == 0 ? 0 : held[pick % count];
}

static bool begin_send(struct world *w, struct draft_op *op)
{
	if (w->mail_count == ARRAY_LEN(w->mails))
		return false;
	for (size_t i = 0; i < w->mail_count; i++) {
		if (w->mails[i].uid == op->uid)
			return true; /* another phone wants the same */
	}
	w->mails[w->mail_count++] = (struct mail){.uid = op->uid};
	return true;
}

/* kind: of 6: 0 and 1 add, 2 and 3 write, 4 sends, 5 deletes. */
static void want(struct world *w, struct phone *p, const struct action *a)
{
	struct drafts *d = &p->drafts;
	struct draft_op op = {.kind = DRAFT_ADD, .item = pick_item(d, a->pick[1])};
	unsigned kind = op.item == 0 ? 0 : a->pick[0] % 6;

	if (strcmp(d->key, "0") == 0 || d->op.kind != DRAFT_NONE ||
		(kind < 2 && w->next_uid + 300 > ITEMS_MAX))
		return;
	if (kind >= 2)
		op.kind = kind == 5 ? DRAFT_DELETE : DRAFT_CHANGE;
	/* It will belong to no conversation (model_conversation()). */
	while (kind < 2 && ++w->next_uid % 3 != 0)
		;
	op.uid = kind < 2 ? w->next_uid : d->items[op.item].uid;
	op.rev = kind == 4 ? 0 : ++w->next_value;
	op.sends = kind == 4 || (kind < 4 && a->pick[2] % 6 == 0);
	if (op.sends && !begin_send(w, &op))
		return;
	if (op.sends || op.kind == DRAFT_DELETE)
		fact_of(w, op.uid)->unwanted = true;
	fact_of(w, op.uid)->writers |= (uint8_t)(1u << p->number);
	d->op = op;
	model_trace(w, (int)p->number, "draft m%u.%u: %s%s", op.uid, op.rev,
		op.kind == DRAFT_ADD      ? "add"
		: op.kind == DRAFT_CHANGE ? "write"
					  : "delete",
		op.sends ? " and send" : "");
}

/* ---- what it says ---- */

static void write_data(struct wbxml_writer *x, const struct draft_op *op)
{
	char text[40];

	wbxml_start(x, TAG_AirSync_ApplicationData);
	if (op->rev != 0) {
		wbxml_add_text(x, TAG_Email_To, "bob@example.org, x@far.example");
		(void)snprintf(text, sizeof(text), "m%u.%u", op->uid, op->rev);
		wbxml_add_text(x, TAG_Email_Subject, text);
	}
	wbxml_end(x);
}

static void write_op(struct world *w, struct wbxml_writer *x, const struct draft_op *op)
{
	char text[48];

	wbxml_start(x, TAG_AirSync_Commands);
	wbxml_start(x, op->kind == DRAFT_ADD      ? TAG_AirSync_Add
		       : op->kind == DRAFT_CHANGE ? TAG_AirSync_Change
						  : TAG_AirSync_Delete);
	if (op->kind == DRAFT_ADD) {
		(void)snprintf(text, sizeof(text), "d%u", op->uid);
		wbxml_add_text(x, TAG_AirSync_ClientId, text);
	} else {
		(void)snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, w->drafts.v, op->item);
		wbxml_add_text(x, TAG_AirSync_ServerId, text);
	}
	if (op->kind != DRAFT_DELETE)
		write_data(x, op);
	if (op->sends)
		wbxml_add_empty(x, TAG_Email2_Send);
	wbxml_end(x);
	wbxml_end(x);
}

static struct command *write_sync(struct world *w, struct phone *p)
{
	struct command *c = command_new(p, "Sync");
	struct drafts *d = &p->drafts;
	struct wbxml_writer x;
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, w->drafts.v);
	wbxml_writer_init(&x, &c->body);
	wbxml_start(&x, TAG_AirSync_Sync);
	wbxml_start(&x, TAG_AirSync_Collections);
	wbxml_start(&x, TAG_AirSync_Collection);
	wbxml_add_text(&x, TAG_AirSync_SyncKey, d->key);
	wbxml_add_text(&x, TAG_AirSync_CollectionId, id);
	wbxml_add_bool(&x, TAG_AirSync_DeletesAsMoves, false);
	if (d->op.kind != DRAFT_NONE)
		write_op(w, &x, &d->op);
	wbxml_end(&x);
	wbxml_end(&x);
	wbxml_end(&x);
	c->draft = d->op;
	if (d->op.sends) {
		c->writer.uids[c->writer.uid_count++] = d->op.uid;
		c->writer.read = true;
	}
	model_trace(w, (int)p->number, "Sync of Drafts, key %s%s", d->key,
		d->op.kind != DRAFT_NONE ? ", with a command" : "");
	return c;
}

struct command *drafts_write(struct world *w, struct phone *p, const struct action *a)
{
	if (!drafts_can(p))
		return NULL;
	want(w, p, a);
	return write_sync(w, p);
}

/* ---- what it hears ---- */

static uint64_t item_of(const struct wbxml_node *n)
{
	const char *id = wbxml_text(n, TAG_AirSync_ServerId);
	const char *colon = id != NULL ? strchr(id, ':') : NULL;

	return colon != NULL ? strtoull(colon + 1, NULL, 10) % ITEMS_MAX : 0;
}

/* "m7.12" */
static void read_subject(const char *subject, struct draft *ret)
{
	char *end = NULL;

	if (subject == NULL || subject[0] != 'm')
		return;
	ret->uid = (uint32_t)strtoul(subject + 1, &end, 10);
	ret->rev = *end == '.' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
}

/* The answer to its command: NULL: there was none, which means well. */
static const struct wbxml_node *find_answer(
	struct world *w, const struct wbxml_node *answers, const struct draft_op *op)
{
	const struct wbxml_node *n = answers != NULL ? answers->child : NULL;
	char client_id[24];

	(void)snprintf(client_id, sizeof(client_id), "d%u", op->uid);
	for (; n != NULL; n = n->next) {
		const char *id = wbxml_text(n, TAG_AirSync_ClientId);

		if (op->kind == DRAFT_ADD ? id != NULL && strcmp(id, client_id) == 0
					  : item_of(n) == op->item)
			return n;
	}
	if (op->kind == DRAFT_ADD)
		model_fail(w, -1, "the Add of draft m%u is not answered", op->uid);
	return NULL;
}

static void note_done(struct world *w, struct phone *p, const struct draft_op *op, uint64_t item)
{
	struct draft *held = &p->drafts.items[item];

	if (op->kind == DRAFT_ADD && !op->sends) {
		if (item == 0 || held->held)
			model_fail(w, (int)p->number, "phone %u: draft m%u is item %" PRIu64,
				p->number, op->uid, item);
		*held = (struct draft){.held = true, .uid = op->uid};
	}
	if (op->kind == DRAFT_DELETE)
		held->held = false;
	else if (op->rev != 0 && !op->sends)
		held->rev = fact_of(w, op->uid)->heard_rev = op->rev;
	if (op->sends)
		sends_note(w, op->uid, true);
}

static void take_answer(
	struct world *w, struct phone *p, const struct draft_op *op, const struct wbxml_node *n)
{
	const char *status = n != NULL ? wbxml_text(n, TAG_AirSync_Status) : "1";

	model_trace(w, (int)p->number, "  draft m%u.%u: Status %s", op->uid, op->rev,
		status != NULL ? status : "missing");
	if (status != NULL && strcmp(status, "1") == 0) {
		note_done(w, p, op, op->kind == DRAFT_ADD ? item_of(n) : op->item);
	} else if (status == NULL || op->kind == DRAFT_ADD ||
		   (strcmp(status, "7") != 0 && strcmp(status, "8") != 0)) {
		/* 7: another phone wrote it and wins; 8: it is gone. */
		if (!w->trouble && !p->drafts.op.troubled)
			model_fail(w, (int)p->number, "phone %u: draft m%u gets Status %s",
				p->number, op->uid, status);
		return;
	} else if (op->kind == DRAFT_DELETE) {
		p->drafts.items[op->item].held = false;
	}
	p->drafts.op.kind = DRAFT_NONE;
}

static void take_command(struct world *w, struct phone *p, const struct wbxml_node *n)
{
	uint64_t item = item_of(n);
	struct draft *held = &p->drafts.items[item], now = *held;

	read_subject(
		wbxml_text(wbxml_find(n, TAG_AirSync_ApplicationData), TAG_Email_Subject), &now);
	p->news++;
	model_trace(w, (int)p->number, "    %s %" PRIu64 ": m%u.%u",
		n->tag == TAG_AirSync_Add      ? "Add"
		: n->tag == TAG_AirSync_Change ? "Change"
					       : "Delete",
		item, now.uid, now.rev);
	if (held->held == (n->tag == TAG_AirSync_Add) || item == 0)
		model_fail(w, (int)p->number, "phone %u: news of draft %" PRIu64 ", which it %s",
			p->number, item, held->held ? "holds" : "does not hold");
	now.held = n->tag == TAG_AirSync_Add || n->tag == TAG_AirSync_Change;
	*held = now;
}

void drafts_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root)
{
	const struct wbxml_node *n =
		wbxml_find(wbxml_find(root, TAG_AirSync_Collections), TAG_AirSync_Collection);
	const char *status = n != NULL ? wbxml_text(n, TAG_AirSync_Status)
				       : wbxml_text(root, TAG_AirSync_Status);
	const struct wbxml_node *commands = wbxml_find(n, TAG_AirSync_Commands);
	struct drafts *d = &p->drafts;

	p->news = 0;
	p->more = wbxml_find(n, TAG_AirSync_MoreAvailable) != NULL;
	if (root == NULL)
		return; /* nothing new */
	model_trace(w, (int)p->number, "  Drafts: Status %s", status != NULL ? status : "missing");
	if (status != NULL && strcmp(status, "3") == 0 &&
		(d->restart || d->version != c->version)) {
		drafts_begin(p);
		p->more = true;
		return;
	}
	if (n == NULL || status == NULL || strcmp(status, "1") != 0) {
		if (!w->trouble)
			model_fail(w, (int)p->number, "phone %u: Status %s of Drafts", p->number,
				status != NULL ? status : "missing");
		return;
	}
	d->restart = false;
	d->version = c->version;
	if (c->draft.kind != DRAFT_NONE)
		take_answer(w, p, &c->draft,
			find_answer(w, wbxml_find(n, TAG_AirSync_Responses), &c->draft));
	for (const struct wbxml_node *k = commands != NULL ? commands->child : NULL; k != NULL;
		k = k->next)
		take_command(w, p, k);
	(void)snprintf(d->key, sizeof(d->key), "%s", wbxml_text(n, TAG_AirSync_SyncKey));
}

/* ---- the end ---- */

void drafts_settle(struct world *w, struct phone *p)
{
	bool first = true;

	if (!drafts_can(p))
		return;
	for (unsigned i = 0; !w->failed; i++) {
		bool wanted = p->drafts.op.kind != DRAFT_NONE || strcmp(p->drafts.key, "0") == 0;

		if (i == ROUNDS_MAX)
			model_fail(w, (int)p->number, "phone %u: its drafts never come to rest",
				p->number);
		command_settle(w, p, write_sync(w, p));
		if (!first && !wanted && p->news == 0 && !p->more)
			return;
		first = false;
	}
}

static void check_fact(struct world *w, uint32_t uid, const unsigned *counts, const uint32_t *revs)
{
	const struct draft_fact *fact = fact_of(w, uid);
	bool alone = (fact->writers & (fact->writers - 1)) == 0;

	if (counts[uid] > 1 || (sends_was_sent(w, uid) && counts[uid] > 0))
		model_fail(w, -1, "draft m%u is there %u times%s", uid, counts[uid],
			sends_was_sent(w, uid) ? ", and was sent" : "");
	if (fact->heard_rev != 0 && !fact->unwanted && counts[uid] == 0)
		model_fail(w, -1, "draft m%u is lost", uid);
	if (counts[uid] == 1 && alone && revs[uid] < fact->heard_rev)
		model_fail(w, -1, "draft m%u is %u and was %u", uid, revs[uid], fact->heard_rev);
}

static bool compare(struct world *w, struct store_read *rd, struct arena *arena, struct err *err)
{
	struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	struct draft stored[ITEMS_MAX] = {0};
	unsigned counts[ITEMS_MAX] = {0};
	uint32_t revs[ITEMS_MAX] = {0};
	struct item_row *rows;
	size_t count;

	if (store_item_scan(rd, w->anna, w->drafts, start, INT64_MIN, ITEMS_MAX, arena, &rows,
		    &count, err) < 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct mime_summary *summary;
		struct item *item;
		struct draft *d = &stored[rows[i].id.v % ITEMS_MAX];

		if (store_item_load(rd, w->anna, w->drafts, rows[i].id, arena, &item, err) < 0 ||
			mime_summary_decode(
				arena, item->summary, item->summary_len, &summary, err) < 0)
			return false;
		d->held = true;
		read_subject(summary->subject, d);
		counts[d->uid % ITEMS_MAX]++;
		revs[d->uid % ITEMS_MAX] = d->rev;
	}
	for (uint32_t uid = 1; uid <= w->next_uid; uid++)
		check_fact(w, uid, counts, revs);
	for (size_t i = 0; i < w->phone_count; i++) {
		struct phone *p = &w->phones[i];

		for (size_t k = 0; drafts_can(p) && k < ITEMS_MAX; k++) {
			const struct draft *held = &p->drafts.items[k];

			if (held->held != stored[k].held ||
				(held->held &&
					(held->uid != stored[k].uid || held->rev != stored[k].rev)))
				model_fail(w, (int)p->number,
					"phone %u: draft %zu is m%u.%u, not m%u.%u", p->number, k,
					held->uid, held->rev, stored[k].uid, stored[k].rev);
		}
	}
	return true;
}

void drafts_check(struct world *w)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct store_read *rd;

	if (store_read_begin(w->store, &rd, &err) < 0) {
		model_fail(w, -1, "%s", err.text);
		return;
	}
	if (!compare(w, rd, arena, &err))
		model_fail(w, -1, "Drafts: %s", err.text);
	store_read_end(&rd);
}
