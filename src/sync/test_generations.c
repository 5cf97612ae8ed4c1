/*
 * States as blobs, and which keys are good when.
 */
#include "sync/generations.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/test.h"

static void fill(struct sync_state *s)
{
	static const uint16_t tags[] = {0x1234, 0x0456};

	sync_state_init(s);
	s->version = 161;
	s->since = 70;
	s->position = 77;
	s->partial_seq = 78;
	s->partial_item = 5;
	s->scope.options.filter = 3;
	s->scope.options.preference_count = 1;
	s->scope.options.preferences[0] = (struct sync_body_preference){2, true, true, 70000, 255};
	s->scope.sms = s->scope.conversation_mode = true;
	s->scope.options.part = (struct sync_body_preference){2, true, false, 4096, 100};
	s->scope.sms_options.filter = 5;
	s->cutoff_at = 1700000000;
	s->sms_cutoff_at = -5;
	s->scan = (struct sync_scan){true, true, {1790000000, {42}}, 17};
	for (uint64_t id = 1; id < 20000; id += 3)
		(void)id_set_add(&s->inventory, id);
	s->swallowed = true;
	s->runs_swallowed = 600;
	sync_state_withhold(s, 9);
	sync_state_add_own(s, 4, SYNC_READ | SYNC_FLAG, 79);
	CHECK(sync_state_add_resend(s, 6, SYNC_READ));
	CHECK(sync_state_add_resend(s, 6, SYNC_FLAG));
	sync_state_add_answer(s, &(struct sync_answer){.command_hash = 99,
					 .status = 7,
					 .item = 4,
					 .own_seq = 79,
					 .seen_seq = 40,
					 .own_groups = 6,
					 .removed = true,
					 .added = true,
					 .resend_groups = 3});
	s->has_supported = true;
	s->supported = x_calloc(2, sizeof(*s->supported));
	memcpy(s->supported, tags, sizeof(tags));
	s->supported_count = 2;
	s->repeats = 3;
	s->used = true;
	s->suspect = 12;
}

static int by_id(const void *a, const void *b)
{
	uint64_t left = ((const struct sync_chunk_row *)a)->id;
	uint64_t right = ((const struct sync_chunk_row *)b)->id;

	return left < right ? -1 : left > right;
}

static void test_blob(void)
{
	struct sync_chunk_list chunks = SYNC_CHUNK_LIST_INIT;
	struct sync_state s, back;
	struct buf blob = BUF_INIT;
	struct err err = ERR_INIT;

	fill(&s);
	sync_state_init(&back);
	sync_state_encode(&s, &blob, &chunks);
	CHECK(chunks.count > 0);
	/* As the store gives them back. */
	qsort(chunks.rows, chunks.count, sizeof(*chunks.rows), by_id);
	for (size_t len = 0; len < blob.len; len++)
		CHECK_INT(sync_state_decode(blob.data, len, chunks.rows, chunks.count, &back, &err),
			-1);
	REQUIRE_OK(sync_state_decode(blob.data, blob.len, chunks.rows, chunks.count, &back, &err),
		&err);
	CHECK(sync_state_same(&s, &back));
	CHECK(sync_state_is_own(&back, 4, SYNC_FLAG, 79));
	CHECK_INT(sync_state_find_resend(&back, 6), SYNC_READ | SYNC_FLAG);
	CHECK(id_set_has(&back.withheld, 9));
	CHECK_INT(back.supported[1], 0x0456);
	CHECK_INT(back.scan.since_at, 17);
	CHECK_INT(back.sms_cutoff_at, -5);
	CHECK_INT(back.suspect, 12);
	blob.data[0]++;
	CHECK_INT(
		sync_state_decode(blob.data, blob.len, chunks.rows, chunks.count, &back, &err), -1);
	buf_deinit(&blob);
	sync_chunk_list_deinit(&chunks);
	sync_state_deinit(&s);
	sync_state_deinit(&back);
}

