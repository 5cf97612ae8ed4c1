/* Any bytes as what an administrator, or a damaged row, says of a policy: no crash; what is
 * accepted strictly reads the same leniently. */
#include <stdlib.h>

#include "base/mem.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Field by field: what lies between them is anything. */
static bool options_equal(const struct policy_options *a, const struct policy_options *b)
{
	return a->required == b->required &&
	       a->allow_non_provisionable == b->allow_non_provisionable &&
	       a->allow_partial == b->allow_partial && a->allow_refused == b->allow_refused &&
	       a->allow_other == b->allow_other && a->refresh_interval_h == b->refresh_interval_h;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(mem_freep) char *text = x_strndup((const char *)bytes, len);
	struct policy_options options, again;
	struct policy *policy, *restored = policy_restore(text, arena);
	struct buf wap = BUF_INIT;
	struct err err = ERR_INIT;

	policy_to_wap(restored, &wap);
	buf_deinit(&wap);
	if (policy_parse(text, arena, &policy, &err) == 0) {
		if (policy_hash(policy, 161) != policy_hash(restored, 161) ||
			policy_hash(policy, 25) != policy_hash(restored, 25))
			abort();
	} else if (err.code != ERR_BAD_INPUT) {
		abort();
	}
	again = policy_options_restore(text);
	err = (struct err)ERR_INIT;
	if (policy_options_parse(text, &options, &err) == 0 && !options_equal(&options, &again))
		abort();
	return 0;
}
