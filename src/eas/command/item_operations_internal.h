#ifndef BELLHOP_EAS_COMMAND_ITEM_OPERATIONS_INTERNAL_H
#define BELLHOP_EAS_COMMAND_ITEM_OPERATIONS_INTERNAL_H

#include "base/buf.h"
#include "eas/command.h"

/* What the files of ItemOperations share. */

enum {
	OPERATION_OK = 1,
	OPERATION_PROTOCOL = 2,
	OPERATION_SERVER = 3,
	OPERATION_NOT_FOUND = 6,
	OPERATION_BAD_RANGE = 8,
	OPERATION_UNKNOWN_STORE = 9,
	OPERATION_TOO_LARGE = 11,
	OPERATION_CONVERSION = 14,
	OPERATION_BAD_ATTACHMENT = 15,
	OPERATION_DENIED = 16,
	OPERATION_PARTIAL = 17,
};

struct operations {
	struct eas_call *call;
	struct store_read *rd; /* NULL: the next Fetch takes a fresh snapshot */
	int64_t deadline_ms;   /* monotonic: long operations end there */
	bool multipart;
	struct buf parts;       /* bytes of parts 1, 2 ... one after the other */
	uint32_t *part_lengths; /* in the arena */
	unsigned part_count, part_room;
};

/* The bytes from begin on, which were added to op->parts, become a part; returns its number. */
unsigned operations_end_part(struct operations *op, size_t begin);
/* Is the answer as large as it may get? Its first bytes always fit. */
bool operations_full(const struct operations *op, size_t more_bytes);

/*
 * Each does one operation and returns its Status. Success: the children of the open element are
 * written, Status first. Failure: whatever was written will be taken back. node->fault is 0.
 */
/* Does it fetch the message that explains a quarantine? */
bool operations_is_notice(const struct operations *op, const struct wbxml_node *fetch);
unsigned operations_fetch(struct operations *op, const struct wbxml_node *node);
unsigned operations_empty_folder(struct operations *op, const struct wbxml_node *node);
unsigned operations_move(struct operations *op, const struct wbxml_node *node);

#endif