static void test_bounds(void)
{
	struct sync_state s;

	sync_state_init(&s);
	for (uint64_t id = 1; id <= SYNC_WITHHELD_MAX + 3; id++)
		sync_state_withhold(&s, id);
	CHECK_INT(id_set_count(&s.withheld), SYNC_WITHHELD_MAX);
	CHECK(id_set_has(&s.withheld, SYNC_WITHHELD_MAX + 3));
	for (uint64_t id = 1; id <= SYNC_RESEND_MAX; id++)
		CHECK(sync_state_add_resend(&s, id, SYNC_READ));
	CHECK(!sync_state_add_resend(&s, SYNC_RESEND_MAX + 1, SYNC_READ));
	CHECK(sync_state_add_resend(&s, 17, SYNC_FLAG));
	CHECK_INT(sync_state_take_resend(&s, 17), SYNC_READ | SYNC_FLAG);
	CHECK_INT(sync_state_take_resend(&s, 17), 0);
	sync_state_request_repair(&s);
	CHECK_INT(s.withheld.count, 0);
	CHECK(s.scan.active && s.scan.vanished);
	sync_state_deinit(&s);
}

/* What follows a generation that was used; each state is told by its key and position. */
static void put(struct sync_collection *c, uint64_t key, uint64_t position)
{
	sync_state_deinit(&c->states[SYNC_CURRENT]);
	c->states[SYNC_CURRENT].key = key;
	c->states[SYNC_CURRENT].version = 141;
	c->states[SYNC_CURRENT].position = position;
	c->present[SYNC_CURRENT] = true;
}

static const char *keys(const struct sync_collection *c)
{
	static const char names[] = "cpabde"; /* current, previous, siblings */
	static char text[64];
	size_t n = 0;

	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (c->present[g]) {
			text[n++] = names[g];
			text[n++] = (char)('0' + c->states[g].key);
		}
	}
	text[n] = '\0';
	return text;
}

static void collection_init(struct sync_collection *c)
{
	*c = (struct sync_collection){.device = {1}};
	for (size_t g = 0; g < SYNC_GENERATIONS; g++)
		sync_state_init(&c->states[g]);
}

