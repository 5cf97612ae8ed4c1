/*
 * MessageClass and ContentClass of a message: S/MIME, meeting mail, reports, voice
 * mail. Looks at the part tree, and into calendar and report parts where the header does not say
 * enough; of a report, also at the message that came back.
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

/* ---- reports ---- */

/* What can come back, and how a report of it is named ([MS-ASEMAIL] 2.2.2.49). */
static const struct {
	const char *original, *failed, *delivered;
} reports[] = {
	{"IPM.Note", "REPORT.IPM.NOTE.NDR", "REPORT.IPM.NOTE.DR"},
	{"IPM.Note.SMIME", "REPORT.IPM.NOTE.SMIME.NDR", "REPORT.IPM.NOTE.SMIME.DR"},
	{"IPM.Note.SMIME.MultipartSigned", "REPORT.IPM.NOTE.SMIME.MULTIPARTSIGNED.NDR",
		"REPORT.IPM.NOTE.SMIME.MULTIPARTSIGNED.DR"},
	{"IPM.Schedule.Meeting.Request", "REPORT.IPM.SCHEDULE.MEETING.REQUEST.NDR",
		"REPORT.IPM.SCHEDULE.MEETING.REQUEST.DR"},
	{"IPM.Schedule.Meeting.Canceled", "REPORT.IPM.SCHEDULE.MEETING.CANCELED.NDR",
		"REPORT.IPM.SCHEDULE.MEETING.CANCELED.DR"},
	{"IPM.Schedule.Meeting.Resp.Pos", "REPORT.IPM.SCHEDULE.MEETING.RESP.POS.NDR",
		"REPORT.IPM.SCHEDULE.MEETING.RESP.POS.DR"},
	{"IPM.Schedule.Meeting.Resp.Neg", "REPORT.IPM.SCHEDULE.MEETING.RESP.NEG.NDR",
		"REPORT.IPM.SCHEDULE.MEETING.RESP.NEG.DR"},
	{"IPM.Schedule.Meeting.Resp.Tent", "REPORT.IPM.SCHEDULE.MEETING.RESP.TENT.NDR",
		"REPORT.IPM.SCHEDULE.MEETING.RESP.TENT.DR"},
};

static const char *plain_class(const struct mime_tree *tree, const char *raw, bool *ret_is_smime);

/* The class of a message whose header alone came back. */
static const char *header_class(const char *raw, size_t len)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_header_reader r = {raw, raw + len};
	struct mime_node root = {.kind = MIME_NODE_LEAF, .disposition = "", .filename = ""};
	struct mime_tree tree = {.nodes = &root, .count = 1};
	struct mime_field f;
	bool is_smime;

	mime_param_content_type(arena, arena, (struct mime_slice){NULL, 0}, &root.type);
	while (mime_header_next(&r, &f) == 1) {
		if (mime_header_is(&f, "content-type"))
			mime_param_content_type(arena, arena, f.value, &root.type);
	}
	root.body = root.end = (uint32_t)len;
	return plain_class(&tree, raw, &is_smime);
}

static const char *message_class(const char *raw, size_t len)
{
	const struct mime_limits limits = {.parts = 50, .depth = 10, .header_bytes = LOOK_BYTES};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_tree tree;
	const char *class = NULL;
	bool is_smime;

	mime_scan(arena, raw, len, &limits, &tree);
	if (tree.count > 0)
		class = plain_class(&tree, raw, &is_smime);
	mime_scan_free(&tree);
	/* Many send no more than its beginning back. */
	return class != NULL ? class : header_class(raw, len);
}

/* The message that a report is about, as far as it came back. */
static const char *original_class(const struct mime_tree *tree, const char *raw)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct mime_node *n = &tree->nodes[i];
		bool is_header = strcmp(n->type.type, "text/rfc822-headers") == 0;
		struct buf text = BUF_INIT;
		const char *class;

		if (n->kind != MIME_NODE_MESSAGE && !is_header)
			continue;
		decode_start(&text, n, raw);
		class = (is_header ? header_class : message_class)(buf_cstr(&text), text.len);
		buf_deinit(&text);
		return class != NULL ? class : "IPM.Note";
	}
	return "IPM.Note";
}

static bool starts_line(const struct buf *text, const char *at)
{
	return at == (const char *)text->data || at[-1] == '\n';
}

/* The worst that happened to any recipient ([RFC 3464] 2.3.3): one failure makes it a failure. */
static const char *delivery_class(struct buf *status, const struct mime_tree *tree, const char *raw)
{
	bool delayed = false, delivered = false, failed = false;
	const char *original = original_class(tree, raw), *text = buf_cstr(status);

	for (const char *p = text; (p = strcasestr(p, "action:")) != NULL; p++) {
		const char *value = p + strlen("action:");

		if (!starts_line(status, p))
			continue;
		value += strspn(value, " \t");
		delayed |= str_starts_nocase(value, "delayed");
		delivered |= str_starts_nocase(value, "delivered") ||
			     str_starts_nocase(value, "relayed") ||
			     str_starts_nocase(value, "expanded");
		failed |= str_starts_nocase(value, "failed");
	}
	if (!failed && delayed)
		return "REPORT.IPM.NOTE.DELAYED";
	for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
		if (strcmp(reports[i].original, original) == 0)
			return !failed && delivered ? reports[i].delivered : reports[i].failed;
	}
	return !failed && delivered ? reports[0].delivered : reports[0].failed;
}

