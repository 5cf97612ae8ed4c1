#ifndef BELLHOP_ADMIN_VERBS_H
#define BELLHOP_ADMIN_VERBS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What an administrator can ask for: names, arguments, help. The server checks requests against it;
 * the command line builds its options, its --help and its tables from it.
 */
enum admin_verb_id {
	ADMIN_USER_ADD,
	ADMIN_USER_PASSWD,
	ADMIN_USER_LIST,
	ADMIN_USER_SHOW,
	ADMIN_USER_DISABLE,
	ADMIN_USER_ENABLE,
	ADMIN_USER_QUOTA,
	ADMIN_USER_EXPIRY,
	ADMIN_USER_DEL,
	ADMIN_USER_ADMIN,
	ADMIN_APP_PASSWORD_ADD,
	ADMIN_APP_PASSWORD_LIST,
	ADMIN_APP_PASSWORD_REVOKE,
	ADMIN_OOF_SHOW,
	ADMIN_OOF_SET,
	ADMIN_SESSION_LIST,
	ADMIN_SESSION_END,
	ADMIN_TOKEN_ADD,
	ADMIN_TOKEN_LIST,
	ADMIN_TOKEN_REVOKE,
	ADMIN_ALIAS_ADD,
	ADMIN_ALIAS_DEL,
	ADMIN_ALIAS_LIST,
	ADMIN_DOMAIN_ADD,
	ADMIN_DOMAIN_DEL,
	ADMIN_DOMAIN_LIST,
	ADMIN_GROUP_ADD,
	ADMIN_GROUP_RANK,
	ADMIN_GROUP_DEL,
	ADMIN_GROUP_LIST,
	ADMIN_GROUP_SHOW,
	ADMIN_GROUP_JOIN,
	ADMIN_GROUP_LEAVE,
	ADMIN_DEVICE_LIST,
	ADMIN_DEVICE_SHOW,
	ADMIN_DEVICE_WIPE,
	ADMIN_DEVICE_CANCEL,
	ADMIN_DEVICE_CLEAR,
	ADMIN_DEVICE_WIPES,
	ADMIN_DEVICE_BLOCK,
	ADMIN_DEVICE_UNBLOCK,
	ADMIN_DEVICE_DEL,
	ADMIN_DEVICE_ALLOW,
	ADMIN_DEVICE_QUARANTINE,
	ADMIN_DEVICE_CEILING,
	ADMIN_ACCESS_LIST,
	ADMIN_ACCESS_SET,
	ADMIN_ACCESS_RULES,
	ADMIN_ACCESS_ADD,
	ADMIN_ACCESS_MOVE,
	ADMIN_ACCESS_DEL,
	ADMIN_ACCESS_TEST,
	ADMIN_ACCESS_MESSAGE,
	ADMIN_ACCESS_SET_MESSAGE,
	ADMIN_SERVICE_LIST,
	ADMIN_SERVICE_SHOW,
	ADMIN_SERVICE_SET,
	ADMIN_SERVICE_UNSET,
	ADMIN_DEVICE_CHECK,
	ADMIN_DEVICE_REPAIR,
	ADMIN_DEVICE_RESYNC,
	ADMIN_DEVICE_FOLDERS,
	ADMIN_DEVICE_WAITS,
	ADMIN_DEVICE_ERRORS,
	ADMIN_TRACE,
	ADMIN_ITEM_LIST,
	ADMIN_ITEM_RELEASE,
	ADMIN_QUEUE_LIST,
	ADMIN_QUEUE_RETRY,
	ADMIN_QUEUE_DROP,
	ADMIN_POLICY_SHOW,
	ADMIN_POLICY_SET,
	ADMIN_POLICY_ASSIGN,
	ADMIN_POLICY_UNASSIGN,
	ADMIN_POLICY_ASSIGNMENTS,
	ADMIN_POLICY_EXCEPT,
	ADMIN_POLICY_UNEXCEPT,
	ADMIN_POLICY_EXCEPTIONS,
	ADMIN_POLICY_EFFECTIVE,
	ADMIN_POLICY_SETTINGS,
	ADMIN_POLICY_CREATE,
	ADMIN_POLICY_COPY,
	ADMIN_POLICY_DELETE,
	ADMIN_POLICY_DEFAULT,
	ADMIN_POLICY_LIST,
	ADMIN_LOG_LIST,
	ADMIN_LOG_ACTIONS,
	ADMIN_LOG_EXPORT,
	ADMIN_STATUS,
	ADMIN_STATS,
	ADMIN_METRICS,
	ADMIN_OVERVIEW,
	ADMIN_RELOAD,
	ADMIN_RESTART,
	ADMIN_UPGRADE,
	ADMIN_IMPORT_BEGIN,
	ADMIN_IMPORT_BATCH,
	ADMIN_VERB_COUNT,
};

