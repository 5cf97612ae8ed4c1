#ifndef BELLHOP_EAS_SCHEMA_H
#define BELLHOP_EAS_SCHEMA_H

#include <stdint.h>

#include "base/err.h"
#include "eas/protocol.h"
#include "eas/status.h"
#include "wbxml/wbxml.h"

/*
 * The schema of every request (schema.def): elements, order where it matters, how often, types,
 * limits, versions. A command runs only on a tree that has passed, and checks no shapes itself.
 * Pure.
 *
 * Faults that concern one item do not fail the request. They set `fault`, the Status for that item,
 * on a node; the command answers it and goes on: Sync            Add, Change, Delete: 6 (or another
 * item Status) ItemOperations  Fetch, EmptyFolderContents, Move: 2, 8, 9, 155, 164 MoveItems Move:
 * 5 MeetingResponse Request: 2, 104, 105 Settings        Oof, DevicePassword: 2, 5
 *
 * A checked tree is tidied: of elements whose repetition the documents leave undefined (FilterType
 * in Options and the like) only the last one stays.
 */
struct schema_limits {
	uint32_t sync_commands, sync_collections; /* settings */
	uint32_t estimate_collections, operations, moves, meeting_requests, recipients,
		certificates;
};

/* [MS-ASCMD] 3.1.5.10. */
struct schema_limits schema_limits_default(void);

struct schema_fault {
	unsigned status; /* of the command, or a common one; 0: none */
	enum eas_place place;
	uint64_t limit;       /* Sync 15: the number allowed */
	unsigned item_faults; /* items that got a fault of their own */
	char text[256]; /* "Sync/Collections/Collection[2]/WindowSize: 9x is not a number"; the
			   first item's fault when status is 0 and item_faults is not; "" when all
			   is well. No words of people. */
};

/*
 * 0: run the command. -1: answer fault->status, in the form that eas_status_outcome() names. A root
 * that is not the command's is a fault, too.
 */
NODISCARD int schema_check(enum eas_command command, unsigned version, struct wbxml_node *root,
	const struct schema_limits *limits, struct schema_fault *fault);

#endif
