#ifndef BELLHOP_STORE_STORE_H
#define BELLHOP_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/ids.h"

/*
 * The store: owners (users), folders, items, the change log, devices, sync states, the event log
 * (ARCHITECTURE.md, the change log). The truth for local accounts, a mirror for upstream ones.
 *
 * Reading happens in a snapshot (struct store_read), writing in store_transact(), whose function may run more than once and
 * touches nothing but the struct store_tx and its own argument. Results live in the arena that is passed in.
 *
 * Each transaction which changes an owner's data takes that owner's next seq, once, at its first change of that
 * owner; a transaction which changes nothing takes none. Setting a property to the value that it has is no change.
 */
struct store;
struct store_read; /* one snapshot; belongs to one thread; keep it short */
struct store_tx;

struct store_options {
	const char *data_dir;         /* the database lies in data_dir/bellhop.db, body files in data_dir/bodies/ */
	uint32_t readers_max;
	uint32_t group_max;
	uint64_t body_inline_max;     /* bytes; larger bodies become files */
	uint64_t cache_kib, mmap_bytes;
	/* For looking on, also beside a running server: the store must be there, nothing is made, changed or migrated, and there is no
	 * writing. An older schema is opened as it is. */
	bool read_only;
};

/* Opens, creates, migrates (a newer schema than ours is refused: ERR_BACKEND names both versions). */
NODISCARD int store_open(const struct store_options *options, struct store **ret, struct err *err);
void store_close(struct store **store);
/* Of the database as it was opened; and the one that this program makes. */
uint64_t store_schema_version(const struct store *store);
uint64_t store_schema_newest(void);

NODISCARD int store_read_begin(struct store *store, struct store_read **ret, struct err *err);
void store_read_end(struct store_read **rd);

typedef int (*store_tx_fn)(struct store_tx *tx, void *owner, struct err *err);
/* Commits to disk, then publishes the events (below), then returns 0. Blocks. Where rows want a time that is not passed in, it is
 * that of the call. */
NODISCARD int store_transact(struct store *store, store_tx_fn fn, void *owner, struct err *err);
/*
 * A number that is never 0 and moves with each store_transact(), before its events are published. When it is the same as before a
 * snapshot was begun, then that snapshot shows what there is, but for commits whose events are still to come and whose callers have not
 * been told.
 */
uint64_t store_commits(const struct store *store);
/*
 * Between these two, the calling thread keeps the snapshot that it ends, and the next one that it begins is the same, unless
 * store_commits() has moved meanwhile: for what asks several times within a moment, as a snapshot costs locks and statements of its own.
 * It is one of the readers for as long, so nothing in between may wait for others or compute for long; whoever has to ends the hold
 * first. store_transact() lets go by itself. One store at a time; end: also where there is no hold (any more).
 */
void store_hold_begin(struct store *store);
void store_hold_end(struct store *store);
/* The snapshot of the transaction itself (sees its own writes), for the reading functions below. */
struct store_read *store_tx_read(struct store_tx *tx);
/* Tests only: the n-th write step or commit from now on fails with this code, as a full or broken disk would; 0: off. */
void store_fail_after(struct store *store, unsigned n, enum err_code code);

/* ---- change events: what a commit did, for notify ---- */
enum change_kind {
	CHANGE_ADD = 1,        /* a new item (delivery, move in, copy) */
	CHANGE_CONTENT = 2,
	CHANGE_READ = 4,
	CHANGE_FLAG = 8,
	CHANGE_CATEGORIES = 16,
	CHANGE_VERB = 32,
	CHANGE_DELETE = 64,    /* deleted or moved away */
	CHANGE_HIERARCHY = 128, /* folder created, renamed, moved, deleted; folder.v is that folder */
	CHANGE_DEVICE = 256,   /* something about one device: wipe ordered, policy key, blocked; device says which */
	CHANGE_USER = 512,     /* password, disabled, deleted, address, policy of the user */
	CHANGE_GLOBAL = 1024,  /* policy or rules of everybody; owner.v is 0 */
};

struct change_event {
	struct owner_id owner;
	struct folder_id folder;
	struct item_id item;
	uint64_t seq;           /* of the owner, after the change */
	unsigned kinds;         /* enum change_kind, or-ed */
	int64_t date_at;        /* of the item (received) */
	uint8_t item_class;     /* enum item_class */
	struct device_id device; /* who did it (items), or whom it is about (CHANGE_DEVICE); 0: not a device */
};

typedef void (*store_publish_fn)(const struct change_event *events, size_t count, void *owner);
/* Called on the thread that committed, after the commit, before store_transact() returns. One publisher; set before the first thread. */
void store_set_publisher(struct store *store, store_publish_fn fn, void *owner);

