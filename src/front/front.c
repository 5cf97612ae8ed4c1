/*
 * The front: puts its parts together, takes connections, listens to the supervisor, counts.
 *
 * Owns everything of the process that lives as long as it: loop, slab of connections, wheel, TLS
 * context, settings, link. One thread.
 *
 * A round of the loop: events of phones and of the engine, then what asked to be looked at again
 * (front.again), timers, and at its end one write per engine socket with all frames of the round.
 */
#include "front/front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"
#include "net/fds.h"

#define ACCEPT_ROUND      64
#define ACCEPT_PAUSE_MS   100
#define KEEPALIVE_AFTER_S 60 /* the longest heartbeat */
#define STATS_EVERY_MS    5000
#define STOP_PATIENCE_MS  5000

uint32_t front_next_number(struct front *f)
{
	uint32_t number = f->request_next++;

	if (f->request_next == 0)
		f->request_next = 1;
	return number;
}

/* Of requests, of halves of records, of sealed bytes that wait for room. */
static size_t buffered(const struct front *f)
{
	return f->buffered + (f->detach != NULL ? detach_pool_held(f->detach) : 0);
}

bool front_short_of_memory(const struct front *f, size_t n)
{
	return buffered(f) + n > f->settings->http_buffer_max_bytes;
}

/* ---- looking again ---- */

void front_again(struct front *f, struct conn *c)
{
	struct slab_handle h = {c->slot, c->generation};

	if (c->again)
		return;
	c->again = true;
	buf_add(&f->again, &h, sizeof(h));
	loop_post(f->loop, &f->again_note);
}

static void on_again(struct loop_note *note)
{
	struct front *f =
		(struct front *)(void *)((char *)note - offsetof(struct front, again_note));
	struct buf due = f->again;

	/* What asks once more while we are at it waits for the next round. */
	f->again = (struct buf)BUF_INIT;
	for (size_t at = 0; at + sizeof(struct slab_handle) <= due.len;
		at += sizeof(struct slab_handle)) {
		struct slab_handle h;
		struct conn *c;

		memcpy(&h, due.data + at, sizeof(h));
		c = slab_find(f->conns, h);
		if (c != NULL)
			conn_look_again(f, c);
	}
	buf_deinit(&due);
}

/* ---- time ---- */

static struct wheel_link *link_of(void *owner, uint32_t index)
{
	struct front *f = owner;

	return &((struct conn *)slab_get(f->conns, index))->link;
}

void front_tick_set(struct front *f)
{
	if (f->tick.place == 0)
		loop_timer_set(&f->tick, wheel_next_ms(f->wheel));
}

static void on_tick(void *owner)
{
	struct front *f = owner;

	wheel_run(f->wheel, clock_now_ms(), conn_on_deadline);
	if (wheel_next_ms(f->wheel) >= 0)
		front_tick_set(f);
}

static void on_round_end(void *owner)
{
	struct front *f = owner;

	link_flush(f);
	pace_round_end(f);
	if (f->detach != NULL)
		detach_pool_rest(f->detach);
}

/* ---- counters ---- */

static void refresh_levels(struct front *f)
{
	f->counters[COUNT_connections] = slab_count(f->conns);
	f->counters[COUNT_buffered_bytes] = buffered(f);
	f->counters[COUNT_handshakes] = f->handshakes;
	f->counters[COUNT_all_connections] = shared_connections(f->shared);
	f->counters[COUNT_all_uncounted] = shared_overflows(f->shared);
	f->counters[COUNT_all_paths_limited] = shared_paths_limited(f->shared);
	f->counters[COUNT_all_heartbeat_average_s] = path_heartbeat_average_s(f);
	f->counters[COUNT_all_heartbeats_short] = shared_heartbeats_of(f->shared).are_short;
}

static const char *const counter_names[COUNT_MAX] = {
#define COUNTER(name, kind, help) [COUNT_##name] = #name,
#include "front/counters.def"
#undef COUNTER
};

#define LASTS_LEVEL(name) NULL
#define LASTS_ALL(name)   NULL
#define LASTS_COUNT(name) #name
#define LASTS_PUSH(name)  #name
const char *const front_lasting_counters[COUNT_MAX] = {
#define COUNTER(name, kind, help) [COUNT_##name] = LASTS_##kind(name),
#include "front/counters.def"
#undef COUNTER
};

_Static_assert(COUNT_MAX <= IPC_STATS_MAX, "all counters fit into one frame");
_Static_assert((int)COUNT_MAX <= SHARED_COUNTERS, "all counters fit into the shared memory");

