/*
 * HTML to readable text, over libxml2's HTML parser in SAX mode: no tree is built. Blocks become
 * lines, quotes "> ", list items "* " or "1. ", links "text (url)", table rows lines; what is not
 * shown (head, scripts, styles) is left out.
 *
 * One normal case: `<p>Hi <a href=u>x</a></p>`: the start of p asks for an empty line before the
 * next text; characters are folded and written, after the breaks which are due; the end of a writes
 * " <u>".
 *
 * Limits: DEPTH_MAX open elements (libxml2 looks through them at end tags; behind, tags are just
 * dropped), LISTS_MAX and QUOTES_MAX levels shown, stop_bytes of output. Any thread; pure.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include <libxml/HTMLparser.h>

#include "base/mem.h"
#include "base/str.h"

enum { DEPTH_MAX = 256, LISTS_MAX = 16, QUOTES_MAX = 16, LINKS_MAX = 8, URL_MAX = 2000 };

enum tag_kind {
	TAG_INLINE,
	TAG_HIDDEN, /* with all that is in it */
	TAG_LINE,   /* stands on lines of its own */
	TAG_BLOCK,  /* the same, with an empty line around */
	TAG_PRE,
	TAG_QUOTE,
	TAG_LIST,
	TAG_NUMBERED,
	TAG_ITEM,
	TAG_CELL,
	TAG_BREAK,
	TAG_RULE,
	TAG_LINK,
	TAG_IMAGE,
};

static const struct {
	const char *name;
	enum tag_kind kind;
} tags[] = {
	{"a", TAG_LINK},
	{"address", TAG_LINE},
	{"article", TAG_BLOCK},
	{"blockquote", TAG_QUOTE},
	{"br", TAG_BREAK},
	{"caption", TAG_LINE},
	{"center", TAG_LINE},
	{"dd", TAG_LINE},
	{"dir", TAG_LIST},
	{"div", TAG_LINE},
	{"dl", TAG_BLOCK},
	{"dt", TAG_LINE},
	{"fieldset", TAG_LINE},
	{"footer", TAG_BLOCK},
	{"form", TAG_LINE},
	{"h1", TAG_BLOCK},
	{"h2", TAG_BLOCK},
	{"h3", TAG_BLOCK},
	{"h4", TAG_BLOCK},
	{"h5", TAG_BLOCK},
	{"h6", TAG_BLOCK},
	{"head", TAG_HIDDEN},
	{"header", TAG_BLOCK},
	{"hr", TAG_RULE},
	{"img", TAG_IMAGE},
	{"li", TAG_ITEM},
	{"menu", TAG_LIST},
	{"ol", TAG_NUMBERED},
	{"option", TAG_LINE},
	{"p", TAG_BLOCK},
	{"pre", TAG_PRE},
	{"script", TAG_HIDDEN},
	{"section", TAG_BLOCK},
	{"style", TAG_HIDDEN},
	{"table", TAG_LINE},
	{"td", TAG_CELL},
	{"template", TAG_HIDDEN},
	{"th", TAG_CELL},
	{"title", TAG_HIDDEN},
	{"tr", TAG_LINE},
	{"ul", TAG_LIST},
};

struct link {
	char *url;    /* owned; NULL when not worth showing */
	size_t start; /* of its text in the output */
};

struct html_text {
	struct buf *out;
	size_t stop_bytes;
	bool links;
	bool too_deep;
	size_t parsed; /* bytes of the input, when the parser was stopped; else 0 */
	htmlParserCtxtPtr parser;
	unsigned depth, hidden, pre, quotes;
	unsigned unseen;      /* depth of the outermost element that its style hides; 0: none */
	unsigned text_quotes; /* depth of the text last written */
	unsigned breaks;      /* line ends due before the next text */
	unsigned written;     /* line ends at the end of the output */
	bool blank;           /* a blank is due before the next text */
	bool bullet;          /* the next text is that of a list item */
	unsigned lists;
	unsigned numbers[LISTS_MAX]; /* 0: bullets */
	struct link open_links[LINKS_MAX];
	unsigned link_count; /* may exceed LINKS_MAX: those are not shown */
};

static enum tag_kind tag_kind(const char *name)
{
	size_t low = 0, high = ARRAY_LEN(tags);

