/*
 * bellhop export: the mail of a mailbox as files, read from the database itself beside a running
 * server (or without one), as a backup is. A Maildir++: the Inbox is DIR itself, other folders are
 * .Name and .Name.Sub in it; or mbox: DIR/Name.mbox and DIR/Name/Sub.mbox. The bytes of a message
 * are those that came in; its flags stand in the file's name (mbox: in Status and X-Status), its
 * date is the file's.
 *
 * Each message has a snapshot of its own: nothing of the server waits for a long export. Memory:
 * eight bytes for each message of a folder, and the largest message; for mbox twice that. Threads:
 * main.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf7.h"
#include "bulk/bulk.h"
#include "conf/settings.h"
#include "ctl/ctl_internal.h"
#include "store/store.h"

#define READERS     2
#define FLAG_ACTIVE 2
#define VERB_LAST   3 /* forward; 1 and 2 are replies */

struct export
{
	struct store *store;
	struct owner_id owner;
	struct arena *arena; /* folders */
	const struct folder *folders;
	size_t folder_count;
	const char *dir;
	bool mbox;
	bool single; /* one folder only: it is DIR itself */
	uint64_t exported, failed, skipped;
	json_t *failures;
	struct ctl_progress progress;
};

/* Where the messages of one folder go. */
struct target {
	const struct folder *folder;
	char *dir; /* owned; the Maildir */
	char *path;
	FILE *file; /* the mbox */
};

/* ---- folders ---- */

static bool is_mail(const struct folder *f)
{
	return (f->type >= FOLDER_USER_GENERIC && f->type <= FOLDER_OUTBOX) ||
	       f->type == FOLDER_USER_MAIL;
}

static const struct folder *parent_of(const struct export *e, const struct folder *f)
{
	for (size_t i = 0; f->parent.v != 0 && i < e->folder_count; i++) {
		if (e->folders[i].id.v == f->parent.v)
			return &e->folders[i];
	}
	return NULL;
}

/* Names from the top, each as encode wants it, with the separator between. */
static void add_path(const struct export *e, const struct folder *f, char separator,
	const char *special, struct buf *out)
{
	const struct folder *parent = parent_of(e, f);

	if (parent != NULL) {
		add_path(e, parent, separator, special, out);
		buf_add_byte(out, (uint8_t)separator);
	}
	if (special != NULL)
		utf7_add_name(out, f->name, special);
	else
		buf_add_str(out, f->name);
}

static int make_dir(const char *path, struct err *err)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST
		       ? err_set_errno(err, errno, "making the folder %s", path)
		       : 0;
}

