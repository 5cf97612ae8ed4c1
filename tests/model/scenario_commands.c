/*
 * Commands beside Sync whose answers get lost at a bad moment.
 */
#include <string.h>

#include "base/clock.h"
#include "scenario.h"

static void sweep(struct world *w)
{
	struct err err = ERR_INIT;

	clock_fake_advance_ms(3600 * 1000);
	while (store_sweep(w->store, clock_now_at(), 100, &err) > 0)
		;
}

/* Sends it; the phone hears the answer, or not. */
static void say(struct world *w, struct phone *p, struct command *c, bool heard)
{
	struct answer answer;

	command_send(w, p, c, &answer);
	ledger_flush(w);
	command_take(w, p, heard ? c : NULL, &answer);
}

/* The log forgets a deletion whose answer was lost; its repetition is answered all the same, and
 * FolderSync does not tell the phone of its own deletion. */
void scenario_folder_forgotten(struct world *w)
{
	/* picks: 1: create, 4: delete the first */
	const struct action create = {.kind = ACT_FOLDER, .pick = {1}},
			    delete = {.kind = ACT_FOLDER, .pick = {4}};
	struct phone *p = scenario_phone(w, 0, "14.1", 0, 1);
	struct command *c;

	command_settle(w, p, hierarchy_ask(w, p));
	c = hierarchy_change(w, p, &create);
	command_settle(w, p, c);
	c = hierarchy_change(w, p, &delete);
	scenario_check(w, p, strcmp(c->name, "FolderDelete") == 0, "it has a folder to delete");
	say(w, p, c, false);
	run_mail(w, 1, 0);
	sweep(w);
	say(w, p, c, true);
	command_free(&c);
	command_settle(w, p, hierarchy_ask(w, p));
	scenario_check(w, p, p->news == 0, "its own deletion is no news");
	run_settle(w);
}
