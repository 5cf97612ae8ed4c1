#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "ingest/lmtp_internal.h"

#define MESSAGE_MAX 1000

/* A client whose words are known beforehand, and a store that remembers. */
struct world {
	const char *in;
	size_t in_len, at, piece;
	bool silent; /* times out at the end instead of closing */
	struct buf out, raw;
	char recipients[256];
	int deliveries;
	struct lmtp_budget budget;
	atomic_bool stopping;
	uint64_t resolved_size;
};

static ssize_t world_read(
	void *owner, void *bytes, size_t max, int64_t deadline_ms, struct err *err)
{
	struct world *w = owner;
	size_t n = MIN(MIN(w->piece, w->in_len - w->at), max);

	CHECK(deadline_ms > clock_now_ms());
	if (n == 0 && w->silent) {
		clock_fake_advance_ms(deadline_ms - clock_now_ms());
		return err_set(err, ERR_TIMEOUT, "silent");
	}
	memcpy(bytes, w->in + w->at, n);
	w->at += n;
	return (ssize_t)n;
}

static int world_write(
	void *owner, const void *bytes, size_t len, int64_t deadline_ms, struct err *err)
{
	struct world *w = owner;

	(void)deadline_ms;
	(void)err;
	buf_add(&w->out, bytes, len);
	return 0;
}

static void world_limits(void *owner, struct lmtp_limits *ret)
{
	(void)owner;
	*ret = (struct lmtp_limits){MESSAGE_MAX, 3, 60};
}

static enum lmtp_outcome world_resolve(
	void *owner, const char *address, uint64_t size, struct owner_id *ret, struct err *err)
{
	struct world *w = owner;

	w->resolved_size = size;
	ret->v = (uint64_t)*address;
	if (strncmp(address, "nobody", 6) == 0) {
		(void)err_set(err, ERR_NOT_FOUND, "no user");
		return LMTP_NO_USER;
	}
	if (strncmp(address, "broken", 6) == 0) {
		(void)err_set(err, ERR_BACKEND, "disk on fire");
		return LMTP_FAILED;
	}
	return LMTP_DELIVERED;
}

static void world_deliver(
	void *owner, const struct lmtp_message *m, enum lmtp_outcome *outcomes, struct err *err)
{
	struct world *w = owner;

	(void)err;
	w->deliveries++;
	buf_clear(&w->raw);
	buf_add(&w->raw, m->raw, m->len);
	for (size_t i = 0; i < m->recipient_count; i++) {
		outcomes[i] = m->recipients[i].address[0] == 'f' ? LMTP_FULL : LMTP_DELIVERED;
		(void)snprintf(w->recipients + strlen(w->recipients),
			sizeof(w->recipients) - strlen(w->recipients), "%s ",
			m->recipients[i].address);
	}
}

static void drop_line(const char *line, void *owner)
{
	(void)line;
	(void)owner;
}

static void run_bytes(struct world *w, const char *in, size_t len, size_t piece)
{
	const struct lmtp_io io = {world_read, world_write, w};
	const struct lmtp_backend backend = {world_limits, world_resolve, world_deliver, w};
	const struct lmtp_session_options o = {
		&io, &backend, &w->budget, "mx.example.org", "192.0.2.1", &w->stopping};

	log_capture(drop_line, NULL);
	clock_fake_set(1700000000000, 1000);
	w->in = in;
	w->in_len = len;
	w->piece = piece;
	atomic_init(&w->budget.left, 1 << 20);
	lmtp_session_run(&o);
	CHECK_INT(atomic_load(&w->budget.left), 1 << 20);
	clock_fake_off();
	log_capture(NULL, NULL);
}

static void end(struct world *w)
{
	buf_deinit(&w->out);
	buf_deinit(&w->raw);
	*w = (struct world){0};
}

/* The codes of all answers, "220 250 ..."; continuation lines left out. */
static const char *codes(struct world *w)
{
	static char text[2048];
	const char *p = buf_cstr(&w->out);

	text[0] = '\0';
	while (*p != '\0') {
		const char *eol = strstr(p, "\r\n");

		REQUIRE(eol != NULL && eol - p >= 4);
		if (p[3] == ' ')
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.3s",
				text[0] ? " " : "", p);
		p = eol + 2;
	}
	return text;
}

#define HELLO "LHLO client.example\r\n"
#define START HELLO "MAIL FROM:<bob@example.com>\r\nRCPT TO:<anna@example.org>\r\n"

