/*
 * Reads the messages of Sync and ItemOperations answers. Rules as in answer.c.
 */
#include "client/answer.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/answer_internal.h"

/* n digits as a number; -1 when one is none. */
static int digits(const char *s, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

/* Days since 1970-01-01 of a civil date (Howard Hinnant's days_from_civil). */
static int64_t days_of(int y, int m, int d)
{
	int64_t era, yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

int64_t answer_date(const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);
	bool dashed = len >= 20 && text[4] == '-' && text[7] == '-' && text[10] == 'T' &&
		      text[13] == ':' && text[16] == ':' && text[len - 1] == 'Z';
	bool compact = len == 16 && text[8] == 'T' && text[15] == 'Z';
	int y, mo, d, h, mi, s;

	if (!dashed && !compact)
		return 0;
	y = digits(text, 4);
	mo = digits(text + (dashed ? 5 : 4), 2);
	d = digits(text + (dashed ? 8 : 6), 2);
	h = digits(text + (dashed ? 11 : 9), 2);
	mi = digits(text + (dashed ? 14 : 11), 2);
	s = digits(text + (dashed ? 17 : 13), 2);
	if (y < 1601 || mo < 1 || mo > 12 || d < 1 || d > 31 || h < 0 || h > 23 || mi < 0 ||
		mi > 59 || s < 0 || s > 60)
		return 0;
	return days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
}

/* 12.0 and later: AirSyncBase Body. */
static void read_body(const struct wbxml_node *body, struct answer_mail *m)
{
	const struct wbxml_node *bytes = wbxml_find(body, TAG_AirSyncBase_Data);
	const char *truncated = wbxml_text(body, TAG_AirSyncBase_Truncated);

	m->has_body = true;
	m->body_type = answer_number(wbxml_text(body, TAG_AirSyncBase_Type), 0);
	m->truncated = answer_true(truncated);
	m->estimated_bytes = answer_number(wbxml_text(body, TAG_AirSyncBase_EstimatedDataSize), 0);
	if (bytes != NULL) {
		m->data = bytes->text;
		m->data_len = bytes->len;
	} else if (m->estimated_bytes > 0) {
		m->truncated = true;
	}
}

/* 2.5: MIMEData, or Body as text, in the Email page. */
static void read_old_body(const struct wbxml_node *props, struct answer_mail *m)
{
	const struct wbxml_node *bytes = wbxml_find(props, TAG_Email_MIMEData);
	bool mime = bytes != NULL || wbxml_find(props, TAG_Email_MIMESize) != NULL;

	if (bytes == NULL)
		bytes = wbxml_find(props, TAG_Email_Body);
	if (bytes == NULL && !mime && wbxml_find(props, TAG_Email_BodySize) == NULL)
		return;
	m->has_body = true;
	m->body_type = mime ? 4 : 1;
	m->estimated_bytes =
		answer_number(wbxml_text(props, mime ? TAG_Email_MIMESize : TAG_Email_BodySize), 0);
	m->truncated = answer_true(
		wbxml_text(props, mime ? TAG_Email_MIMETruncated : TAG_Email_BodyTruncated));
	if (bytes != NULL) {
		m->data = bytes->text;
		m->data_len = bytes->len;
	}
}

static void read_mail(const struct wbxml_node *props, struct answer_mail *m)
{
	const struct wbxml_node *flag = wbxml_find(props, TAG_Email_Flag);
	const struct wbxml_node *body = wbxml_find(props, TAG_AirSyncBase_Body);
	const char *read = wbxml_text(props, TAG_Email_Read);

	m->has_read = read != NULL;
	m->read = answer_true(read);
	m->has_flag = flag != NULL;
	m->flagged = answer_number(wbxml_text(flag, TAG_Email_Status), 0) == 2;
	m->from = wbxml_text(props, TAG_Email_From);
	m->to = wbxml_text(props, TAG_Email_To);
	m->cc = wbxml_text(props, TAG_Email_Cc);
	m->reply_to = wbxml_text(props, TAG_Email_ReplyTo);
	m->subject = wbxml_text(props, TAG_Email_Subject);
	m->message_class = wbxml_text(props, TAG_Email_MessageClass);
	m->received_at = answer_date(wbxml_text(props, TAG_Email_DateReceived));
	m->importance = MIN(answer_number(wbxml_text(props, TAG_Email_Importance), 1), 2);
	if (body != NULL)
		read_body(body, m);
	else
		read_old_body(props, m);
}

static bool read_item(const struct wbxml_node *node, bool response, struct answer_item *ret)
{
	static const struct {
		unsigned tag;
		enum answer_item_kind kind;
	} kinds[] = {
		{TAG_AirSync_Add, ANSWER_ADD},
		{TAG_AirSync_Change, ANSWER_CHANGE},
		{TAG_AirSync_Delete, ANSWER_DELETE},
		{TAG_AirSync_SoftDelete, ANSWER_SOFT_DELETE},
		{TAG_AirSync_Fetch, ANSWER_FETCH},
	};
	const struct wbxml_node *props = wbxml_find(node, TAG_AirSync_ApplicationData);
	struct answer_item item = {0};
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds) && kinds[i].tag != node->tag; i++)
		;
	if (i == ARRAY_LEN(kinds) || (kinds[i].kind == ANSWER_FETCH && !response))
		return false;
	item.kind = kinds[i].kind;
	item.server_id = answer_id(node, TAG_AirSync_ServerId);
	item.status = answer_number(wbxml_text(node, TAG_AirSync_Status), response ? 0 : 1);
	if (item.server_id == NULL)
		return false;
	if (props != NULL)
		read_mail(props, &item.mail);
	*ret = item;
	return true;
}