/* ---- users: an owner who can log in ---- */
struct user {
	struct owner_id id;
	const char *login;        /* lower case, without domain */
	const char *domain;       /* lower case */
	const char *display_name;
	const char *password_hash; /* crypt(3) */
	bool disabled;
	uint64_t epoch;           /* raised by each change of password, disabled, policy ... */
	uint64_t seq;             /* the owner's newest change */
	int64_t created_at;
	uint64_t quota_bytes;     /* 0: none */
	uint64_t used_bytes;
	int64_t junk_days, deleted_days; /* how long these folders keep an item; STORE_DAYS_DEFAULT: as the server says; 0: for ever */
	bool admin;               /* administers the server on the web pages */
};
enum { STORE_DAYS_DEFAULT = -1, STORE_DAYS_MAX = 36500 };

/* name: "user@domain" (its own address or an alias), "user" (default_domain is tried, then any single match), "DOMAIN\\user". ASCII case ignored. */
NODISCARD int store_user_find_login(struct store_read *rd, const char *name, const char *default_domain,
	struct arena *arena, struct user **ret, struct err *err);
/* By mail address: own address or alias. ERR_NOT_FOUND. */
NODISCARD int store_user_find_address(struct store_read *rd, const char *address, struct arena *arena, struct user **ret, struct err *err);
NODISCARD int store_user_load(struct store_read *rd, struct owner_id id, struct arena *arena, struct user **ret, struct err *err);
/* All, ordered by domain and login. */
NODISCARD int store_user_list(struct store_read *rd, struct arena *arena, struct user **ret, size_t *ret_count, struct err *err);
/* All addresses: primary first, then aliases. */
NODISCARD int store_user_addresses(struct store_read *rd, struct owner_id id, struct arena *arena, const char ***ret, size_t *ret_count, struct err *err);
/* 0: none. What is there stays, also when it is more. */
NODISCARD int store_user_set_quota(struct store_tx *tx, struct owner_id id, uint64_t quota_bytes, struct err *err);
/* From that part of a quota on an event says, once, that the mailbox is nearly full; 0: never. */
void store_set_quota_warning(struct store *store, uint64_t percent);
/* Days, or STORE_DAYS_DEFAULT. */
NODISCARD int store_user_set_expiry(struct store_tx *tx, struct owner_id id, int64_t junk_days, int64_t deleted_days, struct err *err);
/* Creates the user and the default folders. ERR_CONFLICT when the address is taken; the domain must exist. */
NODISCARD int store_user_add(struct store_tx *tx, const char *login, const char *domain, const char *display_name,
	const char *password_hash, int64_t now_at, struct owner_id *ret, struct err *err);
NODISCARD int store_user_set_password(struct store_tx *tx, struct owner_id id, const char *password_hash, struct err *err);
NODISCARD int store_user_set_disabled(struct store_tx *tx, struct owner_id id, bool disabled, struct err *err);
/* May he administer the server on the web pages? */
NODISCARD int store_user_set_admin(struct store_tx *tx, struct owner_id id, bool admin, struct err *err);
/* With everything that is theirs: gone for all readers at the commit; store_sweep() removes items and bodies bit by bit. */
NODISCARD int store_user_delete(struct store_tx *tx, struct owner_id id, struct err *err);
/* ERR_CONFLICT when the address is taken; the domain must exist. */
NODISCARD int store_alias_add(struct store_tx *tx, struct owner_id id, const char *address, struct err *err);
NODISCARD int store_alias_delete(struct store_tx *tx, const char *address, struct err *err);
NODISCARD int store_domain_add(struct store_tx *tx, const char *domain, struct err *err);
/* ERR_CONFLICT while users are in it. */
NODISCARD int store_domain_delete(struct store_tx *tx, const char *domain, struct err *err);
NODISCARD int store_domain_list(struct store_read *rd, struct arena *arena, const char ***ret, size_t *ret_count, struct err *err);
NODISCARD int store_domain_exists(struct store_read *rd, const char *domain, bool *ret, struct err *err);

/* ---- folders ---- */
/* The numbers are EAS folder types ([MS-ASCMD] 2.2.3.186.3). */
enum folder_type {
	FOLDER_USER_GENERIC = 1, FOLDER_INBOX = 2, FOLDER_DRAFTS = 3, FOLDER_DELETED = 4, FOLDER_SENT = 5, FOLDER_OUTBOX = 6,
	FOLDER_TASKS = 7, FOLDER_CALENDAR = 8, FOLDER_CONTACTS = 9, FOLDER_NOTES = 10, FOLDER_JOURNAL = 11,
	FOLDER_USER_MAIL = 12, FOLDER_USER_CALENDAR = 13, FOLDER_USER_CONTACTS = 14, FOLDER_USER_TASKS = 15,
	FOLDER_USER_JOURNAL = 16, FOLDER_USER_NOTES = 17, FOLDER_UNKNOWN = 18, FOLDER_RECIPIENT_CACHE = 19,
};
/* Junk is FOLDER_USER_MAIL with role FOLDER_ROLE_JUNK. */
enum folder_role { FOLDER_ROLE_NONE = 0, FOLDER_ROLE_JUNK = 1 };

