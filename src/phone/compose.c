/*
 * A message from its properties, when the server sends the body as text or HTML, or no body at all.
 * Headers are UTF-8 as they come (RFC 6532); line breaks in them become blanks.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "phone/phone.h"

static void add_header(struct buf *out, const char *name, const char *value)
{
	if (value == NULL || *value == 0)
		return;
	buf_addf(out, "%s: ", name);
	for (; *value != 0; value++)
		buf_add_byte(out, (unsigned char)*value < ' ' ? ' ' : (uint8_t)*value);
	buf_add_str(out, "\r\n");
}

static void add_date(struct buf *out, int64_t at)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)at;
	struct tm tm;

	if (at == 0 || gmtime_r(&t, &tm) == NULL)
		return;
	buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday,
		months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void compose_message(const struct answer_mail *mail, struct buf *out)
{
	add_header(out, "From", mail->from);
	add_header(out, "To", mail->to);
	add_header(out, "Cc", mail->cc);
	add_header(out, "Reply-To", mail->reply_to);
	add_header(out, "Subject", mail->subject);
	add_date(out, mail->received_at);
	if (mail->importance != 1)
		add_header(out, "Importance", mail->importance == 2 ? "high" : "low");
	buf_addf(out,
		"MIME-Version: 1.0\r\nContent-Type: text/%s; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n",
		mail->body_type == 2 ? "html" : "plain");
	buf_add(out, mail->data, mail->data_len);
	if (mail->data_len > 0 && mail->data[mail->data_len - 1] != '\n')
		buf_add_str(out, "\r\n");
}