static const struct answer_item *read_items(
	struct arena *arena, const struct wbxml_node *list, bool response, size_t *ret_count)
{
	struct answer_item *items;
	size_t n = 1;

	for (const struct wbxml_node *c = list == NULL ? NULL : list->child; c != NULL; c = c->next)
		n++;
	items = arena_x_alloc(arena, n * sizeof(*items));
	n = 0;
	for (const struct wbxml_node *c = list == NULL ? NULL : list->child; c != NULL;
		c = c->next) {
		if (read_item(c, response, &items[n]))
			n++;
	}
	*ret_count = n;
	return items;
}

int answer_sync(struct arena *arena, const struct wbxml_node *root, struct answer_sync *ret,
	struct err *err)
{
	struct answer_sync a = {0};
	struct answer_collection *list;
	const struct wbxml_node *collections;
	size_t n = 1;

	if (root == NULL || root->tag != TAG_AirSync_Sync)
		return err_set(err, ERR_BAD_INPUT, "the server's answer to Sync is no Sync");
	a.status = answer_number(wbxml_text(root, TAG_AirSync_Status), 0);
	a.limit = answer_number(wbxml_text(root, TAG_AirSync_Limit), 0);
	collections = wbxml_find(root, TAG_AirSync_Collections);
	for (const struct wbxml_node *c = wbxml_find(collections, TAG_AirSync_Collection);
		c != NULL; c = wbxml_next(c, TAG_AirSync_Collection))
		n++;
	a.collections = list = arena_x_alloc(arena, n * sizeof(*list));
	for (const struct wbxml_node *c = wbxml_find(collections, TAG_AirSync_Collection);
		c != NULL; c = wbxml_next(c, TAG_AirSync_Collection)) {
		struct answer_collection *to = &list[a.collection_count++];

		to->id = answer_id(c, TAG_AirSync_CollectionId);
		to->sync_key = answer_id(c, TAG_AirSync_SyncKey);
		to->status = answer_number(wbxml_text(c, TAG_AirSync_Status), 1);
		to->more = wbxml_find(c, TAG_AirSync_MoreAvailable) != NULL;
		to->items = read_items(
			arena, wbxml_find(c, TAG_AirSync_Commands), false, &to->item_count);
		to->responses = read_items(
			arena, wbxml_find(c, TAG_AirSync_Responses), true, &to->response_count);
	}
	*ret = a;
	return 0;
}

const struct answer_collection *answer_sync_find(const struct answer_sync *s, const char *id)
{
	for (size_t i = 0; i < s->collection_count; i++) {
		if (str_eq(s->collections[i].id, id))
			return &s->collections[i];
	}
	if (s->collection_count == 1 && s->collections[0].id == NULL)
		return &s->collections[0];
	return NULL;
}

int answer_fetch(const struct wbxml_node *root, unsigned *ret_status, struct answer_mail *ret,
	struct err *err)
{
	const struct wbxml_node *fetch, *props;
	struct answer_mail mail = {0};
	unsigned status;

	if (root == NULL || root->tag != TAG_ItemOperations_ItemOperations)
		return err_set(err, ERR_BAD_INPUT,
			"the server's answer to ItemOperations is no ItemOperations");
	status = answer_number(wbxml_text(root, TAG_ItemOperations_Status), 0);
	fetch = wbxml_find(wbxml_find(root, TAG_ItemOperations_Response), TAG_ItemOperations_Fetch);
	if (status == 1)
		status = answer_number(wbxml_text(fetch, TAG_ItemOperations_Status), 0);
	props = wbxml_find(fetch, TAG_ItemOperations_Properties);
	if (props != NULL)
		read_mail(props, &mail);
	if (status == 0)
		return err_set(err, ERR_BAD_INPUT, "the ItemOperations answer has no Status");
	*ret_status = status;
	*ret = mail;
	return 0;
}
