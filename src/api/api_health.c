/*
 * For monitors: /readyz, without a login, and /metrics, for addresses of metrics.networks and
 * tokens with the scope metrics. (/healthz is the front's: it says that a front is alive, and asks
 * nobody.)
 *
 * Ready means that this engine answers and that the store takes writes: a row is written and
 * committed, once in PROBE_MS at most, whoever asks. (That an engine which hangs is not ready the
 * front says by itself: web.ready_timeout_s.)
 *
 * Threads: any worker; what came of the last look at the store is under api->lock, the look itself
 * is not: with a store that somebody keeps to himself it takes seconds, and one worker, no more.
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

/* True: nobody is looking, and the last look is old: the caller looks now. Else *ret_well. */
static bool probe_begin(struct api *api, bool *ret_well)
{
	int64_t now_ms = clock_now_ms();
	bool old, due;

	(void)pthread_mutex_lock(&api->lock);
	old = api->probed_ms == 0 || now_ms - api->probed_ms >= PROBE_MS;
	due = old && !api->probing;
	/* A look that takes so long says enough. */
	*ret_well = api->probe_ok && !(api->probing && old);
	if (due) {
		api->probing = true;
		api->probed_ms = now_ms;
	}
	(void)pthread_mutex_unlock(&api->lock);
	return due;
}

static bool store_is_well(struct api *api)
{
	struct err err = ERR_INIT;
	int64_t now_at = clock_now_at();
	bool well;

	if (!probe_begin(api, &well))
		return well;
	well = store_transact(api->options.store, probe_tx, &now_at, &err) == 0;
	(void)pthread_mutex_lock(&api->lock);
	api->probing = false;
	api->probe_ok = well;
	(void)pthread_mutex_unlock(&api->lock);
	return well;
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
