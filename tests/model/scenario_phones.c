/*
 * Scenarios of phones and each other: who changed what, whose answer was lost, whose key is old.
 */
#include <string.h>

#include "base/mem.h"
#include "scenario.h"

/* Every third answer is lost, and its request comes again with the next change in it. */
static void alternate(struct world *w, uint8_t conflict)
{
	struct phone *a, *b;

	run_mail(w, 3, 0);
	a = scenario_phone(w, 0, "14.1", 0, conflict);
	b = scenario_phone(w, 1, "16.1", 0, conflict);
	for (unsigned i = 0; i < 40 && !w->failed; i++) {
		struct phone *p = i % 2 == 0 ? a : b;
		struct request *r;

		scenario_want(w, p, 0, 2, i / 2 % 2 == 0 ? GROUP_FLAG : GROUP_READ,
			i / 2 % 2 == 0 ? ++w->next_value : (i / 4 + i) % 2);
		r = scenario_write(w, p, 0, 10);
		scenario_send(w, p, r, i % 3 != 2);
		request_free(&r);
	}
	run_settle(w);
}

void scenario_alternating(struct world *w)
{
	alternate(w, 0);
	if (w->failed)
		return;
	world_reset(w, 2);
	alternate(w, 1);
}

/* The log has an item once, at its newest change: the older one must be told as well, also when a
 * window ended in between. */
void scenario_two_groups(struct world *w)
{
	for (uint16_t window = 1; window <= 4 && !w->failed; window++) {
		struct phone *p;

		world_reset(w, window);
		run_mail(w, 5, 0);
		p = scenario_phone(w, 0, "14.1", 0, 0);
		scenario_client(w, 0, 1, GROUP_READ, 1);
		scenario_client(w, 0, 2, GROUP_READ, 1);
		scenario_client(w, 0, 3, GROUP_FLAG, 7);
		scenario_client(w, 0, 1, GROUP_FLAG, 8);
		scenario_want(w, p, 0, 2, GROUP_CATEGORY, 9);
		scenario_sync_all(w, p, 0, window);
		run_settle(w);
	}
}

void scenario_refused(struct world *w)
{
	struct phone *p;

	run_mail(w, 4, 0);
	p = scenario_phone(w, 0, "14.1", 0, 1);
	/* Only Flag conflicts. Nobody touched Read, but the phone has changed its own. */
	scenario_client(w, 0, 2, GROUP_FLAG, 5);
	scenario_want(w, p, 0, 2, GROUP_READ, 1);
	scenario_want(w, p, 0, 2, GROUP_FLAG, 6);
	scenario_sync(w, p, 0, 1);
	scenario_check(w, p, ledger_value(ledger_item(w, 0, 2), GROUP_FLAG) == 5,
		"Conflict 1, and the phone has won");
	/* The same, and its answer is lost. */
	scenario_client(w, 0, 3, GROUP_READ, 1);
	scenario_want(w, p, 0, 3, GROUP_READ, 1);
	scenario_want(w, p, 0, 3, GROUP_CATEGORY, 3);
	for (unsigned i = 0; i < 3; i++) {
		struct request *r = scenario_write(w, p, 0, 512);

		scenario_send(w, p, r, i == 2);
		request_free(&r);
	}
	run_settle(w);
	scenario_check(w, p, p->collections[0].items[2].values[GROUP_READ] == 0,
		"the phone keeps what was refused");
}

void scenario_retry(struct world *w)
{
	struct phone *p, *other;
	struct request *r;

	run_mail(w, 12, 0);
	p = scenario_phone(w, 0, "16.0", 0, 1);
	other = scenario_phone(w, 1, "12.1", 0, 1);
	for (unsigned i = 0; i < 4 && !w->failed; i++) {
		uint64_t first = 1 + 3 * i;

		run_mail(w, 3, 0);
		scenario_want(w, p, 0, first, GROUP_READ, 1);
		if (i >= 2)
			scenario_want_gone(p, 0, first + 1);
		r = scenario_write(w, p, 0, i == 0 ? 1 : 512);
		scenario_send(w, p, r, false);
		request_free(&r);
		/* Further changes: another item, another property, the same property back again. */
		run_mail(w, 2, 0);
		scenario_want(w, p, 0, first, GROUP_FLAG, ++w->next_value);
		if (i % 2 == 1)
			scenario_want(w, p, 0, first, GROUP_READ, 0);
		if (i < 2)
			scenario_want(w, p, 0, first + 2, GROUP_CATEGORY, ++w->next_value);
		r = scenario_write(w, p, 0, 2);
		scenario_send(w, p, r, i == 3);
		request_free(&r);
		/* And once more, as it was. */
		r = scenario_write(w, p, 0, 512);
		scenario_send(w, p, r, true);
		request_free(&r);
		scenario_sync_all(w, other, 0, 3);
	}
	run_settle(w);
}

