#ifndef BELLHOP_SYNC_STATE_H
#define BELLHOP_SYNC_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "sync/id_set.h"
#include "sync/inventory.h"

/*
 * What one generation of a collection knows of one phone (docs/internals/sync.md): a position in
 * the owner's change log and an inventory of what the phone holds. [MS-ASCMD] 2.2.3.181.4 has the
 * life of its key. Pure; generations.h loads and stores.
 */

/* The Options of a class, sticky ([MS-ASCMD] 2.2.3.125.6). */
struct sync_body_preference {
	uint8_t type; /* 1 text, 2 HTML, 3 RTF, 4 MIME */
	bool has_truncation, all_or_none;
	uint32_t truncation_bytes;
	uint8_t preview_chars;
};

#define SYNC_BODY_PREFERENCES_MAX 4
#define SYNC_TRUNCATION_NONE      255 /* Truncation or MIMETruncation absent */

struct sync_options {
	uint8_t filter;          /* FilterType 0..8 */
	uint8_t conflict;        /* 0 client wins, 1 server wins */
	uint8_t mime_support;    /* 0 never, 1 S/MIME only, 2 always */
	uint8_t truncation;      /* 2.5: 0..9 */
	uint8_t mime_truncation; /* 0..8 */
	uint8_t preference_count;
	struct sync_body_preference preferences[SYNC_BODY_PREFERENCES_MAX];
	struct sync_body_preference part; /* BodyPartPreference; type 0: none */
};

void sync_options_default(struct sync_options *options);
bool sync_options_equal(const struct sync_options *a, const struct sync_options *b);
/* Seconds that a mail FilterType looks back; 0: everything. */
int64_t sync_filter_span_s(uint8_t filter);
/* Items older than this are outside; INT64_MIN: no filter. Whole hours, so that ageing is looked at
 * once an hour. */
int64_t sync_filter_cutoff(uint8_t filter, int64_t now_at);

/* Which items of the folder the phone wants, and in what form. */
struct sync_scope {
	struct sync_options options;     /* of the folder's own class */
	struct sync_options sms_options; /* of text messages beside the mail, when sms */
	bool sms;                        /* an Options block of class SMS is in force (14.0) */
	bool conversation_mode;          /* also older members of conversations in the filter */
};

bool sync_scope_equal(const struct sync_scope *a, const struct sync_scope *b);

/* Property groups that the protocol reports alone. */
enum sync_group {
	SYNC_CONTENT = 1,
	SYNC_READ = 2,
	SYNC_FLAG = 4,
	SYNC_CATEGORIES = 8,
	SYNC_VERB = 16,
	SYNC_ALL_GROUPS = 31
};

/* A change that this phone made itself, or has been told: the group with this seq is not sent. One
 * for each item and group, sorted by them: only the newest seq of a group can be met. */
struct sync_own {
	uint64_t item, seq;
	uint8_t group;
};

/* To be sent whatever its seq: the server's version after a change that was refused. */
struct sync_resend {
	uint64_t item;
	uint8_t groups;
};

/* What a command of the last request was answered, for when the request comes again. */
struct sync_answer {
	uint64_t command_hash; /* what makes it the same command, see sync_apply.c */
	uint32_t status;
	uint64_t item;    /* the item that it concerned or made; 0: none */
	uint64_t own_seq; /* of the sync_own entries it made; 0: none */
	uint64_t
		seen_seq; /* what the item had up to this seq the phone had been told; 0: unknown */
	uint8_t own_groups;
	bool removed;          /* the item left the inventory by it */
	bool added;            /* the item came into the inventory by it */
	uint8_t resend_groups; /* refused: these are to be put right */
};

struct sync_scan {
	bool active;
	bool vanished;             /* first: delete what is held but not in the folder any more */
	struct item_cursor cursor; /* strictly before this one comes next */
	int64_t since_at;          /* not below */
};

#define SYNC_WITHHELD_MAX  4096
#define SYNC_RESEND_MAX    4096
#define SYNC_SUPPORTED_MAX 256

/* The message that explains a quarantine, which no store has (eas/class/email_notice.c). */
enum sync_notice { SYNC_NOTICE_NONE = 0, SYNC_NOTICE_HELD = 1 };

