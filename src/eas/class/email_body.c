/*
 * Which body a phone gets ([MS-ASAIRS] 3.2.5), and writing it. Version 2.5 has its
 * own elements and truncation tables ([MS-ASCMD] 2.2.3.187, 2.2.3.109).
 */
#include "eas/class/email_internal.h"

#include "base/mem.h"

/* Bytes for Truncation 0..8 of 2.5; 9 and absent: no cut. */
static uint64_t truncation_bytes(uint8_t level)
{
	static const uint32_t sizes[] = {0, 512, 1024, 2048, 5120, 10240, 20480, 51200, 102400};

	return level < ARRAY_LEN(sizes) ? sizes[level] : UINT64_MAX;
}

/* Bytes for MIMETruncation 0..7; 8 and absent: no cut. */
static uint64_t mime_truncation_bytes(uint8_t level)
{
	static const uint32_t sizes[] = {0, 4096, 5120, 7168, 10240, 20480, 51200, 102400};

	return level < ARRAY_LEN(sizes) ? sizes[level] : UINT64_MAX;
}

static bool wants_mime(const struct email *email, const struct sync_options *o)
{
	return o->mime_support == 2 || (o->mime_support == 1 && email->summary->is_smime);
}

static int render(const struct email *email, enum mime_body_type type, uint64_t max_bytes,
	struct mime_body *ret, struct err *err)
{
	if (mime_body_render(email->summary, email->body.bytes, email->body.len, type, max_bytes,
		    ret, err) < 0)
		return -1;
	/* A large message is not in memory twice when it is written. */
	if (type == MIME_BODY_MIME)
		store_body_forget(&email->body, email->body.len);
	return 0;
}

static const struct sync_body_preference *find_preference(
	const struct sync_options *o, uint8_t type)
{
	for (size_t i = 0; i < o->preference_count; i++) {
		if (o->preferences[i].type == type)
			return &o->preferences[i];
	}
	return NULL;
}

/* MIMETruncation bounds MIME beside the preference's own size ([MS-ASCMD] 2.2.3.109). */
static uint64_t preference_max(const struct sync_options *o, const struct sync_body_preference *p)
{
	uint64_t max = p->has_truncation ? p->truncation_bytes : UINT64_MAX;

	return p->type == MIME_BODY_MIME ? MIN(max, mime_truncation_bytes(o->mime_truncation))
					 : max;
}

/* 1: rendered. 0: it would be cut and the preference says all or none. */
static int try_preference(const struct email *email, const struct sync_options *o,
	const struct sync_body_preference *p, struct mime_body *ret, struct err *err)
{
	if (render(email, p->type, preference_max(o, p), ret, err) < 0)
		return -1;
	if (!ret->truncated || !p->all_or_none || !p->has_truncation)
		return 1;
	buf_deinit(&ret->data);
	return 0;
}

static int choose_body(const struct email *email, const struct sync_options *o,
	const struct sync_body_preference **ret_preference, struct mime_body *ret, struct err *err)
{
	uint8_t native = email->summary->native_body;
	/* The native type first, then by richness; MIME last, for phones which name nothing else.
	 */
	const uint8_t order[] = {native, MIME_BODY_HTML, MIME_BODY_TEXT, MIME_BODY_MIME};
	const struct sync_body_preference *p = find_preference(o, MIME_BODY_MIME);
	const struct sync_body_preference *first = &o->preferences[0];
	int done;

	if (p != NULL && wants_mime(email, o)) {
		*ret_preference = p;
		done = try_preference(email, o, p, ret, err);
		if (done != 0)
			return done < 0 ? -1 : 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if ((i > 0 && order[i] == native) || (p = find_preference(o, order[i])) == NULL)
			continue;
		if (order[i] == MIME_BODY_MIME && o->preference_count > 1)
			continue;
		*ret_preference = p;
		done = try_preference(email, o, p, ret, err);
		if (done != 0)
			return done < 0 ? -1 : 0;
	}
	*ret_preference = first;
	return render(
		email, first->type == MIME_BODY_RTF ? MIME_BODY_TEXT : first->type, 0, ret, err);
}

static void write_data(
	struct wbxml_writer *w, const struct mime_body *body, const struct email_view *view)
{
	unsigned number;

	if (body->data.len == 0)
		return;
	if (view->add_part != NULL) {
		view->add_part(view->part_owner, body->data.data, body->data.len, &number);
		wbxml_add_uint(w, TAG_ItemOperations_Part, number);
		return;
	}
	wbxml_add_clean(w, TAG_AirSyncBase_Data, (const char *)body->data.data, body->data.len);
}

void email_encode_preview(struct wbxml_writer *w, const struct email *email, unsigned chars)
{
	const char *preview = email->summary->preview;
	size_t end = 0;

	for (unsigned n = 0; preview[end] != 0 && n < chars; n++) {
		end++;
		while (((unsigned char)preview[end] & 0xc0) == 0x80)
			end++;
	}
	if (end > 0)
		wbxml_add_textn(w, TAG_AirSyncBase_Preview, preview, end);
}

