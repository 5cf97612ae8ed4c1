/*
 * bellhop log export: pages of the event log, as the server makes them, to standard output. Memory:
 * a page. Each page is a request of its own, so nothing of the server waits for a slow reader.
 */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "ctl/ctl_internal.h"

static int write_page(const json_t *result, FILE *out, struct err *err)
{
	const json_t *page = json_object_get(result, "text");
	const char *text = json_string_value(page);
	size_t len = json_string_length(page);

	if (text == NULL)
		return err_set(err, ERR_BACKEND, "the server's answer has no text");
	if (fwrite(text, 1, len, out) != len || fflush(out) != 0)
		return err_set_errno(err, errno, "writing");
	return 0;
}

int ctl_log_export(const char *socket_path, json_t *args, FILE *out, struct err *err)
{
	CLEANUP(fd_close) int fd = -1;
	json_int_t before = 0;

	if (ctl_client_open(socket_path, &fd, err) < 0)
		return -1;
	do {
		json_t *result = NULL;
		int rc = ctl_client_send(
			fd, admin_verbs[ADMIN_LOG_EXPORT].name, args, NULL, &result, err);

		if (rc == 0)
			rc = write_page(result, out, err);
		before = json_integer_value(json_object_get(result, "before"));
		json_decref(result);
		if (rc < 0)
			return -1;
		(void)json_object_set_new(args, "before", json_integer(before));
	} while (before != 0);
	return 0;
}
