/*
 * What a user finds out about himself: who he is here, and how his phone finds this server. No
 * threads, no limits of its own.
 *
 * Where phones find the server is what web.public_url says; without it, the server's name, and the
 * port of the first listener for HTTPS (443 when there is none: then a reverse proxy has it).
 */
#include <qrencode.h>
#include <string.h>

#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/tls.h"

#define QR_SCALE  8
#define QR_MARGIN 4 /* modules of white around it, as the standard wants */

/* ---- where ---- */

static unsigned own_port(const struct settings *s)
{
	for (size_t i = 0; i < s->listen_https.count; i++) {
		struct settings_address address;

		if (settings_parse_address(s->listen_https.words[i], &address) &&
			address.unix_path == NULL && address.port != 0)
			return address.port;
	}
	return 443;
}

/* "https://host:port", checked; false: it is none. */
static bool parse_url(struct arena *arena, const char *url, struct api_place *ret)
{
	const char *host, *port;
	uint64_t number = 0;
	struct err ignored = ERR_INIT;

	ret->tls = str_starts_nocase(url, "https://");
	if (!ret->tls && !str_starts_nocase(url, "http://"))
		return false;
	host = strstr(url, "//") + 2;
	ret->host = arena_x_strndup(arena, host, strcspn(host, "/"));
	ret->url = arena_x_strndup(arena, url, (size_t)(host - url) + strlen(ret->host));
	ret->port = ret->tls ? 443 : 80;
	port = strrchr(ret->host, ':');
	if (port != NULL && strchr(port, ']') == NULL) {
		if (str_parse_u64(port + 1, 65535, &number, &ignored) < 0 || number == 0)
			return false;
		ret->port = (unsigned)number;
		ret->host = arena_x_strndup(arena, ret->host, (size_t)(port - ret->host));
	}
	return ret->host[0] != '\0';
}

void api_place_of(struct api_call *call, struct api_place *ret)
{
	const struct settings *s = call->settings;
	unsigned port = own_port(s);

	if (s->web_public_url[0] != '\0' && parse_url(call->arena, s->web_public_url, ret))
		return;
	*ret = (struct api_place){.host = s->hostname, .port = port, .tls = true};
	ret->url = port == 443 ? arena_x_printf(call->arena, "https://%s", s->hostname)
			       : arena_x_printf(call->arena, "https://%s:%u", s->hostname, port);
}

void api_place_add(struct buf *out, const struct api_place *place)
{
	buf_add_str(out, place->host);
	if (place->port != (place->tls ? 443 : 80))
		buf_addf(out, ":%u", place->port);
}

/* ---- /me ---- */

void api_me_show(struct api_call *call, json_t *args)
{
	const struct admin_caller *caller = &call->caller;
	json_t *body = json_object(), *scopes = json_array();

	(void)args;
	for (unsigned i = ADMIN_SCOPE_NONE + 1; i < ADMIN_SCOPE_COUNT; i++) {
		if ((caller->scopes & 1u << i) != 0)
			(void)json_array_append_new(
				scopes, json_string(admin_scope_to_str((enum admin_scope)i)));
	}
	(void)json_object_set_new(body, "address", json_string(caller->user_address));
	(void)json_object_set_new(body, "admin", json_boolean(caller->is_admin));
	if (caller->kind == ADMIN_CALLER_TOKEN)
		(void)json_object_set(body, "scopes", scopes);
	api_reply_json(call, 200, body);
	json_decref(scopes);
	json_decref(body);
}

/* ---- /me/setup ---- */

enum when {
	ALWAYS,
	WITH_TLS,
	WITHOUT_TLS,
	OWN_CERTIFICATE, /* phones do not trust it by themselves */
};

struct step {
	enum when when;
	const char *text; /* {user}; {server}, with its port where that is not the usual; {host},
			     {port} */
};

static void add_step(
	json_t *list, const char *step, const char *address, const struct api_place *place)
{
	struct buf text = BUF_INIT;

	for (const char *p = step; *p != '\0'; p++) {
		if (str_starts(p, "{user}"))
			buf_add_str(&text, address);
		else if (str_starts(p, "{server}"))
			api_place_add(&text, place);
		else if (str_starts(p, "{host}"))
			buf_add_str(&text, place->host);
		else if (str_starts(p, "{port}"))
			buf_addf(&text, "%u", place->port);
		else {
			buf_add_byte(&text, (uint8_t)*p);
			continue;
		}
		p += strcspn(p, "}");
	}
	(void)json_array_append_new(list, json_string(buf_cstr(&text)));
	buf_deinit(&text);
}

