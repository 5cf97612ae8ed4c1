#ifndef BELLHOP_FRONT_HANDOVER_H
#define BELLHOP_FRONT_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ipc/ipc.h"
#include "shared/shared.h"

/*
 * The messages with which a front hands its connections to the process that takes its place, over a
 * SOCK_SEQPACKET socket that the supervisor made. Pure: encode and decode only; the old side is
 * pass.c, the new one adopt.c.
 *
 *   new   HELLO    it serves: settings, certificates and engine are there
 *   old   BEGIN    it takes no connections any more; the new one does, from the same sockets
 *   old   CONNS    a batch of connections, with their descriptors in the same order
 *   new   ACK      it has them; only then comes the next batch
 *   old   SWEPT    what could be handed over at once has been. Others follow as they come to rest
 *   old   COUNTERS what it has counted, when it ends; only between processes that share no memory
 *
 * A connection of a batch is dead in the old process before the message leaves, so nothing is ever
 * answered, or sealed, twice. When the new process dies, the batch without an ACK is lost and the
 * old one takes connections again; when the old one dies the new one goes on with what it has.
 *
 * A message is u8 type and its fields; integers little-endian. HELLO names the newest version that
 * the new process speaks, BEGIN the one that is spoken, the lower of both. New fields stand at the
 * end of a message, or of a connection (each has its length before it); what is not known is
 * skipped, what is absent is zero. The TLS state is the first RECORD_STATE_BYTES of a struct
 * record_state as they lie in memory: a release that changes them raises the version, and writes
 * the old ones for version 1.
 */
#define HANDOVER_VERSION      1
#define HANDOVER_BATCH_MAX    253 /* NET_FDS_MAX */
#define HANDOVER_BYTES_MAX    ((size_t)160 * 1024)
#define HANDOVER_TLS_MAX      255 /* of a detached TLS stream */
#define HANDOVER_KEY_BYTES    32
#define HANDOVER_COUNTERS_MAX (2 * SHARED_COUNTERS)

enum handover_type {
	HANDOVER_UNKNOWN = 0, /* decoded only: of a later version */
	HANDOVER_HELLO = 1,
	HANDOVER_BEGIN,
	HANDOVER_CONNS,
	HANDOVER_ACK,
	HANDOVER_SWEPT,
	HANDOVER_COUNTERS,
};

struct handover_conn {
	struct ipc_handle handle; /* at the old front; request 0: no watch */
	bool parked;              /* false: between two requests */
	bool stale, keep_alive;   /* of the watch */
	enum ipc_expiry expiry;   /* with a watch */
	uint32_t heartbeat_s;
	int64_t deadline_ms, renew_until_ms; /* CLOCK_MONOTONIC, the same in both processes */
	uint64_t print[2];                   /* of the request that parked */
	uint8_t address[16];
	uint16_t wait_s, port; /* how long it waits, or waited; of the listener. 0: not known */
	uint8_t cookie_len, tls_len; /* tls_len 0: plain */
	uint8_t cookie[IPC_COOKIE_MAX];
	uint8_t tls[HANDOVER_TLS_MAX];
};

struct handover_message {
	enum handover_type type;
	uint32_t version;                       /* HELLO, BEGIN */
	bool takes_tls;                         /* HELLO: detached TLS can go on there */
	uint32_t connections;                   /* BEGIN: that may come, at most */
	uint8_t print_keys[HANDOVER_KEY_BYTES]; /* BEGIN: prints stay good in the new process */
	/* HELLO, BEGIN: a number that only who maps the same memory knows (shared/shared.h);
	 * HELLO of older releases: 0. BEGIN: the part of the old process in it. */
	uint64_t shared_proof;
	uint32_t part;
	bool counted;   /* ACK: by the new process, in the same shared memory */
	uint32_t count; /* CONNS, COUNTERS: in this message */
	struct rd rest; /* of CONNS and COUNTERS, decoded: for handover_next_...() */
};

/* Everything but CONNS and COUNTERS. */
void handover_encode(const struct handover_message *m, struct buf *out);
/* A batch: begin it, add connections, and it is complete. */
void handover_begin_conns(struct buf *out, uint32_t count);
void handover_add_conn(struct buf *out, const struct handover_conn *c);
/* HANDOVER_COUNTERS_MAX at most. */
void handover_encode_counters(
	struct buf *out, const struct shared_counted *counters, uint32_t count);

/* One whole message; *ret borrows. */
NODISCARD int handover_decode(
	const uint8_t *bytes, size_t len, struct handover_message *ret, struct err *err);
/* `count` times after decoding CONNS. False: malformed. */
bool handover_next_conn(struct handover_message *m, struct handover_conn *ret);
/* The same after COUNTERS. */
bool handover_next_counter(struct handover_message *m, struct shared_counted *ret);

#endif