/* It is not there, or empty. */
static int make_root(const char *path, struct err *err)
{
	struct dirent *entry;
	bool empty = true;
	DIR *d;

	if (make_dir(path, err) < 0)
		return -1;
	d = opendir(path);
	if (d == NULL)
		return err_set_errno(err, errno, "%s", path);
	while ((entry = readdir(d)) != NULL)
		empty = empty && (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."));
	(void)closedir(d);
	return empty ? 0 : err_set(err, ERR_CONFLICT, "%s is not empty", path);
}

static int make_maildir(const char *dir, bool sub, struct err *err)
{
	static const char *const names[] = {"cur", "new", "tmp"};
	CLEANUP(mem_freep) char *mark = x_printf("%s/maildirfolder", dir);

	if (make_dir(dir, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, names[i]);

		if (make_dir(path, err) < 0)
			return -1;
	}
	if (sub) {
		CLEANUP(fd_close)
		int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_set_errno(err, errno, "making %s", mark);
	}
	return 0;
}

static int open_maildir(const struct export *e, struct target *t, struct err *err)
{
	bool root = e->single || t->folder->type == FOLDER_INBOX;
	struct buf name = BUF_INIT;

	add_path(e, t->folder, '.', "./", &name);
	t->dir = root ? x_strdup(e->dir) : x_printf("%s/.%s", e->dir, buf_cstr(&name));
	buf_deinit(&name);
	return make_maildir(t->dir, !root, err);
}

static int open_mbox(const struct export *e, struct target *t, struct err *err)
{
	struct buf name = BUF_INIT;

	add_path(e, t->folder, '/', "/", &name);
	t->path = x_printf("%s/%s.mbox", e->dir, buf_cstr(&name));
	buf_deinit(&name);
	for (char *p = t->path + strlen(e->dir) + 1; (p = strchr(p, '/')) != NULL; p++) {
		int rc;

		*p = '\0';
		rc = make_dir(t->path, err);
		*p = '/';
		if (rc < 0)
			return -1;
	}
	t->file = fopen(t->path, "wxe");
	return t->file != NULL ? 0 : err_set_errno(err, errno, "making %s", t->path);
}

static int close_target(struct target *t, struct err *err)
{
	int rc = 0;

	if (t->file != NULL && fclose(t->file) != 0)
		rc = err_set_errno(err, errno, "writing %s", t->path);
	mem_free(t->dir);
	mem_free(t->path);
	return rc;
}

/* ---- a message ---- */

static unsigned flags_of(const struct folder *folder, const struct item *item)
{
	unsigned flags = 0;

	if (item->is_read)
		flags |= BULK_READ;
	if (item->flag_status == FLAG_ACTIVE)
		flags |= BULK_FLAGGED;
	if (item->last_verb > 0 && item->last_verb < VERB_LAST)
		flags |= BULK_ANSWERED;
	if (item->last_verb == VERB_LAST)
		flags |= BULK_FORWARDED;
	if (folder->type == FOLDER_DRAFTS)
		flags |= BULK_DRAFT;
	return flags;
}

static int write_file(
	const char *path, const struct store_body *body, int64_t date_at, struct err *err)
{
	const struct timespec times[2] = {{.tv_sec = date_at}, {.tv_sec = date_at}};
	CLEANUP(fd_close)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set_errno(err, errno, "making %s", path);
	if (fd_write_all(fd, body->bytes, body->len) < 0)
		return err_set_errno(err, errno, "writing %s", path);
	return futimens(fd, times) < 0 ? err_set_errno(err, errno, "dating %s", path) : 0;
}

static int put_maildir(
	struct target *t, const struct item *item, const struct store_body *body, struct err *err)
{
	char name[96];
	CLEANUP(mem_freep) char *from = NULL, *to = NULL;
	struct buf flags = BUF_INIT;

	(void)snprintf(name, sizeof(name), "%" PRId64 ".F%" PRIu64 "I%" PRIu64 ".bellhop",
		MAX(item->row.date_at, 0), t->folder->id.v, item->row.id.v);
	bulk_flags_add(&flags, flags_of(t->folder, item));
	from = x_printf("%s/tmp/%s", t->dir, name);
	to = x_printf("%s/cur/%s:2,%s", t->dir, name, buf_cstr(&flags));
	buf_deinit(&flags);
	if (write_file(from, body, item->row.date_at, err) < 0)
		return -1;
	return rename(from, to) < 0 ? err_set_errno(err, errno, "making %s", to) : 0;
}

static int put_mbox(
	struct target *t, const struct item *item, const struct store_body *body, struct err *err)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	bulk_mbox_add(&out, body->bytes, body->len, flags_of(t->folder, item), item->row.date_at);
	if (out.failed)
		return err_set(
			err, ERR_INTERNAL, "no memory for a message of %zu bytes", body->len);
	return fwrite(out.data, 1, out.len, t->file) == out.len
		       ? 0
		       : err_set_errno(err, errno, "writing %s", t->path);
}

/* 1: it is here; 0: it is gone, or no mail. */
static int load(struct export *e, const struct target *t, struct item_id id, struct arena *arena,
	struct item **ret, struct store_body *ret_body, struct err *err)
{
	struct store_read *rd;
	int rc;

