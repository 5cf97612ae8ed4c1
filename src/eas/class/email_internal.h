#ifndef BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H
#define BELLHOP_EAS_CLASS_EMAIL_INTERNAL_H

#include "eas/class/email.h"

/* ---- email_envelope.c ---- */
/* Nothing for an empty text. */
void email_add_present(struct wbxml_writer *w, unsigned tag, const char *text);
/* What the header says, and where and when the message lies. */
void email_encode_envelope(
	struct wbxml_writer *w, const struct email *email, const struct email_view *view);
/* What came with 14.0: sender, conversation, last verb, Bcc, voice. */
void email_encode_conversation(
	struct wbxml_writer *w, const struct email *email, const struct email_view *view);
/* A message of a voice mail system. */
bool email_is_voice(const struct email *email);
/* How long its newest recording is; false when it does not say. */
bool email_voice_seconds(const struct email *email, uint64_t *ret);

/* ---- email_body.c ---- */
/* Body and, from 12.0 on, NativeBodyType; MIMEData in 2.5. */
NODISCARD int email_encode_body(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err);
/* At most that many characters; nothing for a message without text. */
void email_encode_preview(struct wbxml_writer *w, const struct email *email, unsigned chars);
/* Fills in what is shown instead of an item that was set aside; email->item is loaded. */
NODISCARD int email_placeholder(
	struct store_read *rd, struct email *email, struct arena *arena, struct err *err);
/* What a draft shows of its own: what its writer put where addresses belong, and the numbers of its
 * attachments. Nothing for other messages, and without a body. */
void email_draft_open(struct email *email, struct arena *arena);

#endif
