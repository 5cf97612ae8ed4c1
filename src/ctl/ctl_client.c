/*
 * Requests over the admin socket, an answer to each. Blocking: there is nothing else to do. Limits:
 * ANSWER_MAX_BYTES; a server that is silent for PATIENCE_S is given up. While an engine is
 * restarted its socket refuses: that is tried again for AWAY_MS.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

#define ANSWER_MAX_BYTES (256u << 20)
#define PATIENCE_S       60
#define AWAY_MS          3000
#define RETRY_MS         20

static int connect_patiently(int fd, const struct sockaddr_un *address)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

	for (int tries = 0; connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0;
		tries++) {
		if (errno != ECONNREFUSED || tries >= AWAY_MS / RETRY_MS)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static void not_connected(const char *path, struct err *err)
{
	if (errno == EACCES) {
		(void)err_set(err, ERR_DENIED,
			"%s is not for this user: be root, or the user that the server runs as",
			path);
		return;
	}
	(void)err_set_errno(err, errno, "no server answers on %s", path);
	err->code = ERR_TIMEOUT;
}

int ctl_client_open(const char *path, int *ret, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_BAD_INPUT, "the socket's path %s is too long", path);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect_patiently(fd, &address) < 0) {
		not_connected(path, err);
		fd_close(&fd);
		return -1;
	}
	*ret = fd;
	return 0;
}

static int send_all(int fd, const struct buf *request, struct err *err)
{
	for (size_t at = 0; at < request->len;) {
		ssize_t n = send(fd, request->data + at, request->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR) {
			(void)err_set_errno(err, errno, "sending the request");
			err->code = ERR_TIMEOUT;
			return -1;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int receive_line(int fd, struct buf *answer, struct err *err)
{
	for (;;) {
		ssize_t n;

		if (!buf_reserve(answer, 65536))
			return err_set(err, ERR_BAD_INPUT, "the answer is too long");
		n = recv(fd, answer->data + answer->len, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)err_set_errno(err, errno, "waiting for the answer");
			err->code = ERR_TIMEOUT;
			return -1;
		}
		if (n == 0) {
			(void)err_set(err, ERR_TIMEOUT, "the server went away without an answer");
			return -1;
		}
		answer->len += (size_t)n;
		if (answer->data[answer->len - 1] == '\n')
			return 0;
	}
}

static int read_answer(const struct buf *answer, json_t **ret_result, struct err *err)
{
	json_error_t where;
	json_t *root = json_loadb((const char *)answer->data, answer->len, 0, &where);
	json_t *result = json_object_get(root, "result"), *error = json_object_get(root, "error");
	const char *text = json_string_value(json_object_get(error, "text"));
	const char *code = json_string_value(json_object_get(error, "code"));
	int status = 0;

	if (json_is_true(json_object_get(root, "ok")) && result != NULL)
		*ret_result = json_incref(result);
	else if (text != NULL)
		status = err_set(
			err, str_eq(code, "bad_input") ? ERR_BAD_INPUT : ERR_BACKEND, "%s", text);
	else
		status = err_set(err, ERR_INTERNAL, "the server's answer makes no sense");
	json_decref(root);
	return status;
}

static void add_request(
	struct buf *out, const char *verb, const json_t *args, const struct buf *body)
{
	char *text = json_dumps(args, JSON_COMPACT);

	buf_add_byte(out, '{');
	if (body != NULL && body->len > 0)
		buf_addf(out, "\"body\": %zu, ", body->len);
	buf_addf(out, "\"verb\": \"%s\", \"args\": ", verb);
	buf_add_str(out, text);
	buf_add_str(out, "}\n");
	secret_wipe(text, strlen(text));
	mem_free(text);
}

int ctl_client_send(int fd, const char *verb, json_t *args, const struct buf *body,
	json_t **ret_result, struct err *err)
{
	struct buf out = BUF_INIT, answer = {.max = ANSWER_MAX_BYTES};
	int status;

	add_request(&out, verb, args, body);
	status = send_all(fd, &out, err);
	if (status == 0 && body != NULL)
		status = send_all(fd, body, err);
	if (status == 0)
		status = receive_line(fd, &answer, err);
	if (status == 0)
		status = read_answer(&answer, ret_result, err);
	secret_wipe(out.data, out.len);
	buf_deinit(&out);
	buf_deinit(&answer);
	return status;
}

int ctl_client_ask(const char *socket_path, const char *verb, json_t *args, json_t **ret_result,
	struct err *err)
{
	CLEANUP(fd_close) int fd = -1;

	if (ctl_client_open(socket_path, &fd, err) < 0)
		return -1;
	return ctl_client_send(fd, verb, args, NULL, ret_result, err);
}
