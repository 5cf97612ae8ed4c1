/*
 * Answers of users who are out of office. Preparing asks the cheap questions first: who gets this
 * message and is away? May a program answer it, and is the user named in To or Cc? Only then an
 * answer is written, for each such user one. The transaction asks the memory whether the sender had
 * his answer, and puts it into the queue or into the Inbox of a sender who is a user here.
 *
 * No loops: an answer has the null sender and says Auto-Submitted, so no good program answers it;
 * to a user of this server it goes straight into the mailbox, and nothing here answers that.
 *
 * Limits: ADDRESSES_MAX of To and Cc are looked at, SUBJECT_MAX bytes of the subject are told,
 * REFERENCES_MAX message ids; mail.oof_senders_max; half of relay.queue_per_user, so that answers
 * never keep the user himself from sending.
 */
#include "submit/oof_reply.h"

#include <string.h>

#include "account/account.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_queue.h"

#define ADDRESSES_MAX  ((size_t)200)
#define SUBJECT_MAX    ((size_t)200)
#define REFERENCES_MAX 10
#define MSGID_MAX      ((size_t)250)
#define DAY_S          86400

enum { OOF_OFF = 0, OOF_ON = 1, OOF_TIMED = 2 };

struct reply {
	struct user *user; /* who is away */
	const char *from;  /* his address that the message was sent to */
	struct buf raw;
	struct account_mail mail;
	bool prepared;
};

struct oof_replies {
	struct oof_reply_request req;
	struct arena *arena;
	char *sender;           /* lower case: the memory's key */
	bool is_local;          /* the sender's domain is one of ours */
	struct owner_id target; /* the sender, when he is a user here */
	struct reply *replies;  /* room for each owner */
	size_t count;
	bool queued; /* set by the transaction */
};

/* ---- who may be answered ---- */

/* Addresses that programs write under (RFC 3834, section 2, and what is usual). */
static bool is_robot(const char *address)
{
	static const char *const whole[] = {"mailer-daemon", "listserv", "majordomo", "nobody"};
	static const char *const first[] = {"owner-", "noreply", "no-reply", "no_reply",
		"donotreply", "do-not-reply", "do_not_reply", "bounce", "mailer-daemon"};
	static const char *const last[] = {"-request", "-owner", "-bounces", "-noreply"};
	CLEANUP(mem_freep) char *local = x_strdup(address);
	char *at = strrchr(local, '@');

	if (at != NULL)
		*at = '\0';
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		if (str_eq(local, whole[i]))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		if (str_starts(local, first[i]))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(last); i++) {
		if (str_ends(local, last[i]))
			return true;
	}
	return false;
}

static bool is_away(const struct oof *oof, int64_t now_at)
{
	return oof->state == OOF_ON ||
	       (oof->state == OOF_TIMED && now_at >= oof->start_at && now_at < oof->end_at);
}

/* Contacts are not kept here, so nobody outside is known to be one: a message for contacts alone
 * goes to nobody. */
static const struct oof_message *message_for(const struct oof_replies *r, const struct oof *oof)
{
	const struct oof_message *m =
		&oof->messages[r->is_local ? OOF_INTERNAL : OOF_EXTERNAL_UNKNOWN];

	return m->enabled && m->text[strspn(m->text, " \t\r\n")] != '\0' ? m : NULL;
}

/* 0: *r says who the sender is. 1: nobody is to be answered. */
static int look_at_sender(struct store_read *rd, struct oof_replies *r, struct err *err)
{
	const struct settings *s = r->req.settings;
	struct user *user;

	if (store_domain_exists(rd, strrchr(r->sender, '@') + 1, &r->is_local, err) < 0)
		return -1;
	if (!r->is_local)
		return s->relay_host[0] == '\0';
	if (store_user_find_address(rd, r->sender, r->arena, &user, err) == 0) {
		r->target = user->id;
		return 0;
	}
	return err->code == ERR_NOT_FOUND ? 1 : -1;
}

/* ---- the answer ---- */

static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static void add_subject(const struct oof_replies *r, struct buf *out)
{
	char *subject = mime_field_text(r->arena, r->req.raw, r->req.len, "subject");
	const char *text;

	if (subject == NULL || *(subject = str_trim(subject)) == '\0') {
		buf_add_str(out, "Subject: Automatic reply\r\n");
		return;
	}
	subject[utf8_floor(subject, strlen(subject), SUBJECT_MAX)] = '\0';
	text = arena_x_printf(r->arena, "Automatic reply: %s", subject);
	buf_add_str(out, "Subject: ");
	if (is_plain(text) && strstr(text, "=?") == NULL)
		buf_add_str(out, text);
	else
		mime_header_encode(out, text, strlen(text));
	buf_add_str(out, "\r\n");
}

static bool is_msgid(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>')
			return false;
	}
	return len > 0 && len <= MSGID_MAX;
}

