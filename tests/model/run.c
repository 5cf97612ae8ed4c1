/*
 * Plays a script. The actions of a round run at once, each as a fiber, in whatever order the seed
 * chooses; a round may have a fault. Afterwards all is quiet: everybody syncs until there is
 * nothing more to hear, and is compared with the ledger.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model.h"

/* COPIES_MAX: so many answers to one request the server keeps, beside the one that the phone has.
 */
enum { SETTLE_ROUNDS = 60, COPIES_MAX = 3 };

/* One action as a fiber. */
struct act {
	struct world *w;
	const struct action *action;
	struct request *request; /* NULL: of a held one, or a command */
	struct command *command;
	struct phone *phone; /* who waits for the answer; NULL: nobody does */
	bool taken, copy;    /* copy: of an old request */
	struct answer answer;
	struct writer writer;
};

/* ---- phones ---- */

static void change_mind(struct world *w, struct phone *p, const struct action *a, unsigned folder)
{
	struct collection *c = &p->collections[folder];

	if (a->filter >= 0 && c->filter != (uint8_t)a->filter) {
		c->filter = (uint8_t)a->filter;
		c->options_known = false;
	}
	if (a->conflict >= 0 && c->conflict != (uint8_t)a->conflict) {
		c->conflict = (uint8_t)a->conflict;
		c->options_known = false;
	}
	if ((a->bits & BIT_CONVERSATIONS) != 0) {
		c->conversations = !c->conversations;
		c->options_known = false;
	}
	if ((a->bits & BIT_SMS) != 0) {
		c->sms = !c->sms;
		c->options_known = false;
	}
	if ((a->bits & BIT_ADD) != 0)
		phone_add_sms(w, p, folder);
	for (uint32_t i = 0; i < a->changes; i++) {
		uint32_t pick[3] = {a->pick[0] + i * 7, a->pick[1] + i * 5, a->pick[2] + i};

		phone_change(w, p, folder, pick);
	}
}

static bool anything_pending(const struct phone *p)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		if (p->collections[f].pending_count > 0)
			return true;
	}
	return false;
}

static bool begins_anything(const struct phone *p)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		if (strcmp(p->collections[f].key, "0") == 0)
			return true;
	}
	return false;
}

/* The keys are those of the last request still. */
static bool keys_stand(const struct phone *p)
{
	for (size_t i = 0; p->last != NULL && i < p->last->count; i++) {
		const struct sent_collection *sent = &p->last->collections[i];

		if (sent->pending_count > 0 || sent->fetch ||
			strcmp(sent->key, p->collections[sent->folder].key) != 0)
			return false;
	}
	return p->last != NULL && p->last->count > 0;
}

static void add_remembered(struct request *r, const struct phone *p)
{
	for (size_t i = 0; i < p->last->count; i++) {
		struct sent_collection sent = p->last->collections[i];
		bool named = false;

		for (size_t j = 0; j < r->count; j++)
			named = named || r->collections[j].folder == sent.folder;
		if (named)
			continue;
		sent.pending_count = 0;
		sent.options = sent.fetch = false;
		r->collections[r->count++] = sent;
	}
}

static void compose_full(struct world *w, struct phone *p, struct request *r,
	const struct action *a, unsigned wait_s, bool partial)
{
	for (unsigned f = 0; f < FOLDERS; f++) {
		struct collection *c = &p->collections[f];
		struct sent_collection sent = {.folder = f,
			.window = a->window,
			.get_changes = (a->bits & BIT_NO_CHANGES) == 0 || wait_s > 0,
			.deletes_as_moves = (a->bits & BIT_FINAL_DELETE) == 0};

		if ((a->folders & 1u << f) == 0)
			continue;
		if (strcmp(c->key, "0") != 0)
			change_mind(w, p, a, f);
		sent.options = !c->options_known || (a->bits & BIT_OPTIONS) != 0;
		sent.fetched = ledger_pick(w, f, a->pick[3]);
		sent.fetch = (a->bits & BIT_FETCH) != 0 && sent.fetched != 0 &&
			     strcmp(c->key, "0") != 0 && c->items[sent.fetched].held;
		request_add(r, p, &sent);
	}
	request_encode(w, r, p, a->window_all, wait_s, partial,
		(a->bits & BIT_PERMUTE) != 0 ? a->pick[4] + 1 : 0);
	if (partial)
		add_remembered(r, p);
}

