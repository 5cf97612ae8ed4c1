/*
 * The connections of the fronts: frames in, frames out. A front has two, one for control and one
 * for bulk bytes; when either ends, the front counts as lost, its requests are forgotten and its
 * watches end (it registers them again when it is back).
 *
 * What is sent during a round of the loop is gathered and written at its end. Limits: IPC_FRAME_MAX
 * in; out, a front which does not read OUT_MAX bytes is cut. Threads: the loop's only. Links are
 * freed at the end of a round only, so a callback may end any.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_internal.h"

#define IN_BYTES  ((size_t)2 * IPC_FRAME_MAX)
#define OUT_MAX   ((size_t)64 * 1024 * 1024)
#define OUT_KEEP  ((size_t)1024 * 1024) /* a larger buffer is given back when it is empty */
#define READS_MAX 16                    /* in a row, then others have their turn */

static void on_readable(struct link *link, bool to_the_end);

static const char closed[] = "closed", lost[] = "lost";

/* A front that ends takes both of its links along: one line for it. No warning, because that is
 * also how one stops in order; of a death the supervisor tells, as an error, with its cause. */
static void log_lost(const struct link *link, const char *why)
{
	bool ended = why == closed || why == lost;

	if (ended && link->channel != IPC_CHANNEL_CONTROL)
		return;
	if (ended)
		log_info(NULL, "front_lost", F_UINT("front", link->front->number),
			F_STR("result", why));
	else
		log_warn(NULL, "front_lost", F_UINT("front", link->front->number),
			F_STR("result", why));
}

static void link_end(struct link *link, const char *why)
{
	if (link->dead)
		return;
	link->dead = true;
	if (link->front != NULL && !link->engine->stopping)
		log_lost(link, why);
	else if (link->front == NULL)
		log_warn(NULL, "front_refused", F_STR("result", why));
}

static void mark_dirty(struct link *link)
{
	if (list_empty(&link->dirty_node))
		list_append(&link->engine->dirty, &link->dirty_node);
}

/* The bulk link goes by room for writing also with an empty queue: answers wait for it. */
static void want_room(struct link *link, bool wanted)
{
	struct err err = ERR_INIT;

	if (link->channel == IPC_CHANNEL_CONTROL && !link->dead &&
		loop_fd_want_write(link->watch, wanted, &err) < 0)
		link_end(link, err.text);
}

static void link_write(struct link *link)
{
	while (!link->dead && link->out_at < link->out.len) {
		int64_t n = net_stream_write(
			&link->stream, link->out.data + link->out_at, link->out.len - link->out_at);

		if (n == NET_AGAIN) {
			want_room(link, true);
			return;
		}
		if (n < 0)
			link_end(link, "write failed");
		else
			link->out_at += (size_t)n;
	}
	want_room(link, false);
	link->out_at = 0;
	if (link->out.cap > OUT_KEEP)
		buf_deinit(&link->out);
	buf_clear(&link->out);
}

static void on_event(void *owner, unsigned events)
{
	struct link *link = owner;

	if (link->dead)
		return;
	if (link->out_at < link->out.len || link->channel == IPC_CHANNEL_BULK)
		mark_dirty(link);
	on_readable(link, (events & (LOOP_HANGUP | LOOP_ERROR)) != 0);
}

static void on_more(struct loop_note *note)
{
	struct link *link = LIST_ENTRY(note, struct link, more);

	if (!link->dead)
		on_readable(link, true);
}

void fronts_accept(struct engine *e, int fd)
{
	struct link *link = x_new(struct link);
	struct err err = ERR_INIT;

	link->engine = e;
	link->more = (struct loop_note){.name = "link_more", .fn = on_more};
	link->in = x_calloc(1, IN_BYTES);
	buf_init(&link->out, OUT_MAX);
	list_init(&link->dirty_node);
	list_append(&e->links, &link->node);
	if (net_stream_init(&link->stream, fd, NULL, &err) < 0 ||
		loop_fd_new(e->loop, fd, "front_link", on_event, link, &link->watch, &err) < 0)
		link_end(link, err.text);
	else
		on_readable(link, true);
}

