/*
 * The way that phones come: the public URL, through whatever proxy, firewall and TLS stand there.
 * Three requests: is it this server, does ActiveSync reach it, and for how long does a silent
 * request survive. The last is GET /healthz?hold=SECONDS, which the server answers only when that
 * time is over (front/request.c): what comes before is somebody else's doing, and when.
 *
 * A certificate that phones refuse is asked for once more by whoever takes any, to say what is
 * wrong with it. Nothing that comes that way is believed but what the certificate says of itself
 * and the Date, which tells a wrong clock from an old certificate.
 *
 * One thread; blocks for the time of the hold. No credentials are sent.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/doctor.h"

#define ASK_S        15
#define HOLD_SPARE_S 20
#define SKEW_MAX_S   60
#define LONGEST_S    1800 /* what proxies should allow */

enum trust {
	TRUST_LIKE_PHONES,
	TRUST_NAME,   /* any authority and date, but this name */
	TRUST_ANYBODY /* only to see what is shown */
};

struct answer {
	long status;     /* 0: none came */
	int64_t date_at; /* 0: it bore none */
	struct buf body;
	char error[CURL_ERROR_SIZE];
	CURLcode code;
	double took_s;
	bool asks_basic;               /* WWW-Authenticate: Basic */
	int64_t starts_at, expires_at; /* of the certificate that was shown; 0: not known */
};

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
	struct answer *a = owner;

	buf_add(&a->body, bytes, size * count);
	return a->body.failed ? 0 : size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *owner)
{
	struct answer *a = owner;
	char line[200];

	(void)snprintf(line, sizeof(line), "%.*s", (int)MIN(size * count, sizeof(line) - 1), bytes);
	if (str_starts_nocase(line, "Date:"))
		a->date_at = (int64_t)curl_getdate(line + 5, NULL);
	if (str_starts_nocase(line, "WWW-Authenticate:") && strstr(line, "Basic") != NULL)
		a->asks_basic = true;
	return size * count;
}

/* "2027-02-01 12:00:00 GMT" or "Feb  1 12:00:00 2027 GMT", as curl's TLS library has it. */
static int64_t parse_date(const char *text)
{
	static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%b %d %H:%M:%S %Y"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};

		if (strptime(text, forms[i], &tm) != NULL)
			return (int64_t)timegm(&tm);
	}
	return 0;
}

static void read_dates(CURL *curl, struct answer *a)
{
	static const char start[] = "Start date:", expire[] = "Expire date:";
	struct curl_certinfo *shown = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &shown) != CURLE_OK || shown == NULL ||
		shown->num_of_certs < 1)
		return;
	for (const struct curl_slist *row = shown->certinfo[0]; row != NULL; row = row->next) {
		if (str_starts_nocase(row->data, start))
			a->starts_at = parse_date(row->data + sizeof(start) - 1);
		if (str_starts_nocase(row->data, expire))
			a->expires_at = parse_date(row->data + sizeof(expire) - 1);
	}
}

static void ask(const struct doctor *d, const char *method, const char *target, long patience_s,
	enum trust trust, struct answer *ret)
{
	char *url = x_printf("%s%s", d->url, target);
	CURL *curl = curl_easy_init();

	*ret = (struct answer){.status = 0};
	buf_init(&ret->body, 65536);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)ASK_S);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, patience_s);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, ret->error);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, ret);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, trust == TRUST_LIKE_PHONES ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, trust == TRUST_ANYBODY ? 0L : 2L);
	if (d->ca_file != NULL)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, d->ca_file);
	ret->code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	(void)curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &ret->took_s);
	read_dates(curl, ret);
	if (ret->error[0] == '\0')
		(void)snprintf(ret->error, sizeof(ret->error), "%s", curl_easy_strerror(ret->code));
	curl_easy_cleanup(curl);
	mem_free(url);
}

static bool is_ours(struct answer *a)
{
	return a->code == CURLE_OK && a->status == 200 && str_starts(buf_cstr(&a->body), "ok");
}

