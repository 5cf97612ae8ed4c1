/*
 * The Email class without a store: which properties a message has in which version, the limits of
 * Bcc, who was copied blindly, voice mail, the new part of a message, flags.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "eas/class/email.h"

struct shown {
	struct arena *arena;
	struct wbxml_node *root;
};

static void release(struct shown *s)
{
	arena_free(&s->arena);
}

/* A message of those bytes in a folder, as a phone would get it. */
static struct shown show(const char *raw, enum folder_type folder, struct email_view *view)
{
	struct shown s = {.arena = arena_new(0)};
	struct wbxml_limits limits = {.depth = 32, .nodes = 10000, .text_bytes = SIZE_MAX};
	struct item item = {.row = {.id = {1}, .date_at = 1772625601, .item_class = ITEM_MAIL}};
	struct email email = {
		.folder = {2}, .folder_type = folder, .item = &item, .has_body = true};
	struct sync_options options;
	struct buf out = BUF_INIT;
	struct wbxml_writer w;
	struct err err = ERR_INIT;

	sync_options_default(&options);
	if (view->options == NULL)
		view->options = &options;
	email.body = (struct store_body){.bytes = (const uint8_t *)raw, .len = strlen(raw)};
	REQUIRE_OK(mime_summarize(s.arena, raw, email.body.len, NULL, &email.summary, &err), &err);
	wbxml_writer_init(&w, &out);
	wbxml_start(&w, TAG_AirSync_ApplicationData);
	REQUIRE_OK(email_encode(&w, &email, view, &err), &err);
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(s.arena, out.data, out.len, &limits, &s.root, &err), &err);
	buf_deinit(&out);
	if (view->options == &options)
		view->options = NULL;
	return s;
}

static const char *text_of(const struct shown *s, unsigned tag)
{
	const char *text = wbxml_text(s->root, tag);

	return text != NULL ? text : "(none)";
}

static void check_text(
	const char *raw, enum folder_type folder, unsigned version, unsigned tag, const char *want)
{
	struct email_view view = {.version = version};
	struct shown s = show(raw, folder, &view);

	CHECK_STR(text_of(&s, tag), want);
	release(&s);
}

#define SENDER "From: \"Boss\" <boss@x>\nSender: "

static void test_senders(void)
{
	check_text(SENDER "sec@x\n\n", FOLDER_INBOX, 140, TAG_Email2_Sender, "sec@x");
	check_text(SENDER "sec@x\n\n", FOLDER_INBOX, 121, TAG_Email2_Sender, "(none)");
	check_text(SENDER "BOSS@X\n\n", FOLDER_INBOX, 161, TAG_Email2_Sender, "(none)");
	check_text(SENDER "Other <boss@x>\n\n", FOLDER_INBOX, 161, TAG_Email2_Sender, "(none)");
	check_text(SENDER "boss@xy\n\n", FOLDER_INBOX, 161, TAG_Email2_Sender, "boss@xy");
}

static void test_bcc(void)
{
	struct buf raw = BUF_INIT, want = BUF_INIT;

	check_text("Bcc: a@x\n\n", FOLDER_SENT, 160, TAG_Email2_Bcc, "a@x");
	check_text("Bcc: a@x\n\n", FOLDER_DRAFTS, 161, TAG_Email2_Bcc, "a@x");
	check_text("Bcc: a@x\n\n", FOLDER_INBOX, 161, TAG_Email2_Bcc, "(none)");
	check_text("Bcc: a@x\n\n", FOLDER_SENT, 141, TAG_Email2_Bcc, "(none)");
	/* 1,024 characters, not bytes, and whole addresses; a comma in a name is none between. */
	buf_add_str(&raw, "Bcc: ");
	for (size_t i = 0; i < 60; i++) {
		buf_addf(&raw, "\"\xc3\xbc\xc3\xbc, \xc3\xbc\" <%03zu@example.org>,\n ", i);
		if (i < 38)
			buf_addf(&want, "%s\"\xc3\xbc\xc3\xbc, \xc3\xbc\" <%03zu@example.org>",
				i > 0 ? ", " : "", i);
	}
	buf_add_str(&raw, "z@x\n\n");
	CHECK(want.len > 1024);
	check_text(buf_cstr(&raw), FOLDER_SENT, 160, TAG_Email2_Bcc, buf_cstr(&want));
	buf_deinit(&raw);
	buf_deinit(&want);
}