/* What the phone sends now; its form only where the protocol allows it. */
static struct request *compose(struct world *w, struct phone *p, const struct action *a)
{
	struct request *r = request_new(w, p);
	bool remembers = phone_version(p) >= 121 && p->last != NULL && p->last_answered &&
			 !p->copied && p->last->version == model_versions[p->version];

	request_give_up(w, p);
	if (a->form == FORM_EMPTY && remembers && p->last_empty && keys_stand(p) &&
		!anything_pending(p)) {
		add_remembered(r, p);
		r->is_short = true;
		model_trace(w, (int)p->number, "sends an empty Sync");
	} else {
		compose_full(w, p, r, a,
			a->form == FORM_HELD && phone_version(p) >= 121 && !p->hierarchy.due ? 120
											     : 0,
			a->form == FORM_PARTIAL && remembers);
		p->copied = false;
	}
	p->last_answered = false;
	return r;
}

static void keep_late(struct world *w, struct phone *p, const struct request *r)
{
	if (p->late_count < ARRAY_LEN(p->late))
		p->late[p->late_count++] = request_copy(r);
	(void)w;
}

/* A copy that nobody waits for. One from before the phone's last key 0 looks like a phone that goes
 * on with the old line after all: which of the two is the phone's, the server cannot know. */
static void note_copy(struct world *w, struct phone *p, const struct request *r)
{
	/* Which answer the server remembers for a Partial, it cannot know either. */
	p->copied = true;
	for (size_t i = 0; i < r->count; i++) {
		unsigned folder = r->collections[i].folder;

		if (r->collections[i].line != p->collections[folder].line ||
			++p->collections[folder].copies > COPIES_MAX)
			phone_may_restart(w, p, folder);
	}
}

static void run_request(void *arg)
{
	struct act *act = arg;

	request_send(act->w, act->phone, act->request, act->taken, &act->answer);
}

static void run_command(void *arg)
{
	struct act *act = arg;

	command_send(act->w, act->phone, act->command, &act->answer);
}

static void run_poll(void *arg)
{
	struct act *act = arg;

	request_poll(act->w, act->phone, &act->answer);
}

static void end_act(struct act *act)
{
	struct phone *p = act->phone;
	const struct request *r = act->request != NULL ? act->request : p != NULL ? p->held : NULL;

	if (p == NULL)
		return;
	if (act->command != NULL) {
		command_take(act->w, p, act->taken ? act->command : NULL, &act->answer);
		command_free(&act->command);
		return;
	}
	(void)answer_take(act->w, p, act->taken ? r : NULL, &act->answer);
	if (act->request != NULL && !act->taken)
		note_copy(act->w, p, act->request);
	request_free(&act->request);
}

/* ---- others ---- */

static void run_delivery(void *arg)
{
	struct act *act = arg;
	const struct action *a = act->action;
	bool together = (a->bits & BIT_TOGETHER) != 0;
	int64_t dates[16];

	if (act->w->next_uid + a->amount + 300 > ITEMS_MAX)
		return;
	for (size_t i = 0; i < a->amount; i++) {
		dates[i] = clock_now_at();
		if ((a->bits & BIT_OLD) != 0)
			dates[i] -= (a->pick[i % 6] + (uint32_t)i * 7919) % (40 * DAY_S);
		if (!together)
			(void)world_deliver(act->w, &dates[i], 1);
	}
	if (together)
		(void)world_deliver(act->w, dates, a->amount);
}

