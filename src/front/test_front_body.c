/* Scenarios of large bodies: uploads by grants, bulk answers by credit. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

#define SYNC                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Content-Length: 0\r\n\r\n"
#define POST     "POST /x HTTP/1.1\r\nHost: h\r\n"
#define HEALTHZ  "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static struct rig rig;

static void begin(const char *conf)
{
	rig_start(&rig, conf, false);
	engine_up(&rig);
}

static void expect_status(struct phone *p, int status)
{
	char want[32];
	const char *text = phone_answer(&rig, p, NULL);

	(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (!str_starts(text, want))
		printf("# got: %.60s\n", text);
	CHECK(str_starts(text, want));
}

/* 200 uploads of 50 MB at once by strangers: 401 for each, memory bounded, nothing granted. */
static void test_unauthenticated_uploads(void)
{
	enum { PHONES = 200 };
	static struct phone phones[PHONES];
	static struct ipc_handle handles[PHONES];
	static char piece[65536];

	begin("");
	memset(piece, 'x', sizeof(piece) - 1);
	for (int i = 0; i < PHONES; i++) {
		phone_connect(&rig, &phones[i]);
		phone_send(&rig, &phones[i], POST "Content-Length: 52428800\r\n\r\n");
		/* As much as the sockets take. */
		while (net_stream_write(&phones[i].stream, piece, sizeof(piece)) > 0)
			;
	}
	for (int i = 0; i < PHONES; i++) {
		const struct ipc_request *q = &engine_next(&rig, IPC_REQUEST)->request;

		CHECK(q->body_follows && q->body_len == 0);
		CHECK_INT(q->content_length, 52428800);
		handles[i] = q->handle;
	}
	CHECK(rig_count(&rig, "buffered_bytes") < PHONES * (size_t)(48 * 1024));
	for (int i = 0; i < PHONES; i++)
		engine_answer(&rig, IPC_RESPONSE, &handles[i], 401, "no");
	for (int i = 0; i < PHONES; i++) {
		const char *text = phone_answer(&rig, &phones[i], NULL);

		CHECK(str_starts(text, "HTTP/1.1 401 Unauthorized\r\n"));
		CHECK(strstr(text, "Connection: close\r\n") != NULL);
		phone_close(&phones[i]);
	}
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	CHECK(rig.bulk_in.len == rig.bulk_used);
	rig_stop(&rig);
}

/* A client that looks for its answer only when it has sent everything, long after it was refused.
 */
static void test_refused_and_still_sending(void)
{
	static char piece[50001];
	struct phone p;
	struct ipc_handle h;

	begin("");
	memset(piece, 'x', sizeof(piece) - 1);
	for (int silent = 0; silent < 2; silent++) {
		phone_connect(&rig, &p);
		phone_send(&rig, &p, POST "Content-Length: 1000000\r\n\r\n");
		h = engine_next(&rig, IPC_REQUEST)->request.handle;
		engine_answer(&rig, IPC_RESPONSE, &h, 401, "no");
		for (int s = 0; s < 20 && !silent; s++) {
			phone_send(&rig, &p, piece);
			rig_pass(&rig, 1000);
		}
		CHECK_INT(rig_count(&rig, "connections"), 1);
		CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
		expect_status(&p, 401);
		rig_pass(&rig, 6000);
		CHECK_INT(rig_count(&rig, "connections"), 0);
		phone_close(&p);
	}
	rig_stop(&rig);
}

/* ---- uploads ---- */

static void grant(const struct ipc_handle *h, uint32_t bytes)
{
	struct ipc_frame frame = {.type = IPC_GRANT, .amount = {*h, bytes}};

	engine_send(&rig, &frame);
}

/* Takes BODY frames until the last one; checks that they are the bytes i % 251. Grants as it goes.
 */
static size_t take_upload(const struct ipc_handle *h, size_t step)
{
	size_t taken = 0, granted = 0;
	bool last = false;

	while (!last) {
		const struct ipc_body *b;

		if (granted <= taken) {
			grant(h, (uint32_t)step);
			granted += step;
		}
		b = &engine_next_bulk(&rig)->body;
		CHECK(ipc_handle_eq(&b->handle, h) && !b->aborted);
		for (size_t i = 0; i < b->len; i++) {
			if (b->bytes[i] != (taken + i) % 251) {
				CHECK(b->bytes[i] == (taken + i) % 251);
				return 0;
			}
		}
		taken += b->len;
		CHECK(taken <= granted);
		last = b->last;
	}
	return taken;
}