	while (low < high) {
		size_t mid = (low + high) / 2;
		int d = strcmp(name, tags[mid].name);

		if (d == 0)
			return tags[mid].kind;
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return TAG_INLINE;
}

static void want_breaks(struct html_text *h, unsigned n)
{
	h->breaks = MAX(h->breaks, n);
	h->blank = false;
}

/* Marks of quotes and lists at the start of a line. */
static void add_line_start(struct html_text *h)
{
	for (unsigned i = 0; i < MIN(h->quotes, (unsigned)QUOTES_MAX); i++)
		buf_add_str(h->out, "> ");
	for (unsigned i = 1; i < MIN(h->lists, (unsigned)LISTS_MAX); i++)
		buf_add_str(h->out, "  ");
	if (h->lists > 0 && !h->bullet)
		buf_add_str(h->out, "  ");
}

static void add_bullet(struct html_text *h)
{
	unsigned *number = h->lists > 0 && h->lists <= LISTS_MAX ? &h->numbers[h->lists - 1] : NULL;

	if (number != NULL && *number > 0)
		buf_addf(h->out, "%u. ", (*number)++);
	else
		buf_add_str(h->out, "* ");
	h->bullet = false;
}

/* Writes what is due before text. */
static void settle(struct html_text *h)
{
	bool fresh = h->out->len == 0;

	while (!fresh && h->written < h->breaks) {
		/* The empty line inside a quote carries its mark. */
		if (h->written > 0 && MIN(h->quotes, h->text_quotes) > 0)
			buf_add_byte(h->out, '>');
		buf_add_byte(h->out, '\n');
		h->written++;
	}
	if (fresh || h->written > 0) {
		add_line_start(h);
		h->blank = false;
	}
	if (h->bullet)
		add_bullet(h);
	if (h->blank)
		buf_add_byte(h->out, ' ');
	h->breaks = h->written = 0;
	h->blank = false;
	h->text_quotes = h->quotes;
}

/* A line end that the author asked for. */
static void hard_break(struct html_text *h)
{
	if (h->bullet || h->breaks > h->written)
		settle(h);
	h->blank = false;
	/* Nothing is above the first line. */
	if (h->out->len == 0)
		return;
	buf_add_byte(h->out, '\n');
	h->written++;
	h->breaks = h->written;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void add_folded(struct html_text *h, const char *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t start = i;

		while (i < len && !is_blank(s[i]))
			i++;
		if (i > start) {
			settle(h);
			buf_add(h->out, s + start, i - start);
		}
		if (i < len && h->breaks == 0 && h->out->len > 0)
			h->blank = true;
		while (i < len && is_blank(s[i]))
			i++;
	}
}

static void add_preformatted(struct html_text *h, const char *s, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(s, '\n', len);
		size_t n = nl != NULL ? (size_t)(nl - s) : len, shown = n;

		if (shown > 0 && s[shown - 1] == '\r')
			shown--;
		if (shown > 0) {
			settle(h);
			buf_add(h->out, s, shown);
		}
		if (nl != NULL)
			hard_break(h);
		s += n + (nl != NULL);
		len -= n + (nl != NULL);
	}
}

static void stop(struct html_text *h)
{
	long at = xmlByteConsumed(h->parser);

	if (h->parsed == 0)
		h->parsed = at > 0 ? (size_t)at : 1;
	xmlStopParser(h->parser);
}

static void on_characters(void *owner, const xmlChar *s, int len)
{
	struct html_text *h = owner;

	if (h->hidden > 0 || len <= 0)
		return;
	if (h->pre > 0)
		add_preformatted(h, (const char *)s, (size_t)len);
	else
		add_folded(h, (const char *)s, (size_t)len);
	if (h->out->len > h->stop_bytes)
		stop(h);
}

static const char *attribute(const xmlChar **attributes, const char *name)
{
	for (; attributes != NULL && attributes[0] != NULL; attributes += 2) {
		if (strcmp((const char *)attributes[0], name) == 0)
			return (const char *)attributes[1];
	}
	return NULL;
}

