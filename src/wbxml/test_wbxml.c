/* The codec: known bytes, every tag there and back, a table of broken documents, the writer's
 * marks. */
#include "wbxml/wbxml.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"

static const struct wbxml_limits limits = {.depth = 8, .nodes = 64, .text_bytes = 4096};
static const struct wbxml_limits wide = {
	.depth = 64, .nodes = 1000000, .text_bytes = (size_t)1 << 24};

static void test_tables_match_the_published_ones(void)
{
	/* Counts per page and FNV-1a over "page namespace token name\n", from the source's own
	 * table. */
	static const unsigned counts[26] = {37, 58, 59, 19, 56, 8, 10, 20, 13, 34, 25, 6, 10, 10,
		55, 30, 14, 40, 38, 8, 21, 19, 18, 5, 20, 22};
	uint64_t sum = 0xcbf29ce484222325u;
	char name[64], line[128];

	for (unsigned page = 0; page < 256; page++) {
		unsigned count = 0;

		for (unsigned token = 0; token < 256; token++) {
			char *colon;

			if (!wbxml_tag_known(page << 8 | token))
				continue;
			count++;
			wbxml_tag_to_str(page << 8 | token, name, sizeof(name));
			colon = strchr(name, ':');
			REQUIRE(colon != NULL);
			*colon = 0;
			(void)snprintf(
				line, sizeof(line), "%u %s %u %s\n", page, name, token, colon + 1);
			for (const char *c = line; *c != 0; c++)
				sum = (sum ^ (uint8_t)*c) * 0x100000001b3u;
		}
		CHECK_INT(count, page < 26 ? counts[page] : 0);
	}
	CHECK(sum == 0x487590d2799bd6a6u);
	CHECK_STR(wbxml_tag_to_str(TAG_AirSync_Sync, name, sizeof(name)), "AirSync:Sync");
	CHECK_STR(wbxml_tag_to_str(0x162f, name, sizeof(name)), "page 22 token 0x2f");
	CHECK_INT(TAG_Email2_UmCallerID, 22 << 8 | 0x05);
	CHECK_INT(TAG_Find_Picture, 25 << 8 | 0x22);
}

