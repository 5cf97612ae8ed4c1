/*
 * What phones say and how they take the answers. Requests are made anew each time from what the
 * phone is: its number, its group, and what it was given or has learned. Answers are read with
 * client/answer.h, except that of a wait whose Status stands where every server puts it.
 *
 * Limits: COLLECTIONS_MAX collections of one phone.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/answer.h"
#include "client/version.h"
#include "fleet/fleet_internal.h"
#include "fleet/reply.h"

#define COLLECTIONS_MAX 64u
#define WINDOW          100u
#define TRUNCATION      4096
#define RETRY_MS        30000u
#define LONG_MS         300000u
#define AGAIN_MAX       5u /* beginnings without a wait that ended well */

enum { PING_EXPIRED = 1, PING_NEWS = 2, PING_MISSING = 3, PING_BOUND = 5, PING_HIERARCHY = 7 };

void talk_pattern(const char *pattern, uint32_t number, struct buf *out)
{
	const char *at = strstr(pattern, "%u");

	if (at == NULL) {
		buf_add_str(out, pattern);
		return;
	}
	buf_add(out, pattern, (size_t)(at - pattern));
	buf_addf(out, "%u", number);
	buf_add_str(out, at + 2);
}

void talk_forget(struct phone_memory **memory)
{
	struct phone_memory *m = *memory;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++) {
		mem_free(m->collections[i].id);
		mem_free(m->collections[i].sync_key);
	}
	mem_free(m->collections);
	mem_free(m);
	*memory = NULL;
}

static void set_text(char **to, const char *from)
{
	mem_free(*to);
	*to = x_strdup(from);
}

static uint32_t user_of(const struct worker *w, const struct phone *p)
{
	uint32_t users = w->scenario->users;

	return worker_number_of(w, p) % (users != 0 ? users : w->scenario->phones);
}

/* A phone that was given what it knows begins to sync: from now on it has a memory of its own. */
static struct phone_memory *remember(struct worker *w, struct phone *p)
{
	const struct fleet_known *known = w->options->known;

	if (p->memory != NULL)
		return p->memory;
	p->memory = x_new(struct phone_memory);
	if (known == NULL)
		return p->memory;
	p->memory->policy_key = known->policy_key;
	p->memory->count = known->sync_keys != NULL ? known->count : 0;
	p->memory->collections = x_calloc(p->memory->count + 1, sizeof(*p->memory->collections));
	for (size_t i = 0; i < p->memory->count; i++) {
		p->memory->collections[i].id = x_strdup(known->ids[i]);
		p->memory->collections[i].sync_key = x_strdup(known->sync_keys[i]);
	}
	return p->memory;
}

/* ---- requests ---- */

static enum request_command command_of(const struct worker *w, const struct phone *p)
{
	switch ((enum phone_step)p->step) {
	case STEP_PROVISION:
	case STEP_PROVISION_ACK:
		return REQUEST_PROVISION;
	case STEP_FOLDERS:
		return REQUEST_FOLDER_SYNC;
	case STEP_WAIT:
		return phone_group(w, p)->held_sync ? REQUEST_SYNC : REQUEST_PING;
	case STEP_SYNC_KEYS:
	case STEP_LIST:
	case STEP_SYNC:
		break;
	}
	return REQUEST_SYNC;
}

static void body_of_ping(struct worker *w, struct phone *p, struct buf *body)
{
	const struct fleet_known *known = w->options->known;
	struct request_ping_folder folders[COLLECTIONS_MAX];
	size_t count = 0, all;

	if (p->memory != NULL && p->memory->count > 0) {
		all = MIN(p->memory->count, (size_t)COLLECTIONS_MAX);
		for (size_t i = 0; i < all; i++)
			folders[count++] =
				(struct request_ping_folder){p->memory->collections[i].id, "Email"};
	} else if (known != NULL) {
		uint32_t every = MAX(known->first_every, 1u);

		all = MIN(known->count, (size_t)COLLECTIONS_MAX);
		/* Which of a user's phones it is: those of one user are `users` apart. */
		for (size_t i = worker_number_of(w, p) / MAX(w->scenario->users, 1u) % every == 0 ||
						all == 1
					? 0
					: 1;
			i < all; i++)
			folders[count++] = (struct request_ping_folder){known->ids[i], "Email"};
	}
	request_ping(p->asked_s, folders, count, body);
}