static void say_unreachable(struct doctor *d, const struct answer *a)
{
	const char *advice;

	switch (a->code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		advice = "add the name to the DNS";
		break;
	case CURLE_COULDNT_CONNECT:
		advice = "open the port in firewalls, and let the proxy or listen.https take it";
		break;
	case CURLE_SSL_CACERT_BADFILE:
		advice = "let --ca name a file of certificates (PEM) that can be read";
		break;
	case CURLE_OPERATION_TIMEDOUT:
		advice = "a firewall may drop what comes for this port";
		break;
	default:
		advice = "look at the proxy's log, and at this server's";
		break;
	}
	doctor_say(d, "url", DOCTOR_PROBLEM, advice, "%s: %s", d->url, a->error);
}

static void check_date(struct doctor *d, const struct answer *a)
{
	int64_t skew_s = a->date_at - clock_now_at();

	if (a->date_at > 0 && llabs((long long)skew_s) > SKEW_MAX_S)
		doctor_say(d, "clock", DOCTOR_PROBLEM, "run an NTP client on both",
			"the clock behind %s is %lld s %s this one's", d->url,
			llabs((long long)skew_s), skew_s > 0 ? "ahead of" : "behind");
}

/* The dates of the certificate, as a phone with the right time sees them. False: they are good. */
static bool say_dates(struct doctor *d, const struct answer *shown)
{
	int64_t now_at = clock_now_at();
	int64_t there_at = shown->date_at > 0 ? shown->date_at : now_at;
	bool expired = shown->expires_at != 0 && shown->expires_at < now_at;
	bool early = shown->starts_at > now_at;
	bool good_there = shown->starts_at <= there_at && there_at <= shown->expires_at;
	const char *advice = "renew it where TLS ends: in the proxy, or tls.certificate and then "
			     "bellhop reload";
	char when[DOCTOR_WHEN_SIZE];

	if (!expired && !early)
		return false;
	if (good_there)
		advice = "set this system's clock: by the clock behind the URL the certificate is "
			 "valid";
	else if (early)
		advice = "wait, or install one that is valid already; set this system's clock if "
			 "it is behind";
	doctor_say(d, "url", DOCTOR_PROBLEM, advice, "%s: its certificate %s %s", d->url,
		expired ? "expired on" : "is not valid yet, but from",
		doctor_when(expired ? shown->expires_at : shown->starts_at, when));
	return true;
}

static bool is_other_name(const struct doctor *d)
{
	struct answer a;

	ask(d, "GET", "/healthz", ASK_S, TRUST_NAME, &a);
	buf_deinit(&a.body);
	return a.code == CURLE_PEER_FAILED_VERIFICATION;
}

static void say_untrusted(struct doctor *d, const struct answer *refused)
{
	struct answer shown;

	ask(d, "GET", "/healthz", ASK_S, TRUST_ANYBODY, &shown);
	buf_deinit(&shown.body);
	if (say_dates(d, &shown)) {
		/* said */
	} else if (is_other_name(d)) {
		doctor_say(d, "url", DOCTOR_PROBLEM,
			"install a certificate with the name that phones have, or give them a name "
			"that it bears",
			"%s: its certificate is for another name", d->url);
	} else {
		doctor_say(d, "url", DOCTOR_PROBLEM,
			"install a certificate that phones trust, with its whole chain; --ca FILE "
			"trusts an authority of your own",
			"%s: no authority that is trusted here vouches for its certificate (%s)",
			d->url, refused->error);
	}
	check_date(d, &shown);
}

/* But for whoever tries his own machine. */
static void check_tls(struct doctor *d)
{
	if (str_starts_nocase(d->url, "https://") || str_starts_nocase(d->url, "http://127.") ||
		str_starts_nocase(d->url, "http://localhost"))
		return;
	doctor_say(d, "url", DOCTOR_PROBLEM,
		"let phones come by https; listen.http is for a reverse proxy that does TLS",
		"%s is without TLS: everybody on the way reads the passwords of phones", d->url);
}