struct sync_state {
	uint64_t key;
	uint16_t version; /* protocol version times ten; another one gets Status 3 */
	uint64_t since;   /* where the run of changes that is being told began */
	uint64_t
		position; /* every row of the log up to this seq was visited; since, between runs */
	uint64_t partial_seq; /* of the seq after it, items up to partial_item were seen too; 0:
				 none */
	uint64_t partial_item;
	struct sync_scope scope;
	int64_t cutoff_at, sms_cutoff_at; /* the filters in force */
	struct sync_scan scan;
	struct id_set inventory;
	bool swallowed;          /* the inventory may name ids that are gone (inventory.h) */
	uint32_t runs_swallowed; /* runs that were left then: no new attempt below twice of it */
	struct id_set withheld;  /* not sent: cannot be encoded, or the phone keeps rejecting it */
	struct sync_own *own;    /* owned */
	size_t own_count;
	struct sync_resend *resend; /* owned */
	size_t resend_count;
	struct sync_answer *answers; /* owned; of the request that made this generation */
	size_t answer_count;
	bool has_supported;  /* Supported came with key 0 ([MS-ASCMD] 2.2.3.179) */
	uint16_t *supported; /* owned; tags, sorted as they came */
	size_t supported_count;
	uint16_t repeats; /* how often its key came again although a newer one had been given out */
	bool used; /* an answer was made from it: its key, when it comes again, is a repetition */
	uint64_t suspect; /* the item that went out alone the last time; 0: none */
	uint8_t notice;   /* enum sync_notice: does the phone hold it? */
};

void sync_state_init(struct sync_state *s);
void sync_state_deinit(struct sync_state *s);
/* to: initialised. Copies everything but the answers and the count of repeats. */
void sync_state_copy(struct sync_state *to, const struct sync_state *from);
/* Pieces of a large inventory are added to chunks. */
void sync_state_encode(const struct sync_state *s, struct buf *out, struct sync_chunk_list *chunks);
/* chunks: those that were stored with the blob, sorted by id. ERR_BAD_INPUT. */
NODISCARD int sync_state_decode(const void *blob, size_t len, const struct sync_chunk_row *chunks,
	size_t chunk_count, struct sync_state *ret, struct err *err);
/* Do both know exactly the same of the phone (whatever their keys)? */
bool sync_state_same(const struct sync_state *a, const struct sync_state *b);

void sync_state_add_own(struct sync_state *s, uint64_t item, uint8_t groups, uint64_t seq);
bool sync_state_is_own(const struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq);
/*
 * Has the phone been told that value of a property group? A row stands in the log only at its
 * newest seq, so a group that moved earlier in the run is told with its row and not when the
 * position passes.
 */
bool sync_state_has_seen(
	const struct sync_state *s, const struct item_row *row, uint64_t group_seq);
/* Drops own entries of runs that are over. */
void sync_state_prune(struct sync_state *s);
void sync_state_add_answer(struct sync_state *s, const struct sync_answer *answer);
const struct sync_answer *sync_state_find_answer(const struct sync_state *s, uint64_t command_hash);
/* False: there are SYNC_RESEND_MAX entries already. */
bool sync_state_add_resend(struct sync_state *s, uint64_t item, uint8_t groups);
/* Takes the entry of an item out; 0 when there was none. */
uint8_t sync_state_take_resend(struct sync_state *s, uint64_t item);
uint8_t sync_state_find_resend(const struct sync_state *s, uint64_t item);
/* Beyond SYNC_WITHHELD_MAX the oldest item is let go. */
void sync_state_withhold(struct sync_state *s, uint64_t item);
/* A complete scan at the next Sync. */
void sync_state_rescan(struct sync_state *s);
/* A complete scan at the next Sync, also for ids that vanished; nothing stays withheld. */
void sync_state_request_repair(struct sync_state *s);

/* Begins a collection: nothing held, everything to be listed. version: times ten. */
void sync_state_begin(struct sync_state *state, uint16_t version, uint64_t owner_seq,
	const struct sync_scope *scope, int64_t now_at);
/* A changed filter, class or ConversationMode starts a scan. */
void sync_state_set_scope(struct sync_state *state, const struct sync_scope *scope, int64_t now_at);
/* Mail ages out of the filters while nobody changes anything: a short scan. */
void sync_state_age(struct sync_state *state, int64_t now_at);

#endif
