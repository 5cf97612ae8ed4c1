/*
 * Items, bodies and the change log: the contract that each store upholds, whatever database is
 * below.
 */
#include "store/test_store_util.h"

static void test_add_and_load(void)
{
	struct world *w = world_new();
	uint64_t seq = seq_of(w, w->anna);
	struct op op = {
		.kind = OP_ADD, .text = "Subject: hello\r\n\r\nhi", .date_at = 500, .device = {9}};
	struct store_read *rd;
	struct store_body body;
	struct err err = ERR_INIT;
	struct item *item;

	REQUIRE_OK(do_op(w, &op, &err), &err);
	CHECK_INT(op.id.v, 1);
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	item = load_item(w, w->inbox, op.id);
	REQUIRE(item != NULL);
	CHECK_INT(item->row.date_at, 500);
	CHECK_INT(item->row.changed_seq, seq + 1);
	CHECK_INT(item->row.created_seq, seq + 1);
	CHECK_INT(item->row.content_seq, seq + 1);
	CHECK_INT(item->row.item_class, ITEM_MAIL);
	CHECK(!item->row.deleted && !item->is_read);
	CHECK(item->flag == NULL && item->categories == NULL);
	CHECK_MEM(item->summary, item->summary_len, "summary", 7);
	CHECK_INT(item->body_bytes, strlen(op.text));
	rd = reading(w);
	REQUIRE_OK(store_body_load(rd, w->anna, item->body_id, &body, &err), &err);
	store_read_end(&rd);
	CHECK_MEM(body.bytes, body.len, op.text, strlen(op.text));
	store_body_release(&body);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_ADD);
	CHECK_INT(w->events[0].owner.v, w->anna.v);
	CHECK_INT(w->events[0].folder.v, w->inbox.v);
	CHECK_INT(w->events[0].item.v, 1);
	CHECK_INT(w->events[0].seq, seq + 1);
	CHECK_INT(w->events[0].date_at, 500);
	CHECK_INT(w->events[0].item_class, ITEM_MAIL);
	CHECK_INT(w->events[0].device.v, 9);
	world_free(&w);
}

static void test_properties(void)
{
	static const struct {
		enum op_kind kind;
		uint64_t value;
		const char *text;
		unsigned event; /* 0: no change, no seq */
	} rows[] = {
		{OP_READ, 0, NULL, 0},
		{OP_READ, 1, NULL, CHANGE_READ},
		{OP_READ, 1, NULL, 0},
		{OP_FLAG, 0, NULL, 0},
		{OP_FLAG, 2, "due", CHANGE_FLAG},
		{OP_FLAG, 2, "due", 0},
		{OP_FLAG, 2, "later", CHANGE_FLAG},
		{OP_FLAG, 1, "later", CHANGE_FLAG},
		{OP_FLAG, 1, NULL, CHANGE_FLAG},
		{OP_FLAG, 1, "", 0},
		{OP_CATEGORIES, 0, "", 0},
		{OP_CATEGORIES, 0, "red", CHANGE_CATEGORIES},
		{OP_CATEGORIES, 0, "red", 0},
		{OP_VERB, 0, NULL, CHANGE_VERB}, /* the time differs */
		{OP_VERB, 2, NULL, CHANGE_VERB},
		{OP_VERB, 2, NULL, 0},
	};
	struct world *w = world_new();
	struct item_id id = add_item(w, "x", 1);
	uint64_t seq = seq_of(w, w->anna), read_seq;
	struct err err = ERR_INIT;
	struct item *item;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct op op = {.kind = rows[i].kind,
			.id = id,
			.value = rows[i].value,
			.text = rows[i].text,
			.device = {4}};
		uint64_t before = seq;

		w->event_count = 0;
		REQUIRE_OK(do_op(w, &op, &err), &err);
		seq = seq_of(w, w->anna);
		CHECK_INT(seq, before + (rows[i].event != 0));
		CHECK_INT(w->event_count, rows[i].event != 0);
		item = load_item(w, w->inbox, id);
		if (rows[i].event != 0) {
			CHECK_INT(w->events[0].kinds, rows[i].event);
			CHECK_INT(w->events[0].seq, seq);
			CHECK_INT(w->events[0].device.v, 4);
			CHECK_INT(item->row.changed_seq, seq);
		}
		if (op.kind == OP_READ)
			CHECK_INT(op.seq, item->row.read_seq);
		if (op.kind == OP_FLAG)
			CHECK_INT(op.seq, item->row.flag_seq);
		if (op.kind == OP_CATEGORIES)
			CHECK_INT(op.seq, item->row.categories_seq);
	}
	read_seq = item->row.created_seq + 1;
	CHECK(item->is_read);
	CHECK_INT(item->row.read_seq, read_seq);
	CHECK_INT(item->row.content_seq, item->row.created_seq);
	CHECK_INT(item->flag_status, 1);
	CHECK(item->flag == NULL);
	CHECK_MEM(item->categories, item->categories_len, "red", 3);
	CHECK_INT(item->last_verb, 2);
	CHECK_INT(item->last_verb_at, 77);
	CHECK_INT(item->row.verb_seq, seq);
	world_free(&w);
}

