/*
 * A phone: what it holds and what it wants to have changed. It believes what it is told and nothing
 * else, and complains at once about an Add of what it holds, a Change or a deletion of what it does
 * not hold, and an item that was deleted before it asked.
 *
 * Its own changes are done at once and stay pending until an answer confirms or refuses them; a
 * refused one is not taken back here: the server has to put it right.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model.h"

const char *const model_versions[VERSIONS] = {
	"2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1"};
static const unsigned numbers[VERSIONS] = {25, 120, 121, 140, 141, 160, 161};

unsigned phone_version(const struct phone *p)
{
	return numbers[p->version];
}

bool phone_sees(unsigned version, enum group group)
{
	return group == GROUP_READ || version >= (group == GROUP_FLAG ? 120 : 140);
}

void phone_init(
	struct world *w, unsigned number, unsigned version, uint8_t filter, uint8_t conflict)
{
	struct phone *p = &w->phones[number];

	*p = (struct phone){.number = number, .version = version};
	(void)snprintf(p->device_id, sizeof(p->device_id), "model%u", number);
	p->collections = x_calloc(FOLDERS, sizeof(*p->collections));
	for (unsigned f = 0; f < FOLDERS; f++) {
		p->collections[f].filter = filter;
		p->collections[f].conflict = conflict;
		phone_begin(p, f);
	}
	hierarchy_begin(p);
	drafts_begin(p);
	w->phone_count = MAX(w->phone_count, number + 1);
}

void phone_deinit(struct phone *p)
{
	mem_free(p->collections);
	mem_free(p->backup);
	request_free(&p->last);
	request_free(&p->held);
	commands_free(p);
	while (p->late_count > 0)
		request_free(&p->late[--p->late_count]);
	*p = (struct phone){.number = p->number};
}

void phone_begin(struct phone *p, unsigned folder)
{
	struct collection *c = &p->collections[folder];

	*c = (struct collection){.key = "0",
		.filter = c->filter,
		.conflict = c->conflict,
		.conversations = c->conversations,
		.sms = c->sms,
		.line = ++p->lines};
}

static void drop_pending(struct collection *c, size_t at)
{
	memmove(&c->pending[at], &c->pending[at + 1],
		(--c->pending_count - at) * sizeof(c->pending[0]));
}

void phone_drop_adds(struct phone *p)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		struct collection *c = &p->collections[f];

		for (size_t i = c->pending_count; i-- > 0;) {
			if (c->pending[i].effect.adds)
				drop_pending(c, i);
		}
	}
}

void phone_may_restart(struct world *w, struct phone *p, unsigned folder)
{
	p->collections[folder].restart_step = ++w->step;
}

size_t phone_held(const struct phone *p, unsigned folder)
{
	size_t count = 0;

	for (size_t i = 0; i < ITEMS_MAX; i++)
		count += p->collections[folder].items[i].held;
	return count;
}

/* ---- what it wants ---- */

static struct pending *find_pending(struct collection *c, uint64_t item)
{
	for (size_t i = 0; i < c->pending_count; i++) {
		if (c->pending[i].effect.item == item)
			return &c->pending[i];
	}
	return NULL;
}

static uint64_t pick_held(const struct collection *c, uint32_t pick)
{
	uint64_t held[ITEMS_MAX];
	uint32_t count = 0;

	for (uint64_t i = 1; i < ITEMS_MAX; i++) {
		if (c->items[i].held)
			held[count++] = i;
	}
	return count == 0 ? 0 : held[pick % count];
}

uint64_t phone_pick(const struct phone *p, unsigned folder, uint32_t pick)
{
	return pick_held(&p->collections[folder], pick);
}

static void want(
	struct world *w, struct phone *p, struct pending *pend, unsigned groups, uint32_t pick)
{
	struct copy *copy = &p->collections[pend->effect.folder].items[pend->effect.item];

	for (unsigned g = 0; g < GROUPS; g++) {
		uint32_t value = g == GROUP_READ ? !copy->values[g]
				 : pick % 4 == 0 ? 0
						 : ++w->next_value;

		if ((groups & 1u << g) == 0 || !phone_sees(phone_version(p), (enum group)g))
			continue;
		/* A wish that comes back may be answered as the one that was done before. */
		if ((pend->effect.groups & 1u << g) == 0)
			pend->since[g] = SIZE_MAX;
		pend->effect.groups |= 1u << g;
		pend->effect.values[g] = copy->values[g] = value;
	}
}

