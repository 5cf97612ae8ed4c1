#ifndef BELLHOP_SYNC_STATE_H
#define BELLHOP_SYNC_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "sync/id_set.h"

/*
 * What one generation of a collection knows of one phone (DESIGN.md, section 5): a position in the
 * owner's change log and an inventory of what the phone holds. [MS-ASCMD] 2.2.3.181.4 has the life
 * of its key. Pure but for the load and save functions.
 */

/* The Options of a collection, sticky ([MS-ASCMD] 2.2.3.125.6). */
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
};

void sync_options_default(struct sync_options *options);
bool sync_options_equal(const struct sync_options *a, const struct sync_options *b);
/* Seconds that a mail FilterType looks back; 0: everything. */
int64_t sync_filter_span_s(uint8_t filter);
/* Items older than this are outside; INT64_MIN: no filter. Whole hours, so that ageing is looked at
 * once an hour. */
int64_t sync_filter_cutoff(uint8_t filter, int64_t now_at);

/* Property groups that the protocol reports alone. */
enum sync_group {
	SYNC_CONTENT = 1,
	SYNC_READ = 2,
	SYNC_FLAG = 4,
	SYNC_CATEGORIES = 8,
	SYNC_VERB = 16
};

/* A change that this phone made itself and whose previous state it had seen: not echoed. */
struct sync_own {
	uint64_t item, seq;
	uint8_t group;
};

/* What a command of the last request was answered, for when the request comes again. */
struct sync_answer {
	uint64_t command_hash; /* of the whole command as it came */
	uint32_t status;
	uint64_t item;    /* the item that it concerned or made; 0: none */
	uint64_t own_seq; /* of the sync_own entries it made; 0: none */
	uint8_t own_groups;
	bool removed; /* the item left the inventory by it */
};

struct sync_scan {
	bool active;
	struct item_cursor cursor; /* strictly before this one comes next */
	int64_t since_at;          /* not below */
};

struct sync_state {
	uint64_t key;
	uint16_t version;     /* protocol version times ten; another one gets Status 3 */
	uint64_t position;    /* everything up to this seq was seen */
	uint64_t partial_seq; /* of the seq after it, items up to partial_item were seen too; 0:
				 none */
	uint64_t partial_item;
	int64_t cutoff_at; /* the filter in force */
	struct sync_scan scan;
	struct sync_options options;
	uint16_t window; /* sticky with the cached request */
	struct id_set inventory;
	struct sync_own *own; /* owned */
	size_t own_count;
	struct sync_answer *answers; /* owned; of the request that made this generation */
	size_t answer_count;
};

void sync_state_init(struct sync_state *s);
void sync_state_deinit(struct sync_state *s);
/* to: initialised. Copies everything but the answers. */
void sync_state_copy(struct sync_state *to, const struct sync_state *from);
void sync_state_encode(const struct sync_state *s, struct buf *out);
NODISCARD int sync_state_decode(
	const void *blob, size_t len, struct sync_state *ret, struct err *err);

void sync_state_add_own(struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq);
bool sync_state_is_own(const struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq);
/* Drops own entries which the position has passed. */
void sync_state_prune(struct sync_state *s);
void sync_state_add_answer(struct sync_state *s, const struct sync_answer *answer);
const struct sync_answer *sync_state_find_answer(const struct sync_state *s, uint64_t command_hash);

/*
 * The generations of one collection of one device: the current one, the one before it, and, after a
 * request was repeated, the sibling of the current one; each is valid until one of the newer two is
 * used.
 */
enum sync_generation {
	SYNC_CURRENT = 0,
	SYNC_PREVIOUS = 1,
	SYNC_SIBLING = 2,
	SYNC_GENERATIONS = 3
};

struct sync_collection {
	struct device_id device;
	struct owner_id owner;
	struct folder_id folder;
	bool present[SYNC_GENERATIONS];
	struct sync_state states[SYNC_GENERATIONS];
};

void sync_collection_deinit(struct sync_collection *c);
/* A collection without a state has nothing present. A blob that does not decode counts as absent:
 * the phone starts over. */
NODISCARD int sync_collection_load(struct store_read *rd, struct device_id device,
	struct owner_id owner, struct folder_id folder, struct sync_collection *ret,
	struct err *err);
NODISCARD int sync_collection_save(
	struct store_tx *tx, const struct sync_collection *c, struct err *err);

/* "0" gives 0. False: not a key of ours. Text form: 16 hex digits. */
bool sync_key_parse(const char *text, uint64_t *ret);
void sync_key_print(uint64_t key, char text[17]);
uint64_t sync_key_new(void);

#endif
