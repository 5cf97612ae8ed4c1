/*
 * Small texts that stand on their own, from plain to HTML and back. No state; any thread.
 */
#include "mime/mime.h"

#include <string.h>

#include "mime/mime_internal.h"

void mime_text_from_html(struct buf *out, const char *html)
{
	(void)mime_html_to_text(out, html, strlen(html), SIZE_MAX, true);
}

void mime_text_to_html(struct buf *out, const char *text)
{
	mime_html_from_text(out, text, strlen(text));
}
