#ifndef BELLHOP_API_API_H
#define BELLHOP_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/admin.h"
#include "auth/auth.h"
#include "base/arena.h"
#include "base/buf.h"
#include "conf/settings.h"
#include "ipc/ipc.h"
#include "store/store.h"

/*
 * What a web browser, a script and a monitor get from Bellhop: the pages, the REST API below
 * /api/v1, /readyz and /metrics. Everything that an administrator can do is a verb of
 * admin/verbs.h; this room finds the verb for a method and a path, finds out who asks (a session's
 * cookie or a token), and leaves to admin_run() whether he may.
 *
 * A request is answered whole, from its head and a small body, but for an export, which comes piece
 * by piece as its client takes it; nothing here waits for a client.
 *
 * Threads: api_handle() from any worker thread; it blocks on the store and, for a login, on
 * crypt(3). The engine gives these requests threads of their own, so that no page ever keeps a
 * phone waiting.
 */
struct api;

struct api_options {
	struct store *store;
	struct auth *auth;
	struct admin *admin;
	/* What /metrics gives (Prometheus' text format); any thread. NULL: there is none. */
	void (*metrics)(void *owner, struct buf *out);
	void *owner;
};

/* All of them must outlive it. */
struct api *api_new(const struct api_options *options);
void api_free(struct api **api);

/* The rest of a long answer; owned by who has it. */
struct api_stream {
	/* Appends the next piece, API_PIECE_BYTES or somewhat more. 1: more may follow; 0: that was
	 * the end; -1. On a worker, one call at a time; it blocks on the store. */
	int (*next)(struct api_stream *stream, struct buf *out, struct err *err);
	void (*free)(struct api_stream *stream); /* any thread */
};

#define API_PIECE_BYTES (128u * 1024)

void api_stream_free(struct api_stream **stream);

#define API_HEADERS_MAX 20

struct api_reply {
	int status;
	struct ipc_header headers[API_HEADERS_MAX]; /* static or arena strings */
	size_t header_count;
	struct buf body; /* the caller's to deinit */
	/* What follows after body; NULL: nothing. The caller's to free, before the arena, which it
	 * may use. */
	struct api_stream *stream;
};

/*
 * Never fails: trouble becomes a status. *reply is all zero before. The body stands in http->body,
 * whole. HEAD is answered like GET; its caller leaves the body out.
 */
void api_handle(struct api *api, const struct settings *settings, const struct ipc_request *http,
	struct arena *arena, struct api_reply *reply);

#endif
