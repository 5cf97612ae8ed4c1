#ifndef BELLHOP_FRONT_FRONT_H
#define BELLHOP_FRONT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "net/tls.h"

/*
 * A front: one single-threaded process that keeps the phones' connections. It knows TLS, HTTP and
 * waiting, and nothing of mail; everything else it asks the engine for (ipc/ipc.h).
 *
 * Settings used: http_*, tls_*, server_max_connections, server_log_level.
 */
struct front;
struct loop;
struct net_tickets;

struct front_listener {
	int fd; /* listening; taken by the front */
	bool tls;
};

struct front_options {
	uint32_t number;                 /* of this front, from 0 */
	uint32_t life;                   /* processes of that number before; both in every handle */
	const struct settings *settings; /* the front takes a reference of its own */
	/* Read again at a reload, when the supervisor has found it good. NULL: only the
	 * certificates are read again. */
	const char *config_path;
	/* PEM files for when the settings name none (the self-signed ones). NULL: there must not be
	 * TLS listeners then. */
	const char *tls_certificate, *tls_key;
	/* NET_TICKET_KEYS_BYTES that all fronts share, so that sessions resume at any of them;
	 * NULL: own ones. */
	const uint8_t *ticket_keys;
	/* The same, with keys that change meanwhile (net/tickets.h): kept, must outlive the front.
	 * NULL: ticket_keys. */
	struct net_tickets *tickets;
	const struct front_listener *listeners;
	size_t listener_count;
	const char *engine_path; /* the engine's socket */
	/*
	 * From the supervisor: a byte 'R' means reload settings and certificates; 'H', with a
	 * socket, hand everything over to the process at its other end; end of file means stop.
	 * Taken by the front. -1: none. On stop no more connections are taken, idle and
	 * waiting ones are closed, requests in flight have five seconds to end.
	 */
	int control_fd;
	uint32_t fronts; /* how many there are; 0: this one */
	/*
	 * The other end of a socket that the front's old process got with the order 'H'
	 * (front/handover.h): listeners stay closed until that one has stopped taking connections,
	 * and its connections are taken over. 't' goes up control_fd when all that could come at
	 * once are here. Taken by the front. -1: there is none.
	 */
	int takeover_fd;
	uint32_t connections_max; /* of this front; 0: as many as all may have together */
	/* What all fronts know together (shared/shared.h); the caller's, needed by front_new()
	 * only. -1: this front is alone. */
	int shared_fd;
};

/* What the engine calls a front's process: a number with all its lives. */
#define FRONT_NUMBERS 65536u
static inline uint32_t front_number(uint32_t number, uint32_t life)
{
	return life % FRONT_NUMBERS * FRONT_NUMBERS + number;
}

/* Runs until it is told to stop. 0, or -1 when it could not start (logged). net_setup() has been
 * called. */
int front_run(const struct front_options *options);

/* The same in steps, for tests: make it, drive its loop, free it. */
NODISCARD int front_new(const struct front_options *options, struct front **ret, struct err *err);
struct loop *front_loop(struct front *f);
void front_free(struct front **f);
/* A counter by the name it has in IPC_STATS; 0 for unknown names. */
uint64_t front_counter(const struct front *f, const char *name);

#endif
