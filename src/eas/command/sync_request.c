/*
 * Reading a Sync request: its collections, its Options, and the memory of the last request for
 * those which come empty or Partial ([MS-ASCMD] 2.2.3.21, 2.2.3.124). Remembered is what the phone
 * asked, in a form of ours, per device.
 */
#include <string.h>

#include "base/mem.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

#define CACHE_FORMAT 2
#define WINDOW_MAX   512u

/*
 * What makes a command of a repeated request the same as one before, wherever it stands: an Add is
 * known by its ClientId, a Delete by its ServerId, a Change by all that is in it.
 */
static uint64_t command_hash(const struct wbxml_node *node)
{
	const struct wbxml_node *id = NULL;

	if (node->tag == TAG_AirSync_Add)
		id = wbxml_find(node, TAG_AirSync_ClientId);
	else if (node->tag == TAG_AirSync_Delete)
		id = wbxml_find(node, TAG_AirSync_ServerId);
	return eas_hash_node(id != NULL ? id : node, node->tag);
}

static unsigned clamp_window(uint64_t window)
{
	return window == 0 || window > WINDOW_MAX ? WINDOW_MAX : (unsigned)window;
}

static void read_commands(
	struct sync_run *run, struct sync_job *job, const struct wbxml_node *commands)
{
	size_t count = 0;

	for (const struct wbxml_node *n = commands->child; n != NULL; n = n->next)
		count++;
	job->commands = arena_x_alloc(run->call->arena, (count + 1) * sizeof(*job->commands));
	for (const struct wbxml_node *n = commands->child; n != NULL; n = n->next) {
		size_t at = job->command_count++;

		job->commands[at] = (struct sync_command){.node = n,
			.hash = command_hash(n),
			.content_hash = eas_hash_node(n, n->tag) & INT64_MAX};
	}
}

static void read_options_blocks(struct sync_job *job, const struct wbxml_node *collection)
{
	const struct wbxml_node *n = wbxml_find(collection, TAG_AirSync_Options);

	for (; n != NULL; n = wbxml_next(n, TAG_AirSync_Options)) {
		const char *class_name = wbxml_text(n, TAG_AirSync_Class);

		job->options_count++;
		if (class_name != NULL && strcmp(class_name, "SMS") == 0)
			job->sms_options = n;
		else
			job->options = n;
	}
}

/* The element of a class without an id stands for its default folder (2.5). */
static const char *default_collection(struct sync_run *run, const char *class_name)
{
	static const struct {
		const char *class_name;
		enum folder_type type;
	} defaults[] = {{"Email", FOLDER_INBOX}, {"Calendar", FOLDER_CALENDAR},
		{"Contacts", FOLDER_CONTACTS}, {"Tasks", FOLDER_TASKS}, {"Notes", FOLDER_NOTES}};
	struct store_read *rd;
	struct err err = ERR_INIT;
	struct folder *folder;
	char id[24] = "";

	if (class_name == NULL || store_read_begin(run->call->server->store, &rd, &err) < 0)
		return "";
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		if (strcmp(defaults[i].class_name, class_name) == 0 &&
			store_folder_by_type(rd, run->call->user->id, defaults[i].type,
				run->call->arena, &folder, &err) == 0)
			eas_folder_id_print(folder->id, id);
	}
	store_read_end(&rd);
	return arena_x_strdup(run->call->arena, id);
}

static void read_collection(
	struct sync_run *run, struct sync_job *job, const struct wbxml_node *node)
{
	const struct wbxml_node *commands = wbxml_find(node, TAG_AirSync_Commands);
	uint64_t window_default = run->call->settings->sync_window_default;

	job->class_name = wbxml_text(node, TAG_AirSync_Class);
	job->collection_id = wbxml_text(node, TAG_AirSync_CollectionId);
	if (job->collection_id == NULL)
		job->collection_id = default_collection(run, job->class_name);
	job->key_valid = sync_key_parse(eas_get_text(node, TAG_AirSync_SyncKey, ""), &job->key);
	job->get_changes_given = wbxml_find(node, TAG_AirSync_GetChanges) != NULL;
	job->get_changes =
		eas_get_bool(node, TAG_AirSync_GetChanges, job->key_valid && job->key != 0);
	job->deletes_as_moves = eas_get_bool(node, TAG_AirSync_DeletesAsMoves, true);
	job->window = clamp_window(eas_get_uint(node, TAG_AirSync_WindowSize, window_default));
	job->supported = wbxml_find(node, TAG_AirSync_Supported);
	job->conversation_mode_given = wbxml_find(node, TAG_AirSync_ConversationMode) != NULL;
	job->conversation_mode = eas_get_bool(node, TAG_AirSync_ConversationMode, false);
	read_options_blocks(job, node);
	if (commands != NULL)
		read_commands(run, job, commands);
}

