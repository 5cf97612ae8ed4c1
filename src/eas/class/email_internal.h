#ifndef BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H
#define BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H

#include "eas/class/email.h"

/* Body and, from 12.0 on, NativeBodyType; MIMEData in 2.5. */
NODISCARD int email_encode_body(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err);

#endif
