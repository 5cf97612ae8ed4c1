#ifndef BELLHOP_MODEL_MODEL_H
#define BELLHOP_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "eas/eas.h"
#include "fiber.h"
#include "vfs.h"
#include "wbxml/wbxml.h"

/*
 * The model of phones, mail and trouble around the real store, sync and eas rooms. One user with
 * three folders; everything that happens is chosen by a seed (script.c). What each party believes
 * is kept apart:
 *
 *   ledger.c   what was committed, in the order of the commits, by whom
 *   phone.c    what a phone was told, and what it wants
 *   world.c    the server, which can be killed and started again
 *   request.c  what a phone says, and who takes the answer
 *   commands.c what it says beside that: moves.c, sends.c, hierarchy.c, drafts.c
 *   run.c      the rounds of a script, and the checks at its end
 */
enum { FOLDERS = 3, PHONES_MAX = 5, ITEMS_MAX = 768, ACTIONS_MAX = 240, TRACE_LINES = 200 };
enum { FOLDERS_KNOWN_MAX = 128, MAILS_MAX = 128 };
enum group { GROUP_READ, GROUP_FLAG, GROUP_CATEGORY, GROUPS };

#define START_AT ((int64_t)1790000000)
#define DAY_S    ((int64_t)86400)

/* ---- the truth ---- */

/* The values that a property had, oldest first. Read: 0, 1. The others: 0 none, else a number that
 * is used once. */
struct history {
	uint32_t *values;
	size_t count, cap;
};

struct truth {
	bool exists, deleted, sms;
	unsigned deleted_step;
	uint32_t uid; /* its subject is "m<uid>" */
	int64_t date_at;
	struct history groups[GROUPS];
};

/* What somebody is about to do; whether it was done the publisher tells. */
struct effect {
	unsigned folder;
	uint64_t item;
	bool deletes, adds; /* adds: a text message; item is not known yet */
	unsigned groups;    /* 1 << group */
	uint32_t values[GROUPS];
	uint32_t uid; /* of what is added, and its date, which nothing else has */
	int64_t date_at;
};

struct world;
struct phone;

struct writer {
	struct effect effects[64];
	size_t effect_count;
	uint32_t uids[16]; /* of new items, in their order */
	size_t uid_count, uid_next;
	bool read; /* they are from the beginning */
};

/* ---- phones ---- */

struct copy {
	bool held;
	uint32_t uid;
	uint32_t values[GROUPS];
};

/* A change that the server has not confirmed. */
struct pending {
	struct effect effect;
	bool sent;
	size_t since[GROUPS]; /* length of the history less one when it was sent first */
};

struct collection {
	char key[20];
	struct copy items[ITEMS_MAX];
	struct pending pending[24];
	size_t pending_count;
	uint8_t filter, conflict;
	bool conversations; /* ConversationMode, from 14.0 on */
	bool sms;           /* text messages, too; from 14.0 on */
	bool options_known; /* the server has confirmed them */
	/* Status 3 is right for requests begun before this step, and for the first one after it;
	 * 0: it would be wrong */
	unsigned restart_step;
	unsigned line;   /* from its beginning, or its restoring, on; no other has the same */
	unsigned copies; /* of its requests that came since the phone was answered */
};

struct sent_collection {
	unsigned folder;
	char key[20];
	unsigned line; /* of the collection, then */
	size_t pending_count;
	uint16_t window; /* 0: not given */
	bool options, get_changes, deletes_as_moves, fetch;
	uint64_t fetched;
};

/* One Sync request as it went out: enough to send it again, and to take its answer. */
struct request {
	unsigned phone;
	unsigned step;
	const char *version;
	struct buf body;
	struct sent_collection collections[FOLDERS];
	size_t count;
	bool begins[FOLDERS]; /* names key 0 of that folder */
	bool is_short;        /* empty or Partial: Status 13 asks for a whole one */
	bool is_partial;
	bool waits; /* to be held where there is nothing new */
	struct writer writer;
};

/* A draft as a phone knows it, and what a phone wants of one. */
struct draft {
	bool held;
	uint32_t uid, rev;
};

