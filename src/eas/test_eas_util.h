#ifndef BELLHOP_EAS_TEST_EAS_UTIL_H
#define BELLHOP_EAS_TEST_EAS_UTIL_H

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "eas/eas.h"
#include "mime/mime.h"
#include "wbxml/wbxml.h"

/* A server without sockets: a real store in a fresh folder, a frozen clock, phones that call
 * eas_handle(). */
#define START_AT ((int64_t)1790000000)

struct world {
	char dir[64];
	struct store *store;
	struct watches *watches;
	const struct settings *settings;
	struct eas_server server;
	struct owner_id anna, bert;
	unsigned marks;
};

struct phone {
	struct world *w;
	const char *login, *device_id, *version;
	char inbox_key[20], trash_key[20];
	struct arena *arena; /* of the last request and its answer */
	struct eas_reply reply;
	struct wbxml_node *root; /* of the answer; NULL: empty */
};

static inline void on_marked(struct watch_id id, unsigned marks, void *owner)
{
	(void)id;
	((struct world *)owner)->marks |= marks;
}

static inline void on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner)
{
	(void)handle;
	(void)kind;
	(void)owner;
}

static inline void on_stale(const struct ipc_handle *handle, void *owner)
{
	(void)handle;
	(void)owner;
}

static inline void publish(const struct change_event *events, size_t count, void *owner)
{
	watches_publish(((struct world *)owner)->watches, events, count);
}

static inline int add_people(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	if (store_domain_add(tx, "example.org", err) < 0 ||
		store_user_add(tx, "anna", "example.org", "Anna", "x", START_AT, &w->anna, err) < 0)
		return -1;
	return store_user_add(tx, "bert", "example.org", "Bert", "x", START_AT, &w->bert, err);
}

static inline struct world *world_new(const char *config)
{
	struct world *w = x_new(struct world);
	struct store_options options = {.data_dir = w->dir,
		.readers_max = 4,
		.group_max = 16,
		.body_inline_max = 4096,
		.cache_kib = 2048,
		.mmap_bytes = 1 << 26};
	struct watch_options watch_options = {15, 0, on_marked, on_ended, on_stale, w};
	struct err err = ERR_INIT;

	log_setup("test", LOG_LEVEL_ERROR);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/bellhop-test-eas-XXXXXX");
	REQUIRE(mkdtemp(w->dir) != NULL);
	clock_fake_set(START_AT * 1000, 1000000);
	mime_global_init();
	REQUIRE_OK(settings_parse(config, strlen(config), "test", &w->settings, NULL, &err), &err);
	REQUIRE_OK(store_open(&options, &w->store, &err), &err);
	w->watches = watches_new(&watch_options);
	store_set_publisher(w->store, publish, w);
	REQUIRE_OK(store_transact(w->store, add_people, w, &err), &err);
	eas_server_init(&w->server, w->store, w->watches, w->settings);
	return w;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void world_free(struct world **w)
{
	eas_server_deinit(&(*w)->server);
	store_close(&(*w)->store);
	watches_free(&(*w)->watches);
	settings_unref(&(*w)->settings);
	(void)nftw((*w)->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	mem_free(*w);
	*w = NULL;
	clock_fake_off();
}

static inline void deliver(struct world *w, struct owner_id owner, const char *subject)
{
	struct mime_limits limits = {100, 20, 65536};
	char raw[512];
	struct err err = ERR_INIT;

	(void)snprintf(raw, sizeof(raw),
		"From: Carl <carl@example.net>\r\nTo: anna@example.org\r\nSubject: %s\r\n"
		"Content-Type: text/plain\r\n\r\nHello, this is %s.\r\n",
		subject, subject);
	REQUIRE_OK(account_deliver(w->store, owner, FOLDER_INBOX, raw, strlen(raw), &limits,
			   clock_now_at(), &err),
		&err);
}

static inline void phone_forget(struct phone *p)
{
	buf_deinit(&p->reply.body);
	arena_free(&p->arena);
	p->root = NULL;
}

/* Sends a body (NULL: none) and decodes the answer. */
static inline void phone_send(struct phone *p, const char *command, struct buf *body)
{
	struct wbxml_limits limits = {32, 100000, 10000000};
	struct ipc_request *http;
	struct eas_request request;
	struct store_read *rd = NULL;
	struct user *user = NULL;
	struct err err = ERR_INIT;
	uint64_t commits = store_commits(p->w->store);

	phone_forget(p);
	p->arena = arena_new(0);
	http = arena_x_new(p->arena, struct ipc_request);
	http->method = "POST";
	http->address = "127.0.0.1";
	http->target = arena_x_printf(p->arena,
		"/Microsoft-Server-ActiveSync?Cmd=%s&User=%s&DeviceId=%s&DeviceType=test", command,
		p->login, p->device_id);
	http->headers[0] = (struct ipc_header){"ms-asprotocolversion", p->version};
	http->headers[1] = (struct ipc_header){"content-type", "application/vnd.ms-sync.wbxml"};
	http->header_count = 2;
	REQUIRE_OK(store_read_begin(p->w->store, &rd, &err), &err);
	REQUIRE_OK(store_user_find_login(rd, p->login, "example.org", p->arena, &user, &err), &err);
	store_read_end(&rd);
	request = (struct eas_request){p->arena, user, http, body != NULL ? body->data : NULL,
		body != NULL ? body->len : 0};
	request.commits = commits;
	eas_handle(&p->w->server, &request, &p->reply);
	if (body != NULL)
		buf_deinit(body);
	if (p->reply.kind == EAS_REPLY_ANSWER && p->reply.body.len > 0)
		REQUIRE_OK(wbxml_decode(p->arena, p->reply.body.data, p->reply.body.len, &limits,
				   &p->root, &err),
			&err);
}

static inline unsigned root_status(const struct phone *p, unsigned tag)
{
	const char *text = wbxml_text(p->root, tag);

	return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

#endif
