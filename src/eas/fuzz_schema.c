/* Any document against the schema of any command: the first two bytes choose command and version.
 * Checked trees give no surprises. */
#include "eas/schema.h"

#include <stdlib.h>
#include <string.h>

#include "eas/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

/* Every list is whole, also after duplicates were taken out; item faults were counted. */
static unsigned walk(const struct wbxml_node *node)
{
	unsigned faults = node->fault != 0;
	const struct wbxml_node *last = NULL;

	for (const struct wbxml_node *child = node->child; child != NULL; child = child->next) {
		require(child->parent == node);
		faults += walk(child);
		last = child;
	}
	require(last == node->last_child);
	return faults;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct wbxml_limits limits = {.depth = 32, .nodes = 5000, .text_bytes = 65536};
	struct schema_limits schema_limits = schema_limits_default();
	struct schema_fault fault;
	struct wbxml_node *root;
	struct err err = ERR_INIT;
	struct arena *arena;
	enum eas_command command;
	unsigned version;
	int rc;

	if (len < 2)
		return 0;
	command = (enum eas_command)(bytes[0] % EAS_CMD_COUNT);
	version = eas_versions()[bytes[1] % 7];
	arena = arena_new((size_t)1 << 22);
	if (wbxml_decode(arena, bytes + 2, len - 2, &limits, &root, &err) == 0) {
		rc = schema_check(command, version, root, &schema_limits, &fault);
		require((rc == 0) == (fault.status == 0));
		require((fault.text[0] == 0) == (fault.status == 0 && fault.item_faults == 0));
		require(memchr(fault.text, 0, sizeof(fault.text)) != NULL);
		require(rc < 0 || (walk(root) > 0) == (fault.item_faults > 0));
		require(eas_status_outcome(command, version, fault.status, true).http >= 200);
	}
	arena_free(&arena);
	return 0;
}
