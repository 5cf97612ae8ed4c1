/*
 * Pings that are parked again from memory: the phone says on a new connection what it said before,
 * and nothing has happened since (notify/watch_memory.c). No worker, no database, no parser.
 *
 * What a request says is everything in it but what proxies and clients add for each request anew:
 * the print covers the credentials, too. Keys are random and live as long as the engine, so nobody
 * can look for two requests with one print. Thread: the loop's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_internal.h"

/* Larger ones are no Pings. */
#define BODY_MAX 4096

void known_init(struct engine *e)
{
	if (getrandom(e->print_keys, sizeof(e->print_keys), 0) != sizeof(e->print_keys))
		abort();
}

/* Say nothing about the request, and change from one to the next. */
static bool is_of_the_way(const char *name)
{
	static const char *const names[] = {"connection", "date", "forwarded", "via",
		"x-forwarded-for", "x-real-ip", "x-request-id"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void add_string(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s) + 1);
}

bool known_print(struct engine *e, const struct ipc_request *frame, struct watch_print *ret)
{
	struct buf *b = &e->print_scratch;

	if (frame->body_follows || frame->body_len > BODY_MAX || strcmp(frame->method, "POST") != 0)
		return false;
	buf_clear(b);
	add_string(b, frame->target);
	buf_add(b, frame->tls ? "s" : "p", 1);
	for (size_t i = 0; i < frame->header_count; i++) {
		if (is_of_the_way(frame->headers[i].name))
			continue;
		add_string(b, frame->headers[i].name);
		add_string(b, frame->headers[i].value);
	}
	/* No header has an empty name: what follows is the body. */
	buf_add(b, "", 1);
	if (frame->body_len > 0)
		buf_add(b, frame->body, frame->body_len);
	ret->a = siphash(e->print_keys[0], b->data, b->len);
	ret->b = siphash(e->print_keys[1], b->data, b->len);
	return true;
}

struct park_call {
	struct engine *engine;
	const struct ipc_handle *handle;
	const struct watch_known *known;
	int64_t now_ms;
};

/* Under the lock of the watches: only queues bytes. */
static void send_park(void *arg)
{
	const struct park_call *call = arg;
	int64_t left_ms = call->known->until_ms - call->now_ms;
	struct ipc_frame frame = {.type = IPC_PARK};

	frame.park = (struct ipc_park){.handle = *call->handle,
		.heartbeat_s = call->known->heartbeat_s,
		.expiry = IPC_EXPIRY_PING,
		.renew_for_s = (uint32_t)MIN(left_ms / 1000, UINT32_MAX)};
	eas_watch_cookie(call->known, frame.park.cookie, &frame.park.cookie_len);
	engine_send(call->engine, call->handle->front, &frame);
}

bool known_park(struct engine *e, const struct watch_print *print, const struct ipc_handle *handle)
{
	struct watch_known known;
	struct park_call call = {e, handle, &known, clock_now_ms()};

	if (e->stopping ||
		!watch_park_known(e->watches, print, call.now_ms, handle, &known, send_park, &call))
		return false;
	e->pings_known++;
	return true;
}
