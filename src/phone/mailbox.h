#ifndef BELLHOP_PHONE_MAILBOX_H
#define BELLHOP_PHONE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * What the phone knows of one collection: its SyncKey and which server id is which Maildir file,
 * with the flags that the server knows. Kept in one file, replaced as a whole after each answer and
 * before anything relies on it. One thread.
 */
struct mailbox_entry {
	char *server_id;
	char *base;         /* of the Maildir file */
	bool read, flagged; /* as the server has them */
	bool partial;       /* the body was cut: fetch it */
	bool stale;         /* from before a reset: gone unless the server names it again */
	size_t slot;        /* mailbox.c's own */
};

struct mailbox;

struct mailbox *mailbox_new(const char *collection_id);
void mailbox_free(struct mailbox **m);

const char *mailbox_sync_key(const struct mailbox *m); /* "0": none */
void mailbox_set_sync_key(struct mailbox *m, const char *key);

/* Entries stay where they are until mailbox_remove(). */
struct mailbox_entry *mailbox_find(const struct mailbox *m, const char *server_id);
struct mailbox_entry *mailbox_add(struct mailbox *m, const char *server_id, const char *base);
void mailbox_remove(struct mailbox *m, struct mailbox_entry *entry);
size_t mailbox_count(const struct mailbox *m);
/* The n-th of count; the order changes with removals. */
struct mailbox_entry *mailbox_at(const struct mailbox *m, size_t n);
/* The SyncKey was refused: back to "0", everything stale. */
void mailbox_reset(struct mailbox *m);

void mailbox_encode(const struct mailbox *m, struct buf *out);
/* ERR_BAD_INPUT: not a whole file of ours for this collection. */
NODISCARD int mailbox_decode(const char *collection_id, const char *text, size_t len,
	struct mailbox **ret, struct err *err);
/* Files below dir, named by the collection. No file: a new mailbox. */
NODISCARD int mailbox_load(
	const char *dir, const char *collection_id, struct mailbox **ret, struct err *err);
NODISCARD int mailbox_save(const char *dir, const struct mailbox *m, struct err *err);
/* For a folder that the server has deleted. */
void mailbox_forget(const char *dir, const char *collection_id);

#endif
