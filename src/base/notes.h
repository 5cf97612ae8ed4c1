#ifndef BELLHOP_BASE_NOTES_H
#define BELLHOP_BASE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What each thread of the engine is at work on, in a page that outlives the process. The supervisor
 * makes it (an anonymous file) and hands it to each engine; a thread notes what it is about to
 * parse or encode with a few plain stores into a slot of its own. When the process dies of a fault,
 * a signal handler has marked the slot of the thread that faulted; the next engine reads the marks
 * and counts. A process killed from outside leaves no mark, and whoever was at work beside the
 * faulting thread is not blamed.
 *
 * A thread without a slot notes nothing; every function is safe to call then.
 */
enum note_kind {
	NOTE_NONE = 0,
	NOTE_REQUEST = 1, /* of a phone */
	NOTE_MAIL = 2,    /* a message that comes in */
	NOTE_KIND_COUNT,
};

#define NOTE_WHAT_MAX 24

struct note {
	uint32_t kind; /* enum note_kind; written last, so that a note is whole or absent */
	char what[NOTE_WHAT_MAX]; /* for people: the command */
	uint64_t hash;            /* of the request or message */
	uint64_t owner, device;
	uint64_t item_owner, folder, item; /* the item at hand; item 0: none */
	int64_t begun_ms;                  /* monotonic */
};

/* ---- the supervisor ---- */

/* An empty page; *ret_fd is close-on-exec. */
NODISCARD int notes_create(int *ret_fd, struct err *err);
/* The process that used the page was ended because it hung: the note that is at least min_age_ms
 * old and the oldest gets the mark. False: there is none, or something is marked already. */
bool notes_blame_oldest(int fd, int64_t min_age_ms);
/* Did the process leave a mark? */
bool notes_marked(int fd);

/* ---- the engine ---- */

/*
 * Maps the page for the rest of the process (fd stays the caller's; a page of another layout is
 * begun anew) and installs the handlers of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT, which mark
 * and then do what was done before. Once, before the other threads; a second call replaces the page
 * (tests).
 */
NODISCARD int notes_attach(int fd, struct err *err);
/* The marked notes of the process before; at most max. *ret_crash names that process: another
 * number for each. */
size_t notes_guilty(struct note *ret, size_t max, uint64_t *ret_crash);
/* Wipes all notes and begins a new number; before the first thread joins. */
void notes_begin_process(void);

/* A slot for the calling thread, an alternate stack, faults unblocked. No slot left: nothing is
 * noted. */
void notes_thread_join(void);
void notes_thread_leave(void);
/* The calling thread works for another one (a transaction of its caller): faults are that one's.
 * NULL: for itself again. */
struct notes_slot;
struct notes_slot *notes_self(void);
void notes_work_for(struct notes_slot *other);

/* Begins a note; replaces the one before. what: copied, cut. */
void notes_begin(
	enum note_kind kind, uint64_t hash, uint64_t owner, uint64_t device, const char *what);
/* Known only now. */
void notes_device(uint64_t device);
/* The item about to be read or encoded; notes_item_done() when that is over. */
void notes_item(uint64_t item_owner, uint64_t folder, uint64_t item);
void notes_item_done(void);
void notes_end(void);

/* A number for bytes, the same in every process; long ones by their length, beginning and end, so
 * that the cost has a bound. seed: chains several. */
uint64_t notes_hash(uint64_t seed, const void *bytes, size_t len);

#endif