static void test_missing_items(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t seq = seq_of(w, w->anna);

	for (int kind = OP_READ; kind <= OP_MOVE; kind++) {
		struct op op = {.kind = (enum op_kind)kind, .id = {77}, .target = w->trash};

		CHECK_INT(do_op(w, &op, &err), -1);
		CHECK_INT(err.code, ERR_NOT_FOUND);
	}
	CHECK_INT(seq_of(w, w->anna), seq);
	CHECK_INT(w->event_count, 0);
	world_free(&w);
}

static void test_unknown_places(void)
{
	struct world *w = world_new();
	struct op op = {.kind = OP_ADD, .folder = {99}, .text = "x"};
	struct op move = {.kind = OP_MOVE, .target = {99}};
	struct op stranger = {.kind = OP_ADD, .owner = {99}, .text = "x"};
	struct err err = ERR_INIT;

	CHECK_INT(do_op(w, &op, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(do_op(w, &stranger, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	move.id = add_item(w, "x", 1);
	CHECK_INT(do_op(w, &move, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK(load_item(w, w->inbox, move.id) != NULL);
	world_free(&w);
}

static void test_delete_and_move(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct op move = {.kind = OP_MOVE, .device = {3}}, again = {.kind = OP_MOVE};
	struct op drop = {.kind = OP_DELETE};
	struct op read_it = {.kind = OP_READ, .value = 1};
	struct item *item;
	uint64_t seq;

	(void)add_item(w, "one", 1);
	move.id = read_it.id = add_item(w, "two", 2);
	drop.id = add_item(w, "three", 3);
	REQUIRE_OK(do_op(w, &read_it, &err), &err);
	w->event_count = 0;
	move.target = w->trash;
	REQUIRE_OK(do_op(w, &move, &err), &err);
	seq = seq_of(w, w->anna);
	CHECK_INT(move.id.v, 1);
	CHECK(load_item(w, w->inbox, (struct item_id){2}) == NULL);
	item = load_item(w, w->trash, move.id);
	REQUIRE(item != NULL);
	CHECK(item->is_read);
	CHECK_INT(item->row.created_seq, seq);
	CHECK_INT(item->row.read_seq, seq);
	CHECK_INT(item->row.date_at, 2);
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[0].kinds, CHANGE_DELETE);
	CHECK_INT(w->events[0].folder.v, w->inbox.v);
	CHECK_INT(w->events[0].item.v, 2);
	CHECK_INT(w->events[1].kinds, CHANGE_ADD);
	CHECK_INT(w->events[1].folder.v, w->trash.v);
	CHECK_INT(w->events[1].item.v, 1);
	CHECK_INT(w->events[1].device.v, 3);

	REQUIRE_OK(do_op(w, &drop, &err), &err);
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	CHECK_STR(changes_text(w, w->inbox, seq - 1, 10),
		arena_x_printf(w->arena, "-2@%llu -3@%llu", (unsigned long long)seq,
			(unsigned long long)seq + 1));
	/* Ids are not used again. */
	CHECK_INT(add_item(w, "four", 4).v, 4);
	/* To where it is: nothing. */
	seq = seq_of(w, w->anna);
	again.id.v = 4;
	again.target = w->inbox;
	REQUIRE_OK(do_op(w, &again, &err), &err);
	CHECK_INT(again.id.v, 4);
	CHECK_INT(seq_of(w, w->anna), seq);
	world_free(&w);
}

static void test_changes(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t base = seq_of(w, w->anna);
	struct op drop = {.kind = OP_DELETE, .id = {2}},
		  read_it = {.kind = OP_READ, .id = {1}, .value = 1};

#define TEXT(fmt, ...) arena_x_printf(w->arena, fmt, __VA_ARGS__)
#define S(n)           (unsigned long long)(base + (n))
	for (int i = 1; i <= 4; i++)
		(void)add_item(w, "x", i);
	CHECK_STR(changes_text(w, w->inbox, 0, 10),
		TEXT("1@%llu 2@%llu 3@%llu 4@%llu", S(1), S(2), S(3), S(4)));
	REQUIRE_OK(do_op(w, &drop, &err), &err);
	REQUIRE_OK(do_op(w, &read_it, &err), &err);
	CHECK_STR(changes_text(w, w->inbox, 0, 10),
		TEXT("3@%llu 4@%llu -2@%llu 1@%llu", S(3), S(4), S(5), S(6)));
	CHECK_STR(changes_text(w, w->inbox, 0, 3),
		TEXT("3@%llu 4@%llu -2@%llu more", S(3), S(4), S(5)));
	CHECK_STR(changes_text(w, w->inbox, base + 4, 1), TEXT("-2@%llu more", S(5)));
	CHECK_STR(changes_text(w, w->inbox, base + 5, 1), TEXT("1@%llu", S(6)));
	CHECK_STR(changes_text(w, w->inbox, base + 6, 1), "");
	CHECK_STR(changes_text(w, w->inbox, UINT64_MAX, 1), "");
	CHECK_STR(changes_text(w, w->inbox, 0, 0), " more");
	CHECK_STR(changes_text(w, w->trash, 0, 10), "");
	world_free(&w);
}

/* Many changes in one transaction share its seq; the order within is that of the ids. */
static int change_many(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	struct device_id nobody = {0};

	for (uint64_t id = 5; id >= 1; id--) {
		if (id % 2 == 0 && store_item_delete(tx, w->anna, w->inbox, (struct item_id){id},
					   nobody, err) < 0)
			return -1;
		if (id % 2 == 1 && store_item_set_read(tx, w->anna, w->inbox, (struct item_id){id},
					   true, nobody, NULL, err) < 0)
			return -1;
		if (id % 2 == 1 && store_item_set_verb(tx, w->anna, w->inbox, (struct item_id){id},
					   1, 5, nobody, err) < 0)
			return -1;
	}
	return 0;
}

static void test_one_seq_per_transaction(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t base = seq_of(w, w->anna), bob = seq_of(w, w->bob);

	for (int i = 1; i <= 5; i++)
		(void)add_item(w, "x", i);
	w->event_count = 0;
	REQUIRE_OK(store_transact(w->store, change_many, w, &err), &err);
	CHECK_INT(seq_of(w, w->anna), base + 6);
	CHECK_INT(seq_of(w, w->bob), bob);
	CHECK_STR(changes_text(w, w->inbox, base + 5, 10),
		TEXT("1@%llu -2@%llu 3@%llu -4@%llu 5@%llu", S(6), S(6), S(6), S(6), S(6)));
	/* Read and verb of one item are one event. */
	CHECK_INT(w->event_count, 5);
	CHECK_INT(w->events[0].item.v, 5);
	CHECK_INT(w->events[0].kinds, CHANGE_READ | CHANGE_VERB);
	CHECK_INT(w->events[1].item.v, 4);
	CHECK_INT(w->events[1].kinds, CHANGE_DELETE);
	world_free(&w);
}

static const char *scan_text(
	struct world *w, struct item_cursor before, int64_t since_at, size_t limit)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct item_row *rows = NULL;
	struct err err = ERR_INIT;
	const char *text = "";
	size_t count = 0;

	REQUIRE_OK(store_item_scan(rd, w->anna, w->inbox, before, since_at, limit, w->arena, &rows,
			   &count, &err),
		&err);
	for (size_t i = 0; i < count; i++)
		text = TEXT("%s%s%llu", text, i > 0 ? " " : "", (unsigned long long)rows[i].id.v);
	return text;
}

static uint64_t count_items(struct world *w, int64_t since_at, uint64_t limit)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t count = 0;

	REQUIRE_OK(store_item_count(rd, w->anna, w->inbox, since_at, limit, &count, &err), &err);
	return count;
}

static void test_scan_and_count(void)
{
	static const int64_t dates[] = {50, 30, 50, 10, -7};
	const struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	struct world *w = world_new();

	CHECK_STR(scan_text(w, start, INT64_MIN, 10), "");
	for (size_t i = 0; i < ARRAY_LEN(dates); i++)
		(void)add_item(w, "x", dates[i]);
	CHECK_STR(scan_text(w, start, INT64_MIN, 10), "3 1 2 4 5");
	CHECK_STR(scan_text(w, start, INT64_MIN, 2), "3 1");
	CHECK_STR(scan_text(w, (struct item_cursor){50, {3}}, INT64_MIN, 2), "1 2");
	CHECK_STR(scan_text(w, (struct item_cursor){50, {1}}, INT64_MIN, SIZE_MAX), "2 4 5");
	CHECK_STR(scan_text(w, (struct item_cursor){-7, {5}}, INT64_MIN, 10), "");
	CHECK_STR(scan_text(w, start, 30, 10), "3 1 2");
	CHECK_STR(scan_text(w, start, 31, 10), "3 1");
	CHECK_INT(count_items(w, INT64_MIN, 0), 5);
	CHECK_INT(count_items(w, 30, 0), 3);
	CHECK_INT(count_items(w, 30, 2), 2);
	CHECK_INT(count_items(w, 51, UINT64_MAX), 0);
	world_free(&w);
}

/* ---- bodies ---- */

static unsigned files_seen;

static int see_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)ftw;
	files_seen += kind == FTW_F;
	return 0;
}

static int cut_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return kind == FTW_F ? truncate(path, 100) : 0;
}

