/*
 * What the phone gets: the server's changes, rendered while they are collected, and the answers to
 * its own commands
 * ([MS-ASCMD] 2.2.3.24 ... 2.2.3.152). MoreAvailable stands before Commands (Windows Mobile
 * insists), and only the collecting tells whether it is due: so items are written to a buffer of
 * their own first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eas/access.h"
#include "eas/class/email.h"
#include "eas/class/email_draft.h"
#include "eas/command/sync_internal.h"
#include "eas/remember.h"
#include "eas/request.h"

/* That many rows without anything to tell are worth a write, so that they are read once. */
#define INVISIBLE_ROWS_KEPT 16
/* Commands and its children are on the AirSync page. */
#define ITEMS_PAGE (TAG_AirSync_Commands >> 8)

struct encoder {
	struct sync_run *run;
	struct sync_job *job;
	struct store_read *rd;
	struct wbxml_writer w;
	struct arena *arena;    /* emptied after each item */
	const char **addresses; /* of the user; in the request's arena, NULL: not looked up */
	size_t address_count;
};

static bool budget_over(const struct encoder *e)
{
	const struct sync_run *run = e->run;

	if (e->job->item_count >= e->job->window || run->window == 0)
		return true;
	/* At least one item goes into every response. */
	return run->item_count > 0 &&
	       (e->job->items.len >= run->bytes_left || clock_now_ms() >= run->deadline_ms);
}

static unsigned item_tag(enum sync_emit_kind kind)
{
	switch (kind) {
	case SYNC_EMIT_ADD:
		return TAG_AirSync_Add;
	case SYNC_EMIT_CHANGE:
		return TAG_AirSync_Change;
	case SYNC_EMIT_DELETE:
		return TAG_AirSync_Delete;
	case SYNC_EMIT_SOFT_DELETE:
		break;
	}
	return TAG_AirSync_SoftDelete;
}

/* Once for all items of a collection. */
static int find_addresses(struct encoder *e, struct email_view *view, struct err *err)
{
	struct eas_call *call = e->run->call;

	if (e->addresses == NULL && store_user_addresses(e->rd, call->user->id, call->arena,
					    &e->addresses, &e->address_count, err) < 0)
		return -1;
	view->addresses = e->addresses;
	view->address_count = e->address_count;
	return 0;
}

static int encode_application_data(struct encoder *e, const struct sync_emit *emit, struct err *err)
{
	struct email_view view = {.version = e->run->call->version,
		.options = emit->item_class == ITEM_SMS ? &e->job->next.scope.sms_options
							: &e->job->next.scope.options,
		.is_change = emit->kind == SYNC_EMIT_CHANGE,
		.no_body = emit->outside};
	/* Only Read, Flag and Categories travel alone ([MS-ASEMAIL] 3.2.5.4.1). */
	bool whole =
		emit->kind == SYNC_EMIT_ADD || (emit->groups & (SYNC_CONTENT | SYNC_VERB)) != 0;
	struct email email;
	int result = 0;

	if (whole && view.version >= 140 && find_addresses(e, &view, err) < 0)
		return -1;
	if (email_load(e->rd, e->run->call->user->id, e->job->folder->id, e->job->folder->type,
		    emit->item, whole, e->arena, &email, err) < 0)
		return -1;
	wbxml_start(&e->w, TAG_AirSync_ApplicationData);
	if (whole)
		result = email_encode(&e->w, &email, &view, err);
	else
		email_encode_groups(&e->w, &email, &view, emit->groups);
	wbxml_end(&e->w);
	email_release(&email);
	return result;
}

static int encode_item(struct encoder *e, const struct sync_emit *emit, struct err *err)
{
	char id[48];

	eas_server_id_print(e->job->folder->id, emit->item, id);
	wbxml_start(&e->w, item_tag(emit->kind));
	/* Given only when it is not the folder's own, and in 14.0 not for deletions ([MS-ASMS]). */
	if (emit->item_class == ITEM_SMS && emit->kind != SYNC_EMIT_SOFT_DELETE &&
		(emit->kind != SYNC_EMIT_DELETE || e->run->call->version > 140))
		wbxml_add_text(&e->w, TAG_AirSync_Class, "SMS");
	wbxml_add_text(&e->w, TAG_AirSync_ServerId, id);
	if ((emit->kind == SYNC_EMIT_ADD || emit->kind == SYNC_EMIT_CHANGE) &&
		encode_application_data(e, emit, err) < 0)
		return -1;
	wbxml_end(&e->w);
	if (e->job->items.failed)
		return err_set(err, ERR_BUSY, "no memory for a Sync response");
	return 0;
}