/* The last of them, each on a line of its own. */
static void add_references(const struct oof_replies *r, struct buf *out)
{
	const char *at = mime_field_text(r->arena, r->req.raw, r->req.len, "references");
	const char *ids[REFERENCES_MAX];
	size_t lens[REFERENCES_MAX], count = 0;

	while (at != NULL && (at = strchr(at, '<')) != NULL) {
		size_t len = strcspn(++at, ">");

		if (at[len] == '>' && is_msgid(at, len)) {
			ids[count % REFERENCES_MAX] = at;
			lens[count++ % REFERENCES_MAX] = len;
		}
	}
	for (size_t i = count > REFERENCES_MAX ? count - REFERENCES_MAX : 0; i < count; i++)
		buf_addf(
			out, " <%.*s>\r\n", (int)lens[i % REFERENCES_MAX], ids[i % REFERENCES_MAX]);
}

static void add_threading(
	const struct oof_replies *r, const struct mime_envelope *original, struct buf *out)
{
	const char *id = original->message_id;

	if (!is_msgid(id, strlen(id)))
		return;
	buf_addf(out, "In-Reply-To: <%s>\r\nReferences:\r\n", id);
	add_references(r, out);
	buf_addf(out, " <%s>\r\n", id);
}

static void add_text(const struct oof_message *message, struct buf *out)
{
	struct buf text = BUF_INIT;

	for (const char *p = message->text; *p != '\0'; p++) {
		if (*p == '\n' && (p == message->text || p[-1] != '\r'))
			buf_add_byte(&text, '\r');
		buf_add_byte(&text, (uint8_t)*p);
	}
	for (size_t at = 0; at < text.len; at += 57) {
		base64_add(out, text.data + at, MIN(text.len - at, (size_t)57));
		buf_add_str(out, "\r\n");
	}
	out->failed = out->failed || text.failed;
	buf_deinit(&text);
}

static void compose(const struct oof_replies *r, struct reply *reply,
	const struct mime_envelope *original, const struct oof_message *message)
{
	struct buf *out = &reply->raw;
	const char *name = reply->user->display_name;

	if (r->target.v != 0)
		buf_add_str(out, "Return-Path: <>\r\n");
	buf_add_str(out, "From: ");
	if (name != NULL && *name != '\0') {
		mime_header_encode(out, name, strlen(name));
		buf_add_byte(out, ' ');
	}
	buf_addf(out, "<%s>\r\nTo: <%s>\r\n", reply->from, r->req.sender);
	add_subject(r, out);
	buf_add_str(out, "Date: ");
	mime_add_date(out, r->req.now_at);
	buf_addf(out, "\r\nMessage-ID: <%016llx%016llx@%s>\r\n", (unsigned long long)random_u64(),
		(unsigned long long)random_u64(), r->req.settings->hostname);
	add_threading(r, original, out);
	buf_addf(out,
		"Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/%s; charset=utf-8\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n",
		message->html ? "html" : "plain");
	add_text(message, out);
}

/* ---- before the transaction ---- */

/* Users here that To and Cc name; the first address of each. */
static const char *named_as(struct store_read *rd, const struct oof_replies *r,
	const struct mime_envelope *original, struct owner_id owner)
{
	for (size_t i = 0; i < MIN(original->to_count, ADDRESSES_MAX); i++) {
		struct err ignored = ERR_INIT;
		struct user *user;

		if (store_user_find_address(rd, original->to[i], r->arena, &user, &ignored) == 0 &&
			user->id.v == owner.v)
			return arena_x_strdup(r->arena, original->to[i]);
	}
	return NULL;
}

static int add_reply(struct store_read *rd, struct oof_replies *r,
	const struct mime_envelope *original, struct owner_id owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct reply *reply = &r->replies[r->count];
	const struct oof_message *message;
	struct oof oof;

	if (store_oof_load(rd, owner, arena, &oof, err) < 0)
		return -1;
	message = is_away(&oof, r->req.now_at) ? message_for(r, &oof) : NULL;
	if (message == NULL || owner.v == r->target.v)
		return 0;
	*reply = (struct reply){.from = named_as(rd, r, original, owner)};
	if (reply->from == NULL)
		return 0;
	if (store_user_load(rd, owner, r->arena, &reply->user, err) < 0)
		return -1;
	buf_init(&reply->raw, 0);
	r->count++;
	compose(r, reply, original, message);
	return reply->raw.failed ? err_set(err, ERR_INTERNAL, "no memory for an answer") : 0;
}

/* Most mail is for users who are there: one question each, and nothing else is done. */
static int anyone_away(
	struct store_read *rd, const struct oof_reply_request *req, bool *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	*ret = false;
	for (size_t i = 0; i < req->owner_count && !*ret; i++) {
		struct oof oof;

		arena_clear(arena);
		if (store_oof_load(rd, req->owners[i], arena, &oof, err) < 0)
			return -1;
		*ret = is_away(&oof, req->now_at);
	}
	return 0;
}