static struct sync_job *add_job(struct sync_run *run)
{
	struct sync_job *job = &run->jobs[run->job_count++];

	job->deletes_as_moves = true;
	sync_state_init(&job->next);
	return job;
}

/* ---- the memory of the last request ---- */

/* False: which key the phone has now cannot be told for sure. */
static bool can_be_remembered(const struct sync_run *run)
{
	for (size_t i = 0; i < run->job_count; i++) {
		const struct sync_job *job = &run->jobs[i];

		if (job->command_count > 0 || job->repeated || job->status != SYNC_STATUS_OK)
			return false;
	}
	return true;
}

void sync_request_remember(struct sync_run *run)
{
	struct buf out = BUF_INIT;
	uint8_t *bytes;

	if (run->call->version < 121)
		return;
	buf_add_byte(&out, CACHE_FORMAT);
	buf_add_varint(&out, run->wait_asked_s);
	buf_add_varint(&out, run->window_asked);
	buf_add_varint(&out, run->job_count);
	for (size_t i = 0; i < run->job_count; i++) {
		const struct sync_job *job = &run->jobs[i];

		buf_add_varint(&out, strlen(job->collection_id));
		buf_add_str(&out, job->collection_id);
		buf_add_u64(&out, job->key);
		buf_add_u64(&out, job->new_key ? job->next.key : job->key);
		buf_add_varint(&out, job->window);
		buf_add_byte(&out,
			(uint8_t)((job->get_changes ? 1 : 0) | (job->deletes_as_moves ? 2 : 0)));
	}
	bytes = arena_x_alloc(run->call->arena, out.len + 1);
	memcpy(bytes, out.data, out.len);
	run->cache = bytes;
	run->cache_len = can_be_remembered(run) ? out.len : 0;
	buf_deinit(&out);
}

/* Adds the remembered collections that the request itself does not name. False: nothing usable is
 * remembered. */
static bool decode_cache(struct sync_run *run, bool answered_keys, size_t named)
{
	const struct device *device = run->call->device;
	struct rd in;
	uint64_t count;
	unsigned wait_s, window;

	rd_init(&in, device->sync_request, device->sync_request_len);
	if (device->sync_request == NULL || rd_u8(&in) != CACHE_FORMAT)
		return false;
	wait_s = (unsigned)rd_varint(&in);
	window = (unsigned)rd_varint(&in);
	count = rd_varint(&in);
	if (in.failed || count > run->call->settings->sync_collections_max)
		return false;
	run->jobs =
		arena_x_alloc(run->call->arena, (size_t)(named + count + 1) * sizeof(*run->jobs));
	run->wait_s = run->wait_asked_s = wait_s;
	run->window = run->window_asked = window;
	for (uint64_t i = 0; i < count; i++) {
		struct sync_job *job = add_job(run);
		size_t len = rd_varint(&in);
		const uint8_t *id = rd_bytes(&in, len);
		uint8_t bits;

		job->collection_id =
			id == NULL ? "" : arena_x_strndup(run->call->arena, (const char *)id, len);
		uint64_t answered = 0;

		job->key = job->asked_key = rd_u64(&in);
		answered = rd_u64(&in);
		if (answered_keys)
			job->key = answered;
		job->key_valid = true;
		job->window = clamp_window(rd_varint(&in));
		bits = rd_u8(&in);
		job->get_changes = (bits & 1) != 0;
		job->deletes_as_moves = (bits & 2) != 0;
	}
	return !in.failed && run->job_count > 0;
}

/* ---- the request ---- */

static void refuse(struct sync_run *run, unsigned status, uint64_t limit)
{
	eas_reply_limit(run->call, status, limit);
}