static void add_effect(struct world *w, struct writer *writer, unsigned folder, uint64_t item,
	const struct action *a, size_t i)
{
	struct effect *e = &writer->effects[writer->effect_count++];
	struct truth *t = ledger_item(w, folder, item);

	*e = (struct effect){.folder = folder, .item = item, .deletes = a->pick[1] % 5 < 2};
	if (e->deletes || t == NULL)
		return;
	e->groups = 1 + (a->pick[2] + (uint32_t)i) % 7;
	e->values[GROUP_READ] = !ledger_value(t, GROUP_READ);
	e->values[GROUP_FLAG] = a->pick[3] % 4 == 0 ? 0 : ++w->next_value;
	e->values[GROUP_CATEGORY] = a->pick[3] % 5 == 0 ? 0 : ++w->next_value;
}

static void run_client(void *arg)
{
	struct act *act = arg;
	const struct action *a = act->action;
	struct world *w = act->w;
	unsigned folder = a->pick[4] % 5 < 3 ? 0 : a->pick[4] % FOLDERS;
	unsigned target = a->pick[1] % 5 == 0 ? (folder + 1 + a->pick[5] % 2) % FOLDERS : FOLDERS;
	bool seen[ITEMS_MAX] = {false};

	for (size_t i = 0; i < a->amount; i++) {
		uint64_t item = ledger_pick(w, folder, a->pick[0] + (uint32_t)i);

		if (item == 0 || seen[item])
			continue;
		seen[item] = true;
		add_effect(w, &act->writer, folder, item, a, i);
	}
	if ((a->bits & BIT_TOGETHER) != 0) {
		client_write(w, act->writer.effects, act->writer.effect_count, target);
		return;
	}
	for (size_t i = 0; i < act->writer.effect_count; i++)
		client_write(w, &act->writer.effects[i], 1, target);
}

static void run_sweep(void *arg)
{
	struct act *act = arg;
	struct err err = ERR_INIT;
	int64_t before_at = clock_now_at() - (int64_t)act->action->amount;

	model_trace(act->w, -1, "tombstones older than %u s are swept", act->action->amount);
	while (store_sweep(act->w->store, before_at, 5, &err) > 0)
		;
}

/* ---- rounds ---- */

static void back_up(struct phone *p)
{
	mem_free(p->backup);
	p->backup = x_calloc(FOLDERS, sizeof(*p->backup));
	memcpy(p->backup, p->collections, FOLDERS * sizeof(*p->backup));
	p->backup_version = p->version;
}

static void restore(struct world *w, struct phone *p)
{
	if (p->backup == NULL)
		return;
	model_trace(w, (int)p->number, "is restored from its backup");
	memcpy(p->collections, p->backup, FOLDERS * sizeof(*p->backup));
	p->version = p->backup_version;
	phone_drop_adds(p);
	commands_free(p);
	p->hierarchy.restart = true;
	drafts_begin(p);
	for (unsigned f = 0; f < FOLDERS; f++) {
		p->collections[f].options_known = false;
		p->collections[f].line = ++p->lines;
		phone_may_restart(w, p, f);
	}
	p->last_answered = false;
}

static void switch_version(struct world *w, struct phone *p, uint32_t pick)
{
	/* What it cannot say any more it forgets with its folder. */
	for (unsigned f = 0; f < FOLDERS; f++) {
		if (p->collections[f].pending_count > 0)
			phone_begin(p, f);
	}
	commands_free(p);
	p->hierarchy.restart = true;
	drafts_begin(p);
	p->version = pick % VERSIONS;
	model_trace(w, (int)p->number, "speaks %s from now on", model_versions[p->version]);
	for (unsigned f = 0; f < FOLDERS; f++)
		phone_may_restart(w, p, f);
	p->last_answered = false;
}

static void move_clock(struct world *w, uint32_t seconds)
{
	clock_fake_advance_ms((int64_t)seconds * 1000);
	watches_run_timers(w->watches, clock_now_ms());
	model_trace(w, -1, "%u s pass", seconds);
}