static unsigned body_files(struct world *w)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/bodies", w->dir);

	files_seen = 0;
	REQUIRE(nftw(path, see_file, 16, FTW_PHYS) == 0);
	return files_seen;
}

static char *large_text(char fill)
{
	char *text = x_calloc(1, 20001);

	memset(text, fill, 20000);
	return text;
}

static const char *sweep(struct world *w, int64_t before_at, size_t limit)
{
	struct err err = ERR_INIT;
	int rc = store_sweep(w->store, before_at, limit, &err);

	return rc < 0 ? arena_x_strdup(w->arena, err.text) : rc > 0 ? "more" : "done";
}

static void test_body_files(void)
{
	CLEANUP(mem_freep) char *text = large_text('a');
	CLEANUP(mem_freep) char *other = large_text('b');
	struct world *w = world_new();
	struct item_id one, two;
	struct store_new_body unused;
	struct store_body body;
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct op drop = {.kind = OP_DELETE};

	clock_fake_set(1700000000000, 1);
	one = add_item(w, text, 1);
	two = add_item(w, text, 2);
	(void)add_item(w, "small", 3);
	CHECK_INT(body_files(w), 1);
	REQUIRE_OK(store_body_prepare(w->store, other, 20000, &unused, &err), &err);
	CHECK_INT(body_files(w), 2);
	rd = reading(w);
	REQUIRE_OK(store_body_load(rd, w->anna, load_item(w, w->inbox, two)->body_id, &body, &err),
		&err);
	store_read_end(&rd);
	CHECK_MEM(body.bytes, body.len, text, 20000);

	/* Young files stay, named or not; old ones go when nothing names them. */
	CHECK_STR(sweep(w, 0, 1000), "done");
	CHECK_INT(body_files(w), 2);
	clock_fake_advance_ms(1000LL * (STORE_BODY_GRACE_S + 10));
	CHECK_STR(sweep(w, 0, 1000), "done");
	CHECK_INT(body_files(w), 1);
	drop.id = one;
	REQUIRE_OK(do_op(w, &drop, &err), &err);
	CHECK_STR(sweep(w, 0, 1000), "done");
	CHECK_INT(body_files(w), 1);
	drop.id = two;
	REQUIRE_OK(do_op(w, &drop, &err), &err);
	/* In preparation again: young again. */
	REQUIRE_OK(store_body_prepare(w->store, text, 20000, &unused, &err), &err);
	CHECK_STR(sweep(w, 0, 1000), "done");
	CHECK_INT(body_files(w), 1);
	clock_fake_advance_ms(1000LL * (STORE_BODY_GRACE_S + 10));
	CHECK_STR(sweep(w, 0, 1000), "done");
	CHECK_INT(body_files(w), 0);
	/* What is mapped stays readable. */
	CHECK_MEM(body.bytes, body.len, text, 20000);
	store_body_release(&body);
	clock_fake_off();
	world_free(&w);
}

