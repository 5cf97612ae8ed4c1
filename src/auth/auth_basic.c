/*
 * The Authorization header of HTTP Basic (RFC 7617). Phones send UTF-8, Outlook ISO-8859-1: bytes
 * that are no UTF-8 are taken as the latter. Pure; limits: HEADER_BYTES, NAME_BYTES,
 * PASSWORD_BYTES.
 */
#include "auth/auth_internal.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define HEADER_BYTES   2048u
#define NAME_BYTES     320u
#define PASSWORD_BYTES 511u /* what crypt(3) takes */

/* ISO-8859-1 when it is not UTF-8. */
static void to_utf8(struct buf *text)
{
	struct buf utf8 = BUF_INIT;

	if (utf8_valid(text->data, text->len))
		return;
	for (size_t i = 0; i < text->len; i++) {
		uint8_t c = text->data[i];

		if (c >= 0x80)
			buf_add_byte(&utf8, (uint8_t)(0xc0 | c >> 6));
		buf_add_byte(&utf8, c < 0x80 ? c : (uint8_t)(0x80 | (c & 0x3f)));
	}
	secret_wipe(text->data, text->len);
	buf_deinit(text);
	*text = utf8;
}

static enum auth_parse split(struct arena *arena, const struct buf *text, struct auth_basic *ret)
{
	const char *bytes = (const char *)text->data;
	const char *colon = text->len == 0 ? NULL : memchr(bytes, ':', text->len);
	const char *name, *password;
	size_t name_len, password_len;

	if (colon == NULL || memchr(bytes, 0, text->len) != NULL)
		return AUTH_PARSE_BAD;
	name_len = (size_t)(colon - bytes);
	password_len = text->len - name_len - 1;
	if (name_len == 0 || name_len > NAME_BYTES || password_len > PASSWORD_BYTES)
		return AUTH_PARSE_BAD;
	name = arena_try_strndup(arena, bytes, name_len);
	password = arena_try_strndup(arena, colon + 1, password_len);
	if (name == NULL || password == NULL)
		return AUTH_PARSE_BAD;
	ret->name = name;
	ret->password = password;
	return AUTH_PARSE_GOOD;
}

enum auth_parse auth_basic_parse(
	struct arena *arena, const char *authorization, struct auth_basic *ret)
{
	struct buf text = BUF_INIT;
	enum auth_parse result = AUTH_PARSE_BAD;
	const char *p = authorization;
	size_t len;

	if (p == NULL || !str_starts_nocase(p, "Basic") || (p[5] != 0 && p[5] != ' '))
		return AUTH_PARSE_NONE;
	p += 5 + strspn(p + 5, " ");
	len = strlen(p);
	if (len == 0)
		return AUTH_PARSE_NONE;
	if (len <= HEADER_BYTES && base64_decode(&text, p, len) == 0) {
		to_utf8(&text);
		result = split(arena, &text, ret);
	}
	if (text.len > 0)
		secret_wipe(text.data, text.len);
	buf_deinit(&text);
	return result;
}