struct folder {
	struct folder_id id, parent; /* parent 0: the root */
	const char *name;
	enum folder_type type;
	enum folder_role role;
	uint64_t created_seq, changed_seq; /* changed: name, parent, type */
	uint64_t items_seq;         /* newest change of an item in it */
	bool deleted;               /* only in store_folder_changes */
};

/* All live folders, parents before children. */
NODISCARD int store_folder_list(struct store_read *rd, struct owner_id owner, struct arena *arena, struct folder **ret, size_t *ret_count, struct err *err);
/* Folders created, changed or deleted after that seq: parents before children, else the oldest change first. */
NODISCARD int store_folder_changes(struct store_read *rd, struct owner_id owner, uint64_t after_seq, struct arena *arena, struct folder **ret, size_t *ret_count, struct err *err);
/* Deletions of folders up to this seq may be forgotten: who is behind it must compare. */
NODISCARD int store_folder_floor(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err);
/* ERR_NOT_FOUND for unknown or deleted ones. */
NODISCARD int store_folder_load(struct store_read *rd, struct owner_id owner, struct folder_id id, struct arena *arena, struct folder **ret, struct err *err);
NODISCARD int store_folder_by_type(struct store_read *rd, struct owner_id owner, enum folder_type type, struct arena *arena, struct folder **ret, struct err *err);
NODISCARD int store_folder_add(struct store_tx *tx, struct owner_id owner, struct folder_id parent, const char *name, enum folder_type type, struct folder_id *ret, struct err *err);
/* What such a folder holds, as ActiveSync calls it ([MS-ASCMD] 2.2.3.27): "Email", "Calendar", "Contacts", "Tasks" or "Notes". */
const char *store_folder_class(enum folder_type type);
/* One of those which every user has from the beginning: they stay where they are. */
bool store_folder_is_special(const struct folder *folder);
/* Another name, another parent, or both; *ret_seq: of its newest change. ERR_NOT_FOUND for the folder or the parent, ERR_DENIED for
 * special folders, ERR_CONFLICT when the name is taken there, ERR_BAD_INPUT for a bad name or a place below itself. */
NODISCARD int store_folder_update(struct store_tx *tx, struct owner_id owner, struct folder_id id, struct folder_id parent, const char *name, uint64_t *ret_seq, struct err *err);
/* With the folders below, all of the same changed_seq; what they hold can be found no more and is removed bit by bit
 * (store_purge_step()). ERR_NOT_FOUND; ERR_DENIED when one of them is special. */
NODISCARD int store_folder_delete(struct store_tx *tx, struct owner_id owner, struct folder_id id, uint64_t *ret_seq, struct err *err);
/* The folders below, not itself. */
NODISCARD int store_folder_delete_below(struct store_tx *tx, struct owner_id owner, struct folder_id id, struct err *err);
/* Notes that the items which are in the folder now are to go; store_purge_step() removes them. The note stays until they are gone,
 * whatever happens. device: who wants it. ERR_NOT_FOUND. */
NODISCARD int store_folder_empty(struct store_tx *tx, struct owner_id owner, struct folder_id id, struct device_id device, struct err *err);
/* One transaction that removes up to limit of this owner's items which are noted to go, of that folder or of any (0). Items of a
 * living folder leave tombstones. 1: more are left. Not inside a transaction. store_sweep() does the same for all owners. */
NODISCARD int store_purge_step(struct store *store, struct owner_id owner, struct folder_id folder, size_t limit, struct err *err);
NODISCARD int store_owner_seq(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err);

/* ---- items ---- */
enum item_class { ITEM_MAIL = 1, ITEM_CALENDAR, ITEM_CONTACT, ITEM_TASK, ITEM_NOTE, ITEM_SMS };

/* What the change log says of an item: enough to decide, small enough to read by the thousand. */
struct item_row {
	struct item_id id;
	int64_t date_at;          /* received */
	uint64_t changed_seq, created_seq;
	uint64_t content_seq, read_seq, flag_seq, categories_seq, verb_seq; /* per property group */
	bool deleted;             /* a tombstone: only id, changed_seq (= its seq), created_seq and date_at count */
	uint8_t item_class;
	uint64_t conversation;    /* which messages belong together; 0: unknown, on its own */
};

struct item {
	struct item_row row;
	bool is_read;
	uint8_t flag_status;      /* 0 none, 1 complete, 2 active */
	const uint8_t *flag;      /* the Flag's other properties, encoded by eas/class; or NULL */
	size_t flag_len;
	const uint8_t *categories; /* encoded by eas/class (varint count, then varint length + text); or NULL */
	size_t categories_len;
	uint8_t last_verb;
	int64_t last_verb_at;
	uint64_t body_bytes;
	uint64_t body_id;
	const uint8_t *summary;   /* mime_summary_encode() for mail; NULL: nobody has read it yet (it came in set aside) */
	size_t summary_len;
	int64_t set_aside_at;     /* 0: not. Else neither body nor summary may be parsed: show a placeholder */
};

