/*
 * Drafts: what a phone gives becomes a message, and a change touches nothing else.
 */
#include "mime/mime_draft.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static const struct mime_limits limits = {1000, 50, 262144};

struct draft {
	struct arena *arena;
	struct buf raw;
	struct mime_summary *s;
	struct mime_draft_numbers numbers;
};

/* What is not said otherwise stays as it is. */
static struct mime_draft change_of(const struct draft *old)
{
	return (struct mime_draft){.old = old != NULL ? old->raw.data : NULL,
		.old_len = old != NULL ? old->raw.len : 0,
		.from = "\"Anna\" <anna@example.org>",
		.importance = -1,
		.domain = "example.org",
		.now_at = 987809702,
		.limits = &limits};
}

static struct draft write(const struct mime_draft *d)
{
	struct draft ret = {.arena = arena_new(0), .raw = BUF_INIT};
	struct err err = ERR_INIT;

	REQUIRE_OK(mime_draft_write(d, &ret.raw, &err), &err);
	(void)buf_cstr(&ret.raw);
	REQUIRE_OK(
		mime_summarize(ret.arena, ret.raw.data, ret.raw.len, &limits, &ret.s, &err), &err);
	mime_draft_numbers_read(ret.arena, ret.s, ret.raw.data, ret.raw.len, &ret.numbers);
	return ret;
}

static void done(struct draft *d)
{
	buf_deinit(&d->raw);
	arena_free(&d->arena);
}

static const char *field(struct draft *d, const char *name)
{
	return mime_field_text(d->arena, d->raw.data, d->raw.len, name);
}

static const char *body(struct draft *d, enum mime_body_type type)
{
	struct mime_body b;
	struct err err = ERR_INIT;
	const char *text;

	REQUIRE_OK(
		mime_body_render(d->s, d->raw.data, d->raw.len, type, UINT64_MAX, &b, &err), &err);
	text = arena_x_strndup(
		d->arena, b.data.len > 0 ? (const char *)b.data.data : "", b.data.len);
	buf_deinit(&b.data);
	return text;
}

/* Of the attachment with that number; NULL: there is none. */
static const char *content(struct draft *d, uint32_t number)
{
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;
	const char *text;

	for (size_t i = 0; i < d->numbers.count; i++) {
		if (d->numbers.v[i].number != number)
			continue;
		REQUIRE_OK(mime_part_decode(
				   d->s, d->raw.data, d->raw.len, d->numbers.v[i].part, &out, &err),
			&err);
		text = arena_x_strdup(d->arena, buf_cstr(&out));
		buf_deinit(&out);
		return text;
	}
	return NULL;
}

static struct mime_draft_attachment file(const char *name, const char *bytes, uint64_t mark)
{
	return (struct mime_draft_attachment){.content = bytes,
		.len = strlen(bytes),
		.name = name,
		.content_type = "",
		.content_id = "",
		.content_location = "",
		.mark = mark};
}

static struct draft simple(void)
{
	struct mime_draft d = change_of(NULL);

	d.to = "\"B, C\" <b@x.org>, d@x.org";
	d.cc = "e@x.org";
	d.bcc = "f@x.org";
	d.subject = "Gr\xc3\xbc\xc3\x9f"
		    "e";
	d.importance = 2;
	d.body_type = MIME_BODY_TEXT;
	d.body = "one\ntw\xc3\xb6\r\n";
	d.body_len = strlen(d.body);
	return write(&d);
}

static void test_new(void)
{
	struct draft d = simple();

	CHECK_STR(d.s->to, "\"B, C\" <b@x.org>, d@x.org");
	CHECK_STR(d.s->cc, "e@x.org");
	CHECK_STR(d.s->bcc, "f@x.org");
	CHECK_STR(d.s->subject, "Gr\xc3\xbc\xc3\x9f"
				"e");
	CHECK_STR(d.s->from, "\"Anna\" <anna@example.org>");
	CHECK_INT(d.s->importance, 2);
	CHECK_INT(d.s->date_at, 987809702);
	CHECK(*d.s->message_id != 0);
	CHECK_INT(d.s->native_body, MIME_BODY_TEXT);
	CHECK_STR(body(&d, MIME_BODY_TEXT), "one\r\ntw\xc3\xb6\r\n");
	CHECK(mime_draft_is_complete(d.raw.data, d.raw.len));
	done(&d);
}

