/*
 * From the administrator's file to the one that the children read. One thread; blocks on files.
 */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/readable.h"
#include "base/str.h"
#include "conf/settings.h"
#include "net/tls.h"

int config_load(const char *source_path, const struct settings **ret, struct err *err)
{
	struct settings_report report = SETTINGS_REPORT_INIT;
	int status = settings_parse_file(source_path, ret, &report, err);
	char *copy = x_strdup(buf_cstr(&report.text));

	for (char *line = copy, *end; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end == '\n')
			*end++ = '\0';
		if (strstr(line, ": warning: ") != NULL)
			log_warn(NULL, "config_warning", F_STR("text", line));
		else
			log_error(NULL, "config_error", F_STR("text", line));
	}
	if (status < 0 && report.errors == 0)
		log_error(NULL, "config_error", F_STR("text", err->text));
	mem_free(copy);
	settings_report_deinit(&report);
	return status;
}

/* ---- certificate ---- */

static int make_self_signed(
	const struct settings *s, const char *certificate, const char *key, struct err *err)
{
	char fingerprint[96] = "";

	if (access(certificate, R_OK) == 0 && access(key, R_OK) == 0)
		return 0;
	if (net_tls_self_signed(certificate, key, s->hostname, err) < 0)
		return err_wrap(err, "making a self-signed certificate");
	if (net_tls_fingerprint(certificate, fingerprint, err) < 0)
		return -1;
	log_warn(NULL, "certificate_self_signed", F_STR("file", certificate),
		F_STR("hostname", s->hostname), F_STR("sha256", fingerprint),
		F_STR("advice", "phones will warn; set tls.certificate and tls.key to a real one"));
	return 0;
}

static int with_self_signed(const struct settings *s, const struct settings **ret, struct err *err)
{
	char *certificate = x_printf("%s/self-signed.pem", s->server_data_dir);
	char *key = x_printf("%s/self-signed.key", s->server_data_dir);
	const struct settings *half = NULL;
	int status = make_self_signed(s, certificate, key, err);

	if (status == 0)
		status = settings_with(s, "tls.certificate", certificate, &half, err);
	if (status == 0)
		status = settings_with(half, "tls.key", key, ret, err);
	settings_unref(&half);
	mem_free(certificate);
	mem_free(key);
	return status;
}

int config_ensure_certificate(
	const struct settings *s, bool have_https, const struct settings **ret, struct err *err)
{
	const struct settings *result = NULL;
	struct ssl_ctx_st *ctx = NULL;
	int status = 0;

	if (!have_https) {
		*ret = settings_ref(s);
		return 0;
	}
	if (s->tls_certificate[0] == '\0')
		status = with_self_signed(s, &result, err);
	else
		result = settings_ref(s);
	if (status == 0)
		status = net_tls_server_new(
			result->tls_certificate, result->tls_key, NULL, &ctx, err);
	net_tls_free(&ctx);
	if (status == 0)
		*ret = TAKE(result);
	settings_unref(&result);
	return status;
}

/* We may be root, who can read everything; the engine, which signs, is not. */
static int check_readable(
	const struct settings *s, const char *setting, const char *path, struct err *err)
{
	return readable_by(s->server_user, path, err) < 0 ? err_wrap(err, "%s", setting) : 0;
}

int config_check_signer(const struct settings *s, struct err *err)
{
	struct ssl_ctx_st *ctx = NULL;
	int status;

	if (s->web_profile_certificate[0] == '\0')
		return 0;
	if (check_readable(s, "web.profile_certificate", s->web_profile_certificate, err) < 0 ||
		check_readable(s, "web.profile_key", s->web_profile_key, err) < 0)
		return -1;
	status =
		net_tls_server_new(s->web_profile_certificate, s->web_profile_key, NULL, &ctx, err);
	net_tls_free(&ctx);
	return status == 0 ? 0 : err_wrap(err, "web.profile_certificate and web.profile_key");
}

/* ---- what the children read ---- */

int config_activate(const struct settings *s, char **ret_path, struct err *err)
{
	char *path = x_printf("%s/active.conf", s->server_runtime_dir);
	char *next = x_printf("%s.next", path);
	int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct buf text = BUF_INIT;
	int status = 0;

	buf_add_str(&text, "# What bellhopd runs with at this moment. Written by it; edit its own "
			   "configuration instead.\n");
	settings_dump(s, true, &text);
	if (fd < 0 || fd_write_all(fd, text.data, text.len) < 0 || rename(next, path) < 0)
		status = err_set_errno(err, errno, "writing %s", path);
	fd_close(&fd);
	buf_deinit(&text);
	mem_free(next);
	if (status == 0)
		*ret_path = TAKE(path);
	mem_free(path);
	return status;
}