struct front *engine_front(struct engine *e, uint32_t number)
{
	LIST_FOREACH(node, &e->fronts) {
		struct front *front = LIST_ENTRY(node, struct front, node);

		if (front->number == number)
			return front;
	}
	return NULL;
}

/* Everything of a front ends; its links, too. */
static void front_lost(struct engine *e, struct front *front)
{
	errand_front_lost(e, front);
	watch_front_gone(e->watches, front->number);
	if (front->control != NULL) {
		link_end(front->control, lost);
		front->control->front = NULL;
	}
	if (front->bulk != NULL) {
		link_end(front->bulk, lost);
		front->bulk->front = NULL;
	}
	list_remove(&front->node);
	mem_free(front);
	stats_on_front_lost(e->stats);
}

/* Version 1 takes no answer. */
static void answer_hello(struct link *link, const struct ipc_hello *hello)
{
	struct ipc_frame frame = {.type = IPC_HELLO};

	link->version = MIN(hello->version, (uint32_t)IPC_VERSION);
	frame.hello = (struct ipc_hello){link->version, hello->front, hello->channel};
	if (link->version >= 2)
		fronts_send(link, &frame);
}

static void on_hello(struct link *link, const struct ipc_hello *hello)
{
	struct engine *e = link->engine;
	struct front *front = engine_front(e, hello->front);
	struct link **place;

	if (hello->version < IPC_VERSION_MIN ||
		(hello->channel != IPC_CHANNEL_CONTROL && hello->channel != IPC_CHANNEL_BULK)) {
		link_end(link, "another version");
		return;
	}
	/* A second connection of a kind: the front came back before its end was noticed. */
	if (front != NULL &&
		(hello->channel == IPC_CHANNEL_CONTROL ? front->control : front->bulk) != NULL) {
		front_lost(e, front);
		front = NULL;
	}
	if (front == NULL) {
		front = x_new(struct front);
		front->number = hello->front;
		list_init(&front->errands);
		list_init(&front->sending);
		list_append(&e->fronts, &front->node);
	}
	place = hello->channel == IPC_CHANNEL_CONTROL ? &front->control : &front->bulk;
	*place = link;
	link->front = front;
	link->channel = hello->channel;
	answer_hello(link, hello);
	want_room(link, link->out_at < link->out.len);
	log_debug(NULL, "front_connected", F_UINT("front", front->number),
		F_UINT("channel", hello->channel));
}

static void on_frame(struct link *link, const struct ipc_frame *frame)
{
	struct engine *e = link->engine;

	if (link->front == NULL && frame->type != IPC_HELLO) {
		link_end(link, "no HELLO");
		return;
	}
	switch (frame->type) {
	case IPC_HELLO:
		if (link->front != NULL)
			link_end(link, "second HELLO");
		else
			on_hello(link, &frame->hello);
		return;
	case IPC_REQUEST:
		errand_begin(e, link->front, &frame->request);
		return;
	case IPC_BODY:
		errand_body(e, &frame->body);
		return;
	case IPC_CREDIT:
		errand_credit(e, &frame->amount);
		return;
	case IPC_GONE:
		errand_gone(e, &frame->handle);
		return;
	case IPC_REGISTER:
		push_register(e, link->front, &frame->reg);
		return;
	case IPC_STATS:
		stats_on_frame(e->stats, link->front, &frame->stats);
		if (e->on_stats != NULL)
			e->on_stats(e, &frame->stats);
		return;
	case IPC_WAITED:
		push_waited(e, &frame->waited);
		return;
	case IPC_UNKNOWN: /* of a later version */
		return;
	default:
		link_end(link, "a frame that only the engine sends");
	}
}

