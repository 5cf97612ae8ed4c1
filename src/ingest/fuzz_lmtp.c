/*
 * The whole LMTP session over memory: the input is what the client sends; its first byte says in
 * which pieces it comes. What the backend gets must respect the limits, and each accepted recipient
 * gets exactly one outcome.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ingest/lmtp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MESSAGE_MAX 4096

struct feed {
	const uint8_t *bytes;
	size_t len, at, piece;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static ssize_t feed_read(void *owner, void *out, size_t max, int64_t deadline_ms, struct err *err)
{
	struct feed *f = owner;
	size_t n = MIN(MIN(f->piece, f->len - f->at), max);

	(void)deadline_ms;
	(void)err;
	require(max > 0);
	memcpy(out, f->bytes + f->at, n);
	f->at += n;
	return (ssize_t)n;
}

static int feed_write(
	void *owner, const void *bytes, size_t len, int64_t deadline_ms, struct err *err)
{
	(void)owner;
	(void)deadline_ms;
	(void)err;
	require(len >= 2 && memcmp((const char *)bytes + len - 2, "\r\n", 2) == 0);
	return 0;
}

static void drop_line(const char *line, void *owner)
{
	(void)line;
	(void)owner;
}

static void limits(void *owner, struct lmtp_limits *ret)
{
	(void)owner;
	*ret = (struct lmtp_limits){MESSAGE_MAX, 8, 60};
}

static enum lmtp_outcome resolve(
	void *owner, const char *address, uint64_t size, struct owner_id *ret, struct err *err)
{
	(void)owner;
	(void)err;
	require(*address != '\0' && strlen(address) <= LMTP_ADDRESS_MAX && size <= MESSAGE_MAX);
	require(strpbrk(address, "\r\n") == NULL);
	ret->v = (uint64_t)*address;
	return *address == 'x' ? LMTP_NO_USER : LMTP_DELIVERED;
}

static void deliver(
	void *owner, const struct lmtp_message *m, enum lmtp_outcome *outcomes, struct err *err)
{
	(void)owner;
	(void)err;
	require(m->recipient_count >= 1 && m->recipient_count <= 8 && m->len <= MESSAGE_MAX + 4096);
	require(memcmp(m->raw, "Return-Path: <", 14) == 0);
	for (size_t i = 0; i < m->len; i++)
		require(m->raw[i] != '\n' || (i > 0 && m->raw[i - 1] == '\r'));
	for (size_t i = 0; i < m->recipient_count; i++)
		outcomes[i] = i % 2 == 0 ? LMTP_DELIVERED : LMTP_FULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct feed feed = {.bytes = bytes + 1, .len = len - 1};
	const struct lmtp_io io = {feed_read, feed_write, &feed};
	const struct lmtp_backend backend = {limits, resolve, deliver, NULL};
	struct lmtp_budget budget;
	atomic_bool stopping;
	struct lmtp_session_options o = {
		&io, &backend, &budget, "mx.example.org", "127.0.0.1", &stopping};

	if (len == 0)
		return 0;
	log_capture(drop_line, NULL);
	feed.piece = bytes[0] == 0 ? len : bytes[0];
	atomic_init(&budget.left, 64 * 1024);
	atomic_init(&stopping, false);
	lmtp_session_run(&o);
	require(atomic_load(&budget.left) == 64 * 1024);
	return 0;
}