void front_send_stats(struct front *f)
{
	struct ipc_frame frame = {.type = IPC_STATS};

	/* First of all, so that whoever asks sees no sum fall. */
	shared_counters_inherit(f->shared, front_lasting_counters, COUNT_MAX, f->counters);
	refresh_levels(f);
	frame.stats.front = f->options.number;
	frame.stats.count = COUNT_MAX;
	for (size_t i = 0; i < COUNT_MAX; i++) {
		frame.stats.counters[i].name = counter_names[i];
		frame.stats.counters[i].value = f->counters[i];
	}
	link_send(f, &frame);
}

uint64_t front_counter(const struct front *f, const char *name)
{
	if (str_eq(name, "connections"))
		return slab_count(f->conns);
	if (str_eq(name, "buffered_bytes"))
		return buffered(f);
	for (size_t i = 0; i < COUNT_MAX; i++) {
		if (str_eq(counter_names[i], name))
			return f->counters[i];
	}
	return 0;
}

static void on_stats(void *owner)
{
	struct front *f = owner;

	shared_tend(f->shared);
	front_send_stats(f);
	secure_check_lock(f);
	loop_timer_set(&f->stats, clock_now_ms() + STATS_EVERY_MS);
}

/* ---- accepting ---- */

static void on_listener(void *owner, unsigned events)
{
	struct listener *l = owner;
	struct front *f = l->front;

	for (int i = 0; i < ACCEPT_ROUND; i++) {
		struct net_address address;
		int64_t wait_ms = l->tls ? pace_accept_in_ms(f) : 0;
		int fd;

		if (wait_ms > 0)
			loop_timer_set(&f->accept_again, clock_now_ms() + wait_ms);
		if (wait_ms != 0)
			return;
		fd = net_accept(l->fd, &address);
		if (fd >= 0) {
			conn_accepted(l, fd, &address);
			continue;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			struct err err = ERR_INIT;

			(void)err_set_errno(&err, errno, "accept");
			log_error(&f->lc, "accept_failed", F_ERR(&err));
			loop_timer_set(&f->accept_again, clock_now_ms() + ACCEPT_PAUSE_MS);
		}
		return;
	}
	/* The edge is used up and more may wait. */
	loop_timer_set(&f->accept_again, clock_now_ms());
}

static void on_accept_again(void *owner)
{
	struct front *f = owner;

	for (size_t i = 0; i < f->listener_count; i++) {
		if (f->listeners[i].watch != NULL)
			on_listener(&f->listeners[i], LOOP_READ);
	}
}

int front_listen(struct front *f, struct err *err)
{
	for (size_t i = 0; i < f->listener_count; i++) {
		struct listener *l = &f->listeners[i];

		if (l->watch == NULL &&
			loop_fd_new(f->loop, l->fd, "listener", on_listener, l, &l->watch, err) < 0)
			return -1;
	}
	return 0;
}

void front_deafen(struct front *f)
{
	for (size_t i = 0; i < f->listener_count; i++)
		loop_fd_free(&f->listeners[i].watch);
	loop_timer_clear(&f->accept_again);
	loop_timer_clear(&f->trim);
}

static void close_listeners(struct front *f)
{
	front_deafen(f);
	for (size_t i = 0; i < f->listener_count; i++)
		fd_close(&f->listeners[i].fd);
	f->listener_count = 0;
}

/* Never to a phone that waits more often than its heartbeat: a probe wakes its radio. */
static uint64_t probe_after_s(const struct settings *s)
{
	return s->push_tcp_keepalive_s != 0 ? s->push_tcp_keepalive_s
					    : s->push_heartbeat_max_s + KEEPALIVE_AFTER_S;
}

int front_tune(const struct front *f, int fd, struct err *err)
{
	const struct settings *s = f->settings;

	return net_listen_patience(
		fd, (unsigned)probe_after_s(s), (unsigned)s->push_tcp_timeout_s, err);
}

/* Connections that are here have it from the listener of their time. Those that wait are left alone
 * until they wait again: a system call for each at once would hold up everybody. */
static void tune_later(struct front *f)
{
	for (uint32_t i = 0; i < slab_slots(f->conns); i++) {
		struct conn *c = slab_get(f->conns, i);

		if (c != NULL)
			c->untuned = true;
	}
}

/* ---- reload and stop ---- */

