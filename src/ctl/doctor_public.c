/*
 * What phones meet before they meet the server: its certificate, its names, and time. Reads files,
 * asks the system's resolver and its clock; nothing of it needs a running server. Blocks as long as
 * the resolver does.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/readable.h"
#include "base/str.h"
#include "ctl/doctor.h"
#include "net/certificate.h"

#define DAY_S           86400
#define DOMAINS_SHOWN   20
#define ADDRESSES_SHOWN 4

/* server.hostname, else what the system calls itself. */
static const char *hostname_of(const struct doctor *d, char *text, size_t size)
{
	if (d->settings->server_hostname[0] != '\0')
		return d->settings->server_hostname;
	if (gethostname(text, size) != 0)
		text[0] = '\0';
	text[size - 1] = '\0';
	return text;
}

/* ---- the certificate ---- */

/* "2026-11-23, in 9 days"; "2026-11-23, less than a day ago". */
const char *doctor_when(int64_t at, char text[DOCTOR_WHEN_SIZE])
{
	int64_t left_s = at - clock_now_at(), days = (left_s < 0 ? -left_s : left_s) / DAY_S;
	char date[16] = "", span[40];
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	if (days == 0)
		(void)snprintf(span, sizeof(span), "less than a day");
	else
		(void)snprintf(
			span, sizeof(span), "%" PRId64 " %s", days, days == 1 ? "day" : "days");
	(void)snprintf(text, DOCTOR_WHEN_SIZE, "%s, %s%s%s", date, left_s < 0 ? "" : "in ", span,
		left_s < 0 ? " ago" : "");
	return text;
}

/* False: phones refuse it for its dates alone, so what else it lacks does not matter yet. */
static bool check_times(struct doctor *d, const struct certificate *c, bool *well)
{
	int64_t now_at = clock_now_at(), not_after_at = certificate_not_after_at(c);
	char when[DOCTOR_WHEN_SIZE];

	*well = false;
	if (not_after_at < now_at) {
		doctor_say(d, "certificate", DOCTOR_PROBLEM,
			"install a new one, then: bellhop reload",
			"it expired on %s: phones refuse to connect",
			doctor_when(not_after_at, when));
		return false;
	}
	if (certificate_not_before_at(c) > now_at) {
		doctor_say(d, "certificate", DOCTOR_PROBLEM, "set this system's clock, or wait",
			"it is not valid yet, but from %s",
			doctor_when(certificate_not_before_at(c), when));
		return false;
	}
	if (not_after_at - now_at < DOCTOR_EXPIRES_SOON_S)
		doctor_say(d, "certificate", DOCTOR_WARNING,
			"install a new one, then: bellhop reload", "it expires on %s",
			doctor_when(not_after_at, when));
	else
		*well = true;
	return true;
}

static bool check_names(struct doctor *d, const struct certificate *c)
{
	char host[256], name[300];
	const char *hostname = hostname_of(d, host, sizeof(host));
	bool well = true;

	if (!certificate_has_name(c, hostname)) {
		doctor_say(d, "certificate", DOCTOR_PROBLEM,
			"get one with this name among its subjectAltNames, or set server.hostname "
			"to "
			"the name that phones use",
			"it does not bear the name %s", hostname);
		well = false;
	}
	for (size_t i = 0; i < json_array_size(d->domains); i++) {
		(void)snprintf(name, sizeof(name), "autodiscover.%s",
			json_string_value(json_array_get(d->domains, i)));
		if (certificate_has_name(c, name))
			continue;
		doctor_say(d, "certificate", DOCTOR_WARNING,
			"phones that look for their server by Autodiscover need it; add it, or let "
			"people type the server's name",
			"it does not bear the name %s", name);
		well = false;
	}
	return well;
}

static bool check_key(struct doctor *d, const struct certificate *c)
{
	struct err err = ERR_INIT;

	if (d->settings->tls_key[0] == '\0' ||
		certificate_check_key(c, d->settings->tls_key, &err) == 0)
		return true;
	/* Root's, most likely: the server reads it before it gives up its rights. */
	if (err.code == ERR_DENIED)
		return true;
	doctor_say(d, "certificate", DOCTOR_PROBLEM, "set tls.key to the key it was made with",
		"%s", err.text);
	return false;
}

/* Self-signed is a choice, which phones can be made to accept. A chain that ends nowhere is not. */
static bool check_trust(struct doctor *d, const struct certificate *c)
{
	struct err err = ERR_INIT;

	if (certificate_check_chain(c, d->ca_file, &err) == 0)
		return true;
	if (certificate_is_self_signed(c))
		doctor_say(d, "certificate", DOCTOR_WARNING,
			"set tls.certificate and tls.key to one that phones trust, or install it "
			"on each phone (bellhop's pages make profiles for that)",
			"it is self-signed: phones warn, or refuse (%s)", err.text);
	else
		doctor_say(d, "certificate", DOCTOR_PROBLEM,
			"put the certificates of all authorities between it and a root behind it, "
			"into the same file, then: bellhop reload; --ca FILE trusts an authority "
			"of your own",
			"a phone would not trust this file by itself: %s", err.text);
	return false;
}