static void test_damaged_body_file(void)
{
	CLEANUP(mem_freep) char *text = large_text('c');
	struct world *w = world_new();
	CLEANUP(mem_freep) char *path = x_printf("%s/bodies", w->dir);
	uint64_t body_id = load_item(w, w->inbox, add_item(w, text, 1))->body_id;
	struct store_read *rd = reading(w);
	struct store_body body = {0};
	struct err err = ERR_INIT;

	REQUIRE(nftw(path, cut_file, 16, FTW_PHYS) == 0);
	CHECK_INT(store_body_load(rd, w->anna, body_id, &body, &err), -1);
	CHECK_INT(err.code, ERR_BACKEND);
	CHECK(strstr(err.text, "damaged") != NULL);
	CHECK_INT(store_body_load(rd, w->anna, 12345, &body, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK(body.bytes == NULL);
	store_read_end(&rd);
	/* Somebody brings the same body again: the file is made anew. */
	body_id = load_item(w, w->inbox, add_item(w, text, 1))->body_id;
	rd = reading(w);
	REQUIRE_OK(store_body_load(rd, w->anna, body_id, &body, &err), &err);
	store_read_end(&rd);
	CHECK_INT(body.len, 20000);
	store_body_release(&body);
	world_free(&w);
}

static void test_empty_body(void)
{
	struct world *w = world_new();
	struct item *item = load_item(w, w->inbox, add_item(w, "", 1));
	struct store_read *rd = reading(w);
	struct store_body body;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_body_load(rd, w->anna, item->body_id, &body, &err), &err);
	store_read_end(&rd);
	CHECK_INT(body.len, 0);
	CHECK(body.bytes != NULL);
	store_body_release(&body);
	world_free(&w);
}

/* ---- quota ---- */

static int set_quota(struct store_tx *tx, void *owner, struct err *err)
{
	return store_user_set_quota(tx, ((struct world *)owner)->anna, 10, err);
}

static void check_used(struct world *w, uint64_t used)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *user;

	REQUIRE_OK(store_user_load(rd, w->anna, w->arena, &user, &err), &err);
	CHECK_INT(user->used_bytes, used);
	store_read_end(&rd);
}