/* Items and tombstones with changed_seq > after_seq, oldest change first, at most limit; *ret_more: there are others. All changes
 * of one transaction have the same seq; they come in the order of their ids, and a limit may cut between them. */
NODISCARD int store_item_changes(struct store_read *rd, struct owner_id owner, struct folder_id folder, uint64_t after_seq,
	size_t limit, struct arena *arena, struct item_row **ret, size_t *ret_count, bool *ret_more, struct err *err);
/* Live items newest first by (date, id), strictly before the cursor (date_at, id); {INT64_MAX, UINT64_MAX} starts. Not below since_at. */
struct item_cursor {
	int64_t date_at;
	struct item_id id;
};
NODISCARD int store_item_scan(struct store_read *rd, struct owner_id owner, struct folder_id folder, struct item_cursor before, int64_t since_at,
	size_t limit, struct arena *arena, struct item_row **ret, size_t *ret_count, struct err *err);
/* How many live items with date_at >= since_at; counting stops at limit (0: none). */
NODISCARD int store_item_count(struct store_read *rd, struct owner_id owner, struct folder_id folder, int64_t since_at, uint64_t limit, uint64_t *ret, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_item_row(struct store_read *rd, struct owner_id owner, struct folder_id folder, struct item_id id, struct item_row *ret, struct err *err);
/* The class of an item; of one that was deleted, if that was after that seq. 0: neither. */
NODISCARD int store_item_class(struct store_read *rd, struct owner_id owner, struct folder_id folder, struct item_id id, uint64_t deleted_after_seq,
	uint8_t *ret, struct err *err);
/* Live members of a conversation in that folder, newest first, as store_item_scan(). None for 0. */
NODISCARD int store_item_conversation(struct store_read *rd, struct owner_id owner, struct folder_id folder, uint64_t conversation,
	struct item_cursor before, size_t limit, struct arena *arena, struct item_row **ret, size_t *ret_count, struct err *err);
/* The ids of all live items, in no useful order: eight bytes for each. */
NODISCARD int store_item_ids(struct store_read *rd, struct owner_id owner, struct folder_id folder, struct arena *arena, struct item_id **ret, size_t *ret_count, struct err *err);
/* Newest tombstone that was swept: a position below it needs a scan. */
NODISCARD int store_tombstone_floor(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_item_load(struct store_read *rd, struct owner_id owner, struct folder_id folder, struct item_id id, struct arena *arena, struct item **ret, struct err *err);
/* The raw message, borrowed from memory owned by *ret_hold (heap); release with store_body_release. ERR_NOT_FOUND. */
struct store_body {
	const uint8_t *bytes;
	size_t len;
	void *mapped;  /* private */
	size_t mapped_len;
	uint8_t *heap; /* private */
};
NODISCARD int store_body_load(struct store_read *rd, struct owner_id owner, uint64_t body_id, struct store_body *ret, struct err *err);
void store_body_release(struct store_body *body);
/* The first len bytes are not needed for now: their memory is given back, as far as they can be read again. They stay readable. */
void store_body_forget(const struct store_body *body, size_t len);

/* A body on its way in: written and synced before the transaction that names it, when it is large. */
struct store_new_body {
	const uint8_t *bytes;
	size_t len;
	char file[72]; /* content hash in hex when it went to a file, else "" */
};
/* Blocks on I/O; not inside a transaction. The bytes stay the caller's and must outlive the transaction, which must commit within an
 * hour (then the sweep may remove a file that no row names). */
NODISCARD int store_body_prepare(struct store *store, const void *bytes, size_t len, struct store_new_body *ret, struct err *err);

struct new_item {
	enum item_class item_class;
	int64_t date_at;
	bool is_read;
	const struct store_new_body *body;
	const void *summary;
	size_t summary_len;
	uint64_t conversation;    /* 0: on its own */
	struct device_id device;  /* who brings it; 0: nobody */
	uint8_t flag_status;      /* what it already has when it comes from elsewhere */
	uint8_t last_verb;
	int64_t last_verb_at;
};
/* ERR_QUOTA beyond the user's quota; ERR_NOT_FOUND for the folder. */
NODISCARD int store_item_add(struct store_tx *tx, struct owner_id owner, struct folder_id folder, const struct new_item *item, struct item_id *ret, struct err *err);
/* Each returns 0 also when nothing changed; ERR_NOT_FOUND when the item is gone. *ret_seq (may be NULL): the group's seq after it. */
NODISCARD int store_item_set_read(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, bool is_read, struct device_id device, uint64_t *ret_seq, struct err *err);
NODISCARD int store_item_set_flag(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, uint8_t flag_status, const void *flag, size_t flag_len, struct device_id device, uint64_t *ret_seq, struct err *err);
NODISCARD int store_item_set_categories(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, const void *categories, size_t len, struct device_id device, uint64_t *ret_seq, struct err *err);
/* Another message in its place (a draft): body, summary, conversation, date. Its other properties stay. ERR_QUOTA as store_item_add(). */
struct item_content {
	const struct store_new_body *body;
	const void *summary;
	size_t summary_len;
	uint64_t conversation;
	int64_t date_at;
};
NODISCARD int store_item_set_content(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, const struct item_content *content,
	struct device_id device, uint64_t *ret_seq, struct err *err);
/* Nothing moved, but every phone shall get it again: its content counts as changed. */
NODISCARD int store_item_touch(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, struct err *err);
NODISCARD int store_item_set_verb(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, uint8_t verb, int64_t at, struct device_id device, struct err *err);
/* Leaves a tombstone. */
NODISCARD int store_item_delete(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, struct device_id device, struct err *err);
/* A new id in the target, a tombstone in the source. */
NODISCARD int store_item_move(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id id, struct folder_id target, struct device_id device, struct item_id *ret, struct err *err);

/* ---- conversations that go to another folder than the Inbox ---- */
/* *ret: where new mail of the conversation goes; 0: there is no rule, or its folder is gone. */
NODISCARD int store_conversation_rule_find(struct store_read *rd, struct owner_id owner, uint64_t conversation, struct folder_id *ret, struct err *err);
/* folder 0: no rule. Beyond max rules of the owner the oldest are forgotten. */
NODISCARD int store_conversation_rule_set(struct store_tx *tx, struct owner_id owner, uint64_t conversation, struct folder_id folder,
	uint64_t max, struct err *err);

/* One bounded step of housekeeping: removes up to limit tombstones, and rows of deleted folders, older than before_at and raises the floors, up to limit rows of
 * deleted users, up to limit items of deleted and emptied folders, and looks at about limit body files for ones that nothing names. Not inside a transaction. 1: more is left. */
NODISCARD int store_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err);

/* ---- devices ---- */
enum wipe_state { WIPE_NONE = 0, WIPE_ORDERED, WIPE_SENT, WIPE_DONE, WIPE_FAILED };

struct device {
	struct device_id id;
	struct owner_id owner;
	const char *device_id;      /* the phone's own text; unique per owner */
	const char *device_type, *user_agent, *model, *os, *friendly_name, *phone_number, *imei, *language, *operator_name;
	uint16_t protocol_version;  /* times ten: 25, 120 ... 161; last used */
	int64_t first_seen_at, last_seen_at;
	uint32_t policy_key;        /* the final one; 0: none */
	uint32_t policy_key_temporary;
	uint8_t policy_status;      /* enum policy_status: what the phone acknowledged */
	uint64_t policy_version;    /* policy_hash() of what it was sent */
	int64_t provisioned_at;
	enum wipe_state wipe;       /* changed through store_wipe.h alone */
	int64_t wipe_at;
	bool wipe_account;          /* of this account alone, not of the whole phone */
	bool blocked;
	uint64_t epoch;             /* raised by administrative changes */
	const char *credential;     /* the verifier that let it in last (auth.h), for a wipe alone; "": not known */
	uint32_t ping_heartbeat_s;  /* cached Ping parameters; 0: none */
	const uint8_t *ping_folders; /* encoded by eas; NULL: none */
	size_t ping_folders_len;
	const uint8_t *sync_request; /* the last Sync request, for empty ones; NULL: none */
	size_t sync_request_len;
	/* store_access.h: */
	uint8_t access_own;          /* enum access_state, laid down for this device; blocked says the same */
	uint8_t access_state;        /* what was decided last, for people; 0: allow */
	const char *access_reason;
	int64_t access_at;
	uint8_t access_report;       /* enum access_report */
	int64_t informed_at;         /* when it last said what it is (DeviceInformation); 0: never */
	uint16_t ceiling;            /* highest protocol version allowed, times ten; 0: any */
};

NODISCARD int store_device_find(struct store_read *rd, struct owner_id owner, const char *device_id, struct arena *arena, struct device **ret, struct err *err);
NODISCARD int store_device_load(struct store_read *rd, struct device_id id, struct arena *arena, struct device **ret, struct err *err);
/* Of one owner, or all (owner.v 0). */
NODISCARD int store_device_list(struct store_read *rd, struct owner_id owner, struct arena *arena, struct device **ret, size_t *ret_count, struct err *err);
NODISCARD int store_device_count(
	struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err);
/* Inserts when id.v is 0 (then sets id), else updates all columns; no event, no epoch. */
NODISCARD int store_device_save(struct store_tx *tx, struct device *device, struct err *err);
/* The same row, single groups of columns, so that commands running side by side do not undo each other: */
NODISCARD int store_device_set_ping(struct store_tx *tx, struct device_id id, uint32_t heartbeat_s, const void *folders, size_t len, struct err *err);
/* What is remembered just now; NULL: nothing. */
NODISCARD int store_device_sync_request(struct store_read *rd, struct device_id id, struct arena *arena, const uint8_t **ret, size_t *ret_len, struct err *err);
NODISCARD int store_device_set_sync_request(struct store_tx *tx, struct device_id id, const void *bytes, size_t len, struct err *err);
NODISCARD int store_device_set_seen(struct store_tx *tx, struct device_id id, uint16_t version, const char *user_agent, const char *device_type, int64_t at, struct err *err);
NODISCARD int store_device_set_policy(struct store_tx *tx, struct device_id id, uint32_t temporary, uint32_t final, uint8_t status, uint64_t policy_version, int64_t at, struct err *err);
NODISCARD int store_device_set_credential(struct store_tx *tx, struct device_id id, const char *verifier, struct err *err);
/* Raise the epoch and publish CHANGE_DEVICE: */
/* for what was done to its sync states. */
NODISCARD int store_device_touch(struct store_tx *tx, struct device_id id, struct err *err);
/* The state alone: store_wipe.h keeps the order that belongs to it. */
NODISCARD int store_device_set_wipe(struct store_tx *tx, struct device_id id, enum wipe_state state, int64_t at, struct err *err);
NODISCARD int store_device_set_blocked(struct store_tx *tx, struct device_id id, bool blocked, struct err *err);
NODISCARD int store_device_delete(struct store_tx *tx, struct device_id id, struct err *err);
/* All that it has synchronized, sent, added and moved; the device itself stays. No event, no epoch. */
NODISCARD int store_device_forget(struct store_tx *tx, struct device_id id, struct err *err);

/* What a phone says of itself; NULL: as it is known. ERR_NOT_FOUND. */
struct device_information {
	const char *model, *imei, *friendly_name, *os, *language, *phone_number, *operator_name;
	int outbound_sms; /* may the server send text messages through it? 1, 0; -1: as it is known */
	int64_t at;       /* when it said so */
};
NODISCARD int store_device_set_information(struct store_tx *tx, struct device_id id, const struct device_information *information, struct err *err);
/* The password that opens the phone when its own is forgotten; "": none. */
NODISCARD int store_device_recovery(struct store_read *rd, struct device_id id, struct arena *arena, const char **ret, struct err *err);
NODISCARD int store_device_set_recovery(struct store_tx *tx, struct device_id id, const char *password, struct err *err);

/* ---- out of office ([MS-ASCMD] 2.2.3.117) ---- */
enum oof_audience { OOF_INTERNAL = 0, OOF_EXTERNAL_KNOWN, OOF_EXTERNAL_UNKNOWN, OOF_AUDIENCES };
struct oof_message {
	bool enabled, html;
	const char *text; /* never NULL from store_oof_load() */
};
struct oof {
	uint8_t state;          /* 0 off, 1 on, 2 from start_at to end_at */
	int64_t start_at, end_at;
	struct oof_message messages[OOF_AUDIENCES];
};
/* One that was never set: all off and empty. */
NODISCARD int store_oof_load(struct store_read *rd, struct owner_id owner, struct arena *arena, struct oof *ret, struct err *err);
/* Another state or time is another absence: who got a reply is forgotten. */
NODISCARD int store_oof_save(struct store_tx *tx, struct owner_id owner, const struct oof *oof, struct err *err);
/* 1: this sender (lower case) may get an automatic reply; 0: it got one at or after since_at, or max others did. */
NODISCARD int store_oof_may_reply(struct store_tx *tx, struct owner_id owner, const char *address, int64_t since_at, uint64_t max, struct err *err);
NODISCARD int store_oof_note_reply(struct store_tx *tx, struct owner_id owner, const char *address, int64_t now_at, struct err *err);
/* 1: more are left. */
NODISCARD int store_oof_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err);

