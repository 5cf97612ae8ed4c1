/*
 * Mail that a phone writes into Drafts, from 16.0 on ([MS-ASCMD] 2.2.3.7.2, 2.2.3.24; [MS-ASEMAIL]
 * 2.2.2.69): Changes of drafts, and Send in an Add or a Change.
 *
 * What a Change makes of a draft is written before the transaction, which takes it only when the
 * draft still is what it was made from; else everything is prepared anew (job->retry). A later
 * Change of the same draft in the same request goes on with what the one before made of it.
 *
 * A draft that is sent leaves in the transaction that removes it and stores the new generation:
 * all of it or nothing. A Send that is refused then makes the transaction begin anew without it;
 * what the Change wrote stays, so nothing is lost, and the phone gets it back with the Status.
 * Any worker.
 */
#include <inttypes.h>
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email.h"
#include "eas/class/email_draft.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

struct sync_draft {
	bool writes;                      /* it changes the message */
	uint64_t base_seq;                /* the content that it was made from */
	const struct sync_draft *base;    /* of an earlier command of this request; NULL: none */
	const struct sync_command *after; /* that command */
	struct buf raw;                   /* the message, when it writes */
	struct account_mail mail;
	bool prepared; /* mail is to be released */
	int64_t now_at;
	struct outgoing_mail *leaving; /* NULL: it stays */
	struct buf to_send;
	/* Set by the transaction: */
	uint64_t stored_seq;
	bool left;
};

static bool has_send(const struct sync_command *c)
{
	return wbxml_find(c->node, TAG_Email2_Send) != NULL;
}

static bool is_drafts(const struct sync_run *run, const struct sync_job *job)
{
	return run->call->version >= 160 && job->folder->type == FOLDER_DRAFTS;
}

bool sync_draft_is_add(
	const struct sync_run *run, const struct sync_job *job, const struct sync_command *c)
{
	return c->node->tag == TAG_AirSync_Add && is_drafts(run, job) &&
	       strcmp(eas_get_text(c->node, TAG_AirSync_Class, "Email"), "Email") == 0;
}

/* ---- before the transaction ---- */

static struct mime_limits limits_of(const struct sync_run *run)
{
	const struct settings *s = run->call->settings;

	return (struct mime_limits){.parts = s->mime_parts_max,
		.depth = s->mime_depth_max,
		.header_bytes = (size_t)1024 * 1024};
}

/* The Status of one command for a common one of sending. */
static unsigned send_status(unsigned status)
{
	switch (status) {
	case EAS_STATUS_INVALID_MIME:
	case EAS_STATUS_RECIPIENT_UNRESOLVED:
	case EAS_STATUS_NO_RECIPIENT:
		return EAS_STATUS_INVALID_RECIPIENTS;
	case EAS_STATUS_MAILBOX_FULL:
		return SYNC_STATUS_FULL;
	case EAS_STATUS_RETRY_LATER:
		return SYNC_STATUS_RETRY;
	case EAS_STATUS_PREVIOUSLY_SENT:
		return 0;
	default:
		return status;
	}
}

/* What is wrong with a draft is the command's fault alone. */
static int refuse(struct sync_run *run, struct sync_command *c, struct err *err)
{
	switch (err->code) {
	case ERR_BAD_INPUT:
	case ERR_NOT_FOUND: /* of an attachment: the draft itself is there */
		c->refused = SYNC_STATUS_BAD_ITEM;
		break;
	case ERR_QUOTA:
		c->refused = EAS_STATUS_ATTACHMENT_TOO_LARGE;
		break;
	default:
		return -1;
	}
	log_info(&run->call->reply->log, "item_refused", F_UINT("status", c->refused), F_ERR(err));
	*err = (struct err)ERR_INIT;
	return 0;
}

/* raw is the message, or c->refused is set. */
static int write_draft(struct sync_run *run, struct sync_job *job, struct sync_command *c,
	const void *old, size_t old_len, struct buf *raw, struct err *err)
{
	const struct settings *s = run->call->settings;
	struct mime_limits limits = limits_of(run);
	struct email_draft draft = {
		.data = wbxml_find(c->node, TAG_AirSync_ApplicationData),
		.old = old,
		.old_len = old_len,
		.folder = job->folder->id,
		.item = c->item,
		.device = run->call->device->id,
		.again = job->repeated,
		.domain = s->hostname,
		.now_at = run->call->now_at,
		.limits = &limits,
		.attachments_max = s->mail_draft_attachments_max,
	};

	if (outgoing_own_from(run->call, &draft.from, err) < 0)
		return -1;
	if (email_draft_write(&draft, run->call->arena, raw, err) < 0)
		return refuse(run, c, err);
	if (raw->len <= s->mail_draft_max_bytes)
		return 0;
	(void)err_set(err, ERR_QUOTA, "a draft of %zu bytes", raw->len);
	return refuse(run, c, err);
}