static void test_tags_know_their_versions(void)
{
	static const struct {
		unsigned tag, first, last;
	} rows[] = {
		{TAG_AirSync_Sync, 25, 255},
		{TAG_AirSync_Truncation, 25, 25},
		{TAG_AirSync_Version, 0, 0},
		{TAG_AirSync_HeartbeatInterval, 140, 255},
		{TAG_Find_Find, 161, 161},
		{0x1905 + 0x100, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned first, last;

		wbxml_tag_versions(rows[i].tag, &first, &last);
		CHECK_INT(first, rows[i].first);
		CHECK_INT(last, rows[i].last);
	}
}

static void test_decodes_a_known_sync(void)
{
	/* <Sync><Collections><Collection><SyncKey>0</SyncKey><CollectionId>5</CollectionId>
	 * <GetChanges/><Options><BodyPreference xmlns=AirSyncBase><Type>2 ... */
	static const uint8_t bytes[] = {0x03, 0x01, 0x6a, 0x00, 0x45, 0x5c, 0x4f, 0x4b, 0x03, '0',
		0x00, 0x01, 0x52, 0x03, '5', 0x00, 0x01, 0x13, 0x57, 0x00, 0x11, 0x45, 0x46, 0x03,
		'2', 0x00, 0x01, 0x01, 0x00, 0x00, 0x63, 0xc3, 0x01, '0', 0x01, 0x01, 0x01, 0x01,
		0x01};
	struct arena *arena = arena_new(0);
	struct wbxml_node *root, *collection, *options;
	struct err err = ERR_INIT;

	REQUIRE_OK(wbxml_decode(arena, bytes, sizeof(bytes), &limits, &root, &err), &err);
	CHECK_INT(root->tag, TAG_AirSync_Sync);
	CHECK(root->parent == NULL && root->next == NULL);
	collection = wbxml_find(wbxml_find(root, TAG_AirSync_Collections), TAG_AirSync_Collection);
	REQUIRE(collection != NULL);
	CHECK_STR(wbxml_text(collection, TAG_AirSync_SyncKey), "0");
	CHECK_STR(wbxml_text(collection, TAG_AirSync_CollectionId), "5");
	CHECK_STR(wbxml_text(collection, TAG_AirSync_GetChanges), "");
	CHECK(!wbxml_find(collection, TAG_AirSync_GetChanges)->has_content);
	CHECK(wbxml_text(collection, TAG_AirSync_WindowSize) == NULL);
	options = wbxml_find(collection, TAG_AirSync_Options);
	CHECK_STR(wbxml_text(wbxml_find(options, TAG_AirSyncBase_BodyPreference),
			  TAG_AirSyncBase_Type),
		"2");
	CHECK(wbxml_find(options, TAG_AirSync_MIMETruncation)->opaque);
	CHECK_STR(wbxml_text(options, TAG_AirSync_MIMETruncation), "0");
	CHECK(wbxml_find(NULL, TAG_AirSync_Options) == NULL);
	arena_free(&arena);
}

static void test_writes_known_bytes(void)
{
	static const uint8_t want[] = {0x03, 0x01, 0x6a, 0x00, 0x00, 0x0d, 0x45, 0x47, 0x03, '2',
		0x00, 0x01, 0x49, 0x4a, 0x03, '5', 0x00, 0x01, 0x01, 0x05, 0x01};
	struct buf out = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_add_uint(&w, TAG_Ping_Status, 2);
	wbxml_start(&w, TAG_Ping_Folders);
	wbxml_add_text(&w, TAG_Ping_Folder, "5");
	wbxml_end(&w);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_end(&w);
	wbxml_end(&w);
	CHECK_MEM(out.data, out.len, want, sizeof(want));
	buf_deinit(&out);
}

static void test_every_tag_round_trips(void)
{
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_node *root, *node;
	struct err err = ERR_INIT;
	size_t count = 0;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_AirSync_Sync);
	for (unsigned tag = 0; tag < 26 << 8; tag++) {
		if (!wbxml_tag_known(tag))
			continue;
		wbxml_add_uint(&w, tag, tag);
		wbxml_add_empty(&w, tag);
	}
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &wide, &root, &err), &err);
	node = root->child;
	for (unsigned tag = 0; tag < 26 << 8; tag++) {
		if (!wbxml_tag_known(tag))
			continue;
		REQUIRE(node != NULL && node->next != NULL);
		CHECK_INT(node->tag, tag);
		CHECK_INT(strtoul(node->text, NULL, 10), tag);
		CHECK_INT(node->next->tag, tag);
		CHECK(!node->next->has_content && node->next->len == 0);
		node = node->next->next;
		count++;
	}
	CHECK(node == NULL);
	CHECK_INT(count, 655);
	buf_deinit(&out);
	arena_free(&arena);
}

#define H "\x03\x01\x6a\x00"
#define ROW(bytes, text)                                                                           \
	{                                                                                          \
		(bytes), sizeof(bytes) - 1, (text)                                                 \
	}

