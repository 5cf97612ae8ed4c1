/*
 * The tables that come from code_pages.def, and finding one's way in a decoded tree.
 *
 * Invariant: a tag is page << 8 | token; tags outside the tables are "unknown", never an access out
 * of bounds. Threads: everything here is constant.
 */
#include "wbxml/wbxml.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define PAGE_COUNT  26u
#define TOKEN_COUNT 64u

static const char *const page_names[PAGE_COUNT] = {
#define WBXML_PAGE(number, ns) [number] = #ns,
#define WBXML_TAG(page, ns, token, name, versions)
#include "wbxml/code_pages.def"
#undef WBXML_PAGE
#undef WBXML_TAG
};

static const char *const tag_names[PAGE_COUNT][TOKEN_COUNT] = {
#define WBXML_PAGE(number, ns)
#define WBXML_TAG(page, ns, token, name, versions) [page][token] = #name,
#include "wbxml/code_pages.def"
#undef WBXML_PAGE
#undef WBXML_TAG
};

struct version_range {
	uint8_t first, last;
};

static const struct version_range tag_versions[PAGE_COUNT][TOKEN_COUNT] = {
#define VERSIONS(first, last)                                                                      \
	{                                                                                          \
		(first), (last)                                                                    \
	}
#define WBXML_PAGE(number, ns)
#define WBXML_TAG(page, ns, token, name, versions) [page][token] = versions,
#include "wbxml/code_pages.def"
#undef WBXML_PAGE
#undef WBXML_TAG
#undef VERSIONS
};

bool wbxml_tag_known(unsigned tag)
{
	unsigned page = tag >> 8, token = tag & 0xff;

	return page < PAGE_COUNT && token < TOKEN_COUNT && tag_names[page][token] != NULL;
}

void wbxml_tag_versions(unsigned tag, unsigned *ret_first, unsigned *ret_last)
{
	*ret_first = *ret_last = 0;
	if (!wbxml_tag_known(tag))
		return;
	*ret_first = tag_versions[tag >> 8][tag & 0xff].first;
	*ret_last = tag_versions[tag >> 8][tag & 0xff].last;
}

const char *wbxml_tag_to_str(unsigned tag, char *text, size_t text_size)
{
	if (wbxml_tag_known(tag))
		(void)snprintf(text, text_size, "%s:%s", page_names[tag >> 8],
			tag_names[tag >> 8][tag & 0xff]);
	else
		(void)snprintf(text, text_size, "page %u token 0x%02x", tag >> 8, tag & 0xff);
	return text;
}

static struct wbxml_node *first_with_tag(struct wbxml_node *node, unsigned tag)
{
	while (node != NULL && node->tag != tag)
		node = node->next;
	return node;
}

struct wbxml_node *wbxml_find(const struct wbxml_node *node, unsigned tag)
{
	return node == NULL ? NULL : first_with_tag(node->child, tag);
}

struct wbxml_node *wbxml_next(const struct wbxml_node *node, unsigned tag)
{
	return node == NULL ? NULL : first_with_tag(node->next, tag);
}

const char *wbxml_text(const struct wbxml_node *node, unsigned tag)
{
	const struct wbxml_node *child = wbxml_find(node, tag);

	return child == NULL ? NULL : child->text;
}
