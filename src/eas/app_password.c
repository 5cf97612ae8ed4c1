/*
 * App passwords, as far as they know of devices: one that is bound lets its own device in and
 * nobody else; one that is bound at first use is bound by the first request that names a device.
 * When it was used, and by what, is noted every few minutes.
 *
 * Threads: any; the first of two devices that use one at the same time has it.
 */
#include "eas/command.h"

#include <string.h>

#include "auth/auth.h"
#include "auth/auth_secret.h"
#include "base/str.h"

#define NOTE_EVERY_S 300

static int bind_to(struct store_tx *tx, const struct eas_call *call, const struct app_password *app,
	struct err *err)
{
	const struct log_row row = {
		.at = call->now_at,
		.actor = "device",
		.user = arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain),
		.address = call->request->http->address,
		.device_id = call->query->device_id,
		.device_type = call->query->device_type,
		.action = "app password bound",
		.result = app->name,
	};

	if (store_app_password_bind(tx, app->owner, app->id, call->query->device_id, err) < 0)
		return -1;
	return store_log_add(tx, &row, err);
}

static int use_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct eas_call *call = owner;
	const struct app_password *app = call->request->grant->app_password;

	if (app->binding == APP_FIRST_USE && bind_to(tx, call, app, err) < 0)
		return -1;
	return store_app_password_used(tx, app->owner, app->id, call->query->device_id,
		call->request->http->address, call->now_at, err);
}

static bool is_news(const struct eas_call *call, const struct app_password *app)
{
	return app->binding == APP_FIRST_USE || call->now_at - app->last_used_at >= NOTE_EVERY_S ||
	       !str_eq(app->last_device_id, call->query->device_id);
}

static bool refuse(struct eas_call *call)
{
	eas_reply_http(call, 401);
	eas_reply_header(call->reply, "WWW-Authenticate",
		arena_x_printf(call->arena, "Basic realm=\"%s\"", call->settings->auth_realm));
	call->reply->login_refused = "other_device";
	return false;
}

bool eas_app_password_pass(struct eas_call *call)
{
	const struct auth_grant *grant = call->request->grant;
	const struct app_password *app = grant != NULL ? grant->app_password : NULL;
	const char *device_id = call->query->device_id;
	struct err err = ERR_INIT;

	/* OPTIONS names no device. */
	if (app == NULL || device_id == NULL || device_id[0] == '\0')
		return true;
	if (app->binding == APP_BOUND && !str_eq_nocase(app->device_id, device_id))
		return refuse(call);
	if (str_eq_nocase(device_id, "validate") || !is_news(call, app) ||
		store_transact(call->server->store, use_tx, call, &err) == 0)
		return true;
	if (err.code == ERR_CONFLICT) /* another device was faster */
		return refuse(call);
	eas_reply_error(call, &err);
	return false;
}

int eas_app_password_gone(struct store_read *rd, const struct device *device, struct arena *arena,
	bool *ret, struct err *err)
{
	struct app_password *app;
	struct owner_id owner;

	*ret = false;
	if (!auth_verifier_is_app(device->credential, &owner) ||
		store_app_password_find(rd, device->owner, device->credential, arena, &app, err) ==
			0)
		return 0;
	*ret = err->code == ERR_NOT_FOUND;
	return *ret ? 0 : -1;
}
