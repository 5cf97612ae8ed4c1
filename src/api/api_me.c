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

static json_t *steps_of(
	const char *const *steps, const char *address, const struct api_place *place)
{
	json_t *list = json_array();

	for (; *steps != NULL; steps++) {
		struct buf text = BUF_INIT;

		for (const char *p = *steps; *p != '\0'; p++) {
			if (str_starts(p, "{user}"))
				buf_add_str(&text, address);
			else if (str_starts(p, "{server}"))
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
	return list;
}

static const char *const steps_profile[] = {
	"On the iPhone or iPad, open this page in Safari, sign in, and tap Download profile.",
	"Open Settings, tap Profile Downloaded, then Install, and enter the phone's own code.",
	"Enter your password, or an app password made here for this phone, when it is asked for.",
	"The mail appears in the app Mail.", NULL};
static const char *const steps_ios[] = {
	"Open Settings, then Apps, Mail, Mail Accounts, Add Account (before iOS 18: Mail, "
	"Accounts, Add Account), and tap Microsoft Exchange.",
	"Enter {user} as the address, tap Next, then Configure Manually or Sign In by hand.",
	"Enter your password, or an app password made here for this phone.",
	"Server: {server}. Domain: leave it empty. User name: {user}.",
	"Leave Mail switched on and tap Save.", NULL};
static const char *const steps_android[] = {
	"Open the mail app, then Settings, Add account, and choose Exchange (Exchange and "
	"Office 365 in Gmail).",
	"Enter {user} and choose the manual set-up.",
	"Enter your password, or an app password made here for this phone.",
	"Server: {server}, port {port}, security type SSL/TLS. User name: {user}. Domain: leave it "
	"empty.",
	"Agree that the server may set security rules, if you are asked.", NULL};
static const char *const steps_windows[] = {
	"Start ActiveSync on the phone, tap Menu, then Add Server Source or Configure Server.",
	"Server address: {server}. Tick: this server requires an encrypted connection.",
	"User name: {user}. Password: an app password made here for this phone. Domain: leave it "
	"empty, or enter what follows the @ if the phone insists.",
	"Choose mail alone, and tap Finish.",
	"Set the schedule to As items arrive, so that mail is pushed.", NULL};

static void put_certificate(struct api_call *call, json_t *body)
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
}

void api_me_setup(struct api_call *call, json_t *args)
{
	const char *address = call->caller.user_address;
	json_t *body = json_object(), *steps = json_object();
	struct api_place place;

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
	put_certificate(call, body);
	(void)json_object_set_new(steps, "ios_profile", steps_of(steps_profile, address, &place));
	(void)json_object_set_new(steps, "ios", steps_of(steps_ios, address, &place));
	(void)json_object_set_new(steps, "android", steps_of(steps_android, address, &place));
	(void)json_object_set_new(
		steps, "windows_mobile", steps_of(steps_windows, address, &place));
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