static int collect(struct store_read *rd, struct oof_replies *r, struct err *err)
{
	const struct oof_reply_request *req = &r->req;
	struct mime_envelope *original;
	bool any;
	int rc;

	if (anyone_away(rd, req, &any, err) < 0)
		return -1;
	if (!any || mime_is_automatic(req->raw, req->len))
		return 0;
	rc = look_at_sender(rd, r, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	/* What has no header names nobody. */
	if (mime_envelope_read(r->arena, req->raw, req->len, &original, err) < 0)
		return err->code == ERR_BAD_INPUT ? 0 : -1;
	r->replies = arena_x_alloc(r->arena, req->owner_count * sizeof(*r->replies));
	for (size_t i = 0; i < req->owner_count; i++) {
		if (add_reply(rd, r, original, req->owners[i], err) < 0)
			return -1;
	}
	return 0;
}

static int prepare(struct store *store, struct oof_replies *r, struct err *err)
{
	struct store_read *rd;
	int rc;

	if (store_read_begin(store, &rd, err) < 0)
		return -1;
	rc = collect(rd, r, err);
	store_read_end(&rd);
	for (size_t i = 0; i < r->count && rc == 0; i++) {
		struct reply *reply = &r->replies[i];

		rc = account_mail_prepare(
			store, reply->raw.data, reply->raw.len, r->req.limits, &reply->mail, err);
		reply->prepared = rc == 0;
	}
	return rc;
}

struct oof_replies *oof_replies_prepare(struct store *store, const struct oof_reply_request *req)
{
	CLEANUP(oof_replies_free) struct oof_replies *r = NULL;
	struct err err = ERR_INIT;

	if (req->settings == NULL || !req->settings->mail_oof_replies ||
		!mime_address_is_valid(req->sender))
		return NULL;
	r = x_new(struct oof_replies);
	r->req = *req;
	r->arena = arena_new(0);
	r->req.sender = arena_x_strdup(r->arena, req->sender);
	r->sender = str_lower(arena_x_strdup(r->arena, req->sender));
	if (is_robot(r->sender))
		return NULL;
	if (prepare(store, r, &err) == 0)
		return r->count > 0 ? TAKE(r) : NULL;
	log_warn(NULL, "oof_reply_finished", F_STR("result", err_code_to_str(err.code)),
		F_ERR(&err));
	return NULL;
}

/* ---- the transaction ---- */

static int enqueue(
	struct store_tx *tx, struct oof_replies *r, const struct reply *reply, struct err *err)
{
	const struct settings *s = r->req.settings;
	const char *const recipients[] = {r->req.sender};
	const struct queue_new mail = {.owner = reply->user->id,
		.sender = "",
		.recipients = recipients,
		.recipient_count = 1,
		.body = &reply->mail.body,
		.now_at = r->req.now_at,
		.mails_max = s->relay_queue_max,
		.bytes_max = s->relay_queue_max_bytes,
		.mails_per_owner_max = MAX(s->relay_queue_per_user / 2, (uint64_t)1)};
	struct queue_id id;

	if (store_queue_add(tx, &mail, &id, err) < 0)
		return -1;
	r->queued = true;
	return 0;
}

static int send_reply(
	struct store_tx *tx, struct oof_replies *r, const struct reply *reply, struct err *err)
{
	const struct device_id nobody = {0};
	struct item_id id;

	if (r->target.v == 0)
		return enqueue(tx, r, reply, err);
	return account_mail_add(
		tx, r->target, FOLDER_INBOX, &reply->mail, r->req.now_at, false, nobody, &id, err);
}

int oof_replies_apply(
	struct store_tx *tx, struct oof_replies *r, struct owner_id owner, struct err *err)
{
	const struct settings *s = r != NULL ? r->req.settings : NULL;
	const struct reply *reply = NULL;
	int rc;

	for (size_t i = 0; r != NULL && i < r->count; i++) {
		if (r->replies[i].user->id.v == owner.v)
			reply = &r->replies[i];
	}
	if (reply == NULL)
		return 0;
	rc = store_oof_may_reply(tx, owner, r->sender,
		r->req.now_at - (int64_t)s->mail_oof_days * DAY_S, s->mail_oof_senders_max, err);
	if (rc <= 0)
		return rc;
	if (send_reply(tx, r, reply, err) == 0)
		return store_oof_note_reply(tx, owner, r->sender, r->req.now_at, err);
	/* No room for it, or its addressee is gone meanwhile: found before anything was written. */
	if (r->target.v != 0 ? err->code != ERR_QUOTA && err->code != ERR_NOT_FOUND
			     : err->code != ERR_BUSY && err->code != ERR_DENIED)
		return -1;
	*err = (struct err)ERR_INIT;
	return 0;
}

void oof_replies_kick(const struct oof_replies *r)
{
	if (r != NULL && r->queued && r->req.queue != NULL)
		submit_queue_kick(r->req.queue);
}

void oof_replies_free(struct oof_replies **replies)
{
	struct oof_replies *r = *replies;

	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++) {
		if (r->replies[i].prepared)
			account_mail_release(&r->replies[i].mail);
		buf_deinit(&r->replies[i].raw);
	}
	arena_free(&r->arena);
	mem_free(r);
	*replies = NULL;
}
