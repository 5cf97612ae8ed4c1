#include "base/mem.h"
#include "base/test.h"
#include "mime/mime.h"

static void test_topmost(void)
{
	static const struct {
		const char *raw;
		int64_t want;
	} cases[] = {
		{"Received: from a (b; c)\r\n by d; Fri, 20 Apr 2001 19:35:02 -0400\r\n"
		 "Received: from x; Fri, 20 Apr 2001 10:00:00 -0400\r\n\r\nbody",
			987809702},
		{"Subject: x\nreceived: by y; Fri, 20 Apr 2001 19:35:02 -0400\n\n", 987809702},
		{"Received: from a by b\r\n\r\n", 0},
		{"Received: by b; yesterday\r\n\r\n", 0},
		{"Subject: x\r\n\r\nReceived: by y; Fri, 20 Apr 2001 19:35:02 -0400\r\n", 0},
		{"", 0},
	};

	mime_global_init();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(mime_received_at(cases[i].raw, strlen(cases[i].raw)), cases[i].want);
}

static void test_distributed(void)
{
	static const struct {
		const char *raw;
		bool want;
	} cases[] = {
		{"Subject: x\nLIST-ID: <a.b>\n\n", true},
		{"list-post: NO\r\n\r\n", true},
		{"Mailing-List: x\n\n", true},
		{"Resent-To: a@b\n\n", true},
		{"Resent-From: a@b\n\n", true},
		{"Precedence:  Bulk\n\n", true},
		{"Precedence: list\n\n", true},
		{"Precedence: normal\n\n", false},
		{"Precedence:\n\n", false},
		{"List-Unsubscribe: <x>\nReceived: y\nMIME-Version: 1.0\n\n", false},
		{"Subject: x\n\nList-Id: <a.b>\n", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK(mime_was_distributed(cases[i].raw, strlen(cases[i].raw)) == cases[i].want);
}

TEST_MAIN(TEST(test_topmost), TEST(test_distributed))