static void note_set_aside(struct encoder *e, struct item_id item, const char *why)
{
	struct sync_job *job = e->job;
	struct sync_set_aside *list =
		arena_x_alloc(e->run->call->arena, (job->set_aside_count + 1) * sizeof(*list));

	if (job->set_aside_count > 0)
		memcpy(list, job->set_aside, job->set_aside_count * sizeof(*list));
	list[job->set_aside_count++] = (struct sync_set_aside){item, why};
	job->set_aside = list;
	log_error(&e->run->call->reply->log, "item_withheld", F_UINT("folder", job->folder->id.v),
		F_UINT("item", item.v), F_STR("why", why));
}

static enum sync_emit_result on_emit(const struct sync_emit *emit, void *owner, struct err *err)
{
	struct encoder *e = owner;
	struct wbxml_mark mark;
	bool shows = emit->kind == SYNC_EMIT_ADD || emit->kind == SYNC_EMIT_CHANGE;

	if (budget_over(e))
		return SYNC_EMIT_FULL;
	if (shows && e->job->reject && e->job->base->suspect == emit->item.v) {
		note_set_aside(e, emit->item, "the phone does not take it");
		return SYNC_EMIT_WITHHELD;
	}
	mark = wbxml_mark(&e->w);
	arena_clear(e->arena);
	if (encode_item(e, emit, err) < 0) {
		wbxml_rewind(&e->w, &mark);
		if (err->code != ERR_BAD_INPUT || !shows)
			return SYNC_EMIT_FAILED;
		/* One item that cannot be shown must not stop the others. */
		note_set_aside(e, emit->item, arena_x_strdup(e->run->call->arena, err->text));
		*err = (struct err)ERR_INIT;
		return SYNC_EMIT_WITHHELD;
	}
	if (e->run->item_count > 0 && e->job->items.len > e->run->bytes_left) {
		wbxml_rewind(&e->w, &mark);
		return SYNC_EMIT_FULL;
	}
	e->job->first_item = e->job->item_count == 0 ? emit->item.v : e->job->first_item;
	e->job->item_count++;
	e->run->item_count++;
	e->run->window--;
	return SYNC_EMIT_SENT;
}

void sync_limit_repeats(struct sync_run *run, struct sync_job *job)
{
	uint32_t most = run->call->settings->sync_repeats_max;

	if (!job->repeated || most == 0 || job->base->repeats <= most / 2)
		return;
	/* It has had the same answer so often that something in it must be at fault: one by one. */
	job->window = 1;
	job->reject = job->base->repeats >= most;
}

/* Which item goes out alone, to know which one it was when the request comes again. */
static void note_suspect(struct sync_job *job)
{
	job->base->suspect = job->item_count == 1 ? job->first_item : 0;
	if (!job->reject || job->set_aside_count == 0)
		return;
	/* Also when this answer is not taken: whoever is next gets its own number of attempts. */
	for (size_t i = 0; i < job->set_aside_count; i++)
		sync_state_withhold(job->base, job->set_aside[i].item.v);
	job->base->repeats /= 2;
}

static int encode_notice(struct encoder *e, struct err *err)
{
	struct email_view view = {
		.version = e->run->call->version, .options = &e->job->next.scope.options};
	struct email email;
	char id[48];
	int result;

	if (view.version >= 140 && find_addresses(e, &view, err) < 0)
		return -1;
	if (eas_notice_load(e->run->call, e->rd, e->job->folder, e->arena, &email, err) < 0)
		return -1;
	eas_server_id_print(e->job->folder->id, EAS_NOTICE_ITEM, id);
	wbxml_start(&e->w, TAG_AirSync_Add);
	wbxml_add_text(&e->w, TAG_AirSync_ServerId, id);
	wbxml_start(&e->w, TAG_AirSync_ApplicationData);
	result = email_encode(&e->w, &email, &view, err);
	wbxml_end(&e->w);
	wbxml_end(&e->w);
	email_release(&email);
	return result;
}

