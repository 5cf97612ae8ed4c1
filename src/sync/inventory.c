/*
 * Storing inventories. A chunk covers CHUNK_IDS ids, from one above a multiple of that, so that the
 * borders never move; in the worst case (every second id) it takes 4 KB. A range that is held
 * completely needs no chunk.
 */
#include "sync/inventory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define INLINE_MAX 4096
#define CHUNK_IDS  ((uint64_t)4096)
/* A wider gap was never ids of the folder: a restore of a backup skips very many. */
#define SWALLOW_GAP_MAX ((uint64_t)1 << 20)

enum form { FORM_INLINE = 0, FORM_CHUNKS = 1 };
enum range { RANGE_FULL = 0, RANGE_CHUNK = 1 };

void sync_chunk_list_deinit(struct sync_chunk_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		mem_free((void *)(uintptr_t)list->rows[i].bytes);
	mem_free(list->rows);
	*list = (struct sync_chunk_list)SYNC_CHUNK_LIST_INIT;
}

/* Not a secret: a phone that could make two of its own chunks collide would only fool itself. */
static uint64_t chunk_name(const struct buf *bytes)
{
	static const uint8_t key[16] = "inventory chunk";

	return siphash(key, bytes->data, bytes->len) & INT64_MAX;
}

/* Takes the bytes. */
static uint64_t add_chunk(struct sync_chunk_list *list, struct buf *bytes)
{
	uint64_t id = chunk_name(bytes);
	size_t len;
	uint8_t *taken;

	for (size_t i = 0; i < list->count; i++) {
		if (list->rows[i].id == id)
			return id;
	}
	if (list->count == list->cap) {
		list->cap = MAX(list->cap * 2, (size_t)16);
		list->rows = x_realloc(list->rows, list->cap * sizeof(*list->rows));
	}
	taken = buf_take(bytes, &len);
	list->rows[list->count++] = (struct sync_chunk_row){id, taken, len};
	return id;
}

/* The part of a set behind an id, as if that were 0. */
static void cut(const struct id_set *set, size_t *at, uint64_t base, struct id_set *ret)
{
	uint64_t end = base + CHUNK_IDS;

	while (*at < set->count && set->runs[*at].first <= end) {
		struct id_interval run = set->runs[*at];

		ret->runs = x_realloc(ret->runs, (ret->count + 1) * sizeof(*ret->runs));
		ret->runs[ret->count++] = (struct id_interval){
			MAX(run.first, base + 1) - base, MIN(run.last, end) - base};
		if (run.last > end)
			break;
		(*at)++;
	}
}

static void encode_range(const struct id_set *part, struct buf *out, struct sync_chunk_list *chunks)
{
	struct buf bytes = BUF_INIT;

	if (part->count == 1 && part->runs[0].first == 1 && part->runs[0].last == CHUNK_IDS) {
		buf_add_byte(out, RANGE_FULL);
		return;
	}
	id_set_encode(part, &bytes);
	buf_add_byte(out, RANGE_CHUNK);
	buf_add_u64(out, add_chunk(chunks, &bytes));
	buf_deinit(&bytes);
}

static void encode_chunks(const struct id_set *set, struct buf *out, struct sync_chunk_list *chunks)
{
	struct buf ranges = BUF_INIT;
	uint64_t count = 0, next = 0;
	size_t at = 0;

	while (at < set->count) {
		struct id_set part = ID_SET_INIT;
		uint64_t index = MAX((set->runs[at].first - 1) / CHUNK_IDS, next);

		cut(set, &at, index * CHUNK_IDS, &part);
		buf_add_varint(&ranges, index - next);
		encode_range(&part, &ranges, chunks);
		id_set_deinit(&part);
		next = index + 1;
		count++;
	}
	buf_add_byte(out, FORM_CHUNKS);
	buf_add_varint(out, count);
	buf_add(out, ranges.data, ranges.len);
	buf_deinit(&ranges);
}

void sync_inventory_encode(
	const struct id_set *set, struct buf *out, struct sync_chunk_list *chunks)
{
	struct buf whole = BUF_INIT;

	id_set_encode(set, &whole);
	if (whole.len > INLINE_MAX) {
		encode_chunks(set, out, chunks);
	} else {
		buf_add_byte(out, FORM_INLINE);
		buf_add(out, whole.data, whole.len);
	}
	buf_deinit(&whole);
}