enum draft_kind { DRAFT_NONE, DRAFT_ADD, DRAFT_CHANGE, DRAFT_DELETE };

struct draft_op {
	enum draft_kind kind;
	bool sends;
	bool troubled; /* it was asked for in trouble: that answer may be repeated later */
	uint64_t item;
	uint32_t uid, rev; /* rev 0: nothing is written */
};

struct drafts {
	char key[20];
	bool restart;        /* Status 3 is right for the next request */
	const char *version; /* in which its key was given */
	struct draft items[ITEMS_MAX];
	struct draft_op op; /* not heard of yet */
};

/* What phones have heard of a draft. */
struct draft_fact {
	uint32_t heard_rev;
	uint8_t writers; /* phones */
	bool unwanted;   /* somebody wants it sent, or gone */
};

/* A request beside Sync of the three folders, which its phone repeats until it has heard of it. */
struct command {
	const char *name, *version, *params, *content_type;
	struct buf body;
	struct writer writer;
	uint32_t mail;         /* of sending: its uid */
	int64_t begun_at;      /* of sending */
	uint64_t folder;       /* of changing one */
	char folder_name[16];  /* its new one */
	struct draft_op draft; /* of a Sync of Drafts */
};

/* Its folders, as a phone was told of them. */
struct known_folder {
	uint64_t id;
	char name[32];
	bool own; /* phones may change it */
};

struct hierarchy {
	char key[20];
	bool restart;        /* Status 9 is right for the next request */
	bool due;            /* a held Sync was told that folders have changed */
	const char *version; /* in which it was told */
	struct known_folder folders[FOLDERS_KNOWN_MAX];
	size_t count;
};

/* What a phone has sent. */
struct mail {
	uint32_t uid;
	bool heard, refused; /* what the phone was told */
};

enum { VERSIONS = 7, VERSION_16_0 = 5 };
extern const char *const model_versions[VERSIONS];

struct phone {
	unsigned number;
	char device_id[16];
	unsigned version;               /* index */
	struct collection *collections; /* FOLDERS of them */
	struct collection *backup;      /* of an earlier day, or NULL */
	unsigned backup_version;
	struct request *last;    /* the newest request; NULL: none */
	bool last_answered;      /* and its answer was taken */
	bool last_empty;         /* which had no body */
	unsigned lines;          /* of its collections so far */
	bool copied;             /* since the last whole request a copy of some request arrived */
	unsigned news;           /* server commands in it */
	unsigned aged;           /* those of them that only say what has grown too old */
	bool more;               /* MoreAvailable in it */
	struct request *late[4]; /* copies that are still under way */
	size_t late_count;
	struct watch_id watch; /* of a held Sync; 0: none */
	struct request *held;
	bool marked;                          /* the watch wants to be looked at */
	struct command *move, *send, *change; /* not heard of yet; NULL: none */
	struct command *late_command;         /* a copy that is still under way */
	struct hierarchy hierarchy;
	struct drafts drafts;
};

/* ---- what happens ---- */

enum action_kind {
	ACT_SYNC,
	ACT_DELIVER,
	ACT_CLIENT, /* the second client: marks, flags, deletes, moves */
	ACT_LATE,   /* a request that was on its way for long arrives */
	ACT_CLOCK,
	ACT_SWEEP,
	ACT_RESTART, /* the phone begins with key 0 */
	ACT_VERSION,
	ACT_BACKUP,
	ACT_RESTORE,
	ACT_MOVE,
	ACT_SEND,
	ACT_FOLDER,
	ACT_DRAFT,
	ACT_KINDS
};

enum fate {
	FATE_ANSWERED,
	FATE_ANSWER_LOST,
	FATE_REQUEST_LOST, /* and arrives late, perhaps */
	FATE_TWICE,        /* the network sends it twice at once; the phone takes one answer */
	FATE_COPIED,       /* answered, and a copy arrives late */
	FATES
};

/* Independent of what happened before, so that a script can be printed and played elsewhere.
 * Numbers in pick[] choose modulo what there is to choose from. */