/* That of the proxy, or an old one that the server still holds: what is in a file is not all. */
static void check_expiry(struct doctor *d, const struct answer *a)
{
	char when[DOCTOR_WHEN_SIZE];

	if (a->expires_at != 0 && a->expires_at - clock_now_at() < DOCTOR_EXPIRES_SOON_S)
		doctor_say(d, "url", DOCTOR_WARNING,
			"renew it where TLS ends: in the proxy, or tls.certificate and then "
			"bellhop "
			"reload",
			"the certificate that phones are shown at %s expires on %s", d->url,
			doctor_when(a->expires_at, when));
}

static void check_activesync(struct doctor *d)
{
	struct answer a;

	ask(d, "OPTIONS", "/Microsoft-Server-ActiveSync", ASK_S, TRUST_LIKE_PHONES, &a);
	if (a.code == CURLE_OK && a.status == 401 && a.asks_basic)
		doctor_say(d, "url", DOCTOR_OK, NULL, "%s leads here, for ActiveSync, too", d->url);
	else
		doctor_say(d, "url", DOCTOR_PROBLEM,
			"let the proxy hand on /Microsoft-Server-ActiveSync with the methods "
			"OPTIONS "
			"and POST, and leave Authorization to this server (docs/PROXIES.md)",
			"OPTIONS %s/Microsoft-Server-ActiveSync is answered %ld%s, not 401 with "
			"Basic",
			d->url, a.status, a.code != CURLE_OK ? " (nothing)" : "");
	buf_deinit(&a.body);
}

static void check_hold(struct doctor *d)
{
	struct answer a;
	char target[64], end[40] = "no answer";

	(void)snprintf(target, sizeof(target), "/healthz?hold=%" PRIu64, d->hold_s);
	ask(d, "GET", target, (long)(d->hold_s + HOLD_SPARE_S), TRUST_LIKE_PHONES, &a);
	if (a.status != 0)
		(void)snprintf(end, sizeof(end), "it answers %ld", a.status);
	if (is_ours(&a) && a.took_s + 1 >= (double)d->hold_s)
		doctor_say(d, "proxy", DOCTOR_OK,
			d->hold_s < LONGEST_S ? "--hold 1800 makes sure of the longest heartbeats"
					      : NULL,
			"a silent request survives %" PRIu64 " s on its way", d->hold_s);
	else if (is_ours(&a) || (a.status == 503 && a.took_s < 5))
		doctor_say(d, "proxy", DOCTOR_WARNING,
			"try again when nobody else does; raise http.hold_max_s for longer ones",
			"the server did not hold the request: other ones are held, or %" PRIu64
			" s are more than http.hold_max_s",
			d->hold_s);
	else
		doctor_say(d, "proxy", DOCTOR_PROBLEM,
			"raise the time-out for silent connections of the proxy, load balancer or "
			"firewall in front to 30 minutes or more (proxy_read_timeout of nginx, "
			"timeout server and client of HAProxy, ProxyTimeout of Apache; "
			"docs/PROXIES.md): shorter ones make phones call again and again",
			"a silent request is ended after %.0f s by what stands in front (%s)",
			a.took_s, end);
	buf_deinit(&a.body);
}

void doctor_check_url(struct doctor *d)
{
	struct answer a;
	bool good;

	if (d->url == NULL)
		return;
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	check_tls(d);
	ask(d, "GET", "/healthz", ASK_S, TRUST_LIKE_PHONES, &a);
	good = is_ours(&a);
	if (a.code == CURLE_PEER_FAILED_VERIFICATION)
		say_untrusted(d, &a);
	else if (a.code != CURLE_OK)
		say_unreachable(d, &a);
	else if (!good)
		doctor_say(d, "url", DOCTOR_PROBLEM,
			"let the proxy hand on /healthz, or look whether another server answers",
			"%s/healthz is answered %ld, not by this server", d->url, a.status);
	if (a.code == CURLE_OK)
		check_date(d, &a);
	if (good)
		check_activesync(d);
	if (a.code == CURLE_OK)
		check_expiry(d, &a);
	buf_deinit(&a.body);
	if (!good)
		return;
	check_hold(d);
}