/* The message that explains a quarantine comes with it, and goes when it is over. *ret_told: it
 * did. */
static int collect_notice(struct encoder *e, bool *ret_told, struct err *err)
{
	struct sync_state *next = &e->job->next;
	enum eas_mute mute = e->run->call->mute;
	bool held = next->notice == SYNC_NOTICE_HELD;
	char id[48];

	if (held ? mute != EAS_MUTE_NONE
		 : mute != EAS_MUTE_NOTICE || e->job->folder->type != FOLDER_INBOX)
		return 0;
	if (held) {
		eas_server_id_print(e->job->folder->id, EAS_NOTICE_ITEM, id);
		wbxml_start(&e->w, TAG_AirSync_Delete);
		wbxml_add_text(&e->w, TAG_AirSync_ServerId, id);
		wbxml_end(&e->w);
	} else if (encode_notice(e, err) < 0) {
		return -1;
	}
	next->notice = held ? SYNC_NOTICE_NONE : SYNC_NOTICE_HELD;
	/* It is part of the answer and not of the window: a window of 1 must not hold it back. */
	e->job->item_count++;
	e->run->item_count++;
	*ret_told = true;
	return 0;
}

int sync_collect_job(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err)
{
	struct encoder e = {.run = run, .job = job, .rd = rd, .arena = arena_new(0)};
	struct sync_collect_options options = {
		.now_at = run->call->now_at,
		.deadline_ms = run->deadline_ms,
		.emit = on_emit,
		.owner = &e,
	};
	struct sync_collect_result result = {.more = false};
	bool told = false;
	int failed;

	buf_init(&job->items, 0);
	wbxml_writer_init_part(&e.w, &job->items, ITEMS_PAGE);
	failed = collect_notice(&e, &told, err);
	if (failed == 0 && run->call->mute == EAS_MUTE_NONE)
		failed = sync_collect(rd, run->call->user->id, job->folder->id, &job->next,
			&options, &result, err);
	arena_free(&e.arena);
	if (failed < 0)
		return -1;
	if (job->repeated)
		note_suspect(job);
	job->items_page = e.w.page;
	job->more = result.more;
	job->visited =
		result.compared_ids || result.visited - result.emitted >= INVISIBLE_ROWS_KEPT;
	run->bytes_left -= MIN(run->bytes_left, job->items.len);
	/* The response was filled by the collections before: this one waits, with its key. */
	if (!told && result.emitted == 0 && result.more && run->item_count > 0)
		return 0;
	/* A key of its own also when only a long scan got on: the phone comes again. */
	if ((told || result.emitted > 0 || result.more) && !job->new_key) {
		job->next.key = sync_key_new();
		job->new_key = true;
	}
	if (run->call->mute != EAS_MUTE_NONE)
		return 0;
	return sync_swallow(rd, run->call->user->id, job->folder->id, &job->next, err);
}

/* ---- the response ---- */

/* Attachments that were added have got their names ([MS-ASAIRS] 2.2.2.24.1). */
static bool adds_attachments(const struct sync_command *c)
{
	const struct wbxml_node *data = wbxml_find(c->node, TAG_AirSync_ApplicationData);
	const struct wbxml_node *attachments = wbxml_find(data, TAG_AirSyncBase_Attachments);

	return wbxml_find(attachments, TAG_AirSyncBase_Add) != NULL;
}

static bool needs_answer(const struct sync_command *c)
{
	switch (c->node->tag) {
	case TAG_AirSync_Add:
	case TAG_AirSync_Fetch:
		return true;
	default:
		return c->status != SYNC_STATUS_OK || adds_attachments(c);
	}
}

static bool has_answers(const struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		if (needs_answer(&job->commands[i]))
			return true;
	}
	return false;
}

bool sync_job_has_news(const struct sync_job *job)
{
	return job->status != SYNC_STATUS_OK || job->new_key || has_answers(job) || job->more;
}

/* Fetch asks for the whole item, in the body type of the collection ([MS-ASCMD] 2.2.3.67.2). */
static void untruncated(const struct sync_options *from, struct sync_options *ret)
{
	*ret = *from;
	ret->truncation = ret->mime_truncation = SYNC_TRUNCATION_NONE;
	for (size_t i = 0; i < ret->preference_count; i++)
		ret->preferences[i].has_truncation = false;
	ret->part.has_truncation = false;
}

