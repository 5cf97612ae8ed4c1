#ifndef BELLHOP_EAS_COMMAND_SYNC_INTERNAL_H
#define BELLHOP_EAS_COMMAND_SYNC_INTERNAL_H

#include "account/account.h"
#include "eas/command.h"
#include "eas/command/outgoing.h"
#include "sync/collect.h"

/*
 * One Sync request, taken apart ([MS-ASCMD] 2.2.1.21). sync.c has the order of things,
 * sync_request.c reads and remembers requests, sync_apply.c does the phone's commands,
 * sync_encode.c writes what the phone gets.
 */
enum sync_status {
	SYNC_STATUS_OK = 1,
	SYNC_STATUS_BAD_KEY = 3,
	SYNC_STATUS_PROTOCOL = 4,
	SYNC_STATUS_SERVER = 5,
	SYNC_STATUS_BAD_ITEM = 6,
	SYNC_STATUS_CONFLICT = 7,
	SYNC_STATUS_NOT_FOUND = 8,
	SYNC_STATUS_FULL = 9,
	SYNC_STATUS_HIERARCHY = 12,
	SYNC_STATUS_INCOMPLETE = 13,
	SYNC_STATUS_BAD_WAIT = 14,
	SYNC_STATUS_TOO_MANY = 15,
	SYNC_STATUS_RETRY = 16,
};

/* One client command and its answer. */
struct sync_command {
	const struct wbxml_node *node; /* Add, Change, Delete or Fetch */
	uint64_t hash;
	uint64_t content_hash; /* Add: of all that is in it */
	unsigned status;       /* 0: not done yet */
	struct item_id item;
	struct sync_new_item *new_item; /* Add: what it becomes (sync_add.c); NULL: nothing */
	struct sync_draft *draft; /* Change of a draft (sync_draft.c); NULL: of something else */
	bool writes_mail;         /* Change: it says what only a draft's may */
	unsigned refused;         /* the Status of one that cannot be done; 0: good */
	unsigned send_refused;    /* the Status of a Send that was tried and refused; 0: none */
	uint64_t
		done_seq; /* the content that it made in a request whose answer got lost; 0: none */
};

/* An item that this phone will not get, and why. */
struct sync_set_aside {
	struct item_id item;
	const char *why;
};

struct sync_job {
	/* the request: */
	const char *collection_id;
	const char *class_name; /* <= 12.1: echoed; NULL: the request named none */
	uint64_t key;
	uint64_t asked_key; /* of a remembered collection: the key before it was answered */
	bool key_valid;
	bool get_changes, get_changes_given;
	bool deletes_as_moves;
	unsigned window;                  /* 1..512 */
	const struct wbxml_node *options; /* the block of the folder's own class, or NULL */
	const struct wbxml_node *sms_options;
	size_t options_count;
	const struct wbxml_node *supported; /* NULL: absent */
	bool conversation_mode, conversation_mode_given;
	struct sync_command *commands;
	size_t command_count;
	/* what became of it: */
	const char *event; /* of the event log: where the phone begins again; NULL: nowhere */
	unsigned status;   /* enum sync_status */
	struct folder *folder;
	struct sync_collection gens;
	struct sync_state *base; /* the generation that the key names, in gens; NULL: none */
	bool repeated;           /* the key before the newest: the last answer got lost */
	bool promoted;           /* the phone has another answer than the newest: so it is known */
	struct sync_state next;  /* what the phone will know after this answer */
	bool new_key;            /* the answer carries a key of its own */
	bool saved;              /* next is stored already (with the commands) */
	bool settled; /* its commands are about a message of ours alone: there is nothing to write */
	bool retry; /* the transaction was given up: what it was prepared from has moved on */
	bool more;
	struct buf items;   /* encoded children of Commands */
	uint8_t items_page; /* code page that the bytes of items end on */
	size_t item_count;
	bool visited;        /* enough rows were passed over to remember the position */
	uint64_t first_item; /* of the response */
	bool reject; /* the phone did not take the first item time and again: set it aside */
	struct sync_set_aside *set_aside; /* arena */
	size_t set_aside_count;
};

struct sync_run {
	struct eas_call *call;
	struct sync_job *jobs;
	size_t job_count;
	unsigned wait_s;               /* 0: answer at once */
	unsigned wait_asked_s;         /* what the request said */
	unsigned window, window_asked; /* of the whole response: what is left, what was asked */
	uint64_t wait_limit; /* not 0: Wait is out of range; Status 14 when the commands are done */
	size_t bytes_left;
	bool fetched;      /* at least one item for a Fetch is in it */
	size_t item_count; /* in the response so far, of all collections */
	int64_t deadline_ms;
	const uint8_t *cache; /* to be remembered as the last request; NULL: leave as it is */
	size_t cache_len;
	const uint8_t *remembered; /* what is stored; NULL: nothing */
	size_t remembered_len;
};

/* ---- sync_request.c ---- */
/* Reads call->root, or the remembered request for an empty one. False: the reply is set (13, 14, 15
 * ...). */
