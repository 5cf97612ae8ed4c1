#ifndef BELLHOP_TELEMETRY_WAITS_H
#define BELLHOP_TELEMETRY_WAITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The last waits of phones: how long each asked for, how long it lasted, how it ended. A ring of a
 * fixed size for all phones together, in memory only; looking for those of one phone reads all of
 * it. Any thread.
 */
struct waits;

#define WAITS_PROXIES       64
#define WAITS_PROXY_ADDRESS 46

enum wait_end {
	WAIT_EXPIRED = 1, /* to its end; nothing had happened */
	WAIT_WOKEN,       /* something had */
	WAIT_CLOSED,      /* the phone closed its connection, or asked something else */
	WAIT_CUT,         /* the connection was found broken, or replaced by another */
};

/* Without holes: the ring of them is the same size for few phones as for many. */
struct wait {
	uint64_t device;
	uint32_t ended_at; /* wall clock, seconds */
	uint16_t asked_s, lasted_s;
	uint8_t end;   /* enum wait_end */
	uint8_t proxy; /* waits_proxy(); 0: none that is known */
} __attribute__((packed, aligned(4)));

/* max 0: nothing is kept. */
struct waits *waits_new(size_t max);
void waits_free(struct waits **waits);
void waits_add(struct waits *waits, const struct wait *wait);
/* The newest of one device first; returns how many. */
size_t waits_read(struct waits *waits, uint64_t device, struct wait *out, size_t max);
/*
 * Waits of all phones that did not come to their end and were not ended by news, since then: what
 * somebody else has cut, and what phones closed. Returns how many, the newest at most.
 */
size_t waits_read_ended(struct waits *waits, uint32_t since_at, struct wait *out, size_t max);
/* Waits of all phones that asked for less than `below_s`, however they ended; the same otherwise.
 */
size_t waits_read_short(
	struct waits *waits, uint32_t since_at, uint32_t below_s, struct wait *out, size_t max);
/* The number of a reverse proxy's address, which stays good; 0 of "", and when there are too many.
 */
uint8_t waits_proxy(struct waits *waits, const char *address);
/* And back: "" of 0. Stays as long as `waits`. */
const char *waits_proxy_address(struct waits *waits, uint8_t proxy);
/* "expired", "woken", "closed", "cut". */
const char *wait_end_to_str(enum wait_end end);

#endif
