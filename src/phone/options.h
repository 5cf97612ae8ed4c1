#ifndef BELLHOP_PHONE_OPTIONS_H
#define BELLHOP_PHONE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The command line. Strings are borrowed from argv. */
enum options_mode {
	OPTIONS_STAY,     /* sync, then Ping for ever */
	OPTIONS_ONCE,     /* one full sync */
	OPTIONS_WAIT_ONE, /* sync, Ping until one change was synced */
	OPTIONS_SEND,     /* a message from standard input */
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

#define OPTIONS_FOLDERS_MAX 64

struct options {
	enum options_mode mode;
	const char *server, *user, *password_file;
	const char *cacert, *pin;
	const char *data_dir; /* NULL: by user and server */
	const char *device_id, *device_type;
	const char *folders[OPTIONS_FOLDERS_MAX];
	size_t folder_count;  /* 0: all mail folders */
	unsigned version;     /* 0: the highest common one */
	unsigned filter;      /* FilterType 0..5 */
	unsigned window;      /* 1..512 */
	unsigned heartbeat_s; /* 0: adaptive start */
	unsigned body_type;   /* 1, 2 or 4 */
	bool base64, insecure, json, quiet, debug, claim_policy, no_save_in_sent;
};

/* ERR_BAD_INPUT names the option, what was given and what would be right. */
NODISCARD int options_parse(int argc, char **argv, struct options *ret, struct err *err);
/* The help text. */
const char *options_help(void);

#endif
