#ifndef BELLHOP_ENGINE_TEST_ENGINE_WORLD_H
#define BELLHOP_ENGINE_TEST_ENGINE_WORLD_H

#include <stdatomic.h>

#include "engine/engine_internal.h"

/*
 * For the tests of this room: an engine with a made-up protocol and credentials behind it, and a
 * front that is a socket pair driven by the test.
 *
 * The made-up protocol, by query: `Big=n` answers n bytes, `Len` answers the length of the body,
 * `Ping=d` waits for mailbox d, a counter: its cookie is the number of the mailbox.
 */
#define MAILBOXES 64

struct peer {
	int control, bulk;
	uint8_t in[2 * IPC_FRAME_MAX];
	size_t in_len, drop;
};

struct world {
	struct loop *loop;
	struct engine engine;
	struct peer front;
	atomic_int commands, checks, answers, restores, auths;
	atomic_ullong delivered[MAILBOXES], synced[MAILBOXES];
	atomic_bool block; /* commands wait until it is false */
	bool served;       /* what the front says of its requests */
};

extern struct world world;

void world_open(void);
void world_close(void);
/* The front is gone and comes back. */
void world_reconnect(void);
/* As a front that speaks this version. */
void world_reconnect_as(uint32_t version);
void world_send(const struct ipc_frame *frame);
void world_send_bulk(const struct ipc_frame *frame);
/* The next frame on the control (or bulk) connection, running the engine meanwhile; good until the
 * next call. NULL: none for a long time. */
const struct ipc_frame *world_next(void);
const struct ipc_frame *world_next_bulk(void);
/* Runs the engine until it has nothing to do. True: no frame came. */
bool world_quiet(void);
/* A request with these credentials; NULL: none. */
void world_request(
	uint32_t number, const char *target, const char *authorization, const char *body);
/* Mail for the mailbox of that number: counted, then published. Any thread. */
void world_deliver(uint64_t mailbox);
struct ipc_handle world_handle(uint32_t number);

#endif