static uint8_t *pattern(size_t len)
{
	uint8_t *bytes = mem_try_alloc(len);

	REQUIRE(bytes != NULL);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i % 251);
	return bytes;
}

static void test_large_upload(void)
{
	enum { BYTES = 1000000 };
	uint8_t *bytes = pattern(BYTES);
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Content-Length: 1000000\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	/* In two goes, because the socket does not take it all before the first grant. */
	phone_send_bytes(&rig, &p, bytes, 200000);
	grant(&h, 200000);
	for (size_t taken = 0; taken < 200000;)
		taken += engine_next_bulk(&rig)->body.len;
	grant(&h, 800000);
	phone_send_bytes(&rig, &p, bytes + 200000, BYTES - 200000);
	for (bool last = false; !last;)
		last = engine_next_bulk(&rig)->body.last;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "stored");
	{
		const char *text = phone_answer(&rig, &p, NULL);

		CHECK(str_ends(text, "stored"));
		CHECK(strstr(text, "Connection: close") == NULL);
	}
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_chunked(void)
{
	enum { BYTES = 150000 };
	uint8_t *bytes = pattern(BYTES);
	struct buf wire = BUF_INIT;
	const struct ipc_request *q;
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel");
	phone_send(&rig, &p, "lo\r\n1;x\r\n!\r\n0\r\nT: x\r\n\r\n");
	q = &engine_next(&rig, IPC_REQUEST)->request;
	CHECK(!q->body_follows);
	CHECK_INT(q->content_length, -1);
	CHECK_MEM(q->body, q->body_len, "hello!", 6);
	h = q->handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "");
	expect_status(&p, 200);
	/* A long one becomes an upload on the way. */
	buf_add_str(&wire, POST "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0; at < BYTES; at += 1000) {
		buf_add_str(&wire, "3e8\r\n");
		buf_add(&wire, bytes + at, 1000);
		buf_add_str(&wire, "\r\n");
	}
	buf_add_str(&wire, "0\r\n\r\n" HEALTHZ);
	phone_send_bytes(&rig, &p, wire.data, wire.len);
	q = &engine_next(&rig, IPC_REQUEST)->request;
	CHECK(q->body_follows);
	CHECK_INT(q->content_length, -1);
	h = q->handle;
	CHECK_INT(take_upload(&h, 10007), BYTES);
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "stored");
	expect_status(&p, 200);
	expect_status(&p, 200); /* what was pipelined behind it */
	buf_deinit(&wire);
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_chunked_too_large(void)
{
	static char piece[8192];
	struct phone p;
	struct ipc_handle h;

	begin("[http]\nbody_max_bytes = 131072\n");
	memset(piece, 'x', sizeof(piece) - 1);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		phone_send(&rig, &p, "1fff\r\n");
		phone_send(&rig, &p, piece);
		phone_send(&rig, &p, "\r\n");
		if (i == 10) {
			h = engine_next(&rig, IPC_REQUEST)->request.handle;
			grant(&h, 1000000);
		}
	}
	expect_status(&p, 413);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	while (!engine_next_bulk(&rig)->body.aborted)
		;
	phone_close(&p);
	rig_stop(&rig);
}

