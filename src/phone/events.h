#ifndef BELLHOP_PHONE_EVENTS_H
#define BELLHOP_PHONE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What happened, on standard output: for people a sentence, with --json one object a line, flushed
 * at once:
 *
 *     {"ev":"ping_answered","at_us":1763809200123456,"mono_us":5012345678,"status":2,...}
 *
 * at_us is the wall clock, mono_us CLOCK_MONOTONIC (to be compared with other processes of the same
 * machine), both in microseconds. In the sentence form events whose text is NULL are left out.
 */
struct events {
	bool json, quiet;
};

enum events_kind { EVENTS_END = 0, EVENTS_STR, EVENTS_INT, EVENTS_LIST };
struct events_field {
	enum events_kind kind;
	const char *key, *str;
	int64_t num;
	const char *const *list; /* num strings */
};

#define EV_STR(k, v)     ((struct events_field){EVENTS_STR, (k), (v), 0, NULL})
#define EV_INT(k, v)     ((struct events_field){EVENTS_INT, (k), NULL, (int64_t)(v), NULL})
#define EV_LIST(k, v, n) ((struct events_field){EVENTS_LIST, (k), NULL, (int64_t)(n), (v)})

/* mono_us 0: now. */
#ifdef __cppcheck__ /* which does not know __VA_OPT__ */
void events_cppcheck(const struct events *events, const char *ev, ...);
#define events_emit(events, mono_us, text, ev, ...) events_cppcheck(events, ev, ##__VA_ARGS__)
#else
#define events_emit(events, mono_us, text, ev, ...)                                                \
	events_write(events, mono_us, text, ev,                                                    \
		(const struct events_field[]){__VA_ARGS__ __VA_OPT__(, ){EVENTS_END, 0, 0, 0, 0}})
#endif

void events_write(const struct events *events, int64_t mono_us, const char *text, const char *ev,
	const struct events_field *fields);
/* An error: to standard error for people, an "error" event with --json. */
void events_error(const struct events *events, const char *code, const char *text);

/* Microseconds of CLOCK_MONOTONIC. */
int64_t events_now_us(void);

#endif
