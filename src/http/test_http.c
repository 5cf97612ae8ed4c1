#include "http/http.h"

#include "base/mem.h"
#include "base/test.h"

static struct http_request request;
static uint8_t bytes[65536];

/* 0 when it was taken, else the status. */
static int parse(const char *text)
{
	struct err err = ERR_INIT;
	size_t len = strlen(text), scan = 0;
	int status = 0;

	memcpy(bytes, text, len + 1);
	REQUIRE(http_head_end(bytes, len, &scan) == len);
	if (http_head_parse(bytes, len, &request, &status, &err) == 0)
		return 0;
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK(err.text[0] != 0);
	return status;
}

static void test_good_request(void)
{
	CHECK_INT(parse("POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=x HTTP/1.1\r\n"
			"Host: mail.example.org\r\n"
			"MS-ASProtocolVersion:14.1\r\n"
			"X-Spaces: \t a b \t \r\n"
			"X-Empty:\r\n"
			"Content-Length: 13\r\n\r\n"),
		0);
	CHECK_STR(request.method, "POST");
	CHECK_STR(request.target, "/Microsoft-Server-ActiveSync?Cmd=Ping&User=x");
	CHECK_STR(request.host, "mail.example.org");
	CHECK_INT(request.minor, 1);
	CHECK_INT(request.content_length, 13);
	CHECK(request.keep_alive && !request.chunked && !request.expect_continue);
	CHECK_INT(request.header_count, 5);
	CHECK_STR(http_header_find(&request, "ms-asprotocolversion"), "14.1");
	CHECK_STR(http_header_find(&request, "x-spaces"), "a b");
	CHECK_STR(http_header_find(&request, "x-empty"), "");
	CHECK_STR(http_header_find(&request, "x-none"), NULL);
}

#define H "Host: a\r\n"

static void test_table(void)
{
	static const struct {
		const char *text;
		int status;
	} table[] = {
		{"GET / HTTP/1.1\r\n" H "\r\n", 0},
		{"GET / HTTP/1.9\r\n" H "\r\n", 0},
		{"GET / HTTP/1.0\r\n\r\n", 0},
		{"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0},
		{"GET http://a/b?c HTTP/1.1\r\n" H "\r\n", 0},
		{"GET /\xc3\xbc HTTP/1.1\r\n" H "\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a\r\nA:\xc3\xbc\r\n\r\n", 0},
		/* request line */
		{"GET /\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\n" H "\r\n", 400},
		{"GET / HTTP/1.1 \r\n" H "\r\n", 400},
		{"GET / x HTTP/1.1\r\n" H "\r\n", 400},
		{" GET / HTTP/1.1\r\n" H "\r\n", 400},
		{"GET a HTTP/1.1\r\n" H "\r\n", 400},
		{"GET * HTTP/1.1\r\n" H "\r\n", 400},
		{"GET http:///b HTTP/1.1\r\n" H "\r\n", 400},
		{"CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 400},
		{"GET /\t HTTP/1.1\r\n" H "\r\n", 400},
		{"GET /#x HTTP/1.1\r\n" H "\r\n", 400},
		{"G(T / HTTP/1.1\r\n" H "\r\n", 400},
		{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H "\r\n", 400},
		{"GET / HTTP/2.0\r\n" H "\r\n", 505},
		{"GET / http/1.1\r\n" H "\r\n", 400},
		{"GET / HTTP/1.12\r\n" H "\r\n", 400},
		{"PRI * HTTP/2.0\r\n\r\n", 505},
		{"\r\n\r\n", 400},
		/* headers */
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H H "\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n A: b\r\n" H "\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A: b\nB: c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A: b\rB: c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" H "A: \x7f\r\n\r\n", 400},
		{"GET / HTTP/1.1\n" H "\r\n", 400},
		/* lengths and codings */
		{"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1,1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\ncontent-length: 1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\n" H
		 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
			400},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
			400},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
			400},
		{"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\n", 417},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int got = parse(table[i].text);

		if (got != table[i].status)
			printf("# in: %s", table[i].text);
		CHECK_INT(got, table[i].status);
	}
}

static void test_nul(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n";
	struct err err = ERR_INIT;
	int status = 0;

	memcpy(bytes, text, sizeof(text));
	CHECK_INT(http_head_parse(bytes, sizeof(text) - 1, &request, &status, &err), -1);
	CHECK_INT(status, 400);
}

static void test_connection(void)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} table[] = {
		{"GET / HTTP/1.1\r\n" H "\r\n", true},
		{"GET / HTTP/1.1\r\n" H "Connection: Close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: TE, close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: TE\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: closet\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive,close\r\n\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		CHECK_INT(parse(table[i].text), 0);
		CHECK_INT(request.keep_alive, table[i].keep_alive);
	}
	CHECK_INT(
		parse("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"),
		0);
	CHECK(request.expect_continue);
	CHECK_INT(parse("POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n"), 0);
	CHECK(!request.expect_continue);
	CHECK_INT(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), 0);
	CHECK(!request.expect_continue);
	CHECK_INT(parse("GET http://A.example/b?c HTTP/1.1\r\n" H "\r\n"), 0);
	CHECK_STR(request.target, "/b?c");
}

static void test_header_count(void)
{
	struct buf text = BUF_INIT;

	for (int count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
		buf_clear(&text);
		buf_add_str(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 1; i < count; i++)
			buf_addf(&text, "H%d: v\r\n", i);
		buf_add_str(&text, "\r\n");
		CHECK_INT(parse(buf_cstr(&text)), count > HTTP_HEADERS_MAX ? 431 : 0);
	}
	buf_deinit(&text);
}

