/*
 * Messages that look like mail: words, sentences, paragraphs, quoted lines, signatures; made from a
 * number, so that every run measures the same bytes.
 */
#include "bench.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct random {
	uint64_t state;
};

/* splitmix64. */
static uint64_t next(struct random *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static const char *const words[] = {"the", "of", "and", "meeting", "to", "in", "a", "report", "is",
	"that", "for", "it", "as", "was", "with", "be", "on", "not", "he", "project", "by", "are",
	"this", "or", "delivery", "his", "from", "at", "which", "but", "have", "an", "had", "they",
	"you", "were", "their", "one", "all", "we", "can", "her", "has", "there", "been", "if",
	"more", "when", "will", "would", "who", "so", "no", "schedule", "budget", "question",
	"M\xc3\xbcnchen", "caf\xc3\xa9", "thanks", "regards", "tomorrow", "attached", "version",
	"please"};

/* One line of at most 76 characters or so; returns its length. */
static void add_line(struct random *r, struct buf *out)
{
	size_t start = out->len;

	while (out->len - start < 68) {
		if (out->len > start)
			buf_add_byte(out, ' ');
		buf_add_str(out, words[next(r) % ARRAY_LEN(words)]);
	}
	buf_add_str(out, next(r) % 4 == 0 ? "." : ",");
}

static void add_text(struct random *r, size_t bytes, struct buf *out)
{
	size_t start = out->len;

	for (unsigned n = 0; out->len - start < bytes; n++) {
		if (n % 23 > 17)
			buf_add_str(out, "> ");
		add_line(r, out);
		buf_add_str(out, n % 7 == 6 ? "\r\n\r\n" : "\r\n");
	}
}

static void add_html(struct random *r, size_t bytes, struct buf *out)
{
	size_t start = out->len;

	buf_add_str(out, "<html><head><style>p { margin: 0 0 1em; font-family: sans-serif }</style>"
			 "</head><body>\r\n");
	for (unsigned n = 0; out->len - start < bytes; n++) {
		buf_add_str(out, n % 9 == 4 ? "<ul><li>" : "<p>");
		add_line(r, out);
		if (n % 5 == 2)
			buf_addf(out, " <a href=\"https://example.org/%u\">see here</a>", n);
		buf_add_str(out, n % 9 == 4 ? "</li></ul>\r\n" : "</p>\r\n");
	}
	buf_add_str(out, "</body></html>\r\n");
}

/* Quoted-printable as mailing systems write it: '=' and 8-bit bytes escaped, soft breaks. */
static void add_qp(struct buf *out, const struct buf *text)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < text->len; i++) {
		uint8_t c = text->data[i];

		if (c == '\r' || c == '\n') {
			buf_add_byte(out, c);
			column = 0;
			continue;
		}
		if (column > 72) {
			buf_add_str(out, "=\r\n");
			column = 0;
		}
		if (c == '=' || c >= 0x80) {
			buf_add_byte(out, '=');
			buf_add_byte(out, (uint8_t)hex[c >> 4]);
			buf_add_byte(out, (uint8_t)hex[c & 15]);
			column += 3;
		} else {
			buf_add_byte(out, c);
			column++;
		}
	}
}

static void add_newsletter(struct random *r, size_t bytes, struct buf *out)
{
	static const char cell[] =
		"<tr><td align=\"left\" valign=\"top\" style=\"padding:12px 24px;font-family:"
		"Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#333333\">";
	CLEANUP(buf_deinit) struct buf html = BUF_INIT;

	buf_add_str(&html, "<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"><style "
			   "type=\"text/css\">\r\n");
	for (unsigned n = 0; n < 30; n++)
		buf_addf(&html, ".c%u td p { margin: 0 0 %upx; color: #%06x !important }\r\n", n, n,
			(unsigned)next(r) & 0xffffff);
	buf_add_str(&html, "</style></head><body bgcolor=\"#f4f4f4\"><div style=\"display:none;"
			   "max-height:0\">&zwnj;&nbsp;&zwnj;&nbsp;</div><table width=\"100%\" "
			   "cellpadding=\"0\" border=\"0\"><tr><td align=\"center\">"
			   "<table width=\"600\" cellpadding=\"0\" border=\"0\">\r\n");
	for (unsigned n = 0; html.len < bytes; n++) {
		buf_add_str(&html, cell);
		if (n % 4 == 0)
			buf_addf(&html,
				"<h2>Section %u</h2><img src=\"https://img.example.org/%016llx"
				".png\" width=\"552\" alt=\"Picture %u\">",
				n, (unsigned long long)next(r), n);
		buf_add_str(&html, "<p>");
		add_line(r, &html);
		add_line(r, &html);
		buf_addf(&html,
			" &mdash; <a href=\"https://click.example.org/?u=%016llx%016llx&amp;"
			"id=%u\" style=\"color:#0066cc\">read&nbsp;more</a></p></td></tr>\r\n",
			(unsigned long long)next(r), (unsigned long long)next(r), n);
	}
	buf_add_str(&html, "</table></td></tr></table></body></html>\r\n");
	add_qp(out, &html);
}

