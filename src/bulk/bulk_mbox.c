/*
 * mbox files, read message by message through a window of WINDOW bytes, so that memory depends on
 * the largest message that is kept and not on the file.
 *
 * Where a message ends: at Content-Length when the mailbox has it and a message, or the end of the
 * file, stands there; otherwise at the next line "From ... <date>". Programs quote such lines in
 * messages, so one with a date is believed wherever it stands. Without a date it is believed only
 * behind an empty line, and only in a file whose first From_ line has none either.
 *
 * What the mailbox itself wrote into a head (Status, X-Status, ...) changes when somebody reads the
 * mail, so it is taken out: the same message stays the same. Threads: one. Limits: message_max.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "bulk/bulk.h"

#define WINDOW   65536
#define FROM_MAX 1024 /* bytes of a From_ line that are looked at */

struct bulk_mbox {
	bulk_read_fn read;
	void *owner;
	enum bulk_mbox_style style;
	uint64_t message_max;
	uint64_t at;     /* where reading goes on */
	uint64_t number; /* messages so far */
	bool dateless;   /* the first From_ line has no date */
	uint64_t window_at;
	size_t window_len;
	uint8_t window[WINDOW];
};

/* One message under way. */
struct reading {
	struct bulk_mbox *m;
	struct buf *out;
	struct bulk_mail mail;
	int64_t content_length; /* -1: none */
	bool drop;              /* the field at hand is the mailbox's */
	struct err *err;
};

struct piece {
	const uint8_t *bytes;
	size_t len;
	bool whole; /* ends with a line end, or the file does */
};

struct bulk_mbox *bulk_mbox_new(
	bulk_read_fn read, void *owner, enum bulk_mbox_style style, uint64_t message_max)
{
	struct bulk_mbox *m = x_new(struct bulk_mbox);

	m->read = read;
	m->owner = owner;
	m->style = style;
	m->message_max = message_max;
	return m;
}

void bulk_mbox_free(struct bulk_mbox **m)
{
	mem_free(*m);
	*m = NULL;
}

uint64_t bulk_mbox_at(const struct bulk_mbox *m)
{
	return m->at;
}

/* ---- the window ---- */

/* At least `want` bytes from there, or all to the end of the file. -1: it cannot be read. */
static int look(struct bulk_mbox *m, uint64_t at, size_t want, const uint8_t **ret, size_t *ret_len,
	struct err *err)
{
	if (at < m->window_at || at > m->window_at + m->window_len ||
		m->window_at + m->window_len - at < want) {
		size_t keep = 0;

		if (at >= m->window_at && at <= m->window_at + m->window_len) {
			keep = (size_t)(m->window_at + m->window_len - at);
			memmove(m->window, m->window + (at - m->window_at), keep);
		}
		m->window_at = at;
		m->window_len = keep;
		while (m->window_len < WINDOW) {
			int64_t n = m->read(m->owner, m->window_at + m->window_len,
				m->window + m->window_len, WINDOW - m->window_len, err);

			if (n < 0)
				return -1;
			if (n == 0)
				break;
			m->window_len += (size_t)n;
		}
	}
	*ret = m->window + (at - m->window_at);
	*ret_len = m->window_len - (size_t)(at - m->window_at);
	return 0;
}

/* The line that begins (or goes on) there, or as much of it as fits. 0: the end of the file. */
static int line_at(struct bulk_mbox *m, uint64_t at, struct piece *ret, struct err *err)
{
	const uint8_t *bytes, *lf;
	size_t len;

	if (look(m, at, FROM_MAX, &bytes, &len, err) < 0)
		return -1;
	if (len == 0)
		return 0;
	lf = memchr(bytes, '\n', len);
	if (lf == NULL && len < WINDOW) {
		if (look(m, at, WINDOW, &bytes, &len, err) < 0)
			return -1;
		lf = memchr(bytes, '\n', len);
	}
	*ret = (struct piece){
		bytes, lf != NULL ? (size_t)(lf - bytes) + 1 : len, lf != NULL || len < WINDOW};
	return 1;
}

/* ---- From_ lines ---- */

static bool is_blank(const struct piece *p)
{
	return (p->len == 1 && p->bytes[0] == '\n') ||
	       (p->len == 2 && p->bytes[0] == '\r' && p->bytes[1] == '\n');
}

static bool begins_from(const uint8_t *bytes, size_t len)
{
	return len >= 5 && memcmp(bytes, "From ", 5) == 0;
}

static int month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++) {
		if (strncasecmp(p, names + 3 * (size_t)i, 3) == 0)
			return i;
	}
	return -1;
}