/* What needs no server. True: that was all of it. */
static bool act_at_once(struct world *w, const struct action *a)
{
	struct phone *p = &w->phones[a->phone];

	switch (a->kind) {
	case ACT_CLOCK:
		move_clock(w, a->amount);
		return true;
	case ACT_RESTART:
		request_give_up(w, p);
		phone_begin(p, a->pick[0] % FOLDERS);
		p->last_answered = false;
		return true;
	case ACT_VERSION:
		request_give_up(w, p);
		switch_version(w, p, a->pick[0]);
		return true;
	case ACT_BACKUP:
		back_up(p);
		return true;
	case ACT_RESTORE:
		request_give_up(w, p);
		restore(w, p);
		return true;
	default:
		return false;
	}
}

static void start(struct act *act, fiber_fn fn)
{
	fiber_start(fn, act, &act->writer);
}

static void start_sync(struct world *w, const struct action *a, struct act **next)
{
	struct phone *p = &w->phones[a->phone];
	struct act *act = (*next)++;

	*act = (struct act){.w = w, .action = a, .phone = p, .taken = a->fate != FATE_ANSWER_LOST};
	act->request = compose(w, p, a);
	request_free(&p->last);
	p->last = request_copy(act->request);
	/* A Partial names no keys: what comes twice is done twice, and no server can know. */
	if (!act->request->is_partial && (a->fate == FATE_REQUEST_LOST || a->fate == FATE_COPIED))
		keep_late(w, p, act->request);
	if (a->fate == FATE_REQUEST_LOST) {
		model_trace(w, (int)p->number, "that request is lost");
		request_free(&act->request);
		(*next)--;
		return;
	}
	if (a->fate == FATE_TWICE && !act->request->is_partial) {
		struct act *other = (*next)++;

		*other = *act;
		other->request = request_copy(act->request);
		act->taken = a->pick[5] % 2 == 0;
		other->taken = !act->taken;
		start(other, run_request);
	}
	start(act, run_request);
}

static void start_one_command(
	struct world *w, const struct action *a, struct command *c, bool taken, struct act **next)
{
	struct act *act = (*next)++;

	*act = (struct act){
		.w = w, .action = a, .phone = &w->phones[a->phone], .command = c, .taken = taken};
	start(act, run_command);
}

/* The copy that was on its way for long. */
static void start_late_command(struct world *w, const struct action *a, struct act **next)
{
	struct phone *p = &w->phones[a->phone];
	struct command *c = TAKE(p->late_command);

	if (c == NULL)
		return;
	if (sends_given_up(c)) {
		command_free(&c);
		return;
	}
	model_trace(w, (int)p->number, "an old %s arrives", c->name);
	p->copied = true;
	p->hierarchy.restart = p->drafts.restart = true;
	start_one_command(w, a, c, false, next);
}

static void start_command(struct world *w, const struct action *a, struct act **next)
{
	struct phone *p = &w->phones[a->phone];
	struct command *c;

	start_late_command(w, a, next);
	/* Another Sync than the phone's last: that one can neither be meant by an empty one now,
	 * nor be held. */
	if (a->kind == ACT_DRAFT) {
		request_give_up(w, p);
		p->last_answered = false;
		p->copied = true;
	}
	c = command_begin(w, p, a);
	if (c == NULL)
		return;
	if (a->fate == FATE_COPIED && p->late_command == NULL)
		p->late_command = command_copy(c);
	if (a->fate == FATE_REQUEST_LOST) {
		model_trace(w, (int)p->number, "which is lost");
		command_free(&c);
		return;
	}
	if (a->fate == FATE_TWICE)
		start_one_command(w, a, command_copy(c), a->pick[5] % 2 == 0, next);
	start_one_command(w, a, c,
		a->fate == FATE_TWICE ? a->pick[5] % 2 != 0 : a->fate != FATE_ANSWER_LOST, next);
}

static void start_late(struct world *w, const struct action *a, struct act **next)
{
	struct phone *p = &w->phones[a->phone];
	size_t at;
	struct act *act;

	if (p->late_count == 0)
		return;
	at = a->pick[0] % p->late_count;
	act = (*next)++;
	*act = (struct act){.w = w, .action = a, .phone = p, .request = p->late[at]};
	p->late[at] = p->late[--p->late_count];
	model_trace(w, (int)p->number, "an old request arrives");
	note_copy(w, p, act->request);
	start(act, run_request);
}

