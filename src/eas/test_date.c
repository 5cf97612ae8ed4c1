/* Both date forms, there and back, and the typed getters. */
#include "base/mem.h"
#include "base/test.h"
#include "eas/date.h"
#include "eas/request.h"

static void test_parse(void)
{
	static const struct {
		const char *text;
		unsigned forms;
		bool good;
		int64_t at;
	} rows[] = {
		{"1970-01-01T00:00:00.000Z", EAS_DATE_ANY, true, 0},
		{"2010-03-01T12:00:00.000Z", EAS_DATE_ANY, true, 1267444800000},
		{"2010-03-01T12:00:00Z", EAS_DATE_ANY, true, 1267444800000},
		{"2010-03-01T12:00:00.5Z", EAS_DATE_ANY, true, 1267444800500},
		{"2010-03-01T12:00:00.123456Z", EAS_DATE_ANY, true, 1267444800123},
		{"20100301T120000Z", EAS_DATE_ANY, true, 1267444800000},
		{"20100301T120000Z", EAS_DATE_DASHED, false, 0},
		{"2010-03-01T12:00:00.000Z", EAS_DATE_COMPACT, false, 0},
		{"2000-02-29T23:59:59.999Z", EAS_DATE_ANY, true, 951868799999},
		{"1900-02-29T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2023-02-29T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2024-02-29T00:00:00Z", EAS_DATE_ANY, true, 1709164800000},
		{"1969-12-31T23:59:59Z", EAS_DATE_ANY, true, -1000},
		{"0001-01-01T00:00:00Z", EAS_DATE_ANY, true, -62135596800000},
		{"0000-01-01T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2010-13-01T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2010-00-01T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2010-04-31T00:00:00Z", EAS_DATE_ANY, false, 0},
		{"2010-04-30T24:00:00Z", EAS_DATE_ANY, false, 0},
		{"2010-04-30T00:60:00Z", EAS_DATE_ANY, false, 0},
		{"2010-04-30T00:00:00", EAS_DATE_ANY, false, 0},
		{"2010-04-30T00:00:00.Z", EAS_DATE_ANY, false, 0},
		{"2010-04-30T00:00:00ZZ", EAS_DATE_ANY, false, 0},
		{"2010-04-30T00:00:00+02:00", EAS_DATE_ANY, false, 0},
		{"20100301", EAS_DATE_ANY, false, 0},
		{"20100301", EAS_DATE_DAY, true, 1267401600000},
		{"20100301T000000", EAS_DATE_DAY, true, 1267401600000},
		{"20100301T120000", EAS_DATE_DAY, false, 0},
		{"", EAS_DATE_ANY, false, 0},
		{"soon", EAS_DATE_ANY, false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t at = 0;

		if (eas_date_parse(rows[i].text, strlen(rows[i].text), rows[i].forms, &at) !=
			rows[i].good)
			test_fail_(__FILE__, __LINE__, "\"%s\"", rows[i].text);
		CHECK_INT(at, rows[i].at);
	}
}

static void test_round_trip(void)
{
	char text[EAS_DATE_SIZE];

	for (int64_t at = -62135596800000; at <= 253402300799999; at += 98765432101) {
		int64_t again = 0;

		CHECK(eas_date_parse(
			eas_date_format(at, EAS_DATE_DASHED, text), 24, EAS_DATE_DASHED, &again));
		CHECK_INT(again, at);
		CHECK(eas_date_parse(
			eas_date_format(at, EAS_DATE_COMPACT, text), 16, EAS_DATE_COMPACT, &again));
		CHECK_INT(again, at - (at % 1000 + 1000) % 1000);
	}
	CHECK_STR(
		eas_date_format(1267444800500, EAS_DATE_DASHED, text), "2010-03-01T12:00:00.500Z");
	CHECK_STR(eas_date_format(1267444800500, EAS_DATE_COMPACT, text), "20100301T120000Z");
	CHECK_STR(eas_date_format(INT64_MAX, EAS_DATE_COMPACT, text), "99991231T235959Z");
	CHECK_STR(eas_date_format(INT64_MIN, EAS_DATE_COMPACT, text), "00010101T000000Z");
}

static struct wbxml_node child_of(struct wbxml_node *parent, unsigned tag, const char *text)
{
	struct wbxml_node node = {
		.tag = (uint16_t)tag, .text = text, .len = (uint32_t)strlen(text)};

	node.parent = parent;
	return node;
}

static void test_getters(void)
{
	struct wbxml_node root = {.text = ""};
	struct wbxml_node child = child_of(&root, TAG_AirSync_WindowSize, "512");
	uint64_t first, last;

	root.child = &child;
	CHECK_INT(eas_get_uint(&root, TAG_AirSync_WindowSize, 100), 512);
	CHECK_INT(eas_get_uint(&root, TAG_AirSync_Wait, 100), 100);
	CHECK_INT(eas_get_uint(NULL, TAG_AirSync_Wait, 7), 7);
	child = child_of(&root, TAG_AirSync_Wait, "99999999999999999999999");
	CHECK(eas_get_uint(&root, TAG_AirSync_Wait, 0) == UINT64_MAX);
	CHECK(eas_get_int(&root, TAG_AirSync_Wait, 0) == INT64_MAX);
	child = child_of(&root, TAG_AirSync_Wait, "-99999999999999999999999");
	CHECK_INT(eas_get_uint(&root, TAG_AirSync_Wait, 5), 0);
	CHECK(eas_get_int(&root, TAG_AirSync_Wait, 0) == INT64_MIN);
	child = child_of(&root, TAG_AirSync_Wait, "-5");
	CHECK_INT(eas_get_int(&root, TAG_AirSync_Wait, 0), -5);
	child = child_of(&root, TAG_AirSync_GetChanges, "");
	CHECK(eas_get_bool(&root, TAG_AirSync_GetChanges, false));
	CHECK(eas_has(&root, TAG_AirSync_GetChanges));
	CHECK_INT(eas_get_uint(&root, TAG_AirSync_GetChanges, 3), 3);
	CHECK_STR(eas_get_text(&root, TAG_AirSync_GetChanges, "none"), "none");
	child = child_of(&root, TAG_AirSync_GetChanges, "0");
	CHECK(!eas_get_bool(&root, TAG_AirSync_GetChanges, true));
	CHECK(eas_get_bool(&root, TAG_AirSync_DeletesAsMoves, true));
	child = child_of(&root, TAG_ItemOperations_Range, "10-999");
	CHECK(eas_get_range(&root, TAG_ItemOperations_Range, &first, &last));
	CHECK(first == 10 && last == 999);
	CHECK(!eas_get_range(&root, TAG_Search_Range, &first, &last));
	child = child_of(&root, TAG_Email_DateReceived, "20100301T120000Z");
	CHECK_INT(eas_get_date_ms(&root, TAG_Email_DateReceived, 0), 1267444800000);
}

TEST_MAIN(TEST(test_parse), TEST(test_round_trip), TEST(test_getters))
