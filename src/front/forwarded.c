/*
 * Who a request is from, when it came through a reverse proxy: throttling of logins, the log and
 * fail2ban must see the phone, not the proxy.
 *
 * X-Forwarded-For is believed only from an address in http.trusted_proxies. Each proxy appends whom
 * it saw, so the list is read from its end: the first one that is no trusted proxy is the client.
 * What stands before it anybody may have written. Pure.
 */
#include <string.h>

#include "base/str.h"
#include "front/front_internal.h"
#include "net/nets.h"

#define HOPS_MAX 16u

bool forwarded_is_in(const struct settings_words *words, const struct net_address *a)
{
	return nets_hold(words->words, words->count, a);
}

bool forwarded_is_trusted(const struct settings *s, const struct net_address *a)
{
	return forwarded_is_in(&s->http_trusted_proxies, a);
}

/* An address, perhaps with a port: 192.0.2.7, 192.0.2.7:4711, 2001:db8::7, [2001:db8::7]:4711. */
static bool parse_hop(const char *text, size_t len, struct net_address *ret)
{
	char copy[NET_ADDRESS_TEXT + 8], *start = copy, *colon;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (copy[0] == '[') {
		start = copy + 1;
		start[strcspn(start, "]")] = '\0';
	} else if ((colon = strchr(copy, ':')) != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
	}
	return net_address_parse(start, ret);
}

/* Goes through one field from its end. True: *client is found, or nobody further may be believed.
 */
static bool walk(
	const struct settings *s, const char *value, unsigned *hops, struct net_address *client)
{
	size_t end = strlen(value);

	for (;;) {
		struct net_address hop;
		size_t start = end;

		while (start > 0 && value[start - 1] != ',')
			start--;
		while (end > start && strchr(" \t", value[end - 1]) != NULL)
			end--;
		for (size_t at = start; at < end && strchr(" \t", value[at]) != NULL; at++)
			start++;
		if (++*hops > HOPS_MAX || !parse_hop(value + start, end - start, &hop))
			return true;
		*client = hop;
		if (!forwarded_is_trusted(s, &hop))
			return true;
		while (start > 0 && value[start - 1] != ',')
			start--;
		if (start == 0)
			return false;
		end = start - 1;
	}
}

void forwarded_client(const struct settings *s, const struct http_request *http,
	const struct net_address *peer, struct net_address *ret)
{
	unsigned hops = 0;

	*ret = *peer;
	if (!forwarded_is_trusted(s, peer))
		return;
	for (size_t i = http->header_count; i-- > 0;) {
		if (str_eq(http->headers[i].name, "x-forwarded-for") &&
			walk(s, http->headers[i].value, &hops, ret))
			return;
	}
}

bool forwarded_is_by_proxy(
	const struct settings *s, const struct http_request *http, const struct net_address *peer)
{
	return http_header_find(http, "x-forwarded-for") != NULL && forwarded_is_trusted(s, peer);
}

bool forwarded_tls(
	const struct settings *s, const struct http_request *http, const struct net_address *peer)
{
	const char *scheme = http_header_find(http, "x-forwarded-proto");

	return forwarded_is_trusted(s, peer) && scheme != NULL && str_eq_nocase(scheme, "https");
}
