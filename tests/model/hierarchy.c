/*
 * The folders that phones make, rename and delete, and what FolderSync tells them of each other's.
 * A change whose answer is lost is repeated, or the phone asks instead; either way it must come to
 * what the store has, and hear of no folder twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model.h"

enum { ROUNDS_MAX = 6 };

static struct known_folder *find_folder(struct hierarchy *h, uint64_t id)
{
	for (size_t i = 0; i < h->count; i++) {
		if (h->folders[i].id == id)
			return &h->folders[i];
	}
	return NULL;
}

static void add_folder(struct world *w, struct phone *p, uint64_t id, const char *name)
{
	struct hierarchy *h = &p->hierarchy;

	if (find_folder(h, id) != NULL || h->count == ARRAY_LEN(h->folders)) {
		model_fail(w, (int)p->number, "phone %u: folder %" PRIu64 " is added twice",
			p->number, id);
		return;
	}
	h->folders[h->count] = (struct known_folder){.id = id, .own = name[0] == 'n'};
	(void)snprintf(h->folders[h->count].name, sizeof(h->folders[0].name), "%s", name);
	h->count++;
}

static void rename_folder(struct world *w, struct phone *p, uint64_t id, const char *name)
{
	struct known_folder *f = find_folder(&p->hierarchy, id);

	if (f == NULL)
		model_fail(w, (int)p->number,
			"phone %u: folder %" PRIu64 ", which it does not know", p->number, id);
	else
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
}

static void drop_folder(struct world *w, struct phone *p, uint64_t id)
{
	struct known_folder *f = find_folder(&p->hierarchy, id);

	if (f == NULL)
		model_fail(w, (int)p->number,
			"phone %u: folder %" PRIu64 " is deleted, which it does not know",
			p->number, id);
	else
		*f = p->hierarchy.folders[--p->hierarchy.count];
}

void hierarchy_begin(struct phone *p)
{
	p->hierarchy = (struct hierarchy){.key = "0", .restart = p->hierarchy.restart};
}

/* ---- what it says ---- */

struct command *hierarchy_ask(struct world *w, struct phone *p)
{
	struct command *c = command_new(p, "FolderSync");
	struct wbxml_writer x;

	wbxml_writer_init(&x, &c->body);
	wbxml_start(&x, TAG_FolderHierarchy_FolderSync);
	wbxml_add_text(&x, TAG_FolderHierarchy_SyncKey, p->hierarchy.key);
	wbxml_end(&x);
	model_trace(w, (int)p->number, "FolderSync, key %s", p->hierarchy.key);
	return c;
}

/* The pick-th of those which a phone may change; NULL: there is none. */
static const struct known_folder *pick_own(const struct hierarchy *h, uint32_t pick)
{
	const struct known_folder *own[FOLDERS_KNOWN_MAX];
	uint32_t count = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (h->folders[i].own)
			own[count++] = &h->folders[i];
	}
	return count == 0 ? NULL : own[pick % count];
}

static struct command *change(
	struct world *w, struct phone *p, unsigned tag, const char *name, uint64_t id)
{
	struct command *c = command_new(p, name);
	struct wbxml_writer x;
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, id);
	c->folder = id;
	wbxml_writer_init(&x, &c->body);
	wbxml_start(&x, tag);
	wbxml_add_text(&x, TAG_FolderHierarchy_SyncKey, p->hierarchy.key);
	if (id != 0)
		wbxml_add_text(&x, TAG_FolderHierarchy_ServerId, text);
	if (tag != TAG_FolderHierarchy_FolderDelete) {
		(void)snprintf(c->folder_name, sizeof(c->folder_name), "n%u", ++w->next_value);
		wbxml_add_text(&x, TAG_FolderHierarchy_ParentId, "0");
		wbxml_add_text(&x, TAG_FolderHierarchy_DisplayName, c->folder_name);
	}
	if (tag == TAG_FolderHierarchy_FolderCreate)
		wbxml_add_text(&x, TAG_FolderHierarchy_Type, "12");
	wbxml_end(&x);
	model_trace(w, (int)p->number, "%s %" PRIu64 " %s, key %s", name, id, c->folder_name,
		p->hierarchy.key);
	return c;
}

struct command *hierarchy_change(struct world *w, struct phone *p, const struct action *a)
{
	const struct known_folder *f = pick_own(&p->hierarchy, a->pick[1]);

	if (strcmp(p->hierarchy.key, "0") == 0 || a->pick[0] % 5 == 0)
		return hierarchy_ask(w, p);
	if (f == NULL || a->pick[0] % 5 < 3) {
		/* Room for those of the others. */
		if (p->hierarchy.count + 16 > FOLDERS_KNOWN_MAX)
			return hierarchy_ask(w, p);
		return change(w, p, TAG_FolderHierarchy_FolderCreate, "FolderCreate", 0);
	}
	if (a->pick[0] % 5 == 3)
		return change(w, p, TAG_FolderHierarchy_FolderUpdate, "FolderUpdate", f->id);
	return change(w, p, TAG_FolderHierarchy_FolderDelete, "FolderDelete", f->id);
}

/* ---- what it hears ---- */