struct action {
	uint8_t round;
	uint8_t kind; /* enum action_kind */
	uint8_t phone;
	uint8_t fate;
	uint8_t folders; /* mask */
	uint8_t changes; /* how many new ones of the phone's own */
	uint16_t window, window_all;
	int8_t filter;   /* -1: as it is */
	int8_t conflict; /* -1: as it is */
	uint8_t form;    /* enum form */
	uint16_t bits;   /* enum action_bit */
	uint32_t amount; /* seconds, messages */
	uint32_t pick[6];
};

enum form { FORM_FULL, FORM_EMPTY, FORM_PARTIAL, FORM_HELD };
enum action_bit {
	BIT_OPTIONS = 1,
	BIT_NO_CHANGES = 2, /* GetChanges 0 */
	BIT_FINAL_DELETE = 4,
	BIT_FETCH = 8,
	BIT_PERMUTE = 16,        /* pending changes in another order */
	BIT_OLD = 32,            /* old mail is imported */
	BIT_TOGETHER = 64,       /* as one transaction */
	BIT_CONVERSATIONS = 128, /* the phone wants whole conversations, or no longer */
	BIT_SMS = 256,           /* the same of text messages */
	BIT_ADD = 512            /* it adds one */
};

struct script {
	uint64_t seed;
	unsigned phones, rounds;
	uint8_t versions[PHONES_MAX];
	uint8_t filters[PHONES_MAX], conflicts[PHONES_MAX];
	unsigned initial; /* messages that are there at the beginning */
	struct action actions[ACTIONS_MAX];
	size_t count;
	struct {
		uint8_t vfs;  /* enum vfs_fault */
		uint8_t step; /* 0, or the n-th step of a transaction fails ... */
		uint8_t n;
		uint8_t code; /* ... with this enum err_code */
	} faults[64];         /* per round */
};

void script_make(struct script *script, uint64_t seed);
/* One JSON object a line. */
void script_print(const struct script *script);

/* ---- the world ---- */

struct world {
	char dir[64], db_path[96], wal_path[96];
	uint8_t *image; /* a fresh database with one user */
	size_t image_len;
	const struct settings *settings;
	struct store *store;
	struct watches *watches;
	struct eas_server server;
	struct owner_id anna, bob; /* Bob gets what phones send */
	struct folder_id folders[FOLDERS], drafts;
	bool down; /* the store could not be opened */

	uint64_t seed;
	struct rng rng;
	unsigned step;
	uint32_t next_uid, next_value;
	struct truth *truth[FOLDERS]; /* ITEMS_MAX each, by item id */
	struct writer *doubtful;      /* the effects of transactions that failed */
	size_t doubtful_count;
	struct publication *published; /* and not in the ledger yet */
	size_t published_count, published_cap;
	struct phone phones[PHONES_MAX];
	unsigned phone_count;
	struct mail mails[MAILS_MAX];
	size_t mail_count;
	struct draft_fact draft_facts[ITEMS_MAX]; /* by uid */
	unsigned long requests;
	unsigned troubles; /* what failed: requests, deliveries, transactions */

	bool verbose, failed;
	bool trouble; /* a fault may have happened since the last flush */
	char *trace[TRACE_LINES];
	int trace_phone[TRACE_LINES];
	size_t trace_count;
};

/* Once per process; world_reset() makes it fresh for a seed. */
void world_init(struct world *w);
void world_deinit(struct world *w);
void world_reset(struct world *w, uint64_t seed);
void world_close(struct world *w);
/* After a cut: the process starts again from what the disk has. */
void world_reboot(struct world *w);
/* The database's pages are moved when it is time, by a thread; it has finished afterwards. */
void world_drain(struct world *w);
/* One HTTP request of a phone. The reply's body is the caller's. params: behind the query. */
void world_post(struct world *w, struct phone *p, const char *version, const char *command,
	const char *params, const char *content_type, const struct buf *body, struct arena *arena,
	struct eas_reply *reply);
/* The same with WBXML and no parameters. */
void world_request(struct world *w, struct phone *p, const char *version, const char *command,
	const struct buf *body, struct arena *arena, struct eas_reply *reply);