static int reload(struct front *f, struct err *err)
{
	CLEANUP(settings_unref) const struct settings *next = NULL;

	if (f->config_path != NULL) {
		CLEANUP(settings_unref) const struct settings *read = NULL;
		struct buf held_back = BUF_INIT;

		if (settings_parse_file(f->config_path, &read, NULL, err) < 0)
			return -1;
		next = settings_merge(f->settings, read, &held_back);
		buf_deinit(&held_back);
	} else {
		next = settings_ref(f->settings);
	}
	if (secure_reload(f, next, err) < 0)
		return -1;
	if (probe_after_s(next) != probe_after_s(f->settings) ||
		next->push_tcp_timeout_s != f->settings->push_tcp_timeout_s)
		tune_later(f);
	settings_unref(&f->settings);
	f->settings = TAKE(next);
	loop_set_gather(f->loop, (uint32_t)f->settings->http_gather_us);
	for (size_t i = 0; i < f->listener_count; i++) {
		if (front_tune(f, f->listeners[i].fd, err) < 0)
			return -1;
	}
	if (log_level_parse(f->settings->server_log_level) >= 0)
		log_set_level((enum log_level)log_level_parse(f->settings->server_log_level));
	return 0;
}

void front_reload(struct front *f)
{
	struct err err = ERR_INIT;

	if (reload(f, &err) < 0)
		log_error(&f->lc, "reload_finished", F_STR("result", "failed"), F_ERR(&err));
	else
		log_info(&f->lc, "reload_finished", F_STR("result", "ok"));
}

static void on_stop_timer(void *owner)
{
	struct front *f = owner;

	loop_stop(f->loop);
}

void front_stop(struct front *f)
{
	if (f->stopping)
		return;
	f->stopping = true;
	pass_stop(f);
	adopt_stop(f);
	close_listeners(f);
	log_info(&f->lc, "front_stopping", F_UINT("connections", slab_count(f->conns)));
	for (uint32_t i = 0; i < slab_slots(f->conns); i++) {
		struct conn *c = slab_get(f->conns, i);

		if (c != NULL && (c->state == CONN_HANDSHAKE || c->state == CONN_PROXY ||
					 c->state == CONN_IDLE || c->state == CONN_PARKED ||
					 c->state == CONN_LINGER))
			conn_close(f, c);
	}
	if (slab_count(f->conns) == 0)
		loop_stop(f->loop);
	loop_timer_set(&f->stop_timer, clock_now_ms() + STOP_PATIENCE_MS);
}

static void on_control_event(void *owner, unsigned events)
{
	struct front *f = owner;
	int fds[NET_FDS_MAX];
	char orders[16];
	size_t count;
	int64_t n;

	while ((n = net_fds_receive(f->control_fd, orders, sizeof(orders), fds, &count)) > 0) {
		if (memchr(orders, 'R', (size_t)n) != NULL) {
			front_reload(f);
			(void)send(f->control_fd, "d", 1, MSG_NOSIGNAL);
		}
		if (memchr(orders, 'H', (size_t)n) != NULL && count == 1 && !f->stopping) {
			pass_to(f, fds[0]);
			count = 0;
		}
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
	}
	if (n != NET_AGAIN) {
		loop_fd_free(&f->control);
		front_stop(f);
	}
}

void front_taken_over(struct front *f)
{
	if (f->control_fd >= 0)
		(void)send(f->control_fd, "t", 1, MSG_NOSIGNAL);
}

/* ---- making it ---- */

static int open_listeners(struct front *f, struct err *err)
{
	for (size_t i = 0; i < f->listener_count; i++) {
		struct listener *l = &f->listeners[i];

		l->port = net_local_port(l->fd);
		if (net_listen_tune(l->fd, err) < 0 || front_tune(f, l->fd, err) < 0)
			return -1;
		if (l->tls && secure_start(f, err) < 0)
			return -1;
	}
	/* Who takes another one's place waits until that one has stopped. */
	return f->adopt.fd >= 0 ? 0 : front_listen(f, err);
}

static char *copy_or_null(const char *s)
{
	return s != NULL ? x_strdup(s) : NULL;
}

static void take_options(struct front *f, const struct front_options *o)
{
	f->options = *o;
	f->options.number = front_number(o->number, o->life);
	f->pass.fd = f->adopt.fd = -1;
	f->settings = settings_ref(o->settings);
	f->config_path = copy_or_null(o->config_path);
	f->tls_certificate = copy_or_null(o->tls_certificate);
	f->tls_key = copy_or_null(o->tls_key);
	f->engine_path = x_strdup(o->engine_path);
	if (o->ticket_keys != NULL)
		memcpy(f->ticket_keys, o->ticket_keys, sizeof(f->ticket_keys));
	else
		random_bytes(f->ticket_keys, sizeof(f->ticket_keys));
	f->control_fd = o->control_fd;
	f->connections_max = o->connections_max > 0 ? o->connections_max
						    : (uint32_t)o->settings->server_max_connections;
	f->listener_count = o->listener_count;
	f->listeners = x_calloc(o->listener_count, sizeof(*f->listeners));
	for (size_t i = 0; i < o->listener_count; i++)
		f->listeners[i] = (struct listener){
			.front = f, .fd = o->listeners[i].fd, .tls = o->listeners[i].tls};
	(void)snprintf(f->process_name, sizeof(f->process_name), "front %u", o->number);
	f->lc.process = f->process_name;
	f->counters = f->own_counters;
}

