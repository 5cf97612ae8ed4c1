/*
 * From memory of one layout into memory of another (shared_carry.h).
 *
 * Evidence about a path is written with the silence at which each of its ranges begins, so that
 * another division into ranges takes it over as what it says: what was survived counts below the
 * silence that it reached, what was cut at the silence at which it was cut.
 *
 * Invariant: whatever the bytes say, what is stored is within the bounds of this release. Limits:
 * as many paths and heartbeats as there is room for.
 */
#include "shared/shared_carry.h"

#include <string.h>

#include "base/mem.h"
#include "shared/shared_internal.h"

enum tag {
	TAG_KEY = 1,    /* 1: 16 bytes */
	TAG_PATH,       /* 1: a record; one entry each */
	TAG_HEARTBEATS, /* 1: the window and what is in it, oldest first */
	TAG_SENT_AWAY,  /* 1: number of the window, sent away in it and before */
};

#define VERSION    1 /* of each of them */
#define HEAD_BYTES 8
#define KEY_BYTES  sizeof(((struct shared_page *)NULL)->key)

/* ---- writing ---- */

static size_t begin_entry(struct buf *out, enum tag tag)
{
	buf_add_u16(out, (uint16_t)tag);
	buf_add_u16(out, VERSION);
	buf_add_u32(out, 0);
	return out->len;
}

static void end_entry(struct buf *out, size_t start)
{
	size_t len = out->len - start;

	if (out->failed)
		return;
	for (size_t i = 0; i < 4; i++)
		out->data[start - 4 + i] = (uint8_t)(len >> (8 * i));
}

static void export_path(const struct shared_path *p, struct buf *out)
{
	struct shared_path_ranges ranges;
	size_t start;

	if (atomic_load(&p->key) == 0)
		return;
	shared_path_read(p, &ranges);
	start = begin_entry(out, TAG_PATH);
	buf_add_u64(out, atomic_load(&p->key));
	buf_add_u32(out, atomic_load(&p->used_at));
	buf_add_u32(out, atomic_load(&p->halved_at));
	buf_add_u32(out, atomic_load(&p->cut_at));
	buf_add_u32(out, atomic_load(&p->limit_s));
	buf_add_u16(out, ranges.count);
	for (uint16_t i = 0; i < ranges.count; i++) {
		buf_add_u16(out, ranges.at[i].reached_s);
		buf_add_u16(out, ranges.at[i].lived);
		buf_add_u16(out, ranges.at[i].cut);
		buf_add_u16(out, ranges.at[i].shortest_s);
	}
	end_entry(out, start);
}

/* In an order in which all of them find a place in a table as large: none stands behind a free
 * place from where it should stand, so the first that follows one is the beginning. */
static void export_paths(const struct shared *s, struct buf *out)
{
	uint32_t count = s->page->sizes.paths, free_at = 0;

	while (free_at < count - 1 && atomic_load(&s->paths[free_at].key) != 0)
		free_at++;
	for (uint32_t i = 1; i <= count; i++)
		export_path(&s->paths[(free_at + i) % count], out);
}

static void export_heartbeats(const struct shared_page *p, struct buf *out)
{
	uint32_t window = MIN(atomic_load(&p->heartbeat_window), (unsigned)SHARED_WINDOW_MAX);
	uint64_t next = atomic_load(&p->heartbeat_next);
	uint32_t count = (uint32_t)MIN(next, (uint64_t)window);
	size_t start = begin_entry(out, TAG_HEARTBEATS);

	buf_add_u32(out, window);
	buf_add_byte(out, atomic_load(&p->heartbeats_short) != 0);
	buf_add_u32(out, count);
	for (uint32_t i = 0; i < count; i++)
		buf_add_u16(out, atomic_load(&p->heartbeats[(next - count + i) % window]));
	end_entry(out, start);
}

