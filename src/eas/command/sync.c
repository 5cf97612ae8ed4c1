/*
 * Sync ([MS-ASCMD] 2.2.1.21, 3.1.5.4), from top to bottom:
 *
 *   1. read the request; each collection becomes a job;
 *   2. one request at a time per collection: find the folder and the generation that its key names,
 *      take over new Options;
 *   3. do the phone's commands (sync_apply.c): a transaction each, with the new generation in it;
 *   4. collect the server's changes from one snapshot (sync_encode.c), window by window;
 *   5. store what moved, in one transaction, before the phone hears of it;
 *   6. write the response; or hold the request when there is nothing to say and the phone wants to
 * wait.
 *
 * A key moves only with a response that has a body. The generation that a request names becomes the
 * one before; a request with the key before that (its answer got lost) leaves the lost generation
 * valid as a sibling.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eas/access.h"
#include "eas/command/sync_internal.h"
#include "eas/ping_internal.h"
#include "eas/request.h"

#define HOLD_ROUNDS_MAX 5

/* ---- 2. folders, keys, Options ---- */

/* What the phone wants from now on: the blocks that stand in the request over those in force. */
static unsigned take_scope(struct sync_run *run, struct sync_job *job, struct sync_scope *scope)
{
	unsigned status = SYNC_STATUS_OK;

	if (job->options != NULL)
		status = sync_options_read(job->options, run->call->version, &scope->options);
	/* Options without a block of this class end it; no Options at all leave it. */
	if (job->options_count > 0)
		scope->sms = job->sms_options != NULL;
	if (status == SYNC_STATUS_OK && job->sms_options != NULL)
		status = sync_options_read(
			job->sms_options, run->call->version, &scope->sms_options);
	if (job->conversation_mode_given)
		scope->conversation_mode = job->conversation_mode;
	if (status == SYNC_STATUS_OK &&
		(!sync_filter_allowed(scope->options.filter, job->folder->type) ||
			!sync_filter_allowed(scope->sms_options.filter, job->folder->type)))
		status = SYNC_STATUS_PROTOCOL;
	return status;
}

/* Puts the generation that the key names where the one before belongs and leaves room for the next.
 */
static void use_generation(struct sync_run *run, struct sync_job *job, size_t used)
{
	struct sync_scope scope;

	job->base = sync_collection_use(&job->gens, used, &job->repeated);
	job->promoted = used != SYNC_CURRENT && !job->repeated;
	sync_state_copy(&job->next, job->base);
	scope = job->next.scope;
	job->status = take_scope(run, job, &scope);
	if (job->status == SYNC_STATUS_OK)
		sync_state_set_scope(&job->next, &scope, run->call->now_at);
	sync_limit_repeats(run, job);
}

static void take_supported(struct sync_job *job)
{
	struct sync_state *s = &job->next;
	size_t count = 0;

	s->has_supported = job->supported != NULL;
	if (job->supported == NULL)
		return;
	s->supported = x_calloc(SYNC_SUPPORTED_MAX, sizeof(*s->supported));
	for (const struct wbxml_node *n = job->supported->child;
		n != NULL && count < SYNC_SUPPORTED_MAX; n = n->next)
		s->supported[count++] = (uint16_t)n->tag;
	s->supported_count = count;
}

/* Key 0: nothing is held, and nothing is sent yet. */
static int begin_collection(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err)
{
	struct sync_scope scope = job->next.scope;
	uint64_t owner_seq;

	if (job->command_count > 0 || (job->get_changes_given && job->get_changes)) {
		job->status = SYNC_STATUS_PROTOCOL;
		return 0;
	}
	if (store_owner_seq(rd, run->call->user->id, &owner_seq, err) < 0)
		return -1;
	job->status = take_scope(run, job, &scope);
	if (job->status != SYNC_STATUS_OK)
		return 0;
	if (job->gens.present[SYNC_CURRENT])
		job->event = "phone starts anew";
	sync_collection_restart(&job->gens);
	sync_state_begin(
		&job->next, (uint16_t)run->call->version, owner_seq, &scope, run->call->now_at);
	take_supported(job);
	job->next.key = sync_key_new();
	job->new_key = true;
	return 0;
}

