/*
 * One mail folder, both ways. A round: look at the Maildir for what the user did, send it with the
 * SyncKey, write the messages that come, then the folder's state with the new key. The state is
 * written last, so whatever dies in between is asked for again with the old key; message files have
 * fixed names, so nothing is there twice. A message is called deleted only if it is missing in two
 * looks and its folder exists.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/mailbox.h"
#include "phone/maildir.h"
#include "phone/phone.h"

#define COMMANDS_MAX   100 /* servers take 200 in one request */
#define IDLE_ROUNDS    20  /* MoreAvailable without anything in it: so often, then it is an error */
#define FETCHES_LISTED 20

/* What a folder's sync works with. */
struct work {
	struct phone *p;
	const struct profile_folder *folder;
	char *dir;
	struct mailbox *mailbox;
	struct maildir_scan scan;
	struct request_change changes[COMMANDS_MAX]; /* of this round; ids borrowed from mailbox */
	size_t change_count;
	bool changes_left; /* more than fitted */
	bool resync;       /* key 0 was needed in this run already */
	unsigned idle_rounds;
	struct mail_sync_count count;
};

static void work_clear(struct work *w)
{
	maildir_scan_clear(&w->scan);
	mailbox_free(&w->mailbox);
	mem_free(w->dir);
}

static int work_open(struct work *w, struct err *err)
{
	struct err bad = ERR_INIT;

	w->dir = hierarchy_dir(w->p, w->folder);
	if (mailbox_load(w->p->state_dir, w->folder->id, &w->mailbox, &bad) < 0) {
		if (bad.code != ERR_BAD_INPUT)
			return err_set(err, bad.code, "%s", bad.text);
		/* Damaged: begin again. The files are found again by their names. */
		events_error(&w->p->events, err_code_to_str(bad.code), bad.text);
		w->mailbox = mailbox_new(w->folder->id);
	}
	return 0;
}

static void add_change(
	struct work *w, enum request_change_kind kind, const struct mailbox_entry *e, bool on)
{
	if (w->change_count == COMMANDS_MAX) {
		w->changes_left = true;
		return;
	}
	w->changes[w->change_count++] =
		(struct request_change){.kind = kind, .server_id = e->server_id, .on = on};
}

/* Compares the Maildir with what the server knows. missing: how many messages have no file. */
static void compare(struct work *w, bool with_deletes, size_t *ret_missing)
{
	w->change_count = 0;
	w->changes_left = false;
	*ret_missing = 0;
	for (size_t i = 0; i < mailbox_count(w->mailbox); i++) {
		const struct mailbox_entry *e = mailbox_at(w->mailbox, i);
		const struct maildir_file *f = maildir_scan_find(&w->scan, e->base);

		if (e->stale)
			continue;
		if (f == NULL) {
			(*ret_missing)++;
			if (with_deletes)
				add_change(w, REQUEST_DELETE, e, true);
			continue;
		}
		if (f->flags.read != e->read)
			add_change(w, REQUEST_CHANGE_READ, e, f->flags.read);
		if (f->flags.flagged != e->flagged && w->p->profile->version >= VERSION_120)
			add_change(w, REQUEST_CHANGE_FLAG, e, f->flags.flagged);
	}
}

/* Fills w->scan and w->changes. */
static int look(struct work *w, struct err *err)
{
	size_t missing;

	maildir_scan_clear(&w->scan);
	if (maildir_scan(w->dir, &w->scan, err) < 0)
		return -1;
	if (w->scan.missing) {
		/* Somebody removed or unmounted the folder itself: that deletes nothing. */
		if (mailbox_count(w->mailbox) > 0) {
			mailbox_reset(w->mailbox);
			if (mailbox_save(w->p->state_dir, w->mailbox, err) < 0)
				return -1;
		}
		if (maildir_create(w->dir, err) < 0)
			return -1;
	}
	compare(w, false, &missing);
	if (missing == 0)
		return 0;
	/* A file that is renamed while we read may be missed once. */
	maildir_scan_clear(&w->scan);
	if (maildir_scan(w->dir, &w->scan, err) < 0)
		return -1;
	compare(w, !w->scan.missing, &missing);
	return 0;
}

