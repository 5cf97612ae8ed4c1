/*
 * The ledger: what was committed, learned from the store's publisher and from nothing else, and
 * compared with the store's tables when it matters.
 *
 * The publisher says which property of which item moved; what it moved to is known from what the
 * writer wanted. An ADD right behind a DELETE of the same publication is a move.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mime/mime.h"
#include "model.h"

static const unsigned group_kinds[GROUPS] = {CHANGE_READ, CHANGE_FLAG, CHANGE_CATEGORIES};

static void history_add(struct history *h, uint32_t value)
{
	if (h->count == h->cap) {
		h->cap = MAX(h->cap * 2, 4);
		h->values = x_realloc(h->values, h->cap * sizeof(*h->values));
	}
	h->values[h->count++] = value;
}

void ledger_free(struct world *w)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		for (size_t i = 0; w->truth[f] != NULL && i < ITEMS_MAX; i++) {
			for (size_t g = 0; g < GROUPS; g++)
				mem_free(w->truth[f][i].groups[g].values);
		}
		mem_free(w->truth[f]);
		w->truth[f] = NULL;
	}
	mem_free(w->doubtful);
	mem_free(w->published);
	w->doubtful = NULL;
	w->published = NULL;
	w->doubtful_count = w->published_count = w->published_cap = 0;
}

void ledger_clear(struct world *w)
{
	ledger_free(w);
	for (size_t f = 0; f < FOLDERS; f++)
		w->truth[f] = x_calloc(ITEMS_MAX, sizeof(*w->truth[f]));
}

unsigned ledger_folder(const struct world *w, struct folder_id id)
{
	unsigned f = 0;

	while (f < FOLDERS && w->folders[f].v != id.v)
		f++;
	return f;
}

struct truth *ledger_item(struct world *w, unsigned folder, uint64_t item)
{
	if (folder >= FOLDERS || item == 0 || item >= ITEMS_MAX || !w->truth[folder][item].exists)
		return NULL;
	return &w->truth[folder][item];
}

uint32_t ledger_value(const struct truth *t, enum group group)
{
	return t->groups[group].values[t->groups[group].count - 1];
}

size_t ledger_length(const struct truth *t, enum group group)
{
	return t->groups[group].count;
}

bool ledger_had(const struct truth *t, enum group group, size_t since, uint32_t value)
{
	for (size_t i = since; i < t->groups[group].count; i++) {
		if (t->groups[group].values[i] == value)
			return true;
	}
	return false;
}

uint64_t ledger_pick(const struct world *w, unsigned folder, uint32_t pick)
{
	uint64_t living[ITEMS_MAX];
	uint32_t count = 0;

	for (uint64_t i = 1; i < ITEMS_MAX; i++) {
		if (w->truth[folder][i].exists && !w->truth[folder][i].deleted)
			living[count++] = i;
	}
	return count == 0 ? 0 : living[pick % count];
}

/* ---- learning ---- */

static struct truth *add_item(
	struct world *w, unsigned folder, uint64_t item, uint32_t uid, int64_t date_at)
{
	struct truth *t;

	if (folder >= FOLDERS || item == 0 || item >= ITEMS_MAX) {
		model_fail(w, -1, "item %" PRIu64 " appears in folder %u", item, folder);
		return NULL;
	}
	t = &w->truth[folder][item];
	if (t->exists)
		model_fail(w, -1, "id %" PRIu64 " of folder %u is given to another item", item,
			folder);
	*t = (struct truth){.exists = true, .uid = uid, .date_at = date_at};
	for (size_t g = 0; g < GROUPS; g++)
		history_add(&t->groups[g], 0);
	model_trace(w, -1, "committed: %u:%" PRIu64 " is m%u of day %.2f", folder, item, uid,
		(double)(date_at - START_AT) / 86400);
	return t;
}

static void delete_item(struct world *w, unsigned folder, uint64_t item)
{
	struct truth *t = ledger_item(w, folder, item);

	if (t == NULL || t->deleted) {
		model_fail(w, -1, "%u:%" PRIu64 " is deleted but was not there", folder, item);
		return;
	}
	t->deleted = true;
	t->deleted_step = ++w->step;
	model_trace(w, -1, "committed: %u:%" PRIu64 " is gone", folder, item);
}

static void move_values(struct truth *to, const struct truth *from)
{
	for (size_t g = 0; g < GROUPS; g++)
		to->groups[g].values[0] = ledger_value(from, (enum group)g);
}