static void test_broken_documents(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		ROW("", "empty document"),
		ROW("\x03", "number cut off"),
		ROW("\x03\x01\x6a", "number cut off"),
		ROW("\x02\x01\x6a\x00\x05", "version is not 1.3"),
		ROW("<?xml version", "version is not 1.3"),
		ROW("\x03\x00\x00\x6a\x00\x05", "public id from a string table"),
		ROW("\x03\x01\x04\x00\x05", "charset is not UTF-8"),
		ROW("\x03\x01\x6a\x05"
		    "abcd",
			"string table at"),
		ROW("\x03\x81\x81\x81\x81\x81\x01\x6a", "number too l"),
		ROW("\x03\xff\xff\xff\xff\x7f\x6a", "number too large"),
		ROW(H, "no root"),
		ROW(H "\x00\x01", "no root"),
		ROW(H "\x00", "page switch cut off"),
		ROW(H "\x01", "END without an open element"),
		ROW(H "\x45", "document cut off"),
		ROW(H "\x45\x5c\x01", "document cut off"),
		ROW(H "\x45\x01\x01", "bytes after the root"),
		ROW(H "\x45\x01\x05", "bytes after the root"),
		ROW(H "\x05\x00", "bytes after the root"),
		ROW(H "\x45\x03", "string without end"),
		ROW(H "\x45\x03"
		      "abc",
			"string without end"),
		ROW(H "\x45\x03\xff\xfe\x00\x01", "string is not UTF-8"),
		ROW(H "\x45\x03\xed\xa0\x80\x00\x01", "string is not UTF-8"),
		ROW(H "\x45\xc3", "number cut off"),
		ROW(H "\x45\xc3\x05"
		      "abc",
			"opaque data cut off"),
		ROW(H "\x45\xc3\x8f\xff\xff\xff\x7f"
		      "abc",
			"opaque data cut off"),
		ROW(H "\x45\xc3\xff\xff\xff\xff\x7f", "number too large"),
		ROW(H "\x45\xc3\xa1\x00", "text too long"),
		ROW(H "\xc5\x01", "attributes"),
		ROW(H "\x85", "attributes"),
		ROW(H "\x45\x02\x21\x01", "global token"),
		ROW(H "\x45\x04\x01", "global token"),
		ROW(H "\x45\x43\x01", "global token"),
		ROW(H "\x45\x83\x00\x01", "attributes"),
		ROW(H "\x03"
		      "a\x00",
			"text outside of the root"),
		ROW(H "\x45\x03"
		      "a\x00\x0b\x01",
			"element beside text"),
		ROW(H "\x45\x0b\x03"
		      "a\x00\x01",
			"text beside elements"),
		ROW(H "\x2f", "unknown tag (page 0 token 0x2f)"),
		ROW(H "\x00\x1a\x05", "unknown tag (page 26 token 0x05)"),
		ROW(H "\x00\x63\x45\x01", "unknown tag (page 99"),
		ROW(H "\x00\xfe\x05", "annotation outside of the root"),
		ROW(H "\x45\x45\x45\x45\x45\x45\x45\x45\x45", "nested too deep"),
		ROW(H "\x45\x00\xfe\x45\x45\x45\x45\x45\x45\x45\x45", "nested too deep"),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *arena = arena_new(0);
		struct wbxml_node *root = NULL;
		struct err err = ERR_INIT;
		char bytes[8192] = {0};
		size_t len = rows[i].len;

		memcpy(bytes, rows[i].bytes, len);
		if (strcmp(rows[i].text, "text too long") == 0)
			len += 4300;
		CHECK_INT(wbxml_decode(arena, bytes, len, &limits, &root, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		CHECK(root == NULL);
		if (strstr(err.text, rows[i].text) == NULL)
			test_fail_(__FILE__, __LINE__, "row %zu: \"%s\" lacks \"%s\"", i, err.text,
				rows[i].text);
		arena_free(&arena);
	}
}

static void test_annotations_are_skipped(void)
{
	/* <Sync><Annotations><Annotation><Name>x</Name></Annotation></Annotations><Partial/></Sync>,
	 * and an ordinary element within an annotation. */
	static const uint8_t bytes[] = {0x03, 0x01, 0x6a, 0x00, 0x45, 0x00, 0xfe, 0x45, 0x46, 0x47,
		0x03, 'x', 0x00, 0x01, 0x05, 0x00, 0x00, 0x4b, 0x01, 0x01, 0x01, 0x26, 0x01};
	struct arena *arena = arena_new(0);
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	REQUIRE_OK(wbxml_decode(arena, bytes, sizeof(bytes), &limits, &root, &err), &err);
	REQUIRE(root->child != NULL);
	CHECK_INT(root->child->tag, TAG_AirSync_Partial);
	CHECK(root->child->next == NULL);
	arena_free(&arena);
}

static void test_old_numbers_of_page_25(void)
{
	static const uint8_t bytes[] = {
		0x03, 0x01, 0x6a, 0x00, 0x00, 0x19, 0x45, 0x1c, 0x1a, 0x1b, 0x22, 0x01};
	static const unsigned want[] = {
		TAG_Find_Picture, TAG_Find_MaxPictures, TAG_Find_MaxSize, TAG_Find_Picture};
	struct arena *arena = arena_new(0);
	struct wbxml_node *root, *node;
	struct err err = ERR_INIT;
	size_t i = 0;

	REQUIRE_OK(wbxml_decode(arena, bytes, sizeof(bytes), &limits, &root, &err), &err);
	for (node = root->child; node != NULL; node = node->next)
		CHECK_INT(node->tag, i < 4 ? want[i++] : 0);
	CHECK_INT(i, 4);
	arena_free(&arena);
}

static void test_runs_of_text_join(void)
{
	static const uint8_t bytes[] = {0x03, 0x01, 0x6a, 0x00, 0x45, 0x4b, 0x03, 'a', 'b', 0x00,
		0xc3, 0x02, 'c', 0x00, 0x03, 0x00, 0x03, 'd', 0x00, 0xc3, 0x00, 0x01, 0x4c, 0x01,
		0x01};
	struct arena *arena = arena_new(0);
	struct wbxml_node *root, *key;
	struct err err = ERR_INIT;

	REQUIRE_OK(wbxml_decode(arena, bytes, sizeof(bytes), &limits, &root, &err), &err);
	key = wbxml_find(root, TAG_AirSync_SyncKey);
	REQUIRE(key != NULL);
	CHECK(key->opaque);
	CHECK_MEM(key->text, key->len + 1, "abc\0d", 6);
	CHECK(key->next->has_content && key->next->len == 0);
	arena_free(&arena);
}

static void test_limits_hold(void)
{
	struct buf doc = BUF_INIT;
	struct arena *arena = arena_new(0);
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	buf_add(&doc, H "\x45", 5);
	for (int i = 0; i < 63; i++)
		buf_add_byte(&doc, 0x13);
	buf_add_byte(&doc, 0x01);
	REQUIRE_OK(wbxml_decode(arena, doc.data, doc.len, &limits, &root, &err), &err);
	doc.data[doc.len - 1] = 0x13;
	buf_add_byte(&doc, 0x01);
	CHECK_INT(wbxml_decode(arena, doc.data, doc.len, &limits, &root, &err), -1);
	CHECK(strstr(err.text, "too many elements") != NULL);
	arena_free(&arena);

	/* An arena that is full is an error, too, and not an abort. */
	arena = arena_new(256);
	CHECK_INT(wbxml_decode(arena, doc.data, doc.len, &wide, &root, &err), -1);
	CHECK_INT(err.code, ERR_INTERNAL);
	arena_free(&arena);

	/* A megabyte of open elements ends at the depth, a megabyte of empty ones at the count. */
	for (int open = 0; open < 2; open++) {
		arena = arena_new(0);
		buf_clear(&doc);
		buf_add(&doc, H "\x45", 5);
		for (int i = 0; i < 1000000; i++)
			buf_add_byte(&doc, open ? 0x5c : 0x1c);
		CHECK_INT(wbxml_decode(arena, doc.data, doc.len, &limits, &root, &err), -1);
		CHECK(arena_used(arena) < 16384);
		arena_free(&arena);
	}
	buf_deinit(&doc);
}

static void test_every_truncation_fails(void)
{
	struct buf out = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_ComposeMail_SendMail);
	wbxml_add_text(&w, TAG_ComposeMail_ClientId, "gr\xc3\xbc\xc3\x9f");
	wbxml_add_opaque(&w, TAG_ComposeMail_Mime, "From: a\r\n\0", 10);
	wbxml_end(&w);
	for (size_t n = 0; n <= out.len; n++) {
		struct arena *arena = arena_new(0);
		char *copy = x_calloc(1, n + 1);

		memcpy(copy, out.data, n);
		CHECK_INT(
			wbxml_decode(arena, copy, n, &limits, &root, &err), n == out.len ? 0 : -1);
		mem_free(copy);
		arena_free(&arena);
	}
	buf_deinit(&out);
}