/* Wait counts minutes, HeartbeatInterval seconds; a bound is answered in the unit that was sent. */
static void read_wait(struct sync_run *run, const struct wbxml_node *root)
{
	const uint64_t *values = run->call->services.values;
	bool in_minutes = wbxml_find(root, TAG_AirSync_Wait) != NULL;
	uint64_t unit = in_minutes ? 60 : 1;
	uint64_t low = MAX((values[SERVICE_heartbeat_min_s] + unit - 1) / unit, (uint64_t)1);
	uint64_t high = MAX(values[SERVICE_heartbeat_max_s] / unit, low);
	uint64_t value;

	if (!in_minutes && wbxml_find(root, TAG_AirSync_HeartbeatInterval) == NULL)
		return;
	value = eas_get_uint(
		root, in_minutes ? TAG_AirSync_Wait : TAG_AirSync_HeartbeatInterval, 0);
	if (value < low || value > high)
		run->wait_limit = value < low ? low : high;
	run->wait_s = run->wait_limit != 0 ? 0 : (unsigned)(value * unit);
	run->wait_asked_s = run->wait_s;
}

/* The same of a remembered wait, whose unit is forgotten. Not so: the phone is to say it anew, and
 * is told the bound then. One in minutes may be a little longer than a phone is held (sync.c). */
static bool remembered_wait_fits(const struct sync_run *run, const struct wbxml_node *root)
{
	const uint64_t *values = run->call->services.values;
	uint64_t low = values[SERVICE_heartbeat_min_s], high = values[SERVICE_heartbeat_max_s];

	if (wbxml_find(root, TAG_AirSync_Wait) != NULL ||
		wbxml_find(root, TAG_AirSync_HeartbeatInterval) != NULL)
		return true;
	high = MAX(high, (low + 59) / 60 * 60);
	return run->wait_asked_s == 0 || (run->wait_asked_s >= low && run->wait_asked_s <= high);
}

/* Out of range: what the phone changed is done all the same, for it may not send it again. */
static void keep_commands_only(struct sync_run *run)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->job_count; i++) {
		struct sync_job *job = &run->jobs[i];

		if (job->command_count == 0)
			continue;
		job->get_changes = false;
		run->jobs[kept++] = *job;
	}
	run->job_count = kept;
}

static const struct sync_job *find_job(
	const struct sync_run *run, size_t upto, const char *collection_id)
{
	for (size_t i = 0; i < upto; i++) {
		if (strcmp(run->jobs[i].collection_id, collection_id) == 0)
			return &run->jobs[i];
	}
	return NULL;
}

/*
 * Puts the request's own collections over the remembered ones of the same id, the rest behind them.
 * A collection that is named with the key it was asked with, though another was answered, says that
 * the answer got lost: then the rest has not got its keys either. False: the reply is set.
 */
static bool read_collections(
	struct sync_run *run, const struct wbxml_node *collections, size_t count)
{
	size_t remembered = run->job_count, named;
	struct sync_job *old = run->jobs;
	bool lost = false;

	run->jobs = arena_x_alloc(run->call->arena, (count + remembered + 1) * sizeof(*run->jobs));
	run->job_count = 0;
	for (const struct wbxml_node *n = wbxml_find(collections, TAG_AirSync_Collection);
		n != NULL; n = wbxml_next(n, TAG_AirSync_Collection)) {
		struct sync_job *job = add_job(run);

		read_collection(run, job, n);
		/* One answer cannot have two keys for it. */
		if (find_job(run, run->job_count - 1, job->collection_id) != NULL) {
			eas_reply_status(run->call, SYNC_STATUS_PROTOCOL);
			return false;
		}
	}
	named = run->job_count;
	for (size_t i = 0; i < remembered; i++) {
		const struct sync_job *job = find_job(run, named, old[i].collection_id);

		if (job == NULL)
			run->jobs[run->job_count++] = old[i];
		else if (job->key == old[i].asked_key && old[i].key != old[i].asked_key)
			lost = true;
	}
	for (size_t i = named; lost && i < run->job_count; i++)
		run->jobs[i].key = run->jobs[i].asked_key;
	if (run->job_count > run->call->settings->sync_collections_max) {
		refuse(run, SYNC_STATUS_TOO_MANY, run->call->settings->sync_collections_max);
		return false;
	}
	return true;
}