struct copy {
	const char *header;
	bool blind;
};

static void test_blind_copies(void)
{
	static const char *const addresses[] = {"bob@example.org", "robert@example.org"};
	static const struct copy copies[] = {
		{"To: bob@example.org\n", false},
		{"To: a@x, \"B\" <Robert@Example.ORG>\n", false},
		{"To: a@x\nCc: bob@example.org, c@x\n", false},
		{"To: bob+shop@example.org\n", false},
		{"To: bob.b@example.org\n", true},
		{"To: bob@example.org.net\n", true},
		{"To: xbob@example.org\n", true},
		{"To: \"bob@example.org\" <a@x>\n", true},
		{"To: undisclosed-recipients:;\n", true},
		{"X: y\n", true},
		{"From: Bob <bob@example.org>\nTo: a@x\n", false},
		{"To: a@x\nList-Id: <a.x>\n", false},
		{"To: a@x\nPrecedence: bulk\n", false},
		{"To: a@x\nPrecedence: normal\n", true},
		{"To: a@x\nResent-To: bob@example.org\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		struct email_view view = {
			.version = 140, .addresses = addresses, .address_count = 2};
		struct buf raw = BUF_INIT;
		struct shown s;

		buf_addf(&raw, "%s\nx", copies[i].header);
		s = show(buf_cstr(&raw), FOLDER_INBOX, &view);
		CHECK_STR(text_of(&s, TAG_Email2_ReceivedAsBcc), copies[i].blind ? "1" : "(none)");
		release(&s);
		s = show(buf_cstr(&raw), FOLDER_SENT, &view);
		CHECK_STR(text_of(&s, TAG_Email2_ReceivedAsBcc), "(none)");
		release(&s);
		view.version = 121;
		s = show(buf_cstr(&raw), FOLDER_INBOX, &view);
		CHECK_STR(text_of(&s, TAG_Email2_ReceivedAsBcc), "(none)");
		release(&s);
		buf_deinit(&raw);
	}
	/* Nobody knows the user's addresses. */
	check_text("To: a@x\n\n", FOLDER_INBOX, 140, TAG_Email2_ReceivedAsBcc, "(none)");
}

#define VOICE     "Content-Class: voice\nX-CallingTelephoneNumber: +1555\nX-VoiceMessageDuration: "
#define RECORDING "\nContent-Type: audio/wav; name=a.wav\n\nx"

static void check_voice(const char *raw, unsigned version, const char *caller, const char *order,
	const char *seconds)
{
	struct email_view view = {.version = version};
	struct shown s = show(raw, FOLDER_INBOX, &view);
	struct shown file = {.root = wbxml_find(s.root, TAG_AirSyncBase_Attachments)->child};

	CHECK_STR(text_of(&s, TAG_Email2_UmCallerID), caller);
	CHECK_STR(text_of(&file, TAG_Email2_UmAttOrder), order);
	CHECK_STR(text_of(&file, TAG_Email2_UmAttDuration), seconds);
	release(&s);
}

static void test_voice(void)
{
	check_voice(VOICE "7" RECORDING, 140, "+1555", "1", "7");
	check_voice(VOICE "7" RECORDING, 121, "(none)", "(none)", "(none)");
	check_voice(VOICE "-7" RECORDING, 141, "+1555", "1", "(none)");
	check_voice(VOICE "long" RECORDING, 161, "+1555", "1", "(none)");
	check_voice(VOICE "7\nContent-Type: image/png\n\nx", 140, "+1555", "(none)", "(none)");
	check_voice("X-CallingTelephoneNumber: +1555" RECORDING, 140, "(none)", "(none)", "(none)");
}

static void check_part(const char *raw, struct email_view *view, const char *status,
	const char *truncated, const char *content, const char *preview)
{
	struct shown s = show(raw, FOLDER_INBOX, view);
	struct shown part = {.root = wbxml_find(s.root, TAG_AirSyncBase_BodyPart)};

	REQUIRE(part.root != NULL);
	CHECK_STR(text_of(&part, TAG_AirSyncBase_Status), status);
	CHECK_STR(text_of(&part, TAG_AirSyncBase_Truncated), truncated);
	CHECK_STR(text_of(&part, TAG_AirSyncBase_Data), content);
	CHECK_STR(text_of(&part, TAG_AirSyncBase_Preview), preview);
	release(&s);
}