static uint64_t id_of(const struct wbxml_node *n)
{
	const char *text = wbxml_text(n, TAG_FolderHierarchy_ServerId);

	return strtoull(text != NULL ? text : "0", NULL, 10);
}

static const char *text_of(const struct wbxml_node *n, unsigned tag)
{
	const char *text = wbxml_text(n, tag);

	return text != NULL ? text : "";
}

static void take_changes(struct world *w, struct phone *p, const struct wbxml_node *changes)
{
	p->news = 0;
	for (const struct wbxml_node *n = changes != NULL ? changes->child : NULL; n != NULL;
		n = n->next) {
		if (n->tag == TAG_FolderHierarchy_Count)
			continue;
		p->news++;
		model_trace(w, (int)p->number, "    %s %" PRIu64 " %s",
			n->tag == TAG_FolderHierarchy_Add      ? "Add"
			: n->tag == TAG_FolderHierarchy_Update ? "Update"
							       : "Delete",
			id_of(n), text_of(n, TAG_FolderHierarchy_DisplayName));
		if (n->tag == TAG_FolderHierarchy_Add)
			add_folder(w, p, id_of(n), text_of(n, TAG_FolderHierarchy_DisplayName));
		else if (n->tag == TAG_FolderHierarchy_Update)
			rename_folder(w, p, id_of(n), text_of(n, TAG_FolderHierarchy_DisplayName));
		else
			drop_folder(w, p, id_of(n));
	}
}

static void take_own(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root)
{
	if (strcmp(c->name, "FolderCreate") == 0)
		add_folder(w, p, id_of(root), c->folder_name);
	else if (strcmp(c->name, "FolderUpdate") == 0)
		rename_folder(w, p, c->folder, c->folder_name);
	else
		drop_folder(w, p, c->folder);
}

bool hierarchy_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root)
{
	const char *status = text_of(root, TAG_FolderHierarchy_Status);
	bool asks = strcmp(c->name, "FolderSync") == 0;
	bool gone = find_folder(&p->hierarchy, c->folder) != NULL && strcmp(status, "4") == 0;

	model_trace(w, (int)p->number, "  %s: Status %s, key %s", c->name, status,
		text_of(root, TAG_FolderHierarchy_SyncKey));
	if (strcmp(status, "1") == 0) {
		/* The key that it had may still be used by an old request on its way. */
		if (strcmp(p->hierarchy.key, text_of(root, TAG_FolderHierarchy_SyncKey)) != 0)
			p->hierarchy.restart = false;
		(void)snprintf(p->hierarchy.key, sizeof(p->hierarchy.key), "%s",
			text_of(root, TAG_FolderHierarchy_SyncKey));
		if (asks)
			take_changes(w, p, wbxml_find(root, TAG_FolderHierarchy_Changes));
		else
			take_own(w, p, c, root);
		p->hierarchy.version = c->version;
		p->hierarchy.due = p->hierarchy.due && !asks;
	} else if (strcmp(status, "9") == 0 &&
		   (p->hierarchy.restart || p->hierarchy.version != c->version)) {
		hierarchy_begin(p);
	} else if (w->trouble && (strcmp(status, "6") == 0 || strlen(status) == 3)) {
		/* Whatever it asked for, and the one before whose answer it did not get, may have
		 * been done: it may find its key used. */
		p->hierarchy.restart = true;
	} else if (!(gone && !asks)) {
		/* Another phone may have deleted it; names are used once. */
		model_fail(w, (int)p->number, "phone %u: %s gets Status %s", p->number, c->name,
			status);
	}
	return true;
}

/* ---- the end ---- */

static void compare(struct world *w, struct phone *p)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct folder *folders;
	struct store_read *rd;
	size_t count, shown = 0;

	if (store_read_begin(w->store, &rd, &err) < 0 ||
		store_folder_list(rd, w->anna, arena, &folders, &count, &err) < 0) {
		model_fail(w, -1, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct known_folder *f = find_folder(&p->hierarchy, folders[i].id.v);

		if (f == NULL && folders[i].type == FOLDER_USER_MAIL)
			model_fail(w, (int)p->number, "phone %u lacks folder %s", p->number,
				folders[i].name);
		else if (f != NULL && strcmp(f->name, folders[i].name) != 0)
			model_fail(w, (int)p->number, "phone %u: folder %s is called %s", p->number,
				folders[i].name, f->name);
		shown += f != NULL;
	}
	store_read_end(&rd);
	if (shown != p->hierarchy.count)
		model_fail(w, (int)p->number, "phone %u knows %zu folders, %zu of them there",
			p->number, p->hierarchy.count, shown);
}

void hierarchy_settle(struct world *w, struct phone *p)
{
	char key[20];

	for (unsigned i = 0; !w->failed; i++) {
		(void)snprintf(key, sizeof(key), "%s", p->hierarchy.key);
		if (i == ROUNDS_MAX)
			model_fail(w, (int)p->number, "phone %u: its folders never come to rest",
				p->number);
		command_settle(w, p, hierarchy_ask(w, p));
		if (p->news == 0 && strcmp(key, "0") != 0 && strcmp(p->hierarchy.key, "0") != 0)
			break;
	}
	compare(w, p);
}
