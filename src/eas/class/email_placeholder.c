/*
 * What a phone sees in the place of a message that was set aside: a small message of our own
 * making, with the date of the true one. It goes through the same parser and encoder as any other,
 * so every version and body type gets what it can show; of the guilty bytes nothing is read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "eas/class/email.h"
#include "eas/class/email_internal.h"

static const char *format_date(int64_t at, char text[64])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
		strftime(text, 64, "%a, %d %b %Y %H:%M:%S +0000", &tm) == 0)
		text[0] = '\0';
	return text;
}

int email_placeholder(
	struct store_read *rd, struct email *email, struct arena *arena, struct err *err)
{
	const struct mime_limits limits = {.parts = 10, .depth = 5, .header_bytes = 65536};
	const struct item_row *row = &email->item->row;
	char date[64], id[64];
	const char *raw;
	struct user *user;

	if (store_user_load(rd, email->owner, arena, &user, err) < 0)
		return -1;
	(void)snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, email->folder.v, row->id.v);
	raw = arena_x_printf(arena,
		"From: Mail server <postmaster@%s>\r\n"
		"To: %s@%s\r\n"
		"Subject: A message that cannot be shown\r\n"
		"Date: %s\r\n"
		"Message-ID: <set-aside.%" PRIu64 ".%s@%s>\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"\r\n"
		"The server failed while it prepared this message for your phone, and has set it "
		"aside.\r\n"
		"The message itself is kept unchanged. Your administrator can release it:\r\n"
		"\r\n"
		"    bellhop item release %s@%s %s\r\n",
		user->domain, user->login, user->domain, format_date(row->date_at, date),
		email->owner.v, id, user->domain, user->login, user->domain, id);
	email->body = (struct store_body){.bytes = (const uint8_t *)raw, .len = strlen(raw)};
	email->has_body = true;
	email->set_aside = true;
	return mime_summarize(
		arena, email->body.bytes, email->body.len, &limits, &email->summary, err);
}
