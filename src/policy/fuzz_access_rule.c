/* Any text as an access rule, and its first line as a pattern: no crash, no runaway match. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	char *text = arena_x_strndup(arena, (const char *)bytes, len);
	struct access_facts facts = {"d", "iPhone", "m", "iOS 12.1", text, 141, true};
	struct access_rule *rule;
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;

	if (access_rule_parse(text, arena, &rule, &err) == 0)
		(void)access_rule_match(rule, &facts);
	else if (err.code == ERR_NONE)
		abort();
	/* Whatever a pattern is, a * in its place matches as much. */
	if (access_pattern_match(text, facts.os) && !access_pattern_match("*", facts.os))
		abort();
	err = (struct err)ERR_INIT;
	if (access_text_check(text, &err) == 0)
		access_text_expand(text, "anna@example.org", &facts, &out);
	buf_deinit(&out);
	return 0;
}
