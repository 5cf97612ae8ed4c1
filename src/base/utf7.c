/*
 * Modified UTF-7. Pure.
 */
#include "base/utf7.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* One character of valid UTF-8; at least one byte is consumed. */
static uint32_t next_char(const unsigned char **p)
{
	const unsigned char *s = *p;
	unsigned more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more == 0 ? s[0] : s[0] & (0x3fu >> more);

	for (unsigned i = 1; i <= more; i++)
		c = c << 6 | (s[i] & 0x3f);
	*p = s + 1 + more;
	return c;
}

static void add_unit(struct buf *units, uint32_t unit)
{
	buf_add_byte(units, (uint8_t)(unit >> 8));
	buf_add_byte(units, (uint8_t)unit);
}

static void flush_units(struct buf *out, struct buf *units)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	if (units->len == 0)
		return;
	base64_add(&text, units->data, units->len);
	buf_add_byte(out, '&');
	for (size_t i = 0; i < text.len && text.data[i] != '='; i++)
		buf_add_byte(out, text.data[i] == '/' ? ',' : text.data[i]);
	buf_add_byte(out, '-');
	buf_clear(units);
}

void utf7_add_name(struct buf *out, const char *name, const char *special)
{
	CLEANUP(buf_deinit) struct buf units = BUF_INIT, clean = BUF_INIT;
	const unsigned char *p, *first;

	utf8_add_clean(&clean, name, strlen(name));
	first = (const unsigned char *)buf_cstr(&clean);
	for (p = first; *p != '\0';) {
		bool leading_dot = p == first && *p == '.';
		uint32_t c = next_char(&p);

		if (c >= 0x10000) {
			add_unit(&units, 0xd800 + ((c - 0x10000) >> 10));
			add_unit(&units, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else if (c > 0x7e || c < 0x20 || leading_dot || strchr(special, (int)c) != NULL) {
			add_unit(&units, c);
		} else {
			flush_units(out, &units);
			buf_add_str(out, c == '&' ? "&-" : (const char[]){(char)c, '\0'});
		}
	}
	flush_units(out, &units);
}
