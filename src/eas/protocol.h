#ifndef BELLHOP_EAS_PROTOCOL_H
#define BELLHOP_EAS_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Commands and protocol versions: constant tables. A version is its number times ten: 25, 120, 121,
 * 140, 141, 160, 161; 0 is "unknown". Pure, any thread.
 */
enum eas_command {
	EAS_CMD_NONE = 0,
	EAS_CMD_OPTIONS, /* the HTTP method: has no Cmd */
#define EAS_COMMAND(id, code, first, last, page, bad, undecodable, trouble, flags) EAS_CMD_##id,
#include "eas/commands.def"
#undef EAS_COMMAND
	EAS_CMD_COUNT
};

struct eas_command_info {
	const char *name;                  /* as in Cmd= */
	uint8_t first, last;               /* versions; last 255: still in use */
	uint16_t root, status;             /* tags of the root and its Status; 0: none */
	uint8_t bad, undecodable, trouble; /* Status values; see commands.def */
	bool works;                        /* implemented and advertised */
	bool empty_body;                   /* an empty body is legal */
	bool no_policy_key;                /* the policy key is not checked */
};

/* Static storage; EAS_CMD_NONE and OPTIONS have a name and nothing else. */
const struct eas_command_info *eas_command_info(enum eas_command command);
/* By name, ASCII case ignored, or by the code of a base64 query; EAS_CMD_NONE when unknown. */
enum eas_command eas_command_find(const char *name);
enum eas_command eas_command_from_code(unsigned code);
bool eas_command_in_version(enum eas_command command, unsigned version);
/* "Sync,SendMail,...": what works. */
void eas_add_commands(struct buf *out, bool with_ping);

/* "14.1" -> 141; blanks around it are skipped; 0 for anything else. */
unsigned eas_version_parse(const char *text);
bool eas_version_known(unsigned version);
/* "14.1"; "unknown" for a version that is not known. Static storage. */
const char *eas_version_to_str(unsigned version);
/* All known versions, ascending, ended by 0. */
const uint8_t *eas_versions(void);

#endif
