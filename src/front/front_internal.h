#ifndef BELLHOP_FRONT_FRONT_INTERNAL_H
#define BELLHOP_FRONT_FRONT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "front/front.h"
#include "front/handover.h"
#include "http/http.h"
#include "ipc/ipc.h"
#include "loop/loop.h"
#include "net/detach.h"
#include "net/listen.h"
#include "net/record.h"
#include "net/stream.h"
#include "shared/shared.h"
#include "shared/shared_path.h"

/*
 * The front's own structs. Two objects per phone: struct conn lives as long as the connection and
 * is all that a parked phone has; struct request exists only while a request is being read, worked
 * on or answered.
 *
 * pass.c and adopt.c move connections from one process to the next. conn.c moves bytes and ends
 * connections, admit.c says who may come, proxied.c takes the PROXY header, request_input.c reads
 * requests, request.c hands them over, answer.c writes responses, park.c waits, link.c talks to the
 * engine, front.c holds it together. A function that may end the connection returns false then, and
 * its caller must not touch the connection any more.
 */

enum conn_state {
	CONN_HANDSHAKE, /* TLS is being set up */
	CONN_PROXY,     /* a reverse proxy is to say first whom it speaks for */
	CONN_IDLE,      /* between requests; perhaps with a watch that waits for its renewal */
	CONN_HEAD,      /* a part of a request head is here */
	CONN_BODY,      /* a body is gathered that goes to the engine whole */
	CONN_UPLOAD,    /* a large body flows to the engine as it grants credit */
	CONN_ENGINE,    /* the request is with the engine, or held until there is one */
	CONN_PARKED,    /* the phone waits; no request object */
	CONN_ANSWER,    /* a response is being written */
	CONN_PASSED,    /* another process has it; the slot waits for the acknowledgement */
	CONN_LINGER, /* our half is shut; what still comes is thrown away, so that the answer is not
			lost to a reset */
};

/* A keyed hash of all bytes of a request. */
struct print {
	uint64_t a, b;
};

struct conn {
	struct net_stream stream;
	struct request *request; /* owned; NULL: none */
	int64_t deadline_ms;     /* what it means depends on the state */
	union {
		int64_t renew_until_ms;  /* the watch may be renewed from memory before this */
		int64_t linger_until_ms; /* LINGER: the end of all patience */
		int64_t queued_ms; /* HANDSHAKE: since when it waits for its turn with us; 0: not */
	};
	union {
		struct print print;      /* of the request that parked */
		struct list_node waiter; /* HANDSHAKE: in line for its turn (turns.c) */
	};
	struct net_address address;
	struct wheel_link link;
	uint32_t slot, generation;
	uint32_t watch;        /* number of the request that parked; 0: no watch */
	uint16_t heartbeat_s;  /* as the phone asked for */
	uint16_t wait_s;       /* how long it waits, or has waited (path.c) */
	uint16_t port;         /* of the listener */
	uint16_t watch_engine; /* the engine (front.engine_epoch) that knows the watch */
	uint8_t state;         /* enum conn_state; conn_enter() is the only writer */
	uint8_t expiry;        /* enum ipc_expiry */
	uint8_t proxy;        /* through which it comes: number in front.proxies, from 1; 0: none */
	bool stale : 1;       /* do not renew from memory */
	bool keep_alive : 1;  /* the parked request wanted it */
	bool half_closed : 1; /* the peer has finished sending */
	bool input_seen : 1;  /* bytes may wait that no event will tell of again */
	bool again : 1;       /* is in front.again */
	bool uncounted : 1;   /* another process counts it by now */
	bool served : 1;      /* a request of it was answered or parked by the engine */
	bool refused : 1;     /* it is here to be told 503, and counts for nothing */
	bool greeted : 1;     /* HANDSHAKE: it has said what it wants, and is not hurried */
	bool untuned : 1;     /* its socket's patience is of earlier settings */
	bool waits : 1;       /* HANDSHAKE: its address has its share of them at the moment */
	uint8_t cookie_len;
	uint8_t cookie[IPC_COOKIE_MAX];
};

_Static_assert(sizeof(struct conn) <= 192, "all that a parked phone may cost, but for TLS");

