/*
 * Opens what a power loss left at each of many moments of a recorded run, and compares it with what
 * had been acknowledged by then:
 *
 *   power-check --log LOG --facts FACTS --work FOLDER --config FILE
 *               [--cuts N] [--seed N] [--only CUT] [--until-failure] [--skip-sync TEXT] [--whole
 * FOLDER]
 *
 * Half of the cuts come right after something was acknowledged, the others anywhere. For each: the
 * store opens; the database is sound, and every body is there and is what it is named; a new
 * phone lists each mailbox: acknowledged messages with their bytes, changes in force, nothing that
 * nobody sent; each phone of the run goes on with the last key that it was given, and ends up with
 * what the new phone sees.
 *
 * The last line is "N cuts, N failed". --only runs one again; --whole checks that the log has all
 * that was done, against the files that the server left.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "facts.h"
#include "mime/mime.h"
#include "phone.h"
#include "replay.h"

#define FAILURES_SHOWN 20

struct options {
	const char *log, *facts, *work, *config, *skip, *whole;
	uint64_t cuts, seed, only;
	bool until_failure;
};

struct check {
	struct options options;
	char *config; /* the text */
	struct replay *replay;
	struct facts facts;
	size_t cut; /* the present one */
	struct power_world world;
};

/* Nothing of the checks needs a disk: what matters is what would be read after the loss. Libraries
 * find these before those of the C library. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* ---- the files ---- */

static int sha256_hex(const void *bytes, size_t len, char hex[65])
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	uint8_t digest[32];

	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	hex_add(&text, digest, sizeof(digest));
	(void)snprintf(hex, 65, "%s", buf_cstr(&text));
	return 0;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	while (n > 0) {
		if (!buf_reserve(out, 65536))
			return err_set(err, ERR_INTERNAL, "memory");
		n = read(fd, out->data + out->len, 65536);
		if (n > 0)
			out->len += (size_t)n;
	}
	return n == 0 ? 0 : err_set_errno(err, errno, "%s", path);
}

static int check_file(const char *work, const char *name, uint64_t len, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/data/bodies/%.2s/%s", work, name, name);
	CLEANUP(buf_deinit) struct buf bytes = BUF_INIT;
	char hex[65];

	if (read_file(path, &bytes, err) < 0)
		return -1;
	if (bytes.len != len || sha256_hex(bytes.data, bytes.len, hex) < 0 ||
		strcmp(hex, name) != 0)
		return err_set(err, ERR_INTERNAL, "%s has other bytes than its name says", path);
	return 0;
}

static int one_text(sqlite3 *handle, const char *sql, const char *wanted, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(handle, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		rc = strcmp((const char *)sqlite3_column_text(st, 0), wanted) == 0
			     ? 0
			     : err_set(err, ERR_INTERNAL, "%s: %s", sql,
				       (const char *)sqlite3_column_text(st, 0));
	else
		rc = err_set(err, ERR_INTERNAL, "%s: %s", sql, sqlite3_errmsg(handle));
	(void)sqlite3_finalize(st);
	return rc;
}

static int check_bodies(sqlite3 *handle, const char *work, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(handle,
		    "SELECT DISTINCT file, body_bytes FROM bodies WHERE file IS NOT NULL", -1, &st,
		    NULL) != SQLITE_OK)
		return err_set(err, ERR_INTERNAL, "%s", sqlite3_errmsg(handle));
	while (rc == 0 && sqlite3_step(st) == SQLITE_ROW)
		rc = check_file(work, (const char *)sqlite3_column_text(st, 0),
			(uint64_t)sqlite3_column_int64(st, 1), err);
	(void)sqlite3_finalize(st);
	return rc;
}

