/*
 * What may be seen of a document in a trace, and a rendering of documents that need not be whole:
 * tags by tags, as far as the bytes go. The allow-list is public.def.
 *
 * Pure; any thread. Limits: DEPTH_MAX open elements, texts of TEXT_MAX bytes are shown; the output
 * is bounded by its buffer.
 */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "wbxml/wbxml.h"

#define DEPTH_MAX 64
#define TEXT_MAX  128

enum { SWITCH_PAGE = 0x00, END = 0x01, STR_I = 0x03, OPAQUE = 0xc3, CONTENT = 0x40 };

/* ---- what may be shown ---- */

static bool is_number(const char *text, size_t len)
{
	size_t dashes = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '-')
			dashes++;
		else if (!isdigit((unsigned char)text[i]))
			return false;
	}
	return len > 0 && len <= 24 && dashes <= 1;
}

/* "5", "5:17", "Mail0" of nobody: with a digit, and no letters but those of a hexadecimal number.
 */
static bool is_id(const char *text, size_t len)
{
	bool digit = false;

	for (size_t i = 0; i < len; i++) {
		if (!isxdigit((unsigned char)text[i]) && strchr(":-", text[i]) == NULL)
			return false;
		digit = digit || isdigit((unsigned char)text[i]);
	}
	return digit && len <= 64;
}

static bool is_date(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) && strchr("-:.TZ", text[i]) == NULL)
			return false;
	}
	return len >= 8 && len <= 30;
}

static bool is_word(const char *text, size_t len)
{
	static const char *const words[] = {"Email", "Calendar", "Contacts", "Tasks", "Notes",
		"SMS", "RecipientInfoCache", "Mailbox", "GAL", "HTML", "TEXT",
		"MS-WAP-Provisioning-XML", "MS-EAS-Provisioning-WBXML", "IPM.Note",
		"IPM.Note.SMIME", "IPM.Note.SMIME.MultipartSigned", "IPM.Schedule.Meeting.Request",
		"IPM.Schedule.Meeting.Canceled", "IPM.Schedule.Meeting.Resp.Pos",
		"IPM.Schedule.Meeting.Resp.Neg", "IPM.Schedule.Meeting.Resp.Tent",
		"IPM.Note.Mobile.SMS", "REPORT.IPM.Note.NDR", "REPORT.IPM.Note.DR",
		"urn:content-classes:message", "urn:content-classes:calendarmessage"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	}
	return false;
}

enum kind { KIND_NONE, KIND_NUMBER, KIND_ID, KIND_WORD, KIND_DATE };

static enum kind kind_of(unsigned tag)
{
	switch (tag) {
#define PUBLIC(ns, name, kind)                                                                     \
	case TAG_##ns##_##name:                                                                    \
		return KIND_##kind;
#include "wbxml/public.def"
#undef PUBLIC
	default:
		return KIND_NONE;
	}
}

bool wbxml_text_is_public(unsigned tag, const char *text, size_t len)
{
	switch (kind_of(tag)) {
	case KIND_NUMBER:
		return is_number(text, len);
	case KIND_ID:
		return is_id(text, len);
	case KIND_WORD:
		return is_word(text, len);
	case KIND_DATE:
		return is_date(text, len);
	case KIND_NONE:
		break;
	}
	return false;
}

/* ---- documents, as far as they go ---- */

struct tracer {
	struct rd in;
	struct buf *out;
	unsigned page, depth;
	uint16_t open[DEPTH_MAX];
	bool in_line; /* a start tag was the last thing written */
};

static void indent(struct tracer *t, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_add(t->out, "  ", 2);
}

/* Before something that stands on a line of its own. */
static void new_line(struct tracer *t)
{
	if (t->in_line)
		buf_add_byte(t->out, '\n');
	t->in_line = false;
}

/* Multi-byte integer of WBXML: seven bits a byte, the highest first. */
static uint32_t read_length(struct rd *in)
{
	uint32_t value = 0;
	uint8_t byte;

	do {
		byte = rd_u8(in);
		if (value > UINT32_MAX >> 7)
			in->failed = true;
		value = value << 7 | (byte & 0x7f);
	} while ((byte & 0x80) != 0 && !in->failed);
	return value;
}

static void on_text(struct tracer *t)
{
	const uint8_t *end = memchr(t->in.p, 0, rd_left(&t->in));
	size_t len = end != NULL ? (size_t)(end - t->in.p) : rd_left(&t->in);
	const char *text = (const char *)t->in.p;

	if (end != NULL && t->depth > 0 && len <= TEXT_MAX &&
		wbxml_text_is_public(t->open[t->depth - 1], text, len))
		buf_add(t->out, text, len);
	else if (end != NULL)
		buf_addf(t->out, "[%zu bytes]", len);
	t->in.p += end != NULL ? len + 1 : len;
	t->in.failed = end == NULL;
}

static void on_opaque(struct tracer *t)
{
	uint32_t len = read_length(&t->in);

	if (!t->in.failed)
		buf_addf(t->out, "[opaque, %u bytes]", len);
	(void)rd_bytes(&t->in, len);
}

static void on_end(struct tracer *t)
{
	char name[64];

	if (t->depth == 0) {
		t->in.failed = true;
		return;
	}
	t->depth--;
	if (!t->in_line)
		indent(t, t->depth);
	t->in_line = false;
	buf_addf(t->out, "</%s>\n", wbxml_tag_to_str(t->open[t->depth], name, sizeof(name)));
}

/* False: an attribute, or deeper than anything of ours. */
static bool on_tag(struct tracer *t, uint8_t token)
{
	unsigned tag = t->page << 8 | (token & 0x3fu);
	char name[64];

	if ((token & 0x80) != 0 || (token & 0x3f) < 5 || t->depth == DEPTH_MAX)
		return false;
	new_line(t);
	indent(t, t->depth);
	buf_addf(t->out, "<%s", wbxml_tag_to_str(tag, name, sizeof(name)));
	if ((token & CONTENT) == 0) {
		buf_add_str(t->out, "/>\n");
		return true;
	}
	buf_add_byte(t->out, '>');
	t->in_line = true;
	t->open[t->depth++] = (uint16_t)tag;
	return true;
}

static bool on_token(struct tracer *t, uint8_t token)
{
	switch (token) {
	case SWITCH_PAGE:
		t->page = rd_u8(&t->in);
		return true;
	case END:
		on_end(t);
		return true;
	case STR_I:
		on_text(t);
		return true;
	case OPAQUE:
		on_opaque(t);
		return true;
	default:
		return on_tag(t, token);
	}
}

void wbxml_trace(const void *bytes, size_t len, struct buf *out)
{
	struct tracer t = {.out = out};
	bool understood = true;

	rd_init(&t.in, bytes, len);
	understood = rd_u8(&t.in) == 0x03;
	(void)read_length(&t.in);
	(void)read_length(&t.in);
	understood = read_length(&t.in) == 0 && understood && !t.in.failed;
	while (understood && !t.in.failed && !out->failed && rd_left(&t.in) > 0)
		understood = on_token(&t, rd_u8(&t.in));
	new_line(&t);
	if (!understood)
		buf_add_str(out, "[no WBXML that could be shown]\n");
	else if (t.depth > 0 || t.in.failed)
		buf_add_str(out, "[the rest was not kept]\n");
}