static json_t *steps_of(const struct step *step, const char *address, const struct api_place *place,
	bool own_certificate)
{
	json_t *list = json_array();

	for (; step->text != NULL; step++) {
		if (step->when == ALWAYS || (step->when == WITH_TLS && place->tls) ||
			(step->when == WITHOUT_TLS && !place->tls) ||
			(step->when == OWN_CERTIFICATE && place->tls && own_certificate))
			add_step(list, step->text, address, place);
	}
	return list;
}

static const struct step steps_profile[] = {
	{ALWAYS, "On the iPhone or iPad, open this page in Safari, sign in, and tap Download the "
		 "profile."},
	{ALWAYS, "Open Settings, tap Profile Downloaded, then Install, and enter the phone's own "
		 "code."},
	{OWN_CERTIFICATE, "Agree to the certificate of this server, which comes with the profile."},
	{ALWAYS, "Enter your password, or an app password made here for this phone, when it is "
		 "asked for. A profile with a password inside does not ask."},
	{ALWAYS, "The mail appears in the app Mail."}, {ALWAYS, NULL}};
static const struct step steps_ios[] = {
	{ALWAYS, "Open Settings, then Apps, Mail, Mail Accounts, Add Account (before iOS 18: Mail, "
		 "Accounts, Add Account), and tap Microsoft Exchange."},
	{ALWAYS, "Enter {user} as the address, tap Next, then Configure Manually or Sign In by "
		 "hand."},
	{ALWAYS, "Enter your password, or an app password made here for this phone."},
	{OWN_CERTIFICATE, "When the phone says that it cannot verify the server, look at the "
			  "details, compare them with those on this page, and tap Trust."},
	{ALWAYS, "Server: {server}. Domain: leave it empty. User name: {user}."},
	{WITHOUT_TLS, "When the account is made, open its Advanced settings and switch Use SSL "
		      "off."},
	{ALWAYS, "Leave Mail switched on and tap Save."}, {ALWAYS, NULL}};
static const struct step steps_android[] = {
	{ALWAYS, "Open the mail app, then Settings, Add account, and choose Exchange (Exchange and "
		 "Office 365 in Gmail)."},
	{ALWAYS, "Enter {user} and choose the manual set-up."},
	{ALWAYS, "Enter your password, or an app password made here for this phone."},
	{WITH_TLS, "Server: {host}, port {port}, security type SSL/TLS. User name: {user}. Domain: "
		   "leave it empty."},
	{WITHOUT_TLS, "Server: {host}, port {port}, security type None. User name: {user}. Domain: "
		      "leave it empty."},
	{OWN_CERTIFICATE,
		"When the phone warns of the certificate, compare it with the one on this "
		"page and go on. Where it offers no way on, tap Download the certificate "
		"here, and install it in Settings, Security."},
	{ALWAYS, "Agree that the server may set security rules, if you are asked."},
	{ALWAYS, NULL}};
static const struct step steps_windows[] = {
	{OWN_CERTIFICATE, "First let the phone trust the server: open this page in its browser, "
			  "sign in, tap Download the certificate, and open the file."},
	{ALWAYS, "Start ActiveSync on the phone, tap Menu, then Add Server Source or Configure "
		 "Server."},
	{WITH_TLS, "Server address: {server}. Tick: this server requires an encrypted connection."},
	{WITHOUT_TLS, "Server address: {server}. Clear the tick: this server requires an encrypted "
		      "connection."},
	{ALWAYS, "User name: {user}. Password: an app password made here for this phone. Domain: "
		 "leave it empty, or enter what follows the @ if the phone insists."},
	{ALWAYS, "Choose mail alone, and tap Finish."},
	{ALWAYS, "Set the schedule to As items arrive, so that mail is pushed."}, {ALWAYS, NULL}};

