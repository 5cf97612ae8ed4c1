/*
 * Any From, To and body (parted by NUL bytes; the first byte chooses what else is there) become one
 * message, out of which they come back as they went in.
 */
#include "eas/class/sms.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

static struct wbxml_node *add(
	struct arena *arena, struct wbxml_node *parent, unsigned tag, const char *text, size_t len)
{
	struct wbxml_node *node = arena_x_new(arena, struct wbxml_node);
	struct buf clean = BUF_INIT;

	if (len > 0)
		utf8_add_clean(&clean, text, len);
	*node = (struct wbxml_node){.tag = (uint16_t)tag,
		.len = (uint32_t)clean.len,
		.text = clean.len > 0 ? arena_x_strndup(arena, (const char *)clean.data, clean.len)
				      : "",
		.parent = parent};
	buf_deinit(&clean);
	if (parent != NULL) {
		if (parent->last_child != NULL)
			parent->last_child->next = node;
		else
			parent->child = node;
		parent->last_child = node;
	}
	return node;
}

static void check_field(
	struct arena *arena, const struct sms *sms, const char *name, const struct wbxml_node *sent)
{
	const char *got = mime_field_text(arena, sms->raw.data, sms->raw.len, name);

	require(sent->len == 0 ? got == NULL : got != NULL && strcmp(got, sent->text) == 0);
}

static void check_body(struct arena *arena, const struct sms *sms, const struct wbxml_node *sent)
{
	struct mime_summary *summary;
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;

	require(mime_summarize(arena, sms->raw.data, sms->raw.len, NULL, &summary, &err) == 0);
	require(summary->text_part >= 0 && summary->part_count == 1);
	require(mime_part_decode(summary, sms->raw.data, sms->raw.len, (uint32_t)summary->text_part,
			&text, &err) == 0);
	require(text.len == sent->len && memcmp(text.data, sent->text, text.len) == 0);
	buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new((size_t)1 << 24);
	struct wbxml_node *data = add(arena, NULL, TAG_AirSync_ApplicationData, "", 0);
	struct wbxml_node *sent[3] = {NULL}, *body;
	const char *at = (const char *)bytes + (len > 0), *end = (const char *)bytes + len;
	static const unsigned tags[3] = {TAG_Email_From, TAG_Email_To, TAG_AirSyncBase_Data};
	struct err err = ERR_INIT;
	struct sms sms;

	static bool begun;

	if (!begun)
		mime_global_init();
	begun = true;
	for (size_t i = 0; i < 3; i++) {
		const char *stop = at < end && i < 2 ? memchr(at, 0, (size_t)(end - at)) : NULL;
		struct wbxml_node *parent = data;

		stop = stop != NULL ? stop : end;
		if (i == 2) {
			body = add(arena, data, TAG_AirSyncBase_Body, "", 0);
			(void)add(arena, body, TAG_AirSyncBase_Type, "1", 1);
			parent = body;
		}
		sent[i] = add(arena, parent, tags[i], at, (size_t)(stop - at));
		at = stop < end ? stop + 1 : end;
	}
	if (len > 0 && (bytes[0] & 1) != 0)
		(void)add(arena, data, TAG_Email_Importance, "2", 1);
	if (sms_read(data, 1000, &sms, &err) == 0) {
		check_field(arena, &sms, "x-bellhop-sms-from", sent[0]);
		check_field(arena, &sms, "x-bellhop-sms-to", sent[1]);
		check_body(arena, &sms, sent[2]);
	} else {
		require(err.code == ERR_BAD_INPUT);
	}
	sms_deinit(&sms);
	arena_free(&arena);
	return 0;
}
