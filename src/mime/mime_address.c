/*
 * Address lists. The plain forms (addr, Name <addr>, "Name" <addr>) are read here; a field with
 * anything else (comments, groups, routes, encoded words) goes to GMime as a whole.
 *
 * Limits: MIME_VALUE_MAX bytes of a field; MIME_ADDRESSES_MAX addresses. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "mime/mime_gmime.h"

#include "base/mem.h"
#include "base/str.h"

enum { PIECE_WANTED = 1024, PIECE_MAX = 2048 };

static void add(
	struct arena *arena, struct mime_addresses *list, const char *name, const char *addr)
{
	if (list->count >= MIME_ADDRESSES_MAX)
		return;
	if (list->count == list->cap) {
		size_t cap = MAX(list->cap * 2, (size_t)4);
		struct mime_address *more = arena_x_alloc(arena, cap * sizeof(*more));

		if (list->count > 0)
			memcpy(more, list->v, list->count * sizeof(*more));
		list->v = more;
		list->cap = cap;
	}
	list->v[list->count++] = (struct mime_address){name, addr};
}

void mime_address_add(
	struct arena *arena, struct mime_addresses *list, const struct mime_address *address)
{
	add(arena, list, address->name, address->addr);
}

static char *skip_blank(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* A quoted string at p is cut and unescaped in place; behind it, or NULL. */
static char *cut_quoted(char *p, const char **ret)
{
	char *to = ++p;

	*ret = to;
	for (; *p != 0 && *p != '"'; p++) {
		if (*p == '\\' && p[1] != 0)
			p++;
		*to++ = *p;
	}
	if (*p == 0)
		return NULL;
	*to = 0;
	return p + 1;
}

/* `<addr>` at p is cut; behind it, or NULL. */
static char *cut_angle(char *p, const char **ret)
{
	size_t n = strcspn(++p, "> \t<\"(),:;\\");

	if (p[n] != '>' || n == 0)
		return NULL;
	p[n] = 0;
	*ret = p;
	return p + n + 1;
}

/* One address at p; behind it (at its comma or the end), or NULL when it is not plain. */
static char *cut_one(char *p, const char **name, const char **addr)
{
	char *stop;

	*name = "";
	if (*p == '"') {
		p = cut_quoted(p, name);
		if (p == NULL || *(p = skip_blank(p)) != '<')
			return NULL;
		p = cut_angle(p, addr);
		return p != NULL ? skip_blank(p) : NULL;
	}
	stop = p + strcspn(p, ",<>()\";:\\");
	if (*stop == '<') {
		char *angle = cut_angle(stop, addr);

		*stop = 0;
		*name = str_trim(p);
		return angle != NULL ? skip_blank(angle) : NULL;
	}
	if (*stop != ',' && *stop != 0)
		return NULL;
	*addr = p;
	p = stop;
	while (p > *addr && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	if (p != stop)
		*p = 0;
	if (strchr(*addr, '@') == NULL || strchr(*addr, '@') > stop ||
		memchr(*addr, ' ', (size_t)(p - *addr)) != NULL ||
		memchr(*addr, '\t', (size_t)(p - *addr)) != NULL)
		return NULL;
	return stop;
}

/* False: not plain; the list is unchanged. */
static bool parse_plain(struct arena *arena, char *s, struct mime_addresses *list)
{
	size_t before = list->count;

	for (const char *p = s; *p != 0; p++) {
		if (((uint8_t)*p < ' ' && *p != '\t') || (*p == '=' && p[1] == '?'))
			return false;
	}
	for (char *p = s; *(p = skip_blank(p)) != 0;) {
		const char *name, *addr;

		if (*p == ',') {
			p++;
			continue;
		}
		p = cut_one(p, &name, &addr);
		if (p == NULL || (*p != ',' && *p != 0)) {
			list->count = before;
			return false;
		}
		if (*p == ',')
			*p++ = 0;
		add(arena, list, name, addr);
	}
	return true;
}

/* Blanks at the ends gone, inner line ends and the like cleaned. */
static char *tidy(struct arena *arena, const char *s)
{
	char *copy;

	if (s == NULL)
		return arena_x_strdup(arena, "");
	copy = mime_header_clean(arena, s, strlen(s), MIME_TEXT_FIELD_MAX);
	for (char *p = copy; *p != 0; p++) {
		if ((uint8_t)*p < 0x20)
			*p = ' ';
	}
	return str_trim(copy);
}

static void take_list(
	struct arena *arena, InternetAddressList *from, struct mime_addresses *list, bool in_group)
{
	int n = internet_address_list_length(from);

	for (int i = 0; i < n; i++) {
		InternetAddress *ia = internet_address_list_get_address(from, i);
		const char *name = tidy(arena, internet_address_get_name(ia));

		if (INTERNET_ADDRESS_IS_MAILBOX(ia)) {
			add(arena, list, name,
				tidy(arena, internet_address_mailbox_get_addr(
						    INTERNET_ADDRESS_MAILBOX(ia))));
		} else if (!in_group && INTERNET_ADDRESS_IS_GROUP(ia)) {
			InternetAddressList *members =
				internet_address_group_get_members(INTERNET_ADDRESS_GROUP(ia));

			if (internet_address_list_length(members) == 0)
				add(arena, list, arena_x_printf(arena, "%s:;", name), "");
			else
				take_list(arena, members, list, true);
		}
	}
}

/* Outlook's habit, where no group explains the ';'. */
static void semicolons_to_commas(char *s)
{
	bool quoted = false;

	if (strchr(s, ':') != NULL)
		return;
	for (; *s != 0; s++) {
		if (*s == '\\' && s[1] != 0)
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == ';' && !quoted)
			*s = ',';
	}
}

