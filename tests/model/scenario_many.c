/*
 * Scenarios of folders: filters, moves, tombstones, and very many messages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "scenario.h"

enum { FILTER_ALL = 0, FILTER_DAY = 1, FILTER_3_DAYS = 2, FILTER_WEEK = 3, FILTER_MONTH = 5 };

void scenario_soft_delete(struct world *w)
{
	struct phone *p;

	run_mail(w, 5, 20);
	run_mail(w, 5, 2);
	p = scenario_phone(w, 0, "14.0", FILTER_ALL, 1);
	for (unsigned i = 0; i < 3 && !w->failed; i++) {
		scenario_filter(p, 0, FILTER_WEEK);
		scenario_sync_all(w, p, 0, 2);
		scenario_check(w, p, phone_held(p, 0) == 5, "the old ones should be gone");
		/* What happens to them meanwhile is seen on their return. */
		scenario_client(w, 0, 1 + i, GROUP_FLAG, ++w->next_value);
		scenario_filter(p, 0, FILTER_MONTH);
		scenario_sync_all(w, p, 0, 3);
		scenario_check(w, p, phone_held(p, 0) == 10, "the old ones should be back");
	}
	/* They age out by themselves, too. */
	clock_fake_advance_ms(12 * DAY_S * 1000);
	run_settle(w);
	scenario_check(w, p, phone_held(p, 0) == 5, "a month has passed for the old ones");
}

void scenario_move(struct world *w)
{
	struct effect there = {.folder = 0, .deletes = true}, back = {.folder = 2, .deletes = true};
	struct phone *p, *other;

	run_mail(w, 6, 0);
	p = scenario_phone(w, 0, "14.1", FILTER_ALL, 1);
	other = scenario_phone(w, 1, "2.5", FILTER_ALL, 1);
	scenario_client(w, 0, 3, GROUP_FLAG, 9);
	there.item = 3;
	client_do(w, &there, 2);
	scenario_want(w, other, 0, 3, GROUP_READ, 1); /* it does not know yet: Status 8 */
	scenario_sync(w, other, 0, 5);
	scenario_sync_all(w, p, 2, 5);
	scenario_sync_all(w, p, 0, 5);
	back.item = 1;
	client_do(w, &back, 0);
	scenario_sync(w, p, 0, 1);
	/* Deleted Items, by a phone. */
	scenario_want_gone(p, 0, 7);
	scenario_sync_all(w, p, 0, 5);
	run_settle(w);
	scenario_check(w, p, phone_held(p, 0) == 5 && phone_held(p, 1) == 1,
		"an item is in two places, or in none");
}

/* m1, m2, m19 and m20 belong together (model_conversation()). */
void scenario_conversation(struct world *w)
{
	struct effect newest = {.folder = 0, .item = 2, .deletes = true};
	struct phone *p;

	run_mail(w, 1, 20);
	run_mail(w, 1, 0);
	run_mail(w, 1, 20);
	p = scenario_phone(w, 0, "14.1", FILTER_WEEK, 1);
	scenario_check(w, p, phone_held(p, 0) == 1, "no conversations were asked for");
	p->collections[0].conversations = true;
	p->collections[0].options_known = false;
	scenario_sync_all(w, p, 0, 1);
	scenario_check(w, p, phone_held(p, 0) == 2, "the old one should be there for the new one");
	/* Without its recent member the conversation is old; with another one it is back. */
	client_do(w, &newest, FOLDERS);
	scenario_sync_all(w, p, 0, 1);
	scenario_check(w, p, phone_held(p, 0) == 0, "nothing is recent");
	w->next_uid = 18;
	run_mail(w, 2, 3);
	scenario_sync_all(w, p, 0, 1);
	scenario_check(w, p, phone_held(p, 0) == 3, "the conversation should be back");
	/* A change of the old one is told as of any other. */
	scenario_client(w, 0, 1, GROUP_FLAG, 7);
	scenario_sync_all(w, p, 0, 1);
	run_settle(w);
	clock_fake_advance_ms(6 * DAY_S * 1000);
	run_settle(w);
	scenario_check(w, p, phone_held(p, 0) == 0, "the conversation should have aged");
}