static bool fits(const struct tm *tm, int zone)
{
	return tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour >= 0 && tm->tm_hour <= 23 &&
	       tm->tm_min >= 0 && tm->tm_min <= 59 && tm->tm_sec >= 0 && tm->tm_sec <= 60 &&
	       tm->tm_year >= 0 && zone >= -1400 && zone <= 1400;
}

/* "Jan  1 00:00:00 2024", seconds may be missing, a zone may stand before or behind the year. */
static int64_t date_from_month(const char *p)
{
	struct tm tm = {.tm_mon = month_of(p)};
	int zone = 0, used = 0, year;
	char word[8];

	if (tm.tm_mon < 0)
		return 0;
	if (sscanf(p + 3, " %2d %2d:%2d:%2d%n", &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
		    &used) < 4) {
		tm.tm_sec = 0;
		used = 0;
		if (sscanf(p + 3, " %2d %2d:%2d%n", &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &used) <
			3)
			return 0;
	}
	p += 3 + used;
	if (sscanf(p, " %4d %5d", &year, &zone) < 1 && sscanf(p, " %7s %4d", word, &year) < 2)
		return 0;
	tm.tm_year = year - 1900;
	if (!fits(&tm, zone))
		return 0;
	return (int64_t)timegm(&tm) - (zone / 100 * 60 + zone % 100) * 60;
}

int64_t bulk_mbox_from_date(const char *line, size_t len)
{
	char text[FROM_MAX];

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, line, len);
	text[len] = '\0';
	for (const char *p = text; (p = strchr(p, ' ')) != NULL; p++) {
		int64_t at = date_from_month(p + 1);

		if (at != 0)
			return at;
	}
	return 0;
}

static bool is_separator(const struct bulk_mbox *m, const struct piece *p, bool after_blank)
{
	if (!begins_from(p->bytes, p->len))
		return false;
	return (m->dateless && after_blank) ||
	       bulk_mbox_from_date((const char *)p->bytes, p->len) != 0;
}

/* ---- the head ---- */

static void status_letters(struct reading *r, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (value[i]) {
		case 'R':
			r->mail.flags |= BULK_READ;
			break;
		case 'A':
			r->mail.flags |= BULK_ANSWERED;
			break;
		case 'F':
			r->mail.flags |= BULK_FLAGGED;
			break;
		case 'T':
			r->mail.flags |= BULK_DRAFT;
			break;
		case 'D':
			r->mail.flags |= BULK_TRASHED;
			break;
		case 'P':
			r->mail.flags |= BULK_FORWARDED;
			break;
		default:
			break;
		}
	}
}

/* Thunderbird's, in hex. */
static void mozilla_status(struct reading *r, const char *value, size_t len)
{
	static const struct {
		unsigned bit, flag;
	} bits[] = {{0x1, BULK_READ}, {0x2, BULK_ANSWERED}, {0x4, BULK_FLAGGED},
		{0x8, BULK_TRASHED}, {0x1000, BULK_FORWARDED}};
	char text[16];
	unsigned status;

	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text) - 1), value);
	if (sscanf(text, "%x", &status) != 1)
		return;
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		if ((status & bits[i].bit) != 0)
			r->mail.flags |= bits[i].flag;
	}
}

static void content_length(struct reading *r, const char *value, size_t len)
{
	char text[32], *trimmed;
	struct err ignored = ERR_INIT;
	uint64_t n;

	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text) - 1), value);
	trimmed = str_trim(text);
	if (r->content_length < 0 && str_parse_u64(trimmed, INT64_MAX / 2, &n, &ignored) == 0)
		r->content_length = (int64_t)n;
}

static void imap_data(struct reading *r, const char *value, size_t len)
{
	(void)value;
	(void)len;
	/* The first "message" of an IMAP server's mbox: its counters. */
	if (r->mail.number == 1)
		r->mail.not_a_mail = true;
}

static void nothing(struct reading *r, const char *value, size_t len)
{
	(void)r;
	(void)value;
	(void)len;
}

static const struct field {
	const char *name;
	void (*take)(struct reading *r, const char *value, size_t len);
} fields[] = {
	{"Status", status_letters},
	{"X-Status", status_letters},
	{"X-Mozilla-Status", mozilla_status},
	{"X-Mozilla-Status2", nothing},
	{"X-Mozilla-Keys", nothing},
	{"X-Keywords", nothing},
	{"X-UID", nothing},
	{"X-IMAP", imap_data},
	{"X-IMAPbase", nothing},
	{"Content-Length", content_length},
};

