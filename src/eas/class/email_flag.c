/*
 * Flags and categories of mail. In the store a flag's properties are a run of (tag, text) pairs, so
 * that what a phone sent comes back unchanged; categories are a count and their names.
 */
#include "eas/class/email.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eas/date.h"

#define FLAG_ACTIVE 2
/* What phones call a flag that nobody named ([MS-ASEMAIL] 3.2.5.4.2 requires a name). */
#define FLAG_TYPE "Flag for follow up"

static bool is_date(unsigned tag)
{
	static const unsigned tags[] = {TAG_Tasks_DateCompleted, TAG_Email_CompleteTime,
		TAG_Tasks_StartDate, TAG_Tasks_DueDate, TAG_Tasks_UtcStartDate,
		TAG_Tasks_UtcDueDate, TAG_Tasks_ReminderTime, TAG_Tasks_OrdinalDate};

	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		if (tags[i] == tag)
			return true;
	}
	return false;
}

/* Dates are kept in the form that mail has, an empty tag as the 1 that it counts
 * for. */
static void add_property(struct buf *out, const struct wbxml_node *n)
{
	char date[EAS_DATE_SIZE];
	const char *text = n->text;
	size_t len = n->len;
	int64_t at_ms;

	if (is_date(n->tag) && eas_date_parse(n->text, n->len, EAS_DATE_ANY, &at_ms)) {
		text = eas_date_format(at_ms, EAS_DATE_DASHED, date);
		len = strlen(text);
	} else if (n->tag == TAG_Tasks_ReminderSet && n->len == 0) {
		text = "1";
		len = 1;
	}
	buf_add_u16(out, n->tag);
	buf_add_varint(out, len);
	buf_add(out, text, len);
}

void email_flag_parse(const struct wbxml_node *flag, uint8_t *ret_status, struct buf *ret_blob)
{
	const char *status = wbxml_text(flag, TAG_Email_Status);

	*ret_status = status == NULL ? 0 : (uint8_t)(status[0] - '0');
	if (flag->child != NULL && status == NULL)
		*ret_status = FLAG_ACTIVE;
	if (*ret_status == 0)
		return;
	for (const struct wbxml_node *n = flag->child; n != NULL; n = n->next) {
		if (n->tag == TAG_Email_Status)
			continue;
		add_property(ret_blob, n);
	}
}

void email_flag_encode(struct wbxml_writer *w, uint8_t status, const uint8_t *blob, size_t len)
{
	struct rd in;
	bool named = false;

	wbxml_start(w, TAG_Email_Flag);
	if (status != 0) {
		wbxml_add_uint(w, TAG_Email_Status, status);
		rd_init(&in, blob, len);
		while (rd_left(&in) > 0) {
			uint16_t tag = rd_u16(&in);
			size_t text_len = rd_varint(&in);
			const uint8_t *text = rd_bytes(&in, text_len);

			if (in.failed)
				break;
			wbxml_add_textn(w, tag, (const char *)text, text_len);
			named |= tag == TAG_Email_FlagType;
		}
		if (!named)
			wbxml_add_text(w, TAG_Email_FlagType, FLAG_TYPE);
	}
	wbxml_end(w);
}

void email_categories_parse(const struct wbxml_node *categories, struct buf *ret_blob)
{
	size_t count = 0;

	for (const struct wbxml_node *n = categories->child; n != NULL; n = n->next)
		count++;
	if (count == 0)
		return;
	buf_add_varint(ret_blob, count);
	for (const struct wbxml_node *n = categories->child; n != NULL; n = n->next) {
		buf_add_varint(ret_blob, n->len);
		buf_add(ret_blob, n->text, n->len);
	}
}

void email_categories_encode(struct wbxml_writer *w, const uint8_t *blob, size_t len)
{
	struct rd in;
	uint64_t count;

	wbxml_start(w, TAG_Email_Categories);
	rd_init(&in, blob, len);
	count = len > 0 ? rd_varint(&in) : 0;
	for (uint64_t i = 0; i < count; i++) {
		size_t text_len = rd_varint(&in);
		const uint8_t *text = rd_bytes(&in, text_len);

		if (in.failed)
			break;
		wbxml_add_textn(w, TAG_Email_Category, (const char *)text, text_len);
	}
	wbxml_end(w);
}
