#ifndef BELLHOP_AUTH_TEST_AUTH_UTIL_H
#define BELLHOP_AUTH_TEST_AUTH_UTIL_H

/* A store with two people, and what logs in to it. */
#include "auth/auth.h"

#include <crypt.h>
#include <ftw.h>
#include <pthread.h>
#include <unistd.h>

#include "auth/auth_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

#define WALL_MS INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

struct world {
	char *dir;
	struct store *store;
	struct auth *auth;
	struct auth_options options;
	struct arena *arena;
	struct owner_id anna, bob;
	char *lines; /* what was logged */
};

/* A scheme of little work, so that tests are quick. */
static inline const char *quick_hash(const char *password, struct crypt_data *work)
{
	return crypt_rn(password, "$5$rounds=1000$saltsalt", work, (int)sizeof(*work));
}

static inline void keep_line(const char *line, void *owner)
{
	struct world *w = owner;
	char *joined = x_printf("%s%s\n", w->lines, line);

	mem_free(w->lines);
	w->lines = joined;
}

static inline int add_people(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	struct crypt_data *work = x_new(struct crypt_data);
	int rc = store_domain_add(tx, "example.org", err);

	if (rc == 0)
		rc = store_user_add(tx, "anna", "example.org", "Anna", quick_hash("secret", work),
			1000, &w->anna, err);
	if (rc == 0)
		rc = store_user_add(tx, "bob", "example.org", "Bob",
			quick_hash("p\xc3\xa4ss:w", work), 1000, &w->bob, err);
	if (rc == 0)
		rc = store_alias_add(tx, w->anna, "ann@example.org", err);
	mem_free(work);
	return rc;
}

static inline void world_open(struct world *w)
{
	struct store_options options = {.readers_max = 4,
		.group_max = 16,
		.body_inline_max = 4096,
		.cache_kib = 2048,
		.mmap_bytes = 1 << 24};
	char template[] = "/tmp/bellhop-test-auth-XXXXXX";
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	REQUIRE(mkdtemp(template) != NULL);
	w->dir = x_strdup(template);
	w->lines = x_strdup("");
	w->arena = arena_new(0);
	options.data_dir = w->dir;
	clock_fake_set(WALL_MS, 10000000);
	REQUIRE_OK(store_open(&options, &w->store, &err), &err);
	REQUIRE_OK(store_transact(w->store, add_people, w, &err), &err);
	w->options = (struct auth_options){.cache_ttl_s = 3600,
		.cache_entries = 64,
		.fail_limit_user = 5,
		.fail_limit_address = 20,
		.fail_window_s = 300,
		.default_domain = "example.org"};
	w->auth = auth_new(w->store, &w->options);
	log_capture(keep_line, w);
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline void world_close(struct world *w)
{
	log_capture(NULL, NULL);
	auth_free(&w->auth);
	auth_free(&w->auth);
	store_close(&w->store);
	arena_free(&w->arena);
	CHECK_INT(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	mem_free(w->dir);
	mem_free(w->lines);
	clock_fake_off();
}

static inline const char *basic(struct world *w, const char *name_and_password)
{
	struct buf text = BUF_INIT;
	const char *header;

	buf_add_str(&text, "Basic ");
	base64_add(&text, name_and_password, strlen(name_and_password));
	header = arena_x_strdup(w->arena, buf_cstr(&text));
	buf_deinit(&text);
	return header;
}

#endif