static int encode_fetched(struct sync_run *run, struct sync_job *job, struct store_read *rd,
	struct item_id id, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_writer *w = &run->call->writer;
	const struct sync_scope *scope = &job->next.scope;
	struct sync_options options;
	struct email_view view = {.version = run->call->version, .options = &options};
	const char **addresses;
	struct email email;
	int result;

	if (store_user_addresses(
		    rd, run->call->user->id, arena, &addresses, &view.address_count, err) < 0)
		return -1;
	view.addresses = addresses;
	if (run->call->mute == EAS_MUTE_NOTICE && id.v == EAS_NOTICE_ITEM.v) {
		if (eas_notice_load(run->call, rd, job->folder, arena, &email, err) < 0)
			return -1;
	} else if (eas_mute_closes(run->call->mute)) {
		return err_set(err, ERR_NOT_FOUND, "the device is in quarantine");
	} else if (run->call->mute == EAS_MUTE_QUOTA) {
		return err_set(err, ERR_QUOTA, "the device was sent all that it may be sent today");
	} else if (email_load(rd, run->call->user->id, job->folder->id, job->folder->type, id, true,
			   arena, &email, err) < 0) {
		return -1;
	}
	if (run->fetched && run->call->reply->body.len + email.item->body_bytes >
				    run->call->settings->eas_operations_max_bytes) {
		email_release(&email);
		return err_set(err, ERR_QUOTA, "more is fetched at once than an answer may hold");
	}
	run->fetched = true;
	untruncated(email.item->row.item_class == ITEM_SMS ? &scope->sms_options : &scope->options,
		&options);
	wbxml_add_uint(w, TAG_AirSync_Status, SYNC_STATUS_OK);
	wbxml_start(w, TAG_AirSync_ApplicationData);
	result = email_encode(w, &email, &view, err);
	wbxml_end(w);
	email_release(&email);
	return result;
}

static void encode_fetch(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, const char *server_id)
{
	struct wbxml_writer *w = &run->call->writer;
	struct wbxml_mark mark = wbxml_mark(w);
	struct err err = ERR_INIT;
	struct item_id id;

	if (eas_server_id_parse(server_id, job->folder->id, &id) &&
		encode_fetched(run, job, rd, id, &err) == 0)
		return;
	wbxml_rewind(w, &mark);
	if (err.code == ERR_NONE || err.code == ERR_NOT_FOUND)
		wbxml_add_uint(w, TAG_AirSync_Status, SYNC_STATUS_NOT_FOUND);
	else
		wbxml_add_uint(w, TAG_AirSync_Status,
			err.code == ERR_QUOTA && run->call->version >= 121 ? SYNC_STATUS_RETRY
									   : SYNC_STATUS_SERVER);
}

/* A class is given only when it is not the folder's own. */
static int answer_is_sms(struct sync_run *run, struct sync_job *job, struct store_read *rd,
	const struct sync_command *c, bool *ret, struct err *err)
{
	uint8_t item_class = 0;

	*ret = sync_add_is_sms(c) && run->call->version >= 140;
	if (*ret || c->item.v == 0 || run->call->version < 140)
		return 0;
	if (store_item_class(rd, run->call->user->id, job->folder->id, c->item, job->base->position,
		    &item_class, err) < 0)
		return -1;
	*ret = item_class == ITEM_SMS;
	return 0;
}

/* Nothing for a draft that is gone since. */
static void encode_added(struct sync_run *run, struct sync_job *job, struct store_read *rd,
	const struct sync_command *c)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_writer *w = &run->call->writer;
	struct wbxml_mark mark = wbxml_mark(w);
	struct err ignored = ERR_INIT;
	struct email email;
	size_t begun;

	if (email_load(rd, run->call->user->id, job->folder->id, job->folder->type, c->item, true,
		    arena, &email, &ignored) < 0)
		return;
	wbxml_start(w, TAG_AirSync_ApplicationData);
	begun = w->out->len;
	email_draft_encode_added(
		w, &email, wbxml_find(c->node, TAG_AirSync_ApplicationData), run->call->device->id);
	if (w->out->len == begun)
		wbxml_rewind(w, &mark);
	else
		wbxml_end(w);
	email_release(&email);
}

