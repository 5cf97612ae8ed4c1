/*
 * Logins that fail: counting them, saying so. Each failure is a line in the log, the first of a
 * user and address in a window a row in the event log, too. No password is ever among it; a name is
 * what was typed where the user should be, and somebody may type a password there, so of unknown
 * users the event log keeps addresses in domains of this server only.
 *
 * Threads: any. Limits: LOG_ROWS_PER_MINUTE rows in the event log.
 */
#include <stdio.h>
#include <string.h>

#include "auth/auth_internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define LOG_ROWS_PER_MINUTE 60u

struct failure {
	struct log_row row;
	bool known; /* the row's user is one; else what somebody typed */
};

static int add_row(struct store_tx *tx, void *owner, struct err *err)
{
	struct failure *f = owner;
	const char *at = strrchr(f->row.user, '@');
	bool ours = false;

	if (at != NULL && !f->known &&
		store_domain_exists(store_tx_read(tx), at + 1, &ours, err) < 0)
		return -1;
	if (!f->known && !ours && f->row.user[0] != '\0')
		f->row.user = "(unknown)";
	return store_log_add(tx, &f->row, err);
}

static bool row_allowed(struct login *l)
{
	int64_t minute = l->now_ms / 60000;
	bool allowed;

	(void)pthread_mutex_lock(&l->auth->rows_lock);
	if (l->auth->rows_minute != minute)
		l->auth->rows = 0;
	l->auth->rows_minute = minute;
	allowed = l->auth->rows < LOG_ROWS_PER_MINUTE;
	l->auth->rows += allowed;
	(void)pthread_mutex_unlock(&l->auth->rows_lock);
	return allowed;
}

/* The line is for fail2ban (packaging/fail2ban/bellhop.conf); the row for the administrator. */
static void tell(struct login *l, const char *reason, bool with_row)
{
	const char *typed = l->basic.name != NULL ? l->basic.name
			    : l->user != NULL     ? l->user->login
						  : "";
	char name[AUTH_LOGGED_NAME_BYTES + 1];
	struct log_context lc = {.user = name, .address = l->address};
	struct failure f = {.row = {.at = l->now_at,
				    .actor = l->kind == LOGIN_PHONE ? "device"
					     : l->kind == LOGIN_WEB ? "web"
								    : "token",
				    .address = l->address,
				    .device_id = "",
				    .device_type = "",
				    .action = "login_failed",
				    .result = reason}};
	struct err err = ERR_INIT;

	(void)snprintf(name, sizeof(name), "%.*s",
		(int)utf8_floor(typed, strlen(typed), AUTH_LOGGED_NAME_BYTES), typed);
	log_info(&lc, "login_failed", F_STR("reason", reason));
	if (!with_row || !row_allowed(l))
		return;
	f.known = l->user != NULL;
	f.row.user = f.known /* however it was typed */
			     ? arena_x_printf(l->arena, "%s@%s", l->user->login, l->user->domain)
			     : str_lower(arena_x_strdup(l->arena, name));
	if (f.known && l->fallback != NULL && l->fallback->find_device != NULL)
		l->fallback->find_device(l->fallback->owner, l->user, l->arena, &f.row.device_id,
			&f.row.device_type);
	if (store_transact(l->auth->store, add_row, &f, &err) < 0)
		log_debug(&lc, "login_row_finished", F_STR("result", err_code_to_str(err.code)));
}

enum auth_result auth_fail(struct login *l, const char *reason)
{
	uint32_t window_s = l->options.fail_window_s;
	bool first = auth_throttle_add(l->auth->throttle, l->address_key, l->now_ms, window_s) == 0;

	if (l->basic.name != NULL) {
		(void)auth_throttle_add(l->auth->throttle, l->user_key, l->now_ms, window_s);
		first = auth_throttle_add(l->auth->throttle, l->pair_key, l->now_ms, window_s) == 0;
	}
	tell(l, reason, first);
	return AUTH_WRONG;
}

void auth_fail_elsewhere(struct login *l, const char *reason)
{
	uint32_t window_s = l->options.fail_window_s;

	(void)auth_throttle_add(l->auth->throttle, l->address_key, l->now_ms, window_s);
	tell(l, reason,
		auth_throttle_add(l->auth->throttle, l->pair_key, l->now_ms, window_s) == 0);
}

bool auth_over(struct login *l, uint64_t key, uint32_t limit)
{
	return auth_throttle_count(l->auth->throttle, key, l->now_ms, l->options.fail_window_s) >=
	       limit;
}

enum auth_result auth_throttled(struct login *l, uint64_t key)
{
	/* Once: the failures before it have been told one by one. */
	if (auth_throttle_tell(l->auth->throttle, key, l->now_ms, l->options.fail_window_s))
		tell(l, "throttled", true);
	return AUTH_THROTTLED;
}
