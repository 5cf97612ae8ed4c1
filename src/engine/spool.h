#ifndef BELLHOP_ENGINE_SPOOL_H
#define BELLHOP_ENGINE_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A request's body while it comes in: in memory up to SPOOL_MEMORY, then in a file without a name.
 * The owner adds on the loop and calls spool_flush() and spool_open() on a worker, never both at
 * once.
 */
#define SPOOL_MEMORY ((size_t)1024 * 1024)

struct spool {
	struct buf memory; /* not yet in the file */
	int fd;            /* -1: no file */
	uint64_t len;      /* all of it */
	uint64_t in_file;
	void *mapped;
	size_t mapped_len;
};

void spool_init(struct spool *s);
void spool_deinit(struct spool *s);
void spool_add(struct spool *s, const void *bytes, size_t len);
/* True: what is in memory belongs into the file before more may come. */
static inline int spool_full(const struct spool *s)
{
	return s->memory.len >= SPOOL_MEMORY;
}
/* Writes the memory to the file, which is made in dir. Blocks. ERR_QUOTA, ERR_BACKEND. */
NODISCARD int spool_flush(struct spool *s, const char *dir, struct err *err);
/* The whole body, borrowed until spool_deinit(). Blocks. */
NODISCARD int spool_open(
	struct spool *s, const char *dir, const uint8_t **ret, size_t *ret_len, struct err *err);
/* What lies below upto is not needed for now: its memory is given back if the body lies in a file.
 * It stays readable; a pointer to anything else does nothing. */
void spool_passed(const struct spool *s, const void *upto);

#endif