/* In 2.5 a body that was cut is fetched by Sync. */
static void add_fetches(struct work *w)
{
	size_t listed = 0;

	if (w->p->profile->version >= VERSION_120)
		return;
	for (size_t i = 0; i < mailbox_count(w->mailbox) && listed < FETCHES_LISTED; i++) {
		const struct mailbox_entry *e = mailbox_at(w->mailbox, i);

		if (!e->partial || e->stale)
			continue;
		add_change(w, REQUEST_FETCH, e, true);
		listed++;
	}
}

/* The entry after its file was written; made when it is new. */
static void note_message(struct work *w, const char *server_id, const char *base,
	const struct answer_mail *mail, struct maildir_flags flags)
{
	struct mailbox_entry *e = mailbox_find(w->mailbox, server_id);

	if (e == NULL) {
		e = mailbox_add(w->mailbox, server_id, base);
		e->read = flags.read;
		e->flagged = flags.flagged;
	}
	e->stale = false;
	e->partial = mail->truncated;
	if (mail->has_read)
		e->read = mail->read;
	if (mail->has_flag)
		e->flagged = mail->flagged;
}

/* Writes one message file and brings the entry up to date with it. */
static int put_message(struct work *w, const char *server_id, const struct answer_mail *mail,
	bool tell, struct err *err)
{
	const struct mailbox_entry *e = mailbox_find(w->mailbox, server_id);
	CLEANUP(mem_freep)
	char *base = e != NULL ? x_strdup(e->base)
			       : maildir_base(w->folder->id, server_id, mail->received_at);
	const struct maildir_file *old = maildir_scan_find(&w->scan, base);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(mem_freep) char *path = NULL;
	struct maildir_flags flags = {0};

	if (old != NULL)
		flags = old->flags; /* what the user did meanwhile stays, and goes up next */
	if (mail->has_read)
		flags.read = mail->read;
	if (mail->has_flag)
		flags.flagged = mail->flagged;
	if (mail->body_type == 4 && mail->data != NULL)
		buf_add(&text, mail->data, mail->data_len);
	else
		compose_message(mail, &text);
	if (text.failed)
		return err_set(err, ERR_QUOTA, "a message does not fit into memory");
	if (maildir_put(w->dir, base, flags, text.data, text.len, mail->received_at, old, &path,
		    err) < 0)
		return -1;
	note_message(w, server_id, base, mail, flags);
	if (tell)
		events_emit(&w->p->events, 0, NULL, "message", EV_STR("folder", w->folder->name),
			EV_STR("id", server_id), EV_STR("subject", mail->subject),
			EV_STR("from", mail->from), EV_INT("bytes", text.len),
			EV_INT("read", flags.read), EV_STR("file", path));
	return 0;
}

static int apply_change(struct work *w, const struct answer_item *item, struct err *err)
{
	struct mailbox_entry *e = mailbox_find(w->mailbox, item->server_id);
	const struct maildir_file *f;
	struct maildir_flags flags;

	if (item->mail.has_body || e == NULL) {
		w->count.changed++;
		/* A change of flags alone for what we do not have cannot be kept; a repair follows
		 * with the next full listing. */
		if (e == NULL && !item->mail.has_body)
			return 0;
		return put_message(w, item->server_id, &item->mail, false, err);
	}
	w->count.changed++;
	if (item->mail.has_read)
		e->read = item->mail.read;
	if (item->mail.has_flag)
		e->flagged = item->mail.flagged;
	f = maildir_scan_find(&w->scan, e->base);
	if (f == NULL)
		return 0; /* deleted here meanwhile: the Delete goes up next */
	flags = f->flags;
	if (item->mail.has_read)
		flags.read = e->read;
	if (item->mail.has_flag)
		flags.flagged = e->flagged;
	return maildir_set_flags(w->dir, f, flags, err);
}