bool sync_request_read(struct sync_run *run);
/*
 * What to remember of the request, for empty ones (which repeat it with the same keys) and Partial
 * ones (which go on with the keys that were answered). Nothing when commands were in it, when it
 * failed or was a repetition: then the phone is asked for a whole request (Status 13).
 */
void sync_request_remember(struct sync_run *run);
/* Options of a collection into *ret, which holds what was in force. SYNC_STATUS_OK or the status
 * that is due. */
unsigned sync_options_read(
	const struct wbxml_node *node, unsigned version, struct sync_options *ret);
/* May this FilterType stand for a folder of that type? ([MS-ASCMD] 2.2.3.68.2) */
bool sync_filter_allowed(uint8_t filter, enum folder_type type);
/* The remembered request of a device, for a held Sync that is woken. False: none. */
bool sync_request_restore(struct sync_run *run);

/* ---- sync_draft.c ---- */
/* What a command is done with. */
struct sync_writer {
	struct store_tx *tx;
	const struct account_ops *ops;
};
/* Is it mail that a phone writes: an Add to Drafts, from 16.0 on? */
bool sync_draft_is_add(
	const struct sync_run *run, const struct sync_job *job, const struct sync_command *c);
/* The message of such an Add into raw, or c->refused. With Send, *ret_mail is what will leave
 * (raw stays empty). Blocks; no transaction. */
NODISCARD int sync_draft_read_add(struct sync_run *run, struct sync_job *job,
	struct sync_command *c, struct buf *raw, struct outgoing_mail **ret_mail, struct err *err);
/* Makes drafts of the job's Changes, before the transaction, or c->refused. Blocks. */
NODISCARD int sync_draft_prepare(struct sync_run *run, struct sync_job *job, struct err *err);
/* Begins anew in a transaction that may have run before. */
void sync_draft_reset(struct sync_job *job);
/* Does the command send, and may it? */
bool sync_draft_sends(const struct sync_command *c);
/* Sends, inside the transaction. -1 with job->retry: refused, c->send_refused says why. */
NODISCARD int sync_draft_send(struct store_tx *tx, struct sync_job *job, struct sync_command *c,
	struct outgoing_mail *mail, struct err *err);
/* The same for a Change of item: the draft goes. */
NODISCARD int sync_draft_send_change(const struct sync_writer *to, struct sync_job *job,
	struct sync_command *c, const struct item *item, struct sync_answer *answer,
	struct err *err);
/* Puts the new content in the place of item's; *ret_seq: of it, 0 when there was none to put. -1
 * with job->retry: somebody was faster. */
NODISCARD int sync_draft_store(const struct sync_writer *to, struct sync_job *job,
	struct sync_command *c, const struct item *item, struct sync_answer *answer,
	uint64_t *ret_seq, struct err *err);
/* After the commit; before the release. */
void sync_draft_finish(struct sync_job *job);
void sync_draft_release(struct sync_job *job);

/* ---- sync_change.c ---- */
/* A Change of a message, inside the transaction. again: it was done before, in a request whose
 * answer got lost. ERR_NOT_FOUND. */
NODISCARD int sync_change_apply(const struct sync_writer *to, struct sync_job *job,
	struct sync_command *command, bool again, struct sync_answer *answer, struct err *err);
/* Which groups the phone has changed in its own copy, so that a refusal must put them right. */
uint8_t sync_change_groups(const struct wbxml_node *command);

/* ---- sync_apply.c ---- */
/* Does the commands and stores the new generation, in one transaction. */
NODISCARD int sync_apply_commands(struct sync_run *run, struct sync_job *job, struct err *err);

/* ---- sync_add.c ---- */
bool sync_add_is_sms(const struct sync_command *c);
/* Makes messages of the job's Adds, before the transaction. Blocks. */
NODISCARD int sync_add_prepare(struct sync_run *run, struct sync_job *job, struct err *err);
/* After the commit; before the release. */
void sync_add_finish(struct sync_job *job);
void sync_add_release(struct sync_job *job);
/* One Add, inside the transaction. */
NODISCARD int sync_add_apply(struct store_tx *tx, const struct account_ops *ops,
	struct sync_run *run, struct sync_job *job, struct sync_command *c,
	struct sync_answer *answer, struct err *err);

/* ---- sync_encode.c ---- */
/* A request that comes again and again gets less at a time, and at last an item is set aside. */
void sync_limit_repeats(struct sync_run *run, struct sync_job *job);
/* Collects the server's changes into job->items. */
NODISCARD int sync_collect_job(
	struct sync_run *run, struct sync_job *job, struct store_read *rd, struct err *err);
/* The collection's element of the response. */
NODISCARD int sync_encode_collection(struct sync_run *run, struct sync_job *job, struct err *err);
/* Does the response need this collection at all? */
bool sync_job_has_news(const struct sync_job *job);

/* ---- sync.c ---- */
/* Inside a transaction: the folder may be gone since the job was prepared. ERR_NOT_FOUND, and the
 * job's status says so. */
NODISCARD int sync_check_folder(struct store_tx *tx, struct sync_job *job, struct err *err);
/* Answers run->jobs; a held one registers its watch. Also for a resumed request. */
void sync_run(struct sync_run *run);

#endif
