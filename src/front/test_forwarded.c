#include "base/mem.h"
#include "base/test.h"
#include "conf/settings.h"
#include "front/front_internal.h"

static const struct {
	const char *peer, *first, *second; /* fields of X-Forwarded-For; NULL: none */
	const char *client;
} requests[] = {
	{"192.0.2.1", NULL, NULL, "192.0.2.1"},
	{"10.0.0.1", NULL, NULL, "10.0.0.1"},
	{"10.0.0.1", "192.0.2.7", NULL, "192.0.2.7"},
	{"10.0.0.1", "198.51.100.1, 192.0.2.7", NULL, "192.0.2.7"},
	{"10.0.0.1", "198.51.100.1,192.0.2.7,10.0.0.2", NULL, "192.0.2.7"},
	{"10.0.0.1", "198.51.100.1", "192.0.2.7", "192.0.2.7"},
	{"10.0.0.1", "192.0.2.7", "10.0.0.2", "192.0.2.7"},
	{"10.0.0.1", "10.0.0.2", NULL, "10.0.0.2"},
	{"10.0.0.1", "192.0.2.7:4711", NULL, "192.0.2.7"},
	{"10.0.0.1", "[2001:db8::7]:4711", NULL, "2001:db8::7"},
	{"10.0.0.1", " \t2001:db8::7 ", NULL, "2001:db8::7"},
	{"2001:db8::1", "192.0.2.7", NULL, "192.0.2.7"},
	/* Nets. */
	{"172.31.255.254", "192.0.2.7", NULL, "192.0.2.7"},
	{"172.32.0.1", "192.0.2.7", NULL, "172.32.0.1"},
	{"2001:db8:1:ffff::1", "192.0.2.7", NULL, "192.0.2.7"},
	{"2001:db8:2::1", "192.0.2.7", NULL, "2001:db8:2::1"},
	/* Nobody to be believed: a stranger, or words. */
	{"192.0.2.1", "192.0.2.7", NULL, "192.0.2.1"},
	{"10.0.0.1", "unknown", NULL, "10.0.0.1"},
	{"10.0.0.1", "192.0.2.7, unknown, 10.0.0.2", NULL, "10.0.0.2"},
	{"10.0.0.1", "", NULL, "10.0.0.1"},
	{"10.0.0.1", ",,,", NULL, "10.0.0.1"},
	{"10.0.0.1", "[", NULL, "10.0.0.1"},
	{"10.0.0.1", "192.0.2.7, ", NULL, "10.0.0.1"},
	{"10.0.0.1", "1111111111111111111111111111111111111111111111111111111111111111", NULL,
		"10.0.0.1"},
};

static void test_client(void)
{
	static const char conf[] = "[http]\ntrusted_proxies = 10.0.0.1 10.0.0.2 2001:db8::1"
				   " 172.16.0.0/12 2001:db8:1::/48\n";
	const struct settings *s = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_parse(conf, sizeof(conf) - 1, "x.conf", &s, NULL, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct http_request http = {.header_count = 1};
		struct net_address peer, client;
		char text[NET_ADDRESS_TEXT];

		http.headers[0] = (struct http_header){"host", "h"};
		if (requests[i].first != NULL)
			http.headers[http.header_count++] =
				(struct http_header){"x-forwarded-for", requests[i].first};
		if (requests[i].second != NULL)
			http.headers[http.header_count++] =
				(struct http_header){"x-forwarded-for", requests[i].second};
		REQUIRE(net_address_parse(requests[i].peer, &peer));
		forwarded_client(s, &http, &peer, &client);
		CHECK_STR(net_address_to_str(&client, text), requests[i].client);
	}
	settings_unref(&s);
}

TEST_MAIN(TEST(test_client))
