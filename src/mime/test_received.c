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

static void test_automatic(void)
{
	static const char *const yes[] = {"Auto-Submitted: auto-replied\r\n\r\n",
		"Subject: x\nAUTO-SUBMITTED: auto-generated (cron)\n\n", "Auto-Submitted:\n\n",
		"Auto-Submitted: nothing\n\n", "List-Id: <a.b>\n\n", "List-Unsubscribe: <x>\n\n",
		"Mailing-List: x\n\n", "Precedence: bulk\n\n", "Precedence: list\n\n",
		"Precedence: Junk\n\n", "X-Auto-Response-Suppress: DR, OOF\n\n",
		"X-Auto-Response-Suppress: All\n\n", "X-Autoreply: yes\n\n",
		"Content-Type: multipart/report; boundary=x\n\n", "X-Spam-Flag: YES\n\n",
		"X-Spam-Status: Yes, score=9\n\n"};
	static const char *const no[] = {"", "Auto-Submitted: no\r\n\r\n",
		"Auto-Submitted: No; by hand\n\n", "Precedence: first-class\n\n", "List: x\n\n",
		"X-Auto-Response-Suppress: DR, RN\n\n", "Content-Type: text/plain\n\n",
		"X-Spam-Flag: NO\n\n", "X-Spam-Status: No, score=1\n\n",
		"Subject: x\n\nAuto-Submitted: auto-replied\n"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		CHECK(mime_is_automatic(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		CHECK(!mime_is_automatic(no[i], strlen(no[i])));
}

TEST_MAIN(TEST(test_topmost), TEST(test_distributed), TEST(test_automatic))
