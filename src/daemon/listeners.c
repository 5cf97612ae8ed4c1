/*
 * The listening sockets of the whole house. The supervisor owns them; children inherit those that
 * are named on their command line. Limits: LISTEN_MAX descriptors of a kind per front.
 */
#include "daemon/listeners.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "net/listen.h"

#define LISTEN_MAX 32

static int list_add(struct fd_list *list, int fd, struct err *err)
{
	if (list->count == LISTEN_MAX) {
		fd_close(&fd);
		return err_set(err, ERR_BAD_INPUT, "more than %d listening sockets of one kind",
			LISTEN_MAX);
	}
	list->fds = x_realloc(list->fds, (list->count + 1) * sizeof(*list->fds));
	list->fds[list->count++] = fd;
	return 0;
}

static void list_free(struct fd_list *list, bool close_them)
{
	for (size_t i = 0; close_them && i < list->count; i++)
		fd_close(&list->fds[i]);
	mem_free(list->fds);
	*list = (struct fd_list){NULL, 0};
}

void listeners_free(struct listeners **l)
{
	if (*l == NULL)
		return;
	for (unsigned i = 0; i < (*l)->fronts; i++) {
		list_free(&(*l)->https[i], i == 0 || !(*l)->https_shared);
		list_free(&(*l)->http[i], i == 0 || !(*l)->http_shared);
	}
	list_free(&(*l)->lmtp, true);
	mem_free((*l)->https);
	mem_free((*l)->http);
	mem_free(*l);
	*l = NULL;
}

bool listeners_have_https(const struct listeners *l)
{
	return l->https[0].count > 0;
}

/* ---- from systemd ---- */

static int take_one(struct listeners *l, int fd, const char *name, struct err *err)
{
	bool https = str_eq(name, "https"), http = str_eq(name, "http");

	if (!https && !http && !str_eq(name, "lmtp"))
		return err_set(err, ERR_BAD_INPUT,
			"systemd passed a socket called \"%s\"; FileDescriptorName must be https, "
			"http or lmtp",
			name);
	if (net_listen_tune(fd, err) < 0)
		return err_wrap(err, "socket \"%s\" from systemd", name);
	log_info(NULL, "listener_opened", F_STR("kind", name), F_STR("address", "systemd"),
		F_INT("port", net_local_port(fd)));
	if (!https && !http)
		return list_add(&l->lmtp, fd, err);
	l->https_shared = l->https_shared || https;
	l->http_shared = l->http_shared || http;
	for (unsigned i = 0; i < l->fronts; i++) {
		if (list_add(https ? &l->https[i] : &l->http[i], fd, err) < 0)
			return -1;
	}
	return 0;
}

static int take_activated(struct listeners *l, struct err *err)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), status = 0;

	if (count < 0)
		return err_set_errno(err, -count, "sockets from systemd");
	for (int i = 0; i < count; i++) {
		if (status == 0)
			status = take_one(l, SD_LISTEN_FDS_START + i, names[i], err);
		mem_free(names[i]);
	}
	mem_free(names);
	return status;
}

/* ---- our own ---- */

/*
 * With SO_REUSEPORT another server of the same user would share the port in silence, so the address
 * is first opened without. Port 0 (any free one) is settled here for all fronts.
 */
static int probe(const char *host, uint16_t *port, struct err *err)
{
	int fds[2] = {-1, -1};
	unsigned count = 0;

	if (net_listen_tcp(host, *port, false, fds, &count, err) < 0)
		return -1;
	*port = net_local_port(fds[0]);
	for (unsigned i = 0; i < count; i++)
		fd_close(&fds[i]);
	return 0;
}

static int open_tcp(
	struct fd_list *list, const char *host, uint16_t port, bool reuse_port, struct err *err)
{
	int fds[2] = {-1, -1};
	unsigned count = 0;

	if (net_listen_tcp(host, port, reuse_port, fds, &count, err) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (list_add(list, fds[i], err) < 0 || net_listen_tune(fds[i], err) < 0)
			return -1;
	}
	return 0;
}

static int open_for_fronts(struct listeners *l, const char *kind, struct fd_list *lists,
	const struct settings_words *words, struct err *err)
{
	for (size_t i = 0; i < words->count; i++) {
		struct settings_address a;

		if (!settings_parse_address(words->words[i], &a) || a.unix_path != NULL)
			return err_set(err, ERR_BAD_INPUT, "listen.%s: %s", kind, words->words[i]);
		if (probe(a.host, &a.port, err) < 0)
			return err_wrap(err, "listen.%s", kind);
		for (unsigned k = 0; k < l->fronts; k++) {
			if (open_tcp(&lists[k], a.host, a.port, true, err) < 0)
				return err_wrap(err, "listen.%s", kind);
		}
		log_info(NULL, "listener_opened", F_STR("kind", kind), F_STR("address", a.host),
			F_INT("port", a.port));
	}
	return 0;
}

static int open_lmtp(
	struct listeners *l, const struct settings *settings, const char *word, struct err *err)
{
	struct settings_address a;
	char *path;
	int fd = -1, status;

	if (!settings_parse_address(word, &a))
		return err_set(err, ERR_BAD_INPUT, "listen.lmtp: %s", word);
	if (a.unix_path == NULL) {
		if (open_tcp(&l->lmtp, a.host, a.port, false, err) < 0)
			return err_wrap(err, "listen.lmtp");
		log_info(NULL, "listener_opened", F_STR("kind", "lmtp"), F_STR("address", a.host),
			F_INT("port", net_local_port(l->lmtp.fds[l->lmtp.count - 1])));
		return 0;
	}
	path = a.unix_path[0] == '/' ? x_strdup(a.unix_path)
				     : x_printf("%s/%s", settings->server_runtime_dir, a.unix_path);
	/* Open to everybody on this machine, as sendmail is: the mail server runs as a user of its
	 * own. */
	status = net_listen_unix(path, 0666, &fd, err);
	if (status == 0)
		log_info(NULL, "listener_opened", F_STR("kind", "lmtp"), F_STR("address", path));
	mem_free(path);
	return status < 0 ? err_wrap(err, "listen.lmtp") : list_add(&l->lmtp, fd, err);
}

int listeners_open(
	const struct settings *settings, unsigned fronts, struct listeners **ret, struct err *err)
{
	struct listeners *l = x_new(struct listeners);
	bool lmtp_activated;
	int status;

	l->fronts = fronts;
	l->https = x_calloc(fronts, sizeof(*l->https));
	l->http = x_calloc(fronts, sizeof(*l->http));
	status = take_activated(l, err);
	lmtp_activated = l->lmtp.count > 0;
	if (status == 0 && !l->https_shared)
		status = open_for_fronts(l, "https", l->https, &settings->listen_https, err);
	if (status == 0 && !l->http_shared)
		status = open_for_fronts(l, "http", l->http, &settings->listen_http, err);
	for (size_t i = 0; status == 0 && !lmtp_activated && i < settings->listen_lmtp.count; i++)
		status = open_lmtp(l, settings, settings->listen_lmtp.words[i], err);
	if (status < 0) {
		listeners_free(&l);
		return -1;
	}
	*ret = l;
	return 0;
}