/* *ret_mail is what leaves, or c->send_refused is set. */
static int prepare_send(struct sync_run *run, struct sync_command *c, const struct buf *raw,
	struct buf *to_send, const char *key, struct outgoing_mail **ret_mail, struct err *err)
{
	struct outgoing o = {.call = run->call, .save_in_sent = true, .key = key};
	unsigned status = 0;

	if (!mime_draft_is_complete(raw->data, raw->len)) {
		c->send_refused = EAS_STATUS_INVALID_RECIPIENTS;
		return 0;
	}
	if (mime_draft_to_send(raw->data, raw->len, to_send, err) < 0)
		return -1;
	o.message = to_send->data;
	o.len = to_send->len;
	if (outgoing_prepare(&o, ret_mail, &status, err) < 0)
		return -1;
	c->send_refused = send_status(status);
	*err = (struct err)ERR_INIT;
	return 0;
}

int sync_draft_read_add(struct sync_run *run, struct sync_job *job, struct sync_command *c,
	struct buf *raw, struct outgoing_mail **ret_mail, struct err *err)
{
	struct buf draft = BUF_INIT;
	const char *key = arena_x_printf(run->call->arena, "draft:%" PRIu64 ":%016" PRIx64,
		job->folder->id.v, c->content_hash);
	int result;

	if (!has_send(c))
		return write_draft(run, job, c, NULL, 0, raw, err);
	if (c->send_refused == 0) {
		result = write_draft(run, job, c, NULL, 0, &draft, err);
		if (result == 0 && c->refused == 0)
			result = prepare_send(run, c, &draft, raw, key, ret_mail, err);
		buf_deinit(&draft);
		if (result < 0)
			return -1;
	}
	if (c->send_refused != 0)
		c->refused = c->send_refused;
	return 0;
}

/* The last command before c which makes that draft anew. */
static struct sync_command *find_earlier(struct sync_job *job, const struct sync_command *c)
{
	for (size_t i = (size_t)(c - job->commands); i > 0; i--) {
		struct sync_command *before = &job->commands[i - 1];

		if (before->draft != NULL && before->item.v == c->item.v && before->draft->writes &&
			before->refused == 0)
			return before;
	}
	return NULL;
}

static int make_draft(struct sync_run *run, struct sync_job *job, struct sync_command *c,
	const void *old, size_t old_len, struct err *err)
{
	struct sync_draft *d = c->draft;
	struct mime_limits limits = limits_of(run);
	struct buf as_it_is = {.data = (uint8_t *)(uintptr_t)old, .len = old_len};

	d->writes = email_draft_has_content(wbxml_find(c->node, TAG_AirSync_ApplicationData));
	if (d->writes) {
		if (write_draft(run, job, c, old, old_len, &d->raw, err) < 0)
			return -1;
		if (c->refused != 0)
			return 0;
	}
	if (has_send(c) && c->send_refused == 0 &&
		prepare_send(run, c, d->writes ? &d->raw : &as_it_is, &d->to_send, NULL,
			&d->leaving, err) < 0)
		return -1;
	if (!d->writes || d->leaving != NULL)
		return 0;
	if (account_mail_prepare(run->call->server->store, d->raw.data, d->raw.len, &limits,
		    &d->mail, err) < 0) {
		if (err->code != ERR_QUOTA)
			return -1;
		*err = (struct err)ERR_INIT;
		c->refused = SYNC_STATUS_FULL;
		return 0;
	}
	d->prepared = true;
	return 0;
}

/* Loads the draft; its bytes outlive the snapshot, of which a thread holds one at a time. */
static int load_draft(struct sync_run *run, const struct sync_job *job, struct item_id id,
	struct arena *arena, struct email *ret, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(run->call->server->store, &rd, err) < 0)
		return -1;
	return email_load(
		rd, job->gens.owner, job->folder->id, job->folder->type, id, true, arena, ret, err);
}

static int make_from_stored(
	struct sync_run *run, struct sync_job *job, struct sync_command *c, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct email email;
	int result = 0;

	if (load_draft(run, job, c->item, arena, &email, err) < 0) {
		c->draft = NULL;
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT; /* the transaction says so */
		return 0;
	}
	if (email.item->row.item_class != ITEM_MAIL) {
		c->draft = NULL;
		c->refused = has_send(c) ? SYNC_STATUS_BAD_ITEM : 0;
	} else if (email.set_aside) {
		c->refused = SYNC_STATUS_BAD_ITEM;
	} else {
		c->draft->base_seq = email.item->row.content_seq;
		result = make_draft(run, job, c, email.body.bytes, email.body.len, err);
	}
	email_release(&email);
	return result;
}