/* Is it one of the mailbox's own fields? Takes what it says. */
static bool take_field(struct reading *r, const struct piece *p)
{
	const char *line = (const char *)p->bytes, *colon = memchr(line, ':', p->len);

	if (colon == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		size_t len = strlen(fields[i].name);

		if ((size_t)(colon - line) == len && strncasecmp(line, fields[i].name, len) == 0) {
			fields[i].take(r, colon + 1, p->len - len - 1);
			return true;
		}
	}
	return false;
}

static void keep(struct reading *r, const void *bytes, size_t len)
{
	r->mail.bytes += len;
	if (r->mail.bytes > r->m->message_max && !r->mail.too_large) {
		r->mail.too_large = true;
		buf_clear(r->out);
	}
	if (!r->mail.too_large)
		buf_add(r->out, bytes, len);
}

/* 1: the body follows; 0: the message is over with its head; -1: error. */
static int read_head(struct reading *r)
{
	bool begin = true;
	struct piece p;
	int rc;

	while ((rc = line_at(r->m, r->m->at, &p, r->err)) > 0) {
		if (begin && is_separator(r->m, &p, false))
			return 0;
		if (begin && p.bytes[0] != ' ' && p.bytes[0] != '\t')
			r->drop = take_field(r, &p);
		if (!r->drop)
			keep(r, p.bytes, p.len);
		r->m->at += p.len;
		if (begin && is_blank(&p))
			return 1;
		begin = p.whole;
	}
	return rc;
}

/* ---- the body ---- */

/* How many > at its beginning are quotation and no part of it. */
static size_t quotation(enum bulk_mbox_style style, const struct piece *p)
{
	size_t n = 0;

	while (n < p->len && p->bytes[n] == '>')
		n++;
	if (n == 0 || style == BULK_MBOX_CL2 || !begins_from(p->bytes + n, p->len - n))
		return 0;
	return n == 1 || style == BULK_MBOX_RD || style == BULK_MBOX_AUTO ? 1 : 0;
}

/* Does a message begin, or the file end, where this body would? */
static int length_fits(struct reading *r, bool *ret)
{
	uint64_t end = r->m->at + (uint64_t)r->content_length;
	const uint8_t *bytes;
	size_t len;

	/* The byte before the end must be there, or the file is shorter. */
	if (end > r->m->at && look(r->m, end - 1, 1, &bytes, &len, r->err) < 0)
		return -1;
	if (end > r->m->at && len == 0) {
		*ret = false;
		return 0;
	}
	for (unsigned lines = 0; lines < 3; lines++) {
		struct piece p;
		int rc = line_at(r->m, end, &p, r->err);

		if (rc < 0)
			return -1;
		if (rc == 0 || begins_from(p.bytes, p.len)) {
			*ret = true;
			return 0;
		}
		if (!is_blank(&p))
			break;
		end += p.len;
	}
	*ret = false;
	return 0;
}

/* Lines up to there; *ret_plain: one of them begins with From_, so nobody has quoted them. */
static int find_plain_from(struct reading *r, uint64_t end, bool *ret_plain)
{
	uint64_t at = r->m->at;
	bool begin = true;
	struct piece p;
	int rc = 1;

	*ret_plain = false;
	while (at < end && (rc = line_at(r->m, at, &p, r->err)) > 0) {
		if (begin && begins_from(p.bytes, p.len)) {
			*ret_plain = true;
			return 0;
		}
		begin = p.whole;
		at += p.len;
	}
	return rc < 0 ? -1 : 0;
}

static int read_counted(struct reading *r)
{
	uint64_t end = r->m->at + (uint64_t)r->content_length;
	enum bulk_mbox_style style = r->m->style;
	bool begin = true, plain = false;
	struct piece p;
	int rc = 1;

	if (style == BULK_MBOX_AUTO && find_plain_from(r, end, &plain) < 0)
		return -1;
	if (plain)
		style = BULK_MBOX_CL2;
	while (r->m->at < end && (rc = line_at(r->m, r->m->at, &p, r->err)) > 0) {
		size_t len = MIN(p.len, (size_t)(end - r->m->at));
		size_t skip = begin ? MIN(quotation(style, &p), len) : 0;

		keep(r, p.bytes + skip, len - skip);
		begin = p.whole;
		r->m->at += len;
	}
	return rc < 0 ? -1 : 0;
}

