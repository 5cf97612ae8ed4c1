#ifndef BELLHOP_EAS_COMMAND_ATTACHMENT_H
#define BELLHOP_EAS_COMMAND_ATTACHMENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "eas/class/email.h"
#include "store/store.h"

/*
 * An attachment of a stored message. It is read in pieces: beside what is appended to the caller's
 * buffer, memory does not depend on its size.
 */
struct attachment {
	struct email email;
	uint32_t part;
	uint64_t total;   /* decoded bytes */
	const char *type; /* media type, in the arena */
};

/* The one behind a FileReference ([MS-ASAIRS] 2.2.2.24). ERR_NOT_FOUND for a reference that names
 * nothing of this owner's (any more). Blocks. From here to attachment_close() a crash is counted
 * against the message: one at a time on a thread. */
NODISCARD int attachment_open(struct store_read *rd, struct owner_id owner, const char *reference,
	struct arena *arena, struct attachment *ret, struct err *err);
void attachment_close(struct attachment *a);
/* Appends bytes first to first + count, as they are or as base64. ERR_BUSY without memory. Blocks.
 */
NODISCARD int attachment_read(const struct attachment *a, uint64_t first, uint64_t count,
	bool as_base64, struct buf *out, struct err *err);

#endif