static unsigned check_class_rules(const struct sync_job *job)
{
	bool is_mail = eas_folder_is_mail(job->folder->type);
	bool is_notes = strcmp(store_folder_class(job->folder->type), "Notes") == 0;

	if (job->conversation_mode_given && !is_mail)
		return SYNC_STATUS_PROTOCOL;
	if (job->sms_options != NULL && !is_mail)
		return SYNC_STATUS_PROTOCOL;
	if (job->options_count > 1 && (job->sms_options == NULL || job->options == NULL))
		return SYNC_STATUS_PROTOCOL;
	return job->supported != NULL && is_notes ? SYNC_STATUS_PROTOCOL : SYNC_STATUS_OK;
}

static int prepare_job(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err)
{
	struct eas_call *call = run->call;
	struct folder_id id;
	size_t used;

	job->status = SYNC_STATUS_HIERARCHY;
	if (!eas_folder_id_parse(job->collection_id, &id))
		return 0;
	if (store_folder_load(rd, call->user->id, id, call->arena, &job->folder, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	job->status = check_class_rules(job);
	if (job->status != SYNC_STATUS_OK)
		return 0;
	if (sync_collection_load(rd, call->device->id, call->user->id, id, &job->gens, err) < 0)
		return -1;
	if (job->key_valid && job->key == 0)
		return begin_collection(run, job, rd, err);
	used = job->key_valid ? sync_collection_find(&job->gens, job->key, call->version)
			      : SYNC_GENERATIONS;
	if (used == SYNC_GENERATIONS) {
		job->status = SYNC_STATUS_BAD_KEY;
		job->event = "phone sent back";
		return 0;
	}
	use_generation(run, job, used);
	return 0;
}

/* ---- 3. to 5. ---- */

static bool has_writes(const struct sync_job *job)
{
	for (size_t c = 0; c < job->command_count; c++) {
		if (job->commands[c].node->tag != TAG_AirSync_Fetch)
			return true;
	}
	return false;
}

/* In quarantine nothing is taken: the phone keeps what it has and comes again with it. What it does
 * with the message that explains it is its own affair. */
static void close_job(const struct sync_run *run, struct sync_job *job)
{
	if (!eas_mute_closes(run->call->mute))
		return;
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_command *c = &job->commands[i];
		struct item_id item;

		if (c->node->tag == TAG_AirSync_Fetch)
			continue;
		if (job->status != SYNC_STATUS_OK ||
			!eas_server_id_parse(eas_get_text(c->node, TAG_AirSync_ServerId, ""),
				job->folder->id, &item) ||
			item.v != EAS_NOTICE_ITEM.v) {
			job->status =
				run->call->version >= 121 ? SYNC_STATUS_RETRY : SYNC_STATUS_SERVER;
			return;
		}
		c->status = SYNC_STATUS_OK;
		job->settled = true;
	}
	if (job->settled) {
		job->next.key = sync_key_new();
		job->new_key = true;
	}
}

static int apply_all(struct sync_run *run, struct err *err)
{
	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		if (job->status == SYNC_STATUS_OK && has_writes(job))
			close_job(run, job);
		if (job->settled)
			continue;

		if (job->status == SYNC_STATUS_OK && has_writes(job) &&
			sync_apply_commands(run, job, err) < 0)
			return -1;
	}
	return 0;
}

static int collect_step(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err)
{
	bool told;

	if (job->status != SYNC_STATUS_OK || job->base == NULL)
		return 0;
	told = eas_told_take(run->call->server, run->call->device->id, job->folder->id);
	if (job->get_changes && sync_collect_job(run, job, rd, err) < 0)
		return -1;
	/* iOS 6 goes round in circles when a Ping told of a change and the Sync has an empty answer
	 * for it (somebody has undone it meanwhile): a fresh key ends that. */
	if (told && !job->new_key && run->call->version >= 121) {
		job->next.key = sync_key_new();
		job->new_key = true;
	}
	/* Of a repeated request nothing is stored in place, for the phone may have another answer:
	 * what it wants now, and that it does not have the lost answer, needs a key of its own. */
	if (job->repeated && !job->new_key) {
		job->next.key = sync_key_new();
		job->new_key = true;
	}
	return 0;
}

static int each_job(struct sync_run *run,
	int (*step)(struct sync_run *, struct sync_job *, struct store_read *, struct err *),
	struct store_read *rd, struct err *err)
{
	int result = 0;

