/* The PROXY protocol: what is a header, what is none, what is refused. */
#include "base/test.h"

#include "base/mem.h"
#include "http/http.h"

#define V2   "\r\n\r\n\0\r\nQUIT\n"
#define FOUR "\xc0\x00\x02\x07\x0a\x00\x00\x01\xdc\x04\x01\xbb" /* 192.0.2.7 to 10.0.0.1 */
#define SIX                                                                                        \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"     \
	"\xdc\x04\x01\xbb"
#define IN(text) (text), sizeof(text) - 1

static const struct {
	const char *bytes;
	size_t len;
	enum http_proxy_result want;
	size_t used;
	const char *client; /* its last bytes; NULL: none is named */
} cases[] = {
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\nGET"), HTTP_PROXY_DONE, 41,
		"\xff\xff\xc0\x00\x02\x07"},
	{IN("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), HTTP_PROXY_DONE, 36, "\0\0\0\0\0\x07"},
	{IN("PROXY UNKNOWN\r\n"), HTTP_PROXY_DONE, 15, NULL},
	{IN("PROXY UNKNOWN ffff::1 what ever\r\n"), HTTP_PROXY_DONE, 33, NULL},
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 0 0\r\n"), HTTP_PROXY_DONE, 35,
		"\xff\xff\xc0\x00\x02\x07"},
	{IN(V2 "\x21\x11\0\x0c" FOUR "GET"), HTTP_PROXY_DONE, 28, "\xff\xff\xc0\x00\x02\x07"},
	{IN(V2 "\x21\x21\0\x24" SIX), HTTP_PROXY_DONE, 52, "\0\0\0\0\0\x07"},
	/* Values behind the addresses. */
	{IN(V2 "\x21\x11\0\x10" FOUR "\x04\0\x01x"), HTTP_PROXY_DONE, 32,
		"\xff\xff\xc0\x00\x02\x07"},
	/* LOCAL, and families that say nothing. */
	{IN(V2 "\x20\0\0\0GET"), HTTP_PROXY_DONE, 16, NULL},
	{IN(V2 "\x20\x11\0\x0c" FOUR), HTTP_PROXY_DONE, 28, NULL},
	{IN(V2 "\x21\0\0\0"), HTTP_PROXY_DONE, 16, NULL},
	{IN(V2 "\x21\x31\0\x03xyz"), HTTP_PROXY_DONE, 19, NULL},
	/* Not all of it. */
	{IN(""), HTTP_PROXY_MORE, 0, NULL},
	{IN("PROX"), HTTP_PROXY_MORE, 0, NULL},
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r"), HTTP_PROXY_MORE, 0, NULL},
	{IN("\r\n\r\n"), HTTP_PROXY_MORE, 0, NULL},
	{IN(V2 "\x21\x11\0\x0c\xc0\x00\x02"), HTTP_PROXY_MORE, 0, NULL},
	/* Something else. */
	{IN("POST /Microsoft-Server-ActiveSync"), HTTP_PROXY_NONE, 0, NULL},
	{IN("PROPFIND"), HTTP_PROXY_NONE, 0, NULL},
	{IN("\r\n\r\nPOST"), HTTP_PROXY_NONE, 0, NULL},
	{IN("PROXY\t"), HTTP_PROXY_NONE, 0, NULL},
	/* Hostile. */
	{IN("PROXY \r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY \n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY UNKNOWNX\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 x\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4  192.0.2.7 10.0.0.1 56324 443\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 ::1 ::1 1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
	{IN("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxx"),
		HTTP_PROXY_BAD, 0, NULL},
	{IN(V2 "\x11\x11\0\x0c" FOUR), HTTP_PROXY_BAD, 0, NULL},
	{IN(V2 "\x22\x11\0\x0c" FOUR), HTTP_PROXY_BAD, 0, NULL},
	{IN(V2 "\x21\x11\0\x0b"), HTTP_PROXY_BAD, 0, NULL},
	{IN(V2 "\x21\x21\0\x0c" FOUR), HTTP_PROXY_BAD, 0, NULL},
	{IN(V2 "\x21\x11\xff\xff"), HTTP_PROXY_BAD, 0, NULL},
};

static void test_headers(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_proxy proxy = {.has_client = false};
		size_t used = 0;
		enum http_proxy_result got = http_proxy_parse(
			(const uint8_t *)cases[i].bytes, cases[i].len, &used, &proxy);

		if (got != cases[i].want)
			test_fail_(__FILE__, __LINE__, "case %zu: %d, not %d", i, (int)got,
				(int)cases[i].want);
		CHECK_INT(used, cases[i].used);
		CHECK_INT(proxy.has_client, cases[i].client != NULL);
		if (cases[i].client != NULL)
			CHECK_MEM(proxy.client + 10, 6, cases[i].client, 6);
	}
}

TEST_MAIN(TEST(test_headers))
