/*
 * The server of the model: a store on the disk of vfs.c, the eas room over it, no sockets, a clock
 * that stands still until a script moves it. Schema and user are made once; each seed starts from a
 * copy of that file.
 *
 * The store's folder is a real one, because the store makes sure that it exists; all bodies are
 * small enough to lie in the database.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mime/mime.h"
#include "model.h"

#define CONFIG "[policy]\nrequired = no\n[relay]\nhost = relay.example\n"

/* ---- what went wrong ---- */

void model_trace(struct world *w, int phone, const char *fmt, ...)
{
	size_t at = w->trace_count++ % TRACE_LINES;
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mem_free(w->trace[at]);
	w->trace[at] = phone < 0 ? x_strdup(text) : x_printf("phone %d %s", phone, text);
	w->trace_phone[at] = phone;
	if (w->verbose)
		printf("# %s\n", w->trace[at]);
}

void model_print_trace(const struct world *w, int phone)
{
	size_t first = w->trace_count > TRACE_LINES ? w->trace_count - TRACE_LINES : 0;
	size_t lines = 0;

	for (size_t i = first; i < w->trace_count; i++)
		lines += phone < 0 || w->trace_phone[i % TRACE_LINES] == phone;
	for (size_t i = first; i < w->trace_count; i++) {
		size_t at = i % TRACE_LINES;

		if (phone >= 0 && w->trace_phone[at] != phone)
			continue;
		if (lines-- <= 40)
			printf("#   %s\n", w->trace[at]);
	}
}

void model_fail(struct world *w, int phone, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# seed %" PRIu64 ": %s\n", w->seed, text);
	if (!w->verbose)
		model_print_trace(w, phone);
	(void)fflush(stdout);
}

static void on_log(const char *line, void *owner)
{
	struct world *w = owner;

	if (w->verbose)
		printf("#     %s\n", line);
}

/* ---- the server ---- */

static void on_marked(struct watch_id id, unsigned marks, void *owner)
{
	struct world *w = owner;

	(void)marks;
	for (size_t i = 0; i < w->phone_count; i++) {
		if (w->phones[i].watch.v == id.v)
			w->phones[i].marked = true;
	}
}

static void on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner)
{
	(void)handle;
	(void)kind;
	(void)owner;
}

static void on_stale(const struct ipc_handle *handle, void *owner)
{
	(void)handle;
	(void)owner;
}

static void on_publish(const struct change_event *events, size_t count, void *owner)
{
	struct world *w = owner;

	if (w->truth[0] != NULL)
		ledger_publish(events, count, w);
	watches_publish(w->watches, events, count);
}

static int try_open(struct world *w, struct err *err)
{
	struct store_options options = {.data_dir = w->dir,
		.readers_max = 4,
		.group_max = 8,
		.body_inline_max = 1 << 20,
		.cache_kib = 1024,
		.mmap_bytes = 0};

	return store_open(&options, &w->store, err);
}

static void open_server(struct world *w)
{
	struct watch_options watch_options = {15, 0, on_marked, on_ended, on_stale, w};
	struct err err = ERR_INIT;

	if (try_open(w, &err) < 0) {
		printf("# the store does not open: %s\n", err.text);
		abort();
	}
	w->watches = watches_new(&watch_options);
	store_set_publisher(w->store, on_publish, w);
	eas_server_init(&w->server, w->store, w->watches, w->settings);
}

static void free_phones(struct world *w)
{
	for (size_t i = 0; i < w->phone_count; i++)
		phone_deinit(&w->phones[i]);
	w->phone_count = 0;
}

void world_close(struct world *w)
{
	if (w->store == NULL)
		return;
	eas_server_deinit(&w->server);
	store_close(&w->store);
	watches_free(&w->watches);
	for (size_t i = 0; i < w->phone_count; i++)
		w->phones[i].watch.v = 0;
}

void world_reboot(struct world *w)
{
	model_trace(w, -1, "the process ends here, and starts again");
	world_close(w);
	vfs_restart();
	open_server(w);
}

