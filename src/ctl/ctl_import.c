/*
 * bellhop import: reads the source (bulk/), sends it to the server batch by batch (import batch),
 * and counts. The server knows what it has taken in, so the whole is simply run again after Ctrl-C,
 * a crash of either side or a full disk, and goes on where it was.
 *
 * A batch that got no answer is sent again, for as long as a restart of the engine may take.
 * Memory: one batch and one message. Threads: main. Limits: BATCH_* .
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "bulk/bulk.h"
#include "ctl/ctl_internal.h"

#define BATCH_MESSAGES 64
#define BATCH_BYTES    ((size_t)512 * 1024) /* the writer serves others after that many */
#define AWAY_MS        60000                /* of the engine, while a batch is on its way */
#define RETRY_MS       200

struct import {
	const char *socket_path, *address;
	int fd;
	struct bulk_path prefix; /* --folder */
	/* The batch at hand. */
	json_t *folder; /* names; owned */
	bool trashed;
	json_t *rows; /* owned */
	struct buf body;
	char *wheres[BATCH_MESSAGES]; /* owned */
	size_t count;
	uint64_t added, known, failed;
	json_t *failures; /* owned */
	struct ctl_progress progress;
};

void ctl_failures_add(json_t *failures, const char *source, const char *text)
{
	struct buf clean[2] = {BUF_INIT, BUF_INIT};

	if (json_array_size(failures) < CTL_FAILURES_MAX) {
		json_t *row = json_object();

		utf8_add_clean(&clean[0], source, strlen(source));
		utf8_add_clean(&clean[1], text, strlen(text));
		(void)json_object_set_new(row, "source", json_string(buf_cstr(&clean[0])));
		(void)json_object_set_new(row, "text", json_string(buf_cstr(&clean[1])));
		(void)json_array_append_new(failures, row);
	}
	buf_deinit(&clean[0]);
	buf_deinit(&clean[1]);
}

static void note_failure(struct import *im, const char *where, const char *text)
{
	im->failed++;
	ctl_failures_add(im->failures, where, text);
}

/* ---- the server ---- */

static int stopped(struct err *err)
{
	return err_set(err, ERR_BUSY, "interrupted");
}

static int send_patiently(
	struct import *im, const char *verb, json_t *args, json_t **ret, struct err *err)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	int64_t until_ms = clock_now_ms() + AWAY_MS;

	for (;;) {
		*err = (struct err)ERR_INIT;
		if ((im->fd >= 0 || ctl_client_open(im->socket_path, &im->fd, err) == 0) &&
			ctl_client_send(im->fd, verb, args, &im->body, ret, err) == 0)
			return 0;
		fd_close(&im->fd);
		if (err->code != ERR_TIMEOUT || clock_now_ms() > until_ms)
			return -1;
		if (ctl_signal_caught())
			return stopped(err);
		(void)nanosleep(&pause, NULL);
	}
}

static void clear_batch(struct import *im)
{
	while (im->count > 0) {
		im->count--;
		mem_free(im->wheres[im->count]);
		im->wheres[im->count] = NULL;
	}
	(void)json_array_clear(im->rows);
	/* A large message must not stay beside the next one. */
	if (im->body.cap > 2 * BATCH_BYTES)
		buf_deinit(&im->body);
	buf_clear(&im->body);
}

static void take_result(struct import *im, const json_t *result)
{
	const json_t *failed = json_object_get(result, "failed");

	im->added += (uint64_t)json_integer_value(json_object_get(result, "added"));
	im->known += (uint64_t)json_integer_value(json_object_get(result, "known"));
	for (size_t i = 0; i < json_array_size(failed); i++) {
		const json_t *row = json_array_get(failed, i);
		json_int_t at = json_integer_value(json_object_get(row, "at"));
		const char *text = json_string_value(json_object_get(row, "text"));

		if (at >= 0 && (size_t)at < im->count)
			note_failure(im, im->wheres[at], text != NULL ? text : "it failed");
	}
}

/* An empty batch makes the folder. */
static int send_batch(struct import *im, struct err *err)
{
	json_t *args = json_object(), *batch = json_object(), *result = NULL;
	int rc;

	(void)json_object_set(batch, "folder", im->folder);
	(void)json_object_set(batch, "messages", im->rows);
	(void)json_object_set_new(batch, "trashed", json_boolean(im->trashed));
	(void)json_object_set_new(args, "address", json_string(im->address));
	(void)json_object_set_new(args, "batch", batch);
	rc = send_patiently(im, "import batch", args, &result, err);
	if (rc == 0)
		take_result(im, result);
	json_decref(result);
	json_decref(args);
	clear_batch(im);
	im->progress.messages = im->added + im->known + im->failed;
	ctl_progress_show(&im->progress, false);
	return rc;
}

static int flush(struct import *im, struct err *err)
{
	return im->count > 0 ? send_batch(im, err) : 0;
}

/* ---- the source ---- */

static json_t *folder_names(const struct import *im, const struct bulk_path *path)
{
	json_t *names = json_array();

	for (size_t i = 0; i < im->prefix.count; i++)
		(void)json_array_append_new(names, json_string(im->prefix.names[i]));
	for (size_t i = 0; i < path->count; i++)
		(void)json_array_append_new(names, json_string(path->names[i]));
	return names;
}

/* What is marked as deleted goes to Deleted Items, wherever it was. */
static int choose_folder(
	struct import *im, const struct bulk_path *path, bool trashed, struct err *err)
{
	json_t *names = folder_names(im, path);

	if (im->trashed == trashed && json_equal(names, im->folder) != 0) {
		json_decref(names);
		return 0;
	}
	if (flush(im, err) < 0) {
		json_decref(names);
		return -1;
	}
	json_decref(im->folder);
	im->folder = names;
	im->trashed = trashed;
	return 0;
}

