#ifndef BELLHOP_STORE_TEST_STORE_UTIL_H
#define BELLHOP_STORE_TEST_STORE_UTIL_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "store/store_internal.h"

/* What the tests of this room share: a store in a fresh folder, one transaction as one call. */

struct world {
	char *dir;
	struct store *store;
	struct arena *arena;
	struct owner_id anna, bob;
	struct folder_id inbox, trash;
	/* events, in the order of their publication */
	struct change_event events[64];
	size_t event_count;
};

static inline void on_publish(const struct change_event *events, size_t count, void *owner)
{
	struct world *w = owner;

	for (size_t i = 0; i < count && w->event_count < ARRAY_LEN(w->events); i++)
		w->events[w->event_count++] = events[i];
}

static inline void world_open_store(struct world *w)
{
	struct store_options options = {.data_dir = w->dir,
		.readers_max = 4,
		.group_max = 16,
		.body_inline_max = 4096,
		.cache_kib = 2048,
		.mmap_bytes = 1 << 26};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_open(&options, &w->store, &err), &err);
	store_set_publisher(w->store, on_publish, w);
}

static inline int add_people(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	if (store_domain_add(tx, "example.org", err) < 0 ||
		store_domain_add(tx, "example.net", err) < 0)
		return -1;
	if (store_user_add(tx, "Anna", "Example.org", "Anna A.", "$y$hash", 1000, &w->anna, err) <
		0)
		return -1;
	return store_user_add(tx, "bob", "example.net", "Bob", "$y$hash2", 1001, &w->bob, err);
}

/* Anna and Bob, with their folders; the events so far are forgotten. */
static inline struct world *world_new(void)
{
	struct world *w = x_new(struct world);
	char template[] = "/tmp/bellhop-test-store-XXXXXX";
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;

	REQUIRE(mkdtemp(template) != NULL);
	w->dir = x_strdup(template);
	w->arena = arena_new(0);
	world_open_store(w);
	REQUIRE_OK(store_transact(w->store, add_people, w, &err), &err);
	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(rd, w->anna, FOLDER_INBOX, w->arena, &folder, &err), &err);
	w->inbox = folder->id;
	REQUIRE_OK(
		store_folder_by_type(rd, w->anna, FOLDER_DELETED, w->arena, &folder, &err), &err);
	w->trash = folder->id;
	store_read_end(&rd);
	w->event_count = 0;
	return w;
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline void world_free(struct world **w)
{
	store_close(&(*w)->store);
	arena_free(&(*w)->arena);
	CHECK_INT(nftw((*w)->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	mem_free((*w)->dir);
	mem_free(*w);
	*w = NULL;
}

static inline struct store_read *reading(struct world *w)
{
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	return rd;
}

/* A function as a transaction of its own. */
typedef int (*step_fn)(struct store_tx *tx, struct world *w, struct err *err);

struct step {
	struct world *w;
	step_fn fn;
};

static inline int run_step(struct store_tx *tx, void *owner, struct err *err)
{
	struct step *step = owner;

	return step->fn(tx, step->w, err);
}

static inline int transact(struct world *w, step_fn fn, struct err *err)
{
	struct step step = {w, fn};

	return store_transact(w->store, run_step, &step, err);
}

/* One change of one item as a transaction of its own. */
enum op_kind { OP_ADD, OP_READ, OP_FLAG, OP_CATEGORIES, OP_VERB, OP_DELETE, OP_MOVE };

struct op {
	enum op_kind kind;
	struct owner_id owner;
	struct folder_id folder, target;
	struct item_id id; /* in, and out for OP_ADD and OP_MOVE */
	struct device_id device;
	int64_t date_at;
	uint64_t value;
	const char *text; /* flag, categories, or the body */
	struct store_new_body body;
	uint64_t seq; /* out */
	unsigned runs;
};

static inline int run_op(struct store_tx *tx, void *owner, struct err *err)
{
	struct op *op = owner;
	size_t len = op->text != NULL ? strlen(op->text) : 0;
	struct new_item item = {.item_class = ITEM_MAIL,
		.date_at = op->date_at,
		.body = &op->body,
		.summary = "summary",
		.summary_len = 7,
		.device = op->device};

	op->runs++;
	switch (op->kind) {
	case OP_ADD:
		return store_item_add(tx, op->owner, op->folder, &item, &op->id, err);
	case OP_READ:
		return store_item_set_read(tx, op->owner, op->folder, op->id, op->value != 0,
			op->device, &op->seq, err);
	case OP_FLAG:
		return store_item_set_flag(tx, op->owner, op->folder, op->id, (uint8_t)op->value,
			op->text, len, op->device, &op->seq, err);
	case OP_CATEGORIES:
		return store_item_set_categories(tx, op->owner, op->folder, op->id, op->text, len,
			op->device, &op->seq, err);
	case OP_VERB:
		return store_item_set_verb(
			tx, op->owner, op->folder, op->id, (uint8_t)op->value, 77, op->device, err);
	case OP_DELETE:
		return store_item_delete(tx, op->owner, op->folder, op->id, op->device, err);
	case OP_MOVE:
		return store_item_move(
			tx, op->owner, op->folder, op->id, op->target, op->device, &op->id, err);
	}
	return -1;
}

static inline int do_op(struct world *w, struct op *op, struct err *err)
{
	if (op->owner.v == 0)
		op->owner = w->anna;
	if (op->folder.v == 0)
		op->folder = w->inbox;
	if (op->kind == OP_ADD &&
		store_body_prepare(w->store, op->text, strlen(op->text), &op->body, err) < 0)
		return -1;
	return store_transact(w->store, run_op, op, err);
}

static inline struct item_id add_item(struct world *w, const char *text, int64_t date_at)
{
	struct op op = {.kind = OP_ADD, .text = text, .date_at = date_at};
	struct err err = ERR_INIT;

	REQUIRE_OK(do_op(w, &op, &err), &err);
	return op.id;
}

static inline uint64_t seq_of(struct world *w, struct owner_id owner)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t seq = 0;

	REQUIRE_OK(store_owner_seq(rd, owner, &seq, &err), &err);
	return seq;
}

static inline struct item *load_item(struct world *w, struct folder_id folder, struct item_id id)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct item *item = NULL;

	if (store_item_load(rd, w->anna, folder, id, w->arena, &item, &err) < 0)
		CHECK_INT(err.code, ERR_NOT_FOUND);
	return item;
}