#define HTML_REPLY "Subject: Re: a\nContent-Type: text/html\n\n<p>new<blockquote type=cite>old"

static void test_body_part(void)
{
	struct sync_options options;
	struct email_view view = {.version = 141, .options = &options};
	struct buf large = BUF_INIT;
	struct shown s;

	sync_options_default(&options);
	options.part = (struct sync_body_preference){.type = 2, .preview_chars = 2};
	check_part(HTML_REPLY, &view, "1", "(none)", "<p>new", "ne");
	options.part.has_truncation = true;
	options.part.truncation_bytes = 5;
	check_part(HTML_REPLY, &view, "1", "1", "<p>ne", "ne");
	options.part.all_or_none = true;
	check_part(HTML_REPLY, &view, "176", "1", "(none)", "ne");
	/* Beside the members of a conversation in the filter: the preview alone. */
	options.part.has_truncation = false;
	view.no_body = true;
	check_part(HTML_REPLY, &view, "1", "1", "(none)", "ne");
	view.no_body = false;
	buf_add_str(&large, "Subject: a\nContent-Type: text/html\n\n");
	for (size_t i = 0; i < 9 * 1024; i++)
		buf_addf(&large, "%01023zu\n", i);
	check_part(buf_cstr(&large), &view, "176", "1", "(none)", "(none)");
	buf_deinit(&large);
	view.version = 140;
	s = show(HTML_REPLY, FOLDER_INBOX, &view);
	CHECK(wbxml_find(s.root, TAG_AirSyncBase_BodyPart) == NULL);
	release(&s);
}

/* What a phone sent, as another is shown it. */
static void check_flag(const char *in, const char *want)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_limits limits = {.depth = 8, .nodes = 100, .text_bytes = 10000};
	struct buf sent = BUF_INIT, blob = BUF_INIT, shown = BUF_INIT, dump = BUF_INIT;
	struct wbxml_node *root;
	struct wbxml_writer w;
	struct err err = ERR_INIT;
	uint8_t status;

	wbxml_writer_init(&w, &sent);
	wbxml_start(&w, TAG_Email_Flag);
	if (strchr(in, '2') != NULL)
		wbxml_add_text(&w, TAG_Email_Status, "2");
	if (strchr(in, '0') != NULL)
		wbxml_add_text(&w, TAG_Email_Status, "0");
	if (strchr(in, 't') != NULL)
		wbxml_add_text(&w, TAG_Email_FlagType, "mine");
	if (strchr(in, 'd') != NULL)
		wbxml_add_text(&w, TAG_Tasks_DueDate, "20260304T080000Z");
	if (strchr(in, 'r') != NULL)
		wbxml_add_empty(&w, TAG_Tasks_ReminderSet);
	wbxml_end(&w);
	REQUIRE_OK(wbxml_decode(arena, sent.data, sent.len, &limits, &root, &err), &err);
	email_flag_parse(root, &status, &blob);
	wbxml_writer_init(&w, &shown);
	email_flag_encode(&w, status, blob.data, blob.len);
	REQUIRE_OK(wbxml_decode(arena, shown.data, shown.len, &limits, &root, &err), &err);
	for (const struct wbxml_node *n = root->child; n != NULL; n = n->next)
		buf_addf(&dump, "%s;", n->text);
	CHECK_STR(buf_cstr(&dump), want);
	buf_deinit(&sent);
	buf_deinit(&blob);
	buf_deinit(&shown);
	buf_deinit(&dump);
}

static void test_flags(void)
{
	check_flag("", "");
	check_flag("0td", "");
	check_flag("2t", "2;mine;");
	check_flag("2", "2;Flag for follow up;");
	check_flag("t", "2;mine;");
	check_flag("2tdr", "2;mine;2026-03-04T08:00:00.000Z;1;");
}

TEST_MAIN(TEST(test_senders), TEST(test_bcc), TEST(test_blind_copies), TEST(test_voice),
	TEST(test_body_part), TEST(test_flags))
