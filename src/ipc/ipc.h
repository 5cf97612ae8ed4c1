#ifndef BELLHOP_IPC_IPC_H
#define BELLHOP_IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The frames between a front and the engine, over Unix stream sockets: the engine listens on
 * <runtime_dir>/engine.sock; each front opens two connections to it, one for control frames and one
 * for bulk bytes, and says which in HELLO. Either side may die and come back; frames carry bytes and
 * handles, never pointers. Pure: encode and decode only.
 *
 * A frame: u32 length of what follows, u8 type, payload. Integers little-endian; strings and blobs as
 * varint length + bytes; a string's length counts a terminating NUL, which is sent, so that decoding can borrow. Longest frame
 * (with its length): IPC_FRAME_MAX. A frame that does not decode ends the
 * connection (the peer is of our own house, so this is a bug).
 *
 * Versions: a front and an engine of neighbouring releases understand each other. The front says in HELLO the newest version
 * it speaks; the engine answers, on each connection, with a HELLO that names the one which both will speak. An engine of
 * version 1 does not answer but hangs up on a greater number: then the front comes back as version 1. New fields are put at
 * the end of a frame, where older ones end: decoding skips what it does not know, gives absent fields their zero,
 * and calls a frame of unknown type IPC_UNKNOWN, which receivers ignore. Version 1 skips nothing, so it is sent nothing new.
 *
 * A request is named by a struct ipc_handle, made by the front: slot and generation of its connection and
 * a number that is new for each request. The engine gives it back in every frame about it; the front drops
 * frames whose handle is not current any more (the phone went away).
 *
 * The life of a request, front (F) and engine (E):
 *   F REQUEST (head, and the body whole when it is at most IPC_INLINE_BODY_MAX bytes; else body_follows)
 *     [body_follows: E GRANT bytes, then F BODY frames on the bulk connection up to the credit, ... F BODY with last set;
 *      E sends further GRANTs; or E answers early with RESPONSE and the rest is dropped]
 *   E RESPONSE (inline body, or body_follows: then E BODY frames on the bulk connection, F CREDIT as its client drains)
 *   or E PARK: the phone waits now. Then one of
 *       E WAKE (answer it now),   E STALE (do not renew from memory; a parked phone stays parked),
 *       F at the heartbeat's end answers by itself (expiry kind) and keeps the watch for renewal,
 *       F GONE when the client went away or sends anything else than the identical request.
 *   After an expiry a request of the same connection with identical bytes, before `renew_until`, on a watch that is not
 *   stale, parks again in the front without a frame. Any other request goes to the engine as REQUEST; the
 *   front sends GONE for the old watch first.
 *   WAKE for a watch that is not parked at this moment (between an expiry and a renewal) makes the front
 *   forget the watch, so that the next Ping goes to the engine.
 *   E DROP: the client connection is to be closed without an answer (throttled floods).
 *
 * When the engine's connection is lost, the front answers requests in flight 503 with Retry-After, keeps
 * parked phones parked, reconnects with back-off, and sends REGISTER for each watch that it holds, paced; the
 * engine answers each with PARK (same handle; cookie and times refreshed), or WAKE, or nothing for one that GONE.
 *
 * An engine that stops in order sends BYE as its last control frame: requests without an answer were not begun, so the
 * front keeps the small ones and gives them to the next engine.
 *
 * A front that took its connections over from another (front/handover.h) names in REGISTER the handle under which the living
 * engine knows the watch. When nothing has happened to it the engine renames it and says nothing: all terms hold on.
 */
#ifndef IPC_VERSION /* else a test's program that stands for the release before */
#define IPC_VERSION 3
#endif
#define IPC_VERSION_MIN     1 /* the oldest that is still understood */
#define IPC_FRAME_MAX       (160u * 1024)
#define IPC_INLINE_BODY_MAX (64u * 1024)
#define IPC_BULK_CHUNK      (32u * 1024)
#define IPC_COOKIE_MAX      64

enum ipc_type {
	IPC_UNKNOWN = 0, /* decoded only: a type of a later version */
	IPC_HELLO = 1, /* F: version, front number, channel; first frame on each connection. E (2): the answer */
	IPC_REQUEST,
	IPC_BODY,      /* both ways, bulk connection: handle, last, bytes */
	IPC_GRANT,     /* E: handle, bytes more that may be sent */
	IPC_CREDIT,    /* F: handle, bytes of the response more that may be sent (the first IPC_BULK_CREDIT are free) */
	IPC_RESPONSE,
	IPC_PARK,
	IPC_WAKE,
	IPC_STALE,
	IPC_GONE,      /* F: handle */
	IPC_REGISTER,
	IPC_DROP,
	IPC_STATS,     /* F: counters as pairs of name and value, every few seconds and when asked; E: asks (empty) */
	IPC_BYE,       /* E (2): the last frame of an engine that stops in order; no payload */
	IPC_WAITED,    /* F (2): a wait is over: for the engine's memory of what phones do. One that does not know it loses nothing */
};

/* (3) body_len of a response whose length nobody knows yet: BODY frames come until one says last. */
#define IPC_LENGTH_UNKNOWN UINT64_MAX

#define IPC_BULK_CREDIT (256u * 1024) /* response bytes the engine may have under way per request */

struct ipc_handle {
	uint32_t front, slot, generation, request;
};

enum ipc_channel { IPC_CHANNEL_CONTROL = 1, IPC_CHANNEL_BULK = 2 };

