/*
 * Connections from a reverse proxy that says first whom it speaks for (http.proxy_protocol). From
 * then on that client is the connection's address: in the log, for the throttling of logins and for
 * connections_per_address; X-Forwarded-For counts only if that address is a trusted proxy, too.
 *
 * Only from http.trusted_proxies. With `required`, nobody else may connect, and a connection that
 * begins otherwise is closed; with `optional` it is plain HTTP. Limits: HTTP_PROXY_MAX bytes,
 * http_request_timeout_s until the header is whole. What came of it waits in a request object.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"

#define NONE_MAX 16 /* bytes after which it is plain whether they are a header */

bool proxied_begin(const struct front *f, const struct net_address *peer, enum conn_state *ret)
{
	const char *mode = f->settings->http_proxy_protocol;
	bool trusted = !str_eq(mode, "off") && forwarded_is_trusted(f->settings, peer);

	if (str_eq(mode, "required") && !trusted)
		return false;
	*ret = trusted ? CONN_PROXY : CONN_IDLE;
	return true;
}

static bool refuse(struct front *f, struct conn *c, const char *why)
{
	admit_refused(f, &c->address, why);
	conn_linger(f, c);
	return false;
}

/* HTTP begins: with what had come before, and what has come now. */
static bool go_on(struct front *f, struct conn *c, const uint8_t *before, size_t before_len,
	const uint8_t *bytes, size_t len)
{
	request_free(f, c);
	conn_enter_idle(f, c);
	if (before_len > 0 && !request_input(f, c, before, before_len))
		return false;
	return len == 0 || request_input(f, c, bytes, len);
}

static bool take_client(struct front *f, struct conn *c, const struct http_proxy *proxy)
{
	struct net_address client;

	if (!proxy->has_client)
		return true;
	path_set_proxy(f, c, &c->address);
	memcpy(client.bytes, proxy->client, sizeof(client.bytes));
	return conn_set_address(f, c, &client);
}

/* The first bytes of a header; the rest must come. */
static bool keep(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	struct request *r = c->request;

	if (r == NULL) {
		if (front_short_of_memory(f, sizeof(struct request)) ||
			(r = request_new(f, c)) == NULL)
			return refuse(f, c, "memory");
	}
	buf_add(&r->in, bytes, len);
	request_charge(f, r);
	return !r->in.failed || refuse(f, c, "memory");
}

bool proxied_input(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	uint8_t all[HTTP_PROXY_MAX];
	size_t before = c->request != NULL ? c->request->in.len : 0;
	size_t taken = MIN(len, sizeof(all) - before), used = 0;
	struct http_proxy proxy;

	if (before > 0)
		memcpy(all, c->request->in.data, before);
	memcpy(all + before, bytes, taken);
	switch (http_proxy_parse(all, before + taken, &used, &proxy)) {
	case HTTP_PROXY_MORE:
		return keep(f, c, bytes, taken);
	case HTTP_PROXY_DONE:
		if (!take_client(f, c, &proxy))
			return refuse(f, c, "connections_per_address");
		return go_on(f, c, NULL, 0, bytes + (used - before), len - (used - before));
	case HTTP_PROXY_NONE:
		if (str_eq(f->settings->http_proxy_protocol, "required") || before > NONE_MAX)
			break;
		return go_on(f, c, all, before, bytes, len);
	case HTTP_PROXY_BAD:
		break;
	}
	return refuse(f, c, "proxy_protocol");
}
