#ifndef BELLHOP_ENGINE_ENGINE_INTERNAL_H
#define BELLHOP_ENGINE_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "base/list.h"
#include "base/map.h"
#include "base/spread.h"
#include "conf/settings.h"
#include "eas/eas.h"
#include "engine/lane.h"
#include "engine/spool.h"
#include "engine/stats.h"
#include "ipc/ipc.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "net/stream.h"
#include "notify/watch.h"
#include "telemetry/telemetry.h"

/*
 * The engine's inside. One loop thread owns everything here but what says otherwise; workers run
 * jobs, which own their data.
 */

/* ---- the links of the fronts (fronts.c) ---- */

/* One connection of a front. */
struct link {
	struct list_node node;       /* in engine.links */
	struct list_node dirty_node; /* in engine.dirty while it has something to write */
	struct engine *engine;
	struct net_stream stream;
	struct loop_fd *watch;
	struct loop_note more; /* goes on reading in the next round */
	struct front *front;   /* NULL before HELLO */
	enum ipc_channel channel;
	uint32_t version; /* that both speak */
	uint8_t *in;
	size_t in_len;
	struct buf out;
	size_t out_at;
	bool dead; /* freed at the end of the round */
};

struct front {
	struct list_node node; /* in engine.fronts */
	uint32_t number;
	struct link *control, *bulk; /* NULL: not connected (yet) */
	struct list_node errands;    /* all of its requests */
	struct list_node sending;    /* of those, whose answers go out on the bulk link */
	struct stats_counter stats[IPC_STATS_MAX]; /* its last */
	size_t stats_count;
	uint64_t stats_asked, stats_answered; /* numbers of questions (stats.c) */
};

/* ---- requests of phones: errands (errand.c) ---- */

enum errand_state {
	ERRAND_QUEUED = 1, /* its user has enough running (lane.h) */
	ERRAND_ADMITTING,  /* a worker checks the credentials; the body has not been asked for */
	ERRAND_RECEIVING,  /* the body comes in by credit */
	ERRAND_SPOOLING,   /* a worker writes what is there to a file */
	ERRAND_RUNNING,    /* a worker runs the command, or a check before the parking */
	ERRAND_SENDING,    /* the answer goes out by credit */
};

struct errand {
	struct job job;
	struct list_node node; /* in front.errands */
	struct list_node sending_node;
	struct lane_member lane;
	void (*start)(struct errand *r); /* when its turn comes */
	struct engine *engine;
	struct front *front; /* NULL: lost */
	struct ipc_handle handle;
	enum errand_state state;
	bool gone;        /* the phone is: nobody waits for the answer */
	bool wakes;       /* a parked phone: the answer is a WAKE */
	int64_t since_us; /* of a WAKE (ipc.h) */
	struct arena *arena;
	struct ipc_request http; /* in the arena, without the body */
	const struct settings *settings;
	struct spool spool;
	uint64_t granted; /* bytes the front may still send */
	bool body_complete;

	bool is_web, web_counted; /* for a page or the API (web.c) */
	enum auth_result auth;
	int64_t auth_until_at;
	struct err err;
	struct eas_reply reply;
	struct api_stream
		*stream; /* makes what follows after the body at hand (stream.c); NULL: nothing */
	int stream_result;
	bool stream_counted;
	bool printed;             /* print is set: once parked, it may be known again */
	struct watch_print print; /* of all that it says */
	uint64_t sent, credit;
};

struct engine {
	struct loop *loop;
	struct workers *workers;
	struct store *store;     /* any thread */
	struct watches *watches; /* any thread */
	struct auth *auth;       /* any thread */
	struct eas_server eas;   /* its settings are not used: engine_eas() */
	const struct settings *settings;
	struct list_node links, dirty, fronts;
	struct map *errands; /* handle -> struct errand */
	uint32_t uploads;    /* requests with a body that came or comes by credit */
	struct lanes *lanes;
	struct workers *web_workers; /* pages and API (web.c) */
	struct lanes *web_lanes;
	uint32_t web_count; /* of them, waiting and at work */
	uint32_t streams;   /* of their answers, those that are made piece by piece */
	/* Answers one; on a web worker. *stream is NULL before, and what it is then belongs to the
	 * engine. NULL: there are no pages. */
	void (*on_web)(void *owner, const struct settings *settings, const struct ipc_request *http,
		struct arena *arena, struct eas_reply *reply, struct api_stream **stream);
	void *web_owner;
	struct push *push;
	struct restores *restores;
	atomic_uint restores_left; /* watches that wait for their first look; any thread */
	struct stats *stats;
	struct telemetry *telemetry; /* any thread */
	struct spread sent_away;     /* phones that were told to come back later */
	/* Requests that were: in all, of newcomers, of users with too many. Any thread may read. */
	atomic_uint_least64_t refused_busy, refused_newcomers, refused_lane;
	bool heartbeats_short;                                             /* as the fronts say */
	void (*on_stats)(struct engine *e, const struct ipc_stats *frame); /* may be NULL */
	uint8_t print_keys[2][16];                                         /* known.c */
	struct buf print_scratch;
	_Atomic uint64_t pings_known;
	bool stopping;
};