void phone_change(struct world *w, struct phone *p, unsigned folder, const uint32_t pick[3])
{
	struct collection *c = &p->collections[folder];
	uint64_t item = pick_held(c, pick[0]);
	struct pending *pend = find_pending(c, item);

	if (item == 0 || (pend == NULL && c->pending_count == ARRAY_LEN(c->pending)))
		return;
	if (pend == NULL) {
		pend = &c->pending[c->pending_count++];
		*pend = (struct pending){.effect = {.folder = folder, .item = item}};
	}
	if (pick[1] % 6 == 0) {
		pend->effect.deletes = true;
		pend->effect.groups = 0;
		c->items[item].held = false;
	} else {
		want(w, p, pend, 1 + pick[1] / 6 % 7, pick[2]);
		if (pend->effect.groups == 0 && !pend->effect.deletes)
			drop_pending(c, (size_t)(pend - c->pending));
	}
}

/* ---- what it is told about its own changes ---- */

static const struct wbxml_node *find_answer(
	struct world *w, const struct wbxml_node *answers, const struct effect *e, unsigned tag)
{
	char id[48];

	(void)snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, w->folders[e->folder].v, e->item);
	for (const struct wbxml_node *n = wbxml_find(answers, tag); n != NULL;
		n = wbxml_next(n, tag)) {
		const char *server_id = wbxml_text(n, TAG_AirSync_ServerId);

		if (server_id != NULL && strcmp(server_id, id) == 0)
			return n;
	}
	return NULL;
}

static void check_accepted(struct world *w, struct phone *p, const struct pending *pend)
{
	const struct effect *e = &pend->effect;
	struct truth *t = ledger_item(w, e->folder, e->item);

	if (t == NULL || (e->deletes && !t->deleted)) {
		model_fail(w, (int)p->number,
			"phone %u: %u:%" PRIu64 " was not deleted, and nothing said so", p->number,
			e->folder, e->item);
		return;
	}
	for (unsigned g = 0; g < GROUPS; g++) {
		if ((e->groups & 1u << g) == 0)
			continue;
		if (!ledger_had(t, (enum group)g, pend->since[g], e->values[g]))
			model_fail(w, (int)p->number,
				"phone %u: group %u of %u:%" PRIu64
				" never became %u, and nothing said so",
				p->number, g, e->folder, e->item, e->values[g]);
		if (p->collections[e->folder].items[e->item].held)
			p->collections[e->folder].items[e->item].values[g] = e->values[g];
	}
}

static void check_refused(
	struct world *w, struct phone *p, const struct pending *pend, const char *status)
{
	const struct effect *e = &pend->effect;
	struct truth *t = ledger_item(w, e->folder, e->item);
	bool right = false;

	if (strcmp(status, "7") == 0)
		right = p->collections[e->folder].conflict == 1 ||
			!p->collections[e->folder].options_known;
	else if (strcmp(status, "8") == 0)
		right = t != NULL && t->deleted;
	else if (strcmp(status, "1") == 0)
		right = true;
	if (!right)
		model_fail(w, (int)p->number,
			"phone %u: its change of %u:%" PRIu64 " gets Status %s", p->number,
			e->folder, e->item, status);
}

static void take_answers(struct world *w, struct phone *p, const struct sent_collection *sent,
	const struct wbxml_node *answers)
{
	struct collection *c = &p->collections[sent->folder];

	for (size_t i = 0; i < sent->pending_count; i++) {
		struct pending *pend = &c->pending[0];
		unsigned tag = pend->effect.deletes ? TAG_AirSync_Delete : TAG_AirSync_Change;
		const struct wbxml_node *answer = find_answer(w, answers, &pend->effect, tag);

		if (pend->effect.adds)
			sms_take_answer(w, p, &pend->effect, answers);
		else if (answer == NULL)
			check_accepted(w, p, pend);
		else
			check_refused(w, p, pend, wbxml_text(answer, TAG_AirSync_Status));
		drop_pending(c, 0);
	}
}

/* ---- what it is told about others' ---- */

static uint32_t number_after(const char *text, char letter)
{
	return text != NULL && text[0] == letter ? (uint32_t)strtoul(text + 1, NULL, 10) : 0;
}