static void test_nothing(void)
{
	struct mime_draft m = change_of(NULL);
	struct draft d = write(&m);

	CHECK_STR(body(&d, MIME_BODY_TEXT), "");
	CHECK_STR(d.s->to, "");
	CHECK(field(&d, "subject") == NULL);
	CHECK_INT(d.numbers.count, 0);
	done(&d);
}

static void test_change_fields(void)
{
	struct draft d = simple(), e;
	struct mime_draft m = change_of(&d);

	m.subject = "";
	m.cc = "Bert; g@x.org";
	m.bcc = "";
	e = write(&m);
	CHECK_STR(e.s->subject, "");
	CHECK_STR(e.s->to, d.s->to);
	CHECK_STR(e.s->cc, "g@x.org");
	CHECK_STR(e.s->bcc, "");
	CHECK_STR(field(&e, MIME_DRAFT_CC), "Bert; g@x.org");
	CHECK(!mime_draft_is_complete(e.raw.data, e.raw.len));
	CHECK_STR(e.s->message_id, d.s->message_id);
	CHECK_INT(e.s->importance, 2);
	CHECK_STR(body(&e, MIME_BODY_TEXT), "one\r\ntw\xc3\xb6\r\n");
	done(&d);
	m = change_of(&e);
	m.cc = "h@x.org";
	m.importance = 0;
	d = write(&m);
	CHECK_STR(d.s->cc, "h@x.org");
	CHECK(field(&d, MIME_DRAFT_CC) == NULL);
	CHECK_INT(d.s->importance, 0);
	CHECK(mime_draft_is_complete(d.raw.data, d.raw.len));
	done(&d);
	done(&e);
}