static int set_up(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	if (store_domain_add(tx, "example.org", err) < 0)
		return -1;
	if (store_user_add(tx, "anna", "example.org", "Anna", "x", START_AT, &w->anna, err) < 0)
		return -1;
	return store_user_add(tx, "bob", "example.org", "Bob", "x", START_AT, &w->bob, err);
}

static void find_folders(struct world *w)
{
	static const enum folder_type types[FOLDERS] = {FOLDER_INBOX, FOLDER_DELETED, FOLDER_SENT};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct store_read *rd;

	if (store_read_begin(w->store, &rd, &err) < 0)
		abort();
	for (size_t i = 0; i < FOLDERS; i++) {
		struct folder *folder;

		if (store_folder_by_type(rd, w->anna, types[i], arena, &folder, &err) < 0)
			abort();
		w->folders[i] = folder->id;
	}
	{
		struct folder *folder;

		if (store_folder_by_type(rd, w->anna, FOLDER_DRAFTS, arena, &folder, &err) < 0)
			abort();
		w->drafts = folder->id;
	}
	store_read_end(&rd);
}

void world_init(struct world *w)
{
	struct err err = ERR_INIT;

	*w = (struct world){.seed = 0};
	log_setup("test_model", LOG_LEVEL_INFO);
	log_capture(on_log, w);
	mime_global_init();
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/bellhop-model-XXXXXX");
	if (mkdtemp(w->dir) == NULL ||
		settings_parse(CONFIG, strlen(CONFIG), "model", &w->settings, NULL, &err) < 0)
		abort();
	(void)snprintf(w->db_path, sizeof(w->db_path), "%s/bellhop.db", w->dir);
	(void)snprintf(w->wal_path, sizeof(w->wal_path), "%s/bellhop.db-wal", w->dir);
	vfs_register();
	clock_fake_set(START_AT * 1000, 1000000);
	fiber_seed(0);
	open_server(w);
	if (store_transact(w->store, set_up, w, &err) < 0)
		abort();
	find_folders(w);
	world_close(w);
	w->image = vfs_file_get(w->db_path, &w->image_len);
	if (w->image_len == 0)
		abort();
}

void world_deinit(struct world *w)
{
	static const char *const names[] = {"bodies/incoming", "bodies", "bellhop.db", ""};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		(void)remove(path);
	}
	world_close(w);
	free_phones(w);
	ledger_free(w);
	vfs_clear();
	for (size_t i = 0; i < TRACE_LINES; i++)
		mem_free(w->trace[i]);
	settings_unref(&w->settings);
	mem_free(w->image);
}

void world_reset(struct world *w, uint64_t seed)
{
	world_close(w);
	free_phones(w);
	ledger_clear(w);
	vfs_clear();
	vfs_file_put(w->db_path, w->image, w->image_len);
	clock_fake_set(START_AT * 1000, 1000000);
	fiber_seed(seed);
	rng_seed(&w->rng, seed ^ 0x5eed);
	w->seed = seed;
	w->step = w->next_uid = w->next_value = w->troubles = 0;
	w->mail_count = 0;
	memset(w->draft_facts, 0, sizeof(w->draft_facts));
	w->trouble = false;
	w->failed = false;
	w->trace_count = 0;
	open_server(w);
}

static int no_change(struct store_tx *tx, void *owner, struct err *err)
{
	(void)tx;
	(void)owner;
	(void)err;
	return 0;
}

void world_drain(struct world *w)
{
	struct err err = ERR_INIT;

	/* The writer moves pages behind the backs of those who waited; an empty transaction comes
	 * after that. */
	if (vfs_file_size(w->wal_path) > (size_t)490 * 8192)
		(void)!store_transact(w->store, no_change, NULL, &err);
}

/* ---- requests ---- */

bool world_decode(struct world *w, struct arena *arena, const struct eas_reply *reply,
	struct wbxml_node **ret_root)
{
	struct wbxml_limits limits = {32, 100000, 10000000};
	struct err err = ERR_INIT;

