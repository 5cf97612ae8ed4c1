/*
 * The life of a phone: connect, set itself up, wait, hear, sync, wait again; and what networks do
 * to it meanwhile. phone_enter() is the only writer of the state. The one deadline of a phone is
 * its entry in the worker's wheel.
 *
 * A path with an idle time-out forgets a silent connection. If it is one that resets, both ends
 * hear of it; else the phone is deaf: the server believes it waiting, and it finds out when its
 * heartbeat is over and no answer came. What a server sends meanwhile is lost, as in life.
 *
 * Events are edge-triggered. An answer may lead to a new connection, so what reads goes on only
 * with the connection that it began with.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/mem.h"
#include "fleet/fleet_internal.h"
#include "fleet/reply.h"

#define CONNECT_MS 30000u
#define ANSWER_MS  60000u
#define SLACK_MS   60000u /* an answer may be so late before a phone gives a wait up */
#define AGAIN_MS   5000u
#define IN_MAX     (8u << 20)

const struct scenario_group *phone_group(const struct worker *w, const struct phone *p)
{
	return &w->scenario->groups[p->group];
}

void phone_enter(struct worker *w, struct phone *p, enum phone_state state)
{
	if (p->state == PHONE_PARKED)
		w->tally->parked--;
	if (p->state == PHONE_PAUSED)
		w->tally->paused--;
	if (p->state == PHONE_CONNECTING)
		w->opening--;
	p->state = (uint8_t)state;
	if (state == PHONE_PARKED)
		w->tally->parked++;
	if (state == PHONE_PAUSED)
		w->tally->paused++;
	if (state == PHONE_CONNECTING)
		w->opening++;
	worker_no_deadline(w, p);
}

static void connect_now(struct worker *w, struct phone *p)
{
	p->began_ms = worker_clock(w);
	p->connection++;
	if (!wire_connect(w, p)) {
		w->tally->connect_failed++;
		w->tally->connect_local++;
		tally_trouble(w->tally, 1, "no connection: %s", strerror(errno));
		phone_back_off(w, p, AGAIN_MS + worker_below(w, p, AGAIN_MS));
		return;
	}
	phone_enter(w, p, PHONE_CONNECTING);
	worker_deadline(w, p, CONNECT_MS);
}

void phone_begin(struct worker *w, struct phone *p)
{
	if (p->state != PHONE_OFF)
		return;
	w->tally->started++;
	p->step = w->options->known != NULL ? STEP_WAIT : STEP_PROVISION;
	connect_now(w, p);
}

void phone_back_off(struct worker *w, struct phone *p, uint32_t in_ms)
{
	wire_close(w, p, false);
	phone_enter(w, p, PHONE_PAUSED);
	worker_deadline(w, p, in_ms);
}

void phone_stay_out(struct worker *w, struct phone *p)
{
	wire_close(w, p, false);
	phone_enter(w, p, PHONE_OFF);
}

/* ---- asking ---- */

static void set_wait_deadline(struct worker *w, struct phone *p)
{
	const struct scenario_group *g = phone_group(w, p);
	uint32_t ms = (uint32_t)p->asked_s * 1000 + SLACK_MS;
	uint32_t path_s = scenario_path_of(w->scenario, g, worker_number_of(w, p), p->network);

	p->closing_move = false;
	if (path_s != 0 && path_s * 1000 < ms)
		ms = path_s * 1000;
	if (g->move_s != 0) {
		/* With the mean move_s, and never twice at once. */
		uint32_t move_ms = 1000 + worker_below(w, p, g->move_s * 2000);

		if (move_ms < ms) {
			ms = move_ms;
			p->closing_move = true;
		}
	}
	worker_deadline(w, p, ms);
}

static void enter_wait(struct worker *w, struct phone *p)
{
	w->tally->pings++;
	phone_enter(w, p, PHONE_PARKED);
	if (p->settling) {
		tally_time(&w->tally->settled, (uint64_t)(worker_clock(w) - p->left_ms) * 1000);
		p->settling = false;
	}
	if (w->marks != NULL)
		w->marks[worker_number_of(w, p)].waits++;
	set_wait_deadline(w, p);
}

void phone_ask(struct worker *w, struct phone *p)
{
	const struct scenario_group *g = phone_group(w, p);

	p->asked_s = (uint16_t)(w->set.heartbeat_s != 0 ? w->set.heartbeat_s
							: habits_wait_s(g, &p->heartbeat));
	talk_request(w, p);
	p->began_ms = worker_clock(w);
	w->tally->requests++;
	if (!wire_send(w, p, w->text.data, w->text.len)) {
		w->tally->dropped += p->used ? 0 : 1;
		phone_back_off(w, p, p->used ? 0 : AGAIN_MS);
		return;
	}
	if (p->step == STEP_WAIT) {
		enter_wait(w, p);
	} else {
		phone_enter(w, p, PHONE_ASKING);
		worker_deadline(w, p, ANSWER_MS);
	}
	if (g->loss_ppm != 0 && worker_below(w, p, 1000000) < g->loss_ppm)
		p->answer_lost = true;
}

