#ifndef BELLHOP_MIME_MIME_DRAFT_INTERNAL_H
#define BELLHOP_MIME_MIME_DRAFT_INTERNAL_H

#include "mime/mime_draft.h"
#include "mime/mime_internal.h"

/* What mime_draft.c and mime_draft_content.c share, while one draft is written. */

/* The field of a draft with the numbers of its attachments. */
#define MIME_DRAFT_NUMBERS "x-bellhop-attachments"

/* A message that the draft is made from. */
struct draft_base {
	const char *raw;
	size_t len;
	struct mime_summary *summary; /* NULL: there is none */
	struct mime_tree tree;        /* nodes have their part's index */
	struct mime_draft_numbers numbers;
};

/* What is attached in the end, in the order in which it stands in the message. */
struct draft_piece {
	const struct mime_node *node; /* of the base; NULL: added */
	const struct mime_draft_attachment *added;
	uint32_t number;
	uint64_t mark;
	bool related; /* goes with the HTML */
};

struct draft_writer {
	const struct mime_draft *d;
	struct arena *arena;
	struct draft_base old, mime; /* as it was; the body, when that is a message */
	struct draft_base *base;     /* one of them, or an empty one */
	bool *gone;                  /* which parts of the base */
	bool fresh_body;
	struct draft_piece *pieces;
	size_t piece_count, related_count;
	uint32_t next_number;
	struct buf text; /* the new body with CRLF, clean */
	struct buf *out;
};

/* Does it begin with a field? */
bool mime_draft_is_message(const void *raw, size_t len);
/* The new body is HTML, to which parts may be related. */
bool mime_draft_shows_html(const struct draft_writer *w);
/* The new body, cleaned, into w->text; before the content is written. */
void mime_draft_take_text(struct draft_writer *w);
/* What stands below the fields: with the fields that go with it, the empty line, and all parts. */
void mime_draft_write_content(struct draft_writer *w);

#endif
