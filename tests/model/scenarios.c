/*
 * The named scenarios, and what they are written with.
 */
#include "scenario.h"

#include <string.h>

#include "base/mem.h"

struct phone *scenario_phone(
	struct world *w, unsigned number, const char *version, uint8_t filter, uint8_t conflict)
{
	struct phone *p = &w->phones[number];
	unsigned v = 0;

	while (strcmp(model_versions[v], version) != 0)
		v++;
	phone_init(w, number, v, filter, conflict);
	for (unsigned i = 0; i < 3; i++)
		run_quiet_sync(w, p, i == 0);
	return p;
}

static struct pending *pending_of(struct phone *p, unsigned folder, uint64_t item)
{
	struct collection *c = &p->collections[folder];

	for (size_t i = 0; i < c->pending_count; i++) {
		if (c->pending[i].effect.item == item)
			return &c->pending[i];
	}
	c->pending[c->pending_count] = (struct pending){.effect = {.folder = folder, .item = item}};
	return &c->pending[c->pending_count++];
}

void scenario_want(struct world *w, struct phone *p, unsigned folder, uint64_t item,
	enum group group, uint32_t value)
{
	struct pending *pend = pending_of(p, folder, item);

	if (!p->collections[folder].items[item].held)
		model_fail(w, (int)p->number, "phone %u does not hold what it is to change",
			p->number);
	pend->effect.groups |= 1u << group;
	pend->effect.values[group] = value;
	pend->since[group] = SIZE_MAX;
	p->collections[folder].items[item].values[group] = value;
}

void scenario_want_gone(struct phone *p, unsigned folder, uint64_t item)
{
	struct pending *pend = pending_of(p, folder, item);

	pend->effect.deletes = true;
	pend->effect.groups = 0;
	p->collections[folder].items[item].held = false;
}

void scenario_client(
	struct world *w, unsigned folder, uint64_t item, enum group group, uint32_t value)
{
	struct effect e = {.folder = folder, .item = item, .groups = 1u << group};

	e.values[group] = value;
	client_do(w, &e, FOLDERS);
}

struct request *scenario_write_as(struct world *w, struct phone *p, struct sent_collection sent,
	unsigned wait_s, bool partial)
{
	struct request *r = request_new(w, p);

	sent.options = sent.options || !p->collections[sent.folder].options_known;
	request_add(r, p, &sent);
	request_encode(w, r, p, 0, wait_s, partial, 0);
	return r;
}

struct request *scenario_write(struct world *w, struct phone *p, unsigned folder, uint16_t window)
{
	struct sent_collection sent = {
		.folder = folder, .window = window, .get_changes = true, .deletes_as_moves = true};

	return scenario_write_as(w, p, sent, 0, false);
}

void scenario_send(struct world *w, struct phone *p, struct request *r, bool taken)
{
	struct answer answer;

	request_send(w, p, r, taken, &answer);
	ledger_flush(w);
	(void)answer_take(w, p, taken ? r : NULL, &answer);
}

void scenario_sync(struct world *w, struct phone *p, unsigned folder, uint16_t window)
{
	struct request *r = scenario_write(w, p, folder, window);

	scenario_send(w, p, r, true);
	request_free(&r);
}

void scenario_sync_all(struct world *w, struct phone *p, unsigned folder, uint16_t window)
{
	unsigned rounds = 0;

	do
		scenario_sync(w, p, folder, window);
	while (p->more && !w->failed && ++rounds < 1000);
}

void scenario_filter(struct phone *p, unsigned folder, uint8_t filter)
{
	p->collections[folder].filter = filter;
	p->collections[folder].options_known = false;
}

void scenario_check(struct world *w, struct phone *p, bool good, const char *what)
{
	if (!good)
		model_fail(w, (int)p->number, "%s", what);
}

const struct scenario scenarios[] = {
	{"two devices alternate Flag and Read on one item", scenario_alternating},
	{"two properties of an item change, one after another's mail", scenario_two_groups},
	{"a refused change is put right", scenario_refused},
	{"the previous key again, with further changes", scenario_retry},
	{"late duplicates", scenario_late},
	{"Partial after a request that came twice", scenario_partial},
	{"a held Sync that asks for no changes", scenario_held_without_changes},
	{"another protocol version", scenario_version},
	{"a phone restored from a backup, with an old key", scenario_restored},
	{"a text message is added once", scenario_text_message},
	{"SoftDelete and return", scenario_soft_delete},
	{"a move between synced folders", scenario_move},
	{"the filter narrowed and widened within a listing", scenario_filter_in_listing},
	{"a conversation kept by one recent member", scenario_conversation},
	{"tombstones expired for one phone", scenario_tombstones},
	{"each step of a transaction fails", scenario_faults},
	{"the process is cut at each write", scenario_cuts},
	{"each step of a reply fails", scenario_sends},
	{"a folder's deletion that the log forgot", scenario_folder_forgotten},
	{"100,000 soft deletes over many windows", scenario_many_soft_deletes},
};
const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