static void body_of_sync(struct worker *w, struct phone *p, struct buf *body)
{
	const struct phone_memory *m = remember(w, p);
	struct request_sync collections[COLLECTIONS_MAX];
	bool held = p->step == STEP_WAIT;
	size_t count = 0;

	for (size_t i = 0; i < m->count && count < COLLECTIONS_MAX; i++) {
		if (!held && p->step != STEP_SYNC_KEYS && !m->collections[i].due)
			continue;
		collections[count++] = (struct request_sync){
			.sync_key = m->collections[i].sync_key,
			.collection_id = m->collections[i].id,
			.window = WINDOW,
			.body_type = 1,
			.truncation = TRUNCATION,
		};
	}
	request_sync(phone_group(w, p)->version, collections, count, held ? p->asked_s : 0, body);
}

static void body_of(struct worker *w, struct phone *p, struct buf *body)
{
	struct request_device_info info = {
		.model = "bellhop-bench", .os = "none", .user_agent = FLEET_USER_AGENT};
	unsigned version = phone_group(w, p)->version;

	switch ((enum phone_step)p->step) {
	case STEP_PROVISION:
		request_provision(version, &info, body);
		break;
	case STEP_PROVISION_ACK:
		request_provision_ack(version, remember(w, p)->policy_key, 1, body);
		break;
	case STEP_FOLDERS:
		request_folder_sync("0", body);
		break;
	case STEP_WAIT:
		if (phone_group(w, p)->held_sync)
			body_of_sync(w, p, body);
		else
			body_of_ping(w, p, body);
		break;
	case STEP_SYNC_KEYS:
	case STEP_LIST:
	case STEP_SYNC:
		body_of_sync(w, p, body);
		break;
	}
}

static void add_authorization(struct worker *w, struct phone *p, const char *user, struct buf *out)
{
	CLEANUP(buf_deinit) struct buf plain = BUF_INIT;

	buf_add_str(&plain, user);
	buf_add_byte(&plain, ':');
	talk_pattern(w->options->password, user_of(w, p), &plain);
	buf_add_str(out, "Authorization: Basic ");
	base64_add(out, plain.data, plain.len);
	buf_add_str(out, "\r\n");
	secret_wipe(plain.data, plain.len);
}

void talk_request(struct worker *w, struct phone *p)
{
	const struct scenario_group *g = phone_group(w, p);
	CLEANUP(buf_deinit) struct buf body = BUF_INIT, user = BUF_INIT;
	char id[33];
	enum request_command command = command_of(w, p);
	struct request_device device = {.id = id, .type = FLEET_DEVICE_TYPE, .version = g->version};
	uint32_t key = p->memory != NULL
			       ? p->memory->policy_key
			       : (w->options->known != NULL ? w->options->known->policy_key : 0);
	struct err err = ERR_INIT;

	(void)snprintf(
		id, sizeof(id), "%.16s%u", w->options->device_prefix, worker_number_of(w, p));
	talk_pattern(w->options->user, user_of(w, p), &user);
	device.user = buf_cstr(&user);
	body_of(w, p, &body);
	buf_clear(&w->text);
	buf_addf(&w->text, "POST %s?", w->target->path);
	if (request_query(&device, command, false, &w->text, &err) < 0)
		buf_add_str(&w->text, "error");
	buf_addf(&w->text,
		" HTTP/1.1\r\nHost: %s\r\nUser-Agent: " FLEET_USER_AGENT
		"\r\nMS-ASProtocolVersion: %s\r\n",
		w->target->host_header, version_to_str(g->version));
	add_authorization(w, p, device.user, &w->text);
	if (key != 0 && command != REQUEST_PROVISION)
		buf_addf(&w->text, "X-MS-PolicyKey: %u\r\n", key);
	buf_addf(&w->text,
		"Content-Type: application/vnd.ms-sync.wbxml\r\n%sContent-Length: %zu\r\n\r\n",
		g->new_connection ? "Connection: close\r\n" : "", body.len);
	buf_add(&w->text, body.data, body.len);
}