/* GMime's reader recurses into groups and looks ahead from each bad address, so it is given the
 * list in pieces: where the piece that begins at s ends, at a comma if there is one. */
static size_t piece_len(const char *s)
{
	size_t comma = 0, i = 0;
	unsigned comments = 0;
	bool quoted = false;

	for (; i < PIECE_MAX && s[i] != 0; i++) {
		if (s[i] == ',' && !quoted && comments == 0)
			comma = i;
		if (comma > 0 && i >= PIECE_WANTED)
			return comma;
		if (s[i] == '\\' && s[i + 1] != 0)
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && s[i] == '(')
			comments++;
		else if (!quoted && s[i] == ')' && comments > 0)
			comments--;
	}
	return s[i] != 0 && comma > 0 ? comma : i;
}

static void parse_piece(struct arena *arena, const char *s, size_t len, struct mime_addresses *list)
{
	InternetAddressList *parsed;

	if (parse_plain(arena, arena_x_strndup(arena, s, len), list))
		return;
	parsed = internet_address_list_parse(mime_init_options(), arena_x_strndup(arena, s, len));
	if (parsed == NULL)
		return;
	take_list(arena, parsed, list, false);
	g_object_unref(parsed);
}

/* The null sender of bounces, which some write into From, is no address: its name is left. */
static char *without_nobody(char *s)
{
	size_t len = strlen(s);

	if (len < 2 || strcmp(s + len - 2, "<>") != 0)
		return s;
	s[len - 2] = 0;
	s = str_trim(s);
	len = strlen(s);
	if (len >= 2 && s[0] == '"' && s[len - 1] == '"' && memchr(s + 1, '"', len - 2) == NULL) {
		s[len - 1] = 0;
		s++;
	}
	return s;
}

/* As much of the field as is looked at, ending with a whole address. */
static char *field_text(struct arena *arena, struct mime_slice value)
{
	char *s = mime_header_utf8(arena, value);
	char *comma = value.len > MIME_VALUE_MAX ? strrchr(s, ',') : NULL;

	if (comma != NULL)
		*comma = 0;
	return s;
}

void mime_address_parse(struct arena *arena, struct mime_slice value, struct mime_addresses *list)
{
	char *s = list->count < MIME_ADDRESSES_MAX ? field_text(arena, value) : NULL;
	size_t before = list->count;

	if (s == NULL || *s == 0 || parse_plain(arena, s, list))
		return;
	s = field_text(arena, value);
	semicolons_to_commas(s);
	while (*s != 0) {
		size_t n = piece_len(s);

		parse_piece(arena, s, n, list);
		s += n;
		s += *s == ',';
	}
	/* Nobody can read it: keep what the sender wrote. */
	if (list->count == before) {
		char *text = without_nobody(tidy(arena, mime_header_text(arena, value)));

		if (*text != 0)
			add(arena, list, text, "");
	}
}

static void add_quoted(struct buf *out, const char *name)
{
	buf_add_byte(out, '"');
	for (; *name != 0; name++) {
		if (*name == '"' || *name == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)*name);
	}
	buf_add_byte(out, '"');
}

static void format_one(struct buf *out, const struct mime_address *a)
{
	if (*a->addr == 0) {
		buf_add_str(out, a->name);
	} else if (*a->name == 0) {
		buf_add_str(out, a->addr);
	} else {
		add_quoted(out, a->name);
		buf_add_str(out, " <");
		buf_add_str(out, a->addr);
		buf_add_byte(out, '>');
	}
}

static char *take_text(struct arena *arena, struct buf *out)
{
	char *text =
		mime_header_clean(arena, (const char *)out->data, out->len, MIME_TEXT_FIELD_MAX);

	buf_deinit(out);
	return text;
}

char *mime_address_format(struct arena *arena, const struct mime_addresses *list, const char *sep)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < list->count; i++) {
		size_t before = out.len;

		if (i > 0)
			buf_add_str(&out, sep);
		format_one(&out, &list->v[i]);
		if (out.len > MIME_TEXT_FIELD_MAX) {
			out.len = before;
			break;
		}
	}
	return take_text(arena, &out);
}

char *mime_address_display(struct arena *arena, const struct mime_addresses *list)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < list->count; i++) {
		size_t before = out.len;

		if (i > 0)
			buf_add_byte(&out, ';');
		buf_add_str(&out, *list->v[i].name != 0 ? list->v[i].name : list->v[i].addr);
		if (out.len > MIME_TEXT_FIELD_MAX) {
			out.len = before;
			break;
		}
	}
	return take_text(arena, &out);
}