static void add_attachment(struct random *r, size_t bytes, struct buf *out)
{
	CLEANUP(buf_deinit) struct buf raw = BUF_INIT, text = BUF_INIT;

	for (size_t i = 0; i < bytes / 8; i++)
		buf_add_u64(&raw, next(r));
	base64_add(&text, raw.data, raw.len);
	for (size_t i = 0; i < text.len; i += 76) {
		buf_add(out, text.data + i, MIN((size_t)76, text.len - i));
		buf_add_str(out, "\r\n");
	}
}

static void add_headers(struct random *r, unsigned seed, const char *to, struct buf *out)
{
	buf_addf(out,
		"Return-Path: <sender%u@example.net>\r\n"
		"Received: from mail.example.net (mail.example.net [192.0.2.%u])\r\n"
		"\tby mx.bench.example (Postfix) with ESMTPS id 4X%08X\r\n"
		"\tfor <%s>; Mon,  6 May 2024 09:12:%02u +0000 (UTC)\r\n"
		"Date: Mon, 6 May 2024 09:12:%02u +0000\r\n"
		"Message-ID: <%u.%08x@example.net>\r\n"
		"From: \"Sender Number %u\" <sender%u@example.net>\r\nTo: <%s>\r\nSubject: ",
		seed % 97, seed % 250, (unsigned)next(r), to, seed % 60, seed % 60, seed,
		(unsigned)next(r), seed % 97, seed % 97, to);
	if (seed % 10 == 3)
		buf_addf(out, "=?utf-8?q?R=C3=BCckfrage_zu_Nummer_%u?=\r\n", seed);
	else
		buf_addf(out, "%sReport number %u\r\n", seed % 3 == 0 ? "Re: " : "", seed);
	buf_add_str(out, "MIME-Version: 1.0\r\nX-Mailer: Bench 1.0\r\n");
}

void bench_mail(unsigned seed, enum bench_mail_kind kind, const char *to, size_t body_bytes,
	struct buf *out)
{
	static const char plain[] = "Content-Type: text/plain; charset=utf-8\r\n"
				    "Content-Transfer-Encoding: 8bit\r\n\r\n";
	static const char html[] = "Content-Type: text/html; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit\r\n\r\n";
	struct random r = {.state = seed};

	add_headers(&r, seed, to, out);
	if (kind == BENCH_PLAIN) {
		buf_add_str(out, plain);
		add_text(&r, body_bytes, out);
		return;
	}
	if (kind == BENCH_HTML) {
		buf_add_str(out, html);
		add_html(&r, body_bytes, out);
		return;
	}
	if (kind == BENCH_NEWSLETTER) {
		buf_add_str(out, "Content-Type: text/html; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		add_newsletter(&r, body_bytes, out);
		return;
	}
	buf_addf(out, "Content-Type: multipart/%s; boundary=\"=_b%u\"\r\n\r\n--=_b%u\r\n",
		kind == BENCH_ALTERNATIVE ? "alternative" : "mixed", seed, seed);
	buf_add_str(out, plain);
	add_text(&r, kind == BENCH_LARGE_PAPER ? 2500 : body_bytes, out);
	buf_addf(out, "\r\n--=_b%u\r\n", seed);
	if (kind == BENCH_ALTERNATIVE) {
		buf_add_str(out, html);
		add_html(&r, body_bytes, out);
	} else {
		buf_addf(out,
			"Content-Type: application/pdf; name=\"paper%u.pdf\"\r\n"
			"Content-Disposition: attachment; filename=\"paper%u.pdf\"\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n",
			seed, seed);
		add_attachment(&r, kind == BENCH_LARGE_PAPER ? body_bytes / 78 * 57 : 40000, out);
	}
	buf_addf(out, "\r\n--=_b%u--\r\n", seed);
}