static const struct effect *find_effect(
	const struct writer *writer, unsigned folder, uint64_t item, unsigned group)
{
	for (size_t i = writer->effect_count; i-- > 0;) {
		const struct effect *e = &writer->effects[i];

		if (e->folder == folder && e->item == item && (e->groups & 1u << group) != 0)
			return e;
	}
	return NULL;
}

static void learn_groups(struct world *w, const struct writer *writer,
	const struct change_event *event, unsigned folder)
{
	struct truth *t = ledger_item(w, folder, event->item.v);

	for (unsigned g = 0; g < GROUPS; g++) {
		const struct effect *e;

		if ((event->kinds & group_kinds[g]) == 0)
			continue;
		e = writer != NULL ? find_effect(writer, folder, event->item.v, g) : NULL;
		if (t == NULL || e == NULL) {
			model_fail(w, -1, "%u:%" PRIu64 " changes and nobody wanted it", folder,
				event->item.v);
			return;
		}
		history_add(&t->groups[g], e->values[g]);
		model_trace(w, -1, "committed: %u:%" PRIu64 " %s is %u", folder, event->item.v,
			g == GROUP_READ   ? "read"
			: g == GROUP_FLAG ? "flag"
					  : "category",
			e->values[g]);
	}
}

/* One published event. */
struct publication {
	struct change_event event;
	struct writer *writer;
	size_t number;
};

void ledger_publish(const struct change_event *events, size_t count, struct world *w)
{
	for (size_t i = 0; i < count; i++) {
		/* Of Bob, of folders themselves, and of drafts it knows nothing. */
		if (events[i].owner.v != w->anna.v || ledger_folder(w, events[i].folder) == FOLDERS)
			continue;
		if (w->published_count == w->published_cap) {
			w->published_cap = MAX(w->published_cap * 2, 64);
			w->published =
				x_realloc(w->published, w->published_cap * sizeof(*w->published));
		}
		w->published[w->published_count] =
			(struct publication){events[i], fiber_owner(), w->published_count};
		w->published_count++;
	}
}

static int by_commit(const void *left, const void *right)
{
	const struct publication *a = left, *b = right;

	if (a->event.seq != b->event.seq)
		return a->event.seq < b->event.seq ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static bool is_of(const struct publication *p, unsigned kind)
{
	return (p->event.kinds & kind) != 0;
}

static const struct effect *find_addition(const struct writer *writer, int64_t date_at)
{
	for (size_t i = 0; writer != NULL && i < writer->effect_count; i++) {
		if (writer->effects[i].adds && writer->effects[i].date_at == date_at)
			return &writer->effects[i];
	}
	return NULL;
}

static void check_once(struct world *w, uint32_t uid)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		for (size_t i = 0; i < ITEMS_MAX; i++) {
			const struct truth *t = &w->truth[f][i];

			if (t->exists && t->uid == uid && !(t->sms && sms_is_forgotten(w, t)))
				model_fail(w, -1, "m%u is brought twice", uid);
		}
	}
}

static void learn_add(struct world *w, const struct publication *p, const struct truth *moved)
{
	struct writer *writer = p->writer;
	bool sms = p->event.item_class == ITEM_SMS;
	const struct effect *added = sms ? find_addition(writer, p->event.date_at) : NULL;
	bool is_new =
		moved == NULL && !sms && writer != NULL && writer->uid_next < writer->uid_count;
	uint32_t uid = moved != NULL   ? moved->uid
		       : added != NULL ? added->uid
		       : is_new        ? writer->uids[writer->uid_next++]
				       : 0;
	struct truth *t;

	if (moved == NULL && uid != 0)
		check_once(w, uid);
	t = add_item(w, ledger_folder(w, p->event.folder), p->event.item.v, uid, p->event.date_at);
	if (t == NULL)
		return;
	t->sms = sms;
	if (moved != NULL)
		move_values(t, moved);
	else if (is_new)
		t->groups[GROUP_READ].values[0] = writer->read;
}

