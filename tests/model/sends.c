/*
 * Mail that phones send: SendMail in every version, replies to what they hold from 14.0 on. A phone
 * repeats the same bytes until it hears that the mail is on its way, for as long as the server
 * remembers what it has sent.
 *
 * Each mail goes to Bob, who is here, to somebody far away, and into Sent. In the end each of the
 * three has it once if the phone has heard so, and otherwise all have it, or none. That none is
 * in Sent twice the ledger sees when it is committed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mime/mime.h"
#include "model.h"
#include "store/store_queue.h"

/* What is left of the server's memory when a phone gives up. */
#define PATIENCE_S (23 * 3600)

enum { MESSAGE_MAX = 400 };

static size_t write_message(char *out, uint32_t uid)
{
	uint32_t conversation = model_conversation(uid);

	return (size_t)snprintf(out, MESSAGE_MAX,
		"From: anna@example.org\r\nTo: bob@example.org, x@far.example\r\nSubject: m%u\r\n"
		"Message-ID: <m%u@phone.example>\r\nReferences: <%s%u@example.net>\r\n\r\n"
		"Words of m%u.\r\n",
		uid, uid, conversation == 0 ? "alone" : "root",
		conversation == 0 ? uid : conversation, uid);
}

/* From 14.0 on. source 0: nothing is answered. */
static void write_document(struct world *w, struct command *c, unsigned folder, uint64_t source)
{
	char message[MESSAGE_MAX], text[48];
	struct wbxml_writer x;

	wbxml_writer_init(&x, &c->body);
	wbxml_start(&x, source != 0 ? TAG_ComposeMail_SmartReply : TAG_ComposeMail_SendMail);
	(void)snprintf(text, sizeof(text), "client%u", c->mail);
	wbxml_add_text(&x, TAG_ComposeMail_ClientId, text);
	if (source != 0) {
		(void)snprintf(
			text, sizeof(text), "%" PRIu64 ":%" PRIu64, w->folders[folder].v, source);
		wbxml_start(&x, TAG_ComposeMail_Source);
		wbxml_add_text(&x, TAG_ComposeMail_ItemId, text);
		wbxml_end(&x);
	}
	wbxml_add_empty(&x, TAG_ComposeMail_SaveInSentItems);
	wbxml_add_opaque(&x, TAG_ComposeMail_Mime, message, write_message(message, c->mail));
	wbxml_end(&x);
}

struct command *sends_begin(struct world *w, struct phone *p, const struct action *a)
{
	unsigned folder = a->pick[0] % FOLDERS;
	uint64_t source = a->pick[1] % 2 == 0 ? phone_pick(p, folder, a->pick[2]) : 0;
	bool document = phone_version(p) >= 140;
	char message[MESSAGE_MAX];
	struct command *c;

	if (w->next_uid + 300 > ITEMS_MAX || w->mail_count == ARRAY_LEN(w->mails))
		return NULL;
	c = command_new(p, document && source != 0 ? "SmartReply" : "SendMail");
	c->mail = ++w->next_uid;
	c->begun_at = clock_now_at();
	w->mails[w->mail_count++] = (struct mail){.uid = c->mail};
	c->writer.uids[c->writer.uid_count++] = c->mail;
	c->writer.read = true;
	if (document) {
		write_document(w, c, folder, source);
	} else {
		c->params = "&SaveInSent=T";
		c->content_type = "message/rfc822";
		buf_add(&c->body, message, write_message(message, c->mail));
	}
	model_trace(w, (int)p->number, "%s m%u, source %u:%" PRIu64, c->name, c->mail, folder,
		document ? source : 0);
	return c;
}

bool sends_given_up(const struct command *c)
{
	return c->mail != 0 && clock_now_at() - c->begun_at > PATIENCE_S;
}

static struct mail *find_mail(struct world *w, uint32_t uid)
{
	for (size_t i = 0; i < w->mail_count; i++) {
		if (w->mails[i].uid == uid)
			return &w->mails[i];
	}
	abort();
}

void sends_note(struct world *w, uint32_t uid, bool heard)
{
	find_mail(w, uid)->heard |= heard;
}