bool world_decode(struct world *w, struct arena *arena, const struct eas_reply *reply,
	struct wbxml_node **ret_root);
/* A message of the delivery agent into the Inbox; false: not accepted. */
bool world_deliver(struct world *w, const int64_t *dates, size_t count);

/* The first failure counts. phone: whose last actions are of interest; -1: nobody's. */
void model_fail(struct world *w, int phone, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void model_trace(struct world *w, int phone, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void model_print_trace(const struct world *w, int phone);

/* ---- ledger.c ---- */

void ledger_clear(struct world *w);
void ledger_free(struct world *w);
/* The store's publisher: by whom is fiber_owner(), a struct writer that lives until the flush. */
void ledger_publish(const struct change_event *events, size_t count, struct world *w);
/* Takes over what was published, in the order of the commits: a commit can be read, and others be
 * published, before its own publication. Nothing may be under way. */
void ledger_flush(struct world *w);
/* Compares the store with the ledger. doubtful: differences which a failed transaction explains are
 * taken over, as after a cut; else there may be none. */
void ledger_compare(struct world *w, bool doubtful);
/* This may have been committed, although nobody was told. */
void ledger_doubt(struct world *w, const struct writer *writer);
struct truth *ledger_item(struct world *w, unsigned folder, uint64_t item);
uint32_t ledger_value(const struct truth *t, enum group group);
size_t ledger_length(const struct truth *t, enum group group);
bool ledger_had(const struct truth *t, enum group group, size_t since, uint32_t value);
/* The pick-th living item of the folder; 0: there is none. */
uint64_t ledger_pick(const struct world *w, unsigned folder, uint32_t pick);
unsigned ledger_folder(const struct world *w, struct folder_id id);

/* How flags and categories are stored. */
void flag_blob(uint32_t value, struct buf *ret);
void category_blob(uint32_t value, struct buf *ret);

/* ---- phone.c ---- */

void phone_init(
	struct world *w, unsigned number, unsigned version, uint8_t filter, uint8_t conflict);
void phone_deinit(struct phone *p);
unsigned phone_version(const struct phone *p); /* times ten */
bool phone_sees(unsigned version, enum group group);
/* Does the server know that it wants whole conversations in that folder? */
bool phone_wants_conversations(const struct phone *p, unsigned folder);
/* Which conversation a message belongs to; 0: none. */
uint32_t model_conversation(uint32_t uid);
/* Forgets the folder: key 0. */
void phone_begin(struct phone *p, unsigned folder);
/* A change of its own, of something that it holds: done at once, and pending. */
void phone_change(struct world *w, struct phone *p, unsigned folder, const uint32_t pick[3]);
/* Text messages that it has not sent for certain are forgotten. */
void phone_drop_adds(struct phone *p);
void phone_may_restart(struct world *w, struct phone *p, unsigned folder);
/* Believes an answer. */
void phone_take(
	struct world *w, struct phone *p, const struct request *r, const struct wbxml_node *root);
/* Only shows it. */
void phone_trace(struct world *w, struct phone *p, const struct wbxml_node *root);
/* Compares what it holds with the ledger through its filter. */
void phone_compare(struct world *w, struct phone *p);
size_t phone_held(const struct phone *p, unsigned folder);
/* One that it holds; 0: none. */
uint64_t phone_pick(const struct phone *p, unsigned folder, uint32_t pick);

/* ---- sms.c ---- */

bool phone_wants_sms(const struct phone *p, unsigned folder);
void phone_add_sms(struct world *w, struct phone *p, unsigned folder);
void sms_encode_add(struct wbxml_writer *x, const struct effect *e);
void sms_encode_options(struct wbxml_writer *x, const struct collection *c);
void sms_take_answer(
	struct world *w, struct phone *p, const struct effect *e, const struct wbxml_node *answers);
bool sms_is_forgotten(const struct world *w, const struct truth *t);

/* ---- request.c ---- */

struct request *request_new(struct world *w, struct phone *p);
void request_free(struct request **r);
struct request *request_copy(const struct request *r);
void request_add(struct request *r, struct phone *p, const struct sent_collection *c);
/* wait_s: 0, or for how long it may be held. */
void request_encode(struct world *w, struct request *r, struct phone *p, unsigned window_all,
	unsigned wait_s, bool partial, uint32_t permute);
/* An answer that the network has. */
struct answer {
	struct arena *arena;
	struct eas_reply reply;
	struct wbxml_node *root;
	bool good; /* a phone can use it */
};
/* Sends it. hold: the phone goes on waiting when the server wants it to. */
void request_send(
	struct world *w, struct phone *p, struct request *r, bool hold, struct answer *ret);
/* A held Sync got a mark: look, and answer it. */
void request_poll(struct world *w, struct phone *p, struct answer *ret);
/* The phone gets it (r not NULL), or nobody does. After ledger_flush(). True: it did. */
bool answer_take(struct world *w, struct phone *p, const struct request *r, struct answer *answer);
void request_give_up(struct world *w, struct phone *p);

/* ---- commands.c ---- */

struct command *command_new(struct phone *p, const char *name);
void command_free(struct command **c);
struct command *command_copy(const struct command *c);
struct command *command_begin(struct world *w, struct phone *p, const struct action *a);
/* On a fiber. */
void command_send(struct world *w, struct phone *p, struct command *c, struct answer *ret);
/* The phone hears the answer, or nobody does (c NULL). After ledger_flush(). */
void command_take(struct world *w, struct phone *p, const struct command *c, struct answer *a);
/* Without trouble; for main. Takes c. */
void command_settle(struct world *w, struct phone *p, struct command *c);
/* Everything that the phone has not heard of; then its folders are compared. */
void commands_settle(struct world *w, struct phone *p);
void commands_free(struct phone *p);

/* moves.c, sends.c, hierarchy.c. _begin: NULL: there is nothing to do it with. _take: true: the
 * phone knows what became of it. */
struct command *moves_begin(struct world *w, struct phone *p, const struct action *a);
void moves_take(struct world *w, struct phone *p, const struct wbxml_node *root);
struct command *sends_begin(struct world *w, struct phone *p, const struct action *a);
bool sends_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root);
/* The server may have forgotten it by now. */
bool sends_given_up(const struct command *c);
void sends_note(struct world *w, uint32_t uid, bool heard);
bool sends_was_sent(struct world *w, uint32_t uid);
void sends_check(struct world *w);
bool drafts_can(const struct phone *p);
void drafts_begin(struct phone *p);
struct command *drafts_write(struct world *w, struct phone *p, const struct action *a);
void drafts_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root);
void drafts_settle(struct world *w, struct phone *p);
/* Compares all phones with the store. */
void drafts_check(struct world *w);
void hierarchy_begin(struct phone *p);
struct command *hierarchy_ask(struct world *w, struct phone *p);
struct command *hierarchy_change(struct world *w, struct phone *p, const struct action *a);
bool hierarchy_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root);
void hierarchy_settle(struct world *w, struct phone *p);

/* ---- client.c ---- */

/* One transaction of the second client, by fiber_owner(). target: where deletions move to, or
 * FOLDERS. */
void client_write(struct world *w, const struct effect *effects, size_t count, unsigned target);
/* One effect, at once; for main only. */
void client_do(struct world *w, const struct effect *effect, unsigned target);

/* ---- run.c ---- */

/* True: all checks passed. */
bool run_seed(struct world *w, uint64_t seed);
/* A quiet Sync of all folders, everything pending included. */
void run_quiet_sync(struct world *w, struct phone *p, bool options);
/* Until nobody hears anything new; compares. */
void run_settle(struct world *w);

/* Delivers so many messages of that age, a transaction each; for main only. */
void run_mail(struct world *w, size_t count, int64_t age_days);
/* What a round does at its end: the ledger learns, and after a cut the server starts again. */
void run_recover(struct world *w);

/* ---- scenarios ---- */

struct scenario {
	const char *name;
	void (*run)(struct world *w);
};
extern const struct scenario scenarios[];
extern const size_t scenario_count;

#endif
