#ifndef BELLHOP_BULK_BULK_H
#define BELLHOP_BULK_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Mail as other programs keep it: mbox files, Maildirs, files of one message. Reading goes message
 * by message in bounded memory, whatever the size of the file; nothing is changed. Writing makes
 * Maildir++ or mbox. Blocking; one thread.
 */

/* What a mailbox notes of a message beside it. */
enum bulk_flag {
	BULK_READ = 1,
	BULK_FLAGGED = 2,
	BULK_ANSWERED = 4,
	BULK_FORWARDED = 8,
	BULK_DRAFT = 16,
	BULK_TRASHED = 32, /* marked as deleted, not removed yet */
};

/* ---- names (bulk_name.c; pure) ---- */

/* "unique:2,FS" -> flags; also with ; or ! or - for the colon, as file systems without it have. */
unsigned bulk_flags_parse(const char *file_name);
/* "FS": in the order of the alphabet, as Maildir wants them. */
void bulk_flags_add(struct buf *out, unsigned flags);

#define BULK_DEPTH_MAX 32

/* A folder below the one that is imported into. */
struct bulk_path {
	char *names[BULK_DEPTH_MAX]; /* owned; UTF-8, none empty */
	size_t count;
};
void bulk_path_clear(struct bulk_path *path);
/* False: too deep. */
bool bulk_path_push(struct bulk_path *path, const char *name, size_t len);
void bulk_path_pop(struct bulk_path *path);
/* "a/b" taken apart. False: too deep. */
bool bulk_path_split(struct bulk_path *path, const char *text, char separator);

/* The name of a file or folder as text: modified UTF-7 (RFC 3501, 5.1.3) where it is that, else
 * UTF-8, cleaned. utf7_add_name() is the other way. */
void bulk_name_decode(struct buf *out, const char *name, size_t len);

/* ---- mbox (bulk_mbox.c) ---- */

/* How lines that look like the beginning of a message are kept apart from it. */
enum bulk_mbox_style {
	BULK_MBOX_AUTO, /* by Content-Length where that fits, else as RD */
	BULK_MBOX_RD,   /* every ">>From " has one > more */
	BULK_MBOX_O,    /* only "From " became ">From " */
	BULK_MBOX_CL,   /* Content-Length, and as O */
	BULK_MBOX_CL2,  /* Content-Length, nothing is quoted */
};

/* Reads at most max bytes at that place: count, 0 at the end, -1 with *err. */
typedef int64_t (*bulk_read_fn)(void *owner, uint64_t at, void *out, size_t max, struct err *err);

struct bulk_mail {
	unsigned flags;  /* enum bulk_flag */
	int64_t date_at; /* 0: unknown */
	uint64_t at;     /* where it begins in the file */
	uint64_t number; /* from 1 */
	uint64_t bytes;  /* of the message, also when it was too large to be kept */
	bool too_large;  /* nothing is kept of it */
	bool not_a_mail; /* what a mail program keeps for itself in the place of a message */
};

struct bulk_mbox;
struct bulk_mbox *bulk_mbox_new(
	bulk_read_fn read, void *owner, enum bulk_mbox_style style, uint64_t message_max);
void bulk_mbox_free(struct bulk_mbox **m);
/*
 * 1: the next message, its bytes in *out (cleared first), without what the mailbox itself put into
 * its head (Status, X-Status, ...); 0: the end; -1: the file cannot be read, or is no mbox.
 */
NODISCARD int bulk_mbox_next(
	struct bulk_mbox *m, struct buf *out, struct bulk_mail *ret, struct err *err);
/* How far in the file. */
uint64_t bulk_mbox_at(const struct bulk_mbox *m);
/* The time of a line "From somebody Mon Jan  1 00:00:00 2024"; 0: there is none in it. */
int64_t bulk_mbox_from_date(const char *line, size_t len);
/* Appends one message as mboxrd: From_ line, flags, quoted, an empty line behind it. */
void bulk_mbox_add(struct buf *out, const void *bytes, size_t len, unsigned flags, int64_t date_at);

/* ---- a whole source (bulk_source.c) ---- */

enum bulk_format {
	BULK_FORMAT_AUTO,
	BULK_FORMAT_MBOX,
	BULK_FORMAT_MBOXRD,
	BULK_FORMAT_MBOXO,
	BULK_FORMAT_MBOXCL,
	BULK_FORMAT_MBOXCL2,
	BULK_FORMAT_MAILDIR,
	BULK_FORMAT_EML,
};
/* -1: there is none of that name. */
int bulk_format_parse(const char *name);
#define BULK_FORMAT_NAMES "auto, mbox, mboxrd, mboxo, mboxcl, mboxcl2, maildir or eml"

/* What a walk through a source meets. Each may be NULL. -1 ends the walk with that error. */
struct bulk_visitor {
	/* A folder, before its messages. */
	int (*folder)(void *owner, const struct bulk_path *path, struct err *err);
	/* The bytes are lent until it returns. where: file, and place in it. */
	int (*message)(void *owner, const struct bulk_path *path, const struct bulk_mail *mail,
		const struct buf *bytes, const char *where, struct err *err);
	/* Something that could not be read, or is larger than message_max; the walk goes on. */
	int (*problem)(void *owner, const char *where, const char *text, struct err *err);
	/* So many more bytes of the source are done. */
	void (*progress)(void *owner, uint64_t bytes);
	void *owner;
};

struct bulk_source {
	const char *path;
	enum bulk_format format;
	uint64_t message_max; /* bytes */
};

/* Finds out what it is and visits everything in it. */
NODISCARD int bulk_source_walk(
	const struct bulk_source *source, const struct bulk_visitor *visitor, struct err *err);
/* The bytes of everything that a walk would read, for a progress bar. As far as it can be found. */
uint64_t bulk_source_bytes(const struct bulk_source *source);

#endif