/* Windows of two; after each so many of them the phone changes its mind. */
static void change_filters(struct world *w, const uint8_t *filters, size_t count, unsigned windows)
{
	struct phone *p;

	world_reset(w, windows);
	for (int64_t days = 40; days >= 0; days -= 2)
		run_mail(w, 1, days);
	phone_init(w, 0, 4, filters[0], 1);
	p = &w->phones[0];
	scenario_sync(w, p, 0, 2);
	for (size_t i = 0; i < count && !w->failed; i++) {
		scenario_filter(p, 0, filters[i]);
		for (unsigned n = 0; n < windows; n++)
			scenario_sync(w, p, 0, 2);
	}
	run_settle(w);
}

void scenario_filter_in_listing(struct world *w)
{
	static const uint8_t changes[][4] = {{FILTER_ALL, FILTER_MONTH, FILTER_3_DAYS},
		{FILTER_ALL, FILTER_3_DAYS, FILTER_MONTH}, {FILTER_3_DAYS, FILTER_ALL, FILTER_DAY},
		{FILTER_MONTH, FILTER_DAY, FILTER_ALL, FILTER_WEEK},
		{FILTER_ALL, FILTER_DAY, FILTER_WEEK, FILTER_3_DAYS},
		{FILTER_WEEK, FILTER_MONTH, FILTER_WEEK, FILTER_MONTH}};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		for (unsigned windows = 1; windows <= 14 && !w->failed; windows++)
			change_filters(w, changes[i], 4, windows);
	}
}

void scenario_tombstones(struct world *w)
{
	struct err err = ERR_INIT;
	struct phone *away, *here;

	run_mail(w, 12, 0);
	away = scenario_phone(w, 0, "16.1", FILTER_ALL, 1);
	here = scenario_phone(w, 1, "12.1", FILTER_ALL, 1);
	for (uint64_t i = 1; i <= 9; i += 2) {
		struct effect e = {.folder = 0, .item = i, .deletes = true};

		client_do(w, &e, FOLDERS);
	}
	scenario_sync_all(w, here, 0, 512);
	clock_fake_advance_ms(60 * DAY_S * 1000);
	while (store_sweep(w->store, clock_now_at() - DAY_S, 2, &err) > 0)
		;
	scenario_want(w, away, 0, 3, GROUP_READ, 1); /* of one that is long gone */
	run_mail(w, 1, 0);
	scenario_sync_all(w, away, 0, 2);
	run_settle(w);
	scenario_check(w, away, phone_held(away, 0) == 8, "it has missed the deletions");
}

/* ---- 100,000 ---- */

enum { MANY = 100000, BATCH = 5000 };

struct many {
	struct world *w;
	struct account_mail mail;
	size_t count;
	int64_t date_at;
};

static int add_many(struct store_tx *tx, void *owner, struct err *err)
{
	struct many *m = owner;
	struct item_id id;

	for (size_t i = 0; i < m->count; i++) {
		if (account_mail_add(tx, m->w->anna, FOLDER_INBOX, &m->mail,
			    m->date_at + (int64_t)i, true, (struct device_id){0}, &id, err) < 0)
			return -1;
	}
	return 0;
}

static void import(struct world *w)
{
	static const char raw[] = "From: c@example.net\r\nSubject: m1\r\n\r\nHello.\r\n";
	struct mime_limits limits = {100, 20, 65536};
	struct many m = {.w = w, .count = BATCH};
	struct err err = ERR_INIT;

	if (account_mail_prepare(w->store, raw, strlen(raw), &limits, &m.mail, &err) < 0)
		abort();
	for (size_t i = 0; i < MANY; i += BATCH) {
		m.date_at = clock_now_at() - 20 * DAY_S + (int64_t)i;
		if (store_transact(w->store, add_many, &m, &err) < 0)
			model_fail(w, -1, "%s", err.text);
		w->published_count = 0; /* too many for the ledger, which does not look here */
	}
	account_mail_release(&m.mail);
}