/* Disposition: manual-action/MDN-sent-manually; displayed ([RFC 8098] 3.2.6) */
static const char *disposition_class(struct buf *notification)
{
	const char *p = buf_cstr(notification);

	while ((p = strcasestr(p, "disposition:")) != NULL) {
		const char *value = p + strcspn(p, ";\n");

		if (*value == ';' && starts_line(notification, p)) {
			value += 1 + strspn(value + 1, " \t");
			return str_starts_nocase(value, "deleted") ? "REPORT.IPM.NOTE.IPNNRN"
								   : "REPORT.IPM.NOTE.IPNRN";
		}
		p++;
	}
	return "REPORT.IPM.NOTE.IPNRN";
}

static const char *report_class(const struct mime_tree *tree, const char *raw)
{
	const struct mime_node *n;
	const char *class = NULL;
	struct buf text = BUF_INIT;

	if ((n = find_type(tree, "message/delivery-status")) != NULL ||
		(n = find_type(tree, "message/global-delivery-status")) != NULL) {
		decode_start(&text, n, raw);
		class = delivery_class(&text, tree, raw);
	} else if ((n = find_type(tree, "message/disposition-notification")) != NULL ||
		   (n = find_type(tree, "message/global-disposition-notification")) != NULL) {
		decode_start(&text, n, raw);
		class = disposition_class(&text);
	}
	buf_deinit(&text);
	return class;
}

/* ---- S/MIME, voice, and all together ---- */

static bool is_pkcs7(const char *type)
{
	return strcmp(type, "application/pkcs7-mime") == 0 ||
	       strcmp(type, "application/x-pkcs7-mime") == 0;
}

/* Some gateways forget the type; the name says it. */
static bool is_p7m(const struct mime_node *n)
{
	const char *name = *n->filename != 0 ? n->filename : n->type.name;
	size_t len = strlen(name);

	return is_pkcs7(n->type.type) || (strcmp(n->type.type, "application/octet-stream") == 0 &&
						 len > 4 && str_eq_nocase(name + len - 4, ".p7m"));
}

/* Of anything but a report; NULL: an ordinary message. */
static const char *plain_class(const struct mime_tree *tree, const char *raw, bool *ret_is_smime)
{
	const struct mime_node *root = &tree->nodes[0], *calendar;

	if (is_p7m(root) && !str_eq_nocase(root->type.smime_type, "compressed-data")) {
		*ret_is_smime = true;
		return str_eq_nocase(root->type.smime_type, "signed-receipt")
			       ? "IPM.Note.Receipt.SMIME"
			       : "IPM.Note.SMIME";
	}
	if (strcmp(root->type.type, "multipart/signed") == 0) {
		*ret_is_smime = strcasestr(root->type.protocol, "pgp") == NULL;
		return "IPM.Note.SMIME.MultipartSigned";
	}
	calendar = find_type(tree, "text/calendar");
	return calendar != NULL ? meeting_class(calendar, raw) : NULL;
}

/* What voice mail systems write into the header ([MS-OXCMAIL] 2.2.3.2; RFC 3458). */
static const struct {
	const char *field, *value, *class;
} voices[] = {
	{"content-class", "voice-ca", "IPM.Note.Microsoft.Voicemail.UM.CA"},
	{"content-class", "voice-um", "IPM.Note.Microsoft.Voicemail.UM"},
	{"content-class", "voice", "IPM.Note.Microsoft.Voicemail"},
	{"content-class", "missedcall", "IPM.Note.Microsoft.Missed.Voice"},
	{"message-context", "voice-message", "IPM.Note.Microsoft.Voicemail"},
};

static const char *voice_class(const struct mime_tree *tree, const char *raw)
{
	const struct mime_node *root = &tree->nodes[0];
	struct mime_header_reader r = {raw + root->header, raw + root->body};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		for (size_t i = 0; i < ARRAY_LEN(voices); i++) {
			size_t n = strlen(voices[i].value), blanks = 0;

			if (!mime_header_is(&f, voices[i].field))
				continue;
			while (blanks < f.value.len && f.value.p[blanks] == ' ')
				blanks++;
			if (f.value.len - blanks == n &&
				strncasecmp(f.value.p + blanks, voices[i].value, n) == 0)
				return voices[i].class;
		}
	}
	return NULL;
}

void mime_class_find(const struct mime_tree *tree, const char *raw, struct mime_summary *s)
{
	const char *class = NULL;

	if (strcmp(tree->nodes[0].type.type, "multipart/report") == 0)
		class = report_class(tree, raw);
	if (class == NULL)
		class = plain_class(tree, raw, &s->is_smime);
	if (class == NULL)
		class = voice_class(tree, raw);
	s->message_class = class != NULL ? class : "IPM.Note";
	s->content_class = str_starts(s->message_class, "IPM.Schedule.")
				   ? "urn:content-classes:calendarmessage"
				   : "urn:content-classes:message";
}