void ledger_flush(struct world *w)
{
	w->step++;
	if (w->published_count > 0)
		qsort(w->published, w->published_count, sizeof(*w->published), by_commit);
	for (size_t i = 0; i < w->published_count; i++) {
		const struct publication *p = &w->published[i];
		unsigned folder = ledger_folder(w, p->event.folder);
		bool is_target = i > 0 && is_of(p - 1, CHANGE_DELETE) &&
				 p[-1].event.seq == p->event.seq &&
				 p[-1].event.folder.v != p->event.folder.v;

		if (is_of(p, CHANGE_ADD))
			learn_add(w, p,
				is_target ? ledger_item(w, ledger_folder(w, p[-1].event.folder),
						    p[-1].event.item.v)
					  : NULL);
		else if (is_of(p, CHANGE_DELETE))
			delete_item(w, folder, p->event.item.v);
		else if ((p->event.kinds & (CHANGE_READ | CHANGE_FLAG | CHANGE_CATEGORIES)) != 0)
			learn_groups(w, p->writer, &p->event, folder);
	}
	w->published_count = 0;
}

void ledger_doubt(struct world *w, const struct writer *writer)
{
	w->doubtful = x_realloc(w->doubtful, (w->doubtful_count + 1) * sizeof(*w->doubtful));
	w->doubtful[w->doubtful_count++] = *writer;
}

/* ---- the store's tables ---- */

void flag_blob(uint32_t value, struct buf *ret)
{
	char text[16];

	if (value == 0)
		return;
	(void)snprintf(text, sizeof(text), "f%u", value);
	buf_add_u16(ret, TAG_Email_FlagType);
	buf_add_varint(ret, strlen(text));
	buf_add_str(ret, text);
}

void category_blob(uint32_t value, struct buf *ret)
{
	char text[16];

	if (value == 0)
		return;
	(void)snprintf(text, sizeof(text), "c%u", value);
	buf_add_varint(ret, 1);
	buf_add_varint(ret, strlen(text));
	buf_add_str(ret, text);
}

/* The number behind the letter; 0 without one. */
static uint32_t blob_number(const uint8_t *blob, size_t len, char letter)
{
	for (size_t i = 0; i + 1 < len; i++) {
		uint32_t v = 0;
		size_t at = i + 1;

		if (blob[i] != (uint8_t)letter)
			continue;
		while (at < len && blob[at] >= '0' && blob[at] <= '9')
			v = v * 10 + (uint32_t)(blob[at++] - '0');
		if (at == len)
			return v;
	}
	return 0;
}

static void read_values(const struct item *item, uint32_t values[GROUPS])
{
	values[GROUP_READ] = item->is_read;
	values[GROUP_FLAG] =
		item->flag_status == 0 ? 0 : blob_number(item->flag, item->flag_len, 'f');
	values[GROUP_CATEGORY] = blob_number(item->categories, item->categories_len, 'c');
}

static bool doubt_explains(
	const struct world *w, unsigned folder, uint64_t item, int group, uint32_t value)
{
	for (size_t d = 0; d < w->doubtful_count; d++) {
		for (size_t i = 0; i < w->doubtful[d].effect_count; i++) {
			const struct effect *e = &w->doubtful[d].effects[i];

			if (e->folder != folder || e->item != item)
				continue;
			if (group < 0 ? e->deletes
				      : (e->groups & 1u << group) != 0 && e->values[group] == value)
				return true;
		}
	}
	return false;
}

static bool brings(const struct writer *writer, uint32_t uid)
{
	for (size_t i = 0; i < writer->uid_count; i++) {
		if (writer->uids[i] == uid)
			return true;
	}
	for (size_t i = 0; i < writer->effect_count; i++) {
		if (writer->effects[i].adds && writer->effects[i].uid == uid)
			return true;
	}
	return false;
}

/* A new item that nobody was told of: a delivery, or the target of a move. */
static bool doubt_explains_new(
	struct world *w, const struct item *item, unsigned folder, uint32_t uid)
{
	for (size_t d = 0; d < w->doubtful_count; d++) {
		const struct writer *writer = &w->doubtful[d];

		if (brings(writer, uid)) {
			struct truth *t =
				add_item(w, folder, item->row.id.v, uid, item->row.date_at);

			if (t != NULL) {
				t->sms = item->row.item_class == ITEM_SMS;
				t->groups[GROUP_READ].values[0] = writer->read;
			}
			return true;
		}
		for (size_t i = 0; i < writer->effect_count; i++) {
			const struct effect *e = &writer->effects[i];
			const struct truth *from = ledger_item(w, e->folder, e->item);
			struct truth *to;

			if (!e->deletes || from == NULL || from->uid != uid)
				continue;
			to = add_item(w, folder, item->row.id.v, uid, item->row.date_at);
			if (to != NULL) {
				to->sms = from->sms;
				move_values(to, from);
			}
			return true;
		}
	}
	return false;
}