static int check_database(const char *work, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/data/bellhop.db", work);
	sqlite3 *handle = NULL;
	int rc = -1;

	if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		rc = err_set(err, ERR_INTERNAL, "%s: %s", path, sqlite3_errmsg(handle));
	else if (one_text(handle, "PRAGMA integrity_check", "ok", err) == 0 &&
		 one_text(handle,
			 "SELECT count(*) FROM items i WHERE NOT EXISTS (SELECT 1 FROM bodies b"
			 " WHERE b.owner = i.owner AND b.id = i.body_id)",
			 "0", err) == 0)
		rc = check_bodies(handle, work, err);
	(void)sqlite3_close(handle);
	return rc;
}

/* ---- what was acknowledged ---- */

static bool began(const struct check *c, const struct fact *f)
{
	return f->began_at < c->cut;
}

static bool acked(const struct check *c, const struct fact *f)
{
	return f->acked_at < c->cut;
}

static int check_user(struct check *c, const struct fact *f, bool *ret_there, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct user *user = NULL;
	int rc;

	if (store_read_begin(c->world.store, &rd, err) < 0)
		return -1;
	rc = f->kind == FACT_ALIAS
		     ? store_user_find_address(rd, f->text, arena, &user, err)
		     : store_user_find_login(rd, f->login, "example.org", arena, &user, err);
	*ret_there = rc == 0;
	if (rc < 0 && (err->code != ERR_NOT_FOUND || acked(c, f)))
		return err_wrap(err, "act %u, user %s", f->number, f->login);
	return 0;
}

static int check_bytes(const struct fact *f, const struct power_item *item, struct err *err)
{
	char hex[65];

	if (f->value == 0)
		return 0;
	if (item->len < f->value ||
		sha256_hex(item->data + (item->len - f->value), f->value, hex) < 0 ||
		strcmp(hex, f->text) != 0)
		return err_set(err, ERR_INTERNAL, "message \"%s\" (act %u) has other bytes",
			f->subject, f->number);
	return 0;
}

/* Deleting: whether it must be gone, or may be. */
static void find_deletion(
	const struct check *c, const struct fact *mail, bool *ret_must, bool *ret_may)
{
	*ret_must = *ret_may = false;
	for (size_t i = 0; i < c->facts.count; i++) {
		const struct fact *f = &c->facts.all[i];

		if (f->kind != FACT_GONE || strcmp(f->subject, mail->subject) != 0 || !began(c, f))
			continue;
		*ret_may = true;
		*ret_must = *ret_must || acked(c, f);
	}
}

static int check_mail(
	const struct check *c, const struct fact *f, struct power_phone *view, struct err *err)
{
	const struct power_item *found = NULL;
	bool must_be_gone, may_be_gone;

	for (size_t i = 0; i < view->count; i++) {
		if (strcmp(view->items[i].subject, f->subject) != 0)
			continue;
		if (found != NULL)
			return err_set(err, ERR_INTERNAL, "message \"%s\" (act %u) is there twice",
				f->subject, f->number);
		found = &view->items[i];
	}
	find_deletion(c, f, &must_be_gone, &may_be_gone);
	if (found == NULL)
		return acked(c, f) && !may_be_gone
			       ? err_set(err, ERR_INTERNAL,
					 "message \"%s\" (act %u) was acknowledged and is gone",
					 f->subject, f->number)
			       : 0;
	if (!began(c, f) || must_be_gone)
		return err_set(err, ERR_INTERNAL, "message \"%s\" (act %u) %s", f->subject,
			f->number, began(c, f) ? "is back" : "is there before it was sent");
	return check_bytes(f, found, err);
}

/* The newest acknowledged value counts, unless a newer one was under way. */
static int check_property(
	const struct check *c, size_t at, struct power_phone *view, struct err *err)
{
	const struct fact *f = &c->facts.all[at];
	bool value;

	if (!acked(c, f))
		return 0;
	for (size_t i = at + 1; i < c->facts.count; i++) {
		const struct fact *later = &c->facts.all[i];

		if (later->kind == f->kind && began(c, later) &&
			strcmp(later->subject, f->subject) == 0)
			return 0;
	}
	for (size_t i = 0; i < view->count; i++) {
		if (strcmp(view->items[i].subject, f->subject) != 0)
			continue;
		value = f->kind == FACT_READ ? view->items[i].read : view->items[i].flag;
		if (value != (f->value != 0))
			return err_set(err, ERR_INTERNAL, "%s of \"%s\" (act %u) is not %" PRIu64,
				f->kind == FACT_READ ? "Read" : "Flag", f->subject, f->number,
				f->value);
	}
	return 0;
}