static void test_expect(void)
{
	uint8_t *bytes = pattern(70000);
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p); /* small: at once */
	phone_send(&rig, &p, POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK_STR(phone_answer(&rig, &p, NULL), CONTINUE);
	phone_send(&rig, &p, "ok");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "");
	expect_status(&p, 200);
	/* Large: the engine is asked first, and says no. */
	phone_send(&rig, &p, POST "Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	CHECK(phone_silent(&rig, &p));
	engine_answer(&rig, IPC_RESPONSE, &h, 401, "");
	expect_status(&p, 401);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	phone_connect(&rig, &p); /* and yes */
	phone_send(&rig, &p, POST "Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	grant(&h, 30000);
	CHECK_STR(phone_answer(&rig, &p, NULL), CONTINUE);
	phone_send_bytes(&rig, &p, bytes, 70000);
	grant(&h, 40000);
	for (bool last = false; !last;)
		last = engine_next_bulk(&rig)->body.last;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "");
	expect_status(&p, 200);
	phone_close(&p);
	phone_connect(&rig, &p); /* chunked: nobody knows how large it gets */
	phone_send(&rig, &p, POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	grant(&h, 1000);
	CHECK_STR(phone_answer(&rig, &p, NULL), CONTINUE);
	phone_send(&rig, &p, "2\r\nhi\r\n0\r\n\r\n");
	CHECK_MEM(engine_next_bulk(&rig)->body.bytes, 2, "hi", 2);
	CHECK(engine_next_bulk(&rig)->body.last);
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

/* The phone leaves in the middle of its upload; the engine dies in the middle of another. */
static void test_upload_ends_early(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Content-Length: 100000\r\n\r\n123");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	grant(&h, 100000);
	CHECK_INT(engine_next_bulk(&rig)->body.len, 3);
	phone_close(&p);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	CHECK(engine_next_bulk(&rig)->body.aborted);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Content-Length: 100000\r\n\r\n123");
	(void)engine_next(&rig, IPC_REQUEST);
	engine_die(&rig);
	expect_status(&p, 503);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- bulk answers ---- */

static void bulk_answer(const struct ipc_handle *h, uint64_t len)
{
	struct ipc_frame frame = {.type = IPC_RESPONSE};

	frame.response = (struct ipc_response){
		.handle = *h, .status = 200, .reason = "", .body_follows = true, .body_len = len};
	engine_send(&rig, &frame);
}

static void bulk_piece(const struct ipc_handle *h, const uint8_t *bytes, size_t len, bool last)
{
	struct ipc_frame frame = {.type = IPC_BODY, .body = {*h, last, false, bytes, len}};

	engine_send(&rig, &frame);
}

static void test_bulk_answer_with_credit(void)
{
	enum { BYTES = 2000000 };
	uint8_t *bytes = pattern(BYTES);
	struct phone p;
	struct ipc_handle h;
	size_t sent = 0, credit = IPC_BULK_CREDIT, len = 0;
	const char *text;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	/* The first piece overtakes its RESPONSE. */
	bulk_piece(&h, bytes, 1000, false);
	sent = 1000;
	bulk_answer(&h, BYTES);
	while (sent < BYTES) {
		size_t n = MIN(MIN((size_t)IPC_BULK_CHUNK, credit - sent), BYTES - sent);

		if (n == 0) {
			const struct ipc_amount *a = &engine_next(&rig, IPC_CREDIT)->amount;

			CHECK(ipc_handle_eq(&a->handle, &h));
			credit += a->bytes;
			continue;
		}
		bulk_piece(&h, bytes + sent, n, sent + n == BYTES);
		sent += n;
		CHECK(rig_count(&rig, "buffered_bytes") < 2 * IPC_BULK_CREDIT + 65536);
		/* What a client does: it reads. */
		CHECK(buf_reserve(&p.in, 65536));
		for (;;) {
			int64_t got;

			if (!buf_reserve(&p.in, 65536))
				break;
			got = net_stream_read(&p.stream, p.in.data + p.in.len, 65536);
			if (got <= 0)
				break;
			p.in.len += (size_t)got;
		}
	}
	text = phone_answer(&rig, &p, &len);
	REQUIRE(len > BYTES);
	CHECK(memcmp(text + len - BYTES, bytes, BYTES) == 0);
	phone_send(&rig, &p, HEALTHZ); /* the connection goes on */
	expect_status(&p, 200);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

/* The phone has nothing more to say in the middle of a long answer: it gets the whole of it. */
static void test_half_close_in_mid_answer(void)
{
	enum { BYTES = 900000 };
	uint8_t *bytes = pattern(BYTES);
	struct phone p;
	struct ipc_handle h;
	size_t len = 0, credit = IPC_BULK_CREDIT;
	const char *text;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	bulk_answer(&h, BYTES);
	bulk_piece(&h, bytes, 50000, false);
	rig_spin(&rig);
	(void)shutdown(p.stream.fd, SHUT_WR);
	rig_spin(&rig);
	for (size_t sent = 50000; sent < BYTES;) {
		size_t n = MIN(MIN((size_t)IPC_BULK_CHUNK, credit - sent), BYTES - sent);
		int64_t got;

		if (n == 0) {
			credit += engine_next(&rig, IPC_CREDIT)->amount.bytes;
			continue;
		}
		bulk_piece(&h, bytes + sent, n, sent + n == BYTES);
		sent += n;
		rig_spin(&rig);
		do {
			REQUIRE(buf_reserve(&p.in, 65536));
			got = net_stream_read(&p.stream, p.in.data + p.in.len, 65536);
			p.in.len += got > 0 ? (size_t)got : 0;
		} while (got > 0);
	}
	text = phone_answer(&rig, &p, &len);
	REQUIRE(len > BYTES);
	CHECK(memcmp(text + len - BYTES, bytes, BYTES) == 0);
	CHECK(phone_ended(&rig, &p));
	CHECK_INT(rig_count(&rig, "connections"), 0);
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

/* A client that asks and does not read costs no more than the credit, and is cut. */
static void test_slow_reader(void)
{
	static uint8_t piece[IPC_BULK_CHUNK];
	struct phone p;
	struct ipc_handle h;
	size_t sent = 0, credit = IPC_BULK_CREDIT;
	int small = 4096;

	begin("");
	phone_connect(&rig, &p);
	(void)setsockopt(p.stream.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	phone_send(&rig, &p, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	bulk_answer(&h, 60000000);
	for (int quiet = 0; quiet < 3;) {
		const struct ipc_frame *f = engine_poll(&rig);

		if (f != NULL && f->type == IPC_CREDIT)
			credit += f->amount.bytes;
		if (credit - sent >= sizeof(piece)) {
			bulk_piece(&h, piece, sizeof(piece), false);
			sent += sizeof(piece);
			quiet = 0;
		} else {
			quiet += f == NULL;
		}
	}
	CHECK(rig_count(&rig, "buffered_bytes") <= 2 * IPC_BULK_CREDIT + 65536);
	rig_pass(&rig, 31000);
	rig_pass(&rig, 31000);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	CHECK_INT(rig_count(&rig, "timeouts"), 1);
	CHECK_INT(rig_count(&rig, "slow_readers"), 1);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_bulk_answer_breaks(void)
{
	struct phone p;
	struct ipc_handle h;

	for (int i = 0; i < 3; i++) {
		begin("");
		phone_connect(&rig, &p);
		phone_send(&rig, &p, SYNC);
		h = engine_next(&rig, IPC_REQUEST)->request.handle;
		bulk_answer(&h, 100);
		bulk_piece(&h, (const uint8_t *)"12345", 5, false);
		if (i == 0) { /* the engine gives up */
			struct ipc_frame frame = {.type = IPC_BODY, .body = {.handle = h}};

			frame.body.aborted = true;
			engine_send(&rig, &frame);
		} else if (i == 1) { /* dies */
			engine_die(&rig);
		} else { /* sends too much */
			uint8_t much[200] = {0};

			bulk_piece(&h, much, sizeof(much), true);
		}
		/* Cut short of its Content-Length: the client can see that it is not whole. */
		CHECK_STR(phone_answer(&rig, &p, NULL), "");
		CHECK(p.eof && p.in.len > 5);
		CHECK_INT(rig_count(&rig, "connections"), 0);
		phone_close(&p);
		rig_stop(&rig);
	}
}

/* The engine need not keep the rest for a client that went away. */
static void test_client_goes_in_mid_answer(void)
{
	const struct ipc_frame *f;
	struct ipc_handle h;
	struct phone p;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	bulk_answer(&h, 1000000);
	bulk_piece(&h, (const uint8_t *)"12345", 5, false);
	rig_spin(&rig);
	phone_close(&p);
	do {
		f = engine_poll(&rig);
		REQUIRE(f != NULL);
	} while (f->type == IPC_CREDIT);
	CHECK_INT(f->type, IPC_GONE);
	CHECK(ipc_handle_eq(&f->handle, &h));
	rig_stop(&rig);
}

/* ---- answers without a length ---- */

#define GET(version) "GET /api/v1/log.csv HTTP/1." version "\r\nHost: m\r\n\r\n"

/* Up to the end of the connection, or to what stands at the end. */
static const char *read_until(struct phone *p, const char *end)
{
	for (int i = 0; i < 1000; i++) {
		int64_t n;

		rig_spin(&rig);
		REQUIRE(buf_reserve(&p->in, 65536));
		n = net_stream_read(&p->stream, p->in.data + p->in.len, 65535);
		if (n > 0)
			p->in.len += (size_t)n;
		else if (n != NET_AGAIN)
			p->eof = true;
		if (p->eof || str_ends(buf_cstr(&p->in), end))
			break;
	}
	return buf_cstr(&p->in);
}

static void test_answer_without_length(void)
{
	static const struct {
		const char *request, *end;
		bool early;
	} rows[] = {
		{GET("1"), "\r\n\r\n5\r\n12345\r\n3\r\nabc\r\n0\r\n\r\n", false},
		{GET("1"), "\r\n\r\n8\r\n12345abc\r\n0\r\n\r\n", true}, /* overtakes its RESPONSE */
		{GET("0"), "\r\n\r\n12345abc", false},
		{"HEAD / HTTP/1.1\r\nHost: m\r\n\r\n", "chunked\r\n\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipc_handle h;
		const char *text;
		struct phone p;

		begin("");
		phone_connect(&rig, &p);
		phone_send(&rig, &p, rows[i].request);
		h = engine_next(&rig, IPC_REQUEST)->request.handle;
		if (!rows[i].early)
			bulk_answer(&h, IPC_LENGTH_UNKNOWN);
		bulk_piece(&h, (const uint8_t *)"12345", 5, false);
		rig_spin(&rig);
		bulk_piece(&h, (const uint8_t *)"abc", 3, false);
		bulk_piece(&h, NULL, 0, true);
		rig_spin(&rig);
		if (rows[i].early)
			bulk_answer(&h, IPC_LENGTH_UNKNOWN);
		text = read_until(&p, rows[i].end);
		CHECK(str_ends(text, rows[i].end));
		CHECK(strstr(text, "Content-Length") == NULL);
		if (i == 2) {
			CHECK(strstr(text, "Connection: close\r\n") != NULL);
			CHECK(strstr(text, "chunked") == NULL);
		} else { /* and the connection goes on */
			const struct ipc_frame *f;

			phone_send(&rig, &p, GET("1"));
			do { /* credit was given, too */
				f = engine_poll(&rig);
				REQUIRE(f != NULL);
			} while (f->type == IPC_CREDIT);
			CHECK_INT(f->type, IPC_REQUEST);
		}
		phone_close(&p);
		rig_stop(&rig);
	}
}

/* What is cut is not taken for whole. */
static void test_answer_without_length_breaks(void)
{
	for (int i = 0; i < 2; i++) {
		struct ipc_frame frame = {.type = IPC_BODY};
		struct phone p;

		begin("");
		phone_connect(&rig, &p);
		phone_send(&rig, &p, i == 0 ? GET("1") : GET("0"));
		frame.body.handle = engine_next(&rig, IPC_REQUEST)->request.handle;
		bulk_answer(&frame.body.handle, IPC_LENGTH_UNKNOWN);
		bulk_piece(&frame.body.handle, (const uint8_t *)"12345", 5, false);
		CHECK(strstr(read_until(&p, "12345"), "12345") != NULL);
		frame.body.aborted = true;
		engine_send(&rig, &frame);
		rig_spin(&rig);
		CHECK_INT(rig_count(&rig, "connections"), 0);
		CHECK(strstr(buf_cstr(&p.in), "0\r\n\r\n") == NULL);
		if (i == 1) { /* a reset, for the end of the connection would be that of the body */
			char byte;

			CHECK_INT(recv(p.stream.fd, &byte, 1, 0), -1);
			CHECK_INT(errno, ECONNRESET);
		}
		phone_close(&p);
		rig_stop(&rig);
	}
}

/* A large body and a large answer over TLS: records larger than what is wanted at a time. */
static void test_tls_bulk(void)
{
	enum { BYTES = 500000 };
	uint8_t *bytes = pattern(BYTES);
	struct phone p;
	struct ipc_handle h;
	size_t len = 0, sent = 0;
	const char *text;

	rig_start(&rig, "", true);
	engine_up(&rig);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, POST "Content-Length: 100000\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	phone_send_bytes(&rig, &p, bytes, 100000);
	CHECK_INT(take_upload(&h, 1000), 100000);
	bulk_answer(&h, BYTES);
	while (sent < IPC_BULK_CREDIT) {
		bulk_piece(&h, bytes + sent, IPC_BULK_CHUNK, false);
		sent += IPC_BULK_CHUNK;
	}
	CHECK(!phone_silent(&rig, &p));
	while (sent < BYTES) {
		size_t n = MIN((size_t)engine_next(&rig, IPC_CREDIT)->amount.bytes, BYTES - sent);

		for (size_t end = sent + n; sent < end;) {
			size_t piece = MIN(end - sent, (size_t)IPC_BULK_CHUNK);

			bulk_piece(&h, bytes + sent, piece, sent + piece == BYTES);
			sent += piece;
		}
		(void)phone_silent(&rig, &p);
	}
	text = phone_answer(&rig, &p, &len);
	REQUIRE(len > BYTES);
	CHECK(memcmp(text + len - BYTES, bytes, BYTES) == 0);
	mem_free(bytes);
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_unauthenticated_uploads), TEST(test_refused_and_still_sending),
	TEST(test_large_upload), TEST(test_chunked), TEST(test_chunked_too_large),
	TEST(test_expect), TEST(test_upload_ends_early), TEST(test_bulk_answer_with_credit),
	TEST(test_half_close_in_mid_answer), TEST(test_slow_reader), TEST(test_bulk_answer_breaks),
	TEST(test_client_goes_in_mid_answer), TEST(test_answer_without_length),
	TEST(test_answer_without_length_breaks), TEST(test_tls_bulk))
