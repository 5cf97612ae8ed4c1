/*
 * Sync requests: what a phone says, on their way through the network, and who takes the answer. A
 * request keeps the bytes it was sent as, because a copy of it may arrive at any time later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model.h"

struct request *request_new(struct world *w, struct phone *p)
{
	struct request *r = x_new(struct request);

	(void)w;
	r->phone = p->number;
	r->version = model_versions[p->version];
	return r;
}

void request_free(struct request **r)
{
	if (*r == NULL)
		return;
	buf_deinit(&(*r)->body);
	mem_free(*r);
	*r = NULL;
}

struct request *request_copy(const struct request *r)
{
	struct request *copy = x_new(struct request);

	*copy = *r;
	copy->body = (struct buf)BUF_INIT;
	buf_add(&copy->body, r->body.data, r->body.len);
	return copy;
}

void request_add(struct request *r, struct phone *p, const struct sent_collection *sent)
{
	struct collection *c = &p->collections[sent->folder];
	struct sent_collection *to = &r->collections[r->count++];

	*to = *sent;
	(void)snprintf(to->key, sizeof(to->key), "%s", c->key);
	to->line = c->line;
	to->pending_count = c->pending_count;
	r->begins[sent->folder] = strcmp(c->key, "0") == 0;
	if (r->begins[sent->folder])
		to->pending_count = 0;
}

/* ---- the document ---- */

static void encode_flag(struct wbxml_writer *x, uint32_t value)
{
	char text[16];

	wbxml_start(x, TAG_Email_Flag);
	if (value != 0) {
		(void)snprintf(text, sizeof(text), "f%u", value);
		wbxml_add_uint(x, TAG_Email_Status, 2);
		wbxml_add_text(x, TAG_Email_FlagType, text);
	}
	wbxml_end(x);
}

static void encode_category(struct wbxml_writer *x, uint32_t value)
{
	char text[16];

	wbxml_start(x, TAG_Email_Categories);
	if (value != 0) {
		(void)snprintf(text, sizeof(text), "c%u", value);
		wbxml_add_text(x, TAG_Email_Category, text);
	}
	wbxml_end(x);
}

static void encode_effect(struct world *w, struct wbxml_writer *x, const struct effect *e)
{
	char id[48];

	if (e->adds) {
		sms_encode_add(x, e);
		return;
	}
	(void)snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, w->folders[e->folder].v, e->item);
	wbxml_start(x, e->deletes ? TAG_AirSync_Delete : TAG_AirSync_Change);
	wbxml_add_text(x, TAG_AirSync_ServerId, id);
	if (!e->deletes) {
		wbxml_start(x, TAG_AirSync_ApplicationData);
		if ((e->groups & 1u << GROUP_READ) != 0)
			wbxml_add_bool(x, TAG_Email_Read, e->values[GROUP_READ] != 0);
		if ((e->groups & 1u << GROUP_FLAG) != 0)
			encode_flag(x, e->values[GROUP_FLAG]);
		if ((e->groups & 1u << GROUP_CATEGORY) != 0)
			encode_category(x, e->values[GROUP_CATEGORY]);
		wbxml_end(x);
	}
	wbxml_end(x);
}

/* From now on the values count that the properties have by now. */
static void note_sent(struct world *w, const struct collection *c, struct pending *pend)
{
	const struct truth *t = ledger_item(w, pend->effect.folder, pend->effect.item);

	pend->sent = true;
	for (unsigned g = 0; g < GROUPS; g++) {
		if (pend->since[g] == SIZE_MAX && t != NULL)
			/* A restored phone may wish what it wished in its other life: that was
			 * done then. */
			pend->since[g] =
				c->restart_step != 0 ? 0 : ledger_length(t, (enum group)g) - 1;
	}
}

static void shuffle(struct collection *c, uint32_t permute)
{
	struct rng rng;

	rng_seed(&rng, permute);
	for (size_t i = c->pending_count; i > 1; i--) {
		size_t j = rng_below(&rng, (uint32_t)i);
		struct pending other = c->pending[j];

		c->pending[j] = c->pending[i - 1];
		c->pending[i - 1] = other;
	}
}

static void encode_commands(struct world *w, struct wbxml_writer *x, struct request *r,
	struct collection *c, const struct sent_collection *sent)
{
	char id[48];