/* ---- sync states: blobs of the sync room; folder 0 is the hierarchy ---- */
struct sync_state_row {
	uint64_t key;           /* of this generation */
	uint8_t generation;     /* 0 current, 1 the one before, from 2 on siblings of the current one */
	const uint8_t *blob;
	size_t blob_len;
};
#define STORE_SYNC_GENERATIONS_MAX 6
/* A piece of a large state, named by its content and shared by the generations of a collection. */
struct sync_chunk_row {
	uint64_t id;            /* at most INT64_MAX */
	const uint8_t *bytes;
	size_t len;
};
/* All generations (at most STORE_SYNC_GENERATIONS_MAX rows, current first) and the chunks they share, ordered by id. ret_chunks
 * NULL: without them, for small states have none. */
NODISCARD int store_sync_state_load(struct store_read *rd, struct device_id device, struct owner_id owner, struct folder_id folder,
	struct arena *arena, struct sync_state_row **ret, size_t *ret_count, struct sync_chunk_row **ret_chunks, size_t *ret_chunk_count,
	struct err *err);
/* What a look at a folder begins with: how new its newest change is, and the current generation of a device's state. */
struct folder_state_row {
	struct folder_id folder;
	enum folder_type type;
	uint64_t items_seq;     /* as in struct folder */
	bool has_state;
	struct sync_state_row state;
};
#define STORE_FOLDER_STATES_MAX 32
/* Of these folders, by one statement; unknown and deleted ones have no row. count at most STORE_FOLDER_STATES_MAX; ret has that room. */
NODISCARD int store_folder_states_load(struct store_read *rd, struct device_id device, struct owner_id owner, const struct folder_id *ids,
	size_t count, struct arena *arena, struct folder_state_row *ret, size_t *ret_count, struct err *err);
