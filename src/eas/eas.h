#ifndef BELLHOP_EAS_EAS_H
#define BELLHOP_EAS_EAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/settings.h"
#include "ipc/ipc.h"
#include "notify/watch.h"
#include "store/store.h"

/*
 * Exchange ActiveSync, the server's half: one authenticated HTTP request in, one reply out.
 * Straight blocking code on a worker thread; everything of one request lives in its arena. The
 * engine does HTTP authentication before and parking after.
 */
struct auth_grant;
struct submit_queue;
struct rules_cache;
struct telemetry;
struct eas_memory; /* locks per device, counters; nothing that must survive the process */

struct eas_server {
	struct store *store;
	struct watches *watches;
	const struct settings *settings; /* swapped on reload: read it once per request */
	struct eas_memory *memory;
	struct submit_queue *queue;  /* of outgoing mail; NULL: none */
	struct rules_cache *rules;   /* policy/rules.h */
	struct telemetry *telemetry; /* what is counted and remembered; NULL: nothing is */
};

/* The three stay the caller's and outlive the server. */
void eas_server_init(struct eas_server *server, struct store *store, struct watches *watches,
	const struct settings *settings);
void eas_server_deinit(struct eas_server *server);

struct eas_request {
	struct arena *arena;
	const struct user *user;        /* authenticated; may be disabled */
	const struct ipc_request *http; /* method, target, headers; its body may be empty: */
	const uint8_t *body;            /* the whole body, de-chunked, Content-Encoding untouched */
	size_t body_len;
	/* The body will not be read below upto for now, as far as upto points into it; its memory
	 * may be given back, if it can be read again. May be NULL. */
	void (*body_passed)(void *owner, const void *upto);
	void *body_owner;
	const struct auth_grant *grant; /* how the user was let in; NULL in tests that need none */
	uint64_t commits;               /* store_commits() before the user was read; 0: not known */
};

enum eas_reply_kind { EAS_REPLY_ANSWER, EAS_REPLY_WAIT };

struct eas_reply {
	enum eas_reply_kind kind;
	/* ANSWER: */
	int status;                    /* HTTP */
	const char *reason;            /* "" for the usual one */
	struct ipc_header headers[20]; /* static or arena strings */
	size_t header_count;
	struct buf body; /* the engine deinits; already compressed if headers say so */
	/* WAIT: the watch is registered and checked; the engine parks it with watch_park(). */
	struct watch_id watch;
	uint32_t heartbeat_s;
	enum ipc_expiry expiry;
	bool no_renewal; /* the next request must come to the engine */
	uint8_t cookie[IPC_COOKIE_MAX];
	uint8_t cookie_len;
	uint16_t eas_status; /* the first Status in it that is not success; 0: none */
	const char *why; /* for the administrator, of an answer that is not success; may be NULL */
	/* 401 because what let the user in is not for this device (auth_refuse()); NULL: no. */
	const char *login_refused;
	struct log_context log; /* filled in for the engine's own lines: user, device, command */
};

/* Never fails: trouble becomes an HTTP or EAS status. Log lines are written inside. */
void eas_handle(
	struct eas_server *server, const struct eas_request *request, struct eas_reply *reply);

/*
 * The exact check of a watch that got a mark (after watch_check_begin()). ANSWER: wake the phone
 * with this. WAIT: nothing that the next Sync would send; park it again.
 */
void eas_watch_check(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply);
/* The answer for a certain change, from memory alone (WATCH_MARK_CHANGED only; Ping). */
void eas_watch_answer(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply);
/* The cookie of a watch that is parked again without a request: the one it had. */
void eas_watch_cookie(
	const struct watch_known *known, uint8_t cookie[IPC_COOKIE_MAX], uint8_t *ret_len);
/* Whose it is; 0: it is none of ours. */
struct device_id eas_watch_cookie_device(const uint8_t *cookie, size_t len);
/*
 * A new engine is told of a watch by a front: builds and registers the watch named by the cookie,
 * checks it (fully only when the owner's seq moved). ANSWER: wake with it; WAIT: park again under
 * the same handle.
 */
void eas_watch_restore(struct eas_server *server, struct arena *arena,
	const struct ipc_register *reg, struct eas_reply *reply);

#endif