struct request {
	struct list_node all;    /* front.requests */
	struct list_node queued; /* front.held or front.paused, or alone */
	uint32_t slot;           /* of its connection */
	uint32_t number;         /* in its handle */
	struct buf in;           /* the head */
	size_t scan;             /* http_head_end()'s */
	struct buf body;         /* gathered, or not granted yet */
	struct buf rest;         /* bytes behind the request: the next one */
	struct buf early;        /* bulk bytes which overtook their RESPONSE */
	struct buf out;          /* to be written */
	size_t out_at;
	struct print print;
	struct siphash128 hash;   /* of the head, on the way to the print */
	struct http_request http; /* borrows from `in` */
	struct http_chunked chunked;
	uint64_t wire_left;   /* bytes of a counted body still to come */
	uint64_t body_seen;   /* bytes of the body so far, decoded */
	uint64_t granted;     /* bytes that the engine still takes */
	uint64_t answer_left; /* bulk bytes that the engine still owes; IPC_LENGTH_UNKNOWN less
				 those that came, of an answer without a length */
	int64_t uncredited; /* of them written, credit not given back yet; below zero while the head
			       is written */
	uint64_t since_us;  /* what the answer tells was committed then; 0: not counted */
	uint64_t moved;     /* bytes read or written since checked_ms: against slow peers */
	int64_t checked_ms;
	int64_t idle_until_ms; /* when the connection would have been idle for too long */
	int64_t answer_by_ms;  /* whatever the engine does, unless it has begun; 0: any time */
	size_t charged;        /* what front.buffered counts for it */
	bool keep_alive, is_head, body_follows;
	bool is_api;       /* for the REST API, whose errors are JSON */
	bool is_read;      /* GET or HEAD */
	bool unsized;      /* the answer's length is not known: its end is said */
	bool early_last;   /* the last of the bulk bytes is in `early` */
	bool old_http;     /* HTTP/1.0, which wants to be told that the connection stays */
	bool body_done;    /* the whole body was read */
	bool sent;         /* the engine knows of it */
	bool continue_due; /* 100 Continue has to go out before the body comes */
	bool holding;      /* for the doctor: answered when its deadline is over */
	bool answered;     /* the response has begun, or the engine is told that none is wanted */
};

struct channel {
	const char *name;
	struct net_stream stream;
	struct loop_fd *watch;
	struct buf in, out;
	size_t out_at;
	bool quiet;   /* room for writing is asked for only while something is queued */
	bool greeted; /* the engine has answered HELLO, or is one that does not */
};

struct engine_link {
	bool up;          /* both channels are greeted */
	bool greeting;    /* connected, not up yet */
	bool bye;         /* the engine stops in order */
	uint32_t version; /* that both speak, or that we try */
	uint32_t attempts;
	struct channel control, bulk;
	struct loop_timer retry, pace;
	int64_t backoff_ms;
	int64_t lost_ms;        /* since when it is away */
	uint32_t register_next; /* slot at which REGISTER goes on */
};

/* To the process that takes this one's place (pass.c). */
struct pass {
	int fd; /* -1: none */
	struct loop_fd *watch;
	bool begun;                         /* it takes the connections now */
	bool swept;                         /* all have been looked at once */
	bool takes_tls;                     /* detached connections can go on there */
	bool drained;                       /* the waits that are left were ended */
	bool shares;                        /* the new one counts in the same memory */
	uint32_t next;                      /* slot */
	uint32_t batch[HANDOVER_BATCH_MAX]; /* slots under way */
	size_t batch_count;
	struct loop_timer sweep, drain;
};

/* From the process whose place is taken (adopt.c). */
struct adopt {
	int fd; /* -1: none */
	struct loop_fd *watch;
	bool greeted, begun, swept;
	int part;         /* of the old process in the shared memory; -1: not the same memory */
	uint32_t coming;  /* connections, at most */
	uint8_t *message; /* HANDOVER_BYTES_MAX */
};

struct listener {
	struct front *front;
	struct loop_fd *watch;
	int fd;
	uint16_t port;
	bool tls;
};

enum front_counter_id {
#define COUNTER(name, kind, help) COUNT_##name,
#include "front/counters.def"
#undef COUNTER
	COUNT_MAX
};