static void test_opaque_lengths(void)
{
	static const size_t lengths[] = {1, 127, 128, 16383, 16384, 2097151, 2097152};
	char *bytes = x_calloc(1, 2097152);
	struct buf out = BUF_INIT;

	memset(bytes, 0xa5, 2097152);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct arena *arena = arena_new(0);
		struct wbxml_node *root;
		struct wbxml_writer w;
		struct err err = ERR_INIT;

		buf_clear(&out);
		wbxml_writer_init(&w, &out);
		wbxml_start(&w, TAG_ComposeMail_SendMail);
		wbxml_add_opaque(&w, TAG_ComposeMail_Mime, bytes, lengths[i]);
		wbxml_end(&w);
		REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &wide, &root, &err), &err);
		CHECK_MEM(root->child->text, root->child->len, bytes, lengths[i]);
		arena_free(&arena);
	}
	buf_deinit(&out);
	mem_free(bytes);
}

/* OPAQUE of the element that is named stays in the input; other content is copied as ever. */
static void test_borrowed(void)
{
	struct wbxml_limits borrowing = {
		.depth = 8, .nodes = 10, .text_bytes = 100, .borrowed_tag = TAG_ComposeMail_Mime};
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct wbxml_node *root;
	struct wbxml_writer w;
	const char *text;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_ComposeMail_SendMail);
	wbxml_add_opaque(&w, TAG_ComposeMail_Mime, "a\0b", 3);
	wbxml_add_opaque(&w, TAG_ComposeMail_ClientId, "id", 2);
	wbxml_text_begin(&w, TAG_ComposeMail_Mime);
	buf_add_str(&out, "str");
	buf_add_str(&out, "ing");
	wbxml_text_end(&w);
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &borrowing, &root, &err), &err);
	text = root->child->text;
	CHECK((const uint8_t *)text > out.data && (const uint8_t *)text < out.data + out.len);
	CHECK_MEM(text, root->child->len, "a\0b", 3);
	CHECK_STR(root->child->next->text, "id");
	CHECK_STR(root->child->next->next->text, "string");
	buf_deinit(&out);
	arena_free(&arena);
}