static void take_data(struct copy *copy, const struct wbxml_node *data)
{
	const struct wbxml_node *flag = wbxml_find(data, TAG_Email_Flag);
	const struct wbxml_node *categories = wbxml_find(data, TAG_Email_Categories);
	const char *read = wbxml_text(data, TAG_Email_Read);

	if (read != NULL)
		copy->values[GROUP_READ] = read[0] == '1';
	if (flag != NULL)
		copy->values[GROUP_FLAG] = number_after(wbxml_text(flag, TAG_Email_FlagType), 'f');
	if (categories != NULL)
		copy->values[GROUP_CATEGORY] =
			number_after(wbxml_text(categories, TAG_Email_Category), 'c');
}

static void take_add(struct world *w, struct phone *p, const struct request *r, unsigned folder,
	uint64_t item, const struct wbxml_node *data)
{
	struct copy *copy = &p->collections[folder].items[item];
	const struct truth *t = ledger_item(w, folder, item);
	uint32_t uid = number_after(wbxml_text(data, TAG_Email_Subject), 'm');

	if (copy->held)
		model_fail(w, (int)p->number, "phone %u: %u:%" PRIu64 " is added twice", p->number,
			folder, item);
	if (t == NULL || t->uid != uid)
		model_fail(w, (int)p->number, "phone %u: %u:%" PRIu64 " is added as m%u", p->number,
			folder, item, uid);
	else if (t->deleted && t->deleted_step < r->step)
		model_fail(w, (int)p->number,
			"phone %u: %u:%" PRIu64 " (m%u) is raised from the dead", p->number, folder,
			item, uid);
	*copy = (struct copy){.held = true, .uid = uid};
	take_data(copy, data);
}

static void take_command(struct world *w, struct phone *p, const struct request *r, unsigned folder,
	const struct wbxml_node *n)
{
	const struct wbxml_node *data = wbxml_find(n, TAG_AirSync_ApplicationData);
	const char *server_id = wbxml_text(n, TAG_AirSync_ServerId);
	const char *colon = server_id != NULL ? strchr(server_id, ':') : NULL;
	uint64_t item = colon != NULL ? strtoull(colon + 1, NULL, 10) : 0;
	struct copy *copy;
	struct pending *pend;

	if (item == 0 || item >= ITEMS_MAX) {
		model_fail(w, (int)p->number, "phone %u: an id of nobody's", p->number);
		return;
	}
	p->news++;
	p->aged += n->tag == TAG_AirSync_SoftDelete;
	copy = &p->collections[folder].items[item];
	if (n->tag == TAG_AirSync_Add) {
		take_add(w, p, r, folder, item, data);
		return;
	}
	if (!copy->held) {
		model_fail(w, (int)p->number,
			"phone %u: %s of %u:%" PRIu64 ", which it does not hold", p->number,
			n->tag == TAG_AirSync_Change   ? "Change"
			: n->tag == TAG_AirSync_Delete ? "Delete"
						       : "SoftDelete",
			folder, item);
		return;
	}
	if (n->tag == TAG_AirSync_Change) {
		take_data(copy, data);
		return;
	}
	copy->held = false;
	pend = find_pending(&p->collections[folder], item);
	if (pend != NULL)
		drop_pending(
			&p->collections[folder], (size_t)(pend - p->collections[folder].pending));
}

static void trace_command(struct world *w, struct phone *p, const struct wbxml_node *n)
{
	const struct wbxml_node *data = wbxml_find(n, TAG_AirSync_ApplicationData);
	const struct wbxml_node *flag = wbxml_find(data, TAG_Email_Flag);
	const char *id = wbxml_text(n, TAG_AirSync_ServerId);
	const char *read = wbxml_text(data, TAG_Email_Read);
	const char *type = wbxml_text(flag, TAG_Email_FlagType);
	const char *status = wbxml_text(n, TAG_AirSync_Status);

	model_trace(w, (int)p->number, "    %s %s%s%s%s%s%s%s",
		n->tag == TAG_AirSync_Add      ? "Add"
		: n->tag == TAG_AirSync_Change ? "Change"
		: n->tag == TAG_AirSync_Delete ? "Delete"
		: n->tag == TAG_AirSync_Fetch  ? "Fetch"
					       : "SoftDelete",
		id != NULL ? id : "?", read != NULL ? " read " : "", read != NULL ? read : "",
		flag != NULL ? " flag " : "", type != NULL ? type : "",
		status != NULL ? " status " : "", status != NULL ? status : "");
}