static size_t count_children(const struct wbxml_node *node)
{
	size_t count = 0;

	for (const struct wbxml_node *n = node != NULL ? node->child : NULL; n != NULL; n = n->next)
		count++;
	return count;
}

bool sync_request_restore(struct sync_run *run)
{
	return decode_cache(run, false, 0);
}

bool sync_request_read(struct sync_run *run)
{
	const struct wbxml_node *root = run->call->root;
	const struct wbxml_node *collections = wbxml_find(root, TAG_AirSync_Collections);
	bool partial = wbxml_find(root, TAG_AirSync_Partial) != NULL;
	unsigned window;

	run->window = WINDOW_MAX;
	if (root == NULL && sync_request_restore(run) && remembered_wait_fits(run, root))
		return true;
	if (root == NULL || (partial && (!decode_cache(run, true, count_children(collections)) ||
						!remembered_wait_fits(run, root)))) {
		refuse(run, SYNC_STATUS_INCOMPLETE, 0);
		return false;
	}
	if (!partial)
		run->window = WINDOW_MAX;
	window = clamp_window(eas_get_uint(root, TAG_AirSync_WindowSize, run->window));
	run->window = run->window_asked = window;
	read_wait(run, root);
	if (!read_collections(run, collections, count_children(collections)))
		return false;
	if (run->wait_limit == 0)
		return true;
	keep_commands_only(run);
	if (run->job_count == 0)
		refuse(run, SYNC_STATUS_BAD_WAIT, run->wait_limit);
	return run->job_count > 0;
}

/* ---- Options ---- */

static void read_preference(const struct wbxml_node *n, struct sync_body_preference *p)
{
	p->type = (uint8_t)eas_get_uint(n, TAG_AirSyncBase_Type, 1);
	p->has_truncation = wbxml_find(n, TAG_AirSyncBase_TruncationSize) != NULL;
	p->truncation_bytes = (uint32_t)eas_get_uint(n, TAG_AirSyncBase_TruncationSize, 0);
	p->all_or_none = eas_get_bool(n, TAG_AirSyncBase_AllOrNone, false);
	p->preview_chars = (uint8_t)eas_get_uint(n, TAG_AirSyncBase_Preview, 0);
}

static unsigned read_preferences(const struct wbxml_node *node, struct sync_options *o)
{
	const struct wbxml_node *n = wbxml_find(node, TAG_AirSyncBase_BodyPreference);

	o->preference_count = 0;
	for (; n != NULL; n = wbxml_next(n, TAG_AirSyncBase_BodyPreference)) {
		if (o->preference_count == SYNC_BODY_PREFERENCES_MAX)
			return SYNC_STATUS_PROTOCOL;
		read_preference(n, &o->preferences[o->preference_count++]);
	}
	n = wbxml_find(node, TAG_AirSyncBase_BodyPartPreference);
	if (n != NULL)
		read_preference(n, &o->part);
	return SYNC_STATUS_OK;
}

unsigned sync_options_read(
	const struct wbxml_node *node, unsigned version, struct sync_options *ret)
{
	struct sync_options o;
	unsigned status;

	sync_options_default(&o);
	o.filter = (uint8_t)eas_get_uint(node, TAG_AirSync_FilterType, o.filter);
	o.conflict = (uint8_t)eas_get_uint(node, TAG_AirSync_Conflict, o.conflict);
	o.mime_support = (uint8_t)eas_get_uint(node, TAG_AirSync_MIMESupport, o.mime_support);
	o.truncation = (uint8_t)eas_get_uint(node, TAG_AirSync_Truncation, o.truncation);
	o.mime_truncation =
		(uint8_t)eas_get_uint(node, TAG_AirSync_MIMETruncation, o.mime_truncation);
	status = version >= 120 ? read_preferences(node, &o) : SYNC_STATUS_OK;
	if (status == SYNC_STATUS_OK)
		*ret = o;
	return status;
}

bool sync_filter_allowed(uint8_t filter, enum folder_type type)
{
	const char *class_name = store_folder_class(type);

	if (strcmp(class_name, "Contacts") == 0 || strcmp(class_name, "Notes") == 0)
		return filter <= 8;
	if (strcmp(class_name, "Calendar") == 0)
		return filter == 0 || (filter >= 4 && filter <= 7);
	if (strcmp(class_name, "Tasks") == 0)
		return filter == 0 || filter == 8;
	return filter <= 5;
}
