#ifndef BELLHOP_FRONT_TEST_RIG_H
#define BELLHOP_FRONT_TEST_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "front/front.h"
#include "ipc/ipc.h"
#include "net/stream.h"

/*
 * A front on a fake clock between phones (real sockets on loopback) and an engine that the test
 * plays. The front's loop runs only inside these functions; whoever waits for something runs it
 * until that is there, and fails the test after some seconds.
 */
struct rig_side {
	struct front *front;
	int control, bulk; /* the engine's ends; -1: not connected */
	struct buf control_in, bulk_in;
	size_t control_used, bulk_used;
	int supervisor;  /* our end of the control descriptor */
	uint32_t number; /* in its handles */
};

struct rig {
	struct front *front;
	char folder[64], nonces[96], engine_path[96], conf_path[96], cert[96], key[96];
	uint16_t port;
	struct ssl_ctx_st *client_tls; /* phones speak TLS; NULL: plain */
	int engine_listener;
	int control, bulk; /* the engine's ends; -1: not connected */
	struct buf control_in, bulk_in;
	size_t control_used, bulk_used;
	int supervisor; /* our end of the control descriptor */
	uint32_t number;
	/* Another process of the same front, when there is one: its loop runs along. */
	struct rig_side other;
	int listener; /* of the phones */
	int shared_fd;
	unsigned rounds; /* of the loop, so far, in waits */
	bool tls;
};

struct phone {
	struct net_stream stream;
	struct buf in;
	bool eof;
};

/* conf: text of a configuration file, "" for the defaults. */
void rig_start(struct rig *r, const char *conf, bool tls);
void rig_stop(struct rig *r);
/* A second process, which takes over through this socket; the rig is with the new one then. */
void rig_succeed(struct rig *r, int takeover_fd);
/* The rig is with the other process from now on. */
void rig_swap(struct rig *r);
/* Ends the other process. */
void rig_end_other(struct rig *r);
/* Runs the loop until nothing happens any more. */
void rig_spin(struct rig *r);
/* Moves the clock, runs what became due. */
void rig_pass(struct rig *r, int64_t ms);
uint64_t rig_count(struct rig *r, const char *name);
/* Waits until a counter has at least this value. */
void rig_until(struct rig *r, const char *name, uint64_t value);

/* The engine takes the front's two connections and their HELLOs. */
void engine_up(struct rig *r);
/* As one that speaks this version; 1 greets nobody. */
void engine_up_as(struct rig *r, uint32_t version);
/* It takes the connections and closes them. */
void engine_hang_up(struct rig *r);
/* It dies: connections and listening socket are gone. */
void engine_die(struct rig *r);
void engine_listen(struct rig *r);
/* The next frame on the control or the bulk connection; good until the next call for the same
 * connection. */
const struct ipc_frame *engine_next(struct rig *r, enum ipc_type want);
const struct ipc_frame *engine_next_bulk(struct rig *r);
/* The next control frame, if there is one by now. */
const struct ipc_frame *engine_poll(struct rig *r);
void engine_send(struct rig *r, const struct ipc_frame *frame);
void engine_send_handle(struct rig *r, enum ipc_type type, const struct ipc_handle *h);
void engine_park(struct rig *r, const struct ipc_handle *h, uint32_t heartbeat_s, uint32_t renew_s);
void engine_answer(struct rig *r, enum ipc_type type, const struct ipc_handle *h, int status,
	const char *body);

void phone_connect(struct rig *r, struct phone *p);
/* Only the TCP connection, whatever the listener speaks. */
void phone_connect_raw(struct rig *r, struct phone *p);
/* The same, from 127.0.0.HOST. */
void phone_connect_from(struct rig *r, struct phone *p, int host);
void phone_close(struct phone *p);
void phone_send(struct rig *r, struct phone *p, const char *text);
void phone_send_bytes(struct rig *r, struct phone *p, const void *bytes, size_t len);
/* Waits for a whole response (by its Content-Length) and takes it; the text is good until the next
 * call. */
const char *phone_answer(struct rig *r, struct phone *p, size_t *ret_len);
/* Waits for the end of the connection; true when it came and nothing else. */
bool phone_ended(struct rig *r, struct phone *p);
/* Nothing came so far. */
bool phone_silent(struct rig *r, struct phone *p);

#endif