bool sends_take(
	struct world *w, struct phone *p, const struct command *c, const struct wbxml_node *root)
{
	const char *status = wbxml_text(root, TAG_ComposeMail_Status);
	struct mail *mail = find_mail(w, c->mail);

	model_trace(w, (int)p->number, "  m%u: Status %s", c->mail,
		status != NULL ? status : "none: sent");
	/* 118: it was sent before. 150: what it answers is gone. */
	if (status == NULL || strcmp(status, "118") == 0)
		mail->heard = true;
	else if (strcmp(status, "150") == 0 && strcmp(c->name, "SmartReply") == 0)
		mail->refused = true;
	else if (!w->trouble || (strcmp(status, "110") != 0 && strcmp(status, "111") != 0 &&
					strcmp(status, "113") != 0))
		model_fail(w, (int)p->number, "phone %u: m%u gets Status %s", p->number, c->mail,
			status);
	return mail->heard || mail->refused;
}

/* ---- the end ---- */

/* How often each mail is in Bob's Inbox. */
static void count_received(struct world *w, struct store_read *rd, unsigned counts[ITEMS_MAX])
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	struct err err = ERR_INIT;
	struct folder *inbox;
	struct item_row *rows;
	size_t count;

	if (store_folder_by_type(rd, w->bob, FOLDER_INBOX, arena, &inbox, &err) < 0 ||
		store_item_scan(rd, w->bob, inbox->id, start, INT64_MIN, ITEMS_MAX, arena, &rows,
			&count, &err) < 0) {
		model_fail(w, -1, "Bob: %s", err.text);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct mime_summary *summary;
		struct item *item;
		uint32_t uid;

		if (store_item_load(rd, w->bob, inbox->id, rows[i].id, arena, &item, &err) < 0 ||
			mime_summary_decode(
				arena, item->summary, item->summary_len, &summary, &err) < 0) {
			model_fail(w, -1, "Bob: %s", err.text);
			return;
		}
		uid = (uint32_t)strtoul(summary->subject + (summary->subject[0] == 'm'), NULL, 10);
		counts[uid % ITEMS_MAX]++;
	}
}

/* Has it ever been in Sent? */
static bool was_kept(const struct world *w, uint32_t uid)
{
	for (size_t f = 0; f < FOLDERS; f++) {
		for (size_t i = 0; i < ITEMS_MAX; i++) {
			if (w->truth[f][i].exists && w->truth[f][i].uid == uid)
				return true;
		}
	}
	return false;
}

bool sends_was_sent(struct world *w, uint32_t uid)
{
	for (size_t i = 0; i < w->mail_count; i++) {
		if (w->mails[i].uid == uid)
			return was_kept(w, uid);
	}
	return false;
}

void sends_check(struct world *w)
{
	unsigned received[ITEMS_MAX] = {0}, total = 0;
	struct queue_counts queue = {0};
	struct err err = ERR_INIT;
	struct store_read *rd;

	if (store_read_begin(w->store, &rd, &err) < 0) {
		model_fail(w, -1, "%s", err.text);
		return;
	}
	count_received(w, rd, received);
	if (store_queue_count(rd, &queue, &err) < 0)
		model_fail(w, -1, "%s", err.text);
	store_read_end(&rd);
	for (size_t i = 0; i < w->mail_count; i++) {
		const struct mail *mail = &w->mails[i];
		unsigned count = received[mail->uid];
		bool kept = was_kept(w, mail->uid);

		total += count;
		if (count > 1 || kept != (count == 1) || (mail->heard && count == 0) ||
			(mail->refused && count > 0))
			model_fail(w, -1,
				"m%u: Bob has %u, Sent has %s; the phone heard that it was %s",
				mail->uid, count, kept ? "it" : "none",
				mail->heard     ? "sent"
				: mail->refused ? "refused"
						: "nothing");
	}
	if (queue.mails != total || queue.recipients != total)
		model_fail(w, -1, "Bob got %u, and the queue has %u", total, (unsigned)queue.mails);
}
