/*
 * Reports to senders. A report goes into the Inbox in the transaction that takes the failed rows
 * out of the queue, so there is exactly one. Where that cannot be (a full mailbox), the rows wait
 * and the relay is not asked again; when nobody can be told at all, the event log is.
 */
#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "base/log.h"
#include "base/mem.h"
#include "submit/bounce.h"
#include "submit/queue_internal.h"

struct report {
	struct work *work;
	struct account_mail *mail; /* NULL: nobody to tell */
	const char *why;           /* for the event log */
};

static int log_failures(struct store_tx *tx, const struct report *report, struct err *err)
{
	const struct work *w = report->work;

	for (size_t i = 0; i < w->mail->recipient_count; i++) {
		const struct queue_recipient *r = &w->mail->recipients[i];
		CLEANUP(mem_freep) char *result = NULL;
		struct log_row row = {.at = w->now_at,
			.actor = "server",
			.user = w->mail->sender,
			.address = "",
			.device_id = "",
			.device_type = "",
			.action = report->why};

		if (r->state != QUEUE_FAILED)
			continue;
		result = x_printf("<%s>: %s", r->address, r->answer);
		row.result = result;
		if (store_log_add(tx, &row, err) < 0)
			return -1;
	}
	return 0;
}

static int report_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct report *report = owner;
	struct work *w = report->work;
	const struct device_id nobody = {0};
	struct item_id id;

	if (report->mail != NULL && account_mail_add(tx, w->mail->owner, FOLDER_INBOX, report->mail,
					    w->now_at, false, nobody, &id, err) < 0)
		return -1;
	if (log_failures(tx, report, err) < 0)
		return -1;
	return queue_set_tx(tx, w, err);
}

static void compose(struct work *w, struct buf *out)
{
	struct bounce_recipient *failed =
		arena_x_alloc(w->arena, w->mail->recipient_count * sizeof(*failed));
	struct bounce bounce = {.hostname = w->settings->hostname,
		.to = w->mail->sender,
		.recipients = failed,
		.queued_at = w->mail->queued_at,
		.now_at = w->now_at,
		.raw = w->body.bytes != NULL ? (const char *)w->body.bytes : "",
		.len = w->body.len};

	for (size_t i = 0; i < w->mail->recipient_count; i++) {
		const struct queue_recipient *r = &w->mail->recipients[i];

		if (r->state == QUEUE_FAILED)
			failed[bounce.recipient_count++] =
				(struct bounce_recipient){r->address, r->answer, r->last_at};
	}
	bounce_compose(&bounce, out);
}

static void fill_results(struct work *w, bool gone)
{
	w->result_count = 0;
	for (size_t i = 0; i < w->mail->recipient_count; i++) {
		const struct queue_recipient *r = &w->mail->recipients[i];
		struct queue_result *result;

		if (r->state != QUEUE_FAILED)
			continue;
		result = queue_add_result(w, r);
		result->gone = gone;
		result->attempts++;
		result->next_at = w->now_at + queue_pause_after(w->settings, result->attempts);
	}
}

static int deliver_report(struct work *w, struct err *err)
{
	const struct mime_limits limits = {.parts = w->settings->mime_parts_max,
		.depth = w->settings->mime_depth_max,
		.header_bytes = w->settings->mime_header_max_bytes};
	struct report report = {.work = w, .why = "mail returned"};
	struct buf raw = BUF_INIT;
	struct account_mail mail;
	int rc = -1;

	compose(w, &raw);
	fill_results(w, true);
	if (raw.failed)
		(void)err_set(err, ERR_INTERNAL, "no memory for a report");
	else if (account_mail_prepare(w->store, raw.data, raw.len, &limits, &mail, err) == 0) {
		report.mail = &mail;
		rc = store_transact(w->store, report_tx, &report, err);
		account_mail_release(&mail);
	}
	buf_deinit(&raw);
	return rc;
}

/* Nobody can be told: the event log is. */
static int give_up_report(struct work *w, struct err *err)
{
	struct report report = {.work = w, .why = "mail lost"};

	fill_results(w, true);
	return store_transact(w->store, report_tx, &report, err);
}

void queue_report_failures(struct work *w)
{
	bool to_nobody = w->mail->sender[0] == '\0';
	struct err err = ERR_INIT;
	int rc;

	rc = to_nobody ? give_up_report(w, &err) : deliver_report(w, &err);
	/* The user is gone, or the mailbox was full for as long as we try anything. */
	if (rc < 0 && !to_nobody &&
		(err.code == ERR_NOT_FOUND ||
			w->now_at >= queue_deadline(w) + (int64_t)w->settings->relay_give_up_s)) {
		err = (struct err)ERR_INIT;
		rc = give_up_report(w, &err);
		to_nobody = true;
	}
	log_info(NULL, "report_finished", F_UINT("mail", w->mail->id.v),
		F_STR("result", rc < 0      ? err_code_to_str(err.code)
				: to_nobody ? "dropped"
					    : "ok"));
	if (rc == 0) {
		if (!to_nobody)
			w->reported = true;
		return;
	}
	fill_results(w, false);
	(void)queue_commit_results(w);
}