static void test_writer_cleans_text(void)
{
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_Email_Subject);
	wbxml_add_textn(&w, TAG_Email_Subject, "a\0b\xff\x01\t", 6);
	wbxml_add_text(&w, TAG_Email_To, NULL);
	wbxml_add_text(&w, TAG_Email_Cc, "");
	wbxml_add_bool(&w, TAG_Email_Read, true);
	wbxml_add_opaque(&w, TAG_Email2_ConversationId, "", 0);
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &limits, &root, &err), &err);
	CHECK_STR(root->child->text, "a\xef\xbf\xbd"
				     "b\xef\xbf\xbd\xef\xbf\xbd\t");
	CHECK(!wbxml_find(root, TAG_Email_To)->has_content);
	CHECK(!wbxml_find(root, TAG_Email_Cc)->has_content);
	CHECK_STR(wbxml_text(root, TAG_Email_Read), "1");
	CHECK(!wbxml_find(root, TAG_Email2_ConversationId)->has_content);
	buf_deinit(&out);
	arena_free(&arena);
}

static void test_marks_take_back(void)
{
	struct buf want = BUF_INIT, out = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_mark before, inner;

	wbxml_writer_init(&w, &want);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, "1");
	wbxml_start(&w, TAG_AirSync_Commands);
	wbxml_end(&w);
	wbxml_end(&w);

	buf_add(&out, "earlier", 7);
	wbxml_writer_init(&w, &out);
	before = wbxml_mark(&w);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_rewind(&w, &before);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, "1");
	before = wbxml_mark(&w);
	wbxml_start(&w, TAG_AirSync_Responses);
	wbxml_start(&w, TAG_AirSyncBase_Body);
	wbxml_rewind(&w, &before);
	wbxml_start(&w, TAG_AirSync_Commands);
	inner = wbxml_mark(&w);
	wbxml_add_text(&w, TAG_Email_Subject, "x");
	wbxml_rewind(&w, &inner);
	wbxml_end(&w);
	wbxml_end(&w);
	CHECK_MEM(out.data + 7, out.len - 7, want.data, want.len);
	buf_deinit(&want);
	buf_deinit(&out);
}