#define SCRATCH_BYTES IPC_BULK_CHUNK
#define FRONT_PROXIES 64u

struct front {
	struct front_options options;
	const struct settings *settings;
	struct log_context lc;
	char process_name[24];
	char *config_path, *tls_certificate, *tls_key, *engine_path;
	uint8_t ticket_keys[NET_TICKET_KEYS_BYTES];
	struct ssl_ctx_st *tls;
	struct net_kdf *kdf;        /* NULL: OpenSSL's own key schedule */
	struct detach_pool *detach; /* NULL: connections stay with OpenSSL */
	bool detaching, lock_failed;
	struct nonce_set *nonces; /* debug builds; else NULL */
	struct loop *loop;
	uint8_t conn_kind;
	struct slab *conns;
	struct shared *shared;           /* what is counted over all fronts */
	int part;                        /* ours of it */
	uint32_t holding;                /* requests that are `holding` */
	uint32_t refusing;               /* connections that are `refused` */
	uint32_t handshakes;             /* unfinished ones */
	bool accept_waits;               /* for one of them to end */
	struct map *turns;               /* by address: struct line (turns.c) */
	uint32_t turns_waiting;          /* connections */
	struct list_node turns_lines;    /* those in which somebody stands */
	int64_t pace_piece;              /* of a second: which, and how many began in it */
	uint32_t pace_begun, pace_steps; /* steps: in this round of the loop */
	int64_t told_second;             /* in which so many ends of waits were told (path.c) */
	uint32_t told;
	struct net_address proxies[FRONT_PROXIES]; /* that phones came through, for path.c */
	uint8_t proxy_count;
	struct wheel *wheel;
	struct loop_timer tick, stats, accept_again, stop_timer, trim;
	struct listener *listeners;
	size_t listener_count;
	struct loop_fd *control;
	int control_fd;
	uint32_t connections_max;
	struct pass pass;
	struct adopt adopt;
	struct engine_link link;
	uint16_t engine_epoch; /* counts engines, from 1 */
	uint32_t request_next;
	struct list_node requests, held, paused;
	struct buf again; /* handles of connections to be looked at once more */
	struct loop_note again_note;
	bool stopping;
	size_t buffered;           /* bytes held in requests */
	uint8_t print_keys[2][16]; /* the second: of processes of older releases */
	struct buf expiry_text[2]; /* of a held Sync and of a Ping (renew.c) ... */
	int64_t expiry_at[2];      /* ... as of this second */
	uint64_t *counters;        /* COUNT_MAX; in the shared memory, once that is there */
	uint64_t own_counters[COUNT_MAX];
	uint8_t scratch[SCRATCH_BYTES];
};

/* ---- front.c ---- */
#define front_count(f, name) ((f)->counters[COUNT_##name]++)
/* Looks at the connection once more in this round or the next: never from inside its own callbacks.
 */
void front_again(struct front *f, struct conn *c);
void front_reload(struct front *f);
/* When a silent socket, or those of a listener, are probed, and how long data may go
 * unacknowledged.
 */
NODISCARD int front_tune(const struct front *f, int fd, struct err *err);
/* Takes connections from now on; or no more, and leaves them to who else has the sockets. */
NODISCARD int front_listen(struct front *f, struct err *err);
void front_deafen(struct front *f);
/* What the old process had is here: the supervisor is told. */
void front_taken_over(struct front *f);
/* The next number for a request; never 0. */
uint32_t front_next_number(struct front *f);
void front_stop(struct front *f);
/* The wheel must run at the next full second. */
void front_tick_set(struct front *f);
void front_send_stats(struct front *f);
/* COUNT_MAX names; NULL: what is not carried over to the next process. */
extern const char *const front_lasting_counters[];
/* Would n more bytes in requests be too many? */
bool front_short_of_memory(const struct front *f, size_t n);