static void open_link(struct html_text *h, const char *url)
{
	if (h->link_count++ >= LINKS_MAX)
		return;
	h->open_links[h->link_count - 1] = (struct link){NULL, h->out->len};
	if (!h->links || url == NULL)
		return;
	while (is_blank(*url))
		url++;
	if (strlen(url) <= URL_MAX &&
		(str_starts_nocase(url, "http://") || str_starts_nocase(url, "https://") ||
			str_starts_nocase(url, "mailto:") || str_starts_nocase(url, "ftp://") ||
			str_starts_nocase(url, "tel:")))
		h->open_links[h->link_count - 1].url = x_strdup(url);
}

/* The text of the link says its address already. */
static bool says_url(const struct html_text *h, const struct link *l)
{
	const char *url = l->url, *text, *colon = strchr(url, ':');
	size_t len, url_len;

	if (l->start > h->out->len)
		return false;
	if (colon != NULL && colon[1] != '/')
		url = colon + 1;
	text = (const char *)h->out->data + l->start;
	len = h->out->len - l->start;
	url_len = strcspn(url, "?");
	if (url == l->url)
		url_len = strlen(url);
	while (url_len > 0 && url[url_len - 1] == '/')
		url_len--;
	return memmem(text, len, url, url_len) != NULL;
}

static void close_link(struct html_text *h)
{
	struct link *l;

	if (h->link_count == 0 || h->link_count-- > LINKS_MAX)
		return;
	l = &h->open_links[h->link_count];
	if (l->url != NULL && h->out->len > l->start && !says_url(h, l)) {
		const char *shown = str_starts_nocase(l->url, "mailto:") ? l->url + 7 : l->url;

		if (h->written == 0)
			buf_add_byte(h->out, ' ');
		buf_add_byte(h->out, '(');
		for (; *shown != 0; shown++) {
			if ((uint8_t)*shown > ' ')
				buf_add_byte(h->out, (uint8_t)*shown);
		}
		buf_add_byte(h->out, ')');
		h->written = 0;
	}
	mem_free(l->url);
	l->url = NULL;
}

static void open_list(struct html_text *h, bool numbered)
{
	want_breaks(h, h->lists == 0 ? 2 : 1);
	if (h->lists < LISTS_MAX)
		h->numbers[h->lists] = numbered ? 1 : 0;
	h->lists++;
}

static void add_image(struct html_text *h, const char *alt)
{
	if (alt != NULL && h->links)
		add_folded(h, alt, strlen(alt));
}

static void open_tag(struct html_text *h, enum tag_kind kind, const xmlChar **attributes)
{
	switch (kind) {
	case TAG_LINE:
		want_breaks(h, 1);
		break;
	case TAG_BLOCK:
		want_breaks(h, 2);
		break;
	case TAG_PRE:
		want_breaks(h, 2);
		h->pre++;
		break;
	case TAG_QUOTE:
		want_breaks(h, 2);
		h->quotes++;
		break;
	case TAG_LIST:
	case TAG_NUMBERED:
		open_list(h, kind == TAG_NUMBERED);
		break;
	case TAG_ITEM:
		want_breaks(h, 1);
		h->bullet = true;
		break;
	case TAG_CELL:
		h->blank = h->breaks == 0 && h->out->len > 0;
		break;
	case TAG_BREAK:
		hard_break(h);
		break;
	case TAG_RULE:
		want_breaks(h, 1);
		add_folded(h, "----------------------------------------", 40);
		want_breaks(h, 1);
		break;
	case TAG_LINK:
		open_link(h, attribute(attributes, "href"));
		break;
	case TAG_IMAGE:
		add_image(h, attribute(attributes, "alt"));
		break;
	case TAG_INLINE:
	case TAG_HIDDEN:
		break;
	}
}

/* display: none, which hides what newsletters write for previews alone, and second versions for
 * other screens. */
static bool hides(const xmlChar *name, const xmlChar **attributes)
{
	const char *style = attribute(attributes, "style");

	if (style == NULL || strcmp((const char *)name, "body") == 0 ||
		strcmp((const char *)name, "html") == 0)
		return false;
	while ((style = strcasestr(style, "display")) != NULL) {
		style += strlen("display");
		style += strspn(style, " \t\r\n");
		if (*style != ':')
			continue;
		style++;
		style += strspn(style, " \t\r\n");
		if (str_starts_nocase(style, "none"))
			return true;
	}
	return false;
}