static int read_lines(struct reading *r)
{
	bool begin = true;
	struct piece p, blank = {NULL, 0, false};
	uint8_t blank_bytes[2];
	int rc;

	/* An empty line is kept back: the last one is the mailbox's. */
	while ((rc = line_at(r->m, r->m->at, &p, r->err)) > 0) {
		size_t skip;

		if (begin && is_separator(r->m, &p, blank.len > 0))
			return 0;
		keep(r, blank_bytes, blank.len);
		blank.len = 0;
		r->m->at += p.len;
		if (begin && is_blank(&p)) {
			memcpy(blank_bytes, p.bytes, p.len);
			blank.len = p.len;
			continue;
		}
		skip = begin ? quotation(r->m->style, &p) : 0;
		keep(r, p.bytes + skip, p.len - skip);
		begin = p.whole;
	}
	return rc;
}

static bool may_count(const struct reading *r)
{
	return r->content_length >= 0 &&
	       (r->m->style == BULK_MBOX_AUTO || r->m->style == BULK_MBOX_CL ||
		       r->m->style == BULK_MBOX_CL2);
}

static int read_body(struct reading *r)
{
	bool counted = false;

	if (may_count(r) && length_fits(r, &counted) < 0)
		return -1;
	return counted ? read_counted(r) : read_lines(r);
}

/* ---- a message ---- */

static int skip_blank(struct bulk_mbox *m, struct piece *ret, struct err *err)
{
	int rc;

	while ((rc = line_at(m, m->at, ret, err)) > 0 && is_blank(ret))
		m->at += ret->len;
	return rc;
}

int bulk_mbox_next(struct bulk_mbox *m, struct buf *out, struct bulk_mail *ret, struct err *err)
{
	struct reading r = {.m = m, .out = out, .content_length = -1, .err = err};
	struct piece p;
	int rc = skip_blank(m, &p, err);

	buf_clear(out);
	if (rc <= 0)
		return rc;
	if (!begins_from(p.bytes, p.len))
		return err_set(err, ERR_BAD_INPUT,
			"at byte %llu: no line \"From ...\": this is no mbox",
			(unsigned long long)m->at);
	r.mail.at = m->at;
	r.mail.number = ++m->number;
	r.mail.date_at = bulk_mbox_from_date((const char *)p.bytes, p.len);
	if (m->number == 1)
		m->dateless = r.mail.date_at == 0;
	while (!p.whole) {
		m->at += p.len;
		if (line_at(m, m->at, &p, err) < 0)
			return -1;
	}
	m->at += p.len;
	rc = read_head(&r);
	if (rc > 0)
		rc = read_body(&r);
	if (rc < 0)
		return -1;
	if (out->failed)
		return err_set(err, ERR_INTERNAL, "no memory for a message of %llu bytes",
			(unsigned long long)r.mail.bytes);
	*ret = r.mail;
	return 1;
}

/* ---- writing ---- */

static void add_status(struct buf *out, unsigned flags)
{
	buf_add_str(out, (flags & BULK_READ) != 0 ? "Status: RO\n" : "Status: O\n");
	if ((flags & ~(unsigned)BULK_READ) == 0)
		return;
	buf_add_str(out, "X-Status: ");
	if ((flags & BULK_ANSWERED) != 0)
		buf_add_byte(out, 'A');
	if ((flags & BULK_FLAGGED) != 0)
		buf_add_byte(out, 'F');
	if ((flags & BULK_FORWARDED) != 0)
		buf_add_byte(out, 'P');
	if ((flags & BULK_DRAFT) != 0)
		buf_add_byte(out, 'T');
	if ((flags & BULK_TRASHED) != 0)
		buf_add_byte(out, 'D');
	buf_add_byte(out, '\n');
}

void bulk_mbox_add(struct buf *out, const void *bytes, size_t len, unsigned flags, int64_t date_at)
{
	const uint8_t *p = bytes, *end = p + len;
	time_t at = (time_t)date_at;
	char date[64];
	struct tm tm;

	(void)gmtime_r(&at, &tm);
	(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	buf_addf(out, "From MAILER-DAEMON %s\n", date);
	add_status(out, flags);
	while (p < end) {
		const uint8_t *lf = memchr(p, '\n', (size_t)(end - p)), *quoted = p;
		size_t line = lf != NULL ? (size_t)(lf - p) + 1 : (size_t)(end - p);

		while (quoted < p + line && *quoted == '>')
			quoted++;
		if (begins_from(quoted, (size_t)(p + line - quoted)))
			buf_add_byte(out, '>');
		buf_add(out, p, line);
		p += line;
	}
	if (len == 0 || end[-1] != '\n')
		buf_add_byte(out, '\n');
	buf_add_byte(out, '\n');
}