/* ---- conn.c ---- */
void conn_accepted(struct listener *l, int fd, const struct net_address *address);
void conn_on_event(void *owner, uint32_t slot, uint32_t tag, unsigned events);
void conn_on_deadline(void *owner, uint32_t slot);
void conn_look_again(struct front *f, struct conn *c);
void conn_enter(struct front *f, struct conn *c, enum conn_state state);
/* With the deadline that fits: the next request, or the renewal of the watch. */
void conn_enter_idle(struct front *f, struct conn *c);
void conn_set_deadline(struct front *f, struct conn *c, int64_t from_now_ms);
void conn_set_deadline_at(struct front *f, struct conn *c, int64_t deadline_ms);
/* A connection from another process. Takes fd. NULL: there is no room, or it cannot go on here. */
struct conn *conn_adopt(struct front *f, int fd, const struct handover_conn *d);
/* After a read that failed: did the network end it, and not the phone? Counts TLS that is broken.
 */
bool conn_was_cut(struct front *f, const struct conn *c);
/* Reads while the state wants input. */
bool conn_read(struct front *f, struct conn *c);
/* Tells the engine, gives everything back. */
void conn_close(struct front *f, struct conn *c);
/* The client is another one than the peer: counts for that address from now on. False: it has too
 * many; nothing is changed. */
bool conn_set_address(struct front *f, struct conn *c, const struct net_address *address);
void conn_linger(struct front *f, struct conn *c);
struct conn *conn_find(struct front *f, const struct ipc_handle *handle);
struct ipc_handle conn_handle(const struct front *f, const struct conn *c, uint32_t number);
struct log_context conn_log(
	const struct front *f, const struct conn *c, char address[NET_ADDRESS_TEXT]);

/* ---- admit.c ---- */
#define ADMIT_REFUSALS_MAX 64u /* connections at once that are told of the limit */
enum admit_result {
	ADMIT_IN,
	ADMIT_FULL,    /* all fronts together, or this one, have as many as may be */
	ADMIT_ADDRESS, /* its address has */
};
/* Maps what the fronts share (shared_fd: the caller's; -1: nothing is shared) and lowers
 * connections_max to what fits. */
NODISCARD int admit_start(struct front *f, int shared_fd, struct err *err);
void admit_stop(struct front *f);
/* A new connection, in the slab already. Counted when it may come in. */
enum admit_result admit_connection(struct front *f, const struct net_address *a, uint32_t slot);
/* What counts as one address. */
#define ADMIT_KEY_MAX 8
size_t admit_address_key(const struct net_address *a, uint8_t key[ADMIT_KEY_MAX]);
/* It counts for this address from now on. False: that has too many, and it counts for none. */
bool admit_address(struct front *f, uint32_t slot, const struct net_address *a);
/* One that another process had let in, with this slot there. */
void admit_adopted(struct front *f, const struct conn *c, uint32_t old_slot);
/* Whatever it counted for is given back. */
void admit_leave(struct front *f, const struct conn *c);
/* Counts and logs a connection that was refused; why: a setting's name, or "memory". */
void admit_refused(struct front *f, const struct net_address *a, const char *why);
/* A request that is to go to the engine: may its user have this connection, its device send so
 * fast? NULL: yes; else what it is too much of, and for how long at least. */
const char *admit_request(struct front *f, struct conn *c, uint32_t *ret_wait_s);

/* ---- device.c ---- */
struct device_keys {
	uint64_t user, device;
};
/* False: the request has no credentials. */
bool device_keys(const struct front *f, const struct http_request *http, struct device_keys *ret);

/* ---- pace.c ---- */
#define PACE_LATER (-1)
/* May a TLS connection be accepted? 0: yes; else after so long, or PACE_LATER: when a handshake has
 * ended. */
int64_t pace_accept_in_ms(struct front *f);
/* Of the timer: memory that handshakes took goes back to the system. */
void pace_on_trim(void *owner);
/* A handshake begins, has ended. */
void pace_begin(struct front *f);
void pace_end(struct front *f);
/* As many are unfinished as may be; more than half of that. */
bool pace_is_full(const struct front *f);
bool pace_is_crowded(const struct front *f);
/* So many one address may have then. */
uint32_t pace_share(const struct front *f);
/* Connections that may wait for their turn. */
uint32_t pace_room(const struct front *f);
/* There may be room again. */
void pace_accept_again(struct front *f);
/* How long one may take. */
uint64_t pace_timeout_s(const struct front *f);
/* May one more step be done in this round? */
bool pace_step(struct front *f);
void pace_round_end(struct front *f);