/* The chunks alone, of the same snapshot. */
NODISCARD int store_sync_chunks_load(struct store_read *rd, struct device_id device, struct owner_id owner, struct folder_id folder,
	struct arena *arena, struct sync_chunk_row **ret, size_t *ret_count, struct err *err);
/* Replaces all generations by these rows and all chunks by these (0 rows: deletes). A chunk that is there already is not written
 * again. ERR_NOT_FOUND: the device is gone. */
NODISCARD int store_sync_state_save(struct store_tx *tx, struct device_id device, struct owner_id owner, struct folder_id folder,
	const struct sync_state_row *rows, size_t count, const struct sync_chunk_row *chunks, size_t chunk_count, struct err *err);
/* All collections of a device which have a state. Folder 0 is the hierarchy. */
struct sync_collection_ref {
	struct owner_id owner; /* of the folder */
	struct folder_id folder;
};
NODISCARD int store_sync_state_list(struct store_read *rd, struct device_id device, struct arena *arena, struct sync_collection_ref **ret, size_t *ret_count, struct err *err);

/* ---- mail sent by devices, so that a repeated request is not a second mail ---- */
/* 1: known already; 0: noted now; -1 error. key: ClientId or a hash. Entries older than forget_before_at are removed on the way. */
NODISCARD int store_sent_note(struct store_tx *tx, struct device_id device, const char *key, int64_t now_at, int64_t forget_before_at, struct err *err);