enum admin_arg_type {
	ADMIN_ARG_TEXT,
	ADMIN_ARG_ADDRESS, /* user@domain; given to verbs in lower case */
	ADMIN_ARG_DOMAIN,
	ADMIN_ARG_INT,
	ADMIN_ARG_FLAG,
	ADMIN_ARG_SECRET, /* a password: from a prompt, --password-file or standard input */
	ADMIN_ARG_JSON,   /* an object */
};

struct admin_arg {
	const char *name;
	enum admin_arg_type type;
	bool required;
	bool positional; /* on the command line: by place, else --name */
	const char *help;
};

#define ADMIN_ARGS_MAX 12

/* Two optional arguments of which exactly one is to be given; first NULL: none are. */
struct admin_choice {
	const char *first, *second;
	const char *neither, *both; /* what is said of a request with neither, with both */
};

/* For what cannot be taken back. */
enum admin_confirm {
	ADMIN_CONFIRM_NONE,
	ADMIN_CONFIRM_ASK, /* the command line asks when it has a terminal and no --yes */
	ADMIN_CONFIRM_YES, /* refused without "yes": true */
};

/*
 * What a token of the REST API must be allowed for a verb. Administrators have all of them in their
 * sessions; users have ADMIN_SCOPE_SELF, for the verbs that may be called for oneself.
 */
enum admin_scope {
	ADMIN_SCOPE_NONE, /* a verb without: only hidden ones, which the REST API does not offer */
	ADMIN_SCOPE_READ, /* everything that changes nothing */
	ADMIN_SCOPE_USERS,
	ADMIN_SCOPE_DEVICES,
	ADMIN_SCOPE_WIPE,
	ADMIN_SCOPE_POLICIES, /* groups too */
	ADMIN_SCOPE_ACCESS,   /* and service switches */
	ADMIN_SCOPE_QUEUE,
	ADMIN_SCOPE_SERVER,
	ADMIN_SCOPE_METRICS, /* /metrics alone */
	ADMIN_SCOPE_SELF,    /* /api/v1/me */
	ADMIN_SCOPE_COUNT,
};

struct admin_verb {
	const char *name; /* "user add" */
	const char *help;
	bool changes; /* leaves an event-log row */
	bool outside; /* does what no transaction may: runs before the one of its log row */
	enum admin_confirm confirm;
	struct admin_arg args[ADMIN_ARGS_MAX]; /* name NULL ends them */
	const char *
		columns; /* of the table for people: "address name ..."; "": result is one object */
	bool hidden;     /* a step of another verb: not on the command line, nor in its help */
	struct admin_choice choice;
	/*
	 * The REST API, below /api/v1. In a path {address} is the argument of that name; arguments
	 * that are not in the path come from the query of a GET or DELETE, and from the JSON object
	 * in the body of the others.
	 */
	enum admin_scope scope;
	const char *method; /* "GET", "POST", "PUT", "DELETE" */
	const char *path;   /* "/users/{address}/devices" */
	/* "/me/devices": the same for oneself, `address` is the caller's; NULL: administrators
	 * only. */
	const char *self_path;
};

extern const struct admin_verb admin_verbs[ADMIN_VERB_COUNT];

/* What the command line does by itself, on the data folder, with or without a server. */
enum admin_local_id {
	ADMIN_LOCAL_BACKUP,
	ADMIN_LOCAL_RESTORE,
	ADMIN_LOCAL_CHECK,
	ADMIN_LOCAL_IMPORT,
	ADMIN_LOCAL_EXPORT,
	ADMIN_LOCAL_DOCTOR,
	ADMIN_LOCAL_COUNT,
};
extern const struct admin_verb admin_local_verbs[ADMIN_LOCAL_COUNT];

/* "read", "users", ...; NULL for none. */
const char *admin_scope_to_str(enum admin_scope scope);
/* ADMIN_SCOPE_NONE when there is none of that name. */
enum admin_scope admin_scope_find(const char *name);

/* ADMIN_VERB_COUNT when there is none of that name. */
enum admin_verb_id admin_verb_find(const char *name);
size_t admin_verb_arg_count(const struct admin_verb *verb);
/* What is wrong with a request that has the first, the second argument of the verb's choice; NULL:
 * nothing. */
const char *admin_verb_choice(const struct admin_verb *verb, bool has_first, bool has_second);

#endif