static void make_parts(struct front *f)
{
	int64_t now_ms = clock_now_ms();

	f->conns = slab_new(sizeof(struct conn), f->connections_max + ADMIT_REFUSALS_MAX);
	f->wheel = wheel_new(now_ms, link_of, f);
	list_init(&f->requests);
	list_init(&f->held);
	list_init(&f->paused);
	turns_init(f);
	f->request_next = 1;
	random_bytes(f->print_keys, sizeof(f->print_keys));
	f->again_note = (struct loop_note){.name = "look again", .fn = on_again};
	f->conn_kind = loop_kind_new(f->loop, "phone", conn_on_event, f);
	loop_timer_init(&f->tick, f->loop, "wheel", on_tick, f);
	loop_timer_init(&f->stats, f->loop, "stats", on_stats, f);
	loop_timer_init(&f->accept_again, f->loop, "accept again", on_accept_again, f);
	loop_timer_init(&f->trim, f->loop, "trim", pace_on_trim, f);
	loop_timer_init(&f->stop_timer, f->loop, "stop", on_stop_timer, f);
	loop_set_round_end(f->loop, "engine flush", on_round_end, f);
	loop_set_gather(f->loop, (uint32_t)f->settings->http_gather_us);
	loop_timer_set(&f->stats, now_ms + STATS_EVERY_MS);
	pass_init(f);
	link_start(f);
}

int front_new(const struct front_options *options, struct front **ret, struct err *err)
{
	CLEANUP(front_free) struct front *f = x_new(struct front);

	take_options(f, options);
	if (loop_new(&f->loop, err) < 0 || admit_start(f, options->shared_fd, err) < 0)
		return -1;
	make_parts(f);
	if (adopt_start(f, options->takeover_fd, err) < 0 || open_listeners(f, err) < 0)
		return -1;
	if (f->control_fd >= 0 && (fcntl(f->control_fd, F_SETFL, O_NONBLOCK) < 0 ||
					  fcntl(f->control_fd, F_SETFD, FD_CLOEXEC) < 0))
		return err_set_errno(err, errno, "supervisor's descriptor");
	if (f->control_fd >= 0 && loop_fd_new(f->loop, f->control_fd, "supervisor",
					  on_control_event, f, &f->control, err) < 0)
		return -1;
	*ret = TAKE(f);
	return 0;
}

struct loop *front_loop(struct front *f)
{
	return f->loop;
}

void front_free(struct front **fp)
{
	struct front *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	f->stopping = false; /* the loop has ended already */
	pass_stop(f);
	adopt_stop(f);
	for (uint32_t i = 0; f->conns != NULL && i < slab_slots(f->conns); i++) {
		struct conn *c = slab_get(f->conns, i);

		if (c != NULL)
			conn_close(f, c);
	}
	link_stop(f);
	close_listeners(f);
	loop_fd_free(&f->control);
	fd_close(&f->control_fd);
	loop_free(&f->loop);
	slab_free(&f->conns);
	admit_stop(f);
	turns_deinit(f);
	wheel_free(&f->wheel);
	buf_deinit(&f->again);
	buf_deinit(&f->expiry_text[0]);
	buf_deinit(&f->expiry_text[1]);
	secure_stop(f);
	settings_unref(&f->settings);
	mem_free(f->listeners);
	mem_free(f->config_path);
	mem_free(f->tls_certificate);
	mem_free(f->tls_key);
	mem_free(f->engine_path);
	secret_wipe(f->ticket_keys, sizeof(f->ticket_keys));
	mem_free(f);
}

int front_run(const struct front_options *options)
{
	struct front *f = NULL;
	struct err err = ERR_INIT;

	if (front_new(options, &f, &err) < 0) {
		log_error(NULL, "front_failed", F_UINT("front", options->number), F_ERR(&err));
		return -1;
	}
	log_info(&f->lc, "front_started", F_UINT("listeners", f->listener_count),
		F_UINT("connections_max", f->connections_max));
	loop_run(f->loop);
	front_free(&f);
	return 0;
}
