#ifndef BELLHOP_ADMIN_ADMIN_H
#define BELLHOP_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "mime/mime.h"
#include "policy/policy.h"
#include "store/store.h"

/*
 * Administration: one request in, one answer out, both one line of JSON, over
 * <runtime_dir>/admin.sock; the REST API (api/api.h) calls verbs by admin_run(). What can be asked
 * stands in one table (admin/verbs.h).
 *
 *     {"verb": "user add", "args": {"address": "anna@example.org", "password": "..."}}
 *     {"ok": true, "result": {...}}
 *     {"ok": false, "error": {"code": "not_found", "text": "..."}}
 *
 * Who may: struct admin_caller; everybody else gets `denied`. What changes something leaves a row
 * in the event log, in the same transaction.
 *
 * Bytes may follow a request; it begins with their count then, and they stand behind its newline:
 *
 *     {"body": 1234, "verb": "import batch", "args": {...}}
 *
 * Threads: admin_handle() from any worker thread (it blocks on the store and, for passwords, on
 * crypt(3)). Never log the request: it may hold a password.
 */
#define ADMIN_REQUEST_MAX (256u * 1024) /* bytes of one line; the listener refuses longer ones */

struct admin;
struct json_t;
struct telemetry;

/*
 * Who asks. LOCAL: a process of this machine, over the socket, by SO_PEERCRED: root and the user
 * the server runs as may do everything. SESSION: somebody who signed in on the web pages. TOKEN: a
 * script with an API token, which may do what its scopes say, on behalf of the user who made it.
 */
enum admin_caller_kind { ADMIN_CALLER_LOCAL, ADMIN_CALLER_SESSION, ADMIN_CALLER_TOKEN };

struct admin_caller {
	enum admin_caller_kind kind;
	uid_t uid;                /* LOCAL */
	struct owner_id user;     /* SESSION, TOKEN: whose */
	const char *user_address; /* the same, as text: "anna@example.org" */
	const char *actor;        /* as the event log names who did it, "web:anna@example.org" */
	const char *address;      /* where the request came from; "" for LOCAL */
	uint32_t scopes;          /* TOKEN: a bit (1 << scope) for each enum admin_scope */
	bool is_admin;            /* SESSION, TOKEN: the user is an administrator */
	bool for_self;            /* asked by the verb's self_path */
};

struct admin_counter {
	char name[64];
	uint64_t value;
};

struct admin_options {
	struct store *store;
	/* The file that the administrator edits, checked before a reload; NULL: `reload` is
	 * refused. */
	const char *config_path;
	/* The supervisor's line: 'R' is written to ask for a reload, 'E' for a restart of the
	 * engine. -1: both are refused. */
	int control_fd;
	/*
	 * Asks the supervisor for a reload and waits until it was taken over (0) or refused (-1).
	 * NULL: it is only asked.
	 */
	int (*reload)(void *owner, struct err *err);
	/* The same for an upgrade: 0 when it begins, which ends this engine. NULL: refused. */
	int (*upgrade)(void *owner, struct err *err);
	/* Makes the next Sync of a phone compare a whole folder (eas/repair.h). NULL: refused. */
	int (*repair)(void *owner, struct device_id device, struct owner_id folder_owner,
		struct folder_id folder, struct err *err);
	/* Makes a phone start over with a folder (eas/repair.h). NULL: refused. */
	int (*resync)(void *owner, struct device_id device, struct owner_id folder_owner,
		struct folder_id folder, struct err *err);
	/* Ends the withholding of an item from a phone (eas_release() there). ERR_NOT_FOUND: it is
	 * not withheld. NULL: refused. */
	int (*release)(void *owner, struct device_id device, struct owner_id folder_owner,
		struct folder_id folder, struct item_id item, struct err *err);
	/* The queue of outgoing mail is to look again. NULL: there is none. */
	void (*retry_queue)(void *owner);
	/*
	 * Fills up to max counters and returns how many; any thread. Known names: parked,
	 * connections, fronts, engine_pid, workers_busy. Others are shown by `stats` as they are.
	 * NULL: none.
	 */
	size_t (*counters)(void *owner, struct admin_counter *out, size_t max);
	/* Everything that is counted, in Prometheus' text format; any thread; blocks for a second
	 * at most. NULL: nothing. */
	void (*metrics)(void *owner, struct buf *out);
	/* Puts "series", "now" and "warnings" into the object. NULL: refused. */
	int (*overview)(void *owner, struct json_t *result, struct err *err);
	/* What the engine remembers of phones; must outlive it. NULL: nothing. */
	struct telemetry *telemetry;
	void *owner;
};

/* What may come in by an import, as for mail by LMTP; what a user may have; what else of the
 * configuration counts; what may be erased. */
struct admin_limits {
	uint64_t message_max_bytes;
	uint64_t folders_max;
	struct mime_limits mime;
	uint32_t refuse_s;
	uint32_t app_passwords_max;
	uint64_t oof_max_bytes; /* of one message */
	struct policy_rules policy; /* what the configuration says of provisioning */
	bool wipe_device, wipe_users_device; /* settings of [wipe] */
	uint32_t wipe_stale_days;
};

/* Copies the options; the store must outlive it. */
struct admin *admin_new(const struct admin_options *options);
void admin_free(struct admin **admin);

/* Any thread; before it an import is refused. */
void admin_set_limits(struct admin *admin, const struct admin_limits *limits);

/* Appends all metrics as Prometheus wants them (its Content-Type: text/plain; version=0.0.4). Any
 * thread; blocks for a second at most. */
void admin_metrics(struct admin *admin, struct buf *out);

/* The configuration in force, borrowed; any thread. Before it, the defaults. */
struct settings;
void admin_set_settings(struct admin *admin, const struct settings *settings);

/* How many bytes follow this line: 0 when none do; UINT64_MAX when it says something else. */
uint64_t admin_body_bytes(const char *line, size_t len);
/* The most that may follow one. Any thread. */
uint64_t admin_body_max(struct admin *admin);

struct admin_verb;
/*
 * The one place where it is decided whether a caller may do that, for verbs and for whatever is
 * described like one. args need not be checked. ERR_DENIED.
 */
NODISCARD int admin_may(const struct admin_caller *caller, const struct admin_verb *verb,
	const struct json_t *args, struct err *err);

/* A caller from this machine; *caller borrows actor, which is to hold ADMIN_ACTOR_MAX bytes. */
#define ADMIN_ACTOR_MAX 40
void admin_caller_local(struct admin_caller *caller, char actor[ADMIN_ACTOR_MAX], uid_t uid);

/* Appends one line with its newline; never fails: trouble becomes an answer. line need not be
 * terminated. */
void admin_handle(struct admin *admin, const char *line, size_t len,
	const struct admin_caller *caller, struct buf *out);
/* The same with the bytes that followed it; borrowed. */
void admin_handle_body(struct admin *admin, const char *line, size_t len, const void *body,
	size_t body_len, const struct admin_caller *caller, struct buf *out);
/*
 * One verb (enum admin_verb_id) with its arguments, an object that it may alter. *ret_result: an
 * object or an array; json_decref() it.
 */
NODISCARD int admin_run(struct admin *admin, unsigned verb, struct json_t *args,
	const struct admin_caller *caller, struct json_t **ret_result, struct err *err);
/*
 * What `log list` and `log export` search for, from their arguments (checked before): for who
 * writes the whole log to somebody, page by page (admin/log_export.h). The texts are those of args.
 */
NODISCARD int admin_log_filter(
	const struct json_t *args, struct arena *arena, struct log_filter *ret, struct err *err);

#endif
