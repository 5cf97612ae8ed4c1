/*
 * The record layer under a peer that knows the keys and obeys no rule. The input is a script: one
 * byte of version and suite, then operations. Sealed records of any type, length and padding, raw
 * bytes, spoiled records; all through a stream, so that the queues and the cutting are in it, too.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/detach_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz {
	struct net_stream s;
	struct record_crypto *crypto;
	struct record_state peer;
	int fd;
};

static void put(struct fuzz *f, const uint8_t *bytes, size_t len, size_t cut)
{
	uint8_t got[3000];
	size_t first = MIN(cut, len);

	(void)!send(f->fd, bytes, first, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (first < len && net_stream_read(&f->s, got, sizeof(got)) > 0)
		;
	(void)!send(f->fd, bytes + first, len - first, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (net_stream_read(&f->s, got, sizeof(got)) > 0)
		(void)net_stream_write(&f->s, got, sizeof(got));
}

/* What we sent is of no interest here, but it must not pile up for ever. */
static void discard(struct fuzz *f)
{
	uint8_t bin[4096];

	while (recv(f->fd, bin, sizeof(bin), MSG_DONTWAIT) > 0)
		(void)net_stream_flush(&f->s);
}

static void one_record(struct fuzz *f, struct rd *in, uint8_t op)
{
	static uint8_t wire[RECORD_WIRE_MAX + 20000], plain[20000];
	uint8_t type = rd_u8(in);
	size_t want = op & 0x40 ? rd_u16(in) % sizeof(plain) : rd_u8(in) % 64, padding, n;
	size_t have = MIN(want, rd_left(in));
	const uint8_t *bytes = rd_bytes(in, have);

	if (have > 0 && bytes != NULL)
		memcpy(plain, bytes, have);
	padding = f->peer.version == RECORD_TLS_1_3 && (op & 0x20) != 0 ? rd_u16(in) % 17000 : 0;
	if (want + padding > 20000)
		return;
	n = record_seal_any(f->crypto, &f->peer, type, plain, want, padding, wire);
	if ((op & 0x10) != 0 && n > 0)
		wire[rd_u16(in) % n] ^= rd_u8(in);
	put(f, wire, n, rd_u8(in));
}

static void run(struct fuzz *f, struct rd *in)
{
	while (!in->failed && rd_left(in) > 0) {
		uint8_t op = rd_u8(in), wire[64];
		size_t n;

		switch (op & 7) {
		case 0:
			n = MIN((size_t)rd_u8(in), rd_left(in));
			if (n > 0) {
				const uint8_t *bytes = rd_bytes(in, n);

				put(f, bytes, n, rd_u8(in));
			}
			break;
		case 1:
			if (f->peer.version == RECORD_TLS_1_3) {
				n = record_seal_update(f->crypto, &f->peer, op & 8, wire);
				put(f, wire, n, rd_u8(in));
			}
			break;
		case 2:
			discard(f);
			break;
		case 3:
			net_stream_shut(&f->s);
			break;
		default:
			one_record(f, in, op);
		}
	}
	(void)net_stream_drain(&f->s, 100000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct detach_pool *pool;
	static struct record_crypto *crypto;
	static const uint8_t a[48] = "client", b[48] = "server";
	struct err err = ERR_INIT;
	struct record_state state;
	struct fuzz f = {.fd = -1};
	struct rd in;
	enum record_suite suite;
	int fds[2];

	if (len == 0)
		return 0;
	if (pool == NULL &&
		(detach_pool_new(200000, &pool, &err) < 0 || record_crypto_new(&crypto, &err) < 0))
		return 0;
	suite = (enum record_suite)(1 + data[0] % 3);
	if ((data[0] & 0x80) != 0) {
		if (record_init_12(&state, suite, a, a, b, true, &err) < 0 ||
			record_init_12(&f.peer, suite, a, a, b, false, &err) < 0)
			return 0;
	} else {
		record_init_13(&state, suite, a, b);
		record_init_13(&f.peer, suite, b, a);
	}
	state.max_fragment = (data[0] >> 4 & 7) % 5;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return 0;
	f.fd = fds[1];
	f.crypto = crypto;
	if (net_stream_import(&f.s, fds[0], pool, &state, &err) == 0) {
		rd_init(&in, data + 1, len - 1);
		run(&f, &in);
		net_stream_close(&f.s);
	}
	record_crypto_rest(crypto);
	(void)close(f.fd);
	return 0;
}
