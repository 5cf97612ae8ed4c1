/*
 * Scripts: what happens by which seed. A script says nothing that depends on what happened before
 * (ids, keys): it says "the 7th of what there is", so that it can be played by the model, by phones
 * over sockets (tests/test_model.py), and with actions taken out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model.h"

/* Of those before add_commands(). */
#define ACTIONS_SYNC_MAX 160

static const char *const kind_names[ACT_KINDS] = {"sync", "deliver", "client", "late", "clock",
	"sweep", "restart", "version", "backup", "restore", "move", "send", "folder", "draft"};
/* Out of a hundred. */
static const uint8_t kind_weights[] = {54, 11, 13, 6, 5, 3, 2, 1, 2, 3};
static const char *const fate_names[FATES] = {
	"answered", "answer lost", "request lost", "twice", "copied"};
static const uint8_t fate_weights[FATES] = {72, 12, 5, 5, 6};

static uint8_t choose(struct rng *rng, const uint8_t *weights, uint8_t count)
{
	uint32_t at = rng_below(rng, 100);
	uint8_t i = 0;

	while (i + 1 < count && at >= weights[i])
		at -= weights[i++];
	return i;
}

static void make_sync(struct rng *rng, struct action *a)
{
	static const uint16_t windows[] = {0, 1, 2, 3, 5, 10, 512};

	a->fate = choose(rng, fate_weights, FATES);
	a->folders = rng_percent(rng, 50) ? 1 : (uint8_t)(1 + rng_below(rng, 7));
	a->changes = rng_percent(rng, 55) ? 0 : (uint8_t)(1 + rng_below(rng, 4));
	a->window = windows[rng_below(rng, ARRAY_LEN(windows))];
	a->window_all = rng_percent(rng, 80) ? 0 : windows[1 + rng_below(rng, 6)];
	a->filter = rng_percent(rng, 90) ? -1 : (int8_t)rng_below(rng, 6);
	a->conflict = rng_percent(rng, 96) ? -1 : (int8_t)rng_below(rng, 2);
	a->form = FORM_FULL;
	if (rng_percent(rng, 25))
		a->form = (uint8_t)(FORM_EMPTY + rng_below(rng, 3));
	a->bits = (uint16_t)((rng_percent(rng, 30) ? BIT_OPTIONS : 0) |
			     (rng_percent(rng, 8) ? BIT_NO_CHANGES : 0) |
			     (rng_percent(rng, 40) ? BIT_FINAL_DELETE : 0) |
			     (rng_percent(rng, 5) ? BIT_FETCH : 0) |
			     (rng_percent(rng, 10) ? BIT_PERMUTE : 0) |
			     (rng_percent(rng, 6) ? BIT_CONVERSATIONS : 0) |
			     (rng_percent(rng, 10) ? BIT_SMS : 0) |
			     (rng_percent(rng, 25) ? BIT_ADD : 0));
}

static uint32_t some_time(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return 60 + rng_below(rng, 3000);
	case 1:
		return 3600 * (1 + rng_below(rng, 30));
	default:
		return 86400 * (1 + rng_below(rng, 12)) + rng_below(rng, 7200);
	}
}

static void make_action(struct rng *rng, const struct script *s, struct action *a)
{
	a->kind = choose(rng, kind_weights, ARRAY_LEN(kind_weights));
	a->phone = (uint8_t)rng_below(rng, s->phones);
	a->filter = a->conflict = -1;
	for (size_t i = 0; i < ARRAY_LEN(a->pick); i++)
		a->pick[i] = (uint32_t)(rng_next(rng) >> 40);
	switch (a->kind) {
	case ACT_SYNC:
		make_sync(rng, a);
		break;
	case ACT_DELIVER:
		a->amount = rng_percent(rng, 70) ? 1 : 2 + rng_below(rng, 6);
		a->bits = (uint16_t)((rng_percent(rng, 35) ? BIT_OLD : 0) |
				     (rng_percent(rng, 50) ? BIT_TOGETHER : 0));
		break;
	case ACT_CLIENT:
		a->amount = rng_percent(rng, 75) ? 1 : 2 + rng_below(rng, 12);
		a->bits = rng_percent(rng, 50) ? BIT_TOGETHER : 0;
		break;
	case ACT_CLOCK:
	case ACT_SWEEP:
		a->amount = some_time(rng);
		break;
	default:
		break;
	}
}

static bool is_of_phone(const struct action *a)
{
	return a->kind != ACT_DELIVER && a->kind != ACT_CLIENT;
}

/* Names no keys: what the server remembers must be the phone's own last request. */
static bool is_short(const struct action *a)
{
	return a->kind == ACT_SYNC && (a->form == FORM_EMPTY || a->form == FORM_PARTIAL);
}

/* A phone does one thing at a time; the network does not care. */
static bool is_free(const struct script *s, const struct action *a)
{
	for (size_t i = s->count; i-- > 0 && s->actions[i].round == a->round;) {
		const struct action *other = &s->actions[i];

		if (!is_of_phone(a) || !is_of_phone(other) || a->phone != other->phone)
			continue;
		if (a->kind != ACT_LATE && other->kind != ACT_LATE)
			return false;
		if (is_short(a) || is_short(other))
			return false;
	}
	return true;
}