static bool has_part(const struct email_view *view)
{
	return view->version >= 141 && view->options->part.type != 0;
}

enum body_part_status {
	BODY_PART_OK = 1,
	BODY_PART_TOO_LARGE = 176,
};

/* The part of the message that is new in its conversation ([MS-ASAIRS] 2.2.2.10). One that may not
 * be cut and does not fit is too large, as is one that nobody can take apart. */
static int encode_body_part(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	const struct sync_body_preference *p = &view->options->part;
	uint64_t max = view->no_body ? 0 : p->has_truncation ? p->truncation_bytes : UINT64_MAX;
	unsigned status = BODY_PART_OK;
	struct mime_body body = {.data = BUF_INIT, .truncated = true};
	struct buf preview = BUF_INIT;

	if (mime_body_render_new(email->summary, email->body.bytes, email->body.len, max,
		    p->preview_chars, &body, &preview, err) < 0) {
		if (err->code != ERR_QUOTA)
			return -1;
		status = BODY_PART_TOO_LARGE;
		body.estimated_bytes = email->body.len;
	} else if (body.truncated && p->all_or_none && p->has_truncation && !view->no_body) {
		status = BODY_PART_TOO_LARGE;
		buf_clear(&body.data);
	}
	wbxml_start(w, TAG_AirSyncBase_BodyPart);
	wbxml_add_uint(w, TAG_AirSyncBase_Status, status);
	wbxml_add_uint(w, TAG_AirSyncBase_Type, MIME_BODY_HTML);
	wbxml_add_uint(w, TAG_AirSyncBase_EstimatedDataSize, body.estimated_bytes);
	if (body.truncated)
		wbxml_add_bool(w, TAG_AirSyncBase_Truncated, true);
	if (body.data.len > 0)
		wbxml_add_clean(
			w, TAG_AirSyncBase_Data, (const char *)body.data.data, body.data.len);
	if (preview.len > 0)
		wbxml_add_textn(
			w, TAG_AirSyncBase_Preview, (const char *)preview.data, preview.len);
	wbxml_end(w);
	buf_deinit(&body.data);
	buf_deinit(&preview);
	return 0;
}

static int encode_airsyncbase(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	const struct sync_body_preference *p = NULL;
	struct mime_body body = {.data = BUF_INIT};
	/* Who asks for the new part alone, has no use for the whole. */
	uint64_t max = has_part(view) ? 0 : UINT64_MAX;
	int result = view->options->preference_count > 0
			     ? choose_body(email, view->options, &p, &body, err)
			     : render(email, email->summary->native_body, max, &body, err);

	if (result < 0)
		return -1;
	wbxml_start(w, TAG_AirSyncBase_Body);
	wbxml_add_uint(w, TAG_AirSyncBase_Type, body.type);
	wbxml_add_uint(w, TAG_AirSyncBase_EstimatedDataSize, body.estimated_bytes);
	if (body.truncated || view->no_body)
		wbxml_add_bool(w, TAG_AirSyncBase_Truncated, true);
	if (!view->no_body)
		write_data(w, &body, view);
	if (view->version >= 140 && p != NULL && p->preview_chars > 0 &&
		(view->no_body || !(body.type == MIME_BODY_TEXT && body.data.len > 0)))
		email_encode_preview(w, email, p->preview_chars);
	wbxml_end(w);
	wbxml_add_uint(w, TAG_AirSyncBase_NativeBodyType, email->summary->native_body);
	buf_deinit(&body.data);
	return has_part(view) ? encode_body_part(w, email, view, err) : 0;
}

static int encode_mime_data(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	struct mime_body body = {.data = BUF_INIT};

	if (render(email, MIME_BODY_MIME, mime_truncation_bytes(view->options->mime_truncation),
		    &body, err) < 0)
		return -1;
	wbxml_add_bool(w, TAG_Email_MIMETruncated, body.truncated);
	if (body.data.len > 0)
		wbxml_add_clean(w, TAG_Email_MIMEData, (const char *)body.data.data, body.data.len);
	wbxml_add_uint(w, TAG_Email_MIMESize, body.estimated_bytes);
	buf_deinit(&body.data);
	return 0;
}

static int encode_plain(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	struct mime_body body = {.data = BUF_INIT};

	if (render(email, MIME_BODY_TEXT, truncation_bytes(view->options->truncation), &body, err) <
		0)
		return -1;
	wbxml_add_bool(w, TAG_Email_BodyTruncated, body.truncated);
	wbxml_add_uint(w, TAG_Email_BodySize, body.estimated_bytes);
	if (body.data.len > 0)
		wbxml_add_clean(w, TAG_Email_Body, (const char *)body.data.data, body.data.len);
	buf_deinit(&body.data);
	return 0;
}

int email_encode_body(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, struct err *err)
{
	if (view->version >= 120)
		return encode_airsyncbase(w, email, view, err);
	if (wants_mime(email, view->options))
		return encode_mime_data(w, email, view, err);
	return encode_plain(w, email, view, err);
}
