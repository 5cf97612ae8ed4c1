/*
 * The names of other programs' files: flags in those of Maildirs, folders in modified UTF-7. What
 * is no such name is text as it stands. Pure; no limits but BULK_DEPTH_MAX.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bulk/bulk.h"

/* ---- flags ---- */

static const struct {
	char letter;
	unsigned flag;
} letters[] = {{'D', BULK_DRAFT}, {'F', BULK_FLAGGED}, {'P', BULK_FORWARDED}, {'R', BULK_ANSWERED},
	{'S', BULK_READ}, {'T', BULK_TRASHED}};

unsigned bulk_flags_parse(const char *file_name)
{
	const char *info = NULL;
	unsigned flags = 0;

	for (const char *p = file_name; *p != '\0'; p++) {
		if (strchr(":;!-", *p) != NULL && p[1] == '2' && p[2] == ',')
			info = p + 3;
	}
	if (info == NULL)
		return 0;
	/* Programs put things of their own behind further commas. */
	for (; *info != '\0' && *info != ','; info++) {
		for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
			if (letters[i].letter == *info)
				flags |= letters[i].flag;
		}
	}
	return flags;
}

void bulk_flags_add(struct buf *out, unsigned flags)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		if ((flags & letters[i].flag) != 0)
			buf_add_byte(out, (uint8_t)letters[i].letter);
	}
}

/* ---- paths ---- */

void bulk_path_clear(struct bulk_path *path)
{
	while (path->count > 0)
		bulk_path_pop(path);
}

bool bulk_path_push(struct bulk_path *path, const char *name, size_t len)
{
	if (path->count == BULK_DEPTH_MAX)
		return false;
	path->names[path->count++] = x_strndup(name, len);
	return true;
}

void bulk_path_pop(struct bulk_path *path)
{
	mem_free(path->names[--path->count]);
	path->names[path->count] = NULL;
}

bool bulk_path_split(struct bulk_path *path, const char *text, char separator)
{
	while (*text != '\0') {
		const char *end = strchr(text, separator);
		size_t len = end != NULL ? (size_t)(end - text) : strlen(text);

		if (len > 0 && !bulk_path_push(path, text, len))
			return false;
		text += len + (end != NULL);
	}
	return true;
}

/* ---- modified UTF-7 ---- */

static void add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_byte(out, (uint8_t)c);
	} else if (c < 0x800) {
		buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

/* UTF-16, high byte first. False: it is not that. */
static bool add_units(struct buf *out, const uint8_t *bytes, size_t len)
{
	if (len == 0 || len % 2 != 0)
		return false;
	for (size_t i = 0; i < len; i += 2) {
		uint32_t c = (uint32_t)bytes[i] << 8 | bytes[i + 1];

		if (c >= 0xd800 && c < 0xdc00 && i + 3 < len) {
			uint32_t low = (uint32_t)bytes[i + 2] << 8 | bytes[i + 3];

			if (low < 0xdc00 || low > 0xdfff)
				return false;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			return false;
		}
		if (c == 0)
			return false;
		add_utf8(out, c);
	}
	return true;
}

static bool decode_run(struct buf *out, const char *run, size_t len)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT, bytes = BUF_INIT;

	for (size_t i = 0; i < len; i++) {
		char c = run[i];

		if (c == '/' || c == '-' || c == '_' || c == '=' || (unsigned char)c <= ' ')
			return false;
		buf_add_byte(&text, c == ',' ? '/' : (uint8_t)c);
	}
	return base64_decode(&bytes, (const char *)text.data, text.len) == 0 &&
	       add_units(out, bytes.data, bytes.len);
}

/* False: the name is no modified UTF-7. */
static bool decode(struct buf *out, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char *end;

		if (name[i] != '&') {
			buf_add_byte(out, (uint8_t)name[i]);
			continue;
		}
		end = memchr(name + i, '-', len - i);
		if (end == NULL)
			return false;
		if (end == name + i + 1)
			buf_add_byte(out, '&');
		else if (!decode_run(out, name + i + 1, (size_t)(end - name) - i - 1))
			return false;
		i = (size_t)(end - name);
	}
	return true;
}

void bulk_name_decode(struct buf *out, const char *name, size_t len)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT, clean = BUF_INIT;

	if (decode(&text, name, len))
		utf8_add_clean(&clean, (const char *)text.data, text.len);
	else
		utf8_add_clean(&clean, name, len);
	for (size_t i = 0; i < clean.len; i++)
		buf_add_byte(out, clean.data[i] < ' ' ? '_' : clean.data[i]);
}