/* ---- answers ---- */

static uint32_t waited_s(const struct worker *w, const struct phone *p)
{
	return (worker_clock(w) - p->began_ms) / 1000;
}

static const char *name_of(const struct worker *w, const struct phone *p)
{
	switch (command_of(w, p)) {
	case REQUEST_PROVISION:
		return "Provision";
	case REQUEST_FOLDER_SYNC:
		return "FolderSync";
	case REQUEST_PING:
		return "Ping";
	default:
		return "Sync";
	}
}

/* It makes no sense here; the phone tries again later. */
__attribute__((format(printf, 3, 4))) static void wrong(
	struct worker *w, struct phone *p, const char *fmt, ...)
{
	char what[TALLY_TROUBLE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	w->tally->wrong++;
	tally_trouble(w->tally, 1, "%s: %.140s", name_of(w, p), what);
	p->again = 0;
	phone_back_off(w, p, RETRY_MS);
}

/* A server may say over and over what makes a phone begin anew: at last it pauses. */
static bool once_more(struct worker *w, struct phone *p, const char *what)
{
	if (p->again++ < AGAIN_MAX)
		return true;
	wrong(w, p, "%s, again and again", what);
	return false;
}

static struct wbxml_node *decode(struct worker *w, const uint8_t *body, size_t len)
{
	struct wbxml_node *root = NULL;
	struct err err = ERR_INIT;

	arena_clear(w->arena);
	return answer_decode(w->arena, body, len, &root, &err) < 0 ? NULL : root;
}

static void on_provision(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	struct answer_provision answer;
	struct err err = ERR_INIT;

	if (root == NULL || answer_provision(root, &answer, &err) < 0) {
		wrong(w, p, "%s", root == NULL ? "an empty answer" : err.text);
		return;
	}
	remember(w, p)->policy_key = answer.policy_key;
	if (answer.policy_key == 0 || p->step == STEP_PROVISION_ACK)
		phone_next(w, p,
			w->options->known == NULL || p->memory->count == 0 ? STEP_FOLDERS
									   : STEP_WAIT);
	else
		phone_next(w, p, STEP_PROVISION_ACK);
}

static bool is_mail(unsigned type)
{
	return type == 2 || type == 12 || (type >= 3 && type <= 6) || type == 1;
}

/* The Inbox first, then the other mail folders as they come, as many as the group watches. */
static void on_folders(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	struct phone_memory *m = remember(w, p);
	uint32_t wanted = MIN(phone_group(w, p)->folders, COLLECTIONS_MAX), key = m->policy_key;
	struct answer_folders answer;
	struct err err = ERR_INIT;

	if (root == NULL || answer_folders(w->arena, root, &answer, &err) < 0) {
		wrong(w, p, "%s", root == NULL ? "an empty answer" : err.text);
		return;
	}
	if (answer.status != 1) {
		wrong(w, p, "Status %u", answer.status);
		return;
	}
	talk_forget(&p->memory);
	m = p->memory = x_new(struct phone_memory);
	m->policy_key = key;
	m->collections = x_calloc(wanted, sizeof(*m->collections));
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < answer.added_count && m->count < wanted; i++) {
			if (!is_mail(answer.added[i].type) ||
				(pass == 0) != (answer.added[i].type == 2))
				continue;
			m->collections[m->count++] = (struct phone_collection){
				x_strdup(answer.added[i].id), x_strdup("0"), true};
		}
	}
	if (m->count == 0)
		wrong(w, p, "no mail folder in it");
	else
		phone_next(w, p, STEP_SYNC_KEYS);
}

