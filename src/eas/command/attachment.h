#ifndef BELLHOP_EAS_COMMAND_ATTACHMENT_H
#define BELLHOP_EAS_COMMAND_ATTACHMENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Appends the decoded bytes of the attachment behind a FileReference ([MS-ASAIRS] 2.2.2.24) to
 * *out. *ret_type: its media type, in the arena. ERR_NOT_FOUND for a reference that names nothing of
 * this owner's (any more); ERR_BUSY without memory. Blocks; memory: the message and its attachment.
 */
NODISCARD int attachment_load(struct store_read *rd, struct owner_id owner, const char *reference,
	struct arena *arena, struct buf *out, const char **ret_type, struct err *err);

#endif