/* Every whole frame that is there. */
static void take_frames(struct link *link)
{
	size_t at = 0;

	while (!link->dead) {
		struct ipc_frame frame;
		struct err err = ERR_INIT;
		size_t used = 0;
		int rc = ipc_decode(link->in + at, link->in_len - at, &frame, &used, &err);

		if (rc == 0)
			break;
		if (rc < 0)
			link_end(link, err.text);
		else
			on_frame(link, &frame);
		at += used;
	}
	memmove(link->in, link->in + at, link->in_len - at);
	link->in_len -= at;
}

/* A read that got less than it had room for has emptied the socket, and what comes then is another
 * event. to_the_end: the peer's end may stand behind the bytes already, and comes as no other. */
static void on_readable(struct link *link, bool to_the_end)
{
	for (unsigned reads = 0; !link->dead; reads++) {
		int64_t n;

		if (reads == READS_MAX) {
			loop_post(link->engine->loop, &link->more);
			return;
		}
		n = net_stream_read(
			&link->stream, link->in + link->in_len, IN_BYTES - link->in_len);
		if (n == NET_AGAIN)
			return;
		if (n <= 0) {
			link_end(link, n == NET_EOF ? closed : "read failed");
			return;
		}
		link->in_len += (size_t)n;
		take_frames(link);
		if (!link->stream.more && !to_the_end)
			return;
	}
}

void fronts_send(struct link *link, const struct ipc_frame *frame)
{
	if (link->dead)
		return;
	ipc_encode_for(frame, link->version, &link->out);
	if (link->out.failed)
		link_end(link, "it does not read");
	else
		mark_dirty(link);
}

void engine_send(struct engine *e, uint32_t front_number, const struct ipc_frame *frame)
{
	struct front *front = engine_front(e, front_number);

	if (front != NULL && front->control != NULL)
		fronts_send(front->control, frame);
}

static void link_free(struct link *link)
{
	struct front *front = link->front;

	if (front != NULL) {
		if (front->control == link)
			front->control = NULL;
		if (front->bulk == link)
			front->bulk = NULL;
		link->front = NULL;
		front_lost(link->engine, front);
	}
	loop_post_cancel(link->engine->loop, &link->more);
	loop_fd_free(&link->watch);
	net_stream_close(&link->stream);
	list_remove(&link->dirty_node);
	list_remove(&link->node);
	buf_deinit(&link->out);
	mem_free(link->in);
	mem_free(link);
}

void fronts_round_end(void *owner)
{
	struct engine *e = owner;
	bool again;

	LIST_FOREACH(node, &e->fronts)
		errand_pump(e, LIST_ENTRY(node, struct front, node));
	LIST_FOREACH_SAFE(node, &e->dirty) {
		struct link *link = LIST_ENTRY(node, struct link, dirty_node);

		list_remove(&link->dirty_node);
		link_write(link);
		/* More of a large answer may go at once. */
		if (link->channel == IPC_CHANNEL_BULK && link->out.len == 0 &&
			link->front != NULL && !list_empty(&link->front->sending)) {
			errand_pump(e, link->front);
			link_write(link);
		}
	}
	do { /* one that ends takes its twin along */
		again = false;
		LIST_FOREACH_SAFE(node, &e->links) {
			struct link *link = LIST_ENTRY(node, struct link, node);

			if (link->dead) {
				link_free(link);
				again = true;
				break;
			}
		}
	} while (again);
}

bool fronts_idle(const struct engine *e)
{
	LIST_FOREACH(node, &e->links) {
		const struct link *link = LIST_ENTRY(node, const struct link, node);

		if (!link->dead && link->out_at < link->out.len)
			return false;
	}
	return true;
}

void fronts_say_bye(struct engine *e)
{
	const struct ipc_frame bye = {.type = IPC_BYE};

	LIST_FOREACH(node, &e->fronts)
		engine_send(e, LIST_ENTRY(node, struct front, node)->number, &bye);
}

void fronts_free(struct engine *e)
{
	LIST_FOREACH(node, &e->links)
		LIST_ENTRY(node, struct link, node)->dead = true;
	fronts_round_end(e);
}