static int apply_delete(struct work *w, const struct answer_item *item, struct err *err)
{
	struct mailbox_entry *e = mailbox_find(w->mailbox, item->server_id);
	const struct maildir_file *f;

	if (e == NULL)
		return 0;
	w->count.deleted++;
	f = maildir_scan_find(&w->scan, e->base);
	if (f != NULL && maildir_remove(w->dir, f, err) < 0)
		return -1;
	mailbox_remove(w->mailbox, e);
	return 0;
}

static const struct answer_item *response_to(
	const struct answer_collection *c, const struct request_change *change)
{
	for (size_t i = 0; i < c->response_count; i++) {
		const struct answer_item *r = &c->responses[i];
		bool same_kind = change->kind == REQUEST_DELETE  ? r->kind == ANSWER_DELETE
				 : change->kind == REQUEST_FETCH ? r->kind == ANSWER_FETCH
								 : r->kind == ANSWER_CHANGE;

		if (same_kind && strcmp(r->server_id, change->server_id) == 0)
			return r;
	}
	return NULL;
}

/* The whole message, or what we have stays: it will not get any better. */
static int settle_fetch(
	struct work *w, struct mailbox_entry *e, const struct answer_item *r, struct err *err)
{
	struct answer_mail mail;

	e->partial = false;
	if (r == NULL || r->status != 1 || r->mail.data == NULL)
		return 0;
	mail = r->mail;
	mail.has_read = mail.has_flag = mail.truncated = false;
	return put_message(w, r->server_id, &mail, false, err);
}

/* What became of one of our commands; no response means success. */
static int settle(struct work *w, const struct answer_collection *c,
	const struct request_change *change, struct err *err)
{
	struct mailbox_entry *e = mailbox_find(w->mailbox, change->server_id);
	const struct answer_item *r = response_to(c, change);
	unsigned status = r == NULL ? 1 : r->status;

	if (e == NULL)
		return 0;
	if (change->kind == REQUEST_FETCH)
		return settle_fetch(w, e, r, err);
	if (status == 5 || status == 16) /* transient: again with the next sync */
		return 0;
	if (status != 1 && status != 7 && status != 8)
		log_warn(NULL, "change_refused", F_UINT("status", status));
	w->count.sent += status == 1;
	if (change->kind == REQUEST_DELETE)
		mailbox_remove(w->mailbox, e);
	else if (change->kind == REQUEST_CHANGE_READ)
		e->read = change->on;
	else
		e->flagged = change->on;
	return 0;
}

static int apply_item(struct work *w, const struct answer_item *item, struct err *err)
{
	switch (item->kind) {
	case ANSWER_ADD:
		w->count.added++;
		return put_message(w, item->server_id, &item->mail, true, err);
	case ANSWER_CHANGE:
		return apply_change(w, item, err);
	default:
		return apply_delete(w, item, err);
	}
}

/* Whole messages for those that came cut (12.0 and later). A failure leaves the cut one. */
static int fetch_partial(struct work *w, struct mailbox_entry *e, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	CLEANUP(mem_freep) char *id = x_strdup(e->server_id);
	struct exchange x = {.command = REQUEST_ITEM_OPERATIONS};
	struct wbxml_node *root = NULL;
	struct answer_mail mail;
	unsigned status;

	request_fetch(w->folder->id, id, w->p->options->body_type, &body);
	x.body = body.data;
	x.body_len = body.len;
	if (exchange_run(w->p, &x, arena, &root, err) < 0 ||
		answer_fetch(root, &status, &mail, err) < 0)
		return -1;
	if (status != 1 || !mail.has_body || mail.data == NULL) {
		e->partial = false;
		log_warn(NULL, "fetch_finished", F_UINT("status", status));
		return 0;
	}
	/* The flags of the Sync count; and what is still cut will not get any better. */
	mail.has_read = mail.has_flag = mail.truncated = false;
	return put_message(w, id, &mail, false, err);
}