static void on_start(void *owner, const xmlChar *name, const xmlChar **attributes)
{
	struct html_text *h = owner;
	enum tag_kind kind = tag_kind((const char *)name);

	if (++h->depth > DEPTH_MAX) {
		h->too_deep = true;
		stop(h);
	}
	/* The preview is what such text is for. */
	if (h->links && h->unseen == 0 && hides(name, attributes)) {
		h->unseen = h->depth;
		h->hidden++;
	}
	if (kind == TAG_HIDDEN)
		h->hidden++;
	else if (h->hidden == 0)
		open_tag(h, kind, attributes);
}

static void close_tag(struct html_text *h, enum tag_kind kind)
{
	switch (kind) {
	case TAG_LINE:
	case TAG_ITEM:
		want_breaks(h, 1);
		h->bullet = false;
		break;
	case TAG_BLOCK:
		want_breaks(h, 2);
		break;
	case TAG_PRE:
		h->pre -= h->pre > 0;
		want_breaks(h, 2);
		break;
	case TAG_QUOTE:
		h->quotes -= h->quotes > 0;
		want_breaks(h, 2);
		break;
	case TAG_LIST:
	case TAG_NUMBERED:
		h->lists -= h->lists > 0;
		h->bullet = false;
		want_breaks(h, h->lists == 0 ? 2 : 1);
		break;
	case TAG_LINK:
		close_link(h);
		break;
	default:
		break;
	}
}

static void on_end(void *owner, const xmlChar *name)
{
	struct html_text *h = owner;
	enum tag_kind kind = tag_kind((const char *)name);

	if (kind == TAG_HIDDEN)
		h->hidden -= h->hidden > 0;
	else if (h->hidden == 0)
		close_tag(h, kind);
	if (h->unseen > 0 && h->unseen == h->depth) {
		h->unseen = 0;
		h->hidden -= h->hidden > 0;
	}
	h->depth -= h->depth > 0;
}

/* What is left when the parser gave up: tags dropped, nothing else. Returns where it ended. */
static const char *add_stripped(struct html_text *h, const char *p, const char *end)
{
	while (p < end && h->out->len <= h->stop_bytes) {
		const char *lt = memchr(p, '<', (size_t)(end - p));

		add_folded(h, p, (size_t)((lt != NULL ? lt : end) - p));
		p = lt != NULL ? memchr(lt, '>', (size_t)(end - lt)) : NULL;
		if (p == NULL)
			return end;
		p++;
		h->blank = h->out->len > 0;
	}
	return p;
}

static void parse(struct html_text *h)
{
	static const htmlSAXHandler sax = {
		.startElement = on_start,
		.endElement = on_end,
		.characters = on_characters,
		.ignorableWhitespace = on_characters,
	};

	/* Our bytes are UTF-8 whatever the document says. */
	(void)htmlCtxtUseOptions(h->parser, HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
						    HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC |
						    HTML_PARSE_NODEFDTD);
	h->parser->charset = XML_CHAR_ENCODING_UTF8;
	h->parser->encoding = xmlStrdup((const xmlChar *)"UTF-8");
	*h->parser->sax = sax;
	h->parser->userData = h;
	(void)htmlParseDocument(h->parser);
	htmlFreeParserCtxt(h->parser);
}

size_t mime_html_to_text(
	struct buf *out, const char *html, size_t len, size_t stop_bytes, bool links)
{
	struct html_text h = {.out = out, .stop_bytes = stop_bytes, .links = links};

	mime_global_init();
	len = MIN(len, MIME_HTML_WORK_BYTES);
	h.parser = len > 0 ? htmlCreateMemoryParserCtxt(html, (int)len) : NULL;
	if (h.parser == NULL)
		return 0;
	parse(&h);
	if (h.parsed == 0 || h.parsed > len)
		h.parsed = len;
	if (h.too_deep)
		h.parsed = (size_t)(add_stripped(&h, html + h.parsed, html + len) - html);
	while (h.link_count > 0)
		close_link(&h);
	/* One line end behind the last line. */
	while (out->len > 1 && out->data[out->len - 1] == '\n' && out->data[out->len - 2] == '\n')
		out->len--;
	if (out->len > 0 && out->data[out->len - 1] != '\n')
		buf_add_byte(out, '\n');
	return h.parsed;
}