static void test_generations(void)
{
	struct sync_collection c;
	bool repeated;

	collection_init(&c);
	put(&c, 1, 10);
	CHECK_INT(sync_collection_find(&c, 1, 141), SYNC_CURRENT);
	CHECK_INT(sync_collection_find(&c, 1, 140), SYNC_GENERATIONS);
	CHECK_INT(sync_collection_use(&c, SYNC_CURRENT, &repeated)->key, 1);
	put(&c, 2, 20);
	CHECK_STR(keys(&c), "c2p1");
	/* The answer with key 2 is lost, and those with 3 and 4: all keys stay good. */
	for (uint64_t key = 3; key <= 4; key++) {
		CHECK_INT(sync_collection_use(&c, SYNC_PREVIOUS, &repeated)->repeats, key - 2);
		put(&c, key, key * 10);
	}
	CHECK_STR(keys(&c), "c4p1a3b2");
	/* The phone had got the first one: the others are over. */
	CHECK_INT(
		sync_collection_use(&c, sync_collection_find(&c, 2, 141), &repeated)->position, 20);
	CHECK_STR(keys(&c), "p2");
	put(&c, 5, 50);
	/* More repetitions than places: the oldest answers give way. */
	for (uint64_t key = 6; key <= 9; key++) {
		(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
		put(&c, key, 50);
	}
	CHECK_STR(keys(&c), "c9p2a8b7d6e5");
	(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
	CHECK_STR(keys(&c), "p2a9b8d7e6");
	sync_collection_deinit(&c);
}

static void test_same_again(void)
{
	struct sync_collection c;
	bool repeated;
	struct sync_state next;

	collection_init(&c);
	sync_state_init(&next);
	put(&c, 1, 10);
	(void)sync_collection_use(&c, SYNC_CURRENT, &repeated);
	put(&c, 2, 20);
	(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
	put(&c, 3, 30);
	(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
	next.version = 141;
	next.position = 25;
	CHECK(!sync_collection_same_again(&c, &next));
	next.position = 20;
	CHECK(sync_collection_same_again(&c, &next));
	CHECK_INT(next.key, 2);
	CHECK_STR(keys(&c), "p1a3");
	sync_state_deinit(&next);
	sync_collection_deinit(&c);
}

/* A key 0 that arrives late does not take away what the phone may hold: neither the newest key nor,
 * while that was not used, the one before. */
static void test_restart(void)
{
	struct sync_collection c;
	bool repeated;

	collection_init(&c);
	put(&c, 1, 10);
	(void)sync_collection_use(&c, SYNC_CURRENT, &repeated);
	CHECK(!repeated);
	put(&c, 2, 20);
	sync_collection_restart(&c);
	put(&c, 3, 0);
	CHECK_STR(keys(&c), "c3a2b1");
	/* The one before comes again: a repetition, which ends nobody. */
	CHECK_INT(sync_collection_use(&c, sync_collection_find(&c, 1, 141), &repeated)->repeats, 1);
	CHECK(repeated);
	put(&c, 4, 20);
	CHECK_STR(keys(&c), "c4p1a3b2");
	CHECK_INT(
		sync_collection_use(&c, sync_collection_find(&c, 2, 141), &repeated)->position, 20);
	CHECK(!repeated);
	CHECK_STR(keys(&c), "p2");
	sync_collection_deinit(&c);
}

static void test_lost_commands(void)
{
	struct sync_collection c;
	bool repeated;

	collection_init(&c);
	put(&c, 1, 10);
	(void)sync_collection_use(&c, SYNC_CURRENT, &repeated);
	put(&c, 2, 10);
	sync_state_add_answer(
		&c.states[SYNC_CURRENT], &(struct sync_answer){.command_hash = 7, .status = 1});
	sync_state_add_own(&c.states[SYNC_CURRENT], 4, SYNC_READ, 11);
	/* As long as that answer is not lost it is nobody's business. */
	CHECK(sync_collection_find_answer(&c, 7) == NULL);
	(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
	put(&c, 3, 10);
	(void)sync_collection_use(&c, SYNC_PREVIOUS, &repeated);
	CHECK(sync_collection_find_answer(&c, 7) != NULL);
	CHECK(sync_collection_find_answer(&c, 8) == NULL);
	CHECK(sync_collection_is_own(&c, 4, SYNC_READ, 11));
	CHECK(!sync_collection_is_own(&c, 4, SYNC_READ, 12));
	sync_collection_deinit(&c);
}

/* ---- scopes ---- */

static void test_scopes(void)
{
	const int64_t now_at = 1790000000, day_s = 86400;
	struct sync_scope scope;
	struct sync_state s;

	sync_state_init(&s);
	scope = s.scope;
	sync_state_begin(&s, 141, 5, &scope, now_at);
	CHECK(s.scan.active && s.scan.since_at == INT64_MIN);
	/* Narrowed twice before the listing ended: what the first left further down still goes. */
	s.scan.active = false;
	scope.options.filter = 5;
	sync_state_set_scope(&s, &scope, now_at);
	CHECK(s.scan.since_at == INT64_MIN);
	scope.options.filter = 2;
	sync_state_set_scope(&s, &scope, now_at);
	CHECK(s.scan.since_at == INT64_MIN);
	s.scan.active = false;
	scope.options.filter = 1;
	sync_state_set_scope(&s, &scope, now_at);
	CHECK_INT(s.scan.since_at, (now_at - 3 * day_s) / 3600 * 3600);
	/* Other Options are no reason to scan. */
	s.scan.active = false;
	scope.options.mime_support = 2;
	sync_state_set_scope(&s, &scope, now_at);
	CHECK(!s.scan.active);
	scope.sms = true;
	scope.sms_options.filter = 3;
	sync_state_set_scope(&s, &scope, now_at);
	CHECK(s.scan.active);
	CHECK_INT(s.scan.since_at, (now_at - 7 * day_s) / 3600 * 3600);
	/* Ageing looks at the strip that left, of either class. */
	s.scan.active = false;
	sync_state_age(&s, now_at + 7200);
	CHECK(s.scan.active);
	CHECK_INT(s.scan.since_at, (now_at - 7 * day_s) / 3600 * 3600);
	CHECK_INT(s.scan.cursor.date_at, (now_at - day_s + 7200) / 3600 * 3600);
	s.scan.active = false;
	scope.conversation_mode = true;
	sync_state_set_scope(&s, &scope, now_at + 7200);
	CHECK(s.scan.active && s.scan.since_at == INT64_MIN);
	sync_state_deinit(&s);
}

TEST_MAIN(TEST(test_blob), TEST(test_bounds), TEST(test_generations), TEST(test_same_again),
	TEST(test_restart), TEST(test_lost_commands), TEST(test_scopes))
