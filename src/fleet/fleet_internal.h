#ifndef BELLHOP_FLEET_INTERNAL_H
#define BELLHOP_FLEET_INTERNAL_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/wheel.h"
#include "client/heartbeat.h"
#include "client/request.h"
#include "fleet/fleet.h"

/*
 * A worker's own structs. worker.c has the loop and the orders, phone.c the life of a phone, talk.c
 * what is said (requests, answers), wire.c sockets and TLS, habits.c heartbeats and paths.
 */
struct reply;
struct ssl_st;
struct ssl_ctx_st;

enum phone_state {
	PHONE_OFF,        /* has not begun, or stays out until it is told */
	PHONE_PAUSED,     /* without a connection; comes back at the deadline */
	PHONE_CONNECTING, /* TCP, then TLS */
	PHONE_ASKING,     /* a request is on its way, or its answer */
	PHONE_THINKING,   /* connected, the next request goes out at the deadline */
	PHONE_PARKED,     /* a Ping or held Sync waits */
	PHONE_DEAF,       /* its path forgot the connection: nothing arrives any more */
};

/* What the next request is. In this order a phone sets itself up. */
enum phone_step {
	STEP_PROVISION,
	STEP_PROVISION_ACK,
	STEP_FOLDERS,
	STEP_SYNC_KEYS,
	STEP_LIST,
	STEP_WAIT, /* Ping, or held Sync */
	STEP_SYNC, /* what a wait told of */
};

/* One collection of a phone that syncs. */
struct phone_collection {
	char *id, *sync_key; /* owned */
	bool due;            /* to be synced */
};

/* What a phone learned; phones that only wait for what they were given have none. */
struct phone_memory {
	uint32_t policy_key;
	size_t count;
	struct phone_collection *collections; /* owned */
};

/* A TLS session to resume, as bytes. */
struct phone_ticket {
	uint32_t len;
	uint8_t bytes[];
};

struct phone {
	struct ssl_st *ssl;          /* owned; NULL: plain */
	struct phone_ticket *ticket; /* owned */
	struct phone_memory *memory; /* owned */
	struct buf *in, *out;        /* owned; only while half a message is in them */
	struct heartbeat heartbeat;
	struct wheel_link link;
	int fd;
	uint32_t began_ms;    /* the connection, or the request at hand */
	uint32_t left_ms;     /* when it was cut; 0: not */
	uint32_t deadline_ms; /* what it means depends on the state */
	uint16_t asked_s;     /* heartbeat of the wait at hand */
	uint16_t network;     /* counts the networks it was in */
	uint16_t refused;     /* 503 since it was in last */
	uint16_t connection;  /* counts its connections */
	uint8_t state : 4, step : 4;
	uint8_t group : 7;
	bool soon : 1;         /* its deadline is in worker.soon */
	bool resumed : 1;      /* this connection's TLS session */
	bool answer_lost : 1;  /* the answer at hand will not arrive */
	bool close_after : 1;  /* the server will close */
	bool used : 1;         /* the connection had an answer already */
	bool settling : 1;     /* was cut, and is not back yet */
	bool returning : 1;    /* OFF with a deadline: FLEET_RETURN */
	bool closing_move : 1; /* the deadline of a wait is a change of the network */
	bool woken : 1;        /* the Sync at hand follows news */
	uint8_t again : 3;     /* beginnings since a wait ended well */
};

/* The coordinator's and the workers' common memory, one for each worker. */
struct shared_worker {
	_Atomic uint32_t order_number; /* of the command below */
	_Atomic uint32_t done_number;
	struct fleet_command command;
	struct tally tally;
};

struct target {
	bool tls;
	char host[256], path[256];
	char host_header[272];
	struct sockaddr_storage address;
	socklen_t address_len;
};

