/*
 * Reports of failed delivery (RFC 3462, 3464). What comes from the relay and from the message is
 * cleaned: no line end of theirs gets into a field of ours.
 *
 * Limits: HEADER_MAX bytes of the message's head, ANSWER_MAX of an answer. Pure; any thread.
 */
#include "submit/bounce.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime.h"

#define HEADER_MAX ((size_t)64 * 1024)
#define ANSWER_MAX ((size_t)400)

static void add_field_date(struct buf *out, const char *name, int64_t at)
{
	buf_add_str(out, name);
	mime_add_date(out, at);
	buf_add_str(out, "\r\n");
}

/* On one line, cut, ASCII. */
static void add_line_text(struct buf *out, const char *text)
{
	size_t len = MIN(strlen(text), ANSWER_MAX);

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		buf_add_byte(out, c < ' ' || c >= 0x7f ? (c < ' ' ? ' ' : '?') : c);
	}
}

/* A person's text may be UTF-8. */
static void add_clean_line(struct buf *out, const char *text)
{
	struct buf clean = BUF_INIT;
	size_t len;

	utf8_add_clean(&clean, text, strlen(text));
	len = utf8_floor(buf_cstr(&clean), clean.len, ANSWER_MAX);
	for (size_t i = 0; i < len; i++)
		buf_add_byte(out, clean.data[i] < ' ' ? ' ' : clean.data[i]);
	buf_deinit(&clean);
}

/* "5.1.1" where the relay said one, else by its reply code. A failure that is reported is
 * permanent, whatever the last answer was: 4.x becomes "delivery time expired". */
static void add_status(struct buf *out, const char *answer)
{
	const char *p = answer + 4;
	size_t n;

	if (strlen(answer) < 4 || answer[0] != '5') {
		buf_add_str(out, "4.4.7");
		return;
	}
	n = strspn(p, "0123456789.");
	if (n >= 5 && n <= 11 && p[0] == '5' && p[1] == '.' && p[n - 1] != '.' &&
		strchr(p + 2, '.') != NULL && (p[n] == ' ' || p[n] == '\0'))
		buf_add(out, p, n);
	else
		buf_add_str(out, "5.0.0");
}

static void add_head(const struct bounce *b, const char *boundary, struct buf *out)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_envelope *original = NULL;
	struct err ignored = ERR_INIT;

	buf_addf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <", b->hostname);
	add_clean_line(out, b->to);
	buf_add_str(out, ">\r\nSubject: Undelivered mail returned to sender\r\n");
	add_field_date(out, "Date: ", b->now_at);
	buf_addf(out, "Message-ID: <%016llx%016llx@%s>\r\n", (unsigned long long)random_u64(),
		(unsigned long long)random_u64(), b->hostname);
	if (mime_envelope_read(arena, b->raw, b->len, &original, &ignored) == 0 &&
		original->message_id[0] != '\0') {
		buf_add_str(out, "In-Reply-To: <");
		add_line_text(out, original->message_id);
		buf_add_str(out, ">\r\nReferences: <");
		add_line_text(out, original->message_id);
		buf_add_str(out, ">\r\n");
	}
	buf_addf(out,
		"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n"
		"\tboundary=\"%s\"\r\n\r\nThis is a report of failed delivery.\r\n",
		boundary);
}

static void add_text(const struct bounce *b, const char *boundary, struct buf *out)
{
	buf_addf(out,
		"\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n"
		"This is the mail server at %s.\r\n\r\n"
		"Your message could not be delivered to:\r\n",
		boundary, b->hostname);
	for (size_t i = 0; i < b->recipient_count; i++) {
		buf_add_str(out, "\r\n<");
		add_clean_line(out, b->recipients[i].address);
		buf_add_str(out, ">\r\n    ");
		add_clean_line(out, b->recipients[i].answer);
		buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\nNobody tries any further. The head of your message is attached.\r\n");
}

static void add_facts(const struct bounce *b, const char *boundary, struct buf *out)
{
	buf_addf(out,
		"\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "
		"%s\r\n",
		boundary, b->hostname);
	add_field_date(out, "Arrival-Date: ", b->queued_at);
	for (size_t i = 0; i < b->recipient_count; i++) {
		const struct bounce_recipient *r = &b->recipients[i];
		const char *answer = r->answer;
		bool smtp = answer[0] >= '2' && answer[0] <= '5';

		buf_add_str(out, "\r\nFinal-Recipient: rfc822; ");
		add_line_text(out, r->address);
		buf_add_str(out, "\r\nAction: failed\r\nStatus: ");
		add_status(out, answer);
		buf_addf(out, "\r\nDiagnostic-Code: %s; ", smtp ? "smtp" : "x-bellhop");
		add_line_text(out, answer);
		buf_add_str(out, "\r\n");
		if (r->last_at != 0)
			add_field_date(out, "Last-Attempt-Date: ", r->last_at);
	}
}

/* Header bytes as they stand; they begin and end with whole lines. */
static void add_original(const struct bounce *b, const char *boundary, struct buf *out)
{
	const char *raw = b->raw, *end = memmem(b->raw, b->len, "\r\n\r\n", 4);
	size_t len = end != NULL ? (size_t)(end - raw) + 2 : b->len;

	if (len > HEADER_MAX) {
		const char *cut = memrchr(raw, '\n', HEADER_MAX);

		len = cut != NULL ? (size_t)(cut - raw) + 1 : 0;
	}
	buf_addf(out, "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\n\r\n", boundary);
	buf_add(out, raw, len);
	buf_addf(out, "\r\n--%s--\r\n", boundary);
}

void bounce_compose(const struct bounce *b, struct buf *out)
{
	CLEANUP(mem_freep)
	char *boundary = x_printf("report-%016llx%016llx", (unsigned long long)random_u64(),
		(unsigned long long)random_u64());

	add_head(b, boundary, out);
	add_text(b, boundary, out);
	add_facts(b, boundary, out);
	add_original(b, boundary, out);
}
