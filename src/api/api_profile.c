/*
 * The configuration profile for iPhones and iPads: one file that sets the account up, signed.
 *
 * A property list with a payload com.apple.eas.account, and, where tls.certificate holds one that
 * is signed by itself, one that makes the phone trust it. GET gives it without a password: the
 * phone asks for one. POST makes an app password first, by the verb that makes them all, and puts
 * it in; a profile is read by whoever gets at the file, so never the user's own. (Apple,
 * Configuration Profile Reference.)
 *
 * Identifiers come from server and address, so that a newer profile takes the place of the older.
 * Threads: any worker. Limits: those of app passwords.
 */
#include <openssl/sha.h>
#include <string.h>

#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"

#define TYPE "application/x-apple-aspen-config"

static void add_text(struct buf *out, const char *text)
{
	struct buf clean = BUF_INIT;

	utf8_add_clean(&clean, text, strlen(text));
	for (const char *p = buf_cstr(&clean); *p != '\0'; p++) {
		if (*p == '<')
			buf_add_str(out, "&lt;");
		else if (*p == '>')
			buf_add_str(out, "&gt;");
		else if (*p == '&')
			buf_add_str(out, "&amp;");
		else
			buf_add_byte(out, (uint8_t)*p);
	}
	buf_deinit(&clean);
}

static void add_string(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "<key>%s</key><string>", key);
	add_text(out, value);
	buf_add_str(out, "</string>\n");
}

/* A UUID (RFC 9562, version 8) from what the payload is of. */
static void add_uuid(struct buf *out, const char *kind, const char *address, const char *host)
{
	struct buf of = BUF_INIT;
	uint8_t d[SHA256_DIGEST_LENGTH];

	buf_addf(&of, "bellhop\n%s\n%s\n%s", kind, address, host);
	(void)SHA256(of.data, of.len, d);
	buf_deinit(&of);
	d[6] = (uint8_t)((d[6] & 0x0f) | 0x80);
	d[8] = (uint8_t)((d[8] & 0x3f) | 0x80);
	buf_addf(out,
		"<key>PayloadUUID</key><string>%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-"
		"%02X%02X%02X%02X%02X%02X</string>\n",
		d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12],
		d[13], d[14], d[15]);
}

static void add_head(struct buf *out, const char *type, const char *kind, const char *name,
	const char *address, const char *host)
{
	add_string(out, "PayloadType", type);
	buf_add_str(out, "<key>PayloadVersion</key><integer>1</integer>\n");
	buf_add_str(out, "<key>PayloadIdentifier</key><string>");
	add_text(out, host);
	buf_addf(out, ".bellhop.%s.", kind);
	add_text(out, address);
	buf_add_str(out, "</string>\n");
	add_uuid(out, kind, address, host);
	add_string(out, "PayloadDisplayName", name);
}

static void add_account(
	struct buf *out, const struct api_place *place, const char *address, const char *password)
{
	struct buf host = BUF_INIT;

	buf_add_str(out, "<dict>\n");
	add_head(out, "com.apple.eas.account", "eas", address, address, place->host);
	add_string(out, "EmailAddress", address);
	add_string(out, "UserName", address);
	api_place_add(&host, place);
	add_string(out, "Host", buf_cstr(&host));
	buf_deinit(&host);
	buf_addf(out, "<key>SSL</key><%s/>\n", place->tls ? "true" : "false");
	if (password != NULL)
		add_string(out, "Password", password);
	buf_add_str(out, "</dict>\n");
}

static int add_certificate(struct api_call *call, struct buf *out, const struct api_place *place,
	const char *address, struct err *err)
{
	uint8_t *der = NULL;
	size_t len = 0;

	if (api_certificate_own(call->settings, &der, &len, err) < 0)
		return -1;
	if (der == NULL)
		return 0;
	buf_add_str(out, "<dict>\n");
	add_head(out, "com.apple.security.root", "certificate",
		arena_x_printf(call->arena, "Certificate of %s", place->host), address,
		place->host);
	add_string(out, "PayloadCertificateFileName", "server.cer");
	buf_add_str(out, "<key>PayloadContent</key><data>");
	base64_add(out, der, len);
	buf_add_str(out, "</data>\n</dict>\n");
	mem_free(der);
	return 0;
}

static int make_profile(
	struct api_call *call, const char *password, struct buf *out, struct err *err)
{
	const char *address = call->caller.user_address;
	struct api_place place;

	api_place_of(call, &place);
	buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC "
			 "\"-//Apple//DTD PLIST 1.0//EN\" "
			 "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
			 "<plist version=\"1.0\">\n<dict>\n<key>PayloadContent</key>\n<array>\n");
	add_account(out, &place, address, password);
	if (add_certificate(call, out, &place, address, err) < 0)
		return -1;
	buf_add_str(out, "</array>\n");
	add_head(out, "Configuration", "profile",
		arena_x_printf(call->arena, "Mail of %s", address), address, place.host);
	add_string(out, "PayloadOrganization", place.host);
	add_string(out, "PayloadDescription", "Sets up the mail of this server, with push.");
	buf_add_str(out, "<key>PayloadRemovalDisallowed</key><false/>\n</dict>\n</plist>\n");
	return 0;
}

/* By the verb, with all that it checks and logs. */
static int make_app_password(struct api_call *call, json_t *args, const char **ret, struct err *err)
{
	json_t *result = NULL;
	int status = admin_run(call->api->options.admin, admin_verb_find(API_APP_PASSWORD_VERB),
		args, &call->caller, &result, err);

	if (status == 0)
		*ret = arena_x_strdup(
			call->arena, json_string_value(json_object_get(result, "password")));
	json_decref(result);
	return status;
}

void api_profile_get(struct api_call *call, json_t *args)
{
	struct buf profile = BUF_INIT;
	struct err err = ERR_INIT;
	const char *password = NULL;
	int status = 0;

	if (str_eq(call->method, "POST"))
		status = make_app_password(call, args, &password, &err);
	if (status == 0)
		status = make_profile(call, password, &profile, &err);
	if (status == 0) {
		api_add_header(call, "Cache-Control", "no-store");
		api_add_header(call, "Content-Disposition",
			"attachment; filename=\"bellhop.mobileconfig\"");
		api_reply_bytes(call, 200, TYPE, NULL, 0);
		status = api_certificate_sign(call->api, call->settings, profile.data, profile.len,
			&call->reply->body, &err);
	}
	if (status < 0) {
		call->reply->header_count = 0;
		api_add_safety(call);
		api_reply_error(call, &err);
	}
	secret_wipe(profile.data, profile.len);
	buf_deinit(&profile);
}