static void test_dialogues(void)
{
	static const struct {
		const char *in, *codes;
	} t[] = {
		{"QUIT\r\n", "220 221"},
		{START "DATA\r\nSubject: x\r\n\r\nHello\r\n.\r\nQUIT\r\n",
			"220 250 250 250 354 250 221"},
		{"lhlo x\r\nmail from:<>\r\nrcpt to:<a@b>\r\ndata\r\nx: y\r\n\r\n.\r\nquit\r\n",
			"220 250 250 250 354 250 221"},
		/* an answer for each recipient, in their order */
		{HELLO "MAIL FROM:<b@c> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<full@x>\r\nRCPT "
		       "TO:<anna@x>\r\nRCPT TO:<anna@x>\r\nDATA\r\n.\r\n",
			"220 250 250 250 250 250 354 452 250 250"},
		{HELLO "MAIL FROM:<b@c>\r\nRCPT TO:<nobody@x>\r\nDATA\r\n", "220 250 250 550 503"},
		{HELLO "MAIL FROM:<b@c>\r\nRCPT TO:<broken@x>\r\nRCPT TO:<anna@x>\r\n",
			"220 250 250 451 250"},
		{HELLO "MAIL FROM:<b@c>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT "
		       "TO:<d@x>\r\n",
			"220 250 250 250 250 250 452"},
		/* sequence */
		{"MAIL FROM:<b@c>\r\n", "220 503"},
		{HELLO "RCPT TO:<b@c>\r\nDATA\r\n", "220 250 503 503"},
		{HELLO "MAIL FROM:<b@c>\r\nMAIL FROM:<b@c>\r\n", "220 250 250 503"},
		{START "RSET\r\nDATA\r\n", "220 250 250 250 250 503"},
		{START "LHLO again\r\nDATA\r\n", "220 250 250 250 250 503"},
		{START "DATA\r\n.\r\nDATA\r\n", "220 250 250 250 354 250 503"},
		/* syntax */
		{"EHLO x\r\nHELO x\r\nLHLO\r\nLHLO a b\r\nLHLO (x)\r\nSTARTTLS\r\nBDAT 3 "
		 "LAST\r\n\r\n",
			"220 500 500 501 501 501 500 500 500"},
		{HELLO "MAIL <b@c>\r\nMAIL FROM:b@c\r\nMAIL FROM:<b@c\r\nMAIL FROM:<b c@d>\r\nMAIL "
		       "FROM:<@c>\r\nMAIL FROM:<b@>\r\n",
			"220 250 501 501 501 501 501 501"},
		{HELLO "MAIL FROM:<b@c> SIZE=x\r\nMAIL FROM:<b@c> SIZE=-1\r\nMAIL FROM:<b@c> "
		       "RET=FULL\r\nMAIL FROM:<b@c>SIZE=1\r\n",
			"220 250 501 501 555 501"},
		{HELLO "MAIL FROM:<b@c> SIZE=1001\r\nMAIL FROM:<b@c> SIZE=1000\r\nRCPT "
		       "TO:<>\r\nRCPT TO:<a@b> NOTIFY=NEVER\r\n",
			"220 250 552 250 501 555"},
		{"NOOP\r\nNOOP x y\r\nVRFY anna\r\nHELP\r\nRSET now\r\nDATA x\r\n",
			"220 250 250 252 214 501 501"},
		{"NO\tOP\r\nNOOP\x01\r\n", "220 500 500"},
		/* addresses beyond ASCII */
		{HELLO "MAIL FROM:<b\xc3\xb6@c>\r\nMAIL FROM:<b@c>\r\nRCPT TO:<\xc3\xa4@c>\r\n",
			"220 250 553 250 553"},
		{HELLO "MAIL FROM:<b\xc3\xb6@c> SMTPUTF8\r\nRCPT TO:<\xc3\xa4@c>\r\nDATA\r\n.\r\n",
			"220 250 250 250 354 250"},
		{HELLO "MAIL FROM:<b\xff@c> SMTPUTF8\r\n", "220 250 501"},
		/* the connection ends inside a message: nothing is delivered */
		{START "DATA\r\nSubject: x\r\n\r\nHel", "220 250 250 250 354"},
		{START "DATA\r\n\r\n.\r", "220 250 250 250 354"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		/* Whole, and byte by byte. */
		for (size_t piece = 1; piece < 10000; piece *= 3000) {
			struct world w = {0};

			run_bytes(&w, t[i].in, strlen(t[i].in), piece);
			if (strcmp(codes(&w), t[i].codes) != 0)
				test_fail_(__FILE__, __LINE__,
					"dialogue %zu, pieces of %zu: %s, not %s", i, piece,
					codes(&w), t[i].codes);
			end(&w);
		}
	}
}

static void test_lhlo_announces(void)
{
	struct world w = {0};

	run_bytes(&w, HELLO, strlen(HELLO), 100);
	CHECK_STR(buf_cstr(&w.out),
		"220 mx.example.org LMTP "
		"Bellhop\r\n250-mx.example.org\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n"
		"250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n");
	end(&w);
}

/* What follows the trace headers. */
static const char *content(struct world *w)
{
	const char *text = buf_cstr(&w->raw), *date = strstr(text, "+0000\r\n");

	return date != NULL ? date + 7 : "(no trace)";
}

static void test_message_bytes(void)
{
	static const struct {
		const char *data, *stored;
	} t[] = {
		{"a\r\n.\r\n", "a\r\n"},
		{".\r\n", ""},
		{"..\r\n.\r\n", ".\r\n"},
		{"...a\r\n.b\r\n.\r\n", "..a\r\nb\r\n"},
		{"a\r\n\r\n..\r\n.\r\n", "a\r\n\r\n.\r\n"},
		/* bare LF: a line end, but no place where a dot counts */
		{"a\nb\r\n.\r\n", "a\r\nb\r\n"},
		{"a\n.\r\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n"},
		{"a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"},
		{"a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n"},
		{"a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n"},
		{"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n"},
		{"a\r\r\n.\r\n", "a\r\r\n"},
		{"\r\n.\r\n", "\r\n"},
		{"\n\n.\r\n\r\n.\r\n", "\r\n\r\n.\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		for (size_t piece = 1; piece < 10000; piece *= 3000) {
			struct world w = {0};
			char in[512];

			(void)snprintf(in, sizeof(in), START "DATA\r\n%sQUIT\r\n", t[i].data);
			run_bytes(&w, in, strlen(in), piece);
			CHECK_STR(codes(&w), "220 250 250 250 354 250 221");
			CHECK_STR(content(&w), t[i].stored);
			end(&w);
		}
	}
}

static void test_nul_bytes_are_kept(void)
{
	static const char in[] = START "DATA\r\nA: b\r\n\r\nx\0y\r\n.\r\n";
	struct world w = {0};

	run_bytes(&w, in, sizeof(in) - 1, 7);
	CHECK_STR(codes(&w), "220 250 250 250 354 250");
	REQUIRE(w.raw.len > 5);
	CHECK_MEM(w.raw.data + w.raw.len - 5, 5, "x\0y\r\n", 5);
	end(&w);
	run_bytes(&w, "NO\0OP\r\nNOOP\r\n", 13, 100);
	CHECK_STR(codes(&w), "220 500 250");
	end(&w);
}

static void test_trace(void)
{
	static const char one[] = START "DATA\r\n.\r\n";
	static const char two[] = HELLO "MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<\"anna\"@x>\r\nRCPT "
					"TO:<@r,@s:berta@x>\r\nDATA\r\n.\r\n";
	struct world w = {0};

	run_bytes(&w, one, sizeof(one) - 1, 100);
	CHECK(str_starts(buf_cstr(&w.raw),
		"Return-Path: <bob@example.com>\r\nReceived: from client.example (192.0.2.1)\r\n"
		"\tby mx.example.org with LMTP id "));
	CHECK(strstr(buf_cstr(&w.raw),
		      "\r\n\tfor <anna@example.org>; Tue, 14 Nov 2023 22:13:20 +0000\r\n") != NULL);
	end(&w);
	run_bytes(&w, two, sizeof(two) - 1, 100);
	CHECK(strncmp(buf_cstr(&w.raw), "Return-Path: <>\r\n", 17) == 0);
	CHECK(strstr(buf_cstr(&w.raw), " with UTF8LMTP id ") != NULL);
	CHECK(strstr(buf_cstr(&w.raw), "\tfor ") == NULL);
	CHECK_STR(w.recipients, "anna@x berta@x ");
	end(&w);
}

/* bytes of 'x' lines as a message */
static struct buf big_message(size_t bytes)
{
	struct buf b = BUF_INIT;

	buf_add_str(&b, START "DATA\r\n");
	for (size_t i = 0; i < bytes; i += 10)
		buf_add_str(&b, "xxxxxxxx\r\n");
	buf_add_str(&b, ".\r\nNOOP\r\n");
	return b;
}

static void test_size_limit(void)
{
	static const struct {
		size_t bytes;
		const char *codes;
	} t[] = {
		{1000, "220 250 250 250 354 250 250"},
		{1010, "220 250 250 250 354 552 250"},
		{3900, "220 250 250 250 354 552 250"},
		{400000, "220 250 250 250 354 421"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct buf in = big_message(t[i].bytes);
		struct world w = {0};

		run_bytes(&w, (const char *)in.data, in.len, 333);
		CHECK_STR(codes(&w), t[i].codes);
		CHECK_INT(w.deliveries, i == 0 ? 1 : 0);
		end(&w);
		buf_deinit(&in);
	}
}

static void test_budget(void)
{
	const struct lmtp_backend backend = {world_limits, world_resolve, world_deliver, NULL};
	struct buf in = big_message(1000);
	struct world w = {.in = (const char *)in.data, .in_len = in.len, .piece = 100};
	const struct lmtp_io io = {world_read, world_write, &w};
	struct lmtp_backend mine = backend;
	const struct lmtp_session_options o = {
		&io, &mine, &w.budget, "mx.example.org", "unix", &w.stopping};

	mine.owner = &w;
	atomic_init(&w.budget.left, 100);
	lmtp_session_run(&o);
	CHECK_STR(codes(&w), "220 250 250 250 354 452 250");
	CHECK_INT(w.deliveries, 0);
	CHECK_INT(atomic_load(&w.budget.left), 100);
	end(&w);
	buf_deinit(&in);
}

static void test_long_lines(void)
{
	struct buf in = BUF_INIT;
	struct world w = {0};

	for (size_t i = 0; i < LMTP_LINE_MAX; i++)
		buf_add_byte(&in, 'N');
	buf_add_str(&in, "\r\nNOOP\r\n");
	run_bytes(&w, (const char *)in.data, in.len, 100);
	CHECK_STR(codes(&w), "220 500 250");
	end(&w);
	buf_clear(&in);
	for (size_t i = 0; i < 2000000; i++)
		buf_add_byte(&in, 'N');
	run_bytes(&w, (const char *)in.data, in.len, 5000);
	CHECK_STR(codes(&w), "220");
	CHECK(w.at < 1200000);
	end(&w);
	buf_deinit(&in);
}

static void test_many_errors(void)
{
	struct buf in = BUF_INIT;
	struct world w = {0};

	for (int i = 0; i < 100; i++)
		buf_add_str(&in, "FOO\r\n");
	run_bytes(&w, (const char *)in.data, in.len, 1000);
	CHECK(strlen(codes(&w)) < 100);
	CHECK(strstr(codes(&w), " 421") != NULL);
	end(&w);
	/* Unknown users are not the mail server's fault. */
	buf_clear(&in);
	buf_add_str(&in, HELLO "MAIL FROM:<b@c>\r\n");
	for (int i = 0; i < 100; i++)
		buf_add_str(&in, "RCPT TO:<nobody@x>\r\n");
	run_bytes(&w, (const char *)in.data, in.len, 1000);
	CHECK(strstr(codes(&w), "421") == NULL);
	end(&w);
	buf_deinit(&in);
}

static void test_silence(void)
{
	struct world w = {.silent = true};

	run_bytes(&w, START, strlen(START), 1000);
	CHECK_STR(codes(&w), "220 250 250 250 421");
	end(&w);
	w.silent = true;
	run_bytes(&w, START "DATA\r\nhalf", strlen(START) + 10, 1000);
	CHECK_STR(codes(&w), "220 250 250 250 354 421");
	CHECK_INT(w.deliveries, 0);
	end(&w);
}

static void test_stopping(void)
{
	struct world w = {0};

	atomic_init(&w.stopping, true);
	run_bytes(&w, START, strlen(START), 1000);
	CHECK_STR(codes(&w), "220 250 250 250 421");
	end(&w);
}

TEST_MAIN(TEST(test_dialogues), TEST(test_lhlo_announces), TEST(test_message_bytes),
	TEST(test_nul_bytes_are_kept), TEST(test_trace), TEST(test_size_limit), TEST(test_budget),
	TEST(test_long_lines), TEST(test_many_errors), TEST(test_silence), TEST(test_stopping))