/* A head that comes byte by byte is found at its last one, and each byte is looked at once. */
static void test_head_end(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\r\r\n\n\r\nC: d\r\n\r\nrest";
	size_t whole = sizeof(text) - 1 - 4, scan = 0;

	for (size_t n = 0; n < whole; n++) {
		size_t before = scan;

		CHECK_INT(http_head_end((const uint8_t *)text, n, &scan), 0);
		CHECK(scan >= before && scan + 4 > n);
	}
	CHECK_INT(http_head_end((const uint8_t *)text, whole, &scan), whole);
	scan = 0;
	CHECK_INT(http_head_end((const uint8_t *)text, sizeof(text) - 1, &scan), whole);
	CHECK_INT(http_head_blank((const uint8_t *)"\r\n\r\n\r\nGET", 9), 4);
	CHECK_INT(http_head_blank((const uint8_t *)"\r", 1), 0);
	CHECK_INT(http_head_blank((const uint8_t *)"GET", 3), 0);
}

/* Decodes in pieces of `step` bytes. */
static int unchunk(const char *text, size_t step, struct buf *out, size_t *ret_used)
{
	struct http_chunked c = {0};
	size_t len = strlen(text), at = 0;

	while (at < len) {
		const uint8_t *piece = NULL;
		size_t used = 0, piece_len = 0, n = MIN(step, len - at);
		int r = http_chunked_next(
			&c, (const uint8_t *)text + at, n, &used, &piece, &piece_len);

		at += used;
		if (r == HTTP_CHUNKED_PIECE)
			buf_add(out, piece, piece_len);
		*ret_used = at;
		if (r == HTTP_CHUNKED_DONE || r == HTTP_CHUNKED_BAD)
			return r;
	}
	return HTTP_CHUNKED_MORE;
}

static void test_chunked(void)
{
	static const struct {
		const char *text;
		int result;
		const char *body;
		int rest; /* bytes not used */
	} table[] = {
		{"0\r\n\r\n", 2, "", 0},
		{"5\r\nhello\r\n0\r\n\r\nGET", 2, "hello", 3},
		{"005\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", 2, "hello world", 0},
		{"A\r\n0123456789\r\n0\r\n\r\n", 2, "0123456789", 0},
		{"a ; name=\"x\"\r\n0123456789\r\n0;y\r\n\r\n", 2, "0123456789", 0},
		{"1\r\nx\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n", 2, "x", 0},
		{"5\r\nhel", 0, "hel", 0},
		{"5\r\nhello\r\n", 0, "hello", 0},
		{"", 0, "", 0},
		{"\r\n", -1, "", 2},
		{";\r\n", -1, "", 3},
		{"-1\r\n", -1, "", 4},
		{"0x5\r\nhello", -1, "", 9},
		{"5\nhello", -1, "", 6},
		{"5\r\nhelloX\n", -1, "hello", 2},
		{"5\r\nhello\n0\r\n\r\n", -1, "hello", 6},
		{"0\r\nA\x01\r\n\r\n", -1, "", 5},
		{"0\r\n\rX", -1, "", 1},
		{"0\r\nA: b\n\r\n", -1, "", 3},
		{"1000000000000000\r\n", -1, "", 3},
		{"ffffffffffffffffffffffff\r\n", -1, "", 11},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (size_t step = 1; step <= 40; step += 13) {
			struct buf out = BUF_INIT;
			size_t used = 0;

			CHECK_INT(unchunk(table[i].text, step, &out, &used), table[i].result);
			CHECK_STR(buf_cstr(&out), table[i].body);
			CHECK_INT(strlen(table[i].text) - used, table[i].rest);
			buf_deinit(&out);
		}
	}
}

static void test_chunked_limits(void)
{
	struct buf text = BUF_INIT, out = BUF_INIT;
	size_t used = 0;

	buf_add_str(&text, "5;");
	for (int i = 0; i < 600; i++)
		buf_add_byte(&text, 'x');
	CHECK_INT(unchunk(buf_cstr(&text), 100, &out, &used), HTTP_CHUNKED_BAD);
	buf_clear(&text);
	for (int i = 0; i < 600; i++)
		buf_add_byte(&text, '0');
	CHECK_INT(unchunk(buf_cstr(&text), 100, &out, &used), HTTP_CHUNKED_BAD);
	buf_clear(&text);
	buf_add_str(&text, "0\r\n");
	for (int i = 0; i < 2000; i++)
		buf_add_str(&text, "A: bc\r\n");
	CHECK_INT(unchunk(buf_cstr(&text), 100, &out, &used), HTTP_CHUNKED_BAD);
	buf_deinit(&text);
	buf_deinit(&out);
}

static void test_response(void)
{
	struct buf out = BUF_INIT;

	http_response_begin(&out, 449, "", 784111777, HTTP_KEEP_OLD);
	http_response_header(&out, "X-A", "b\r\nSet-Cookie: c");
	http_response_end(&out, 12345678901);
	CHECK_STR(buf_cstr(&out), "HTTP/1.1 449 Retry after sending a PROVISION command\r\n"
				  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				  "Connection: keep-alive\r\n"
				  "X-A: b  Set-Cookie: c\r\n"
				  "Content-Length: 12345678901\r\n\r\n");
	buf_clear(&out);
	http_response_begin(&out, 299, "Odd", 0, HTTP_CLOSE);
	CHECK_STR(buf_cstr(&out), "HTTP/1.1 299 Odd\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
				  "Connection: close\r\n");
	CHECK_STR(http_reason(200), "OK");
	CHECK_STR(http_reason(299), "");
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_good_request), TEST(test_table), TEST(test_nul), TEST(test_connection),
	TEST(test_header_count), TEST(test_head_end), TEST(test_chunked), TEST(test_chunked_limits),
	TEST(test_response))