struct worker {
	const struct fleet_options *options;
	const struct scenario *scenario;
	const struct target *target;
	struct shared_worker *shared;
	struct tally *tally;           /* in shared */
	struct fleet_mark *marks;      /* of all phones; NULL: not wanted */
	_Atomic uint64_t *news_us;     /* of all users */
	uint32_t number, first, count; /* its phones */
	struct phone *phones;
	struct wheel *wheel;
	struct wheel *soon; /* of deadlines that are near, in hundredths of a second */
	struct ssl_ctx_st *tls;
	struct arena *arena;
	struct buf text;          /* a request being made */
	struct fleet_command set; /* on_news, stay_out_expired, heartbeat_s, awake in force */
	uint32_t order_number;
	int epoll, order_fd;
	int64_t start_ms, now_ms;
	uint64_t arrived_us; /* kernel's time of the bytes at hand */
	uint32_t next, end;  /* phones that are to begin */
	double allowance, rate;
	uint32_t opening; /* connections under way */
	uint8_t scratch[65536];
};

/* ---- worker.c ---- */
_Noreturn void worker_run(struct worker *w);
static inline uint32_t worker_clock(const struct worker *w)
{
	return (uint32_t)(w->now_ms - w->start_ms) + 1; /* 0 means never */
}
uint32_t worker_number_of(const struct worker *w, const struct phone *p);
/* To a hundredth of a second when it is near, else to a second. */
void worker_deadline(struct worker *w, struct phone *p, uint32_t in_ms);
void worker_no_deadline(struct worker *w, struct phone *p);
/* Dice: the same phone at the same moment throws the same. */
uint32_t worker_below(struct worker *w, const struct phone *p, uint32_t n);

/* ---- phone.c ---- */
void phone_begin(struct worker *w, struct phone *p);
void phone_on_event(struct worker *w, struct phone *p, uint32_t events);
void phone_on_deadline(struct worker *w, struct phone *p);
void phone_order(struct worker *w, struct phone *p, const struct fleet_command *command);
void phone_enter(struct worker *w, struct phone *p, enum phone_state state);
void phone_ask(struct worker *w, struct phone *p);
/* The step is over: the next request comes after a pause for thought. */
void phone_next(struct worker *w, struct phone *p, enum phone_step step);
/* Gives the connection up and comes back after so long. */
void phone_back_off(struct worker *w, struct phone *p, uint32_t in_ms);
void phone_stay_out(struct worker *w, struct phone *p);
const struct scenario_group *phone_group(const struct worker *w, const struct phone *p);

/* ---- talk.c ---- */
/* The request of the phone's step, into w->text. */
void talk_request(struct worker *w, struct phone *p);
/* A whole answer: leads to the next step. */
void talk_answer(struct worker *w, struct phone *p, const struct reply *reply);
/* Expands "%u". */
void talk_pattern(const char *pattern, uint32_t number, struct buf *out);
void talk_forget(struct phone_memory **memory);

/* ---- wire.c ---- */
NODISCARD int wire_target(const char *url, struct target *ret, struct err *err);
void wire_setup(struct worker *w);
/* Begins a connection; false: it failed at once. */
bool wire_connect(struct worker *w, struct phone *p);
/* 1: stands; 0: under way; -1: failed. */
int wire_go_on(struct worker *w, struct phone *p);
/* Queues and sends; false: the connection is gone. */
bool wire_send(struct worker *w, struct phone *p, const void *bytes, size_t len);
bool wire_flush(struct worker *w, struct phone *p);
/* Bytes (> 0), 0: closed, -1: nothing now, -2: broken. */
ssize_t wire_read(struct worker *w, struct phone *p, void *bytes, size_t len);
void wire_close(struct worker *w, struct phone *p, bool reset);

/* ---- habits.c ---- */
void habits_init(const struct scenario_group *g, struct heartbeat *hb);
/* Seconds that the next wait asks for. */
uint32_t habits_wait_s(const struct scenario_group *g, const struct heartbeat *hb);
void habits_expired(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s);
void habits_answered(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s);
void habits_cut(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s);
void habits_bound(const struct scenario_group *g, struct heartbeat *hb, uint32_t bound_s);

#endif
