/*
 * MessageClass and ContentClass of a message (classes.md 3.4): S/MIME, meeting mail, reports.
 * Looks at the part tree, and into calendar and report parts where the header does not say enough.
 * Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

/* Calendar and report parts are looked into up to here. */
#define LOOK_BYTES ((size_t)64 * 1024)

static const struct mime_node *find_type(const struct mime_tree *tree, const char *type)
{
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->nodes[i].kind == MIME_NODE_LEAF &&
			strcmp(tree->nodes[i].type.type, type) == 0)
			return &tree->nodes[i];
	}
	return NULL;
}

static void decode_start(struct buf *out, const struct mime_node *n, const char *raw)
{
	mime_transfer_add(
		out, n->encoding, raw + n->body, MIN((size_t)(n->end - n->body), LOOK_BYTES));
}

/* "NAME" at the start of a line (or behind `;` when in_params), then its value up to a separator.
 */
static bool find_value(struct buf *text, const char *name, char *ret, size_t ret_size)
{
	const char *p = buf_cstr(text);
	size_t name_len = strlen(name);

	while ((p = strcasestr(p, name)) != NULL) {
		size_t n = 0;

		p += name_len;
		while (*p == ' ' || *p == '\t')
			p++;
		while (n + 1 < ret_size && p[n] != 0 && strchr(":;\r\n ,\"", p[n]) == NULL) {
			ret[n] = p[n];
			n++;
		}
		ret[n] = 0;
		if (n > 0)
			return true;
	}
	return false;
}

static const char *reply_class(struct buf *text)
{
	char partstat[32];

	if (!find_value(text, "PARTSTAT=", partstat, sizeof(partstat)))
		return "IPM.Schedule.Meeting.Resp.Tent";
	if (str_eq_nocase(partstat, "ACCEPTED"))
		return "IPM.Schedule.Meeting.Resp.Pos";
	if (str_eq_nocase(partstat, "DECLINED"))
		return "IPM.Schedule.Meeting.Resp.Neg";
	return "IPM.Schedule.Meeting.Resp.Tent";
}

/* NULL: a calendar part that asks nothing of anyone. */
static const char *meeting_class(const struct mime_node *n, const char *raw)
{
	struct buf text = BUF_INIT;
	char method[32] = "";
	const char *class = NULL;

	decode_start(&text, n, raw);
	if (*n->type.method == 0)
		(void)find_value(&text, "METHOD:", method, sizeof(method));
	else if (strlen(n->type.method) < sizeof(method))
		memcpy(method, n->type.method, strlen(n->type.method) + 1);
	if (str_eq_nocase(method, "REQUEST"))
		class = "IPM.Schedule.Meeting.Request";
	else if (str_eq_nocase(method, "CANCEL"))
		class = "IPM.Schedule.Meeting.Canceled";
	else if (str_eq_nocase(method, "REPLY"))
		class = reply_class(&text);
	else if (str_eq_nocase(method, "COUNTER"))
		class = "IPM.Schedule.Meeting.Resp.Tent";
	buf_deinit(&text);
	return class;
}

static const char *report_class(const struct mime_tree *tree, const char *raw)
{
	const struct mime_node *n = find_type(tree, "message/delivery-status");
	const char *class = NULL;
	struct buf text = BUF_INIT;
	char word[64] = "";

	if (n != NULL) {
		decode_start(&text, n, raw);
		(void)find_value(&text, "\nAction:", word, sizeof(word));
		if (str_eq_nocase(word, "delayed"))
			class = "REPORT.IPM.NOTE.DELAYED";
		else if (str_eq_nocase(word, "delivered") || str_eq_nocase(word, "relayed") ||
			 str_eq_nocase(word, "expanded"))
			class = "REPORT.IPM.NOTE.DR";
		else
			class = "REPORT.IPM.NOTE.NDR";
	} else if ((n = find_type(tree, "message/disposition-notification")) != NULL) {
		decode_start(&text, n, raw);
		/* Disposition: manual-action/MDN-sent-manually; displayed */
		class = strcasestr(buf_cstr(&text), "; deleted") != NULL ||
					strcasestr(buf_cstr(&text), ";deleted") != NULL
				? "REPORT.IPM.NOTE.IPNNRN"
				: "REPORT.IPM.NOTE.IPNRN";
	}
	buf_deinit(&text);
	return class;
}

static bool is_pkcs7(const char *type)
{
	return strcmp(type, "application/pkcs7-mime") == 0 ||
	       strcmp(type, "application/x-pkcs7-mime") == 0;
}

static const char *find_class(const struct mime_tree *tree, const char *raw, struct mime_summary *s)
{
	const struct mime_node *root = &tree->nodes[0], *calendar;
	const char *class = NULL;

	if (is_pkcs7(root->type.type) && !str_eq_nocase(root->type.smime_type, "compressed-data")) {
		s->is_smime = true;
		return str_eq_nocase(root->type.smime_type, "signed-receipt")
			       ? "IPM.Note.Receipt.SMIME"
			       : "IPM.Note.SMIME";
	}
	if (strcmp(root->type.type, "multipart/signed") == 0) {
		s->is_smime = strcasestr(root->type.protocol, "pgp") == NULL;
		return "IPM.Note.SMIME.MultipartSigned";
	}
	if (strcmp(root->type.type, "multipart/report") == 0)
		class = report_class(tree, raw);
	if (class != NULL)
		return class;
	calendar = find_type(tree, "text/calendar");
	return calendar != NULL ? meeting_class(calendar, raw) : NULL;
}

void mime_class_find(const struct mime_tree *tree, const char *raw, struct mime_summary *s)
{
	const char *class = find_class(tree, raw, s);

	s->message_class = class != NULL ? class : "IPM.Note";
	s->content_class = str_starts(s->message_class, "IPM.Schedule.")
				   ? "urn:content-classes:calendarmessage"
				   : "urn:content-classes:message";
}