static void test_numbers(void)
{
	struct mime_draft_attachment first[] = {file("a", "AAA", 11), file("b", "BBB", 12)},
				     third = file("c", "CCC", 13);
	const uint32_t zero = 0, both[] = {1, 2};
	struct draft d = simple(), e;
	struct mime_draft m = change_of(&d);
	struct err err = ERR_INIT;

	m.add = first;
	m.add_count = 2;
	e = write(&m);
	CHECK_STR(content(&e, 1), "AAA");
	CHECK_INT(e.numbers.count, 2);
	CHECK_INT(e.numbers.v[0].mark, 11);
	/* The first one of a draft without any begins behind its parts. */
	CHECK_INT(e.numbers.v[0].number, 1);
	CHECK_INT(e.numbers.next, 3);
	done(&d);
	m = change_of(&e);
	m.remove = &e.numbers.v[0].number;
	m.remove_count = 1;
	m.add = &third;
	m.add_count = 1;
	d = write(&m);
	CHECK(content(&d, 1) == NULL);
	CHECK_STR(content(&d, 2), "BBB");
	CHECK_STR(content(&d, 3), "CCC");
	CHECK_STR(body(&d, MIME_BODY_TEXT), "one\r\ntw\xc3\xb6\r\n");
	done(&e);
	/* A new body takes them along; an inline one goes beside the HTML. */
	third.content_id = "i@x";
	third.is_inline = true;
	third.content_type = "image/png";
	m = change_of(&d);
	m.body_type = MIME_BODY_HTML;
	m.body = "<img src=\"cid:i@x\">";
	m.body_len = strlen(m.body);
	m.add = &third;
	m.add_count = 1;
	e = write(&m);
	CHECK_STR(content(&e, 2), "BBB");
	CHECK_STR(content(&e, 3), "CCC");
	CHECK_STR(content(&e, 4), "CCC");
	CHECK_INT(e.numbers.v[0].number, 4);
	CHECK(e.s->parts[e.numbers.v[0].part].is_inline);
	CHECK_STR(body(&e, MIME_BODY_HTML), "<img src=\"cid:i@x\">");
	/* What is gone stays gone. */
	m = change_of(&e);
	m.remove = &zero;
	m.remove_count = 1;
	CHECK_INT(mime_draft_write(&m, &d.raw, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	done(&d);
	m.remove = both + 1;
	d = write(&m);
	CHECK_INT(d.numbers.count, 2);
	CHECK_INT(d.numbers.next, 5);
	CHECK_STR(body(&d, MIME_BODY_HTML), "<img src=\"cid:i@x\">");
	done(&d);
	done(&e);
}

#define MIXED                                                                                      \
	"From: o@x.org\r\nTo: p@x.org\r\nX-Own: kept\r\n"                                          \
	"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"                                 \
	"Content-Type: multipart/alternative; boundary=n\r\n\r\n--n\r\n\r\nplain\r\n--n\r\n"       \
	"Content-Type: text/html\r\n\r\n<b>html</b>\r\n--n--\r\n--m\r\n"                           \
	"Content-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"         \
	"aGVsbG8=\r\n--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: e\r\n\r\ne\r\n--m--\r\n"

/* A message that no phone wrote, moved into Drafts. */
static void test_foreign(void)
{
	const uint32_t picture = 2;
	struct mime_draft_attachment more = file("c", "CCC", 0);
	struct mime_draft m = change_of(NULL);
	struct draft d;

	m.old = MIXED;
	m.old_len = strlen(MIXED);
	m.remove = &picture;
	m.remove_count = 1;
	m.add = &more;
	m.add_count = 1;
	d = write(&m);
	CHECK_STR(d.s->from, "o@x.org");
	CHECK_STR(field(&d, "x-own"), "kept");
	CHECK_STR(body(&d, MIME_BODY_TEXT), "plain");
	CHECK_STR(body(&d, MIME_BODY_HTML), "<b>html</b>");
	CHECK(content(&d, 2) == NULL);
	CHECK_STR(content(&d, 3), "Subject: e\r\n\r\ne");
	CHECK_STR(content(&d, 4), "CCC");
	done(&d);
}

/* Parts that say nothing of themselves stay what they were, also where their neighbours go. */
static void test_unsaid_types(void)
{
	static const char text[] =
		"From: o@x.org\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
		"--m\r\n\r\nbody\r\n"
		"--m\r\nContent-Type: multipart/digest; boundary=d\r\n\r\n"
		"--d\r\n\r\nSubject: one\r\n\r\n1\r\n"
		"--d\r\n\r\nSubject: two\r\n\r\n2\r\n"
		"--d\r\n\r\nSubject: three\r\n\r\n3\r\n--d--\r\n"
		"--m\r\nX-Nothing: but this\r\n\r\n"
		"--m\r\n\r\nlast\r\n--m--\r\n";
	const uint32_t first = 1;
	struct mime_draft m = change_of(NULL);
	struct draft d;

	m.old = text;
	m.old_len = strlen(text);
	m.remove = &first;
	m.remove_count = 1;
	d = write(&m);
	CHECK_STR(body(&d, MIME_BODY_TEXT), "body");
	CHECK_INT(d.numbers.count, 4);
	CHECK_STR(content(&d, 2), "Subject: two\r\n\r\n2");
	CHECK_STR(content(&d, 3), "Subject: three\r\n\r\n3");
	CHECK_STR(content(&d, 4), "");
	CHECK_STR(content(&d, 5), "last");
	for (size_t i = 0; i < d.numbers.count; i++)
		CHECK_STR(d.s->parts[d.numbers.v[i].part].content_type,
			i < 2 ? "message/rfc822" : "text/plain");
	done(&d);
}

/* A body that only claims to have parts is the body still when something is attached. */
static void test_no_parts_to_tell(void)
{
	static const char text[] = "From: o@x.org\r\nContent-Type: multipart/mixed\r\n\r\n"
				   "--m\r\n\r\nbody\r\n--m--\r\n";
	struct mime_draft_attachment more = file("c", "CCC", 0);
	struct mime_draft m = change_of(NULL);
	struct draft d;

	m.old = text;
	m.old_len = strlen(text);
	m.add = &more;
	m.add_count = 1;
	d = write(&m);
	CHECK(str_starts(body(&d, MIME_BODY_TEXT), "--m\r\n\r\nbody"));
	CHECK_INT(d.numbers.count, 1);
	CHECK_STR(content(&d, 1), "CCC");
	done(&d);
}

static void test_whole(void)
{
	struct mime_draft_attachment one = file("a", "AAA", 0);
	struct mime_draft m = change_of(NULL);
	struct draft d, e;

	m.add = &one;
	m.add_count = 1;
	d = write(&m);
	CHECK_INT(d.numbers.v[0].number, 0);
	m = change_of(&d);
	m.body_type = MIME_BODY_MIME;
	m.body = MIXED;
	m.body_len = strlen(MIXED);
	e = write(&m);
	CHECK_STR(e.s->message_id, d.s->message_id);
	CHECK_INT(e.numbers.count, 2);
	/* Its attachments are new ones. */
	CHECK_STR(content(&e, 1), "hello");
	CHECK_STR(body(&e, MIME_BODY_TEXT), "plain");
	done(&d);
	done(&e);
}

static void test_refused(void)
{
	char *far = x_calloc(1, 40001);
	struct mime_draft m = change_of(NULL);
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	memset(far, 'x', 40000);
	m.subject = far;
	CHECK_INT(mime_draft_write(&m, &out, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	m = change_of(NULL);
	m.body_type = MIME_BODY_MIME;
	m.body = "\r\nno header";
	m.body_len = strlen(m.body);
	err = (struct err)ERR_INIT;
	CHECK_INT(mime_draft_write(&m, &out, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	m.body_type = MIME_BODY_RTF;
	err = (struct err)ERR_INIT;
	CHECK_INT(mime_draft_write(&m, &out, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	mem_free(far);
	buf_deinit(&out);
}

/* The field of a hostile message cannot give two attachments one number. */
static void test_bad_numbers(void)
{
	static const char *const fields[] = {"5 1:1 1:1", "5 1:1", "5 1:1 2:2 3:3", "2 1:1 2:2",
		"x", "5 1 2", "99999999999 1:1 2:2", ""};
	struct mime_draft_numbers numbers;
	struct mime_summary *s;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		CLEANUP(arena_free) struct arena *arena = arena_new(0);
		const char *raw =
			arena_x_printf(arena, "X-Bellhop-Attachments: %s\r\n" MIXED, fields[i]);

		REQUIRE_OK(mime_summarize(arena, raw, strlen(raw), &limits, &s, &err), &err);
		mime_draft_numbers_read(arena, s, raw, strlen(raw), &numbers);
		CHECK_INT(numbers.count, 2);
		CHECK_INT(numbers.v[0].number, 2);
		CHECK_INT(numbers.v[1].number, 3);
		CHECK_INT(numbers.next, 4);
	}
}

static void test_to_send(void)
{
	struct mime_draft_attachment one = file("a", "AAA", 7);
	struct mime_draft m = change_of(NULL);
	struct buf left = BUF_INIT;
	struct err err = ERR_INIT;
	struct draft d;

	m.to = "Bert";
	m.bcc = "b@x.org";
	m.add = &one;
	m.add_count = 1;
	d = write(&m);
	REQUIRE_OK(mime_draft_to_send(d.raw.data, d.raw.len, &left, &err), &err);
	CHECK(strcasestr(buf_cstr(&left), "x-bellhop") == NULL);
	CHECK(strstr(buf_cstr(&left), "Date:") == NULL);
	CHECK(strstr(buf_cstr(&left), "Bcc: b@x.org\r\n") != NULL);
	buf_deinit(&left);
	done(&d);
}

TEST_MAIN(TEST(test_new), TEST(test_nothing), TEST(test_change_fields), TEST(test_numbers),
	TEST(test_foreign), TEST(test_unsaid_types), TEST(test_no_parts_to_tell), TEST(test_whole),
	TEST(test_refused), TEST(test_bad_numbers), TEST(test_to_send))
