#ifndef BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H
#define BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H

#include "eas/class/email.h"

/* Body and, from 12.0 on, NativeBodyType; MIMEData in 2.5. */
NODISCARD int email_encode_body(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err);
/* At most that many characters; nothing for a message without text. */
void email_encode_preview(struct wbxml_writer *w, const struct email *email, unsigned chars);
/* Fills in what is shown instead of an item that was set aside; email->item is loaded. */
NODISCARD int email_placeholder(
	struct store_read *rd, struct email *email, struct arena *arena, struct err *err);

#endif