	if (store_read_begin(e->store, &rd, err) < 0)
		return -1;
	rc = store_item_load(rd, e->owner, t->folder->id, id, arena, ret, err);
	if (rc == 0 && (*ret)->row.item_class != ITEM_MAIL) {
		e->skipped++;
		store_read_end(&rd);
		return 0;
	}
	if (rc == 0)
		rc = store_body_load(rd, e->owner, (*ret)->body_id, ret_body, err);
	store_read_end(&rd);
	if (rc < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	return 1;
}

/* -1: the target cannot be written; what cannot be read is a failure of its own. */
static int export_item(struct export *e, struct target *t, struct item_id id, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_body body;
	struct item *item;
	int rc = 0;

	/* Its file may go between the row and the look at it: then the row is gone, too. */
	for (int tries = 0; tries < 2; tries++) {
		*err = (struct err)ERR_INIT;
		rc = load(e, t, id, arena, &item, &body, err);
		if (rc >= 0)
			break;
	}
	if (rc < 0) {
		CLEANUP(mem_freep)
		char *where = x_printf(
			"%s: item %" PRIu64 ":%" PRIu64, t->folder->name, t->folder->id.v, id.v);

		e->failed++;
		ctl_failures_add(e->failures, where, err->text);
	}
	if (rc <= 0)
		return 0;
	rc = e->mbox ? put_mbox(t, item, &body, err) : put_maildir(t, item, &body, err);
	store_body_release(&body);
	e->exported += rc == 0;
	return rc;
}

/* ---- the whole ---- */

static int list_ids(struct export *e, const struct folder *folder, struct arena *arena,
	struct item_id **ret, size_t *ret_count, struct err *err)
{
	struct store_read *rd;
	int rc;

	if (store_read_begin(e->store, &rd, err) < 0)
		return -1;
	rc = store_item_ids(rd, e->owner, folder->id, arena, ret, ret_count, err);
	store_read_end(&rd);
	return rc;
}

static int compare_ids(const void *a, const void *b)
{
	const struct item_id *x = a, *y = b;

	return x->v < y->v ? -1 : x->v > y->v;
}

static int export_folder(struct export *e, const struct folder *folder, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct target t = {.folder = folder};
	struct err close_err = ERR_INIT;
	struct item_id *ids;
	size_t count;
	int rc = list_ids(e, folder, arena, &ids, &count, err);

	if (rc < 0)
		return -1;
	rc = e->mbox ? open_mbox(e, &t, err) : open_maildir(e, &t, err);
	if (rc == 0 && count > 0)
		qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = ctl_signal_caught() ? err_set(err, ERR_BUSY, "interrupted")
					 : export_item(e, &t, ids[i], err);
		e->progress.done++;
		e->progress.messages = e->exported;
		ctl_progress_show(&e->progress, false);
	}
	if (close_target(&t, &close_err) < 0 && rc == 0) {
		*err = close_err;
		rc = -1;
	}
	return rc;
}

