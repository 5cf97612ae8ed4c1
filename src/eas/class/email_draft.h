#ifndef BELLHOP_EAS_CLASS_EMAIL_DRAFT_H
#define BELLHOP_EAS_CLASS_EMAIL_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "eas/class/email.h"

/*
 * Drafts, client to server ([MS-ASEMAIL] 2.2.2, [MS-ASAIRS] 2.2.2.2, 2.2.2.21; from 16.0 on): the
 * elements of an Add or a Change become a message. Pure; any thread.
 */
struct email_draft {
	const struct wbxml_node *data; /* ApplicationData that the schema has passed */
	const void *old;               /* the draft as it is; NULL: a new one */
	size_t old_len;
	struct folder_id folder; /* of the draft, for the FileReferences in the request */
	struct item_id item;
	struct device_id device; /* that writes */
	bool again;              /* the request may have been done before: add nothing twice */
	const char *from, *domain;
	int64_t now_at;
	const struct mime_limits *limits;
	size_t attachments_max;
};

/* Does it say anything beside Read, Flag and Categories? */
bool email_draft_has_content(const struct wbxml_node *data);
/* Appends the message. ERR_BAD_INPUT: it cannot be one; ERR_NOT_FOUND: a FileReference names no
 * attachment of it; ERR_QUOTA: too many attachments. */
NODISCARD int email_draft_write(
	const struct email_draft *draft, struct arena *arena, struct buf *out, struct err *err);

/* By what an attachment is known when its Add comes again. Never 0. */
uint64_t email_draft_mark(const struct wbxml_node *add, struct device_id device);
/* Attachments for the answer to what added some: their ClientIds and FileReferences. Nothing when
 * none of them is in the draft. */
void email_draft_encode_added(struct wbxml_writer *w, const struct email *email,
	const struct wbxml_node *data, struct device_id device);

#endif
