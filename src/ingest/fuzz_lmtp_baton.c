/*
 * A session of another process, from a stranger. What decodes encodes to the same bytes again, and
 * can be gone on with to its end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ingest/lmtp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void drop_line(const char *line, void *owner)
{
	(void)line;
	(void)owner;
}

static ssize_t no_more(void *owner, void *bytes, size_t max, int64_t deadline_ms, struct err *err)
{
	(void)owner;
	(void)bytes;
	(void)max;
	(void)deadline_ms;
	(void)err;
	return 0;
}

static int ignore(void *owner, const void *bytes, size_t len, int64_t deadline_ms, struct err *err)
{
	(void)owner;
	(void)bytes;
	(void)len;
	(void)deadline_ms;
	(void)err;
	return 0;
}

static void limits(void *owner, struct lmtp_limits *ret)
{
	(void)owner;
	*ret = (struct lmtp_limits){16 * 1024, 8, 60, false};
}

static enum lmtp_outcome resolve(
	void *owner, const char *address, uint64_t size, struct owner_id *ret, struct err *err)
{
	(void)owner;
	(void)size;
	(void)err;
	ret->v = (uint64_t)*address;
	return LMTP_DELIVERED;
}

static void deliver(
	void *owner, const struct lmtp_message *m, enum lmtp_outcome *outcomes, struct err *err)
{
	(void)owner;
	(void)err;
	require(m->recipient_count > 0 && m->own_len <= m->len);
	for (size_t i = 0; i < m->recipient_count; i++)
		outcomes[i] = LMTP_DELIVERED;
}

static void go_on(const struct lmtp_baton *b)
{
	const struct lmtp_io io = {no_more, ignore, NULL, NULL};
	const struct lmtp_backend backend = {limits, resolve, deliver, NULL};
	struct lmtp_budget budget;
	atomic_bool stopping;
	const struct lmtp_session_options o = {
		&io, &backend, &budget, "mx.example.org", "127.0.0.1", &stopping, b};

	atomic_init(&budget.left, 64 * 1024);
	atomic_init(&stopping, false);
	lmtp_session_run(&o);
	require(atomic_load(&budget.left) == 64 * 1024);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new(0);
	struct buf again = BUF_INIT;
	struct lmtp_baton b, same;
	struct err err = ERR_INIT;

	log_capture(drop_line, NULL);
	if (lmtp_baton_decode(bytes, len, arena, &b, &err) == 0) {
		lmtp_baton_encode(&b, &again);
		require(lmtp_baton_decode(again.data, again.len, arena, &same, &err) == 0);
		require(same.recipient_count == b.recipient_count &&
			same.input_len == b.input_len && same.message_len == b.message_len &&
			strcmp(same.client, b.client) == 0 && same.in_data == b.in_data);
		go_on(&b);
	}
	buf_deinit(&again);
	arena_free(&arena);
	return 0;
}
