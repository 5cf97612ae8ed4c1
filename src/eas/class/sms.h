#ifndef BELLHOP_EAS_CLASS_SMS_H
#define BELLHOP_EAS_CLASS_SMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "eas/class/email.h"

/*
 * Text messages ([MS-ASMS] 2.2.1; from 14.0 on). They live in mail folders beside the mail, as
 * message/rfc822 with the text as its body; what has no counterpart there stands in X- fields just
 * as the phone sent it, and comes back from there.
 */
struct sms {
	struct buf raw; /* the message */
	int64_t date_at;
	bool is_read;
	uint8_t flag_status;
	struct buf flag, categories; /* as email_flag_parse() and email_categories_parse() */
};

/* From an Add that the schema has passed. ERR_BAD_INPUT: cannot be a text message. Sets *ret in
 * either case. */
NODISCARD int sms_read(const struct wbxml_node *application_data, int64_t now_at, struct sms *ret,
	struct err *err);
void sms_deinit(struct sms *sms);

/* Every property, as email_encode(); the message was loaded with its body. */
NODISCARD int sms_encode(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err);

#endif
