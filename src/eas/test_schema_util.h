#ifndef BELLHOP_EAS_TEST_SCHEMA_UTIL_H
#define BELLHOP_EAS_TEST_SCHEMA_UTIL_H

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "eas/request.h"
#include "eas/schema.h"
#include "eas/schema_internal.h"

/*
 * For tests only: requests written down as text, encoded, decoded, checked.
 * "Sync{Collections{Collection{SyncKey=0}}}": a name without namespace is in its parent's; =#41 is
 * opaque, =_ is a blank.
 */
static const struct wbxml_limits wide = {
	.depth = 32, .nodes = 200000, .text_bytes = (size_t)1 << 20};

static inline unsigned find_tag(const char *name, size_t len, unsigned page)
{
	char want[80], have[64];

	(void)snprintf(want, sizeof(want), "%.*s", (int)len, name);
	for (unsigned tag = 0; tag < 26 << 8; tag++) {
		const char *shown;

		if (!wbxml_tag_known(tag))
			continue;
		shown = wbxml_tag_to_str(tag, have, sizeof(have));
		if (strchr(want, ':') == NULL) {
			if (tag >> 8 != page)
				continue;
			shown = strchr(shown, ':') + 1;
		}
		if (strcmp(shown, want) == 0)
			return tag;
	}
	printf("Bail out! no tag \"%s\" on page %u\n", want, page);
	exit(1);
}

static inline void write_value(struct wbxml_writer *w, unsigned tag, const char *value, size_t len)
{
	char text[2048];
	size_t n = 0;

	REQUIRE(len < sizeof(text));
	if (value[0] == '#') {
		for (size_t i = 1; i + 1 < len; i += 2)
			text[n++] = (char)strtoul((char[]){value[i], value[i + 1], 0}, NULL, 16);
		wbxml_add_opaque(w, tag, text, n);
		return;
	}
	for (; n < len; n++)
		text[n] = value[n] == '_' ? ' ' : value[n];
	wbxml_add_clean(w, tag, text, n);
}

static inline const char *write_elements(struct wbxml_writer *w, const char *p, unsigned page)
{
	for (;;) {
		size_t len;
		unsigned tag;

		p += strspn(p, " ");
		if (*p == 0 || *p == '}')
			return p;
		len = strcspn(p, " {}=");
		tag = find_tag(p, len, page);
		p += len;
		if (*p == '=') {
			len = strcspn(++p, " }");
			write_value(w, tag, p, len);
			p += len;
		} else if (*p == '{') {
			wbxml_start(w, tag);
			p = write_elements(w, p + 1, tag >> 8);
			wbxml_end(w);
			REQUIRE(*p == '}');
			p++;
		} else {
			wbxml_add_empty(w, tag);
		}
	}
}

struct checked {
	struct arena *arena;
	struct wbxml_node *root;
	struct schema_fault fault;
	int rc;
};

static inline void check_bytes(struct checked *r, enum eas_command command, unsigned version,
	const struct buf *bytes, const struct schema_limits *limits)
{
	struct err err = ERR_INIT;

	r->arena = arena_new(0);
	REQUIRE_OK(wbxml_decode(r->arena, bytes->data, bytes->len, &wide, &r->root, &err), &err);
	r->rc = schema_check(command, version, r->root, limits, &r->fault);
}

static inline void check_text(
	struct checked *r, enum eas_command command, unsigned version, const char *text)
{
	struct schema_limits limits = schema_limits_default();
	struct buf bytes = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &bytes);
	(void)write_elements(&w, text, eas_command_info(command)->root >> 8);
	check_bytes(r, command, version, &bytes, &limits);
	buf_deinit(&bytes);
}

/* One row: the Status (0: good) and a part of the fault's text; item: that fault is an item's. */
struct row {
	unsigned version;
	const char *request;
	unsigned status;
	const char *text;
	unsigned item;
};

static inline void check_rows(enum eas_command command, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct checked r;
		const char *text = row->text == NULL ? "" : row->text;

		check_text(&r, command, row->version, row->request);
		if (r.fault.status != row->status || r.rc != (row->status == 0 ? 0 : -1) ||
			(row->item == 0 && row->text == NULL && r.fault.text[0] != 0) ||
			strstr(r.fault.text, text) == NULL ||
			r.fault.item_faults != (row->item != 0))
			test_fail_(__FILE__, __LINE__,
				"%s %u, row %zu: Status %u, %u items, \"%s\"",
				eas_command_info(command)->name, row->version, i, r.fault.status,
				r.fault.item_faults, r.fault.text);
		arena_free(&r.arena);
	}
}

#define CHECK_ROWS(command, rows) check_rows(EAS_CMD_##command, rows, ARRAY_LEN(rows))

/* Many of one element (@: its number), and what is over the limit. */
static inline void check_count(enum eas_command command, unsigned version, const char *before,
	const char *each, const char *after, unsigned limit, unsigned status)
{
	struct schema_limits limits = schema_limits_default();

	for (unsigned n = limit; n <= limit + 1; n++) {
		struct buf text = BUF_INIT, bytes = BUF_INIT;
		struct wbxml_writer w;
		struct checked r;

		buf_add_str(&text, before);
		for (unsigned i = 0; i < n; i++) {
			const char *number = strchr(each, '@');

			buf_add(&text, each, strcspn(each, "@"));
			if (number != NULL)
				buf_addf(&text, "%u%s", i, number + 1);
		}
		buf_add_str(&text, after);
		wbxml_writer_init(&w, &bytes);
		(void)write_elements(&w, buf_cstr(&text), eas_command_info(command)->root >> 8);
		check_bytes(&r, command, version, &bytes, &limits);
		CHECK_INT(r.fault.status, n > limit ? status : 0);
		CHECK_INT(r.fault.limit, status == 15 && n > limit ? limit : 0);
		arena_free(&r.arena);
		buf_deinit(&text);
		buf_deinit(&bytes);
	}
}

#endif
