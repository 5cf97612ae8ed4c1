#ifndef BELLHOP_BASE_PURE_H
#define BELLHOP_BASE_PURE_H

#include <stdbool.h>

/*
 * Pure stretches of code: they touch memory and what they were lent, nothing else. No file, no
 * socket, no lock, no clock, no log, no waiting, because they may run again, and because somebody
 * waits behind them. The functions of database transactions are such stretches (db/db.h).
 *
 * A debug build (buildtype=debug) watches over it: while a thread is in a pure stretch, each call
 * of ours to one of the functions listed in pure_wrap.c, and each pure_check(), prints what was
 * called and aborts. Only the calls of our own objects are watched: the linker puts the wrappers
 * between (--wrap), so what a shared library does, such as SQLite's own I/O, is not.
 *
 * In other builds pure_check() is nothing, and nothing is wrapped. Any thread; stretches do not
 * nest (asserted).
 */
#ifndef PURE_CHECKS
#define PURE_CHECKS 0
#endif

/* name: a literal, for the message ("a transaction"). */
void pure_begin(const char *name);
void pure_end(void);
bool pure_inside(void);

#if PURE_CHECKS
/* call: a literal, what must not happen in a pure stretch. */
void pure_check(const char *call);
#else
static inline void pure_check(const char *call)
{
	(void)call;
}
#endif

#endif