void phone_next(struct worker *w, struct phone *p, enum phone_step step)
{
	const struct scenario_group *g = phone_group(w, p);
	uint32_t think_ms = g->think_min_ms;

	if (g->think_max_ms > g->think_min_ms)
		think_ms += worker_below(w, p, g->think_max_ms - g->think_min_ms);
	p->step = (uint8_t)step;
	if (g->new_connection || p->close_after)
		wire_close(w, p, false);
	if (think_ms > 0) {
		phone_enter(w, p, p->fd >= 0 ? PHONE_THINKING : PHONE_PAUSED);
		worker_deadline(w, p, think_ms);
	} else if (p->fd >= 0) {
		phone_ask(w, p);
	} else {
		connect_now(w, p);
	}
}

/* ---- hearing ---- */

static uint32_t waited_s(const struct worker *w, const struct phone *p)
{
	return (worker_clock(w) - p->began_ms) / 1000;
}

/* The connection broke under a request, or the server closed it. */
static void broken(struct worker *w, struct phone *p)
{
	switch ((enum phone_state)p->state) {
	case PHONE_CONNECTING:
		w->tally->connect_failed++;
		phone_back_off(w, p, AGAIN_MS + worker_below(w, p, AGAIN_MS));
		break;
	case PHONE_THINKING: /* an idle connection may end; the next request has a new one */
		wire_close(w, p, false);
		break;
	case PHONE_PARKED:
		w->tally->dropped++;
		tally_trouble(w->tally, 1, "the server ended the connection of a wait");
		habits_cut(phone_group(w, p), &p->heartbeat, waited_s(w, p));
		phone_back_off(w, p, 1 + worker_below(w, p, AGAIN_MS));
		break;
	case PHONE_ASKING:
		w->tally->dropped++;
		tally_trouble(w->tally, 1, "the server ended a connection without an answer");
		/* One that had answered before may have ended while the request was on its way. */
		phone_back_off(w, p, p->used ? 0 : 1 + worker_below(w, p, AGAIN_MS));
		break;
	case PHONE_OFF:
	case PHONE_PAUSED:
	case PHONE_DEAF:
		break;
	}
}

static void take_answer(struct worker *w, struct phone *p, const struct reply *r)
{
	p->used = true;
	p->close_after = r->close;
	if (p->answer_lost) {
		p->answer_lost = false;
		w->tally->lost++;
		wire_close(w, p, true);
		connect_now(w, p);
		return;
	}
	if (p->state == PHONE_ASKING)
		tally_time(&w->tally->answer, (uint64_t)(worker_clock(w) - p->began_ms) * 1000);
	talk_answer(w, p, r);
}

/* Bytes of an answer; those of an incomplete one are kept. False: nothing more is to be read. */
static bool hear(struct worker *w, struct phone *p, uint8_t *bytes, size_t len, bool closed)
{
	uint16_t connection = p->connection;
	struct buf *whole = p->in;
	struct reply reply;
	int rc;

	if (p->state != PHONE_ASKING && p->state != PHONE_PARKED)
		return p->state == PHONE_THINKING;
	if (whole != NULL) {
		buf_add(whole, bytes, len);
		bytes = whole->data;
		len = whole->len;
	}
	rc = reply_parse(bytes, len, closed, &reply);
	if (rc == 0 && len < IN_MAX) {
		if (whole == NULL) {
			p->in = x_new(struct buf);
			buf_add(p->in, bytes, len);
		}
		return true;
	}
	if (rc <= 0) {
		if (!closed) {
			w->tally->wrong++;
			tally_trouble(w->tally, 1, "%s",
				rc < 0 ? "what came is no HTTP" : "an answer of 8 MB or more");
		}
		broken(w, p);
		return false;
	}
	p->in = NULL;
	take_answer(w, p, &reply);
	if (whole != NULL) {
		buf_deinit(whole);
		mem_free(whole);
	}
	return p->connection == connection && p->fd >= 0;
}

static void read_all(struct worker *w, struct phone *p)
{
	for (;;) {
		ssize_t n = wire_read(w, p, w->scratch, sizeof(w->scratch));

		if (n == -1)
			return;
		if (n <= 0) {
			if (n == 0 && p->in != NULL && !hear(w, p, w->scratch, 0, true))
				return;
			broken(w, p);
			return;
		}
		if (!hear(w, p, w->scratch, (size_t)n, false))
			return;
	}
}

