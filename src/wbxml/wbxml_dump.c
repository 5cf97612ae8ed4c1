/*
 * A tree as indented text, for traces. Redacted, only what is known to be harmless is shown
 * (public.def); every other text is given by its length.
 *
 * Limits: walks by pointers, no recursion; the output is bounded by its buffer. Any thread.
 */
#include "wbxml/wbxml.h"

#include <string.h>

#include "base/mem.h"

static void add_escaped(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == '<')
			buf_add_str(out, "&lt;");
		else if (c == '&')
			buf_add_str(out, "&amp;");
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			buf_addf(out, "\\x%02x", c);
		else
			buf_add_byte(out, c);
	}
}

static void add_text(const struct wbxml_node *node, bool redact, struct buf *out)
{
	if (node->opaque)
		buf_addf(out, "[opaque, %u bytes]", node->len);
	else if (redact && node->len > 0 && !wbxml_text_is_public(node->tag, node->text, node->len))
		buf_addf(out, "[%u bytes]", node->len);
	else
		add_escaped(out, node->text, node->len);
}

static void add_indent(struct buf *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_add(out, "  ", 2);
}

void wbxml_dump(const struct wbxml_node *node, bool redact, struct buf *out)
{
	const struct wbxml_node *top = node;
	unsigned depth = 0;
	char name[64];

	while (node != NULL && !out->failed) {
		add_indent(out, depth);
		buf_addf(out, "<%s", wbxml_tag_to_str(node->tag, name, sizeof(name)));
		if (node->child != NULL) {
			buf_add_str(out, ">\n");
			node = node->child;
			depth++;
			continue;
		}
		if (node->has_content) {
			buf_add_byte(out, '>');
			add_text(node, redact, out);
			buf_addf(out, "</%s>\n", name);
		} else {
			buf_add_str(out, "/>\n");
		}
		while (node != top && node->next == NULL) {
			node = node->parent;
			add_indent(out, --depth);
			buf_addf(out, "</%s>\n", wbxml_tag_to_str(node->tag, name, sizeof(name)));
		}
		node = node == top ? NULL : node->next;
	}
}