static void trace_children(struct world *w, struct phone *p, const struct wbxml_node *parent)
{
	for (const struct wbxml_node *n = parent != NULL ? parent->child : NULL; n != NULL;
		n = n->next)
		trace_command(w, p, n);
}

void phone_trace(struct world *w, struct phone *p, const struct wbxml_node *root)
{
	const struct wbxml_node *n =
		wbxml_find(wbxml_find(root, TAG_AirSync_Collections), TAG_AirSync_Collection);

	for (; n != NULL; n = wbxml_next(n, TAG_AirSync_Collection)) {
		const char *id = wbxml_text(n, TAG_AirSync_CollectionId);
		const char *status = wbxml_text(n, TAG_AirSync_Status);
		const char *key = wbxml_text(n, TAG_AirSync_SyncKey);

		model_trace(w, (int)p->number, "  folder id %s: status %s, key %s%s",
			id != NULL ? id : "", status != NULL ? status : "", key != NULL ? key : "",
			wbxml_find(n, TAG_AirSync_MoreAvailable) != NULL ? ", more" : "");
		trace_children(w, p, wbxml_find(n, TAG_AirSync_Responses));
		trace_children(w, p, wbxml_find(n, TAG_AirSync_Commands));
	}
}

/* ---- an answer ---- */

static const struct sent_collection *find_sent(const struct request *r, unsigned folder)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->collections[i].folder == folder)
			return &r->collections[i];
	}
	return NULL;
}

static void start_over(struct world *w, struct phone *p, const struct request *r, unsigned folder)
{
	const struct collection *c = &p->collections[folder];

	(void)r;
	if (c->restart_step == 0)
		model_fail(w, (int)p->number, "phone %u: key %s of folder %u is refused", p->number,
			c->key, folder);
	phone_begin(p, folder);
	p->more = true;
}

static void take_collection(
	struct world *w, struct phone *p, const struct request *r, const struct wbxml_node *node)
{
	const char *id = wbxml_text(node, TAG_AirSync_CollectionId);
	const char *status = wbxml_text(node, TAG_AirSync_Status);
	const char *key = wbxml_text(node, TAG_AirSync_SyncKey);
	const struct wbxml_node *commands = wbxml_find(node, TAG_AirSync_Commands);
	const struct wbxml_node *answers = wbxml_find(node, TAG_AirSync_Responses);
	unsigned folder =
		ledger_folder(w, (struct folder_id){strtoull(id != NULL ? id : "0", NULL, 10)});
	const struct sent_collection *sent = find_sent(r, folder);
	struct collection *c;

	if (folder == FOLDERS || sent == NULL || status == NULL) {
		model_fail(w, (int)p->number, "phone %u: an answer about folder %s", p->number, id);
		return;
	}
	c = &p->collections[folder];
	if (strcmp(status, "3") == 0) {
		start_over(w, p, r, folder);
		return;
	}
	if (strcmp(status, "1") != 0 || key == NULL) {
		model_fail(w, (int)p->number, "phone %u: Status %s of folder %u", p->number, status,
			folder);
		return;
	}
	take_answers(w, p, sent, answers);
	for (const struct wbxml_node *n = commands != NULL ? commands->child : NULL; n != NULL;
		n = n->next)
		take_command(w, p, r, folder, n);
	if (wbxml_find(node, TAG_AirSync_MoreAvailable) != NULL)
		p->more = true;
	(void)snprintf(c->key, sizeof(c->key), "%s", key);
}

static bool is_answered(const struct world *w, const struct wbxml_node *root, unsigned folder)
{
	const struct wbxml_node *n =
		wbxml_find(wbxml_find(root, TAG_AirSync_Collections), TAG_AirSync_Collection);

	for (; n != NULL; n = wbxml_next(n, TAG_AirSync_Collection)) {
		const char *id = wbxml_text(n, TAG_AirSync_CollectionId);

		if (id != NULL && strtoull(id, NULL, 10) == w->folders[folder].v)
			return true;
	}
	return false;
}

static void confirm_options(struct phone *p, const struct request *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct collection *c = &p->collections[r->collections[i].folder];

		if (r->collections[i].options && strcmp(c->key, "0") != 0)
			c->options_known = true;
		c->copies = 0;
		if (c->restart_step != 0 && r->step > c->restart_step)
			c->restart_step = 0;
	}
}

