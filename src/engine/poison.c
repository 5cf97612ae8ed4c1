/*
 * From the notes of a dead engine to rows of the store: one transaction for all marks. Runs once at
 * the start, on the only thread.
 */
#include "engine/poison.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "conf/settings.h"
#include "store/store.h"

#define GUILTY_MAX 16 /* threads that fault before the first of them ends the process */

struct count {
	struct note notes[GUILTY_MAX];
	size_t count;
	uint64_t crash;
	int64_t now_at, since_at;
	struct arena *arena;
	bool acted[GUILTY_MAX]; /* this was the crash too many */
};

/* "login@domain"; "" for an owner who is gone or was none. */
static const char *address_of(struct store_read *rd, struct owner_id owner, struct arena *arena)
{
	struct err ignored = ERR_INIT;
	struct user *user;

	if (owner.v == 0 || store_user_load(rd, owner, arena, &user, &ignored) < 0)
		return "";
	return arena_x_printf(arena, "%s@%s", user->login, user->domain);
}

static const char *device_of(struct store_read *rd, struct device_id id, struct arena *arena)
{
	struct err ignored = ERR_INIT;
	struct device *device;

	if (id.v == 0 || store_device_load(rd, id, arena, &device, &ignored) < 0)
		return "";
	return device->device_id;
}

static int log_event(
	struct store_tx *tx, const struct count *c, const struct note *n, struct err *err)
{
	struct store_read *rd = store_tx_read(tx);
	struct owner_id owner = {n->item != 0 ? n->item_owner : n->owner};
	const struct log_row row = {.at = c->now_at,
		.actor = "server",
		.user = address_of(rd, owner, c->arena),
		.address = "",
		.device_id = device_of(rd, (struct device_id){n->device}, c->arena),
		.device_type = "",
		.action = n->item != 0              ? "item set aside"
			  : n->kind == NOTE_REQUEST ? "request refused"
						    : "message taken unread",
		.result = n->item != 0
				  ? arena_x_printf(
					    c->arena, "%" PRIu64 ":%" PRIu64, n->folder, n->item)
				  : arena_x_printf(c->arena, "%s %016" PRIx64, n->what, n->hash)};

	return store_log_add(tx, &row, err);
}

static int count_note(
	struct store_tx *tx, struct count *c, const struct note *n, bool *ret_now, struct err *err)
{
	const struct poison_request request = {
		.owner = {n->owner}, .hash = n->hash, .device = {n->device}, .command = n->what};

	if (n->item != 0)
		return store_poison_count_item(tx, (struct owner_id){n->item_owner},
			(struct folder_id){n->folder}, (struct item_id){n->item}, c->crash, ret_now,
			err);
	return store_poison_count_request(tx, &request, c->crash, c->since_at, ret_now, err);
}

static int count_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct count *c = owner;

	for (size_t i = 0; i < c->count; i++) {
		if (count_note(tx, c, &c->notes[i], &c->acted[i], err) < 0)
			return -1;
		if (c->acted[i] && log_event(tx, c, &c->notes[i], err) < 0)
			return -1;
	}
	return 0;
}

static void tell(const struct count *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct note *n = &c->notes[i];

		/* Both are errors: somebody's mail or phone made the server fall over. */
		log_error(NULL, "engine_crash_counted",
			F_STR("on", n->kind == NOTE_MAIL ? "message"
				    : n->item != 0       ? "item"
							 : "request"),
			F_UINT("user", n->item != 0 ? n->item_owner : n->owner),
			F_UINT("device", n->device), F_UINT("folder", n->item != 0 ? n->folder : 0),
			F_UINT("item", n->item), F_STR("command", n->what),
			F_STR("consequence", !c->acted[i]   ? "noted; the next one has consequences"
					     : n->item != 0 ? "set aside until it is released"
					     : n->kind == NOTE_MAIL ? "taken unread from now on"
								    : "refused for a while"));
	}
}

void poison_count(struct store *store, const struct settings *settings)
{
	CLEANUP(mem_freep) struct count *c = x_new(struct count);
	struct err err = ERR_INIT;

	c->count = notes_guilty(c->notes, ARRAY_LEN(c->notes), &c->crash);
	if (c->count == 0)
		return;
	c->now_at = clock_now_at();
	c->since_at = c->now_at - (int64_t)settings->poison_request_refuse_s;
	c->arena = arena_new(0);
	if (store_transact(store, count_tx, c, &err) < 0)
		log_error(NULL, "engine_crash_counted", F_STR("result", err_code_to_str(err.code)),
			F_ERR(&err));
	else
		tell(c);
	arena_free(&c->arena);
}
