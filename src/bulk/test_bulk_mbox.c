/* mbox: where messages end, what is quoted, what the mailbox noted; names and flags of Maildirs. */
#include "base/test.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf7.h"
#include "bulk/bulk.h"

#define FROM1 "From anna@example.net Mon Jan  1 10:00:00 2024\n"
#define FROM2 "From bert@example.net Tue Jan  2 10:00:00 2024\n"
#define AT1   1704103200
#define AT2   (AT1 + 86400)

struct bytes {
	const char *p;
	size_t len, step; /* step: at most so many at once */
};

static int64_t read_bytes(void *owner, uint64_t at, void *out, size_t max, struct err *err)
{
	const struct bytes *b = owner;
	size_t n = at < b->len ? MIN(MIN(b->len - (size_t)at, max), b->step) : 0;

	(void)err;
	memcpy(out, b->p + MIN((size_t)at, b->len), n);
	return (int64_t)n;
}

/* All messages, each followed by "|"; -1: no mbox. */
static int read_all(const char *text, enum bulk_mbox_style style, size_t step, struct buf *all,
	struct bulk_mail *mails, size_t max)
{
	struct bytes bytes = {text, strlen(text), step};
	struct bulk_mbox *m = bulk_mbox_new(read_bytes, &bytes, style, 1000000);
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct bulk_mail mail;
	int n = 0, rc;

	buf_clear(all);
	while ((rc = bulk_mbox_next(m, &out, &mail, &err)) > 0) {
		if ((size_t)n < max)
			mails[n] = mail;
		n++;
		CHECK_INT(mail.bytes, out.len);
		buf_add(all, out.data, out.len);
		buf_add_byte(all, '|');
	}
	buf_deinit(&out);
	bulk_mbox_free(&m);
	return rc < 0 ? -1 : n;
}