static void test_quota(void)
{
	struct world *w = world_new();
	struct op add = {.kind = OP_ADD, .text = "1234567"}, drop = {.kind = OP_DELETE};
	struct op move = {.kind = OP_MOVE}, bob = {.kind = OP_ADD, .text = "1234567"};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, set_quota, w, &err), &err);
	CHECK_INT(add_item(w, "123", 1).v, 1);
	REQUIRE_OK(do_op(w, &add, &err), &err);
	check_used(w, 10);
	CHECK_INT(do_op(w, &add, &err), -1);
	CHECK_INT(err.code, ERR_QUOTA);
	check_used(w, 10);
	bob.owner = w->bob;
	REQUIRE_OK(do_op(w, &bob, &err), &err);
	move.id.v = 1;
	move.target = w->trash;
	REQUIRE_OK(do_op(w, &move, &err), &err);
	check_used(w, 10);
	drop.id.v = 2;
	REQUIRE_OK(do_op(w, &drop, &err), &err);
	check_used(w, 3);
	REQUIRE_OK(do_op(w, &add, &err), &err);
	CHECK_INT(add.id.v, 3);
	world_free(&w);
}

/* ---- the sweep of tombstones ---- */

static uint64_t floor_of(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t floor = 99;

	REQUIRE_OK(store_tombstone_floor(rd, w->anna, &floor, &err), &err);
	return floor;
}