static void start_action(struct world *w, const struct action *a, struct act **next)
{
	fiber_fn fn;

	switch (a->kind) {
	case ACT_SYNC:
		start_sync(w, a, next);
		return;
	case ACT_LATE:
		start_late(w, a, next);
		return;
	case ACT_MOVE:
	case ACT_SEND:
	case ACT_FOLDER:
	case ACT_DRAFT:
		start_command(w, a, next);
		return;
	case ACT_DELIVER:
		fn = run_delivery;
		break;
	case ACT_CLIENT:
		fn = run_client;
		break;
	default:
		fn = run_sweep;
		break;
	}
	**next = (struct act){.w = w, .action = a};
	start((*next)++, fn);
}

void run_recover(struct world *w)
{
	bool cut = vfs_is_cut();

	vfs_set_fault(VFS_FAULT_NONE, 0);
	store_fail_after(w->store, 0, ERR_NONE);
	w->trouble = false;
	if (cut) {
		world_reboot(w);
		ledger_compare(w, true);
	}
	world_drain(w);
}

static void end_round(struct world *w, struct act *first, struct act *next)
{
	ledger_flush(w);
	for (struct act *act = first; act < next; act++)
		end_act(act);
	run_recover(w);
}

/* Held requests whose watch was marked by that round. */
static void wake_phones(struct world *w, unsigned round)
{
	struct act acts[PHONES_MAX], *next = acts;

	for (uint8_t i = 0; i < w->phone_count; i++) {
		struct phone *p = &w->phones[i];

		if (p->watch.v == 0 || !p->marked)
			continue;
		*next = (struct act){.w = w, .phone = p, .taken = (w->seed + round) % 5 != 0};
		start(next++, run_poll);
	}
	fiber_run_all();
	end_round(w, acts, next);
}

static void run_round(struct world *w, const struct script *s, unsigned round, size_t *at)
{
	struct act acts[16], *next = acts;

	w->trouble = s->faults[round].vfs != 0 || s->faults[round].step != 0;
	if (s->faults[round].vfs != 0)
		vfs_set_fault((enum vfs_fault)s->faults[round].vfs, s->faults[round].n);
	else if (s->faults[round].step != 0)
		store_fail_after(
			w->store, s->faults[round].n, (enum err_code)s->faults[round].code);
	for (; *at < s->count && s->actions[*at].round == round; (*at)++) {
		if (!act_at_once(w, &s->actions[*at]))
			start_action(w, &s->actions[*at], &next);
	}
	fiber_run_all();
	end_round(w, acts, next);
	wake_phones(w, round);
}

/* ---- the end ---- */

void run_quiet_sync(struct world *w, struct phone *p, bool options)
{
	struct request *r = request_new(w, p);
	struct answer answer;

	request_give_up(w, p);
	for (unsigned f = 0; f < FOLDERS; f++) {
		struct sent_collection sent = {.folder = f,
			.window = 512,
			.get_changes = true,
			.deletes_as_moves = true,
			.options = options || !p->collections[f].options_known};

		request_add(r, p, &sent);
	}
	request_encode(w, r, p, 0, 0, false, 0);
	request_free(&p->last);
	p->last = request_copy(r);
	request_send(w, p, r, false, &answer);
	ledger_flush(w);
	if (!answer_take(w, p, r, &answer))
		model_fail(w, (int)p->number, "phone %u: no answer, and no trouble", p->number);
	request_free(&r);
}

/* True: something came. */
static bool settle_phone(struct world *w, struct phone *p)
{
	bool any = false, said_all = false;

	for (unsigned i = 0; !w->failed; i++) {
		bool wanted = anything_pending(p) || begins_anything(p);

		if (i == SETTLE_ROUNDS) {
			model_fail(w, (int)p->number, "phone %u never comes to rest", p->number);
			return any;
		}
		run_quiet_sync(w, p, i == 0);
		/* What grew too old while a scan went on is said after its end. */
		if (said_all && p->news > p->aged)
			model_fail(w, (int)p->number,
				"phone %u: something came although all had been said", p->number);
		any = any || p->news > 0 || p->more;
		if (!p->more && p->news == 0 && !wanted && i > 0)
			break;
		said_all = !p->more && !wanted && i > 0;
	}
	return any;
}