/* "<id" for items and "-<id" for tombstones with their seqs, in order: "1@2 -3@4 more". */
static inline const char *changes_text(
	struct world *w, struct folder_id folder, uint64_t after_seq, size_t limit)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct item_row *rows = NULL;
	struct err err = ERR_INIT;
	const char *text = "";
	size_t count = 0;
	bool more = false;

	REQUIRE_OK(store_item_changes(rd, w->anna, folder, after_seq, limit, w->arena, &rows,
			   &count, &more, &err),
		&err);
	for (size_t i = 0; i < count; i++)
		text = arena_x_printf(w->arena, "%s%s%s%llu@%llu", text, i > 0 ? " " : "",
			rows[i].deleted ? "-" : "", (unsigned long long)rows[i].id.v,
			(unsigned long long)rows[i].changed_seq);
	return more ? arena_x_printf(w->arena, "%s more", text) : text;
}

/* Anna's phone, as it was saved last. */
static struct device phone __attribute__((unused));

static inline int save_phone(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_save(tx, &phone, err);
}

static inline void new_phone(struct world *w)
{
	struct err err = ERR_INIT;

	phone = (struct device){.owner = w->anna,
		.device_id = "DEV1",
		.device_type = "Phone",
		.user_agent = "UA/1",
		.model = "M",
		.os = "O",
		.friendly_name = "F",
		.phone_number = "+49",
		.imei = "I",
		.language = "de",
		.operator_name = "T",
		.protocol_version = 161,
		.first_seen_at = 5,
		.last_seen_at = 6,
		.policy_key = UINT32_MAX,
		.policy_key_temporary = 8,
		.policy_status = 1,
		.policy_version = 3,
		.provisioned_at = 9,
		.epoch = 1,
		.ping_heartbeat_s = 480,
		.ping_folders = (const uint8_t *)"pf",
		.ping_folders_len = 2};
	REQUIRE_OK(transact(w, save_phone, &err), &err);
}

static inline struct device *load_phone(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct device *device = NULL;

	if (store_device_load(rd, phone.id, w->arena, &device, &err) < 0)
		CHECK_INT(err.code, ERR_NOT_FOUND);
	return device;
}

struct states {
	struct owner_id owner;
	struct folder_id folder;
	struct sync_state_row rows[2];
	size_t count;
};

static inline int save_states(struct store_tx *tx, void *owner, struct err *err)
{
	struct states *s = owner;

	return store_sync_state_save(tx, phone.id, s->owner, s->folder, s->rows, s->count, NULL, 0, err);
}

#define STATE(k, g, text)                                                                          \
	{                                                                                          \
		.key = (k), .generation = (g), .blob = (const uint8_t *)(text),                    \
		.blob_len = sizeof(text) - 1                                                       \
	}

#endif
