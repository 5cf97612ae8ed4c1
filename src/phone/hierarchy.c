/*
 * FolderSync, and the Maildir folders that follow it. The folder list and its key are saved
 * together, so a lost answer is simply asked for again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/mailbox.h"
#include "phone/maildir.h"
#include "phone/phone.h"

char *hierarchy_dir(const struct phone *p, const struct profile_folder *f)
{
	return *f->path == 0 ? x_strdup(p->maildir) : x_printf("%s/%s", p->maildir, f->path);
}

/* The server deleted a folder: our messages in it go; files of the user's own stay. */
static int drop_folder(struct phone *p, const struct profile_folder *f, struct err *err)
{
	CLEANUP(mailbox_free) struct mailbox *m = NULL;
	CLEANUP(mem_freep) char *dir = NULL;
	struct maildir_scan scan;

	if (f->path == NULL)
		return 0;
	dir = hierarchy_dir(p, f);
	if (mailbox_load(p->state_dir, f->id, &m, err) == 0) {
		if (maildir_scan(dir, &scan, err) < 0)
			return -1;
		for (size_t i = 0; i < mailbox_count(m); i++) {
			const struct maildir_file *file =
				maildir_scan_find(&scan, mailbox_at(m, i)->base);
			struct err ignored = ERR_INIT;

			if (file != NULL && maildir_remove(dir, file, &ignored) < 0)
				log_warn(NULL, "message_remove_failed", F_ERR(&ignored));
		}
		maildir_scan_clear(&scan);
	}
	mailbox_forget(p->state_dir, f->id);
	if (*f->path != 0)
		maildir_remove_empty(dir);
	return 0;
}

/*
 * Gives each mail folder its place; moves those whose name or parent changed. The folders
 * themselves are made by the first sync: it must see whether one has gone missing.
 */
static void place_folders(struct phone *p)
{
	for (size_t i = 0; i < p->profile->folder_count; i++) {
		struct profile_folder *f = &p->profile->folders[i];
		CLEANUP(mem_freep) char *path = profile_folder_path(p->profile, f);

		if (path == NULL) {
			profile_set(&f->path, NULL);
			continue;
		}
		if (f->path != NULL && *f->path != 0 && strcmp(f->path, path) != 0) {
			CLEANUP(mem_freep) char *from = hierarchy_dir(p, f);
			CLEANUP(mem_freep) char *to = x_printf("%s/%s", p->maildir, path);

			if (rename(from, to) < 0 && errno != ENOENT) {
				/* It stays where it was; a name is not worth a failure. */
				log_warn(NULL, "folder_rename_failed", F_STR("from", from),
					F_STR("to", to));
				continue;
			}
		}
		profile_set(&f->path, path);
	}
}

static bool named(const struct phone *p, const struct profile_folder *f)
{
	for (size_t i = 0; i < p->options->folder_count; i++) {
		if (str_eq_nocase(p->options->folders[i], f->name) ||
			strcmp(p->options->folders[i], f->id) == 0)
			return true;
	}
	return p->options->folder_count == 0;
}

/* Marks what is to be synced; ERR_DENIED when --folder names none. */
static int choose_folders(struct phone *p, struct err *err)
{
	size_t wanted = 0;

	for (size_t i = 0; i < p->profile->folder_count; i++) {
		struct profile_folder *f = &p->profile->folders[i];

		f->wanted = f->path != NULL && named(p, f);
		wanted += f->wanted;
	}
	if (wanted == 0 && p->options->folder_count > 0)
		return err_set(err, ERR_DENIED, "the server has no mail folder named \"%s\"%s",
			p->options->folders[0],
			p->options->folder_count > 1 ? " (nor any of the others)" : "");
	if (wanted == 0)
		return err_set(err, ERR_DENIED, "the server has no mail folder for us");
	return 0;
}

/* A first listing names all folders: what it does not name is gone. */
static int replace_all(struct phone *p, const struct answer_folders *a, struct err *err)
{
	for (size_t i = p->profile->folder_count; i > 0; i--) {
		struct profile_folder *f = &p->profile->folders[i - 1];
		bool kept = false;

		for (size_t n = 0; n < a->added_count && !kept; n++)
			kept = strcmp(a->added[n].id, f->id) == 0;
		if (kept)
			continue;
		if (drop_folder(p, f, err) < 0)
			return -1;
		profile_folder_remove(p->profile, f->id);
	}
	return 0;
}

static int apply(struct phone *p, const struct answer_folders *a, bool first, struct err *err)
{
	if (first && replace_all(p, a, err) < 0)
		return -1;
	for (size_t i = 0; i < a->deleted_count; i++) {
		const struct profile_folder *f = profile_folder_find(p->profile, a->deleted[i]);

		if (f == NULL)
			continue;
		if (drop_folder(p, f, err) < 0)
			return -1;
		profile_folder_remove(p->profile, a->deleted[i]);
	}
	for (size_t i = 0; i < a->added_count; i++)
		profile_folder_put(p->profile, &a->added[i]);
	for (size_t i = 0; i < a->updated_count; i++)
		profile_folder_put(p->profile, &a->updated[i]);
	place_folders(p);
	profile_set(&p->profile->hierarchy_key, a->sync_key);
	return profile_save(p->state_dir, p->profile, err);
}

static void tell(struct phone *p, const struct answer_folders *a)
{
	CLEANUP(mem_freep)
	const char **names = x_calloc(p->profile->folder_count + 1, sizeof(char *));
	CLEANUP(mem_freep) char *text = NULL;
	size_t count = 0;

	for (size_t i = 0; i < p->profile->folder_count; i++) {
		if (p->profile->folders[i].wanted)
			names[count++] = p->profile->folders[i].name;
	}
	if (a->added_count + a->updated_count + a->deleted_count > 0)
		text = x_printf("Folders: %zu, %zu of them with mail to sync.",
			p->profile->folder_count, count);
	events_emit(&p->events, 0, text, "folders", EV_INT("count", p->profile->folder_count),
		EV_INT("added", a->added_count), EV_INT("changed", a->updated_count),
		EV_INT("deleted", a->deleted_count), EV_LIST("synced", names, count));
}

/* 1: start over from key 0. */
static int sync_once(struct phone *p, struct err *err)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	bool first = strcmp(p->profile->hierarchy_key, "0") == 0;
	struct exchange x = {.command = REQUEST_FOLDER_SYNC};
	struct wbxml_node *root = NULL;
	struct answer_folders a;

	request_folder_sync(p->profile->hierarchy_key, &body);
	x.body = body.data;
	x.body_len = body.len;
	if (exchange_run(p, &x, arena, &root, err) < 0 || answer_folders(arena, root, &a, err) < 0)
		return -1;
	switch (a.status) {
	case 1:
		if (apply(p, &a, first, err) < 0 || choose_folders(p, err) < 0)
			return -1;
		tell(p, &a);
		p->hierarchy_stale = false;
		return 0;
	case 9:
		if (first)
			return err_set(err, ERR_BAD_INPUT,
				"the server refuses even the first key (FolderSync Status 9)");
		profile_set(&p->profile->hierarchy_key, "0");
		return 1;
	case 6:
	case 11:
	case 12:
		return err_set(err, ERR_BUSY,
			"the server cannot list the folders now (FolderSync Status %u)", a.status);
	default:
		return err_set(err, ERR_DENIED, "FolderSync failed with Status %u", a.status);
	}
}

int hierarchy_run(struct phone *p, struct err *err)
{
	int rc;

	do
		rc = sync_once(p, err);
	while (rc == 1);
	return rc < 0 ? err_wrap(err, "listing the folders") : 0;
}