static struct phone_collection *find(struct phone_memory *m, const char *id)
{
	for (size_t i = 0; id != NULL && i < m->count; i++) {
		if (str_eq(m->collections[i].id, id))
			return &m->collections[i];
	}
	return m->count == 1 ? &m->collections[0] : NULL;
}

/* Takes the keys up; returns the changes, or -1. */
static int take_sync(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	struct phone_memory *m = remember(w, p);
	struct answer_sync answer;
	struct err err = ERR_INIT;
	int news = 0;

	if (answer_sync(w->arena, root, &answer, &err) < 0 || answer.status > 1)
		return -1;
	for (size_t i = 0; i < m->count; i++)
		m->collections[i].due = p->step == STEP_SYNC_KEYS;
	for (size_t i = 0; i < answer.collection_count; i++) {
		const struct answer_collection *c = &answer.collections[i];
		struct phone_collection *mine = find(m, c->id);

		if (mine == NULL || c->status > 1 || c->sync_key == NULL)
			return -1;
		set_text(&mine->sync_key, c->sync_key);
		mine->due = p->step == STEP_SYNC_KEYS || c->more;
		news += (int)c->item_count;
	}
	return news;
}

static bool any_due(const struct phone_memory *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->collections[i].due)
			return true;
	}
	return false;
}

/* The keys are not what the server has: everything anew. */
static void start_over(struct worker *w, struct phone *p, const char *what)
{
	w->tally->hierarchy++;
	if (once_more(w, p, what))
		phone_next(w, p, STEP_FOLDERS);
}

static void provision(struct worker *w, struct phone *p, int status)
{
	char what[40];

	(void)snprintf(what, sizeof(what), "%s %d", status == 449 ? "HTTP" : "Status", status);
	w->tally->hierarchy++;
	if (once_more(w, p, what))
		phone_next(w, p, STEP_PROVISION);
}

static void on_sync(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	int news = root == NULL ? 0 : take_sync(w, p, root);

	if (news < 0) {
		start_over(w, p, "a Status that ends the keys");
		return;
	}
	w->tally->news += (uint64_t)news;
	if (p->woken && news == 0)
		w->tally->false_wakes++;
	p->woken = false;
	if (root != NULL && any_due(p->memory))
		phone_next(w, p, p->step == STEP_SYNC ? STEP_SYNC : STEP_LIST);
	else
		phone_next(w, p, STEP_WAIT);
}

static void note_wake(struct worker *w, struct phone *p)
{
	uint64_t now_us = w->arrived_us != 0 ? w->arrived_us : fleet_now_us();
	uint64_t since_us = atomic_load_explicit(&w->news_us[user_of(w, p)], memory_order_relaxed);

	w->tally->woken++;
	p->again = 0;
	if (since_us != 0 && since_us <= now_us)
		tally_time(&w->tally->wake, now_us - since_us);
	if (w->marks != NULL) {
		struct fleet_mark *mark = &w->marks[worker_number_of(w, p)];

		mark->woken_us = now_us;
		mark->wakes++;
	}
}

static void on_news(struct worker *w, struct phone *p, const struct answer_ping *answer)
{
	const struct fleet_known *known = w->options->known;
	struct phone_memory *m;

	note_wake(w, p);
	habits_answered(phone_group(w, p), &p->heartbeat, waited_s(w, p));
	if (w->set.on_news == FLEET_STAY_OUT) {
		phone_stay_out(w, p);
		return;
	}
	if (w->set.on_news == FLEET_PING_AGAIN || (known != NULL && known->sync_keys == NULL)) {
		phone_next(w, p, STEP_WAIT);
		return;
	}
	m = remember(w, p);
	for (size_t i = 0; i < answer->folder_count; i++) {
		struct phone_collection *c = find(m, answer->folders[i]);

		if (c != NULL)
			c->due = true;
	}
	p->woken = true;
	phone_next(w, p, any_due(m) ? STEP_SYNC : STEP_WAIT);
}

static void on_expired(struct worker *w, struct phone *p)
{
	w->tally->expired++;
	p->again = 0;
	habits_expired(phone_group(w, p), &p->heartbeat, waited_s(w, p));
	if (w->set.stay_out_expired)
		phone_stay_out(w, p);
	else
		phone_next(w, p, STEP_WAIT);
}

