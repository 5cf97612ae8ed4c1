/*
 * The mail about phones in quarantine: see the header. What phones say of themselves is cleaned:
 * nothing of theirs gets into a field of ours. Limits: access.notify_devices_max phones in a mail.
 */
#include "submit/access_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "mime/mime.h"
#include "store/store_access.h"
#include "submit/submit.h"

struct access_mails {
	struct store *store;
	struct device *devices;
	size_t device_count;
	struct submit_mail **mails;
	size_t mail_count;
};

static void add_clean_line(struct buf *out, const char *text)
{
	struct buf clean = BUF_INIT;

	utf8_add_clean(&clean, text, strlen(text));
	for (size_t i = 0; i < clean.len; i++)
		buf_add_byte(out, clean.data[i] < ' ' ? ' ' : clean.data[i]);
	buf_deinit(&clean);
}

static int add_device(struct buf *out, struct store_read *rd, struct arena *arena,
	const struct device *d, struct err *err)
{
	struct user *user;

	if (store_user_load(rd, d->owner, arena, &user, err) < 0)
		return -1;
	buf_addf(out, "\r\n%s@%s  ", user->login, user->domain);
	add_clean_line(out, d->device_id);
	buf_add_str(out, "\r\n    ");
	add_clean_line(out, d->device_type);
	buf_add_str(out, " ");
	add_clean_line(out, d->model);
	buf_add_str(out, ", ");
	add_clean_line(out, d->os);
	buf_add_str(out, ", ");
	add_clean_line(out, d->user_agent);
	buf_add_str(out, "\r\n    because of ");
	add_clean_line(out, d->access_reason);
	buf_addf(out, "\r\n    bellhop device allow %s@%s ", user->login, user->domain);
	add_clean_line(out, d->device_id);
	buf_add_str(out, "\r\n");
	return 0;
}

static int compose(struct buf *out, struct store_read *rd, struct arena *arena,
	const struct settings *s, const struct device *devices, size_t count, uint64_t due,
	int64_t now_at, struct err *err)
{
	buf_addf(out, "From: Bellhop <postmaster@%s>\r\nSubject: %" PRIu64 " %s in quarantine\r\n",
		s->hostname, due, due == 1 ? "phone" : "phones");
	buf_add_str(out, "Date: ");
	mime_add_date(out, now_at);
	buf_addf(out,
		"\r\nMessage-ID: <%016llx%016llx@%s>\r\nAuto-Submitted: auto-generated\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n"
		"These phones wait for somebody to release them:\r\n",
		(unsigned long long)random_u64(), (unsigned long long)random_u64(), s->hostname);
	for (size_t i = 0; i < count; i++) {
		if (add_device(out, rd, arena, &devices[i], err) < 0)
			return -1;
	}
	if (due > count)
		buf_addf(out, "\r\n%" PRIu64 " more are named in the next mail.\r\n", due - count);
	return out->failed ? err_set(err, ERR_INTERNAL, "no memory for a mail") : 0;
}

/* For each recipient by itself: one who cannot be reached does not keep the others from it. */
static int prepare_mails(struct access_mails *m, const struct submit_request *request,
	const struct settings *s, struct arena *arena, struct err *err)
{
	const char **address;

	m->mails = arena_x_alloc(arena, s->access_notify.count * sizeof(struct submit_mail *));
	for (size_t i = 0; i < s->access_notify.count; i++) {
		struct submit_request one = *request;
		struct submit_mail *mail = NULL;
		enum submit_result result;

		address = arena_x_alloc(arena, sizeof(*address));
		*address = s->access_notify.words[i];
		one.recipients = address;
		one.recipient_count = 1;
		if (submit_prepare(m->store, &one, &mail, &result, err) < 0)
			return -1;
		if (mail != NULL)
			m->mails[m->mail_count++] = mail;
		else
			log_warn(NULL, "access_report_refused",
				F_STR("recipient", s->access_notify.words[i]), F_ERR(err));
		*err = (struct err)ERR_INIT;
	}
	return m->mail_count > 0
		       ? 0
		       : err_set(err, ERR_NOT_FOUND, "no address of access.notify can be reached");
}

static int deliver_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct access_mails *m = owner;

	for (size_t i = 0; i < m->mail_count; i++) {
		enum submit_result result;

		if (submit_apply(tx, m->mails[i], &result, err) < 0)
			return -1;
	}
	return store_access_reported(tx, m->devices, m->device_count, err);
}

static int deliver(struct access_mails *m, const struct submit_request *request,
	const struct settings *s, struct arena *arena, struct err *err)
{
	int result = prepare_mails(m, request, s, arena, err);

	if (result == 0)
		result = store_transact(m->store, deliver_tx, m, err);
	for (size_t i = 0; i < m->mail_count; i++) {
		if (result == 0)
			submit_kick(m->mails[i]);
		submit_mail_free(&m->mails[i]);
	}
	return result;
}

/* *ret_raw stays empty when there is nothing to tell. */
static int gather(struct access_mails *m, const struct settings *s, int64_t now_at,
	struct arena *arena, struct buf *raw, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	uint64_t due;

	if (store_read_begin(m->store, &rd, err) < 0 || store_access_due_count(rd, &due, err) < 0)
		return -1;
	if (due == 0)
		return 0;
	if (store_access_due(rd, s->access_notify_devices_max, arena, &m->devices, &m->device_count,
		    err) < 0)
		return -1;
	return compose(raw, rd, arena, s, m->devices, m->device_count, due, now_at, err);
}

int access_report_send(struct store *store, const struct settings *settings,
	struct submit_queue *queue, int64_t now_at, bool *ret_sent, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct user nobody = {.login = "postmaster", .domain = settings->hostname};
	const struct mime_limits limits = {.parts = settings->mime_parts_max,
		.depth = settings->mime_depth_max,
		.header_bytes = settings->mime_header_max_bytes};
	struct access_mails m = {.store = store};
	struct submit_request request = {.sender = &nobody,
		.from = "",
		.now_at = now_at,
		.limits = &limits,
		.settings = settings,
		.queue = queue};
	struct buf raw = BUF_INIT;
	int result;

	*ret_sent = false;
	result = gather(&m, settings, now_at, arena, &raw, err);
	if (result == 0 && raw.len > 0) {
		request.raw = raw.data;
		request.len = raw.len;
		result = deliver(&m, &request, settings, arena, err);
		*ret_sent = result == 0;
	}
	buf_deinit(&raw);
	return result;
}