	for (size_t i = 0; i < run->job_count && result == 0; i++)
		result = step(run, &run->jobs[i], rd, err);
	return result;
}

/* Folders, states and changes come from one snapshot, unless the phone's own commands stand in
 * between. */
static int prepare_and_collect(struct sync_run *run, struct err *err)
{
	struct store *store = run->call->server->store;
	struct store_read *rd;
	bool writes = false;
	int result;

	for (size_t i = 0; i < run->job_count; i++)
		writes = writes || has_writes(&run->jobs[i]);
	if (store_read_begin(store, &rd, err) < 0)
		return -1;
	result = each_job(run, prepare_job, rd, err);
	/* The device was loaded before this request's turn had come. */
	if (result == 0)
		result = store_device_sync_request(rd, run->call->device->id, run->call->arena,
			&run->remembered, &run->remembered_len, err);
	if (result == 0 && writes) {
		store_read_end(&rd);
		if (apply_all(run, err) < 0 || store_read_begin(store, &rd, err) < 0)
			return -1;
	}
	if (result == 0)
		result = each_job(run, collect_step, rd, err);
	store_read_end(&rd);
	return result;
}

/* The key stays, but something behind it moved: the scope, a scan, a long run of invisible changes.
 */
static bool moved_in_place(const struct sync_job *job)
{
	return job->base != NULL && !job->repeated &&
	       (job->visited || job->promoted ||
		       !sync_scope_equal(&job->next.scope, &job->base->scope) ||
		       job->next.scan.active != job->base->scan.active ||
		       job->next.cutoff_at != job->base->cutoff_at ||
		       job->next.sms_cutoff_at != job->base->sms_cutoff_at ||
		       job->set_aside_count > 0);
}

static bool must_save(const struct sync_job *job)
{
	if (job->status != SYNC_STATUS_OK)
		return false;
	if (job->new_key)
		return !job->saved || job->item_count > 0 || job->more || job->visited ||
		       job->set_aside_count > 0;
	return moved_in_place(job);
}

int sync_check_folder(struct store_tx *tx, struct sync_job *job, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder *folder;

	if (store_folder_load(
		    store_tx_read(tx), job->gens.owner, job->gens.folder, arena, &folder, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		job->status = SYNC_STATUS_HIERARCHY;
	return -1;
}

static int save_job(struct store_tx *tx, struct sync_job *job, struct err *err)
{
	struct sync_collection *gens = &job->gens;
	bool previous = gens->present[SYNC_PREVIOUS];
	int result;

	if (sync_check_folder(tx, job, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT;
		return 0;
	}
	/* A key that stays was confirmed by the phone: the one before it is over. */
	if (!job->new_key)
		gens->present[SYNC_PREVIOUS] = false;
	result = sync_collection_save(tx, gens, &job->next, err);
	gens->present[SYNC_PREVIOUS] = previous;
	return result;
}

static int log_set_aside(struct store_tx *tx, const struct sync_run *run,
	const struct sync_job *job, struct err *err)
{
	const struct eas_call *call = run->call;

	for (size_t i = 0; i < job->set_aside_count; i++) {
		const struct sync_set_aside *aside = &job->set_aside[i];
		char id[48], result[160];
		struct log_row row = {
			.at = call->now_at,
			.actor = "server",
			.user = arena_x_printf(
				call->arena, "%s@%s", call->user->login, call->user->domain),
			.address = "",
			.device_id = call->device->device_id,
			.device_type = call->device->device_type,
			.action = "item withheld",
			.result = result,
		};

		eas_server_id_print(job->folder->id, aside->item, id);
		(void)snprintf(result, sizeof(result), "%s: %s", id, aside->why);
		if (store_log_add(tx, &row, err) < 0)
			return -1;
	}
	return 0;
}

static int save_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct sync_run *run = owner;

	for (size_t i = 0; i < run->job_count; i++) {
		const struct sync_job *job = &run->jobs[i];

		if (job->event != NULL &&
			eas_log_reset(tx, run->call, job->event, job->collection_id, err) < 0)
			return -1;
	}

	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		if (must_save(job) &&
			(save_job(tx, job, err) < 0 || log_set_aside(tx, run, job, err) < 0))
			return -1;
	}
	if (run->cache == NULL)
		return 0;
	return store_device_set_sync_request(
		tx, run->call->device->id, run->cache, run->cache_len, err);
}

static int save_all(struct sync_run *run, struct err *err)
{
	bool needed = false;

	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		/* The same answer as the one that got lost: then with the same key. */
		if (job->status == SYNC_STATUS_OK && job->repeated && job->new_key && !job->saved)
			(void)sync_collection_same_again(&job->gens, &job->next);
		needed = needed || must_save(job) || job->event != NULL;
	}
	sync_request_remember(run);
	if (run->cache != NULL && run->cache_len == run->remembered_len &&
		(run->cache_len == 0 || memcmp(run->cache, run->remembered, run->cache_len) == 0))
		run->cache = NULL;
	if (!needed && run->cache == NULL)
		return 0;
	return store_transact(run->call->server->store, save_tx, run, err);
}