struct ipc_hello {
	uint32_t version, front;
	enum ipc_channel channel;
};

struct ipc_header {
	const char *name, *value; /* borrowed */
};

#define IPC_HEADERS_MAX 100

struct ipc_request {
	struct ipc_handle handle;
	const char *method;   /* "POST", "OPTIONS", "GET" */
	const char *target;   /* as sent: path and query */
	const char *address;  /* the client's, text form (IPv4-mapped IPv6 as IPv4) */
	bool tls;
	bool body_follows;    /* on the bulk connection; body is empty then */
	int64_t content_length; /* as announced; -1: chunked, not known */
	size_t header_count;
	struct ipc_header headers[IPC_HEADERS_MAX]; /* names in lower case */
	const uint8_t *body;  /* de-chunked; Content-Encoding untouched */
	size_t body_len;
	bool served;          /* (2) an earlier request on its connection was: when there is too much to do, newcomers are sent away first */
};

struct ipc_response {
	struct ipc_handle handle;
	uint16_t status;
	const char *reason;   /* "" for the usual one */
	bool close;           /* close the connection after it */
	bool body_follows;    /* total body_len bytes come on the bulk connection, or (3) IPC_LENGTH_UNKNOWN */
	size_t header_count;
	struct ipc_header headers[IPC_HEADERS_MAX]; /* Content-Length, Date, Connection: the front's own */
	const uint8_t *body;
	uint64_t body_len;
	uint64_t since_us;    /* (2) WAKE: when what it tells was committed, on the clock of all processes (CLOCK_MONOTONIC); 0: not known */
};

/* What the front answers by itself when the heartbeat is over. */
enum ipc_expiry { IPC_EXPIRY_PING = 1 /* 200, Ping{Status 1} */, IPC_EXPIRY_SYNC = 2 /* empty 200 */ };

struct ipc_park {
	struct ipc_handle handle;
	uint32_t heartbeat_s;
	enum ipc_expiry expiry;
	uint32_t renew_for_s; /* from now on identical requests may be renewed from memory this long; 0: never */
	uint8_t cookie_len;
	uint8_t cookie[IPC_COOKIE_MAX]; /* opaque to the front; given back in REGISTER */
};

/* WAKE and RESPONSE have the same shape: a WAKE is an ipc_response; its body, too, may follow on the bulk connection. */

struct ipc_register {
	struct ipc_handle handle;
	bool parked;          /* false: between an expiry and a renewal */
	uint32_t left_s;      /* of the heartbeat */
	enum ipc_expiry expiry;
	uint8_t cookie_len;
	uint8_t cookie[IPC_COOKIE_MAX];
	/* Version 2: */
	bool stale;           /* STALE has come: what the cookie says of cleanness counts for nothing */
	bool moved;           /* the watch may still be known under `before` */
	struct ipc_handle before;
};

enum ipc_wait_end { IPC_WAIT_EXPIRED = 1, IPC_WAIT_WOKEN, IPC_WAIT_CLOSED, IPC_WAIT_CUT };

struct ipc_waited {
	uint32_t asked_s, lasted_s;
	enum ipc_wait_end end;
	bool proxied;         /* through the reverse proxy at `proxy`; false: none that said so */
	uint8_t proxy[16];    /* its IP address; IPv4 as ::ffff:a.b.c.d */
	uint8_t cookie_len;
	uint8_t cookie[IPC_COOKIE_MAX];
};

struct ipc_body {
	struct ipc_handle handle;
	bool last;            /* the body is complete */
	bool aborted;         /* the sender gave up; the request or response is void */
	const uint8_t *bytes;
	size_t len;
};

struct ipc_amount { /* GRANT, CREDIT */
	struct ipc_handle handle;
	uint32_t bytes;
};

#define IPC_STATS_MAX    128 /* more are skipped */
#define IPC_STATS_MAX_V1 32 /* what version 1 takes */
struct ipc_stats {
	uint32_t front;
	size_t count;
	struct {
		const char *name;
		uint64_t value;
	} counters[IPC_STATS_MAX];
};

struct ipc_frame {
	enum ipc_type type;
	union {
		struct ipc_hello hello;
		struct ipc_request request;
		struct ipc_response response; /* RESPONSE and WAKE */
		struct ipc_park park;
		struct ipc_register reg;
		struct ipc_waited waited;
		struct ipc_body body;
		struct ipc_amount amount;     /* GRANT and CREDIT */
		struct ipc_handle handle;     /* STALE, GONE, DROP */
		struct ipc_stats stats;
	};
};

/* Appends one frame with its length, in the newest version. A frame that would exceed IPC_FRAME_MAX sets out->failed. */
void ipc_encode(const struct ipc_frame *frame, struct buf *out);
/* The same for a peer that speaks `version`; what that one does not have is left out. A type which it does not know
 * appends nothing. */
void ipc_encode_for(const struct ipc_frame *frame, uint32_t version, struct buf *out);

/*
 * Takes the first frame of the bytes. 1: *ret holds it, borrowing from `bytes` (strings come terminated;
 * nothing is written), *ret_used bytes are consumed. 0: more bytes are needed. -1: garbage.
 */
NODISCARD int ipc_decode(uint8_t *bytes, size_t len, struct ipc_frame *ret, size_t *ret_used, struct err *err);

bool ipc_handle_eq(const struct ipc_handle *a, const struct ipc_handle *b);
const char *ipc_header_find(const struct ipc_header *headers, size_t count, const char *name);

#endif