	*ret_root = NULL;
	if (reply->body.len == 0 || wbxml_decode(arena, reply->body.data, reply->body.len, &limits,
					    ret_root, &err) == 0)
		return true;
	model_fail(w, -1, "an answer is no WBXML: %s", err.text);
	return false;
}

void world_request(struct world *w, struct phone *p, const char *version, const char *command,
	const struct buf *body, struct arena *arena, struct eas_reply *reply)
{
	world_post(w, p, version, command, "", "application/vnd.ms-sync.wbxml", body, arena, reply);
}

void world_post(struct world *w, struct phone *p, const char *version, const char *command,
	const char *params, const char *content_type, const struct buf *body, struct arena *arena,
	struct eas_reply *reply)
{
	struct ipc_request *http = arena_x_new(arena, struct ipc_request);
	struct eas_request request = {.arena = arena, .http = http};
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct user *user;
	int found;

	*reply = (struct eas_reply){.status = 503};
	request.commits = store_commits(w->store);
	w->requests++;
	http->method = "POST";
	http->address = "127.0.0.1";
	http->target = arena_x_printf(arena,
		"/Microsoft-Server-ActiveSync?Cmd=%s&User=anna&DeviceId=%s&DeviceType=model%s",
		command, p->device_id, params);
	http->headers[0] = (struct ipc_header){"ms-asprotocolversion", version};
	http->headers[1] = (struct ipc_header){"content-type", content_type};
	http->header_count = 2;
	if (store_read_begin(w->store, &rd, &err) < 0)
		return;
	found = store_user_find_login(rd, "anna", "example.org", arena, &user, &err);
	store_read_end(&rd);
	if (found < 0)
		return;
	request.user = user;
	request.body = body->data;
	request.body_len = body->len;
	eas_handle(&w->server, &request, reply);
	if (!vfs_is_cut() && reply->kind == EAS_REPLY_ANSWER && reply->status != 200 &&
		(!w->trouble || reply->status < 500))
		model_fail(w, (int)p->number, "phone %u: HTTP %d", p->number, reply->status);
}

/* ---- mail ---- */

struct delivery {
	struct world *w;
	struct account_mail mails[16];
	const int64_t *dates;
	size_t count;
};

static int deliver_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct delivery *d = owner;
	struct item_id id;

	for (size_t i = 0; i < d->count; i++) {
		if (account_mail_add(tx, d->w->anna, FOLDER_INBOX, &d->mails[i], d->dates[i], false,
			    (struct device_id){0}, &id, err) < 0)
			return -1;
	}
	return 0;
}

bool world_deliver(struct world *w, const int64_t *dates, size_t count)
{
	struct mime_limits limits = {100, 20, 65536};
	struct writer *writer = fiber_owner();
	struct delivery d = {.w = w, .dates = dates, .count = count};
	struct err err = ERR_INIT;
	char raw[16][256];
	bool accepted = true;

	for (size_t i = 0; i < count; i++) {
		uint32_t conversation = model_conversation(++w->next_uid);

		writer->uids[writer->uid_count++] = w->next_uid;
		(void)snprintf(raw[i], sizeof(raw[i]),
			"From: Carl <carl@example.net>\r\nTo: anna@example.org\r\n"
			"Subject: m%u\r\nMessage-ID: <m%u@example.net>\r\n"
			"References: <%s%u@example.net>\r\n\r\nHello, this is m%u.\r\n",
			w->next_uid, w->next_uid, conversation == 0 ? "alone" : "root",
			conversation == 0 ? w->next_uid : conversation, w->next_uid);
		if (account_mail_prepare(
			    w->store, raw[i], strlen(raw[i]), &limits, &d.mails[i], &err) < 0)
			abort();
	}
	if (store_transact(w->store, deliver_tx, &d, &err) < 0) {
		accepted = false;
		w->troubles++;
		ledger_doubt(w, writer);
		writer->uid_count -= count;
		model_trace(w, -1, "delivery failed: %s", err.text);
	}
	for (size_t i = 0; i < count; i++)
		account_mail_release(&d.mails[i]);
	return accepted;
}
