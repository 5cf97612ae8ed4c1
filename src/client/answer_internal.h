#ifndef BELLHOP_CLIENT_ANSWER_INTERNAL_H
#define BELLHOP_CLIENT_ANSWER_INTERNAL_H

#include <stdbool.h>

#include "wbxml/wbxml.h"

/* Shared by answer.c and answer_mail.c only. */

/* A number as servers write it; `otherwise` for NULL and for anything that is none. */
unsigned answer_number(const char *text, unsigned otherwise);
/* "1", or an empty tag; false for NULL. */
bool answer_true(const char *text);
/* An id below node; NULL when absent, empty, too long or holding a NUL. */
const char *answer_id(const struct wbxml_node *node, unsigned tag);

#endif