/* ---- poison: what crashed the engine (store_poison.c) ---- */
enum { STORE_POISON_CRASHES = 2 }; /* so many set an item aside, or refuse a request */

struct poison_item {
	struct owner_id owner;
	struct folder_id folder;
	struct item_id item;
	uint64_t crashes;
	int64_t set_aside_at, received_at;
	const char *reason;
};

struct poison_request {
	struct owner_id owner; /* 0: a message that comes in */
	uint64_t hash;
	struct device_id device;
	const char *command;
	uint64_t crashes;
	int64_t last_at;
	int64_t refused_at; /* 0: it has only been counted */
};

/* One crash more for this item and for its copies (the same summary) in all mailboxes together; a crash (number) counts once.
 * *ret_now: it was set aside by this. 0 also when the item is gone. */
NODISCARD int store_poison_count_item(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id item,
	uint64_t crash, bool *ret_now, struct err *err);
/* The same for a request (owner, hash, device and command count). Crashes before since_at are forgotten. */
NODISCARD int store_poison_count_request(struct store_tx *tx, const struct poison_request *request, uint64_t crash, int64_t since_at,
	 bool *ret_now, struct err *err);
/* Sets an item aside at once. content: the same for its copies; 0: none are known. */
NODISCARD int store_poison_set_aside(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id item,
	uint64_t content, const char *reason, struct err *err);
/* Is this, which is not set aside, a copy of what crashed the engine? Then it is set aside, with an event: a transaction of its own,
 * so not inside one. Costs nothing as long as nothing has crashed. */
NODISCARD int store_poison_check_copy(struct store_read *rd, struct owner_id owner, struct folder_id folder, const struct item *item,
	bool *ret, struct err *err);
/* Back to everybody: its content counts as changed, the crashes as never counted. So do its copies that are set aside.
 * *ret_count: how many, itself included. ERR_NOT_FOUND: it is not there, or not set aside. */
NODISCARD int store_poison_release_item(struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct item_id item,
	size_t *ret_count, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_poison_release_request(struct store_tx *tx, struct owner_id owner, uint64_t hash, struct err *err);
/* Set aside items of one owner, or of all (0), by owner, folder and id. */
NODISCARD int store_poison_items(struct store_read *rd, struct owner_id owner, struct arena *arena, struct poison_item **ret,
	size_t *ret_count, struct err *err);
/* Refused requests that crashed last after since_at, of one owner, or of all (0, with messages that come in). */
NODISCARD int store_poison_requests(struct store_read *rd, struct owner_id owner, int64_t since_at, struct arena *arena,
	struct poison_request **ret, size_t *ret_count, struct err *err);
/* False without asking the database as long as no request has crashed. */
bool store_poison_any(const struct store *store);
/* How often it crashed the engine, when the last time was not before since_at: from STORE_POISON_CRASHES on it is refused. */
NODISCARD int store_poison_crashes(struct store_read *rd, struct owner_id owner, uint64_t hash, int64_t since_at, uint64_t *ret,
	struct err *err);
/* Forgets requests and contents that crashed last before that, at most limit. 1: more are left. Not inside a transaction. */
NODISCARD int store_poison_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err);

