#ifndef BELLHOP_CONF_SETTINGS_INTERNAL_H
#define BELLHOP_CONF_SETTINGS_INTERNAL_H

#include "base/arena.h"
#include "conf/settings.h"

struct settings_private {
	int refs;            /* atomic */
	struct arena *arena; /* all strings, and the snapshot itself */
};

/* An empty snapshot with all fields unset; only the parser and settings_default() fill one. */
struct settings *settings_new(void);
/*
 * Checks text and stores it. folder (or NULL): where relative paths start. ERR_BAD_INPUT says what
 * would be allowed; the snapshot is untouched then.
 */
NODISCARD int settings_set(struct settings *s, const struct setting_def *def, const char *text,
	const char *folder, struct err *err);
/* Sets derived fields; after the last settings_set(). */
void settings_finish(struct settings *s);

#endif
