/*
 * import begin, import batch: what `bellhop import` asks for. The command reads the files, because
 * the engine may see neither /home nor where an old mailbox lies, and sends some messages at a time
 * with their bytes behind the request; a batch is one transaction, so deliveries go on between two.
 *
 * A batch: hash every message; those that an import has brought into this folder before are known
 * and cost no more. Parse the others and write large bodies, as LMTP does. Then, in the
 * transaction: find or make the folder, look again, add, note. So whatever is cut off, and
 * wherever, sending the batch again gives each message once.
 *
 * Threads: see admin.c. Limits: MESSAGES_MAX messages of a batch, admin_body_max() bytes,
 * eas.folders_max folders.
 */
#include <string.h>

#include "account/account.h"
#include "admin/admin_internal.h"
#include "base/crash_test.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"

#define MESSAGES_MAX 1000
#define BODY_SPARE   (1u << 20) /* a batch of small messages, whatever a large one may have */
#define FLAG_ACTIVE  2
#define VERB_REPLY   1 /* [MS-ASEMAIL] LastVerbExecuted */
#define VERB_FORWARD 3
#define UNREAD_TOO   (2 * STORE_POISON_CRASHES)
#define DEPTH_MAX    32

enum outcome { PENDING, ADDED, KNOWN, FAILED };

struct incoming {
	const uint8_t *bytes;
	size_t len;
	const char *flags; /* letters of Maildir */
	uint8_t hash[STORE_IMPORT_HASH];
	struct account_mail mail;
	struct account_past past;
	bool prepared;
	enum outcome outcome;
	const char *why; /* FAILED */
};

struct batch {
	struct admin_call *call;
	struct admin_limits limits;
	struct owner_id owner;
	const char *names[DEPTH_MAX]; /* of the folder and those above it */
	size_t depth;                 /* 0: the Inbox */
	bool trashed;                 /* into Deleted Items */
	struct incoming *messages;
	size_t count;
	struct folder_id folder;
};

uint64_t admin_body_max(struct admin *admin)
{
	return admin_limits_now(admin).message_max_bytes + BODY_SPARE;
}