static const struct {
	const char *text;
	enum bulk_mbox_style style;
	int count;
	const char *want;
} cases[] = {
	{"", BULK_MBOX_AUTO, 0, ""},
	{"\n\n", BULK_MBOX_AUTO, 0, ""},
	{"Subject: x\n\nno mbox\n", BULK_MBOX_AUTO, -1, ""},
	{FROM1 "A: 1\n\none\n\n" FROM2 "A: 2\n\ntwo\n\n", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\n|A: 2\n\ntwo\n|"},
	/* No empty line between or at the end; CRLF. */
	{FROM1 "A: 1\n\none\n" FROM2 "A: 2\n\ntwo", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\n|A: 2\n\ntwo|"},
	{"From a Mon Jan  1 10:00:00 2024\r\nA: 1\r\n\r\none\r\n\r\n", BULK_MBOX_AUTO, 1,
		"A: 1\r\n\r\none\r\n|"},
	/* Its own empty lines stay. */
	{FROM1 "A: 1\n\none\n\n\n\n" FROM2 "A: 2\n\n\n\n", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\n\n\n|A: 2\n\n\n|"},
	/* A head without a body. */
	{FROM1 "A: 1\n" FROM2 "A: 2\n\nx\n", BULK_MBOX_AUTO, 2, "A: 1\n|A: 2\n\nx\n|"},
	/* Quotation. */
	{FROM1 "A: 1\n\n>From x\n>>From y\n> From z\nFrom here on\n\nFrom me\n", BULK_MBOX_RD, 1,
		"A: 1\n\nFrom x\n>From y\n> From z\nFrom here on\n\nFrom me\n|"},
	{FROM1 "A: 1\n\n>From x\n>>From y\n", BULK_MBOX_O, 1, "A: 1\n\nFrom x\n>>From y\n|"},
	/* Without dates an empty line must stand before. */
	{"From anna\nA: 1\n\none\nFrom here\n\nFrom bert\nA: 2\n\ntwo\n", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\nFrom here\n|A: 2\n\ntwo\n|"},
	/* Content-Length, true and false; what is inside it is no separator. */
	{FROM1 "Content-Length: 56\nA: 1\n\nx\n" FROM2 "yyyyyy\n" FROM2 "A: 2\n\ntwo\n",
		BULK_MBOX_AUTO, 2, "A: 1\n\nx\n" FROM2 "yyyyyy\n|A: 2\n\ntwo\n|"},
	{FROM1 "Content-Length: 3000\nA: 1\n\none\n\n" FROM2 "A: 2\n\ntwo\n", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\n|A: 2\n\ntwo\n|"},
	{FROM1 "Content-Length: 2\nA: 1\n\none\n\n" FROM2 "A: 2\n\ntwo\n", BULK_MBOX_AUTO, 2,
		"A: 1\n\none\n|A: 2\n\ntwo\n|"},
	{FROM1 "Content-Length: 8\nA: 1\n\n>From x\n\n" FROM2 "A: 2\n\ntwo\n", BULK_MBOX_CL2, 2,
		"A: 1\n\n>From x\n|A: 2\n\ntwo\n|"},
	{FROM1 "Content-Length: 8\nA: 1\n\n>From x\n\n" FROM2 "A: 2\n\ntwo\n", BULK_MBOX_CL, 2,
		"A: 1\n\nFrom x\n|A: 2\n\ntwo\n|"},
	/* The mailbox's own fields, folded ones too. */
	{FROM1 "Status: RO\nA: 1\nX-Keywords: a\n b\nStatus-Of: x\n\nStatus: in the body\n",
		BULK_MBOX_AUTO, 1, "A: 1\nStatus-Of: x\n\nStatus: in the body\n|"},
};

static void test_messages(void)
{
	struct buf all = BUF_INIT;
	struct bulk_mail mails[4];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 4000; step *= 17) {
			CHECK_INT(read_all(cases[i].text, cases[i].style, step, &all, mails, 4),
				cases[i].count);
			if (cases[i].count >= 0)
				CHECK_STR(buf_cstr(&all), cases[i].want);
		}
	}
	buf_deinit(&all);
}

static void test_flags_and_dates(void)
{
	static const char text[] = FROM1
		"X-IMAP: 1 2\nA: 0\n\ndata\n\n" FROM1 "Status: RO\nX-Status: AF\n\nx\n\n" FROM2
		"X-Mozilla-Status: 100b\n\ny\n\n" FROM2 "X-Status: TDP\n\nz\n";
	struct buf all = BUF_INIT;
	struct bulk_mail m[4];

	CHECK_INT(read_all(text, BULK_MBOX_AUTO, 100, &all, m, 4), 4);
	CHECK(m[0].not_a_mail && !m[1].not_a_mail);
	CHECK_INT(m[1].flags, BULK_READ | BULK_ANSWERED | BULK_FLAGGED);
	CHECK_INT(m[2].flags, BULK_READ | BULK_ANSWERED | BULK_TRASHED | BULK_FORWARDED);
	CHECK_INT(m[3].flags, BULK_DRAFT | BULK_TRASHED | BULK_FORWARDED);
	CHECK_INT(m[1].date_at, AT1);
	CHECK_INT(m[2].date_at, AT2);
	CHECK_INT(m[1].number, 2);
	buf_deinit(&all);
}

static void test_from_dates(void)
{
	static const struct {
		const char *line;
		int64_t want;
	} lines[] = {{FROM1, AT1}, {"From Mon Jan  1 10:00 2024", AT1},
		{"From a@b  Mon Jan 01 10:00:00 2024 +0200", AT1 - 7200},
		{"From a@b Mon Jan 1 10:00:00 GMT 2024", AT1},
		{"From - Mon Jan 01 10:00:00 2024", AT1}, {"From me to you", 0},
		{"From a Mon Jan 41 10:00:00 2024", 0}, {"From a Mon Jan  1 10:00:00", 0},
		{"From a Mon Jan  1 99:00:00 2024", 0}};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		CHECK_INT(bulk_mbox_from_date(lines[i].line, strlen(lines[i].line)), lines[i].want);
}

/* Far longer than the window, with a line that never ends. */
static void test_large(void)
{
	struct buf text = BUF_INIT, out = BUF_INIT, want = BUF_INIT;
	struct bytes bytes;
	struct bulk_mbox *m;
	struct bulk_mail mail;
	struct err err = ERR_INIT;

	buf_add_str(&want, "A: 1\n\n");
	for (int i = 0; i < 200000; i++)
		buf_add_byte(&want, (uint8_t)('a' + i % 26));
	for (int i = 0; i < 20000; i++)
		buf_add_str(&want, "some line\n");
	buf_add_str(&text, FROM1);
	buf_add(&text, want.data, want.len);
	buf_add_str(&text, "\n" FROM2 "A: 2\n\ntwo\n");
	bytes = (struct bytes){(const char *)text.data, text.len, 60000};
	m = bulk_mbox_new(read_bytes, &bytes, BULK_MBOX_AUTO, 1000000);
	REQUIRE(bulk_mbox_next(m, &out, &mail, &err) == 1);
	CHECK_MEM(out.data, out.len, want.data, want.len);
	REQUIRE(bulk_mbox_next(m, &out, &mail, &err) == 1);
	CHECK_STR(buf_cstr(&out), "A: 2\n\ntwo\n");
	CHECK_INT(bulk_mbox_next(m, &out, &mail, &err), 0);
	CHECK_INT(bulk_mbox_at(m), text.len);
	bulk_mbox_free(&m);
	m = bulk_mbox_new(read_bytes, &bytes, BULK_MBOX_AUTO, 1000);
	REQUIRE(bulk_mbox_next(m, &out, &mail, &err) == 1);
	CHECK(mail.too_large && out.len == 0 && mail.bytes == want.len);
	REQUIRE(bulk_mbox_next(m, &out, &mail, &err) == 1);
	CHECK(!mail.too_large);
	bulk_mbox_free(&m);
	buf_deinit(&text);
	buf_deinit(&out);
	buf_deinit(&want);
}

static void test_writing(void)
{
	static const char mail[] = "A: 1\r\n\r\nFrom x\r\n>From y\n\n\nend\n";
	unsigned flags = BULK_READ | BULK_FLAGGED | BULK_ANSWERED | BULK_FORWARDED;
	struct buf text = BUF_INIT, all = BUF_INIT;
	struct bulk_mail m[2];

	bulk_mbox_add(&text, mail, strlen(mail), flags, AT1);
	bulk_mbox_add(&text, "B: 2\n\n\n", 7, 0, AT2);
	CHECK_INT(read_all(buf_cstr(&text), BULK_MBOX_AUTO, 50, &all, m, 2), 2);
	CHECK_STR(buf_cstr(&all), "A: 1\r\n\r\nFrom x\r\n>From y\n\n\nend\n|B: 2\n\n\n|");
	CHECK_INT(m[0].flags, flags);
	CHECK_INT(m[0].date_at, AT1);
	CHECK_INT(m[1].flags, 0);
	CHECK_INT(m[1].date_at, AT2);
	buf_deinit(&text);
	buf_deinit(&all);
}

static void test_names(void)
{
	static const struct {
		const char *file, *text;
	} decoded[] = {{"Sent", "Sent"}, {"Entw&APw-rfe", "Entw\xc3\xbcrfe"}, {"R&D", "R&D"},
		{"A&-B", "A&B"}, {"&2D3cBA-", "\xf0\x9f\x90\x84"}, {"&2D0-", "&2D0-"},
		{"Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe"}, {"a&AC4-b", "a.b"}, {"&AAA-", "&AAA-"},
		{"bad\xff", "bad\xef\xbf\xbd"}, {"tab\t", "tab_"}, {"&", "&"}};
	static const char *const texts[] = {"Inbox", "a.b/c", ".hidden", "\xf0\x9f\x90\x84 & co",
		"Entw\xc3\xbcrfe", "&APw-", "a&-b"};
	struct buf out = BUF_INIT, back = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(decoded); i++) {
		buf_clear(&out);
		bulk_name_decode(&out, decoded[i].file, strlen(decoded[i].file));
		CHECK_STR(buf_cstr(&out), decoded[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		buf_clear(&out);
		buf_clear(&back);
		utf7_add_name(&out, texts[i], "./");
		CHECK(memchr(out.data, '.', out.len) == NULL &&
			memchr(out.data, '/', out.len) == NULL);
		bulk_name_decode(&back, (const char *)out.data, out.len);
		CHECK_STR(buf_cstr(&back), texts[i]);
	}
	buf_deinit(&out);
	buf_deinit(&back);
}

static void test_flags(void)
{
	struct buf out = BUF_INIT;

	CHECK_INT(bulk_flags_parse("1.2.host"), 0);
	CHECK_INT(bulk_flags_parse("1.2.host:2,"), 0);
	CHECK_INT(bulk_flags_parse("1.2.host,S=12:2,SF"), BULK_READ | BULK_FLAGGED);
	CHECK_INT(bulk_flags_parse("x;2,RTx"), BULK_ANSWERED | BULK_TRASHED);
	CHECK_INT(bulk_flags_parse("x:2,DP,S"), BULK_DRAFT | BULK_FORWARDED);
	CHECK_INT(bulk_flags_parse("x:1,S"), 0);
	bulk_flags_add(&out, BULK_READ | BULK_FLAGGED | BULK_ANSWERED | BULK_FORWARDED |
				     BULK_DRAFT | BULK_TRASHED);
	CHECK_STR(buf_cstr(&out), "DFPRST");
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_messages), TEST(test_flags_and_dates), TEST(test_from_dates), TEST(test_large),
	TEST(test_writing), TEST(test_names), TEST(test_flags))