static void test_full_buffer_is_no_disaster(void)
{
	for (size_t max = 1; max < 40; max++) {
		struct buf out;
		struct wbxml_writer w;

		buf_init(&out, max);
		wbxml_writer_init(&w, &out);
		wbxml_start(&w, TAG_Ping_Ping);
		wbxml_start(&w, TAG_Ping_Folders);
		wbxml_end(&w);
		wbxml_add_text(&w, TAG_Ping_Folder, "0123456789");
		wbxml_add_opaque(&w, TAG_Ping_Folder, "0123456789", 10);
		wbxml_start(&w, TAG_Ping_Folders);
		wbxml_end(&w);
		wbxml_end(&w);
		CHECK(out.len <= max);
		CHECK_INT(w.depth, 0);
		buf_deinit(&out);
	}
}

static void test_dump(void)
{
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_ApplicationData);
	wbxml_add_text(&w, TAG_Email_Subject, "a<b&\n");
	wbxml_add_text(&w, TAG_Email_Read, "1");
	wbxml_add_opaque(&w, TAG_Email2_ConversationId, "\x01\x02", 2);
	wbxml_end(&w);
	wbxml_add_empty(&w, TAG_AirSync_Partial);
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &limits, &root, &err), &err);
	wbxml_dump(root, false, &text);
	CHECK_STR(buf_cstr(&text), "<AirSync:Sync>\n"
				   "  <AirSync:ApplicationData>\n"
				   "    <Email:Subject>a&lt;b&amp;\\x0a</Email:Subject>\n"
				   "    <Email:Read>1</Email:Read>\n"
				   "    <Email2:ConversationId>[opaque, 2 bytes]"
				   "</Email2:ConversationId>\n"
				   "  </AirSync:ApplicationData>\n"
				   "  <AirSync:Partial/>\n"
				   "</AirSync:Sync>\n");
	buf_clear(&text);
	wbxml_dump(root->child, true, &text);
	CHECK(strstr(buf_cstr(&text), "<Email:Subject>[5 bytes]</Email:Subject>") != NULL);
	CHECK(strstr(buf_cstr(&text), "<Email:Read>1</Email:Read>") != NULL);
	CHECK(strstr(buf_cstr(&text), "Partial") == NULL);
	buf_deinit(&text);
	buf_deinit(&out);
	arena_free(&arena);
}

TEST_MAIN(TEST(test_borrowed), TEST(test_tables_match_the_published_ones),
	TEST(test_tags_know_their_versions), TEST(test_decodes_a_known_sync),
	TEST(test_writes_known_bytes), TEST(test_every_tag_round_trips),
	TEST(test_broken_documents), TEST(test_annotations_are_skipped),
	TEST(test_old_numbers_of_page_25), TEST(test_runs_of_text_join), TEST(test_limits_hold),
	TEST(test_every_truncation_fails), TEST(test_opaque_lengths), TEST(test_writer_cleans_text),
	TEST(test_marks_take_back), TEST(test_full_buffer_is_no_disaster), TEST(test_dump))
