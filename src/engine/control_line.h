#ifndef BELLHOP_ENGINE_CONTROL_LINE_H
#define BELLHOP_ENGINE_CONTROL_LINE_H

#include <stdbool.h>

#include "base/err.h"
#include "loop/loop.h"

/*
 * The engine's end of its line to the supervisor (engine.h says what goes over it): the supervisor
 * orders a reload or the end, and the administrator's threads ask him for a reload or an upgrade.
 * Loop thread, unless said otherwise.
 */
struct control_line;

struct control_line_options {
	struct loop *loop;
	int fd;         /* the caller's; -1: nobody is there */
	bool upgrading; /* an upgrade is on its way */
	void (*on_reload)(void *owner);
	void (*on_stop)(void *owner, const char *why);
	void *owner;
};

NODISCARD int control_line_start(
	const struct control_line_options *options, struct control_line **ret, struct err *err);
/* The engine listens. */
void control_line_say_ready(struct control_line *line);
/*
 * 'R' or 'U': asks the supervisor, and waits for what he says, 20 s at most; one at a time.
 * ERR_BAD_INPUT: he refuses, and says why. Any thread but the loop's.
 */
NODISCARD int control_line_ask(struct control_line *line, char what, struct err *err);
/* Whether an upgrade goes on, and whether the last one failed, as the supervisor says. Any
 * thread. */
bool control_line_upgrading(const struct control_line *line);
bool control_line_upgrade_failed(const struct control_line *line);
/* No answer will come any more: whoever waits for one ends with ERR_BUSY. */
void control_line_close(struct control_line *line);
/* No thread asks any longer. */
void control_line_free(struct control_line **line);

#endif