	if (sent->pending_count == 0 && !sent->fetch)
		return;
	wbxml_start(x, TAG_AirSync_Commands);
	for (size_t i = 0; i < sent->pending_count; i++) {
		const struct effect *e = &c->pending[i].effect;

		note_sent(w, c, &c->pending[i]);
		encode_effect(w, x, e);
		if (r->writer.effect_count < ARRAY_LEN(r->writer.effects))
			r->writer.effects[r->writer.effect_count++] = *e;
		model_trace(w, (int)r->phone, "  %s %u:%" PRIu64 " groups %x: %u %u %u",
			e->adds      ? "add"
			: e->deletes ? "delete"
				     : "change",
			e->folder, e->adds ? e->uid : e->item, e->groups, e->values[GROUP_READ],
			e->values[GROUP_FLAG], e->values[GROUP_CATEGORY]);
	}
	if (sent->fetch) {
		(void)snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, w->folders[sent->folder].v,
			sent->fetched);
		wbxml_start(x, TAG_AirSync_Fetch);
		wbxml_add_text(x, TAG_AirSync_ServerId, id);
		wbxml_end(x);
	}
	wbxml_end(x);
}

static void encode_collection(struct world *w, struct wbxml_writer *x, struct request *r,
	struct phone *p, const struct sent_collection *sent)
{
	struct collection *c = &p->collections[sent->folder];
	bool begins = r->begins[sent->folder];
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, w->folders[sent->folder].v);
	wbxml_start(x, TAG_AirSync_Collection);
	if (phone_version(p) < 121)
		wbxml_add_text(x, TAG_AirSync_Class, "Email");
	wbxml_add_text(x, TAG_AirSync_SyncKey, sent->key);
	wbxml_add_text(x, TAG_AirSync_CollectionId, id);
	if (!begins && !sent->deletes_as_moves)
		wbxml_add_bool(x, TAG_AirSync_DeletesAsMoves, false);
	if (!begins && !sent->get_changes)
		wbxml_add_bool(x, TAG_AirSync_GetChanges, false);
	else if (!begins && phone_version(p) < 121)
		wbxml_add_empty(x, TAG_AirSync_GetChanges);
	if (sent->window > 0)
		wbxml_add_uint(x, TAG_AirSync_WindowSize, sent->window);
	if (sent->options && phone_version(p) >= 140)
		wbxml_add_bool(x, TAG_AirSync_ConversationMode, c->conversations);
	if (sent->options) {
		wbxml_start(x, TAG_AirSync_Options);
		if (phone_wants_sms(p, sent->folder))
			wbxml_add_text(x, TAG_AirSync_Class, "Email");
		wbxml_add_uint(x, TAG_AirSync_FilterType, c->filter);
		wbxml_add_uint(x, TAG_AirSync_Conflict, c->conflict);
		wbxml_end(x);
		if (phone_wants_sms(p, sent->folder))
			sms_encode_options(x, c);
	}
	encode_commands(w, x, r, c, sent);
	wbxml_end(x);
	model_trace(w, (int)r->phone,
		"  folder %u: key %s, window %u%s%s%s filter %u conflict %u%s%s", sent->folder,
		sent->key, sent->window, sent->options ? ", Options" : "",
		sent->get_changes ? "" : ", no changes", sent->deletes_as_moves ? "" : ", final",
		c->filter, c->conflict,
		phone_wants_conversations(p, sent->folder) ? " conversations" : "",
		phone_wants_sms(p, sent->folder) ? " sms" : "");
}

void request_encode(struct world *w, struct request *r, struct phone *p, unsigned window_all,
	unsigned wait_s, bool partial, uint32_t permute)
{
	struct wbxml_writer x;

	model_trace(w, (int)p->number, "(%s) writes a Sync%s%s", r->version,
		partial ? ", Partial" : "", wait_s > 0 ? ", to be held" : "");
	for (size_t i = 0; permute != 0 && i < r->count; i++)
		shuffle(&p->collections[r->collections[i].folder], permute);
	r->is_short = r->is_partial = partial;
	wbxml_writer_init(&x, &r->body);
	wbxml_start(&x, TAG_AirSync_Sync);
	if (r->count > 0) {
		wbxml_start(&x, TAG_AirSync_Collections);
		for (size_t i = 0; i < r->count; i++)
			encode_collection(w, &x, r, p, &r->collections[i]);
		wbxml_end(&x);
	}
	r->waits = wait_s > 0;
	if (wait_s > 0 && phone_version(p) >= 140)
		wbxml_add_uint(&x, TAG_AirSync_HeartbeatInterval, wait_s);
	else if (wait_s > 0)
		wbxml_add_uint(&x, TAG_AirSync_Wait, wait_s / 60);
	if (window_all > 0 && phone_version(p) >= 121)
		wbxml_add_uint(&x, TAG_AirSync_WindowSize, window_all);
	if (partial)
		wbxml_add_empty(&x, TAG_AirSync_Partial);
	wbxml_end(&x);
}