static void on_ping(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	struct answer_ping answer;
	struct err err = ERR_INIT;

	if (root == NULL || answer_ping(w->arena, root, &answer, &err) < 0) {
		wrong(w, p, "%s", root == NULL ? "an empty answer" : err.text);
		return;
	}
	switch (answer.status) {
	case PING_EXPIRED:
		on_expired(w, p);
		break;
	case PING_NEWS:
		on_news(w, p, &answer);
		break;
	case PING_BOUND:
		habits_bound(phone_group(w, p), &p->heartbeat, answer.heartbeat_s);
		if (once_more(w, p, "Status 5"))
			phone_next(w, p, STEP_WAIT);
		break;
	case PING_HIERARCHY:
		start_over(w, p, "Status 7");
		break;
	default:
		wrong(w, p, "Status %u", answer.status);
	}
}

/* A held Sync is empty when its time is over, and brings the news itself otherwise. */
static void on_held(struct worker *w, struct phone *p, const struct wbxml_node *root)
{
	int news;

	if (root == NULL) {
		on_expired(w, p);
		return;
	}
	note_wake(w, p);
	habits_answered(phone_group(w, p), &p->heartbeat, waited_s(w, p));
	news = take_sync(w, p, root);
	if (news < 0) {
		start_over(w, p, "a Status that ends the keys");
		return;
	}
	w->tally->news += (uint64_t)news;
	w->tally->false_wakes += news == 0;
	if (w->set.on_news == FLEET_STAY_OUT)
		phone_stay_out(w, p);
	else
		phone_next(w, p, any_due(p->memory) ? STEP_LIST : STEP_WAIT);
}

static void describe(struct worker *w, struct phone *p, const struct reply *r)
{
	char text[TALLY_TROUBLE_TEXT];

	reply_describe(r, text, sizeof(text));
	wrong(w, p, "%s", text);
}

static void on_good(struct worker *w, struct phone *p, const struct reply *r)
{
	struct wbxml_node *root = decode(w, r->body, r->body_len);

	if (root == NULL && r->body_len > 0) {
		describe(w, p, r);
		return;
	}
	p->refused = 0;
	/* 14.0 and later say in the body what 449 says: provision. */
	if (p->step > STEP_PROVISION_ACK && answer_status(root) >= 140 &&
		answer_status(root) <= 145) {
		provision(w, p, (int)answer_status(root));
		return;
	}
	switch ((enum phone_step)p->step) {
	case STEP_PROVISION:
	case STEP_PROVISION_ACK:
		on_provision(w, p, root);
		break;
	case STEP_FOLDERS:
		on_folders(w, p, root);
		break;
	case STEP_SYNC_KEYS:
		if (root == NULL || take_sync(w, p, root) < 0)
			wrong(w, p, "an answer without keys for all folders");
		else
			phone_next(w, p, STEP_LIST);
		break;
	case STEP_LIST:
	case STEP_SYNC:
		on_sync(w, p, root);
		break;
	case STEP_WAIT:
		if (phone_group(w, p)->held_sync)
			on_held(w, p, root);
		else
			on_ping(w, p, root);
		break;
	}
}

void talk_answer(struct worker *w, struct phone *p, const struct reply *r)
{
	char text[100];

	switch (r->status) {
	case 200:
		on_good(w, p, r);
		break;
	case 503:
		w->tally->refused++;
		if (++p->refused == 2)
			w->tally->refused_again++;
		phone_back_off(w, p, r->retry_after_s > 0 ? r->retry_after_s * 1000 : RETRY_MS);
		break;
	case 449:
		provision(w, p, 449);
		break;
	case 401:
		w->tally->unauthorized++;
		reply_describe(r, text, sizeof(text));
		tally_trouble(w->tally, 1, "%s: %s", name_of(w, p), text);
		phone_back_off(w, p, LONG_MS);
		break;
	default:
		describe(w, p, r);
	}
}