static void check_rest(struct world *w, struct phone *p)
{
	char keys[FOLDERS][20];

	for (size_t f = 0; f < FOLDERS; f++)
		(void)snprintf(keys[f], sizeof(keys[f]), "%s", p->collections[f].key);
	run_quiet_sync(w, p, false);
	if (p->news > 0 || p->more || (phone_version(p) >= 121 && !p->last_empty))
		model_fail(w, (int)p->number, "phone %u: an empty Sync is not empty", p->number);
	for (size_t f = 0; f < FOLDERS; f++) {
		if (strcmp(keys[f], p->collections[f].key) != 0)
			model_fail(w, (int)p->number,
				"phone %u: the key of folder %zu moved for nothing", p->number, f);
	}
}

void run_settle(struct world *w)
{
	for (size_t i = 0; i < w->phone_count; i++) {
		struct phone *p = &w->phones[i];
		struct answer answer;

		request_give_up(w, p);
		while (p->late_count > 0) {
			struct request *r = p->late[--p->late_count];

			model_trace(w, (int)p->number, "an old request arrives at last");
			request_send(w, p, r, false, &answer);
			ledger_flush(w);
			(void)answer_take(w, p, NULL, &answer);
			note_copy(w, p, r);
			request_free(&r);
		}
	}
	for (size_t i = 0; i < w->phone_count && !w->failed; i++)
		commands_settle(w, &w->phones[i]);
	/* Those who settled first have not heard of the others' folders and drafts. */
	for (size_t i = 0; i < w->phone_count && !w->failed; i++) {
		hierarchy_settle(w, &w->phones[i]);
		drafts_settle(w, &w->phones[i]);
	}
	if (!w->failed)
		drafts_check(w);
	/* What one phone still wants is news for the others: twice. */
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < w->phone_count && !w->failed; i++)
			(void)settle_phone(w, &w->phones[i]);
	}
	for (size_t i = 0; i < w->phone_count && !w->failed; i++) {
		phone_compare(w, &w->phones[i]);
		if (!w->failed)
			check_rest(w, &w->phones[i]);
	}
	if (!w->failed)
		ledger_compare(w, false);
	if (!w->failed)
		sends_check(w);
}

static void deliver_one(struct world *w, int64_t date_at)
{
	struct writer writer = {.effect_count = 0};
	void *owner = fiber_owner();

	fiber_set_owner(&writer);
	(void)world_deliver(w, &date_at, 1);
	fiber_set_owner(owner);
	ledger_flush(w);
}

void run_mail(struct world *w, size_t count, int64_t age_days)
{
	for (size_t i = 0; i < count; i++)
		deliver_one(w, clock_now_at() - age_days * DAY_S);
}

static void deliver_initial(struct world *w, const struct script *s)
{
	struct rng rng;

	rng_seed(&rng, s->seed ^ 0x1234);
	for (unsigned i = 0; i < s->initial; i++)
		deliver_one(w, clock_now_at() - rng_below(&rng, (uint32_t)(40 * DAY_S)));
}

bool run_seed(struct world *w, uint64_t seed)
{
	struct script script;
	size_t at = 0;

	script_make(&script, seed);
	world_reset(w, seed);
	for (unsigned i = 0; i < script.phones; i++)
		phone_init(w, i, script.versions[i], script.filters[i], script.conflicts[i]);
	deliver_initial(w, &script);
	for (unsigned round = 0; round < script.rounds && !w->failed; round++) {
		model_trace(w, -1, "round %u%s", round,
			script.faults[round].vfs != 0 || script.faults[round].step != 0
				? ", with trouble"
				: "");
		run_round(w, &script, round, &at);
	}
	if (!w->failed)
		run_settle(w);
	return !w->failed;
}
