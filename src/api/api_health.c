/*
 * For monitors: /readyz, without a login, and /metrics, for addresses of metrics.networks and
 * tokens with the scope metrics. (/healthz is the front's: it says that a front is alive, and asks
 * nobody.)
 *
 * Ready means that this engine answers and that the store takes writes: a row is written and
 * committed, once in PROBE_MS at most, whoever asks.
 *
 * Threads: any worker; the last look at the store is under api->lock.
 */
#include <string.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "net/nets.h"

#define PROBE_MS 1000

static int probe_tx(struct store_tx *tx, void *owner, struct err *err)
{
	return store_probe(tx, *(const int64_t *)owner, err);
}

static bool store_is_well(struct api *api)
{
	struct err err = ERR_INIT;
	int64_t now_at = clock_now_at(), now_ms = clock_now_ms();
	bool ok;

	(void)pthread_mutex_lock(&api->lock);
	if (api->probed_ms == 0 || now_ms - api->probed_ms >= PROBE_MS) {
		api->probe_ok = store_transact(api->options.store, probe_tx, &now_at, &err) == 0;
		api->probed_ms = now_ms;
	}
	ok = api->probe_ok;
	(void)pthread_mutex_unlock(&api->lock);
	return ok;
}

static void reply_text(struct api_call *call, int status, const char *type, const char *text)
{
	api_add_header(call, "Cache-Control", "no-store");
	if (status == 503)
		api_add_header(call, "Retry-After", "5");
	api_reply_bytes(call, status, type, text, strlen(text));
}

void api_health_ready(struct api_call *call)
{
	bool well = store_is_well(call->api);

	reply_text(call, well ? 200 : 503, "text/plain; charset=utf-8",
		well ? "ready\n" : "the store takes no writes\n");
}

static bool may_measure(const struct api_call *call)
{
	const struct settings_words *nets = &call->settings->metrics_networks;
	struct net_address address;

	if (net_address_parse(call->http->address, &address) &&
		nets_hold(nets->words, nets->count, &address))
		return true;
	if (!call->signed_in)
		return false;
	return call->caller.kind == ADMIN_CALLER_TOKEN
		       ? (call->caller.scopes & 1u << ADMIN_SCOPE_METRICS) != 0
		       : call->caller.is_admin;
}

void api_health_metrics(struct api_call *call)
{
	if (api_session_enter(call) < 0)
		return;
	if (!may_measure(call)) {
		if (!call->signed_in)
			api_add_header(call, "WWW-Authenticate", "Bearer");
		reply_text(call, call->signed_in ? 403 : 401, "text/plain; charset=utf-8",
			"metrics.networks does not hold this address, and no token has the scope "
			"metrics\n");
		return;
	}
	if (call->api->options.metrics == NULL) {
		reply_text(call, 404, "text/plain; charset=utf-8", "there are no metrics\n");
		return;
	}
	reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", "");
	call->api->options.metrics(call->api->options.owner, &call->reply->body);
}