/* ---- 6. the response ---- */

/* Status 4 and 12 speak of the whole request when no collection has anything else to say. */
static unsigned common_failure(const struct sync_run *run)
{
	unsigned status = run->job_count > 0 ? run->jobs[0].status : SYNC_STATUS_PROTOCOL;

	for (size_t i = 1; i < run->job_count; i++) {
		if (run->jobs[i].status != status)
			return 0;
	}
	return status == SYNC_STATUS_PROTOCOL || status == SYNC_STATUS_HIERARCHY ? status : 0;
}

static bool anything_new(const struct sync_run *run)
{
	for (size_t i = 0; i < run->job_count; i++) {
		if (sync_job_has_news(&run->jobs[i]))
			return true;
	}
	return false;
}

static int encode_response(struct sync_run *run, struct err *err)
{
	struct wbxml_writer *w = &run->call->writer;
	bool all = run->call->version < 121;

	wbxml_writer_init(w, &run->call->reply->body);
	wbxml_start(w, TAG_AirSync_Sync);
	wbxml_start(w, TAG_AirSync_Collections);
	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		if ((all || sync_job_has_news(job)) && sync_encode_collection(run, job, err) < 0)
			return -1;
	}
	wbxml_end(w);
	wbxml_end(w);
	return 0;
}

static int answer(struct sync_run *run, struct err *err)
{
	unsigned failure = common_failure(run);

	run->call->reply->status = 200;
	if (run->wait_limit != 0) {
		eas_reply_limit(run->call, SYNC_STATUS_BAD_WAIT, run->wait_limit);
		return 0;
	}
	if (failure != 0) {
		eas_reply_status(run->call, failure);
		return 0;
	}
	run->call->items_sent = run->item_count;
	if (run->call->version >= 121 && !anything_new(run))
		return 0; /* an empty body */
	return encode_response(run, err);
}

static int run_locked(struct sync_run *run, struct err *err)
{
	const struct settings *s = run->call->settings;

	run->bytes_left = s->sync_response_max_bytes;
	run->window = (unsigned)MIN((uint64_t)run->window, run->call->items_left);
	run->deadline_ms = clock_now_ms() + (int64_t)s->sync_response_time_s * 1000;
	if (prepare_and_collect(run, err) < 0 || save_all(run, err) < 0)
		return -1;
	return answer(run, err);
}

/* Forgets what a round found, so that another may follow (a change came while the watch was
 * registered). */
static void reset_jobs(struct sync_run *run)
{
	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		sync_collection_deinit(&job->gens);
		sync_state_deinit(&job->next);
		buf_deinit(&job->items);
		job->base = NULL;
		job->folder = NULL;
		job->repeated = job->promoted = job->new_key = job->saved = job->more =
			job->visited = job->settled = false;
		job->item_count = job->set_aside_count = 0;
	}
	run->item_count = 0;
	run->fetched = false;
	run->window = run->window_asked;
}

static bool wants_to_wait(const struct sync_run *run)
{
	return run->wait_s > 0 && run->call->version >= 121 && common_failure(run) == 0 &&
	       !anything_new(run);
}

/* The collections of the request, each once (a request may name one twice). */
static size_t collections_of(const struct sync_run *run, struct eas_collection *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < run->job_count; i++) {
		struct eas_collection c = {run->call->device->id, run->call->user->id, {0}};
		size_t k = 0;

		if (!eas_folder_id_parse(run->jobs[i].collection_id, &c.folder))
			continue;
		while (k < count && ret[k].folder.v != c.folder.v)
			k++;
		if (k == count)
			ret[count++] = c;
	}
	return count;
}