void phone_take(
	struct world *w, struct phone *p, const struct request *r, const struct wbxml_node *root)
{
	const struct wbxml_node *collections = wbxml_find(root, TAG_AirSync_Collections);

	p->news = p->aged = 0;
	p->more = false;
	p->last_empty = root == NULL;
	p->last_answered = true;
	if (root == NULL)
		model_trace(w, (int)p->number, "  an empty answer");
	phone_trace(w, p, root);
	if (root != NULL && collections == NULL) {
		const char *status = wbxml_text(root, TAG_AirSync_Status);

		if (r->is_short && status != NULL && strcmp(status, "13") == 0) {
			model_trace(w, (int)p->number, "  is asked for a whole request");
			p->last_answered = false;
			return;
		}
		if ((r->waits || r->is_short) && status != NULL && strcmp(status, "12") == 0) {
			model_trace(w, (int)p->number, "  is to look at the folders");
			p->last_answered = false;
			p->hierarchy.due = true;
			return;
		}
		model_fail(w, (int)p->number, "phone %u: Status %s", p->number,
			status != NULL ? status : "missing");
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		if (r->collections[i].pending_count > 0 &&
			!is_answered(w, root, r->collections[i].folder))
			model_fail(w, (int)p->number, "phone %u: its changes are not answered",
				p->number);
	}
	for (const struct wbxml_node *n = wbxml_find(collections, TAG_AirSync_Collection);
		n != NULL; n = wbxml_next(n, TAG_AirSync_Collection))
		take_collection(w, p, r, n);
	confirm_options(p, r);
}

/* ---- the end ---- */

static int64_t filter_since(uint8_t filter)
{
	static const int64_t days[] = {0, 1, 3, 7, 14, 31};

	return filter == 0 ? INT64_MIN : clock_now_at() - days[filter] * DAY_S;
}

bool phone_wants_conversations(const struct phone *p, unsigned folder)
{
	return phone_version(p) >= 140 && p->collections[folder].conversations;
}

uint32_t model_conversation(uint32_t uid)
{
	return uid % 3 == 0 ? 0 : 1 + uid / 3 % 6;
}

/* The newest date by which it is judged: its own, or that of its conversation in this folder. */
static int64_t judged_date(
	const struct world *w, const struct phone *p, unsigned folder, const struct truth *t)
{
	uint32_t conversation = model_conversation(t->uid);
	int64_t date_at = t->date_at;

	if (!phone_wants_conversations(p, folder) || conversation == 0 || t->sms)
		return date_at;
	for (size_t i = 0; i < ITEMS_MAX; i++) {
		const struct truth *other = &w->truth[folder][i];

		if (other->exists && !other->deleted && !other->sms &&
			model_conversation(other->uid) == conversation)
			date_at = MAX(date_at, other->date_at);
	}
	return date_at;
}

/* *ret_either: the server may have rounded its filter down to whole hours. */
static bool must_hold(const struct world *w, const struct phone *p, unsigned folder,
	const struct truth *t, bool *ret_either)
{
	int64_t since_at = filter_since(p->collections[folder].filter), date_at;

	*ret_either = false;
	if (!t->exists || t->deleted || (t->sms && !phone_wants_sms(p, folder)))
		return false;
	date_at = judged_date(w, p, folder, t);
	*ret_either = since_at != INT64_MIN && date_at < since_at && date_at >= since_at - 3600;
	return date_at >= since_at;
}

void phone_compare(struct world *w, struct phone *p)
{
	for (unsigned f = 0; f < FOLDERS; f++) {
		const struct collection *c = &p->collections[f];

		for (uint64_t i = 1; i < ITEMS_MAX; i++) {
			const struct truth *t = &w->truth[f][i];
			const struct copy *copy = &c->items[i];
			bool either, must = must_hold(w, p, f, t, &either);

			if (copy->held != must && !either) {
				model_fail(w, (int)p->number, "phone %u %s %u:%" PRIu64 " (m%u)",
					p->number, must ? "lacks" : "still has", f, i, t->uid);
				return;
			}
			for (unsigned g = 0; copy->held && g < GROUPS; g++) {
				uint32_t value = ledger_value(t, (enum group)g);

				if (copy->values[g] == value ||
					!phone_sees(phone_version(p), (enum group)g))
					continue;
				model_fail(w, (int)p->number,
					"phone %u has group %u of %u:%" PRIu64 " as %u, not %u",
					p->number, g, f, i, copy->values[g], value);
				return;
			}
		}
	}
}
