/*
 * The doctor: the table of checks, what they say, and the sum of it. New checks go into `checks`.
 */
#include "ctl/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"
#include "net/certificate.h"

#define HOLD_DEFAULT_S 100u /* longer than what proxies come with */
#define HOLD_MAX_S     7200u
#define TEXT_AT        22u /* the column in which what a check found begins */

/* In the order in which they are shown. */
static void (*const checks[])(struct doctor *d) = {
	doctor_check_server,
	doctor_check_descriptors,
	doctor_check_files,
	doctor_check_memory,
	doctor_check_tcp_memory,
	doctor_check_backlog,
	doctor_check_conntrack,
};

/* What is outside of the server; these look at the real world, whatever struct doctor says. */
static void (*const outside[])(struct doctor *d) = {
	doctor_check_certificate,
	doctor_check_signer,
	doctor_check_names,
	doctor_check_clock,
	doctor_check_url,
};

static const char *result_to_str(enum doctor_result result)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_PROBLEM] = "problem"};

	return names[result];
}

void doctor_say(struct doctor *d, const char *check, enum doctor_result result, const char *advice,
	const char *fmt, ...)
{
	json_t *row = json_object();
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_object_set_new(row, "check", json_string(check));
	(void)json_object_set_new(row, "result", json_string(result_to_str(result)));
	(void)json_object_set_new(row, "text", json_string(text));
	if (advice != NULL)
		(void)json_object_set_new(row, "advice", json_string(advice));
	(void)json_array_append_new(d->checks, row);
}

void doctor_phones(struct doctor *d, const char *check, uint64_t phones)
{
	if (d->phones_by != NULL && d->phones <= phones)
		return;
	d->phones = phones;
	d->phones_by = check;
}

void doctor_check_server(struct doctor *d)
{
	const char *key;
	const json_t *value;
	bool well = true;

	if (d->status == NULL) {
		doctor_say(d, "server", DOCTOR_WARNING,
			"start it, or name its configuration with -c; what follows is about this "
			"shell's limits, not its",
			"no server answers");
		return;
	}
	for (void *at = json_object_iter(d->status); at != NULL;
		at = json_object_iter_next(d->status, at)) {
		key = json_object_iter_key(at);
		value = json_object_iter_value(at);
		if (!str_starts(key, "warning_") || !json_is_string(value))
			continue;
		well = false;
		doctor_say(d, key + strlen("warning_"), DOCTOR_WARNING, NULL, "%s",
			json_string_value(value));
	}
	if (well)
		doctor_say(d, "server", DOCTOR_OK, NULL,
			"it runs, with %" JSON_INTEGER_FORMAT " %s waiting",
			json_integer_value(json_object_get(d->status, "parked")),
			json_integer_value(json_object_get(d->status, "parked")) == 1 ? "phone"
										      : "phones");
}

void doctor_run(struct doctor *d, json_t **ret_result)
{
	json_t *result = json_object(), *findings = json_array();

	d->checks = json_array();
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](d);
	for (size_t i = 0; d->look_outside && i < ARRAY_LEN(outside); i++)
		outside[i](d);
	for (size_t i = 0; i < json_array_size(d->checks); i++) {
		const json_t *row = json_array_get(d->checks, i);

		if (str_eq(json_string_value(json_object_get(row, "result")),
			    result_to_str(DOCTOR_PROBLEM)))
			(void)json_array_append(findings, json_object_get(row, "check"));
	}
	(void)json_object_set_new(result, "checks", d->checks);
	(void)json_object_set_new(result, "max_connections",
		json_integer((json_int_t)d->settings->server_max_connections));
	if (d->phones_by != NULL) {
		(void)json_object_set_new(result, "phones", json_integer((json_int_t)d->phones));
		(void)json_object_set_new(result, "phones_limited_by", json_string(d->phones_by));
	}
	(void)json_object_set_new(result, "findings", findings);
	(void)json_object_set_new(result, "tried_url", json_boolean(d->url != NULL));
	*ret_result = result;
}

/* NULL: the server does not answer. */
static json_t *ask_domains(const char *socket_path)
{
	json_t *args = json_object(), *rows = NULL, *domains = json_array();
	struct err away = ERR_INIT;

	if (ctl_client_ask(socket_path, "domain list", args, &rows, &away) < 0) {
		json_decref(domains);
		domains = NULL;
	}
	for (size_t i = 0; domains != NULL && i < json_array_size(rows); i++)
		(void)json_array_append(
			domains, json_object_get(json_array_get(rows, i), "domain"));
	json_decref(rows);
	json_decref(args);
	return domains;
}