static int check_mailbox(struct check *c, struct power_phone *view, struct err *err)
{
	for (size_t i = 0; i < c->facts.count; i++) {
		const struct fact *f = &c->facts.all[i];

		if (strcmp(f->login, view->login) != 0)
			continue;
		if (f->kind == FACT_MAIL && check_mail(c, f, view, err) < 0)
			return -1;
		if ((f->kind == FACT_READ || f->kind == FACT_FLAG) &&
			check_property(c, i, view, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the phones of the run ---- */

static int take_items(struct power_phone *p, const struct fact *f, struct err *err)
{
	for (size_t i = 0; i < f->item_count; i++) {
		const struct fact_item *item = &f->items[i];
		struct power_item *held = power_phone_find(p, item->id);

		if ((held != NULL) == (item->what == '+'))
			return err_set(err, ERR_BAD_INPUT, "act %u: item %s", f->number, item->id);
		if (item->what == '+') {
			power_phone_add(p, &(struct power_item){.id = item->id,
						   .subject = item->subject,
						   .read = item->read == 1,
						   .flag = item->flag == 1});
			continue;
		}
		if (item->what == '-') {
			power_phone_remove(p, held);
			continue;
		}
		if (item->read >= 0)
			held->read = item->read == 1;
		if (item->flag >= 0)
			held->flag = item->flag == 1;
	}
	return 0;
}

static int same(struct power_phone *p, struct power_phone *view, struct err *err)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct power_item *want = &view->items[i];
		const struct power_item *got = power_phone_find(p, want->id);

		if (got == NULL || strcmp(got->subject, want->subject) != 0 ||
			got->read != want->read || got->flag != want->flag)
			return err_set(err, ERR_INTERNAL, "phone %s %s item %s \"%s\"", p->device,
				got == NULL ? "lacks" : "has otherwise", want->id, want->subject);
	}
	return p->count == view->count
		       ? 0
		       : err_set(err, ERR_INTERNAL, "phone %s holds %zu items of %zu", p->device,
				 p->count, view->count);
}

/* As it was when it was acknowledged last, and then on. */
static int run_phone(
	struct check *c, struct power_phone *p, struct power_phone *view, struct err *err)
{
	const char *folders_key = NULL;

	for (size_t i = 0; i < c->facts.count; i++) {
		const struct fact *f = &c->facts.all[i];

		if (f->phone == NULL || strcmp(f->phone, p->device) != 0 || !acked(c, f))
			continue;
		if (f->kind == FACT_POLICY)
			p->policy_key = (uint32_t)strtoul(f->text, NULL, 10);
		if (f->kind == FACT_FOLDERS) {
			folders_key = f->text;
			p->inbox = f->inbox;
		}
		if (f->kind == FACT_SYNC) {
			p->sync_key = f->text;
			if (take_items(p, f, err) < 0)
				return -1;
		}
	}
	if (folders_key != NULL && power_phone_check_folders(p, folders_key, err) < 0)
		return -1;
	if (p->sync_key == NULL)
		return 0;
	if (power_phone_sync(p, err) < 0)
		return -1;
	return same(p, view, err);
}

static int check_phones(struct check *c, struct power_phone *view, struct err *err)
{
	for (size_t i = 0; i < c->facts.count; i++) {
		const struct fact *f = &c->facts.all[i];
		struct power_phone p = {.world = &c->world,
			.login = f->login,
			.device = f->phone,
			.body_type = 1,
			.truncation = 512};
		int rc;

		/* Each phone begins with its policy. */
		if (f->kind != FACT_POLICY || !acked(c, f) || strcmp(f->login, view->login) != 0)
			continue;
		p.arena = arena_new(0);
		rc = run_phone(c, &p, view, err);
		power_phone_deinit(&p);
		if (rc < 0)
			return err_wrap(err, "phone %s", f->phone);
	}
	return 0;
}

/* ---- one cut ---- */

static int check_owner(struct check *c, const struct fact *user, struct err *err)
{
	struct power_phone view = {.world = &c->world,
		.login = user->login,
		.device = "afterwards",
		.body_type = 4,
		.truncation = -1};
	int rc;

	view.arena = arena_new(0);
	rc = power_phone_begin(&view, err);
	if (rc == 0)
		rc = power_phone_sync(&view, err);
	if (rc == 0)
		rc = check_mailbox(c, &view, err);
	if (rc == 0)
		rc = check_phones(c, &view, err);
	power_phone_deinit(&view);
	return rc < 0 ? err_wrap(err, "user %s", user->login) : 0;
}

static int check_world(struct check *c, struct err *err)
{
	for (size_t i = 0; i < c->facts.count; i++) {
		const struct fact *f = &c->facts.all[i];
		bool there = false;

		if ((f->kind != FACT_USER && f->kind != FACT_ALIAS) || !began(c, f))
			continue;
		if (check_user(c, f, &there, err) < 0)
			return -1;
		if (there && f->kind == FACT_USER && check_owner(c, f, err) < 0)
			return -1;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int check_cut(struct check *c, struct err *err)
{
	CLEANUP(mem_freep) char *folder = x_printf("%s/data", c->options.work);
	int rc;

	(void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (replay_cut(c->replay, c->cut, c->options.seed, folder, err) < 0)
		return err_wrap(err, "replaying");
	rc = power_world_open(folder, c->config, &c->world, err);
	if (rc < 0)
		(void)err_wrap(err, "opening the store");
	if (rc == 0)
		rc = check_database(c->options.work, err);
	if (rc == 0)
		rc = check_world(c, err);
	power_world_close(&c->world);
	return rc;
}

/* ---- all of them ---- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int compare_sizes(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static void choose_cuts(const struct check *c, size_t *cuts)
{
	uint64_t state = c->options.seed;

	for (size_t i = 0; i < c->options.cuts; i++) {
		const struct fact *f = &c->facts.all[next_random(&state) % c->facts.count];

		cuts[i] = 1 + next_random(&state) % replay_count(c->replay);
		if (i % 2 == 0 && f->acked_at != SIZE_MAX)
			cuts[i] = f->acked_at + 1;
	}
	qsort(cuts, c->options.cuts, sizeof(*cuts), compare_sizes);
}

static volatile size_t cut_now; /* for on_crash() */

static void on_crash(int number)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "cut %zu: signal %d\n", cut_now, number);

	(void)!write(STDOUT_FILENO, text, (size_t)len);
	_exit(3);
}

static size_t run_cuts(struct check *c)
{
	CLEANUP(mem_freep) size_t *cuts = x_calloc(c->options.cuts, sizeof(*cuts));
	size_t failed = 0, done = 0;

	choose_cuts(c, cuts);
	if (c->options.only != 0) {
		c->options.cuts = 1;
		cuts[0] = c->options.only;
	}
	for (size_t i = 0; i < c->options.cuts; i++) {
		struct err err = ERR_INIT;

		c->cut = cut_now = cuts[i];
		done++;
		if (check_cut(c, &err) == 0)
			continue;
		if (failed++ < FAILURES_SHOWN)
			(void)printf("cut %zu: %s\n", c->cut, err.text);
		if (c->options.until_failure)
			break;
	}
	(void)printf("%zu cuts, %zu failed\n", done, failed);
	return failed;
}

/* ---- the log is complete ---- */

static const char *whole_from, *whole_to;
static unsigned whole_differ;

static int compare_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	CLEANUP(mem_freep) char *other = x_printf("%s%s", whole_to, path + strlen(whole_from));
	CLEANUP(buf_deinit) struct buf mine = BUF_INIT, its = BUF_INIT;
	struct err err = ERR_INIT;

	(void)st;
	(void)ftw;
	/* SQLite maps that one, and forgets it. */
	if (kind != FTW_F || str_ends(path, "-shm"))
		return 0;
	if (read_file(path, &mine, &err) == 0 && read_file(other, &its, &err) == 0 &&
		mine.len == its.len &&
		(mine.len == 0 || memcmp(mine.data, its.data, mine.len) == 0))
		return 0;
	whole_differ++;
	(void)printf("%s differs from %s: %s\n", path, other, err.text);
	return 0;
}

static int check_whole(struct check *c, struct err *err)
{
	CLEANUP(mem_freep) char *folder = x_printf("%s/data", c->options.work);

	if (replay_whole(c->replay, folder, err) < 0)
		return -1;
	for (int turn = 0; turn < 2; turn++) {
		whole_from = turn == 0 ? c->options.whole : folder;
		whole_to = turn == 0 ? folder : c->options.whole;
		if (nftw(whole_from, compare_one, 16, FTW_PHYS) < 0)
			return err_set_errno(err, errno, "%s", whole_from);
	}
	(void)printf("%u files differ\n", whole_differ);
	return whole_differ == 0 ? 0 : err_set(err, ERR_INTERNAL, "the log is not complete");
}

static bool take_option(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **text;
		uint64_t *number;
	} rows[] = {
		{"--log", &o->log, NULL},
		{"--facts", &o->facts, NULL},
		{"--work", &o->work, NULL},
		{"--config", &o->config, NULL},
		{"--skip-sync", &o->skip, NULL},
		{"--whole", &o->whole, NULL},
		{"--cuts", NULL, &o->cuts},
		{"--seed", NULL, &o->seed},
		{"--only", NULL, &o->only},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (rows[i].text != NULL)
			*rows[i].text = value;
		else
			*rows[i].number = strtoull(value, NULL, 10);
		return true;
	}
	return false;
}

static int prepare(struct check *c, struct err *err)
{
	CLEANUP(buf_deinit) struct buf config = BUF_INIT;

	if (replay_open(c->options.log, &c->replay, err) < 0 ||
		facts_load(&c->facts, c->options.facts, c->replay, err) < 0 ||
		read_file(c->options.config, &config, err) < 0)
		return -1;
	c->config = x_strdup(buf_cstr(&config));
	if (c->options.skip != NULL)
		replay_skip_syncs(c->replay, c->options.skip);
	return 0;
}

int main(int argc, char **argv)
{
	struct check c = {.options = {.cuts = 1000, .seed = 1}};
	struct err err = ERR_INIT;
	size_t failed = 0;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--until-failure") == 0)
			c.options.until_failure = true;
		else if (i + 1 >= argc || !take_option(&c.options, argv[i], argv[i + 1]))
			return 2;
		else
			i++;
	}
	if (c.options.log == NULL || c.options.facts == NULL || c.options.work == NULL ||
		c.options.config == NULL)
		return 2;
	log_setup("power-check", LOG_LEVEL_ERROR);
	mime_global_init();
	(void)signal(SIGABRT, on_crash);
	(void)signal(SIGSEGV, on_crash);
	rc = prepare(&c, &err);
	if (rc == 0 && c.options.whole != NULL)
		rc = check_whole(&c, &err);
	else if (rc == 0)
		failed = run_cuts(&c);
	if (rc < 0)
		(void)printf("%s\n", err.text);
	facts_deinit(&c.facts);
	replay_free(&c.replay);
	mem_free(c.config);
	return rc < 0 ? 2 : failed > 0;
}