/* 1: another round is needed for them (2.5). */
static int fetch_all_partial(struct work *w, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < mailbox_count(w->mailbox); i++) {
		struct mailbox_entry *e = mailbox_at(w->mailbox, i);

		if (!e->partial || e->stale)
			continue;
		if (w->p->profile->version < VERSION_120)
			return 1;
		/* The files have moved since the scan that the round began with. */
		maildir_scan_clear(&w->scan);
		if (maildir_scan(w->dir, &w->scan, err) < 0 || fetch_partial(w, e, err) < 0)
			return -1;
		any = true;
	}
	return any && mailbox_save(w->p->state_dir, w->mailbox, err) < 0 ? -1 : 0;
}

/* The first full listing after a reset is over: what it did not name is gone. */
static int drop_stale(struct work *w, struct err *err)
{
	for (size_t i = mailbox_count(w->mailbox); i > 0; i--) {
		struct mailbox_entry *e = mailbox_at(w->mailbox, i - 1);
		const struct maildir_file *f;

		if (!e->stale)
			continue;
		f = maildir_scan_find(&w->scan, e->base);
		if (f != NULL && maildir_remove(w->dir, f, err) < 0)
			return -1;
		mailbox_remove(w->mailbox, e);
	}
	return 0;
}

static int apply(struct work *w, const struct answer_collection *c, struct err *err)
{
	for (size_t i = 0; i < w->change_count; i++) {
		if (settle(w, c, &w->changes[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->item_count; i++) {
		if (apply_item(w, &c->items[i], err) < 0)
			return -1;
	}
	if (!c->more && drop_stale(w, err) < 0)
		return -1;
	if (c->item_count + c->response_count > 0 && maildir_sync(w->dir, err) < 0)
		return -1;
	if (c->sync_key != NULL)
		mailbox_set_sync_key(w->mailbox, c->sync_key);
	return mailbox_save(w->p->state_dir, w->mailbox, err);
}

/* 1: another round. */
static int judge_status(struct work *w, unsigned status, struct err *err)
{
	switch (status) {
	case 3: /* the key is not known: start over, once in a run */
		if (w->resync)
			return err_set(err, ERR_BAD_INPUT, "the server refuses even its own keys");
		w->resync = true;
		mailbox_reset(w->mailbox);
		return mailbox_save(w->p->state_dir, w->mailbox, err) < 0 ? -1 : 1;
	case 8: /* object not found, at this level: the hierarchy moved on */
	case 12:
		w->p->hierarchy_stale = true;
		return err_set(err, ERR_BUSY, "the folder list has changed");
	case 5:
	case 16:
		return err_set(
			err, ERR_BUSY, "the server asks to try again (Sync Status %u)", status);
	case 9:
		return err_set(err, ERR_DENIED, "the mailbox is full (Sync Status 9)");
	default:
		return err_set(err, ERR_DENIED, "Sync failed with Status %u", status);
	}
}

static unsigned filter_of(const struct phone *p)
{
	unsigned limit = p->profile->max_filter, wanted = p->options->filter;

	return limit != 0 && (wanted == 0 || wanted > limit) ? limit : wanted;
}

/* The server has nothing to say: a listing that was under way is complete. */
static int finish_quietly(struct work *w, struct err *err)
{
	size_t before = mailbox_count(w->mailbox);

	if (strcmp(mailbox_sync_key(w->mailbox), "0") == 0)
		return err_set(err, ERR_BAD_INPUT, "the server gives no SyncKey");
	if (drop_stale(w, err) < 0)
		return -1;
	return mailbox_count(w->mailbox) == before ? 0
						   : mailbox_save(w->p->state_dir, w->mailbox, err);
}

/* 1: another round; 0: this folder is in step. */
static int take_answer(struct work *w, const struct answer_collection *c, struct err *err)
{
	bool first = strcmp(mailbox_sync_key(w->mailbox), "0") == 0;
	int fetch;

	if (c->status != 1)
		return judge_status(w, c->status, err);
	if (c->sync_key == NULL || strcmp(c->sync_key, "0") == 0)
		return err_set(err, ERR_BAD_INPUT, "the Sync answer has no SyncKey");
	if (first && c->item_count == 0) {
		/* Only the key: the listing comes with the next request. */
		mailbox_set_sync_key(w->mailbox, c->sync_key);
		return mailbox_save(w->p->state_dir, w->mailbox, err) < 0 ? -1 : 1;
	}
	if (apply(w, c, err) < 0)
		return -1;
	fetch = fetch_all_partial(w, err);
	if (fetch < 0)
		return -1;
	w->idle_rounds = c->item_count == 0 && c->response_count == 0 && w->change_count == 0
				 ? w->idle_rounds + 1
				 : 0;
	if (w->idle_rounds > IDLE_ROUNDS)
		return err_set(err, ERR_BAD_INPUT, "the server promises more and sends nothing");
	return c->more || w->changes_left || fetch == 1 ? 1 : 0;
}

static void build(struct work *w, struct buf *out)
{
	struct request_sync request = {.sync_key = mailbox_sync_key(w->mailbox),
		.collection_id = w->folder->id,
		.window = w->p->options->window,
		.filter = filter_of(w->p),
		.body_type = w->p->options->body_type,
		.truncation = -1,
		.changes = w->changes,
		.change_count = w->change_count};

	request_sync(w->p->profile->version, &request, 1, 0, out);
}

/* One request; returns as take_answer(). */
static int sync_once(struct work *w, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct exchange x = {.command = REQUEST_SYNC};
	struct wbxml_node *root = NULL;
	struct answer_sync a;
	const struct answer_collection *c;

	if (look(w, err) < 0)
		return -1;
	add_fetches(w);
	if (strcmp(mailbox_sync_key(w->mailbox), "0") == 0)
		w->change_count = 0; /* nothing can be changed before there is a key */
	build(w, &body);
	x.body = body.data;
	x.body_len = body.len;
	if (exchange_run(w->p, &x, arena, &root, err) < 0)
		return -1;
	if (root == NULL)
		return finish_quietly(w, err);
	if (answer_sync(arena, root, &a, err) < 0)
		return -1;
	if (a.status > 1)
		return judge_status(w, a.status, err);
	c = answer_sync_find(&a, w->folder->id);
	return c == NULL ? finish_quietly(w, err) : take_answer(w, c, err);
}

static void tell(struct phone *p, const struct profile_folder *f, const struct mail_sync_count *n)
{
	CLEANUP(mem_freep) char *text = NULL;

	if (n->added + n->changed + n->deleted + n->sent > 0)
		text = x_printf("%s: %u new, %u changed, %u deleted%s", f->name, n->added,
			n->changed, n->deleted, n->sent > 0 ? ", own changes sent" : "");
	events_emit(&p->events, 0, text, "synced", EV_STR("folder", f->name), EV_STR("id", f->id),
		EV_INT("added", n->added), EV_INT("changed", n->changed),
		EV_INT("deleted", n->deleted), EV_INT("sent", n->sent));
}

int mail_sync_run(struct phone *p, const struct profile_folder *f, struct mail_sync_count *ret,
	struct err *err)
{
	struct work w = {.p = p, .folder = f};
	int rc = work_open(&w, err);

	if (rc == 0) {
		do
			rc = exchange_stopped(p) ? err_set(err, ERR_BUSY, "interrupted")
						 : sync_once(&w, err);
		while (rc == 1);
	}
	if (rc == 0) {
		tell(p, f, &w.count);
		*ret = w.count;
	}
	work_clear(&w);
	return rc < 0 ? err_wrap(err, "syncing \"%s\"", f->name) : 0;
}

int mail_sync_all(struct phone *p, struct err *err)
{
	for (size_t i = 0; i < p->profile->folder_count; i++) {
		struct mail_sync_count ignored;

		if (p->profile->folders[i].wanted &&
			mail_sync_run(p, &p->profile->folders[i], &ignored, err) < 0)
			return -1;
	}
	return 0;
}

int mail_sync_local_changes(
	struct phone *p, const struct profile_folder *f, bool *ret, struct err *err)
{
	struct work w = {.p = p, .folder = f};
	int rc = work_open(&w, err);

	if (rc == 0)
		rc = look(&w, err);
	if (rc == 0)
		*ret = w.change_count > 0 || strcmp(mailbox_sync_key(w.mailbox), "0") == 0;
	work_clear(&w);
	return rc;
}
