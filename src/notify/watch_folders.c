/*
 * The packed folders of a watch. A folder is a byte of flags, the id as a varint, the owner as a
 * varint when it is not the watch's user, and eight bytes of cutoff when it differs from the one
 * before (the first one's is "no filter").
 */
#include "notify/watch_folders.h"

#include <assert.h>
#include <string.h>

#define CLASS_MASK   0x0f
#define FLAG_EXACT   0x10
#define FLAG_CUTOFF  0x20
#define FLAG_OWNER   0x40
#define FLAG_CHANGED 0x80

static_assert(ITEM_SMS <= CLASS_MASK, "a class has four bits");

void watch_folders_pack(
	struct buf *out, struct owner_id user, const struct watch_folder *folders, size_t count)
{
	int64_t cutoff_at = INT64_MIN;

	for (size_t i = 0; i < count; i++) {
		const struct watch_folder *f = &folders[i];
		uint8_t flags = f->item_class & CLASS_MASK;

		flags |= f->exact ? FLAG_EXACT : 0;
		flags |= f->owner.v != user.v ? FLAG_OWNER : 0;
		flags |= f->cutoff_at != cutoff_at ? FLAG_CUTOFF : 0;
		buf_add(out, &flags, 1);
		buf_add_varint(out, f->folder.v);
		if (flags & FLAG_OWNER)
			buf_add_varint(out, f->owner.v);
		if (flags & FLAG_CUTOFF)
			buf_add(out, &f->cutoff_at, sizeof(f->cutoff_at));
		cutoff_at = f->cutoff_at;
	}
}

void watch_folders_begin(
	struct watch_folders *it, uint8_t *packed, size_t len, struct owner_id user)
{
	*it = (struct watch_folders){
		.at = packed, .end = packed + len, .user = user, .cutoff_at = INT64_MIN};
}

bool watch_folders_next(struct watch_folders *it, struct watch_folder *ret)
{
	struct rd in;
	size_t left;

	if (it->at == it->end)
		return false;
	it->flags = it->at;
	rd_init(&in, it->at + 1, (size_t)(it->end - it->at) - 1);
	*ret = (struct watch_folder){.owner = it->user,
		.item_class = *it->flags & CLASS_MASK,
		.exact = (*it->flags & FLAG_EXACT) != 0};
	ret->folder.v = rd_varint(&in);
	if (*it->flags & FLAG_OWNER)
		ret->owner.v = rd_varint(&in);
	left = rd_left(&in);
	it->at = it->end - left;
	if (*it->flags & FLAG_CUTOFF) {
		memcpy(&it->cutoff_at, it->at, sizeof(it->cutoff_at));
		it->at += sizeof(it->cutoff_at);
	}
	ret->cutoff_at = it->cutoff_at;
	assert(!in.failed && it->at <= it->end);
	return true;
}

bool watch_folders_changed(const struct watch_folders *it)
{
	return (*it->flags & FLAG_CHANGED) != 0;
}

void watch_folders_set_changed(struct watch_folders *it, bool changed)
{
	if (changed)
		*it->flags |= FLAG_CHANGED;
	else
		*it->flags &= (uint8_t)~FLAG_CHANGED;
}
