/*
 * Orders to erase a phone: the machine of their states, and their rows.
 *
 * Invariant: devices.wipe is the state of the device's last order, or none when that is over.
 * Threads: any, as the transaction. Limits: STORE_WIPES_KEPT orders of a device.
 */
#include "store/store_wipe.h"

#include <assert.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_access.h"
#include "store/store_internal.h"

#define NEVER (-1)

/* What an event leads to. A phone may answer an order that we do not know to have arrived. */
static const int machine[WIPE_FAILED + 1][WIPE_EVENT_COUNT] = {
	[WIPE_NONE] = {WIPE_ORDERED, NEVER, NEVER, NEVER, NEVER, NEVER},
	[WIPE_ORDERED] = {NEVER, WIPE_SENT, WIPE_DONE, WIPE_FAILED, WIPE_NONE, NEVER},
	[WIPE_SENT] = {NEVER, WIPE_SENT, WIPE_DONE, WIPE_FAILED, WIPE_NONE, NEVER},
	/* It goes out again, which is no news. */
	[WIPE_FAILED] = {NEVER, WIPE_FAILED, WIPE_DONE, WIPE_FAILED, WIPE_NONE, NEVER},
	/* An acknowledgment whose answer was lost comes again. */
	[WIPE_DONE] = {NEVER, NEVER, WIPE_DONE, NEVER, NEVER, WIPE_NONE},
};

bool wipe_next(enum wipe_state from, enum wipe_event event, enum wipe_state *ret)
{
	if ((unsigned)from >= ARRAY_LEN(machine) || event >= WIPE_EVENT_COUNT ||
		machine[from][event] == NEVER)
		return false;
	*ret = (enum wipe_state)machine[from][event];
	return true;
}

const char *wipe_state_to_str(enum wipe_state state)
{
	switch (state) {
	case WIPE_NONE:
		return "none";
	case WIPE_ORDERED:
		return "pending";
	case WIPE_SENT:
		return "sent";
	case WIPE_DONE:
		return "acknowledged";
	case WIPE_FAILED:
		return "failed";
	}
	return "unknown";
}

const char *wipe_to_str(const struct wipe *wipe)
{
	if (wipe->state == WIPE_NONE)
		return "cancelled";
	if (wipe->state == WIPE_DONE && wipe->ended_at != 0)
		return "cleared";
	return wipe_state_to_str(wipe->state);
}

/* ---- changes ---- */