static void encode_answer(struct sync_run *run, struct sync_job *job, struct store_read *rd,
	const struct sync_command *c, bool is_sms)
{
	struct wbxml_writer *w = &run->call->writer;
	const char *server_id = wbxml_text(c->node, TAG_AirSync_ServerId);
	char id[48];

	wbxml_start(w, c->node->tag);
	if (is_sms)
		wbxml_add_text(w, TAG_AirSync_Class, "SMS");
	if (c->node->tag == TAG_AirSync_Add) {
		wbxml_add_text(
			w, TAG_AirSync_ClientId, eas_get_text(c->node, TAG_AirSync_ClientId, ""));
		/* One that was sent is no item here. */
		if (c->status == SYNC_STATUS_OK && c->item.v != 0) {
			eas_server_id_print(job->folder->id, c->item, id);
			wbxml_add_text(w, TAG_AirSync_ServerId, id);
		}
	} else {
		wbxml_add_text(w, TAG_AirSync_ServerId, server_id);
	}
	if (c->node->tag == TAG_AirSync_Fetch)
		encode_fetch(run, job, rd, server_id != NULL ? server_id : "");
	else
		wbxml_add_uint(w, TAG_AirSync_Status, c->status);
	if (c->status == SYNC_STATUS_OK && c->item.v != 0 && adds_attachments(c))
		encode_added(run, job, rd, c);
	wbxml_end(w);
}

static int encode_each_answer(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err)
{
	struct wbxml_writer *w = &run->call->writer;
	struct wbxml_mark mark = wbxml_mark(w);
	size_t count = 0;

	wbxml_start(w, TAG_AirSync_Responses);
	for (size_t i = 0; i < job->command_count; i++) {
		const struct sync_command *c = &job->commands[i];
		bool is_sms;

		if (!needs_answer(c))
			continue;
		if (answer_is_sms(run, job, rd, c, &is_sms, err) < 0)
			return -1;
		/* 14.0 has no answer to the deletion of a text message ([MS-ASMS]). */
		if (is_sms && c->node->tag == TAG_AirSync_Delete && run->call->version == 140)
			continue;
		encode_answer(run, job, rd, c, is_sms);
		count++;
	}
	wbxml_end(w);
	if (count == 0)
		wbxml_rewind(w, &mark);
	return 0;
}

static int encode_answers(struct sync_run *run, struct sync_job *job, struct err *err)
{
	struct store_read *rd;
	int result;

	if (!has_answers(job))
		return 0;
	if (store_read_begin(run->call->server->store, &rd, err) < 0)
		return -1;
	result = encode_each_answer(run, job, rd, err);
	store_read_end(&rd);
	return result;
}

/* The items are in the response then: two of a large one would be one too many. */
static void encode_items(struct wbxml_writer *w, struct sync_job *job)
{
	if (job->item_count == 0)
		return;
	wbxml_start(w, TAG_AirSync_Commands);
	wbxml_append(w, &job->items, ITEMS_PAGE, job->items_page);
	wbxml_end(w);
	buf_deinit(&job->items);
}

int sync_encode_collection(struct sync_run *run, struct sync_job *job, struct err *err)
{
	struct wbxml_writer *w = &run->call->writer;
	char key[17] = "0";
	int result = 0;

	if (job->status == SYNC_STATUS_OK)
		sync_key_print(job->next.key, key);
	wbxml_start(w, TAG_AirSync_Collection);
	if (run->call->version <= 121 && (job->folder != NULL || job->class_name != NULL))
		wbxml_add_text(w, TAG_AirSync_Class,
			job->folder != NULL ? store_folder_class(job->folder->type)
					    : job->class_name);
	wbxml_add_text(w, TAG_AirSync_SyncKey, key);
	wbxml_add_text(w, TAG_AirSync_CollectionId, job->collection_id);
	wbxml_add_uint(w, TAG_AirSync_Status, job->status);
	eas_remember_collection(run->call,
		job->folder != NULL ? store_folder_class(job->folder->type) : job->class_name,
		job->status);
	if (job->status == SYNC_STATUS_OK) {
		if (job->more)
			wbxml_add_empty(w, TAG_AirSync_MoreAvailable);
		encode_items(w, job);
		result = encode_answers(run, job, err);
	}
	wbxml_end(w);
	return result;
}