/* All keys that were handed out stay valid until one of them is used. */
void scenario_late(struct world *w)
{
	struct phone *p;

	run_mail(w, 6, 0);
	p = scenario_phone(w, 0, "14.1", 0, 1);
	for (unsigned copies = 1; copies <= 6 && !w->failed; copies++) {
		struct request *r, *again;

		run_mail(w, 2, 0);
		scenario_want(w, p, 0, copies, GROUP_FLAG, ++w->next_value);
		r = scenario_write(w, p, 0, 1);
		scenario_send(w, p, r, copies % 2 == 0);
		scenario_client(w, 0, copies, GROUP_READ, 1);
		if (copies % 2 != 0) {
			again = scenario_write(w, p, 0, 1);
			scenario_send(w, p, again, true);
			request_free(&again);
		}
		for (unsigned i = 0; i < copies; i++) {
			run_mail(w, 1, 0);
			scenario_send(w, p, r, false);
		}
		request_free(&r);
		/* Its key must still be good. */
		scenario_sync(w, p, 0, 3);
	}
	run_settle(w);
}

void scenario_partial(struct world *w)
{
	for (unsigned first = 0; first < 2 && !w->failed; first++) {
		struct request *r, *partial;
		struct phone *p;

		world_reset(w, first);
		run_mail(w, 4, 0);
		p = scenario_phone(w, 0, "14.1", 0, 1);
		run_mail(w, 1, 0);
		r = scenario_write(w, p, 0, 512);
		scenario_send(w, p, r, first == 0);
		run_mail(w, 2, 0);
		scenario_send(w, p, r, first == 1);
		/* The other answer made a generation, too; the phone means the one that it took. */
		run_mail(w, 1, 0);
		partial = scenario_write_as(w, p,
			(struct sent_collection){.folder = 1,
				.window = 5,
				.get_changes = true,
				.deletes_as_moves = true},
			0, true);
		partial->collections[partial->count++] = r->collections[0];
		partial->collections[1].options = false;
		scenario_send(w, p, partial, true);
		scenario_sync(w, p, 0, 512);
		request_free(&partial);
		request_free(&r);
		run_settle(w);
	}
}

void scenario_held_without_changes(struct world *w)
{
	struct sent_collection sent = {.folder = 0, .deletes_as_moves = true};
	struct request *r;
	struct phone *p;

	p = scenario_phone(w, 0, "14.1", 0, 1);
	run_mail(w, 2, 0);
	r = scenario_write_as(w, p, sent, 120, false);
	scenario_send(w, p, r, true);
	request_free(&r);
	run_settle(w);
}

void scenario_version(struct world *w)
{
	struct phone *p;

	run_mail(w, 5, 0);
	p = scenario_phone(w, 0, "2.5", 0, 1);
	scenario_client(w, 0, 2, GROUP_FLAG, 4);
	for (unsigned v = 1; v < VERSIONS && !w->failed; v++) {
		p->version = v;
		for (unsigned f = 0; f < FOLDERS; f++)
			phone_may_restart(w, p, f);
		scenario_sync(w, p, 0, 2);
		scenario_check(w, p, strcmp(p->collections[0].key, "0") == 0,
			"the key of another version is taken");
		run_settle(w);
	}
}

void scenario_restored(struct world *w)
{
	for (unsigned later = 0; later < 4 && !w->failed; later++) {
		struct collection *backup = x_calloc(FOLDERS, sizeof(*backup));
		struct phone *p;

		world_reset(w, later);
		run_mail(w, 6, 0);
		p = scenario_phone(w, 0, "16.1", 0, 1);
		memcpy(backup, p->collections, FOLDERS * sizeof(*backup));
		/* The key of the backup is then the current one, the one before, or older. */
		for (unsigned i = 0; i < later; i++) {
			run_mail(w, 1, 0);
			scenario_want(w, p, 0, 1 + i, GROUP_READ, 1);
			scenario_want_gone(p, 0, 4 + i % 2);
			scenario_client(w, 0, 1 + i, GROUP_FLAG, ++w->next_value);
			scenario_sync(w, p, 0, 512);
		}
		memcpy(p->collections, backup, FOLDERS * sizeof(*backup));
		mem_free(backup);
		if (later >= 2)
			phone_may_restart(w, p, 0);
		scenario_sync(w, p, 0, 2);
		run_settle(w);
	}
}

void scenario_text_message(struct world *w)
{
	struct phone *p, *other;

	run_mail(w, 2, 0);
	p = scenario_phone(w, 0, "14.0", 0, 1);
	other = scenario_phone(w, 1, "16.1", 0, 1);
	p->collections[0].sms = other->collections[0].sms = true;
	p->collections[0].options_known = other->collections[0].options_known = false;
	scenario_sync(w, p, 0, 5);
	for (unsigned i = 0; i < 4 && !w->failed; i++) {
		struct request *first, *again;

		phone_add_sms(w, p, 0);
		first = scenario_write(w, p, 0, 2);
		scenario_send(w, p, first, false);
		if (i % 2 == 1)
			phone_add_sms(w, p, 0);
		scenario_want(w, p, 0, 1, GROUP_READ, i % 2);
		again = scenario_write(w, p, 0, 2);
		scenario_send(w, p, again, i != 3);
		scenario_send(w, p, first, false);
		scenario_sync_all(w, other, 0, 1);
		scenario_sync_all(w, p, 0, 1);
		request_free(&again);
		request_free(&first);
	}
	run_settle(w);
	scenario_check(w, other, phone_held(other, 0) == 8, "six text messages beside two mails");
}