/* One that is mistyped would look like a certificate that nobody trusts. */
static int check_authorities(const char *path, struct err *err)
{
	CLEANUP(certificate_free) struct certificate *first = NULL;

	if (path == NULL || certificate_load(path, &first, err) == 0)
		return 0;
	err_wrap(err, "ca");
	return -1;
}

static bool has_host(const char *url)
{
	size_t scheme = str_starts_nocase(url, "https://")  ? strlen("https://")
			: str_starts_nocase(url, "http://") ? strlen("http://")
							    : 0;

	return scheme > 0 && strcspn(url + scheme, "/:?#") > 0;
}

/* The URL without a path at its end. */
static int take_options(struct doctor *d, const json_t *args, char **ret_url, struct err *err)
{
	const char *url = json_string_value(json_object_get(args, "url"));
	const json_t *hold = json_object_get(args, "hold");

	d->look_outside = true;
	d->ca_file = json_string_value(json_object_get(args, "ca"));
	d->hold_s = hold != NULL ? (uint64_t)json_integer_value(hold) : HOLD_DEFAULT_S;
	if (d->hold_s < 1 || d->hold_s > HOLD_MAX_S)
		return err_set(err, ERR_BAD_INPUT, "hold: 1 to %u s", HOLD_MAX_S);
	if (check_authorities(d->ca_file, err) < 0)
		return -1;
	if (url == NULL)
		return hold == NULL ? 0 : err_set(err, ERR_BAD_INPUT, "--hold needs --url");
	if (!has_host(url))
		return err_set(err, ERR_BAD_INPUT, "url: https://name, as phones have it");
	*ret_url = x_strdup(url);
	while (str_ends(*ret_url, "/"))
		(*ret_url)[strlen(*ret_url) - 1] = '\0';
	d->url = *ret_url;
	return 0;
}

int doctor_examine(const struct settings *settings, const char *socket_path, const json_t *options,
	json_t **ret_result, struct err *err)
{
	CLEANUP(mem_freep) char *url = NULL;
	struct doctor d = {.settings = settings};
	json_t *args = json_object(), *status = NULL;
	struct err away = ERR_INIT;

	if (take_options(&d, options, &url, err) < 0) {
		json_decref(args);
		return -1;
	}
	/* One that does not answer is a finding, not a failure. */
	if (ctl_client_ask(socket_path, "status", args, &status, &away) == 0)
		d.status = status;
	json_decref(args);
	if (d.status == NULL && away.code != ERR_TIMEOUT) {
		json_decref(status);
		return err_set(err, away.code, "%s", away.text);
	}
	doctor_system_read(
		&d.system, (uint64_t)json_integer_value(json_object_get(d.status, "engine_pid")));
	d.domains = ask_domains(socket_path);
	doctor_run(&d, ret_result);
	json_decref(d.domains);
	json_decref(status);
	return 0;
}

void doctor_render(const json_t *result, size_t width, struct buf *out)
{
	const json_t *rows = json_object_get(result, "checks");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *advice = json_string_value(json_object_get(row, "advice"));

		buf_addf(out, "%-8s %-12s ", json_string_value(json_object_get(row, "result")),
			json_string_value(json_object_get(row, "check")));
		ctl_add_wrapped(
			out, json_string_value(json_object_get(row, "text")), TEXT_AT, width);
		buf_add_byte(out, '\n');
		if (advice != NULL) {
			buf_addf(out, "%*s-> ", (int)TEXT_AT, "");
			ctl_add_wrapped(out, advice, TEXT_AT + strlen("-> "), width);
			buf_add_byte(out, '\n');
		}
	}
	buf_addf(out,
		"\nRoom for %" JSON_INTEGER_FORMAT " phones, by %s; server.max_connections is "
		"%" JSON_INTEGER_FORMAT ".\n",
		json_integer_value(json_object_get(result, "phones")),
		json_string_value(json_object_get(result, "phones_limited_by")),
		json_integer_value(json_object_get(result, "max_connections")));
	if (!json_is_true(json_object_get(result, "tried_url")))
		buf_add_str(out,
			"Not tried: the way that phones come. With --url https://NAME the doctor "
			"goes it:\nport, certificate, proxy, and how long a phone may wait.\n");
}