void shared_export(const struct shared *s, struct buf *out)
{
	const struct shared_page *p = s->page;
	size_t start = begin_entry(out, TAG_KEY);

	buf_add(out, p->key, KEY_BYTES);
	end_entry(out, start);
	export_paths(s, out);
	export_heartbeats(p, out);
	start = begin_entry(out, TAG_SENT_AWAY);
	buf_add_u64(out, (uint64_t)atomic_load(&p->sent_away.window));
	buf_add_u32(out, atomic_load(&p->sent_away.present));
	buf_add_u32(out, atomic_load(&p->sent_away.before));
	end_entry(out, start);
}

/* ---- reading ---- */

static void import_key(struct shared *s, struct rd *r)
{
	const uint8_t *key = rd_bytes(r, KEY_BYTES);

	if (key != NULL)
		memcpy(s->page->key, key, KEY_BYTES);
}

static void import_path(struct shared *s, struct rd *r)
{
	uint64_t key = rd_u64(r);
	uint32_t used_at = rd_u32(r), halved_at = rd_u32(r), cut_at = rd_u32(r),
		 limit_s = rd_u32(r);
	uint16_t count = rd_u16(r);
	struct shared_path_ranges ranges = {.count = MIN(count, (uint16_t)ARRAY_LEN(ranges.at))};
	uint32_t at;

	for (uint16_t i = 0; i < count; i++) {
		struct shared_path_range range = {.reached_s = rd_u16(r)};

		range.lived = rd_u16(r);
		range.cut = rd_u16(r);
		range.shortest_s = rd_u16(r);
		if (i < ranges.count)
			ranges.at[i] = range;
	}
	if (r->failed || key == 0)
		return;
	at = shared_path_find(s, key, (int64_t)used_at * 1000);
	if (at == SHARED_NO_PATH)
		return;
	atomic_store(&s->paths[at].halved_at, halved_at);
	atomic_store(&s->paths[at].cut_at, cut_at);
	shared_path_write(s, at, &ranges, MIN(limit_s, (uint32_t)UINT16_MAX));
}

static void import_heartbeats(struct shared *s, struct rd *r)
{
	uint32_t window = rd_u32(r), is_short = rd_u8(r), count = rd_u32(r);

	if (r->failed || window == 0 || window > SHARED_WINDOW_MAX || count > window)
		return;
	/* Nobody hears of it a second time. */
	atomic_store(&s->page->heartbeats_short, is_short);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t heartbeat_s = rd_u16(r);

		if (!r->failed)
			shared_heartbeat_take(s, heartbeat_s, window);
	}
}

static void import_sent_away(struct shared *s, struct rd *r)
{
	int64_t window = (int64_t)rd_u64(r);
	uint32_t present = rd_u32(r), before = rd_u32(r);

	if (r->failed)
		return;
	atomic_store(&s->page->sent_away.window, window);
	atomic_store(&s->page->sent_away.present, present);
	atomic_store(&s->page->sent_away.before, before);
}

static void import_entry(struct shared *s, uint16_t tag, struct rd *r)
{
	switch ((enum tag)tag) {
	case TAG_KEY:
		import_key(s, r);
		return;
	case TAG_PATH:
		import_path(s, r);
		return;
	case TAG_HEARTBEATS:
		import_heartbeats(s, r);
		return;
	case TAG_SENT_AWAY:
		import_sent_away(s, r);
		return;
	}
}

int shared_import(struct shared *s, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	while (rd_left(&r) >= HEAD_BYTES) {
		uint16_t tag = rd_u16(&r), version = rd_u16(&r);
		uint32_t entry_len = rd_u32(&r);
		const uint8_t *at = rd_bytes(&r, entry_len);
		struct rd entry;

		if (at == NULL)
			break;
		rd_init(&entry, at, entry_len);
		if (version == VERSION)
			import_entry(s, tag, &entry);
		if (entry.failed)
			return err_set(err, ERR_BAD_INPUT,
				"what the fronts knew: an entry with tag %u is too short", tag);
	}
	if (r.failed || rd_left(&r) > 0)
		return err_set(err, ERR_BAD_INPUT, "what the fronts knew: its end is missing");
	return 0;
}