/* Is there one that phones do not trust by themselves? */
static bool put_certificate(struct api_call *call, json_t *body)
{
	struct err err = ERR_INIT;
	char fingerprint[96] = "";
	uint8_t *der = NULL;
	size_t len = 0;
	json_t *certificate = json_object();

	if (api_certificate_own(call->settings, &der, &len, &err) == 0 && der != NULL)
		(void)!net_tls_fingerprint(call->settings->tls_certificate, fingerprint, &err);
	(void)json_object_set_new(certificate, "self_signed", json_boolean(der != NULL));
	(void)json_object_set_new(certificate, "sha256", json_string(fingerprint));
	(void)json_object_set_new(body, "certificate", certificate);
	mem_free(der);
	return len > 0;
}

/* What Windows Mobile, and Android by hand, install; iPhones have it from the profile. */
void api_me_certificate(struct api_call *call, json_t *args)
{
	struct err err = ERR_INIT;
	uint8_t *der = NULL;
	size_t len = 0;

	(void)args;
	if (api_certificate_own(call->settings, &der, &len, &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	if (der == NULL) {
		api_reply_trouble(call, 404, "not_found",
			"the server's certificate comes with none that phones must be told to "
			"trust");
		return;
	}
	api_add_header(call, "Cache-Control", "no-store");
	api_add_header(call, "Content-Disposition", "attachment; filename=\"bellhop.cer\"");
	api_reply_bytes(call, 200, "application/x-x509-ca-cert", der, len);
	mem_free(der);
}

void api_me_setup(struct api_call *call, json_t *args)
{
	const char *address = call->caller.user_address;
	json_t *body = json_object(), *steps = json_object();
	struct api_place place;
	bool own;

	(void)args;
	api_place_of(call, &place);
	(void)json_object_set_new(body, "address", json_string(address));
	(void)json_object_set_new(body, "user", json_string(address));
	(void)json_object_set_new(body, "server", json_string(place.host));
	(void)json_object_set_new(body, "port", json_integer(place.port));
	(void)json_object_set_new(body, "tls", json_boolean(place.tls));
	(void)json_object_set_new(body, "url", json_string(place.url));
	(void)json_object_set_new(body, "qr", json_string("/api/v1/me/setup.svg"));
	(void)json_object_set_new(body, "profile", json_string("/api/v1/me/profile.mobileconfig"));
	own = put_certificate(call, body);
	if (own)
		(void)json_object_set_new(
			body, "certificate_file", json_string("/api/v1/me/certificate.cer"));
	(void)json_object_set_new(
		steps, "ios_profile", steps_of(steps_profile, address, &place, own));
	(void)json_object_set_new(steps, "ios", steps_of(steps_ios, address, &place, own));
	(void)json_object_set_new(steps, "android", steps_of(steps_android, address, &place, own));
	(void)json_object_set_new(
		steps, "windows_mobile", steps_of(steps_windows, address, &place, own));
	(void)json_object_set_new(body, "steps", steps);
	api_reply_json(call, 200, body);
	json_decref(body);
}

/* ---- /me/setup.svg ---- */

/* Runs of dark modules, row by row. */
static void draw(const QRcode *code, struct buf *out)
{
	int side = code->width + 2 * QR_MARGIN;

	buf_addf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" shape-rendering=\"crispEdges\" role=\"img\">"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><path fill=\"#000\" d=\"",
		side, side, side * QR_SCALE, side * QR_SCALE, side, side);
	for (int y = 0; y < code->width; y++) {
		for (int x = 0; x < code->width; x++) {
			int run = 0;

			while (x + run < code->width &&
				(code->data[y * code->width + x + run] & 1) != 0)
				run++;
			if (run > 0)
				buf_addf(out, "M%d %dh%dv1h-%dz", x + QR_MARGIN, y + QR_MARGIN, run,
					run);
			x += run;
		}
	}
	buf_add_str(out, "\"/></svg>\n");
}

/* What a phone's camera opens: the page from which it can be set up. */
void api_me_qr(struct api_call *call, json_t *args)
{
	struct api_place place;
	QRcode *code;

	(void)args;
	api_place_of(call, &place);
	code = QRcode_encodeString8bit(
		arena_x_printf(call->arena, "%s/#/setup", place.url), 0, QR_ECLEVEL_M);
	if (code == NULL) {
		api_reply_trouble(call, 500, "internal", "the QR code could not be made");
		return;
	}
	api_add_header(call, "Cache-Control", "no-store");
	api_reply_bytes(call, 200, "image/svg+xml", NULL, 0);
	draw(code, &call->reply->body);
	QRcode_free(code);
}