static void test_tombstone_sweep(void)
{
	struct world *w = world_new();
	uint64_t base = seq_of(w, w->anna);
	struct err err = ERR_INIT;

	clock_fake_set(1000 * 1000, 1);
	for (int i = 1; i <= 5; i++)
		(void)add_item(w, "x", i);
	for (uint64_t i = 1; i <= 4; i++) {
		struct op drop = {.kind = OP_DELETE, .id = {i}};

		REQUIRE_OK(do_op(w, &drop, &err), &err);
		clock_fake_advance_ms(10000);
	}
	/* Deleted at 1000, 1010, 1020, 1030, with seqs base + 6 to base + 9. */
	CHECK_INT(floor_of(w), 0);
	CHECK_STR(sweep(w, 1000, 100), "done");
	CHECK_INT(floor_of(w), 0);
	CHECK_STR(sweep(w, 1021, 2), "more");
	CHECK_INT(floor_of(w), base + 7);
	CHECK_STR(sweep(w, 1021, 2), "done");
	CHECK_INT(floor_of(w), base + 8);
	CHECK_STR(changes_text(w, w->inbox, 0, 10), TEXT("5@%llu -4@%llu", S(5), S(9)));
	CHECK_INT(seq_of(w, w->anna), base + 9);
	clock_fake_off();
	world_free(&w);
}

static uint8_t import_hashes[3][STORE_IMPORT_HASH];

static int note_imports(struct store_tx *tx, struct world *w, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		if (store_import_note(tx, w->anna, w->inbox, import_hashes[i], 100 + i, err) < 0 ||
			store_import_note(tx, w->anna, w->inbox, import_hashes[i], 200, err) < 0)
			return -1;
	}
	return 0;
}

static int imports_known(struct world *w, struct folder_id folder)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	int n = 0;

	for (int i = 0; i < 3; i++) {
		bool known = false;

		REQUIRE_OK(store_import_known(rd, w->anna, folder, import_hashes[i], &known, &err),
			&err);
		n += known;
	}
	return n;
}

static void test_imports(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	store_import_hash("a", 1, import_hashes[0]);
	store_import_hash("b", 1, import_hashes[1]);
	store_import_hash("", 0, import_hashes[2]);
	CHECK_INT(imports_known(w, w->inbox), 0);
	REQUIRE_OK(transact(w, note_imports, &err), &err);
	CHECK_INT(imports_known(w, w->inbox), 3);
	CHECK_INT(imports_known(w, (struct folder_id){w->inbox.v + 1}), 0);
	CHECK_INT(store_import_sweep(w->store, 102, 1, &err), 1);
	CHECK_INT(imports_known(w, w->inbox), 2);
	CHECK_INT(store_import_sweep(w->store, 102, 10, &err), 0);
	CHECK_INT(imports_known(w, w->inbox), 1);
	world_free(&w);
}