/* Where a text message keeps its subject. */
static uint32_t sms_uid(struct world *w, struct store_read *rd, const struct item *item)
{
	static const char field[] = "x-bellhop-sms-subject: =?utf-8?Q?m";
	struct store_body body;
	struct err err = ERR_INIT;
	const uint8_t *at;
	uint32_t uid = 0;

	if (store_body_load(rd, w->anna, item->body_id, &body, &err) < 0)
		return 0;
	at = memmem(body.bytes, body.len, field, strlen(field));
	if (at != NULL)
		uid = (uint32_t)strtoul((const char *)at + strlen(field), NULL, 10);
	store_body_release(&body);
	return uid;
}

static uint32_t uid_of(
	struct world *w, struct store_read *rd, struct arena *arena, const struct item *item)
{
	struct mime_summary *summary;
	struct err err = ERR_INIT;

	if (item->row.item_class == ITEM_SMS)
		return sms_uid(w, rd, item);

	if (mime_summary_decode(arena, item->summary, item->summary_len, &summary, &err) < 0)
		return 0;
	return (uint32_t)strtoul(summary->subject + (summary->subject[0] == 'm'), NULL, 10);
}

static void compare_item(
	struct world *w, unsigned folder, const struct item *item, uint32_t uid, bool doubtful)
{
	struct truth *t = ledger_item(w, folder, item->row.id.v);
	uint32_t values[GROUPS];

	if (t == NULL && doubtful && doubt_explains_new(w, item, folder, uid))
		t = ledger_item(w, folder, item->row.id.v);
	if (t == NULL || t->deleted) {
		model_fail(w, -1, "the store has %u:%" PRIu64 ", which %s", folder, item->row.id.v,
			t == NULL ? "nobody brought" : "was deleted");
		return;
	}
	if (t->uid != uid)
		model_fail(w, -1, "%u:%" PRIu64 " is m%u, not m%u", folder, item->row.id.v, uid,
			t->uid);
	read_values(item, values);
	for (int g = 0; g < GROUPS; g++) {
		uint32_t known = ledger_value(t, (enum group)g);

		if (values[g] == known)
			continue;
		if (doubtful && doubt_explains(w, folder, item->row.id.v, g, values[g]))
			history_add(&t->groups[g], values[g]);
		else
			model_fail(w, -1, "group %d of %u:%" PRIu64 " is %u in the store, not %u",
				g, folder, item->row.id.v, values[g], known);
	}
}

static void compare_missing(struct world *w, unsigned folder, const bool *seen, bool doubtful)
{
	for (uint64_t i = 1; i < ITEMS_MAX; i++) {
		struct truth *t = ledger_item(w, folder, i);

		if (t == NULL || t->deleted || seen[i])
			continue;
		if (doubtful && doubt_explains(w, folder, i, -1, 0))
			delete_item(w, folder, i);
		else
			model_fail(w, -1, "the store has lost %u:%" PRIu64 " (m%u)", folder, i,
				t->uid);
	}
}

static int compare_folder(
	struct world *w, struct store_read *rd, unsigned folder, bool doubtful, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	bool seen[ITEMS_MAX] = {false};
	struct item_row *rows;
	size_t count;

	if (store_item_scan(rd, w->anna, w->folders[folder], start, INT64_MIN, ITEMS_MAX, arena,
		    &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct item *item;

		if (store_item_load(
			    rd, w->anna, w->folders[folder], rows[i].id, arena, &item, err) < 0)
			return -1;
		if (rows[i].id.v < ITEMS_MAX)
			seen[rows[i].id.v] = true;
		compare_item(w, folder, item, uid_of(w, rd, arena, item), doubtful);
	}
	compare_missing(w, folder, seen, doubtful);
	return 0;
}

void ledger_compare(struct world *w, bool doubtful)
{
	struct err err = ERR_INIT;
	struct store_read *rd;

	if (store_read_begin(w->store, &rd, &err) < 0) {
		model_fail(w, -1, "%s", err.text);
		return;
	}
	for (unsigned f = FOLDERS; f-- > 0;) {
		if (compare_folder(w, rd, f, doubtful, &err) < 0)
			model_fail(w, -1, "%s", err.text);
	}
	store_read_end(&rd);
}
