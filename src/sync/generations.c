/*
 * Generations and keys. No state of its own; any thread.
 */
#include "sync/generations.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"

void sync_collection_deinit(struct sync_collection *c)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		sync_state_deinit(&c->states[g]);
		c->present[g] = false;
	}
}

/* False: it is broken, or lacks its chunks; it is as before then. */
static bool decode(struct sync_collection *c, uint8_t g, const struct sync_state_row *row,
	const struct sync_chunk_row *chunks, size_t chunk_count)
{
	struct err ignored = ERR_INIT;

	return sync_state_decode(
		       row->blob, row->blob_len, chunks, chunk_count, &c->states[g], &ignored) == 0;
}

int sync_collection_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct sync_collection *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct sync_chunk_row *chunks = NULL;
	size_t count, chunk_count = 0;
	struct sync_state_row *rows;
	bool all = false;

	*ret = (struct sync_collection){.device = device, .owner = owner, .folder = folder};
	for (size_t g = 0; g < SYNC_GENERATIONS; g++)
		sync_state_init(&ret->states[g]);
	if (store_sync_state_load(
		    rd, device, owner, folder, arena, &rows, &count, NULL, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		uint8_t g = rows[i].generation;

		if (g >= SYNC_GENERATIONS)
			continue;
		ret->states[g].key = rows[i].key;
		ret->present[g] = decode(ret, g, &rows[i], chunks, chunk_count);
		/* Only large inventories are in chunks; nearly all states can do without. */
		if (ret->present[g] || all)
			continue;
		if (store_sync_chunks_load(
			    rd, device, owner, folder, arena, &chunks, &chunk_count, err) < 0)
			return -1;
		all = true;
		ret->present[g] = decode(ret, g, &rows[i], chunks, chunk_count);
	}
	return 0;
}

int sync_collection_save(struct store_tx *tx, const struct sync_collection *c,
	const struct sync_state *current, struct err *err)
{
	struct sync_chunk_list chunks = SYNC_CHUNK_LIST_INIT;
	struct sync_state_row rows[SYNC_GENERATIONS];
	struct buf blobs[SYNC_GENERATIONS];
	size_t count = 0;
	int result;

	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		const struct sync_state *s = &c->states[g];

		if (g == SYNC_CURRENT && current != NULL)
			s = current;
		else if (!c->present[g])
			continue;
		buf_init(&blobs[count], 0);
		sync_state_encode(s, &blobs[count], &chunks);
		rows[count] = (struct sync_state_row){
			.key = s->key,
			.generation = (uint8_t)g,
			.blob = blobs[count].data,
			.blob_len = blobs[count].len,
		};
		count++;
	}
	result = store_sync_state_save(
		tx, c->device, c->owner, c->folder, rows, count, chunks.rows, chunks.count, err);
	for (size_t i = 0; i < count; i++)
		buf_deinit(&blobs[i]);
	sync_chunk_list_deinit(&chunks);
	return result;
}

size_t sync_collection_find(const struct sync_collection *c, uint64_t key, unsigned version)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (c->present[g] && c->states[g].key == key && c->states[g].version == version)
			return g;
	}
	return SYNC_GENERATIONS;
}

static void drop(struct sync_collection *c, size_t g)
{
	sync_state_deinit(&c->states[g]);
	c->present[g] = false;
}

/* The place that is left is empty; a key stands beside its state. */
static void move(struct sync_collection *c, size_t from, size_t to)
{
	sync_state_deinit(&c->states[to]);
	c->states[to] = c->states[from];
	c->present[to] = c->present[from];
	sync_state_init(&c->states[from]);
	c->present[from] = false;
}

/* The oldest sibling gives way. */
static void make_sibling(struct sync_collection *c, size_t from)
{
	if (!c->present[from])
		return;
	for (size_t g = SYNC_GENERATIONS - 1; g > SYNC_SIBLING; g--)
		move(c, g - 1, g);
	move(c, from, SYNC_SIBLING);
}

/* Out of its place, which the siblings behind it fill. */
static struct sync_state take_out(struct sync_collection *c, size_t generation)
{
	struct sync_state s = c->states[generation];

	sync_state_init(&c->states[generation]);
	c->present[generation] = false;
	for (size_t g = generation; g >= SYNC_SIBLING && g + 1 < SYNC_GENERATIONS; g++)
		move(c, g + 1, g);
	return s;
}

struct sync_state *sync_collection_use(
	struct sync_collection *c, size_t generation, bool *ret_repeated)
{
	struct sync_state *base = &c->states[SYNC_PREVIOUS];
	struct sync_state s = take_out(c, generation);

	*ret_repeated = s.used;
	if (s.used) {
		/* Also a sibling may come again, after a key 0 that arrived late: it ends nobody.
		 */
		make_sibling(c, SYNC_PREVIOUS);
		make_sibling(c, SYNC_CURRENT);
		if (s.repeats < UINT16_MAX)
			s.repeats++;
	} else {
		for (size_t g = 0; g < SYNC_GENERATIONS; g++)
			drop(c, g);
	}
	s.used = true;
	*base = s;
	c->present[SYNC_PREVIOUS] = true;
	return base;
}

void sync_collection_restart(struct sync_collection *c)
{
	make_sibling(c, SYNC_PREVIOUS);
	make_sibling(c, SYNC_CURRENT);
}

const struct sync_answer *sync_collection_find_answer(
	const struct sync_collection *c, uint64_t command_hash)
{
	const struct sync_answer *answer = NULL;

	for (size_t g = SYNC_SIBLING; g < SYNC_GENERATIONS && answer == NULL; g++) {
		if (c->present[g])
			answer = sync_state_find_answer(&c->states[g], command_hash);
	}
	return answer;
}

static bool was_own(const struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq)
{
	if (sync_state_is_own(s, item, group, seq))
		return true;
	/* Its entries are gone when its run of changes had ended; the answers stay. */
	for (size_t i = 0; i < s->answer_count; i++) {
		const struct sync_answer *a = &s->answers[i];

		if (a->item == item &&
			(((a->own_groups & group) != 0 && a->own_seq == seq) || seq <= a->seen_seq))
			return true;
	}
	return false;
}

bool sync_collection_is_own(
	const struct sync_collection *c, uint64_t item, uint8_t group, uint64_t seq)
{
	for (size_t g = SYNC_SIBLING; g < SYNC_GENERATIONS; g++) {
		if (c->present[g] && was_own(&c->states[g], item, group, seq))
			return true;
	}
	return false;
}

bool sync_collection_same_again(struct sync_collection *c, struct sync_state *next)
{
	for (size_t g = SYNC_SIBLING; g < SYNC_GENERATIONS; g++) {
		if (!c->present[g] || !sync_state_same(&c->states[g], next))
			continue;
		next->key = c->states[g].key;
		for (; g + 1 < SYNC_GENERATIONS; g++)
			move(c, g + 1, g);
		drop(c, SYNC_GENERATIONS - 1);
		return true;
	}
	return false;
}

bool sync_key_parse(const char *text, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = strlen(text);

	if (strcmp(text, "0") == 0) {
		*ret = 0;
		return true;
	}
	if (n != 16)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return v != 0;
}

void sync_key_print(uint64_t key, char text[17])
{
	(void)snprintf(text, 17, "%016" PRIx64, key);
}

uint64_t sync_key_new(void)
{
	uint64_t key;

	/* The highest bit stays clear: databases keep signed integers. */
	do
		key = random_u64() >> 1;
	while (key == 0);
	return key;
}
