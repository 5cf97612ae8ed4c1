/*
 * The SMS class, both ways. A stored text message looks like this:
 *
 *     From: =?utf-8?Q?...?= <+15551234@sms.invalid>    for people and other programs
 *     To: ...
 *     Date: ...
 *     Importance: high
 *     X-Bellhop-Class: SMS
 *     X-Bellhop-SMS-From: =?utf-8?Q?...?=              "Name" [MOBILE:+15551234], as it came
 *     ...
 *     Content-Type: text/plain; charset=utf-8
 *     Content-Transfer-Encoding: base64
 *
 * No state; any thread. Limits: FIELD_MAX bytes in each property.
 */
#include "eas/class/sms.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email_internal.h"
#include "eas/date.h"
#include "eas/request.h"

#define FIELD_MAX    ((size_t)16 * 1024)
#define NUMBER_CHARS 40
#define LINE_BYTES   ((size_t)54)

/* Properties that are kept as they came. */
static const struct {
	uint16_t tag;
	const char *field; /* lower case: for mime_field_text() */
} kept[] = {
	{TAG_Email_To, "x-bellhop-sms-to"},
	{TAG_Email_Cc, "x-bellhop-sms-cc"},
	{TAG_Email_From, "x-bellhop-sms-from"},
	{TAG_Email_ReplyTo, "x-bellhop-sms-reply-to"},
	{TAG_Email_Subject, "x-bellhop-sms-subject"},
	{TAG_Email_InternetCPID, "x-bellhop-sms-cpid"},
};

/* ---- from the phone ---- */

static bool is_plain_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_number_char(char c)
{
	return is_plain_char(c) || c == '+' || c == '-';
}

/* One address: "Name" [MOBILE:+15551234], or a bare number. Nothing when there is no number in it.
 */
static bool add_address(struct buf *out, const char *text, size_t len, bool first)
{
	const char *open = memchr(text, '[', len), *colon, *name = NULL, *name_end = NULL;
	const char *end = text + len;
	char number[NUMBER_CHARS + 1];
	size_t n = 0;

	colon = open != NULL ? memchr(open, ':', (size_t)(end - open)) : NULL;
	for (const char *p = colon != NULL ? colon + 1 : text; p < end && *p != ']'; p++) {
		if (is_number_char(*p) && n < NUMBER_CHARS)
			number[n++] = *p;
	}
	if (n == 0 || (colon == NULL && memchr(text, '"', len) != NULL))
		return false;
	name = colon != NULL ? memchr(text, '"', (size_t)(open - text)) : NULL;
	name_end = name != NULL ? memrchr(name + 1, '"', (size_t)(open - name - 1)) : NULL;
	if (!first)
		buf_add_str(out, ",\r\n ");
	if (name_end != NULL && name_end > name + 1) {
		mime_header_encode(out, name + 1, (size_t)(name_end - name - 1));
		buf_add_byte(out, ' ');
	}
	buf_add_byte(out, '<');
	buf_add(out, number, n);
	buf_add_str(out, "@sms.invalid>");
	return true;
}

/* The standard field beside the kept one. */
static void add_addresses(struct buf *out, const char *field, const char *text)
{
	struct buf list = BUF_INIT;
	bool quoted = false, first = true;

	for (const char *start = text, *p = text;; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (*p != 0 && (quoted || (*p != ',' && *p != ';')))
			continue;
		if (add_address(&list, start, (size_t)(p - start), first))
			first = false;
		if (*p == 0)
			break;
		start = p + 1;
	}
	if (!first)
		buf_addf(out, "%s: %s\r\n", field, buf_cstr(&list));
	buf_deinit(&list);
}

static void add_date(struct buf *out, int64_t at)
{
	time_t t = (time_t)at;
	char text[64];
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL &&
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm) > 0)
		buf_addf(out, "Date: %s\r\n", text);
}

static void add_body(struct buf *out, const char *text, size_t len)
{
	buf_add_str(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
			 "Content-Transfer-Encoding: base64\r\n\r\n");
	for (size_t at = 0; at < len; at += LINE_BYTES) {
		base64_add(out, text + at, MIN(len - at, LINE_BYTES));
		buf_add_str(out, "\r\n");
	}
}

static int add_kept(struct buf *out, const struct wbxml_node *data, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const struct wbxml_node *n = wbxml_find(data, kept[i].tag);

		if (n == NULL || n->len == 0)
			continue;
		if (n->len > FIELD_MAX)
			return err_set(err, ERR_BAD_INPUT, "%s of %u bytes", kept[i].field,
				(unsigned)n->len);
		buf_addf(out, "%s: ", kept[i].field);
		mime_header_encode(out, n->text, n->len);
		buf_add_str(out, "\r\n");
	}
	return 0;
}

