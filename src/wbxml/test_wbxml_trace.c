/* What a trace shows, and that it shows nothing else. */
#include <string.h>

#include "base/mem.h"
#include "base/test.h"
#include "wbxml/wbxml.h"

static const uint16_t all_tags[] = {
#define WBXML_PAGE(number, ns)
#define WBXML_TAG(page, ns, token, name, versions) TAG_##ns##_##name,
#include "wbxml/code_pages.def"
#undef WBXML_PAGE
#undef WBXML_TAG
};

static void trace(const struct buf *document, size_t len, struct buf *out)
{
	buf_clear(out);
	wbxml_trace(document->data, len, out);
}

static void test_shown(void)
{
	struct buf document = BUF_INIT, out = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &document);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, "5");
	wbxml_add_text(&w, TAG_AirSync_Class, "Email");
	wbxml_add_empty(&w, TAG_AirSync_MoreAvailable);
	wbxml_start(&w, TAG_AirSync_ApplicationData);
	wbxml_add_text(&w, TAG_Email_Subject, "Hello");
	wbxml_add_opaque(&w, TAG_AirSyncBase_Data, "xyz", 3);
	wbxml_end(&w);
	wbxml_end(&w);
	trace(&document, document.len, &out);
	CHECK_STR(buf_cstr(&out), "<AirSync:Sync>\n"
				  "  <AirSync:SyncKey>5</AirSync:SyncKey>\n"
				  "  <AirSync:Class>Email</AirSync:Class>\n"
				  "  <AirSync:MoreAvailable/>\n"
				  "  <AirSync:ApplicationData>\n"
				  "    <Email:Subject>[5 bytes]</Email:Subject>\n"
				  "    <AirSyncBase:Data>[opaque, 3 bytes]</AirSyncBase:Data>\n"
				  "  </AirSync:ApplicationData>\n"
				  "</AirSync:Sync>\n");
	/* Cut anywhere: as far as it goes, and said so. */
	for (size_t len = 5; len < document.len; len++) {
		trace(&document, len, &out);
		CHECK(strstr(buf_cstr(&out), "[the rest was not kept]\n") != NULL);
		CHECK(strstr(buf_cstr(&out), "Hello") == NULL);
	}
	trace(&document, 2, &out);
	CHECK_STR(buf_cstr(&out), "[no WBXML that could be shown]\n");
	buf_deinit(&document);
	buf_deinit(&out);
}

/* A word in every element of every page, by itself and as what a peer that means ill would send. */
static void test_no_secret(void)
{
	static const char *const secrets[] = {"Geheimwort", "anna@example.org", "Secret 1234",
		"IPM.Note.Geheimwort", "5:Geheim", "2026-01-01 Geheim"};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(all_tags) * ARRAY_LEN(secrets) * 2; i++) {
		const char *secret = secrets[i % ARRAY_LEN(secrets)];
		uint16_t tag = all_tags[i / 2 / ARRAY_LEN(secrets)];
		struct buf document = BUF_INIT;
		struct wbxml_writer w;

		wbxml_writer_init(&w, &document);
		wbxml_start(&w, TAG_AirSync_Sync);
		if (i / ARRAY_LEN(secrets) % 2 == 0)
			wbxml_add_text(&w, tag, secret);
		else
			wbxml_add_opaque(&w, tag, secret, strlen(secret));
		wbxml_end(&w);
		trace(&document, document.len, &out);
		CHECK(strstr(buf_cstr(&out), secret) == NULL);
		CHECK(strstr(buf_cstr(&out), "Geheim") == NULL);
		buf_deinit(&document);
	}
	buf_deinit(&out);
}

static void test_kinds(void)
{
	CHECK(wbxml_text_is_public(TAG_AirSync_Status, "3", 1));
	CHECK(wbxml_text_is_public(TAG_ItemOperations_Range, "0-99", 4));
	CHECK(!wbxml_text_is_public(TAG_AirSync_Status, "3a", 2));
	CHECK(!wbxml_text_is_public(TAG_AirSync_Status, "", 0));
	CHECK(wbxml_text_is_public(TAG_AirSync_ServerId, "5:17", 4));
	CHECK(!wbxml_text_is_public(TAG_AirSync_ServerId, "cafe", 4));
	CHECK(wbxml_text_is_public(TAG_Email_DateReceived, "2026-01-01T00:00:00.000Z", 24));
	CHECK(!wbxml_text_is_public(TAG_Settings_Password, "1234", 4));
	CHECK(!wbxml_text_is_public(TAG_Email_Subject, "1", 1));
	CHECK(!wbxml_text_is_public(TAG_Provision_Data, "1", 1));
}

TEST_MAIN(TEST(test_shown), TEST(test_no_secret), TEST(test_kinds))