static int load_state(
	struct store_tx *tx, struct device_id device, enum wipe_state *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t state = 0;
	int rc;

	if (store_prepare_tx(tx, "SELECT wipe FROM devices WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	rc = store_run_u64(st, &state, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no device %" PRIu64, device.v);
	*ret = (enum wipe_state)state;
	return rc < 0 ? -1 : 0;
}

static int refuse(enum wipe_state state, enum wipe_event event, struct err *err)
{
	if (event == WIPE_EVENT_CLEAR)
		return err_set(err, ERR_CONFLICT,
			wipe_is_pending(state) ? "a wipe of this phone is under way (%s): cancel "
						 "it, or wait until it is acknowledged"
					       : "this phone was not wiped: its state is %s",
			wipe_state_to_str(state));
	if (state == WIPE_DONE)
		return err_set(err, ERR_CONFLICT,
			event == WIPE_EVENT_CANCEL
				? "the phone has acknowledged the wipe: nothing is left to cancel; "
				  "device clear lets it in again"
				: "the phone was wiped and stays out: device clear lets it in "
				  "again");
	if (event == WIPE_EVENT_ORDER)
		return err_set(err, ERR_CONFLICT,
			"a wipe of this phone is under way (%s): cancel it first to order another",
			wipe_state_to_str(state));
	return err_set(err, ERR_CONFLICT, "no wipe of this phone is under way");
}

static int insert(struct store_tx *tx, struct device_id device, bool account_only, bool by_owner,
	const char *by, int64_t at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO wipes (owner, device, number, account_only, by_owner, state,"
		    " asked_by, asked_at, sent_at, answered_at, ended_by, ended_at)"
		    " SELECT d.owner, d.id, COALESCE((SELECT MAX(w.number) FROM wipes w WHERE"
		    " w.owner = d.owner AND w.device = d.id), 0) + 1, $2, $3, $4, $5, $6, 0, 0,"
		    " '', 0 FROM devices d WHERE d.id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_u64(st, 2, account_only);
	db_bind_u64(st, 3, by_owner);
	db_bind_u64(st, 4, WIPE_ORDERED);
	db_bind_text(st, 5, store_text(by));
	db_bind_i64(st, 6, at);
	return store_run(st, err);
}

static int forget_old(struct store_tx *tx, struct device_id device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM wipes WHERE device = $1 AND owner = (SELECT owner FROM devices"
		    " WHERE id = $1) AND number <= (SELECT MAX(w.number) - $2 FROM wipes w WHERE"
		    " w.owner = wipes.owner AND w.device = $1)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_i64(st, 2, STORE_WIPES_KEPT);
	return store_run(st, err);
}

static int set_kind(
	struct store_tx *tx, struct device_id device, bool account_only, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "UPDATE devices SET wipe_account = $2 WHERE id = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_u64(st, 2, account_only);
	return store_run(st, err);
}

int store_wipe_order(struct store_tx *tx, struct device_id device, bool account_only, bool by_owner,
	const char *by, int64_t at, struct err *err)
{
	enum wipe_state from, to;

	if (load_state(tx, device, &from, err) < 0)
		return -1;
	if (!wipe_next(from, WIPE_EVENT_ORDER, &to))
		return refuse(from, WIPE_EVENT_ORDER, err);
	if (insert(tx, device, account_only, by_owner, by, at, err) < 0 ||
		forget_old(tx, device, err) < 0 || set_kind(tx, device, account_only, err) < 0)
		return -1;
	return store_device_set_wipe(tx, device, to, at, err);
}

/* sql changes the device's last order: $1 device, $2 state, $3 time, $4 who. */
static int change_order(struct store_tx *tx, struct device_id device, enum wipe_event event,
	enum wipe_state to, const char *by, int64_t at, struct err *err)
{
	static const char *const sql[WIPE_EVENT_COUNT] = {
#define OF_LAST                                                                                    \
	" WHERE device = $1 AND owner = (SELECT owner FROM devices WHERE id = $1) AND number ="    \
	" (SELECT MAX(w.number) FROM wipes w WHERE w.owner = wipes.owner AND w.device = $1)"
		[WIPE_EVENT_SEND] = "UPDATE wipes SET state = $2, sent_at = $3" OF_LAST,
		[WIPE_EVENT_ACKNOWLEDGE] = "UPDATE wipes SET state = $2, answered_at = $3" OF_LAST,
		[WIPE_EVENT_FAIL] = "UPDATE wipes SET state = $2, answered_at = $3" OF_LAST,
		[WIPE_EVENT_CANCEL] =
			"UPDATE wipes SET state = $2, ended_at = $3, ended_by = $4" OF_LAST,
		[WIPE_EVENT_CLEAR] =
			"UPDATE wipes SET state = $2, ended_at = $3, ended_by = $4" OF_LAST,
#undef OF_LAST
	};
	bool names_who = event == WIPE_EVENT_CANCEL || event == WIPE_EVENT_CLEAR;
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql[event], &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	/* What is cleared stays an order that was acknowledged. */
	db_bind_u64(st, 2, event == WIPE_EVENT_CLEAR ? WIPE_DONE : to);
	db_bind_i64(st, 3, at);
	if (names_who)
		db_bind_text(st, 4, store_text(by));
	return store_run(st, err);
}

/* What a phone loses with the answer that it is wiped: it has to provision when it comes back. */
static int take_keys(struct store_tx *tx, struct device_id device, struct err *err)
{
	return store_run_id(tx,
		"UPDATE devices SET policy_key = 0, policy_key_temporary = 0, policy_status = 0,"
		" credential = '' WHERE id = $1",
		device.v, err);
}

static int begin_anew(struct store_tx *tx, struct device_id device, struct err *err)
{
	return store_run_id(tx,
		"UPDATE devices SET policy_key = 0, policy_key_temporary = 0, ping_heartbeat_s = 0,"
		" ping_folders = NULL, sync_request = NULL WHERE id = $1",
		device.v, err);
}

int store_wipe_move(struct store_tx *tx, struct device_id device, enum wipe_event event,
	const char *by, int64_t at, enum wipe_state *ret_from, struct err *err)
{
	enum wipe_state from, to;

	if (load_state(tx, device, &from, err) < 0)
		return -1;
	if (event == WIPE_EVENT_ORDER || !wipe_next(from, event, &to))
		return refuse(from, event, err);
	*ret_from = from;
	if (to == from)
		return 0;
	if (change_order(tx, device, event, to, by, at, err) < 0)
		return -1;
	if (to == WIPE_DONE && take_keys(tx, device, err) < 0)
		return -1;
	if (event == WIPE_EVENT_CLEAR &&
		(store_device_forget(tx, device, err) < 0 || begin_anew(tx, device, err) < 0))
		return -1;
	return store_device_set_wipe(tx, device, to, at, err);
}

/* ---- phones which outlive their user's entry ---- */

int store_wipe_keep(struct store_tx *tx, struct owner_id owner, struct err *err)
{
	return store_run_id(tx,
		"INSERT INTO wiped_devices (address, device_id, device_type, user_agent, model,"
		" first_seen_at, last_seen_at, protocol_version, account_only, asked_by, asked_at,"
		" sent_at, answered_at)"
		" SELECT a.address, d.device_id, d.device_type, d.user_agent,"
		" d.model, d.first_seen_at, d.last_seen_at, d.protocol_version, d.wipe_account,"
		" COALESCE(w.asked_by, ''), COALESCE(w.asked_at, d.wipe_at),"
		" COALESCE(w.sent_at, 0), COALESCE(w.answered_at, d.wipe_at)"
		" FROM devices d JOIN addresses a ON a.owner = d.owner"
		" LEFT JOIN wipes w ON w.owner = d.owner AND w.device = d.id AND w.number ="
		" (SELECT MAX(l.number) FROM wipes l WHERE l.owner = d.owner AND l.device = d.id)"
		" WHERE d.owner = $1 AND d.wipe = 3 ON CONFLICT (address, device_id) DO NOTHING",
		owner.v, err);
}

static_assert(WIPE_DONE == 3, "what is kept");

/* Each is a device of its own again, with the order that it obeyed. One that the owner has by now
 * stays what it is. */
static int load_kept(struct store_tx *tx, const char *address, struct owner_id owner,
	struct arena *arena, struct device **ret, struct wipe **ret_orders, size_t *ret_count,
	struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct device *devices = NULL;
	struct wipe *orders = NULL;
	size_t count = 0, cap = 0, orders_cap = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT device_id, device_type, user_agent, model, first_seen_at, last_seen_at,"
		    " protocol_version, account_only, asked_by, asked_at, sent_at, answered_at"
		    " FROM wiped_devices w WHERE address = $1 AND NOT EXISTS (SELECT 1 FROM "
		    "devices d"
		    " WHERE d.owner = $2 AND d.device_id = w.device_id) ORDER BY device_id",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, address);
	db_bind_u64(st, 2, owner.v);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};
		struct device *d;
		struct wipe *w;

		if (STORE_GROW(arena, &devices, count, &cap, err) < 0 ||
			STORE_GROW(arena, &orders, count, &orders_cap, err) < 0)
			return -1;
		d = &devices[count];
		w = &orders[count++];
		*d = (struct device){.owner = owner, .wipe = WIPE_DONE};
		*w = (struct wipe){.state = WIPE_DONE};
		d->device_id = store_row_text(&row);
		d->device_type = store_row_text(&row);
		d->user_agent = store_row_text(&row);
		d->model = store_row_text(&row);
		d->first_seen_at = store_row_i64(&row);
		d->last_seen_at = store_row_i64(&row);
		d->protocol_version = (uint16_t)store_row_u64(&row);
		w->account_only = d->wipe_account = store_row_u64(&row) != 0;
		w->asked_by = store_row_text(&row);
		w->asked_at = store_row_i64(&row);
		w->sent_at = store_row_i64(&row);
		w->answered_at = d->wipe_at = store_row_i64(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
	}
	*ret = devices;
	*ret_orders = orders;
	*ret_count = count;
	return rc < 0 ? -1 : 0;
}

/* Never by_owner: whoever has the address now did not order it. */
static int insert_kept(
	struct store_tx *tx, struct device_id device, const struct wipe *w, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (insert(tx, device, w->account_only, false, w->asked_by, w->asked_at, err) < 0 ||
		store_prepare_tx(tx,
			"UPDATE wipes SET state = $2, sent_at = $3, answered_at = $4 WHERE device "
			"= $1",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_u64(st, 2, w->state);
	db_bind_i64(st, 3, w->sent_at);
	db_bind_i64(st, 4, w->answered_at);
	return store_run(st, err);
}

int store_wipe_bring_back(
	struct store_tx *tx, const char *address, struct owner_id owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct device *devices;
	struct wipe *orders;
	size_t count;

	if (load_kept(tx, address, owner, arena, &devices, &orders, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (store_device_save(tx, &devices[i], err) < 0 ||
			insert_kept(tx, devices[i].id, &orders[i], err) < 0)
			return -1;
	if (store_prepare_tx(tx, "DELETE FROM wiped_devices WHERE address = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, address);
	return store_run(st, err);
}

/* ---- reading ---- */

#define WIPE_COLUMNS                                                                               \
	"number, owner, device, account_only, by_owner, state, asked_by, asked_at, sent_at,"       \
	" answered_at, ended_by, ended_at"

static int read_row(struct db_stmt *st, struct arena *arena, struct wipe *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	ret->number = store_row_u64(&row);
	ret->owner.v = store_row_u64(&row);
	ret->device.v = store_row_u64(&row);
	ret->account_only = store_row_u64(&row) != 0;
	ret->by_owner = store_row_u64(&row) != 0;
	ret->state = (enum wipe_state)store_row_u64(&row);
	ret->asked_by = store_row_text(&row);
	ret->asked_at = store_row_i64(&row);
	ret->sent_at = store_row_i64(&row);
	ret->answered_at = store_row_i64(&row);
	ret->ended_by = store_row_text(&row);
	ret->ended_at = store_row_i64(&row);
	return store_row_end(&row, err);
}

int store_wipe_last(struct store_read *rd, struct owner_id owner, struct device_id device,
	struct arena *arena, struct wipe **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct wipe *wipe;
	int rc;

	if (store_prepare(rd,
		    "SELECT " WIPE_COLUMNS " FROM wipes WHERE owner = $1 AND device = $2"
		    " ORDER BY number DESC LIMIT 1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	wipe = rc == 0 ? NULL : arena_x_new(arena, struct wipe);
	if (wipe != NULL && read_row(st, arena, wipe, err) < 0)
		return -1;
	*ret = wipe;
	return 0;
}

#define WIPES(where)                                                                               \
	"SELECT " WIPE_COLUMNS " FROM wipes WHERE " where                                          \
	" ORDER BY asked_at DESC, owner DESC, device DESC, number DESC LIMIT $2 OFFSET $3"

int store_wipe_list(struct store_read *rd, struct owner_id owner, uint64_t offset, uint64_t limit,
	struct arena *arena, struct wipe **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct wipe *wipes = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((owner.v != 0 ? store_prepare(rd, WIPES("owner = $1"), &st, err)
			  : store_prepare(rd, WIPES("$1 = 0"), &st, err)) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_i64(st, 2, (int64_t)MIN(limit, (uint64_t)INT64_MAX));
	db_bind_i64(st, 3, (int64_t)MIN(offset, (uint64_t)INT64_MAX));
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &wipes, count, &cap, err) < 0 ||
			read_row(st, arena, &wipes[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = wipes;
	*ret_count = count;
	return 0;
}

#define IS_PENDING "wipe IN (1, 2, 4)"

static_assert(ACCESS_BLOCK == 2, "the access of suspended devices");
static_assert(WIPE_ORDERED == 1 && WIPE_SENT == 2 && WIPE_FAILED == 4, "IS_PENDING says so");

int store_wipe_pending(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT COUNT(*) FROM devices WHERE owner = $1 AND " IS_PENDING, &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_wipe_credential(struct store_read *rd, struct owner_id owner, const char *device_id,
	struct arena *arena, const char **ret, uint32_t *ret_policy_key, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	int rc;

	if (store_prepare(rd,
		    "SELECT credential, policy_key FROM devices WHERE owner = $1 AND " IS_PENDING
		    " AND credential <> '' AND (device_id = $2 OR $2 = '')"
		    " ORDER BY wipe_at DESC LIMIT 1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_text(st, 2, store_text(device_id));
	rc = db_step(st, err);
	*ret = NULL;
	*ret_policy_key = 0;
	if (rc <= 0)
		return rc;
	row.st = st;
	*ret = store_row_text(&row);
	if (device_id != NULL)
		*ret_policy_key = (uint32_t)store_row_u64(&row);
	return store_row_end(&row, err);
}

int store_wipe_suspend_all(
	struct store_tx *tx, const char *by, int64_t at, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *devices = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE wipes SET state = $1, ended_at = $2, ended_by = $3 WHERE EXISTS"
		    " (SELECT 1 FROM devices d WHERE d.id = wipes.device AND d.owner = wipes.owner"
		    " AND d." IS_PENDING ") AND "
		    "state IN (1, 2, 4)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, WIPE_NONE);
	db_bind_i64(st, 2, at);
	db_bind_text(st, 3, store_text(by));
	if (store_run(st, err) < 0 ||
		store_prepare_tx(tx,
			"UPDATE devices SET wipe = 0, access_own = 2, wipe_at = $1,"
			" epoch = epoch + 1 WHERE " IS_PENDING,
			&devices, err) < 0)
		return -1;
	db_bind_i64(devices, 1, at);
	if (store_run(devices, err) < 0)
		return -1;
	*ret = (uint64_t)db_changes(tx->read.conn);
	return 0;
}
