#ifndef BELLHOP_TESTS_POWER_LOG_H
#define BELLHOP_TESTS_POWER_LOG_H

#include <stdint.h>

/*
 * The log of the recorder: what a server did to the files below one folder, in order, and what it
 * said meanwhile. Each record is this header, then path, other path and bytes, then zeros up to a
 * multiple of 8. Paths are relative
 * to the folder, which itself is "". Written by recorder.c (several processes append), read by
 * replay.c; the driver of a test appends POWER_MARK records of its own.
 */
enum power_kind {
	POWER_ROOT = 1,   /* the folder itself; inode */
	POWER_CREATE,     /* path, inode: a new file */
	POWER_WRITE,      /* inode, offset, bytes */
	POWER_TRUNCATE,   /* inode; offset is the new size */
	POWER_SYNC_BEGIN, /* inode, path; offset is a number that its end repeats */
	POWER_SYNC_END,   /* offset */
	POWER_RENAME,     /* path, other */
	POWER_UNLINK,     /* path */
	POWER_LINK,       /* path, other: a new name */
	POWER_MKDIR,      /* path, inode */
	POWER_RMDIR,      /* path */
	POWER_SENT,    /* bytes for a socket, before they went; offset: the peer's TCP port, or 0 */
	POWER_MARK,    /* text of the driver */
	POWER_TROUBLE, /* text: something that the recorder cannot follow */
};

#define POWER_ALIGN(len) (((len) + 7) & ~(uint64_t)7)

struct power_record {
	uint32_t kind;
	uint32_t path_len, other_len, bytes_len;
	uint64_t inode, offset;
};

#endif
