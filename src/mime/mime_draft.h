#ifndef BELLHOP_MIME_MIME_DRAFT_H
#define BELLHOP_MIME_MIME_DRAFT_H

#include "mime/mime.h"

/*
 * Drafts: messages that a phone writes piece by piece ([MS-ASEMAIL] 2.2.2,
 * [MS-ASAIRS] 2.2.2.2, 16.0 and later). A draft is an ordinary message with its Bcc; what such a
 * message cannot say stands in X-Bellhop- fields: recipients that are no addresses yet, and the
 * numbers of the attachments.
 *
 * An attachment keeps its number for as long as it is in the draft, whatever is added or removed
 * beside it, and no other one ever gets that number. Pure but for random boundaries; any thread.
 */

/* What the phone wrote where it is not a list of addresses; for mime_field_text(). */
#define MIME_DRAFT_TO       "x-bellhop-to"
#define MIME_DRAFT_CC       "x-bellhop-cc"
#define MIME_DRAFT_BCC      "x-bellhop-bcc"
#define MIME_DRAFT_REPLY_TO "x-bellhop-reply-to"

struct mime_draft_attachment {
	const void *content;
	size_t len;
	const char *name, *content_type, *content_id, *content_location; /* UTF-8; "": none */
	bool is_inline;
	bool is_message; /* an embedded message (Method 5) */
	uint64_t mark;   /* kept beside its number, to find it again; 0: nothing */
};

struct mime_draft {
	const void *old; /* the draft as it is; NULL: a new one */
	size_t old_len;
	/* NULL: as they are; "": none. UTF-8. */
	const char *to, *cc, *bcc, *reply_to, *subject;
	const char *from; /* "Name" <address>, where the draft has no From */
	int importance;   /* 0 low, 1 normal, 2 high; -1: as it is */
	enum mime_body_type
		body_type; /* 0: as it is. MIME: a whole message instead of the old one */
	const char *body;
	size_t body_len;
	const struct mime_draft_attachment *add;
	size_t add_count;
	const uint32_t *remove; /* numbers */
	size_t remove_count;
	const char *domain; /* of a new Message-ID */
	int64_t now_at;     /* its Date */
	const struct mime_limits *limits;
};

/* Appends the draft as it is to be stored. ERR_BAD_INPUT: a property is too long, the body is no
 * message or of a type that mail does not have; ERR_NOT_FOUND: no attachment has a number. */
NODISCARD int mime_draft_write(const struct mime_draft *d, struct buf *out, struct err *err);

struct mime_draft_number {
	uint32_t part; /* of the part map */
	uint32_t number;
	uint64_t mark;
};

struct mime_draft_numbers {
	uint32_t next; /* what a new one gets */
	size_t count;
	struct mime_draft_number *v; /* in the arena; in the order of the parts */
};

/* Of every attachment of a draft. */
void mime_draft_numbers_read(struct arena *arena, const struct mime_summary *s, const void *raw,
	size_t len, struct mime_draft_numbers *ret);

/* False: a recipient is no address, so it cannot be sent. */
bool mime_draft_is_complete(const void *raw, size_t len);
/* Appends the draft without what is only a draft's, its Date too. Memory only. */
NODISCARD int mime_draft_to_send(const void *raw, size_t len, struct buf *out, struct err *err);

#endif