static int on_folder(void *owner, const struct bulk_path *path, struct err *err)
{
	struct import *im = owner;

	if (ctl_signal_caught())
		return stopped(err);
	if (path->count == 0 && im->prefix.count == 0)
		return 0;
	return choose_folder(im, path, false, err) < 0 || flush(im, err) < 0 ||
			       send_batch(im, err) < 0
		       ? -1
		       : 0;
}

static int on_message(void *owner, const struct bulk_path *path, const struct bulk_mail *mail,
	const struct buf *bytes, const char *where, struct err *err)
{
	struct import *im = owner;
	struct buf flags = BUF_INIT;
	json_t *row;

	if (ctl_signal_caught())
		return stopped(err);
	if (choose_folder(im, path, (mail->flags & BULK_TRASHED) != 0, err) < 0)
		return -1;
	if ((im->count == BATCH_MESSAGES || im->body.len + bytes->len > BATCH_BYTES) &&
		flush(im, err) < 0)
		return -1;
	bulk_flags_add(&flags, mail->flags);
	row = json_array();
	(void)json_array_append_new(row, json_integer((json_int_t)bytes->len));
	(void)json_array_append_new(row, json_string(buf_cstr(&flags)));
	(void)json_array_append_new(row, json_integer(mail->date_at));
	(void)json_array_append_new(im->rows, row);
	buf_deinit(&flags);
	buf_add(&im->body, bytes->data, bytes->len);
	im->wheres[im->count++] = x_strdup(where);
	return im->body.failed ? err_set(err, ERR_INTERNAL, "no memory for %s", where) : 0;
}

static int on_problem(void *owner, const char *where, const char *text, struct err *err)
{
	(void)err;
	note_failure(owner, where, text);
	return 0;
}

static void on_progress(void *owner, uint64_t bytes)
{
	struct import *im = owner;

	im->progress.done += bytes;
	ctl_progress_show(&im->progress, false);
}

/* ---- the whole ---- */

static int begin(struct import *im, uint64_t *ret_message_max, struct err *err)
{
	json_t *args = json_object(), *result = NULL;
	int rc = ctl_client_open(im->socket_path, &im->fd, err);

	(void)json_object_set_new(args, "address", json_string(im->address));
	if (rc == 0)
		rc = ctl_client_send(im->fd, "import begin", args, NULL, &result, err);
	if (rc == 0)
		*ret_message_max =
			(uint64_t)json_integer_value(json_object_get(result, "message_max_bytes"));
	json_decref(result);
	json_decref(args);
	return rc;
}

static int find_format(const json_t *args, enum bulk_format *ret, struct err *err)
{
	const char *name = json_string_value(json_object_get(args, "format"));
	int format = name != NULL ? bulk_format_parse(name) : BULK_FORMAT_AUTO;

	if (format < 0)
		return err_set(err, ERR_BAD_INPUT, "--format is %s, not \"%.40s\"",
			BULK_FORMAT_NAMES, name);
	*ret = (enum bulk_format)format;
	return 0;
}

static json_t *result_of(struct import *im, bool interrupted)
{
	json_t *result = json_object();

	(void)json_object_set_new(result, "address", json_string(im->address));
	(void)json_object_set_new(result, "added", json_integer((json_int_t)im->added));
	(void)json_object_set_new(result, "known", json_integer((json_int_t)im->known));
	(void)json_object_set_new(result, "failed", json_integer((json_int_t)im->failed));
	(void)json_object_set(result, "failures", im->failures);
	if (interrupted)
		(void)json_object_set_new(result, "interrupted", json_true());
	return result;
}

static int run(struct import *im, const struct bulk_source *source, bool bar, json_t **ret_result,
	struct err *err)
{
	const struct bulk_visitor visitor = {on_folder, on_message, on_problem, on_progress, im};
	bool interrupted;
	int rc;

	ctl_progress_begin(&im->progress, bar);
	if (im->progress.on)
		im->progress.total = bulk_source_bytes(source);
	rc = bulk_source_walk(source, &visitor, err);
	if (rc == 0)
		rc = flush(im, err);
	ctl_progress_end(&im->progress);
	interrupted = rc < 0 && ctl_signal_caught();
	*ret_result = result_of(im, interrupted);
	return interrupted ? 0 : rc;
}

int ctl_import_run(const json_t *args, const char *socket_path, bool json, json_t **ret_result,
	struct err *err)
{
	const char *folder = json_string_value(json_object_get(args, "folder"));
	bool quiet = json_is_true(json_object_get(args, "quiet"));
	struct bulk_source source = {.path = json_string_value(json_object_get(args, "source"))};
	struct import im = {.socket_path = socket_path,
		.address = json_string_value(json_object_get(args, "address")),
		.fd = -1,
		.body = BUF_INIT};
	int rc = -1;

	ctl_signal_catch();
	im.folder = json_array();
	im.rows = json_array();
	im.failures = json_array();
	if (folder != NULL && !bulk_path_split(&im.prefix, folder, '/'))
		(void)err_set(err, ERR_BAD_INPUT, "--folder: too many folders above each other");
	else if (find_format(args, &source.format, err) == 0 &&
		 begin(&im, &source.message_max, err) == 0)
		rc = run(&im, &source, !quiet && !json, ret_result, err);
	fd_close(&im.fd);
	clear_batch(&im);
	buf_deinit(&im.body);
	bulk_path_clear(&im.prefix);
	json_decref(im.folder);
	json_decref(im.rows);
	json_decref(im.failures);
	return rc;
}