static const struct sync_chunk_row *find_chunk(
	const struct sync_chunk_row *chunks, size_t count, uint64_t id)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (chunks[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && chunks[low].id == id ? &chunks[low] : NULL;
}

/* Appends a run that comes after all others, joined with the last one when they touch. */
static void append_run(struct id_set *set, uint64_t first, uint64_t last)
{
	struct id_interval *tail = set->count > 0 ? &set->runs[set->count - 1] : NULL;

	if (tail != NULL && tail->last + 1 == first) {
		tail->last = last;
		return;
	}
	if (set->count == set->cap) {
		set->cap = MAX(set->cap * 2, (size_t)64);
		set->runs = x_realloc(set->runs, set->cap * sizeof(*set->runs));
	}
	set->runs[set->count++] = (struct id_interval){first, last};
}

static int decode_chunk(
	const struct sync_chunk_row *chunk, uint64_t base, struct id_set *set, struct err *err)
{
	struct id_set part = ID_SET_INIT;
	struct rd in;
	int result = 0;

	rd_init(&in, chunk->bytes, chunk->len);
	if (id_set_decode(&in, &part, err) < 0)
		return -1;
	for (size_t i = 0; i < part.count && result == 0; i++) {
		if (part.runs[i].last > CHUNK_IDS)
			result = err_set(err, ERR_BAD_INPUT, "an inventory chunk that is too long");
		else
			append_run(set, base + part.runs[i].first, base + part.runs[i].last);
	}
	id_set_deinit(&part);
	return result;
}

static int decode_range(struct rd *in, uint64_t index, const struct sync_chunk_row *chunks,
	size_t count, struct id_set *set, struct err *err)
{
	uint64_t base = index * CHUNK_IDS;
	const struct sync_chunk_row *chunk;
	uint8_t kind = rd_u8(in);
	uint64_t id = kind == RANGE_CHUNK ? rd_u64(in) : 0;

	if (in->failed)
		return err_set(err, ERR_BAD_INPUT, "an inventory cut short");
	switch (kind) {
	case RANGE_FULL:
		append_run(set, base + 1, base + CHUNK_IDS);
		return 0;
	case RANGE_CHUNK:
		chunk = find_chunk(chunks, count, id);
		if (chunk == NULL)
			return err_set(
				err, ERR_BAD_INPUT, "inventory chunk %" PRIx64 " is missing", id);
		return decode_chunk(chunk, base, set, err);
	default:
		return err_set(err, ERR_BAD_INPUT, "an inventory of an unknown form");
	}
}

static int decode_ranges(struct rd *in, const struct sync_chunk_row *chunks, size_t count,
	struct id_set *set, struct err *err)
{
	uint64_t ranges = rd_varint(in), next = 0;

	if (in->failed)
		return err_set(err, ERR_BAD_INPUT, "an inventory cut short");
	for (uint64_t i = 0; i < ranges; i++) {
		uint64_t index = next + rd_varint(in);

		if (in->failed || index < next || index >= INT64_MAX / CHUNK_IDS)
			return err_set(err, ERR_BAD_INPUT, "an inventory with a broken range");
		if (decode_range(in, index, chunks, count, set, err) < 0)
			return -1;
		next = index + 1;
	}
	return 0;
}

int sync_inventory_decode(struct rd *in, const struct sync_chunk_row *chunks, size_t count,
	struct id_set *ret, struct err *err)
{
	uint8_t form = rd_u8(in);
	int result;

	if (in->failed || form > FORM_CHUNKS)
		return err_set(err, ERR_BAD_INPUT, "an inventory of an unknown form");
	if (form == FORM_INLINE)
		return id_set_decode(in, ret, err);
	id_set_deinit(ret);
	result = decode_ranges(in, chunks, count, ret, err);
	if (result < 0)
		id_set_deinit(ret);
	return result;
}

/* Index of the first live id that is not below. */
static size_t first_live(const struct item_id *live, size_t count, size_t from, uint64_t id)
{
	size_t low = from, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (live[mid].v < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool sync_inventory_swallow(struct id_set *set, const struct item_id *live, size_t count)
{
	size_t kept = 0, at = 0, before = set->count;

	for (size_t i = 1; i < set->count; i++) {
		struct id_interval *last = &set->runs[kept];

		at = first_live(live, count, at, last->last + 1);
		if (set->runs[i].first - last->last <= SWALLOW_GAP_MAX &&
			(at == count || live[at].v >= set->runs[i].first))
			last->last = set->runs[i].last;
		else
			set->runs[++kept] = set->runs[i];
	}
	if (set->count > 0)
		set->count = kept + 1;
	return set->count < before;
}