/* ---- what a device moved with its last request, so that a repeated one finds the new ids ---- */
struct store_move {
	struct folder_id from;
	struct item_id item;
	struct folder_id to;
	struct item_id moved;
};
NODISCARD int store_moves_load(struct store_read *rd, struct owner_id owner, struct device_id device, struct arena *arena,
	struct store_move **ret, size_t *ret_count, struct err *err);
/* In place of what is remembered. */
NODISCARD int store_moves_save(struct store_tx *tx, struct owner_id owner, struct device_id device, const struct store_move *moves,
	size_t count, struct err *err);

/* ---- items that a device added, so that an Add which comes again is not a second item ---- */
/* add_hash: of all that is in the Add; at most INT64_MAX. ERR_NOT_FOUND. */
NODISCARD int store_added_find(struct store_read *rd, struct owner_id owner, struct device_id device, struct folder_id folder,
	uint64_t add_hash, struct item_id *ret, struct err *err);
/* Entries of the device older than forget_before_at are removed on the way. */
NODISCARD int store_added_note(struct store_tx *tx, struct owner_id owner, struct device_id device, struct folder_id folder,
	uint64_t add_hash, struct item_id item, int64_t now_at, int64_t forget_before_at, struct err *err);

/* ---- what imports brought, so that a second run brings none twice (store_import.c) ---- */
enum { STORE_IMPORT_HASH = 16 };
/* Of the bytes of a message, as they go in. */
void store_import_hash(const void *bytes, size_t len, uint8_t ret[STORE_IMPORT_HASH]);
NODISCARD int store_import_known(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const uint8_t hash[STORE_IMPORT_HASH], bool *ret, struct err *err);
NODISCARD int store_import_note(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	const uint8_t hash[STORE_IMPORT_HASH], int64_t now_at, struct err *err);
/* Forgets at most limit that came in before that. 1: more are left. Not inside a transaction. */
NODISCARD int store_import_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err);

/* ---- Junk and Deleted Items are emptied of what is old (store_expire.c) ---- */
/* A pass over all mailboxes. Zero it, then fill in the first group; the second is its own. */
struct store_expiry {
	int64_t now_at;
	uint64_t junk_days, deleted_days; /* for who has no wish of their own; 0: never */

	struct owner_id owner; /* done up to this folder */
	struct folder_id folder;
	struct owner_id last; /* whose mailbox was counted */
	uint64_t removed, mailboxes;
};
/* Looks at some folders, and deletes up to limit items which came into theirs more than so many days ago, a transaction for each
 * folder, as any deletion (tombstones, events, nobody's device). 1: the pass goes on; 0: it is over. Not inside a transaction. */
NODISCARD int store_expire_step(struct store *store, struct store_expiry *expiry, size_t limit, struct err *err);

/* ---- event log: append-only ---- */
struct log_row {
	uint64_t id;
	int64_t at;
	const char *actor;   /* "admin:uid=0", "user:anna@example.org", "server" */
	const char *user, *address, *device_id, *device_type, *action, *result;
};
NODISCARD int store_log_add(struct store_tx *tx, const struct log_row *row, struct err *err);
/* Unless the same happened to that device less than within_s before: for what a phone may make happen as often as it likes. */
NODISCARD int store_log_add_once(struct store_tx *tx, const struct log_row *row, int64_t within_s, struct err *err);
/* What is looked for; NULL or 0 where it does not matter. */
struct log_filter {
	int64_t since_at, until_at; /* until_at itself is too late */
	const char *actor, *user, *device_id, *action, *result; /* the whole of it, as it is there */
	const char *text;       /* somewhere in any of them, or in the address; ASCII case ignored */
	uint64_t before_id;     /* only what is older than that row: the next page */
};
/* Newest first, by time and id, at most limit. */
NODISCARD int store_log_find(struct store_read *rd, const struct log_filter *filter, size_t limit, struct arena *arena,
	struct log_row **ret, size_t *ret_count, struct err *err);
/* The same by user ("" for all) alone; before_id 0: from the newest. */
NODISCARD int store_log_list(struct store_read *rd, const char *user, uint64_t before_id, size_t limit, struct arena *arena, struct log_row **ret, size_t *ret_count, struct err *err);
/* The actions that are in it, in the order of their names. */
NODISCARD int store_log_actions(struct store_read *rd, struct arena *arena, const char ***ret, size_t *ret_count, struct err *err);
/* Forgets at most limit rows from before that. 1: more are left. Not inside a transaction. */
NODISCARD int store_log_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err);

/* Writes a row that nobody reads: does the store take writes? */
NODISCARD int store_probe(struct store_tx *tx, int64_t now_at, struct err *err);

#endif