/* ---- turns.c ---- */
void turns_init(struct front *f);
void turns_deinit(struct front *f);
/* A connection enters HANDSHAKE: it begins, or waits for its turn. */
void turns_accepted(struct front *f, struct conn *c);
/* It has left it, one way or the other. */
void turns_ended(struct front *f, struct conn *c);
/* It has spoken: may it go on? False: its turn will come (front_again()). */
bool turns_has(struct front *f, struct conn *c);

/* ---- renew.c ---- */
#define RENEW_PING_TYPE "application/vnd.ms-sync.wbxml"
/* The head is here, and not parsed yet (which changes it); later: so is the body. */
void renew_print_head(const struct front *f, struct request *r);
struct print renew_print(struct request *r);
/* What is said at the end of a heartbeat; NULL: a body of no bytes. */
void renew_body(const struct conn *c, const void **ret_body, size_t *ret_len);
/* Each: false: this is for the long way, and nothing was done. Else *ret_alive. */
/* Answers a wait that is over. */
bool renew_answer(struct front *f, struct conn *c, bool *ret_alive);
/* Takes bytes that are the request which parked, as a whole and alone. */
bool renew_request(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, bool *ret_alive);

/* ---- request.c ---- */
/* Makes the object and puts the connection's pointer to it; NULL when memory is short. */
struct request *request_new(struct front *f, struct conn *c);
void request_free(struct front *f, struct conn *c);
/* The engine knows of a request that has no use for an answer any more: GONE, once. */
void request_tell_gone(struct front *f, struct conn *c);
/* Counts what the request holds. */
void request_charge(struct front *f, struct request *r);
/* Nothing has come of it in the time that it has. */
bool request_is_late(const struct request *r);
bool request_on_grant(struct front *f, struct conn *c, uint32_t bytes);
/* The engine is there (again): hands over a request that was held. */
bool request_hand_over(struct front *f, struct conn *c);
/* The engine stopped without having begun it: the next one will get it. */
void request_hold_again(struct front *f, struct conn *c);

/* ---- request_input.c ---- */
/* Bytes from the client, in a state that wants them. */
bool request_input(struct front *f, struct conn *c, const uint8_t *bytes, size_t len);
/* Would reading help now? */
bool request_wants_input(const struct front *f, const struct conn *c);
/* Bytes that came behind the last request are the next one. */
bool request_resume(struct front *f, struct conn *c);

/* ---- answer.c ---- */
/* An answer of the front's own: text/plain with the reason, errors of the API as JSON; the
 * connection closes after it when `close`. */
bool answer_local(struct front *f, struct conn *c, int status, bool close);
/* 503 with Retry-After. */
bool answer_unavailable(struct front *f, struct conn *c, bool close);
/* The same, and not before so many seconds. */
bool answer_later(struct front *f, struct conn *c, bool close, uint32_t wait_s);
/* RESPONSE, and WAKE. Makes the request object when there is none. */
bool answer_engine(struct front *f, struct conn *c, const struct ipc_response *response);
bool answer_expiry(struct front *f, struct conn *c);
bool answer_on_bulk(struct front *f, struct conn *c, const struct ipc_body *body);
/* Writes what is due; goes on to the next state when all is written. */
bool answer_flush(struct front *f, struct conn *c);
/* A few bytes before the answer: 100 Continue. */
bool answer_interim(struct front *f, struct conn *c);

/* ---- park.c ---- */
void park_on_park(struct front *f, const struct ipc_park *park);
void park_on_wake(struct front *f, const struct ipc_response *wake);
void park_on_stale(struct front *f, const struct ipc_handle *handle);
/* May the watch be parked again without asking anybody? Then do so; false: the connection is gone.
 */
bool park_may_renew(const struct front *f, const struct conn *c);
bool park_again(struct front *f, struct conn *c);
/* True: the request renews the watch of its connection and is parked; *ret_alive says whether the
 * connection still is. */
bool park_try_renew(struct front *f, struct conn *c, bool *ret_alive);
/* The watch is over: GONE. Harmless without one. */
void park_forget(struct front *f, struct conn *c);
/* Something came from a phone that waits. */
bool park_on_input(struct front *f, struct conn *c);
bool park_on_expiry(struct front *f, struct conn *c);