/* What the phone holds, as bits; its own arrays are for small folders. */
struct big_phone {
	struct phone *p;
	uint8_t held[MANY + 64];
	char key[20];
	size_t count, windows;
	bool more;
};

static void take_big(struct world *w, struct big_phone *b, const struct wbxml_node *root)
{
	const struct wbxml_node *c =
		wbxml_find(wbxml_find(root, TAG_AirSync_Collections), TAG_AirSync_Collection);
	const struct wbxml_node *commands = wbxml_find(c, TAG_AirSync_Commands);
	const char *key = wbxml_text(c, TAG_AirSync_SyncKey);

	b->more = wbxml_find(c, TAG_AirSync_MoreAvailable) != NULL;
	if (key != NULL)
		(void)snprintf(b->key, sizeof(b->key), "%s", key);
	for (const struct wbxml_node *n = commands != NULL ? commands->child : NULL; n != NULL;
		n = n->next) {
		const char *colon = strchr(wbxml_text(n, TAG_AirSync_ServerId), ':');
		uint64_t id = strtoull(colon + 1, NULL, 10);
		bool adds = n->tag == TAG_AirSync_Add;

		if (id >= sizeof(b->held) || b->held[id] == adds) {
			model_fail(w, 0, "%s of %" PRIu64 " by mistake",
				adds ? "Add" : "SoftDelete", id);
			return;
		}
		b->held[id] = adds;
		b->count += adds ? 1 : (size_t)-1;
	}
}

static void sync_big(struct world *w, struct big_phone *b, uint8_t filter, bool lost)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct buf body = BUF_INIT;
	struct eas_reply reply;
	struct wbxml_node *root;
	struct wbxml_writer x;
	char id[24];

	(void)snprintf(id, sizeof(id), "%" PRIu64, w->folders[0].v);
	wbxml_writer_init(&x, &body);
	wbxml_start(&x, TAG_AirSync_Sync);
	wbxml_start(&x, TAG_AirSync_Collections);
	wbxml_start(&x, TAG_AirSync_Collection);
	wbxml_add_text(&x, TAG_AirSync_SyncKey, b->key);
	wbxml_add_text(&x, TAG_AirSync_CollectionId, id);
	wbxml_add_uint(&x, TAG_AirSync_WindowSize, 512);
	wbxml_start(&x, TAG_AirSync_Options);
	wbxml_add_uint(&x, TAG_AirSync_FilterType, filter);
	wbxml_start(&x, TAG_AirSyncBase_BodyPreference);
	wbxml_add_uint(&x, TAG_AirSyncBase_Type, 1);
	wbxml_add_uint(&x, TAG_AirSyncBase_TruncationSize, 0);
	wbxml_end(&x);
	wbxml_end(&x);
	wbxml_end(&x);
	wbxml_end(&x);
	wbxml_end(&x);
	world_request(w, b->p, "14.1", "Sync", &body, arena, &reply);
	b->windows++;
	if (!lost && world_decode(w, arena, &reply, &root))
		take_big(w, b, root);
	buf_deinit(&reply.body);
	buf_deinit(&body);
}

static void list_big(struct world *w, struct big_phone *b, uint8_t filter, size_t want)
{
	b->windows = 0;
	do
		sync_big(w, b, filter, b->windows % 50 == 7);
	while ((b->more || b->windows < 2) && b->windows < 1000 && !w->failed);
	if (b->count != want)
		model_fail(w, 0, "the phone holds %zu after %zu windows, not %zu", b->count,
			b->windows, want);
	sync_big(w, b, filter, false);
	if (b->more || b->count != want)
		model_fail(w, 0, "there was more to say than was said");
}

void scenario_many_soft_deletes(struct world *w)
{
	struct big_phone *b = x_new(struct big_phone);

	phone_init(w, 0, 4, FILTER_ALL, 1);
	b->p = &w->phones[0];
	(void)snprintf(b->key, sizeof(b->key), "0");
	import(w);
	list_big(w, b, FILTER_ALL, MANY);
	list_big(w, b, FILTER_WEEK, 0);
	mem_free(b);
}