struct rewrite {
	struct world *w;
	struct item_id id;
	struct item_content content;
	uint64_t seq;
};

static int rewrite_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct rewrite *r = owner;
	const struct device_id device = {9};

	return store_item_set_content(
		tx, r->w->anna, r->w->inbox, r->id, &r->content, device, &r->seq, err);
}

static int rewrite(struct world *w, struct item_id id, const char *text, struct err *err)
{
	struct store_new_body body;
	struct rewrite r = {w, id,
		{.body = &body,
			.summary = "other",
			.summary_len = 5,
			.conversation = 77,
			.date_at = 900},
		0};

	REQUIRE_OK(store_body_prepare(w->store, text, strlen(text), &body, err), err);
	return store_transact(w->store, rewrite_tx, &r, err);
}

static int set_small_quota(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->anna, 100, err);
}

static uint64_t used_by_anna(struct world *w)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *user;

	REQUIRE_OK(store_user_load(rd, w->anna, w->arena, &user, &err), &err);
	store_read_end(&rd);
	return user->used_bytes;
}

/* A draft that is written anew: same id, other bytes, and only what it grows by counts. */
static void test_set_content(void)
{
	struct world *w = world_new();
	struct item_id id = add_item(w, "twenty bytes of body", 500);
	struct item *item = load_item(w, w->inbox, id);
	uint64_t seq = seq_of(w, w->anna), old_body = item->body_id;
	struct store_body body;
	struct store_read *rd;
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, set_small_quota, &err), &err);
	w->event_count = 0;
	REQUIRE_OK(rewrite(w, id, "short", &err), &err);
	item = load_item(w, w->inbox, id);
	CHECK_INT(item->row.content_seq, seq + 1);
	CHECK_INT(item->row.changed_seq, seq + 1);
	CHECK(item->row.read_seq <= seq && item->row.created_seq <= seq);
	CHECK_INT(item->row.date_at, 900);
	CHECK_INT(item->row.conversation, 77);
	CHECK_MEM(item->summary, item->summary_len, "other", 5);
	CHECK_INT(used_by_anna(w), 5);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_CONTENT);
	CHECK_INT(w->events[0].device.v, 9);
	CHECK_INT(w->events[0].date_at, 900);
	rd = reading(w);
	REQUIRE_OK(store_body_load(rd, w->anna, item->body_id, &body, &err), &err);
	CHECK_MEM(body.bytes, body.len, "short", 5);
	store_body_release(&body);
	CHECK_INT(store_body_load(rd, w->anna, old_body, &body, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	store_read_end(&rd);
	err = (struct err)ERR_INIT;
	CHECK_INT(rewrite(w, id,
			  "more than a hundred bytes, which do not fit into the quota of this "
			  "mailbox, whatever else it holds, and so are refused",
			  &err),
		-1);
	CHECK_INT(err.code, ERR_QUOTA);
	CHECK_INT(used_by_anna(w), 5);
	err = (struct err)ERR_INIT;
	CHECK_INT(rewrite(w, (struct item_id){99}, "x", &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	world_free(&w);
}

TEST_MAIN(TEST(test_set_content), TEST(test_add_and_load), TEST(test_properties),
	TEST(test_missing_items), TEST(test_unknown_places), TEST(test_delete_and_move),
	TEST(test_changes), TEST(test_one_seq_per_transaction), TEST(test_scan_and_count),
	TEST(test_body_files), TEST(test_damaged_body_file), TEST(test_empty_body),
	TEST(test_quota), TEST(test_tombstone_sweep), TEST(test_imports))