/* ---- path.c ---- */
/* How long the connection, which is about to be parked, waits. */
uint32_t path_wait_s(struct front *f, const struct conn *c);
/* How long it has, of a parked one. */
uint32_t path_waited_s(const struct conn *c);
/* The phone is heard after a wait. */
void path_heard(struct front *f, struct conn *c);
/* The connection is found broken. */
void path_broken(struct front *f, struct conn *c);
/* Its device has begun another watch, on another connection. */
void path_replaced(struct front *f, struct conn *c);
/* Nothing came after the answer to a wait. */
void path_unheard(struct front *f, struct conn *c);
/* A request of a device came here. */
void path_seen(struct front *f, const struct conn *c, uint64_t device);
uint64_t path_heartbeat_average_s(const struct front *f);
/* The connection comes through that reverse proxy; of more than FRONT_PROXIES it is not known. */
void path_set_proxy(struct front *f, struct conn *c, const struct net_address *proxy);
/* A phone that waits does not any longer: counted, and told to the engine. */
void path_wait_over(struct front *f, const struct conn *c, enum ipc_wait_end end);

/* ---- proxied.c ---- */
/* The state in which a plain connection from there begins: IDLE or PROXY. False: it is refused. */
bool proxied_begin(const struct front *f, const struct net_address *peer, enum conn_state *ret);
/* Bytes in the state PROXY. */
bool proxied_input(struct front *f, struct conn *c, const uint8_t *bytes, size_t len);

/* ---- secure.c ---- */
/* For the first TLS listener; harmless for the next. */
NODISCARD int secure_start(struct front *f, struct err *err);
/* New connections get the new certificate; on failure nothing has changed. */
NODISCARD int secure_reload(struct front *f, const struct settings *next, struct err *err);
void secure_stop(struct front *f);
/* Says once in the log when keys could not be locked into memory. */
void secure_check_lock(struct front *f);
/* TLS begins on a connection; its handshake is done. */
NODISCARD int secure_begin(struct front *f, struct conn *c, struct err *err);
void secure_established(struct front *f, struct conn *c);

/* forwarded.c: is it one of these addresses or nets? */
bool forwarded_is_in(const struct settings_words *words, const struct net_address *a);
bool forwarded_is_trusted(const struct settings *s, const struct net_address *a);
/* forwarded.c: the client of a request, behind a trusted reverse proxy or not. */
void forwarded_client(const struct settings *s, const struct http_request *http,
	const struct net_address *peer, struct net_address *ret);
/* forwarded.c: is the peer a trusted reverse proxy that passes on what somebody else asked? */
bool forwarded_is_by_proxy(
	const struct settings *s, const struct http_request *http, const struct net_address *peer);
/* forwarded.c: does a trusted reverse proxy say that its client came by TLS? */
bool forwarded_tls(
	const struct settings *s, const struct http_request *http, const struct net_address *peer);

/* ---- pass.c ---- */
void pass_init(struct front *f);
/* Hands over to the process at the other end; takes fd. */
void pass_to(struct front *f, int fd);
/* Can a connection like this be handed over at all? */
bool pass_can(const struct front *f, const struct conn *c);
/* A connection came to rest. */
void pass_on_rest(struct front *f);
/* The last connection may be gone: then so is the process. */
void pass_end_if_empty(struct front *f);
void pass_stop(struct front *f);

/* ---- adopt.c ---- */
NODISCARD int adopt_start(struct front *f, int fd, struct err *err);
/* The engine is there: the old process may begin. */
void adopt_on_engine(struct front *f);
void adopt_stop(struct front *f);

/* ---- link.c ---- */
void link_start(struct front *f);
void link_stop(struct front *f);
void link_flush(struct front *f);
void link_send(struct front *f, const struct ipc_frame *frame);
void link_send_handle(struct front *f, enum ipc_type type, const struct conn *c, uint32_t number);
/* The watch of an adopted connection goes by another handle from now on. */
void link_send_moved(struct front *f, struct conn *c, const struct ipc_handle *before);
/* Is the engine there and taking requests? */
bool link_ready(const struct front *f);
/* May more bulk bytes be queued? */
bool link_bulk_room(const struct front *f);

#endif