static int count_items(struct export *e, struct err *err)
{
	struct store_read *rd;
	int rc = 0;

	if (!e->progress.on)
		return 0;
	if (store_read_begin(e->store, &rd, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < e->folder_count; i++) {
		uint64_t n = 0;

		if (is_mail(&e->folders[i]))
			rc = store_item_count(
				rd, e->owner, e->folders[i].id, INT64_MIN, 0, &n, err);
		e->progress.total += n;
	}
	store_read_end(&rd);
	return rc;
}

/* only: "Archive/2019", in any case of letters; NULL: all. */
static int export_folders(struct export *e, const char *only, struct err *err)
{
	bool found = only == NULL;

	for (size_t i = 0; i < e->folder_count; i++) {
		const struct folder *f = &e->folders[i];
		struct buf path = BUF_INIT;
		bool wanted;

		add_path(e, f, '/', NULL, &path);
		wanted = is_mail(f) && (only == NULL || str_eq_nocase(only, buf_cstr(&path)));
		buf_deinit(&path);
		if (!wanted)
			continue;
		found = true;
		if (export_folder(e, f, err) < 0)
			return -1;
	}
	return found ? 0 : err_set(err, ERR_NOT_FOUND, "there is no mail folder \"%.200s\"", only);
}

static int load_user(struct export *e, const char *address, struct err *err)
{
	CLEANUP(mem_freep) char *lower = str_lower(x_strdup(address));
	struct folder *folders;
	struct store_read *rd;
	struct user *user;
	int rc;

	if (store_read_begin(e->store, &rd, err) < 0)
		return -1;
	rc = store_user_find_address(rd, lower, e->arena, &user, err);
	if (rc < 0 && err->code == ERR_NOT_FOUND)
		(void)err_set(err, ERR_NOT_FOUND, "there is no user %.200s", address);
	if (rc == 0)
		rc = store_folder_list(rd, user->id, e->arena, &folders, &e->folder_count, err);
	store_read_end(&rd);
	if (rc == 0) {
		e->owner = user->id;
		e->folders = folders;
	}
	return rc;
}

static json_t *result_of(const struct export *e, bool interrupted)
{
	json_t *result = json_object();

	(void)json_object_set_new(result, "dir", json_string(e->dir));
	(void)json_object_set_new(result, "exported", json_integer((json_int_t)e->exported));
	if (e->skipped > 0)
		(void)json_object_set_new(result, "not_mail", json_integer((json_int_t)e->skipped));
	(void)json_object_set_new(result, "failed", json_integer((json_int_t)e->failed));
	(void)json_object_set(result, "failures", e->failures);
	if (interrupted)
		(void)json_object_set_new(result, "interrupted", json_true());
	return result;
}

/* What was written is on the disk when we say so. */
static int sync_dir(const char *dir, struct err *err)
{
	CLEANUP(fd_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? err_set_errno(err, errno, "syncing %s", dir) : 0;
}

static int run(struct export *e, const json_t *args, bool bar, json_t **ret_result, struct err *err)
{
	const char *only = json_string_value(json_object_get(args, "folder"));
	bool interrupted;
	int rc;

	e->single = only != NULL;
	if (load_user(e, json_string_value(json_object_get(args, "address")), err) < 0 ||
		make_root(e->dir, err) < 0)
		return -1;
	ctl_progress_begin(&e->progress, bar);
	rc = count_items(e, err);
	if (rc == 0)
		rc = export_folders(e, only, err);
	ctl_progress_end(&e->progress);
	interrupted = rc < 0 && ctl_signal_caught();
	if ((rc < 0 && !interrupted) || sync_dir(e->dir, err) < 0)
		return -1;
	*ret_result = result_of(e, interrupted);
	return 0;
}

int ctl_export_run(const json_t *args, const struct settings *settings, bool json,
	json_t **ret_result, struct err *err)
{
	const struct store_options options = {.data_dir = settings->server_data_dir,
		.readers_max = READERS,
		.group_max = 1,
		.body_inline_max = settings->store_body_inline_max,
		.cache_kib = settings->store_cache_kib,
		.mmap_bytes = 0, /* what is read once shall not count as ours */
		.read_only = true};
	const char *format = json_string_value(json_object_get(args, "format"));
	bool quiet = json_is_true(json_object_get(args, "quiet"));
	CLEANUP(store_close) struct store *store = NULL;
	struct export e = {.dir = json_string_value(json_object_get(args, "dir"))};
	int rc;

	ctl_signal_catch();
	e.mbox = format != NULL && str_eq_nocase(format, "mbox");
	if (format != NULL && !e.mbox && !str_eq_nocase(format, "maildir"))
		return err_set(
			err, ERR_BAD_INPUT, "--format is maildir or mbox, not \"%.40s\"", format);
	if (store_open(&options, &store, err) < 0)
		return -1;
	e.store = store;
	e.arena = arena_new(0);
	e.failures = json_array();
	rc = run(&e, args, !quiet && !json, ret_result, err);
	json_decref(e.failures);
	arena_free(&e.arena);
	return rc;
}
