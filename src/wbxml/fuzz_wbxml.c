/* Decode; encode again; decode: the same tree. Rendering it never fails. */
#include "wbxml/wbxml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void encode(struct wbxml_writer *w, const struct wbxml_node *root)
{
	const struct wbxml_node *node = root;

	while (node != NULL) {
		if (node->child != NULL) {
			wbxml_start(w, node->tag);
			node = node->child;
			continue;
		}
		if (node->opaque)
			wbxml_add_opaque(w, node->tag, node->text, node->len);
		else
			wbxml_add_clean(w, node->tag, node->text, node->len);
		while (node != root && node->next == NULL) {
			node = node->parent;
			wbxml_end(w);
		}
		node = node == root ? NULL : node->next;
	}
}

static void require(bool good)
{
	if (!good)
		abort();
}

static void compare(const struct wbxml_node *a, const struct wbxml_node *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next) {
		require(a->tag == b->tag && a->len == b->len);
		require(memcmp(a->text, b->text, a->len + 1) == 0);
		require(a->len == 0 || a->opaque == b->opaque);
		compare(a->child, b->child);
	}
	require(a == NULL && b == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct wbxml_limits limits = {.depth = 32, .nodes = 5000, .text_bytes = 65536};
	struct arena *arena = arena_new((size_t)1 << 22);
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct wbxml_node *root, *again;
	struct wbxml_writer w;
	struct err err = ERR_INIT;

	if (wbxml_decode(arena, bytes, len, &limits, &root, &err) == 0) {
		wbxml_writer_init(&w, &out);
		encode(&w, root);
		require(!out.failed && w.depth == 0);
		require(wbxml_decode(arena, out.data, out.len, &limits, &again, &err) == 0);
		compare(root, again);
		wbxml_dump(root, false, &text);
		wbxml_dump(root, true, &text);
	} else {
		require(err.code == ERR_BAD_INPUT || err.code == ERR_INTERNAL);
	}
	buf_deinit(&text);
	buf_deinit(&out);
	arena_free(&arena);
	return 0;
}