/* ---- on its way ---- */

static void ignore_send(void *arg)
{
	(void)arg;
}

/* Parks the watch, or looks again until it can be. True: parked. */
static bool park(struct world *w, struct arena *arena, struct watch_id id, struct eas_reply *reply)
{
	struct ipc_handle handle = {0};
	struct watch_view view;
	unsigned marks;

	while (!watch_park(w->watches, id, &handle, &marks, ignore_send, NULL)) {
		if (marks == 0 || !watch_check_again(w->watches, id, arena, &view))
			return false;
		buf_deinit(&reply->body);
		eas_watch_check(&w->server, arena, &view, reply);
		if (reply->kind == EAS_REPLY_ANSWER) {
			(void)watch_end(w->watches, id, NULL);
			return false;
		}
	}
	return true;
}

static void finish(struct world *w, struct phone *p, struct answer *a, const char *what)
{
	const char *status;

	a->root = NULL;
	a->good = a->reply.status == 200 && a->reply.kind == EAS_REPLY_ANSWER && !vfs_is_cut() &&
		  world_decode(w, a->arena, &a->reply, &a->root);
	/* Trouble is said by a Status of the whole request, too. */
	status = a->root != NULL ? wbxml_text(a->root, TAG_AirSync_Status) : NULL;
	if (status != NULL && w->trouble &&
		(strcmp(status, "5") == 0 || strcmp(status, "16") == 0 || strlen(status) == 3))
		a->good = false;
	w->troubles += !a->good && a->reply.kind == EAS_REPLY_ANSWER;
	model_trace(w, (int)p->number, "%s HTTP %d%s%s", what, a->reply.status,
		a->reply.kind == EAS_REPLY_WAIT ? ", is held" : "",
		a->good || a->reply.kind == EAS_REPLY_WAIT ? "" : ", trouble");
}

void request_send(
	struct world *w, struct phone *p, struct request *r, bool hold, struct answer *ret)
{
	void *owner = fiber_owner();
	struct answer a = {.arena = arena_new(0)};

	fiber_set_owner(&r->writer);
	r->step = ++w->step;
	for (size_t i = 0; !hold && i < r->count; i++)
		model_trace(w, (int)p->number, "  on its way: folder %u, key %s",
			r->collections[i].folder, r->collections[i].key);
	world_request(w, p, r->version, "Sync", &r->body, a.arena, &a.reply);
	if (a.reply.kind == EAS_REPLY_WAIT && !hold) {
		(void)watch_end(w->watches, a.reply.watch, NULL);
	} else if (a.reply.kind == EAS_REPLY_WAIT) {
		p->watch = a.reply.watch;
		p->marked = false;
		request_free(&p->held);
		p->held = request_copy(r);
		if (!park(w, a.arena, a.reply.watch, &a.reply))
			p->watch.v = 0;
	}
	finish(w, p, &a, "hears");
	if (!a.good && r->writer.effect_count > 0)
		ledger_doubt(w, &r->writer);
	fiber_set_owner(owner);
	*ret = a;
}

void request_poll(struct world *w, struct phone *p, struct answer *ret)
{
	struct answer a = {.arena = arena_new(0), .reply = {.status = 503}};
	struct watch_id id = p->watch;
	struct watch_view view;

	p->marked = false;
	p->held->step = ++w->step;
	if (watch_check_begin(w->watches, id, a.arena, &view)) {
		eas_watch_check(&w->server, a.arena, &view, &a.reply);
		if (a.reply.kind == EAS_REPLY_ANSWER)
			(void)watch_end(w->watches, id, NULL);
		if (a.reply.kind == EAS_REPLY_ANSWER || !park(w, a.arena, id, &a.reply))
			p->watch.v = 0;
	}
	finish(w, p, &a, "is woken:");
	*ret = a;
}

bool answer_take(struct world *w, struct phone *p, const struct request *r, struct answer *a)
{
	bool taken = a->good && r != NULL;

	if (taken)
		phone_take(w, p, r, a->root);
	else if (a->good && w->verbose) {
		model_trace(w, (int)p->number, "  does not hear:");
		phone_trace(w, p, a->root);
	}
	buf_deinit(&a->reply.body);
	arena_free(&a->arena);
	return taken;
}

void request_give_up(struct world *w, struct phone *p)
{
	if (p->watch.v == 0)
		return;
	(void)watch_end(w->watches, p->watch, NULL);
	p->watch.v = 0;
	p->marked = false;
}