static int run_once(struct sync_run *run, bool *ret_wait, struct err *err)
{
	struct eas_collection *collections =
		arena_x_alloc(run->call->arena, (run->job_count + 1) * sizeof(*collections));
	size_t count = collections_of(run, collections);
	int result;

	buf_clear(&run->call->reply->body);
	eas_collections_lock(run->call->server, collections, count);
	result = run_locked(run, err);
	eas_collections_unlock(run->call->server, collections, count);
	*ret_wait = result == 0 && wants_to_wait(run);
	return result;
}

/* Is what is remembered for the device still this request? Another one may have come between our
 * transaction and the registration, and what wakes us would be said of that. */
static bool is_newest(struct sync_run *run)
{
	const uint8_t *mine = run->cache != NULL ? run->cache : run->remembered, *now = NULL;
	size_t mine_len = run->cache != NULL ? run->cache_len : run->remembered_len, now_len = 0;
	struct err ignored = ERR_INIT;
	struct store_read *rd;
	int result;

	if (store_read_begin(run->call->server->store, &rd, &ignored) < 0)
		return false;
	result = store_device_sync_request(
		rd, run->call->device->id, run->call->arena, &now, &now_len, &ignored);
	store_read_end(&rd);
	return result == 0 && now_len == mine_len &&
	       (now_len == 0 || memcmp(now, mine, now_len) == 0);
}

/* As at the end of its time: the phone has spoken again since. */
static void give_up(struct sync_run *run)
{
	(void)watch_end(run->call->server->watches, run->call->reply->watch, NULL);
	run->call->reply->kind = EAS_REPLY_ANSWER;
	run->call->reply->status = 200;
}

/* Collections whose changes the phone does not want do not wake it. Minutes may be longer than the
 * longest heartbeat: then it is held as long as that. False: something came meanwhile. */
static bool hold(struct sync_run *run)
{
	struct watch_folder *folders =
		arena_x_alloc(run->call->arena, (run->job_count + 1) * sizeof(*folders));
	struct wait_verdict verdict;
	uint32_t wait_s = (uint32_t)MIN(
		(uint64_t)run->wait_s, run->call->services.values[SERVICE_heartbeat_max_s]);
	size_t count = 0;

	for (size_t i = 0; i < run->job_count; i++) {
		const struct sync_job *job = &run->jobs[i];

		if (job->get_changes)
			folders[count++] = (struct watch_folder){
				.owner = run->call->user->id,
				.folder = job->folder->id,
				.cutoff_at = job->next.cutoff_at,
				.item_class = ITEM_MAIL,
				.exact = true,
			};
	}
	eas_hold_muted(run->call, &count, &wait_s);
	if (!eas_hold(run->call, WATCH_SYNC, folders, count, false, wait_s, &verdict))
		return false;
	if (run->call->reply->kind == EAS_REPLY_WAIT && !is_newest(run))
		give_up(run);
	return true;
}

void sync_run(struct sync_run *run)
{
	struct err err = ERR_INIT;
	bool wait = false;
	int result = run_once(run, &wait, &err);

	/* What the look finds the Sync sends, unless it was somebody's for a moment only, or
	 * belongs to an answer that got lost: then the phone gets the empty answer and asks again.
	 */
	for (unsigned round = 0; result == 0 && wait && round < HOLD_ROUNDS_MAX; round++) {
		if (!service_on(&run->call->services, SERVICE_direct_push)) {
			eas_reply_retry(run->call, run->call->settings->service_poll_after_s);
			break;
		}
		if (hold(run))
			break;
		reset_jobs(run);
		result = run_once(run, &wait, &err);
	}
	reset_jobs(run);
	if (result < 0)
		eas_reply_error(run->call, &err);
}

void eas_sync(struct eas_call *call)
{
	struct sync_run run = {.call = call};

	if (!sync_request_read(&run))
		return;
	watch_end_held(call->server->watches, call->device->id);
	sync_run(&run);
	/* One that was about to be held when this one came, and has not seen what it stored. */
	if (call->reply->kind == EAS_REPLY_ANSWER)
		watch_end_sync(call->server->watches, call->device->id);
}