void doctor_check_certificate(struct doctor *d)
{
	const char *path = d->settings->tls_certificate;
	CLEANUP(certificate_free) struct certificate *c = NULL;
	CLEANUP(mem_freep) char *made = NULL;
	struct err err = ERR_INIT;
	bool in_time, well;

	if (d->settings->listen_https.count == 0 && path[0] == '\0')
		return; /* TLS is somebody else's: the URL tells */
	if (path[0] == '\0')
		path = made = x_printf("%s/self-signed.pem", d->settings->server_data_dir);
	if (certificate_load(path, &c, &err) < 0) {
		/* Before the first start there is none. */
		doctor_say(d, "certificate",
			made != NULL || err.code == ERR_DENIED ? DOCTOR_WARNING : DOCTOR_PROBLEM,
			made != NULL ? "set tls.certificate and tls.key to one that phones trust"
				     : "look at tls.certificate; run the doctor as root to read it",
			"%s", err.text);
		return;
	}
	in_time = check_times(d, c, &well);
	well = check_names(d, c) && well;
	well = check_key(d, c) && well;
	well = in_time && check_trust(d, c) && well;
	if (well)
		doctor_say(d, "certificate", DOCTOR_OK,
			certificate_is_p256(c) ? NULL
					       : "with a key on P-256 a handshake costs this "
						 "server a tenth, which "
						 "tells when thousands of phones come back at once",
			"good for %" PRId64 " days more, %zu in its chain",
			(certificate_not_after_at(c) - clock_now_at()) / DAY_S,
			certificate_count(c));
}

/* ---- what signs profiles ---- */

void doctor_check_signer(struct doctor *d)
{
	const struct settings *s = d->settings;
	const char *const files[][2] = {{"web.profile_certificate", s->web_profile_certificate},
		{"web.profile_key", s->web_profile_key}};

	if (s->web_profile_certificate[0] == '\0')
		return;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct err err = ERR_INIT;

		if (readable_by(s->server_user, files[i][1], &err) == 0)
			continue;
		doctor_say(d, "profiles", DOCTOR_PROBLEM,
			"until then nobody can set up an iPhone by a profile; afterwards: bellhop "
			"reload",
			"%s: %s", files[i][0], err.text);
		return;
	}
	doctor_say(d, "profiles", DOCTOR_OK, NULL, "what signs them can be read");
}

/* ---- names ---- */

/* Its addresses as text; 0: it has none. */
static size_t resolve(const char *name, struct sockaddr_storage *out, size_t max)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	size_t count = 0;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	for (const struct addrinfo *a = list; a != NULL && count < max; a = a->ai_next) {
		out[count] = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
		memcpy(&out[count++], a->ai_addr, MIN(a->ai_addrlen, sizeof(out[0])));
	}
	freeaddrinfo(list);
	return count;
}

static socklen_t length_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Of this machine alone, as /etc/hosts has it for its own name: what others see is not known. */
static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(a);
	}
	return address->ss_family == AF_INET &&
	       ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

static bool leads_back(const struct sockaddr_storage *address, const char *name)
{
	char found[NI_MAXHOST];

	return getnameinfo((const struct sockaddr *)address, length_of(address), found,
		       sizeof(found), NULL, 0, NI_NAMEREQD) == 0 &&
	       str_eq_nocase(found, name);
}

static bool check_autodiscover(struct doctor *d, const char *domain)
{
	struct sockaddr_storage ignored[1];
	char name[300];

	(void)snprintf(name, sizeof(name), "autodiscover.%s", domain);
	if (resolve(name, ignored, 1) > 0)
		return true;
	doctor_say(d, "dns", DOCTOR_WARNING,
		"make it a CNAME of this server, if phones are to find it by the mail address "
		"alone",
		"%s leads nowhere", name);
	return false;
}

void doctor_check_names(struct doctor *d)
{
	struct sockaddr_storage addresses[ADDRESSES_SHOWN];
	char host[256], shown[INET6_ADDRSTRLEN + 1] = "";
	const char *hostname = hostname_of(d, host, sizeof(host));
	size_t count = resolve(hostname, addresses, ARRAY_LEN(addresses));
	bool well = true;

	if (count == 0) {
		doctor_say(d, "dns", DOCTOR_PROBLEM,
			"add an A and an AAAA record, or set server.hostname to the name that "
			"phones "
			"use",
			"%s leads nowhere", hostname);
		well = false;
	} else {
		(void)getnameinfo((const struct sockaddr *)&addresses[0], length_of(&addresses[0]),
			shown, sizeof(shown), NULL, 0, NI_NUMERICHOST);
		if (is_loopback(&addresses[0])) {
			doctor_say(d, "dns", DOCTOR_WARNING,
				"ask another machine for the name, or set server.hostname to the "
				"name that phones use",
				"%s is at %s, which only this machine can reach (/etc/hosts?): "
				"where phones find it, if anywhere, cannot be seen from here",
				hostname, shown);
			well = false;
		} else if (!leads_back(&addresses[0], hostname)) {
			doctor_say(d, "dns", DOCTOR_WARNING,
				"set its PTR record; other mail servers look at it, phones do not",
				"the address %s of %s does not lead back to it", shown, hostname);
			well = false;
		}
	}
	for (size_t i = 0; i < MIN(json_array_size(d->domains), (size_t)DOMAINS_SHOWN); i++)
		well = check_autodiscover(d, json_string_value(json_array_get(d->domains, i))) &&
		       well;
	if (well)
		doctor_say(d, "dns", DOCTOR_OK, NULL, "%s is at %s", hostname, shown);
}

/* ---- time ---- */

void doctor_check_clock(struct doctor *d)
{
	struct timex clock = {.modes = 0};
	int state = adjtimex(&clock);

	if (state == TIME_ERROR || (state >= 0 && (clock.status & STA_UNSYNC) != 0))
		doctor_say(d, "clock", DOCTOR_WARNING,
			"run an NTP client, for example: timedatectl set-ntp true",
			"nobody keeps this system's clock right; certificates, tokens and the "
			"times "
			"of mail go by it");
	else if (state >= 0)
		doctor_say(d, "clock", DOCTOR_OK, NULL, "kept by NTP");
}