static void make_fault(struct rng *rng, struct script *s, unsigned round)
{
	static const uint8_t codes[] = {ERR_QUOTA, ERR_BACKEND, ERR_BUSY};

	if (!rng_percent(rng, 14))
		return;
	s->faults[round].n = (uint8_t)(1 + rng_below(rng, rng_percent(rng, 50) ? 8 : 40));
	if (rng_percent(rng, 30)) {
		s->faults[round].step = 1;
		s->faults[round].code = codes[rng_below(rng, ARRAY_LEN(codes))];
	} else if (rng_percent(rng, 50)) {
		s->faults[round].vfs = VFS_FAULT_CUT;
	} else {
		s->faults[round].vfs = (uint8_t)(1 + rng_below(rng, VFS_FAULT_COUNT - 1));
	}
}

/* Has the phone something else to do in that round? */
static bool is_busy(const struct script *s, unsigned round, uint8_t phone)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct action *a = &s->actions[i];

		if (a->round == round && a->phone == phone && is_of_phone(a) && a->kind != ACT_LATE)
			return true;
	}
	return false;
}

/* The commands beside Sync, between what there is: with numbers of their own, so that the rest of
 * a seed's script stays what it was. */
static void add_commands(struct script *s)
{
	struct rng rng;
	size_t at = 0;

	rng_seed(&rng, s->seed ^ 0xc0ffee);
	for (unsigned i = 0; i < 2 * s->rounds && s->count < ACTIONS_MAX; i++) {
		struct action a = {.round = (uint8_t)(i / 2), .filter = -1, .conflict = -1};

		a.phone = (uint8_t)rng_below(&rng, s->phones);
		a.kind = (uint8_t)(ACT_MOVE + rng_below(&rng, 3));
		/* Where drafts can be written they are, most often. */
		if (s->versions[a.phone] >= VERSION_16_0 && rng_percent(&rng, 60))
			a.kind = ACT_DRAFT;
		a.fate = choose(&rng, fate_weights, FATES);
		for (size_t k = 0; k < ARRAY_LEN(a.pick); k++)
			a.pick[k] = (uint32_t)(rng_next(&rng) >> 40);
		while (at < s->count && s->actions[at].round <= a.round)
			at++;
		if (!rng_percent(&rng, 50) || is_busy(s, a.round, a.phone))
			continue;
		memmove(&s->actions[at + 1], &s->actions[at],
			(s->count++ - at) * sizeof(s->actions[0]));
		s->actions[at++] = a;
	}
}

void script_make(struct script *s, uint64_t seed)
{
	struct rng rng;

	*s = (struct script){.seed = seed};
	rng_seed(&rng, seed);
	s->phones = 2 + rng_below(&rng, 3);
	s->rounds = 20 + rng_below(&rng, 24);
	s->initial = rng_below(&rng, 30);
	for (unsigned i = 0; i < s->phones; i++) {
		s->versions[i] = (uint8_t)rng_below(&rng, VERSIONS);
		s->filters[i] = rng_percent(&rng, 50) ? 0 : (uint8_t)rng_below(&rng, 6);
		s->conflicts[i] = (uint8_t)rng_below(&rng, 2);
	}
	for (unsigned round = 0; round < s->rounds; round++) {
		unsigned count = 1 + rng_below(&rng, 4);

		make_fault(&rng, s, round);
		for (unsigned i = 0; i < count && s->count < ACTIONS_SYNC_MAX; i++) {
			struct action *a = &s->actions[s->count];

			*a = (struct action){.round = (uint8_t)round};
			make_action(&rng, s, a);
			s->count += is_free(s, a);
		}
	}
	add_commands(s);
}

void script_print(const struct script *s)
{
	printf("{\"seed\": %" PRIu64 ", \"rounds\": %u, \"initial\": %u, \"phones\": [", s->seed,
		s->rounds, s->initial);
	for (unsigned i = 0; i < s->phones; i++)
		printf("%s{\"version\": \"%s\", \"filter\": %u, \"conflict\": %u}",
			i > 0 ? ", " : "", model_versions[s->versions[i]], s->filters[i],
			s->conflicts[i]);
	printf("]}\n");
	for (size_t i = 0; i < s->count; i++) {
		const struct action *a = &s->actions[i];

		printf("{\"round\": %u, \"do\": \"%s\", \"phone\": %u, \"fate\": \"%s\", "
		       "\"folders\": %u, \"changes\": %u, \"window\": %u, \"filter\": %d, "
		       "\"conflict\": %d, \"bits\": %u, \"amount\": %u, \"kill\": %s, "
		       "\"pick\": [%u, %u, %u, %u, %u, %u]}\n",
			a->round, kind_names[a->kind], a->phone, fate_names[a->fate], a->folders,
			a->changes, a->window, a->filter, a->conflict, a->bits, a->amount,
			s->faults[a->round].vfs == VFS_FAULT_CUT ? "true" : "false", a->pick[0],
			a->pick[1], a->pick[2], a->pick[3], a->pick[4], a->pick[5]);
	}
}