static int write_message(struct sms *sms, const struct wbxml_node *data, struct err *err)
{
	static const char *const importances[] = {"low", "normal", "high"};
	const struct wbxml_node *body = wbxml_find(data, TAG_AirSyncBase_Body);
	const struct wbxml_node *text = wbxml_find(body, TAG_AirSyncBase_Data);
	uint64_t importance = eas_get_uint(data, TAG_Email_Importance, 1);

	if (body != NULL && eas_get_uint(body, TAG_AirSyncBase_Type, 1) != MIME_BODY_TEXT)
		return err_set(err, ERR_BAD_INPUT, "the body of a text message is not plain text");
	add_addresses(&sms->raw, "From", eas_get_text(data, TAG_Email_From, ""));
	add_addresses(&sms->raw, "To", eas_get_text(data, TAG_Email_To, ""));
	add_date(&sms->raw, sms->date_at);
	buf_addf(&sms->raw, "Importance: %s\r\nX-Bellhop-Class: SMS\r\n",
		importances[MIN(importance, ARRAY_LEN(importances) - 1)]);
	if (add_kept(&sms->raw, data, err) < 0)
		return -1;
	add_body(&sms->raw, text != NULL ? text->text : "", text != NULL ? text->len : 0);
	return sms->raw.failed ? err_set(err, ERR_BUSY, "no memory for a text message") : 0;
}

int sms_read(
	const struct wbxml_node *application_data, int64_t now_at, struct sms *ret, struct err *err)
{
	const struct wbxml_node *flag = wbxml_find(application_data, TAG_Email_Flag);
	const struct wbxml_node *categories = wbxml_find(application_data, TAG_Email_Categories);

	*ret = (struct sms){.raw = BUF_INIT, .flag = BUF_INIT, .categories = BUF_INIT};
	ret->date_at =
		eas_get_date_ms(application_data, TAG_Email_DateReceived, now_at * 1000) / 1000;
	ret->is_read = eas_get_bool(application_data, TAG_Email_Read, false);
	if (flag != NULL)
		email_flag_parse(flag, &ret->flag_status, &ret->flag);
	if (categories != NULL)
		email_categories_parse(categories, &ret->categories);
	return write_message(ret, application_data, err);
}

void sms_deinit(struct sms *sms)
{
	buf_deinit(&sms->raw);
	buf_deinit(&sms->flag);
	buf_deinit(&sms->categories);
}

/* ---- to the phone ---- */

static void encode_kept(struct wbxml_writer *w, const struct email *email)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *text =
			mime_field_text(arena, email->body.bytes, email->body.len, kept[i].field);

		if (text == NULL && kept[i].tag == TAG_Email_From)
			text = email->set_aside ? email->summary->from : NULL;
		if (text == NULL && kept[i].tag == TAG_Email_InternetCPID)
			text = "65001";
		if (text != NULL)
			wbxml_add_text(w, kept[i].tag, text);
	}
}

static const struct sync_body_preference *text_preference(const struct sync_options *o)
{
	for (size_t i = 0; i < o->preference_count; i++) {
		if (o->preferences[i].type == MIME_BODY_TEXT)
			return &o->preferences[i];
	}
	return NULL;
}

/* Always plain text, whatever the phone prefers, and byte for byte as it came. */
static int encode_body(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	const struct sync_body_preference *p = text_preference(view->options);
	size_t max = p != NULL && p->has_truncation ? p->truncation_bytes : SIZE_MAX, shown;
	const struct mime_summary *s = email->summary;
	struct buf text = BUF_INIT;
	unsigned number;

	if (s->text_part >= 0 && mime_part_decode(s, email->body.bytes, email->body.len,
					 (uint32_t)s->text_part, &text, err) < 0) {
		buf_deinit(&text);
		return -1;
	}
	shown = text.len > 0 ? utf8_floor((const char *)text.data, text.len, MIN(max, text.len))
			     : 0;
	if (p != NULL && shown < text.len && p->all_or_none)
		shown = 0;
	wbxml_start(w, TAG_AirSyncBase_Body);
	wbxml_add_uint(w, TAG_AirSyncBase_Type, MIME_BODY_TEXT);
	wbxml_add_uint(w, TAG_AirSyncBase_EstimatedDataSize, text.len);
	if (shown < text.len)
		wbxml_add_bool(w, TAG_AirSyncBase_Truncated, true);
	if (shown > 0 && view->add_part != NULL) {
		view->add_part(view->part_owner, text.data, shown, &number);
		wbxml_add_uint(w, TAG_ItemOperations_Part, number);
	} else if (shown > 0) {
		wbxml_add_textn(w, TAG_AirSyncBase_Data, (const char *)text.data, shown);
	} else if (p != NULL && p->preview_chars > 0) {
		email_encode_preview(w, email, p->preview_chars);
	}
	wbxml_end(w);
	buf_deinit(&text);
	return 0;
}

int sms_encode(struct wbxml_writer *w, const struct email *email, const struct email_view *view,
	struct err *err)
{
	const struct item *item = email->item;
	char date[EAS_DATE_SIZE];

	encode_kept(w, email);
	wbxml_add_text(w, TAG_Email_DateReceived,
		eas_date_format(item->row.date_at * 1000, EAS_DATE_DASHED, date));
	wbxml_add_uint(w, TAG_Email_Importance, email->summary->importance);
	wbxml_add_bool(w, TAG_Email_Read, item->is_read);
	email_flag_encode(w, item->flag_status, item->flag, item->flag_len);
	if (encode_body(w, email, view, err) < 0)
		return -1;
	if (item->categories_len > 0 || view->is_change)
		email_categories_encode(w, item->categories, item->categories_len);
	return 0;
}
