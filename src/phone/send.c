/*
 * SendMail: the message on standard input, repeated with the same ClientId until the server has
 * said what became of it, so that it goes out once.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "phone/phone.h"

#define MESSAGE_MAX ((size_t)256 << 20)
#define TRIES       5

/* Reads it all, with CRLF line ends. */
static int read_message(struct buf *out, struct err *err)
{
	int c, before = 0;

	out->max = MESSAGE_MAX;
	while ((c = getchar()) != EOF) {
		if (c == '\n' && before != '\r')
			buf_add_byte(out, '\r');
		buf_add_byte(out, (uint8_t)c);
		before = c;
	}
	if (out->failed)
		return err_set(
			err, ERR_BAD_INPUT, "the message is larger than %zu MB", MESSAGE_MAX >> 20);
	if (out->len == 0)
		return err_set(err, ERR_BAD_INPUT, "there is no message on standard input");
	return 0;
}

static int send_once(struct phone *p, struct exchange *x, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_node *root = NULL;
	unsigned status;

	if (exchange_run(p, x, arena, &root, err) < 0)
		return -1;
	status = answer_status(root);
	/* 118: sent before. An earlier try of ours came through and its answer was lost. */
	if (root != NULL && status != 1 && status != 118)
		return err_set(err, ERR_DENIED,
			"the server did not send the message (Status %u%s%s)", status,
			answer_common_text(status) != NULL ? ", " : "",
			answer_common_text(status) != NULL ? answer_common_text(status) : "");
	return 0;
}

int send_run(struct phone *p, struct err *err)
{
	CLEANUP(buf_deinit) struct buf message = BUF_INIT;
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	bool save = !p->options->no_save_in_sent;
	struct exchange x = {.command = REQUEST_SEND_MAIL, .save_in_sent = save};
	char client_id[40];
	int rc = -1;

	if (read_message(&message, err) < 0)
		return -1;
	(void)snprintf(
		client_id, sizeof(client_id), "bellhop-%016llx", (unsigned long long)random_u64());
	if (p->profile->version >= VERSION_140) {
		request_send_mail(client_id, save, message.data, message.len, &body);
		x.body = body.data;
		x.body_len = body.len;
	} else {
		x.content_type = "message/rfc822";
		x.body = message.data;
		x.body_len = message.len;
	}
	/* Before 14.0 there is no ClientId: a repeat could send twice, so there is none. */
	for (unsigned n = 0; rc < 0 && n < (p->profile->version >= VERSION_140 ? TRIES : 1); n++) {
		if (n > 0)
			exchange_pause(p, 1000u << n);
		rc = send_once(p, &x, err);
		if (rc < 0 && (exchange_stopped(p) ||
				      (err->code != ERR_TIMEOUT && err->code != ERR_BACKEND &&
					      err->code != ERR_BUSY)))
			break;
	}
	if (rc < 0)
		return err_wrap(err, "sending");
	events_emit(&p->events, 0, "Sent.", "sent", EV_INT("bytes", message.len));
	return 0;
}