static int begin(struct admin_call *call, struct err *err)
{
	const struct admin_limits *limits = call->then_owner;
	struct user *user;

	if (admin_user(call, &user, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put_number(call->result, "message_max_bytes", limits->message_max_bytes);
	return 0;
}

/* The limits are under a lock, which no transaction may take. */
int admin_import_begin(struct admin_call *call, struct err *err)
{
	struct admin_limits *limits = arena_x_alloc(call->arena, sizeof(*limits));

	(void)err;
	*limits = admin_limits_now(call->admin);
	call->then_owner = limits;
	call->then = begin;
	return 0;
}

/* ---- the request ---- */

static int parse_folder(struct batch *b, const json_t *request, struct err *err)
{
	const json_t *names = json_object_get(request, "folder");

	b->trashed = json_is_true(json_object_get(request, "trashed"));
	if (json_array_size(names) > DEPTH_MAX)
		return err_set(err, ERR_BAD_INPUT, "a folder has at most %d above it", DEPTH_MAX);
	for (size_t i = 0; i < json_array_size(names); i++) {
		b->names[i] = json_string_value(json_array_get(names, i));
		if (b->names[i] == NULL || *b->names[i] == '\0')
			return err_set(err, ERR_BAD_INPUT, "\"folder\" is a list of names");
	}
	b->depth = json_array_size(names);
	return 0;
}

/* [length, "FS", date] */
static int parse_message(
	struct incoming *in, const json_t *row, const uint8_t *bytes, size_t left, struct err *err)
{
	json_int_t len = json_integer_value(json_array_get(row, 0));

	in->flags = json_string_value(json_array_get(row, 1));
	if (len <= 0 || (uint64_t)len > left || in->flags == NULL)
		return err_set(err, ERR_BAD_INPUT, "a message is [length, flags, date]");
	in->bytes = bytes;
	in->len = (size_t)len;
	in->past.received_at = json_integer_value(json_array_get(row, 2));
	return 0;
}

static int parse(struct batch *b, struct err *err)
{
	const json_t *request = json_object_get(b->call->args, "batch");
	const json_t *rows = json_object_get(request, "messages");
	size_t at = 0;

	if (parse_folder(b, request, err) < 0)
		return -1;
	b->count = json_array_size(rows);
	if (b->count > MESSAGES_MAX)
		return err_set(err, ERR_BAD_INPUT, "a batch has at most %d messages", MESSAGES_MAX);
	b->messages = arena_x_alloc(b->call->arena, MAX(b->count, 1) * sizeof(*b->messages));
	memset(b->messages, 0, MAX(b->count, 1) * sizeof(*b->messages));
	for (size_t i = 0; i < b->count; i++) {
		if (parse_message(&b->messages[i], json_array_get(rows, i), b->call->body + at,
			    b->call->body_len - at, err) < 0)
			return -1;
		at += b->messages[i].len;
	}
	return at == b->call->body_len
		       ? 0
		       : err_set(err, ERR_BAD_INPUT, "the lengths do not make up the bytes");
}

/* ---- the folder ---- */

static bool is_mail(const struct folder *f)
{
	return (f->type >= FOLDER_USER_GENERIC && f->type <= FOLDER_OUTBOX) ||
	       f->type == FOLDER_USER_MAIL;
}

/* How other programs call what every user has. */
static const struct {
	const char *name;
	enum folder_type type;
	enum folder_role role;
} aliases[] = {
	{"INBOX", FOLDER_INBOX, FOLDER_ROLE_NONE},
	{"Draft", FOLDER_DRAFTS, FOLDER_ROLE_NONE},
	{"Drafts", FOLDER_DRAFTS, FOLDER_ROLE_NONE},
	{"Sent", FOLDER_SENT, FOLDER_ROLE_NONE},
	{"Sent Items", FOLDER_SENT, FOLDER_ROLE_NONE},
	{"Sent Mail", FOLDER_SENT, FOLDER_ROLE_NONE},
	{"Sent Messages", FOLDER_SENT, FOLDER_ROLE_NONE},
	{"Trash", FOLDER_DELETED, FOLDER_ROLE_NONE},
	{"Deleted", FOLDER_DELETED, FOLDER_ROLE_NONE},
	{"Deleted Items", FOLDER_DELETED, FOLDER_ROLE_NONE},
	{"Deleted Messages", FOLDER_DELETED, FOLDER_ROLE_NONE},
	{"Outbox", FOLDER_OUTBOX, FOLDER_ROLE_NONE},
	{"Junk", FOLDER_USER_MAIL, FOLDER_ROLE_JUNK},
	{"Junk E-mail", FOLDER_USER_MAIL, FOLDER_ROLE_JUNK},
	{"Spam", FOLDER_USER_MAIL, FOLDER_ROLE_JUNK},
};

static const struct folder *find_special(
	const struct folder *all, size_t count, enum folder_type type, enum folder_role role)
{
	for (size_t i = 0; i < count; i++) {
		if (all[i].type == type && all[i].role == role)
			return &all[i];
	}
	return NULL;
}

static const struct folder *find_name(
	const struct folder *all, size_t count, struct folder_id parent, const char *name)
{
	const struct folder *similar = NULL;

	for (size_t i = 0; i < count; i++) {
		if (all[i].parent.v != parent.v || !is_mail(&all[i]))
			continue;
		if (str_eq(all[i].name, name))
			return &all[i];
		if (similar == NULL && str_eq_nocase(all[i].name, name))
			similar = &all[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(aliases) && similar == NULL && parent.v == 0; i++) {
		if (str_eq_nocase(aliases[i].name, name))
			similar = find_special(all, count, aliases[i].type, aliases[i].role);
	}
	return similar;
}

/* A calendar, or the like, may have that name: then mail lies in "Calendar (mail)". */
static const char *usable_name(const struct folder *all, size_t count, struct folder_id parent,
	const char *name, struct arena *arena)
{
	for (size_t i = 0; i < count; i++) {
		if (all[i].parent.v == parent.v && !is_mail(&all[i]) && str_eq(all[i].name, name))
			return arena_x_printf(arena, "%.1000s (mail)", name);
	}
	return name;
}

/* tx NULL: only looked for. *ret 0: it is not there. */
static int resolve(struct batch *b, struct store_read *rd, struct store_tx *tx,
	struct folder_id *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct folder *found;
	struct folder_id at = {0};
	struct folder *all;
	size_t count;

	if (store_folder_list(rd, b->owner, arena, &all, &count, err) < 0)
		return -1;
	if (b->trashed || b->depth == 0) {
		found = find_special(
			all, count, b->trashed ? FOLDER_DELETED : FOLDER_INBOX, FOLDER_ROLE_NONE);
		if (found == NULL)
			return err_set(err, ERR_NOT_FOUND, "the user has no such folder");
		*ret = found->id;
		return 0;
	}
	for (size_t i = 0; i < b->depth; i++) {
		const char *name = usable_name(all, count, at, b->names[i], arena);

		found = find_name(all, count, at, name);
		if (found != NULL) {
			at = found->id;
			continue;
		}
		if (tx == NULL) {
			ret->v = 0;
			return 0;
		}
		if (count >= b->limits.folders_max)
			return err_set(err, ERR_QUOTA,
				"the folder %.200s would be one more than eas.folders_max", name);
		if (store_folder_add(tx, b->owner, at, name, FOLDER_USER_MAIL, &at, err) < 0)
			return err_wrap(err, "the folder %.200s", name);
		count = 0; /* below a new folder there is none */
	}
	*ret = at;
	return 0;
}

/* ---- before the transaction ---- */

static int find_known(struct batch *b, struct err *err)
{
	struct folder_id folder = {0};
	struct store_read *rd;
	int rc = 0;

	if (store_read_begin(b->call->admin->options.store, &rd, err) < 0)
		return -1;
	rc = resolve(b, rd, NULL, &folder, err);
	for (size_t i = 0; rc == 0 && i < b->count; i++) {
		struct incoming *in = &b->messages[i];
		bool known = false;

		store_import_hash(in->bytes, in->len, in->hash);
		if (folder.v != 0)
			rc = store_import_known(rd, b->owner, folder, in->hash, &known, err);
		if (known)
			in->outcome = KNOWN;
	}
	store_read_end(&rd);
	return rc;
}

static uint64_t crashes_on(const struct batch *b, uint64_t hash)
{
	struct store *store = b->call->admin->options.store;
	int64_t since_at = b->call->now_at - (int64_t)b->limits.refuse_s;
	const struct owner_id nobody = {0};
	struct err ignored = ERR_INIT;
	struct store_read *rd;
	uint64_t crashes = 0;

	if (!store_poison_any(store) || store_read_begin(store, &rd, &ignored) < 0)
		return 0;
	if (store_poison_crashes(rd, nobody, hash, since_at, &crashes, &ignored) < 0)
		crashes = 0;
	store_read_end(&rd);
	return crashes;
}

/* The Received field, else what the other mailbox says, else now; never a time to come. */
static void fill_past(const struct batch *b, struct incoming *in, bool unread)
{
	struct account_past *past = &in->past;
	int64_t at = unread ? 0 : mime_received_at(in->bytes, in->len), now_at = b->call->now_at;

	if (at <= 0 || at > now_at)
		at = past->received_at;
	if (at <= 0 || at > now_at)
		at = now_at;
	past->received_at = at;
	past->is_read = strchr(in->flags, 'S') != NULL;
	past->flag_status = strchr(in->flags, 'F') != NULL ? FLAG_ACTIVE : 0;
	past->last_verb = strchr(in->flags, 'R') != NULL   ? VERB_REPLY
			  : strchr(in->flags, 'P') != NULL ? VERB_FORWARD
							   : 0;
	past->last_verb_at = past->last_verb != 0 ? at : 0;
}

static int prepare_bytes(const struct batch *b, struct incoming *in, bool unread, struct err *err)
{
	struct store *store = b->call->admin->options.store;

	if (unread) {
		log_error(NULL, "message_taken_unread", F_UINT("bytes", in->len),
			F_UINT("recipients", 1));
		return account_mail_prepare_unread(store, in->bytes, in->len, &in->mail, err);
	}
	CRASH_TEST_FAULT(in->bytes, in->len, "bellhop-crash-parser");
	return account_mail_prepare(store, in->bytes, in->len, &b->limits.mime, &in->mail, err);
}

static void fail(struct batch *b, struct incoming *in, const char *why)
{
	in->outcome = FAILED;
	in->why = arena_x_strdup(b->call->arena, why);
}

/* -1: not this message's fault. */
static int prepare(struct batch *b, struct incoming *in, struct err *err)
{
	uint64_t hash = notes_hash(0, in->bytes, in->len), crashes = crashes_on(b, hash);
	bool unread = crashes >= STORE_POISON_CRASHES;
	char text[128];
	int rc;

	if (in->len > b->limits.message_max_bytes) {
		(void)snprintf(text, sizeof(text), "%zu bytes are more than the limit of %llu",
			in->len, (unsigned long long)b->limits.message_max_bytes);
		fail(b, in, text);
		return 0;
	}
	if (crashes >= UNREAD_TOO) {
		fail(b, in, "the engine crashed on this message");
		return 0;
	}
	notes_begin(NOTE_MAIL, hash, 0, 0, "import");
	fill_past(b, in, unread);
	rc = prepare_bytes(b, in, unread, err);
	notes_end();
	in->prepared = rc == 0;
	if (rc < 0 && (err->code == ERR_BAD_INPUT || err->code == ERR_INTERNAL)) {
		fail(b, in, err->text);
		*err = (struct err)ERR_INIT;
		rc = 0;
	}
	return rc;
}

/* ---- the transaction ---- */

static int add_one(struct store_tx *tx, struct batch *b, struct incoming *in, struct user *user,
	struct err *err)
{
	struct item_id id;
	bool known;

	if (store_import_known(store_tx_read(tx), b->owner, b->folder, in->hash, &known, err) < 0)
		return -1;
	if (known) {
		in->outcome = KNOWN;
		return 0;
	}
	if (user->quota_bytes > 0 && (user->used_bytes > user->quota_bytes ||
					     in->len > user->quota_bytes - user->used_bytes)) {
		in->outcome = FAILED;
		in->why = "the mailbox is full";
		return 0;
	}
	if (account_mail_add_past(tx, b->owner, b->folder, &in->mail, &in->past, &id, err) < 0 ||
		store_import_note(tx, b->owner, b->folder, in->hash, b->call->now_at, err) < 0)
		return -1;
	user->used_bytes += in->len;
	in->outcome = ADDED;
	return 0;
}

static int batch_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct batch *b = owner;
	struct user *user;

	if (store_user_load(store_tx_read(tx), b->owner, arena, &user, err) < 0 ||
		resolve(b, store_tx_read(tx), tx, &b->folder, err) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		if (b->messages[i].prepared && add_one(tx, b, &b->messages[i], user, err) < 0)
			return -1;
	}
	return 0;
}

static void release(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		if (b->messages[i].prepared)
			account_mail_release(&b->messages[i].mail);
	}
}

static void put_result(struct batch *b)
{
	uint64_t added = 0, known = 0;
	json_t *failed = json_array();

	for (size_t i = 0; i < b->count; i++) {
		struct incoming *in = &b->messages[i];

		added += in->outcome == ADDED;
		known += in->outcome == KNOWN;
		if (in->outcome == FAILED) {
			json_t *row = json_object();

			admin_put_number(row, "at", i);
			admin_put(row, "text", in->why);
			(void)json_array_append_new(failed, row);
		}
	}
	admin_put_number(b->call->result, "added", added);
	admin_put_number(b->call->result, "known", known);
	(void)json_object_set_new(b->call->result, "failed", failed);
}

static int find_owner(struct batch *b, struct err *err)
{
	struct user *user;
	int rc;

	if (store_read_begin(b->call->admin->options.store, &b->call->rd, err) < 0)
		return -1;
	rc = admin_user(b->call, &user, err);
	store_read_end(&b->call->rd);
	if (rc == 0)
		b->owner = user->id;
	return rc;
}

int admin_import_batch(struct admin_call *call, struct err *err)
{
	struct batch b = {.call = call, .limits = admin_limits_now(call->admin)};
	int rc;

	if (find_owner(&b, err) < 0 || parse(&b, err) < 0 || find_known(&b, err) < 0)
		return -1;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < b.count; i++) {
		if (b.messages[i].outcome == PENDING)
			rc = prepare(&b, &b.messages[i], err);
	}
	if (rc == 0)
		rc = store_transact(call->admin->options.store, batch_tx, &b, err);
	release(&b);
	if (rc == 0)
		put_result(&b);
	return rc;
}