/* A connection on engine.sock; takes fd. */
void fronts_accept(struct engine *e, int fd);
/* Encodes into the link; written at the end of the round. */
void fronts_send(struct link *link, const struct ipc_frame *frame);
/* To the front's control link; dropped when it is not there. */
void engine_send(struct engine *e, uint32_t front, const struct ipc_frame *frame);
struct front *engine_front(struct engine *e, uint32_t number);
/* The end of each round of the loop: pumps answers, writes, frees dead links. */
void fronts_round_end(void *engine);
/* The last frame of an engine that stops in order: BYE to every front. */
void fronts_say_bye(struct engine *e);
/* At the end: everything is closed. */
void fronts_free(struct engine *e);
bool fronts_idle(const struct engine *e);

/* Frames. */
/* A queued one's turn has come. */
void errand_start(struct lane_member *member);
void errand_begin(struct engine *e, struct front *front, const struct ipc_request *frame);
void errand_body(struct engine *e, const struct ipc_body *body);
void errand_credit(struct engine *e, const struct ipc_amount *amount);
/* GONE: also ends a watch under this handle. */
void errand_gone(struct engine *e, const struct ipc_handle *handle);
void errand_front_lost(struct engine *e, struct front *front);
/* Moves bytes of large answers to the bulk link. */
void errand_pump(struct engine *e, struct front *front);
/* One that only names a handle, so that GONE finds it (REGISTER). */
struct errand *errand_new(struct engine *e, struct front *front, const struct ipc_handle *handle);
void errand_free(struct errand **r);
/* Answers with r->reply and frees it when nothing is left to send. */
void errand_answer(struct errand **r);
/* The same with nothing but a status; header_name may be NULL. */
void errand_refuse(
	struct errand **r, int status, const char *header_name, const char *header_value);

/* True: the client still waits for the answer. False: r is gone. */
bool errand_still_wanted(struct errand **r);
void errand_refuse_busy(struct errand **r);
/* The engine stops and has not begun it: left to the next one if possible. */
void errand_leave(struct errand **r);

/* ---- pages and API (web.c) ---- */

/* For requests whose path is not that of phones. Takes the request. */
void web_begin(struct errand **r, const struct ipc_request *frame);
/* It waits and works no more. */
void web_uncount(struct errand *r);

/* ---- answers that are made while they go out (stream.c) ---- */

struct api_stream;

/* Its answer has a stream: may it begin? False: the stream is gone. */
bool stream_admit(struct errand *r);
/* All that is there went out: makes the next piece. */
void stream_next(struct errand *r);
/* Nothing more comes; harmless without a stream. */
void stream_end(struct errand *r);

/* ---- waiting phones (push.c) ---- */

struct push *push_new(struct engine *e);
void push_free(struct push **push);
/* The callbacks of the watches; any thread. `owner` is the engine. */
void push_on_marked(struct watch_id id, unsigned marks, void *owner);
void push_on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner);
void push_on_stale(const struct ipc_handle *handle, void *owner);
/* The store's publisher; any thread. */
void push_publish(const struct change_event *events, size_t count, void *owner);
/* The request's reply says WAIT: parks it, or checks again; takes the request. */
void push_wait(struct errand **r);
void push_register(struct engine *e, struct front *front, const struct ipc_register *reg);
/* Its turn has come. False: there is nothing to do. restores_done() comes later. */
bool push_restore(struct engine *e, struct front *front, const struct ipc_register *reg);

/* A front tells of a wait that is over. */
void push_waited(struct engine *e, const struct ipc_waited *waited);

/* ---- watches that come back (restore.c) ---- */

struct restores *restores_new(struct engine *e);
void restores_free(struct restores **r);
void restores_add(struct restores *r, struct front *front, const struct ipc_register *reg);
void restores_gone(struct restores *r, const struct ipc_handle *handle);
void restores_front_lost(struct restores *r, const struct front *front);
void restores_done(struct restores *r);

/* ---- phones that come back (known.c) ---- */

void known_init(struct engine *e);
/* False: no request that could be known. */
bool known_print(struct engine *e, const struct ipc_request *frame, struct watch_print *ret);
/* True: it is, and parked. */
bool known_park(struct engine *e, const struct watch_print *print, const struct ipc_handle *handle);

/* ---- alert.c ---- */
/* What the fronts tell goes into the event log when it changes. */
void alert_on_stats(struct engine *e, const struct ipc_stats *frame);

/* ---- the rest ---- */

/* Threads, watches and tables. loop, store and auth stay the caller's. */
NODISCARD int engine_init(struct engine *e, struct loop *loop, struct store *store,
	struct auth *auth, const struct settings *settings, struct err *err);
/* Lets the running requests finish, writes their answers, closes the links. */
void engine_deinit(struct engine *e);
/* Reload: for requests from now on. */
void engine_set_settings(struct engine *e, const struct settings *settings);
/* The server as a job sees it, with the job's settings. */
struct eas_server engine_eas(const struct engine *e, const struct settings *settings);
/* To the pool; jobs that must not be lost. */
void engine_submit(struct engine *e, struct job *job);

/* The parts of a path and its query: true for /Microsoft-Server-ActiveSync. */
bool engine_is_eas_path(const char *target);

#endif
