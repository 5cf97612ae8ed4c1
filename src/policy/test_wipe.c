#include "policy/wipe.h"

#include <string.h>

#include "base/mem.h"
#include "base/test.h"

#define NOW   INT64_C(100000000)
#define STALE INT64_C(2592000)

static void test_reach(void)
{
	static const struct {
		uint16_t version;
		bool account;
		const char *credential;
		int64_t provisioned_at, seen_at;
		enum wipe_reach want;
		const char *says;
	} cases[] = {
		{141, false, "$y$", 1, NOW, WIPE_REACH_YES, NULL},
		{25, false, "$y$", 1, NOW - STALE, WIPE_REACH_YES, NULL},
		{161, true, "$y$", 1, NOW, WIPE_REACH_YES, NULL},
		{160, true, "$y$", 1, NOW, WIPE_REACH_NO, "before 16.1"},
		{141, false, "", 1, NOW, WIPE_REACH_DOUBTFUL, "No password is known"},
		{141, false, NULL, 1, NOW, WIPE_REACH_DOUBTFUL, "No password is known"},
		{25, false, "$y$", 0, NOW, WIPE_REACH_DOUBTFUL, "never asked for a policy"},
		{141, false, "$y$", 1, NOW - 40 * 86400, WIPE_REACH_DOUBTFUL, "40 days ago"},
		{141, false, "", 0, NOW - 40 * 86400, WIPE_REACH_DOUBTFUL,
			"erases nothing. The phone was"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct device device = {
			.protocol_version = cases[i].version,
			.credential = cases[i].credential,
			.provisioned_at = cases[i].provisioned_at,
			.last_seen_at = cases[i].seen_at,
		};
		struct buf text = BUF_INIT;

		CHECK_INT(wipe_reach(&device, cases[i].account, NOW, STALE, &text), cases[i].want);
		CHECK_INT(text.len > 0, cases[i].says != NULL);
		if (cases[i].says != NULL)
			CHECK(strstr(buf_cstr(&text), cases[i].says) != NULL);
		buf_deinit(&text);
	}
	CHECK_STR(wipe_reach_to_str(WIPE_REACH_NO), "no");
}

TEST_MAIN(TEST(test_reach))
