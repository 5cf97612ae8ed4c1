/*
 * The message that explains a quarantine: made when it is shown, stored nowhere. It goes through
 * the same parser and encoder as any other, so every version and body type gets what it can show.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email.h"

/* Lines end with CR LF whatever the administrator's editor made of them. */
static void add_lines(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			buf_add_byte(out, '\r');
		if (*text != '\r')
			buf_add_byte(out, (uint8_t)*text);
	}
	buf_add_str(out, "\r\n");
}

static void compose(const struct email_notice *n, uint64_t owner, struct buf *out)
{
	struct buf lines = BUF_INIT, coded = BUF_INIT;

	buf_addf(out, "From: Mail server <postmaster@%s>\r\nTo: %s\r\nSubject: ", n->domain, n->to);
	mime_header_encode(out, n->subject, strlen(n->subject));
	buf_add_str(out, "\r\nDate: ");
	mime_add_date(out, n->at);
	buf_addf(out,
		"\r\nMessage-ID: <quarantine.%" PRIu64 ".%" PRIu64 "@%s>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
		"\r\n",
		owner, (uint64_t)n->at, n->domain);
	add_lines(&lines, n->text);
	base64_add(&coded, lines.data, lines.len);
	for (size_t at = 0; at < coded.len; at += 76) {
		buf_add(out, coded.data + at, MIN(coded.len - at, (size_t)76));
		buf_add_str(out, "\r\n");
	}
	buf_deinit(&lines);
	buf_deinit(&coded);
}

int email_notice_make(const struct email_notice *notice, struct owner_id owner,
	const struct folder *folder, struct item_id id, struct arena *arena, struct email *ret,
	struct err *err)
{
	const struct mime_limits limits = {.parts = 10, .depth = 5, .header_bytes = 65536};
	struct email email = {.owner = owner,
		.folder = folder->id,
		.folder_type = folder->type,
		.has_body = true,
		.set_aside = true};
	struct item *item = arena_x_new(arena, struct item);
	struct buf raw = BUF_INIT;

	compose(notice, owner.v, &raw);
	item->row = (struct item_row){.id = id, .date_at = notice->at, .item_class = ITEM_MAIL};
	item->body_bytes = raw.len;
	email.item = item;
	email.body = (struct store_body){
		.bytes = (const uint8_t *)arena_x_strndup(arena, buf_cstr(&raw), raw.len),
		.len = raw.len};
	buf_deinit(&raw);
	if (mime_summarize(arena, email.body.bytes, email.body.len, &limits, &email.summary, err) <
		0)
		return -1;
	*ret = email;
	return 0;
}
