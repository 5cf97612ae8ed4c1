/*
 * Text messages: a phone adds them to a mail folder and may ask for those of others. Adding is the
 * one command that must not be done twice, however often its request arrives. Which one became
 * which item is known by its date, which no other one has.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eas/date.h"
#include "model.h"

bool phone_wants_sms(const struct phone *p, unsigned folder)
{
	return phone_version(p) >= 140 && p->collections[folder].sms;
}

void phone_add_sms(struct world *w, struct phone *p, unsigned folder)
{
	struct collection *c = &p->collections[folder];
	struct effect *e;

	if (!phone_wants_sms(p, folder) || !c->options_known || strcmp(c->key, "0") == 0 ||
		c->pending_count == ARRAY_LEN(c->pending))
		return;
	e = &c->pending[c->pending_count].effect;
	c->pending[c->pending_count++] = (struct pending){.effect = {.folder = folder}};
	e->adds = true;
	e->uid = ++w->next_uid;
	/* Seconds that no other one has: half an hour has 1,800 of them. */
	e->date_at = clock_now_at() - (int64_t)(e->uid % 1800) * 2 - 1;
}

void sms_encode_add(struct wbxml_writer *x, const struct effect *e)
{
	char text[24], date[EAS_DATE_SIZE];

	wbxml_start(x, TAG_AirSync_Add);
	wbxml_add_text(x, TAG_AirSync_Class, "SMS");
	(void)snprintf(text, sizeof(text), "c%u", e->uid);
	wbxml_add_text(x, TAG_AirSync_ClientId, text);
	wbxml_start(x, TAG_AirSync_ApplicationData);
	wbxml_add_text(x, TAG_Email_To, "[MOBILE:+15551234]");
	wbxml_add_text(x, TAG_Email_From, "[MOBILE:+15554321]");
	(void)snprintf(text, sizeof(text), "m%u", e->uid);
	wbxml_add_text(x, TAG_Email_Subject, text);
	wbxml_add_text(x, TAG_Email_DateReceived,
		eas_date_format(e->date_at * 1000, EAS_DATE_DASHED, date));
	wbxml_add_text(x, TAG_Email_Importance, "1");
	wbxml_add_text(x, TAG_Email_Read, "0");
	wbxml_start(x, TAG_AirSyncBase_Body);
	wbxml_add_uint(x, TAG_AirSyncBase_Type, 1);
	wbxml_add_text(x, TAG_AirSyncBase_Data, "Hello.");
	wbxml_end(x);
	wbxml_end(x);
	wbxml_end(x);
}

/* The block of the class beside that of mail. */
void sms_encode_options(struct wbxml_writer *x, const struct collection *c)
{
	wbxml_start(x, TAG_AirSync_Options);
	wbxml_add_text(x, TAG_AirSync_Class, "SMS");
	wbxml_add_uint(x, TAG_AirSync_FilterType, c->filter);
	wbxml_end(x);
}

void sms_take_answer(
	struct world *w, struct phone *p, const struct effect *e, const struct wbxml_node *answers)
{
	const struct wbxml_node *n = wbxml_find(answers, TAG_AirSync_Add);
	char client_id[24];

	(void)snprintf(client_id, sizeof(client_id), "c%u", e->uid);
	for (; n != NULL; n = wbxml_next(n, TAG_AirSync_Add)) {
		const char *id = wbxml_text(n, TAG_AirSync_ClientId);
		const char *server_id = wbxml_text(n, TAG_AirSync_ServerId);
		const char *status = wbxml_text(n, TAG_AirSync_Status);
		const char *colon = server_id != NULL ? strchr(server_id, ':') : NULL;
		uint64_t item = colon != NULL ? strtoull(colon + 1, NULL, 10) : 0;
		const struct truth *t = ledger_item(w, e->folder, item);

		if (id == NULL || strcmp(id, client_id) != 0)
			continue;
		if (status == NULL || strcmp(status, "1") != 0 || t == NULL || t->uid != e->uid) {
			model_fail(w, (int)p->number, "phone %u: m%u was added as %s, Status %s",
				p->number, e->uid, server_id != NULL ? server_id : "nothing",
				status);
			return;
		}
		p->collections[e->folder].items[item] = (struct copy){.held = true, .uid = e->uid};
		return;
	}
	model_fail(
		w, (int)p->number, "phone %u: its Add of m%u is not answered", p->number, e->uid);
}

/* A text message that comes again after this long is a new one. */
bool sms_is_forgotten(const struct world *w, const struct truth *t)
{
	return clock_now_at() - t->date_at >=
	       (int64_t)w->settings->mail_sent_memory_h * 3600 - 7200;
}