static int prepare_change(
	struct sync_run *run, struct sync_job *job, struct sync_command *c, struct err *err)
{
	const struct sync_command *earlier;

	if (!eas_server_id_parse(
		    eas_get_text(c->node, TAG_AirSync_ServerId, ""), job->folder->id, &c->item))
		return 0;
	c->draft = arena_x_new(run->call->arena, struct sync_draft);
	c->draft->now_at = run->call->now_at;
	earlier = find_earlier(job, c);
	if (earlier == NULL)
		return make_from_stored(run, job, c, err);
	c->draft->base = earlier->draft;
	c->draft->after = earlier;
	return make_draft(run, job, c, earlier->draft->raw.data, earlier->draft->raw.len, err);
}

int sync_draft_prepare(struct sync_run *run, struct sync_job *job, struct err *err)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_command *c = &job->commands[i];

		if (c->node->tag != TAG_AirSync_Change || c->node->fault != 0 ||
			run->call->version < 160 || !eas_folder_is_mail(job->folder->type))
			continue;
		c->writes_mail = has_send(c) || email_draft_has_content(wbxml_find(
							c->node, TAG_AirSync_ApplicationData));
		if (c->writes_mail && job->folder->type == FOLDER_DRAFTS &&
			prepare_change(run, job, c, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- inside the transaction ---- */

void sync_draft_reset(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_draft *d = job->commands[i].draft;

		if (d == NULL)
			continue;
		d->stored_seq = 0;
		d->left = false;
	}
}

bool sync_draft_sends(const struct sync_command *c)
{
	return c->draft != NULL && c->draft->leaving != NULL;
}

int sync_draft_send(struct store_tx *tx, struct sync_job *job, struct sync_command *c,
	struct outgoing_mail *mail, struct err *err)
{
	unsigned status;

	if (outgoing_apply(tx, mail, &status, err) == 0)
		return 0;
	if (status == 0)
		return -1;
	c->send_refused = send_status(status);
	job->retry = true;
	return err_set(err, ERR_CONFLICT, "a draft was not taken: %u", status);
}

/* 1: the draft is what this one was made from. 0: the command that it goes on from was refused. */
static int check_base(
	struct sync_job *job, const struct sync_command *c, uint64_t content_seq, struct err *err)
{
	const struct sync_draft *d = c->draft;

	if (d->base != NULL && d->base->stored_seq == 0)
		return 0;
	if (content_seq == (d->base != NULL ? d->base->stored_seq : d->base_seq))
		return 1;
	job->retry = true;
	return err_set(err, ERR_CONFLICT, "the draft was written by somebody else");
}

int sync_draft_send_change(const struct sync_writer *to, struct sync_job *job,
	struct sync_command *c, const struct item *item, struct sync_answer *answer,
	struct err *err)
{
	int good = check_base(job, c, item->row.content_seq, err);

	if (good == 0)
		answer->status = c->draft->after->status;
	if (good <= 0)
		return good;
	if (sync_draft_send(to->tx, job, c, c->draft->leaving, err) < 0)
		return -1;
	c->draft->left = true;
	/* It stays in the inventory: the phone is told that the draft is gone. */
	return to->ops->delete_item(
		to->tx, job->gens.owner, job->folder->id, c->item, job->gens.device, err);
}

int sync_draft_store(const struct sync_writer *to, struct sync_job *job, struct sync_command *c,
	const struct item *item, struct sync_answer *answer, uint64_t *ret_seq, struct err *err)
{
	struct sync_draft *d = c->draft;
	const struct item_content content = {.body = &d->mail.body,
		.summary = d->mail.summary,
		.summary_len = d->mail.summary_len,
		.conversation = d->mail.conversation,
		.date_at = d->now_at};
	int good;

	*ret_seq = 0;
	if (!d->writes)
		return 0;
	good = check_base(job, c, item->row.content_seq, err);
	if (good < 0)
		return -1;
	if (good == 0) {
		answer->status = d->after->status;
		return 0;
	}
	if (to->ops->set_content(to->tx, job->gens.owner, job->folder->id, c->item, &content,
		    job->gens.device, &d->stored_seq, err) < 0)
		return -1;
	*ret_seq = d->stored_seq;
	return 0;
}

/* ---- afterwards ---- */

void sync_draft_finish(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_draft *d = job->commands[i].draft;

		if (d != NULL && d->left)
			outgoing_finish(d->leaving);
	}
}

void sync_draft_release(struct sync_job *job)
{
	for (size_t i = 0; i < job->command_count; i++) {
		struct sync_draft *d = job->commands[i].draft;

		if (d == NULL)
			continue;
		outgoing_mail_free(&d->leaving);
		if (d->prepared)
			account_mail_release(&d->mail);
		buf_deinit(&d->to_send);
		buf_deinit(&d->raw);
		job->commands[i].draft = NULL;
	}
}