static void connected(struct worker *w, struct phone *p)
{
	tally_time(&w->tally->connect, (uint64_t)(worker_clock(w) - p->began_ms) * 1000);
	phone_ask(w, p);
	/* Tickets may have come with the last flight, which no event will tell of again. */
	if (p->ssl != NULL && p->fd >= 0 && p->state != PHONE_CONNECTING)
		read_all(w, p);
}

void phone_on_event(struct worker *w, struct phone *p, uint32_t events)
{
	int rc;

	if (p->fd < 0 || p->state == PHONE_DEAF)
		return;
	if (p->state == PHONE_CONNECTING) {
		rc = wire_go_on(w, p);
		if (rc < 0)
			broken(w, p);
		else if (rc > 0)
			connected(w, p);
		return;
	}
	if ((events & EPOLLOUT) != 0 && p->out != NULL && !wire_flush(w, p)) {
		broken(w, p);
		return;
	}
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		read_all(w, p);
}

/* ---- time ---- */

/* A wait's time is over for the phone: by its path, by a move, or because no answer came. */
static void wait_over(struct worker *w, struct phone *p)
{
	const struct scenario_group *g = phone_group(w, p);
	uint32_t patience_ms = (uint32_t)p->asked_s * 1000 + SLACK_MS;
	uint32_t waited_ms = worker_clock(w) - p->began_ms;

	if (p->closing_move) {
		w->tally->moved++;
		p->network++;
		wire_close(w, p, true);
		connect_now(w, p);
	} else if (waited_ms + 1000 < patience_ms && !g->path_reset) {
		w->tally->path_cut++;
		phone_enter(w, p, PHONE_DEAF);
		worker_deadline(w, p, patience_ms - waited_ms);
	} else {
		if (waited_ms + 1000 < patience_ms)
			w->tally->path_cut++;
		else
			w->tally->timed_out++;
		habits_cut(g, &p->heartbeat, waited_ms / 1000);
		wire_close(w, p, true);
		connect_now(w, p);
	}
}

void phone_on_deadline(struct worker *w, struct phone *p)
{
	switch ((enum phone_state)p->state) {
	case PHONE_OFF:
		break;
	case PHONE_PAUSED:
		connect_now(w, p);
		break;
	case PHONE_CONNECTING:
		w->tally->connect_late++;
		tally_trouble(w->tally, 1, "no connection within %u s", CONNECT_MS / 1000);
		broken(w, p);
		break;
	case PHONE_ASKING:
		w->tally->timed_out++;
		tally_trouble(w->tally, 1, "no answer within %u s", ANSWER_MS / 1000);
		phone_back_off(w, p, AGAIN_MS);
		break;
	case PHONE_THINKING:
		if (p->fd >= 0)
			phone_ask(w, p);
		else
			connect_now(w, p);
		break;
	case PHONE_PARKED:
		wait_over(w, p);
		break;
	case PHONE_DEAF: /* the whole heartbeat and more without an answer */
		habits_cut(phone_group(w, p), &p->heartbeat, waited_s(w, p));
		wire_close(w, p, true);
		connect_now(w, p);
		break;
	}
}

/* ---- orders ---- */

static void leave(struct worker *w, struct phone *p, bool reset)
{
	if (p->state == PHONE_OFF)
		return;
	wire_close(w, p, reset);
	phone_enter(w, p, PHONE_OFF);
	p->left_ms = worker_clock(w);
	p->settling = true;
	p->returning = true;
	p->refused = 0;
	p->answer_lost = false;
	/* Who had set itself up waits at once when it is back. */
	if (w->options->known != NULL ||
		(p->memory != NULL && p->memory->count > 0 && p->step >= STEP_WAIT))
		p->step = STEP_WAIT;
	else
		p->step = STEP_PROVISION;
}

void phone_order(struct worker *w, struct phone *p, const struct fleet_command *command)
{
	switch (command->order) {
	case FLEET_CUT:
	case FLEET_CLOSE:
		leave(w, p, command->order == FLEET_CUT);
		break;
	case FLEET_RETURN:
		if (p->state != PHONE_OFF || p->step == STEP_PROVISION) {
			if (p->state != PHONE_OFF || !p->returning)
				break;
		}
		p->returning = false;
		phone_enter(w, p, PHONE_PAUSED);
		worker_deadline(
			w, p, command->spread_ms > 0 ? worker_below(w, p, command->spread_ms) : 0);
		break;
	case FLEET_START:
	case FLEET_SET:
		break;
	}
}
