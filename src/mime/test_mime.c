/*
 * Summaries: header fields, the choice of the body, names, classes, conversations, the blob,
 * limits.
 */
#include "mime/mime.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static struct arena *arena;

static struct mime_summary *summarize_bytes(const void *raw, size_t len)
{
	struct mime_limits limits = {100, 20, 65536};
	struct mime_summary *s = NULL;
	struct err err = ERR_INIT;

	arena_free(&arena);
	arena = arena_new(0);
	REQUIRE_OK(mime_summarize(arena, raw, len, &limits, &s, &err), &err);
	return s;
}

static struct mime_summary *summarize(const char *raw)
{
	return summarize_bytes(raw, strlen(raw));
}

/* A message of one field. */
static struct mime_summary *summarize_field(const char *field)
{
	struct buf raw = BUF_INIT;
	struct mime_summary *s;

	buf_addf(&raw, "%s\r\n\r\n", field);
	s = summarize_bytes(raw.data, raw.len);
	buf_deinit(&raw);
	return s;
}

struct field_case {
	const char *field, *want;
};

static void test_subject(void)
{
	static const struct field_case cases[] = {
		{"Subject: plain", "plain"},
		{"subject:x", "x"},
		{"Subject : blank before the colon", "blank before the colon"},
		{"Subject: folded\r\n line", "folded line"},
		{"Subject: folded\n\tline\twith tabs", "folded line with tabs"},
		{"Subject: ends;\nname=is no field", "ends;name=is no field"},
		{"Subject: ends;\nX: y", "ends;"},
		{"X: y\nSubject: one\nSubject: two", "one"},
		{"Subject: =?utf-8?Q?a_b=C3=BC?=", "a b\xc3\xbc"},
		{"Subject: =?UTF-8?B?w7w=?= =?utf-8?q?=C3=BC?= x", "\xc3\xbc\xc3\xbc x"},
		{"Subject: =?utf-8?B?YQ==?= =?utf-8?B?Yg==?=\n =?utf-8?B?Y2M=?= =?utf-8?B?ZA==?=",
			"abccd"},
		{"Subject: =?utf-8?B?YQ==?= b =?utf-8?B?Yw==?=", "a b c"},
		{"Subject: =?utf-8?B?w7?= =?utf-8?B?w7wK?=", NULL},
		{"Subject: =?utf-8?B?w?= =?utf-8?Q?=ff?=", NULL},
		{"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
		{"Subject: =?iso-8859-1?Q?=80?=", NULL},
		{"Subject: =?unknown-8bit?Q?a?=", "a"},
		{"Subject: raw \xc3\xbc", "raw \xc3\xbc"},
		{"Subject: raw \xfc \x80", "raw \xc3\xbc \xe2\x82\xac"},
		{"From x y\nSubject: behind an mbox line", "behind an mbox line"},
		{" junk\nSubject: behind a fold", "behind a fold"},
		{"no header line\nSubject: x", ""},
		{"Subject:", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *subject = summarize_field(cases[i].field)->subject;

		CHECK(utf8_valid(subject, strlen(subject)));
		if (cases[i].want != NULL)
			CHECK_STR(subject, cases[i].want);
	}
	/* Bytes that nobody declared: of the charset of the text, where they can be. */
	CHECK_STR(summarize("Subject: \xf0\xd2\xc9\nContent-Type: text/plain; charset=koi8-r\n\nx")
			  ->subject,
		"\xd0\x9f\xd1\x80\xd0\xb8");
	CHECK_STR(summarize("Subject: \xc3\xbc\nContent-Type: text/plain; charset=koi8-r\n\nx")
			  ->subject,
		"\xc3\xbc");
	CHECK_STR(
		summarize("Subject: \xfc\nContent-Type: text/plain; charset=gb2312\n\nx")->subject,
		"\xc3\xbc");
}

static void test_addresses(void)
{
	static const struct field_case cases[] = {
		{"To: a@b.c", "a@b.c"},
		{"To: <a@b.c>", "a@b.c"},
		{"To: A B <a@b.c>", "\"A B\" <a@b.c>"},
		{"To: \"B, A\" <a@b.c>,c@d.e", "\"B, A\" <a@b.c>, c@d.e"},
		{"To: B, A <a@b.c>, c@d.e", "\"B, A\" <a@b.c>, c@d.e"},
		{"To: \"q\\\"uote\\\\\" <a@b.c>", "\"q\\\"uote\\\\\" <a@b.c>"},
		{"To: a@b.c (Name)", "\"Name\" <a@b.c>"},
		{"To: A (comment) <a@b.c>", "\"A\" <a@b.c>"},
		{"To: =?utf-8?Q?J=C3=BC?= <a@b.c>", "\"J\xc3\xbc\" <a@b.c>"},
		{"To: \"=?utf-8?Q?J=C3=BC?=\" <a@b.c>", "\"J\xc3\xbc\" <a@b.c>"},
		{"To: =?utf-8?Q?a=2Cb?= <a@b.c>", "\"a,b\" <a@b.c>"},
		{"To: J\xfc <a@b.c>", "\"J\xc3\xbc\" <a@b.c>"},
		{"To: J\xc3\xbc <\xc3\xbc@b.c>", "\"J\xc3\xbc\" <\xc3\xbc@b.c>"},
		{"To: list: a@b.c, D <d@e.f>;", "a@b.c, \"D\" <d@e.f>"},
		{"To: undisclosed-recipients:;", "undisclosed-recipients:;"},
		{"To: <a@b.c>; <d@e.f>; g@h.i", "a@b.c, d@e.f, g@h.i"},
		{"To: a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"To: [x] <a@b.c>", "\"[x]\" <a@b.c>"},
		{"To: <@x,@y:a@b.c>", "a@b.c"},
		{"To: a@b.c,\n d@e.f\nTo: g@h.i", "a@b.c, d@e.f, g@h.i"},
		{"To: a@b.c\rd, e@f.g\x01h", NULL},
		{"To: root", "root"},
		{"To: <<<>>>", "<<<>>>"},
		{"To: ,,,", ""},
		{"To: <>", ""},
		{"To: MAILER DAEMON <>", "MAILER DAEMON"},
		{"To: \"A System\" <>", "A System"},
		{"To: \"Brandeburg,\n\tJesse\" <a@b.c>", "\"Brandeburg, Jesse\" <a@b.c>"},
		{"To:", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *to = summarize_field(cases[i].field)->to;

		if (cases[i].want != NULL)
			CHECK_STR(to, cases[i].want);
		CHECK(strpbrk(to, "\r\n\x01") == NULL);
	}
	CHECK_STR(summarize_field("To: A <a@b.c>, d@e.f")->display_to, "A;d@e.f");
	CHECK_STR(summarize_field("Reply-To: A <a@b.c>, d@e.f")->reply_to, "\"A\" <a@b.c>;d@e.f");
}

/* Lists that are hard to read take bounded time and give bounded text. */
static void test_address_floods(void)
{
	static const char *const pieces[] = {
		"a,", "a:", "(", "\"", "<a@b>,", "@a,", "a;", "=?", "<"};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct buf field = BUF_INIT;
		struct mime_summary *s;

		buf_add_str(&field, "From: ");
		while (field.len < 200000)
			buf_add_str(&field, pieces[i]);
		s = summarize_field(buf_cstr(&field));
		CHECK(strlen(s->from) <= 32768);
		buf_deinit(&field);
	}
}

static void test_ids_and_dates(void)
{
	struct mime_summary *s;

	s = summarize("Message-ID: <m@x>\nIn-Reply-To: <i@x>\nReferences: <r@x>\n <s@x>\n\n");
	CHECK_STR(s->message_id, "m@x");
	CHECK_STR(s->root_id, "r@x");
	CHECK_STR(summarize("Message-ID: m@x\nIn-Reply-To: <i@x>\n\n")->root_id, "i@x");
	CHECK_STR(summarize("Message-ID: m@x (c)\n\n")->root_id, "m@x");
	CHECK_INT(summarize_field("Date: Fri, 20 Apr 2001 19:35:02 -0400")->date_at, 987809702);
	CHECK_INT(summarize_field("Date: 20 Apr 01 23:35:02 GMT")->date_at, 987809702);
	CHECK_INT(summarize_field("Date: nonsense")->date_at, 0);
	CHECK_INT(summarize_field("Date: Fri, 99 Apr 2001 99:35:02 -0400")->date_at, 0);
	CHECK_INT(summarize_field("X: y")->date_at, 0);
	CHECK_INT(summarize_field("Importance: HIGH")->importance, 2);
	CHECK_INT(summarize_field("X-Priority: 5 (Lowest)")->importance, 0);
	CHECK_INT(summarize_field("X-Priority: 1")->importance, 2);
	CHECK_INT(summarize_field("Priority: urgent")->importance, 2);
	CHECK_INT(summarize_field("Importance: odd")->importance, 1);
}

static void test_topics(void)
{
	static const struct field_case cases[] = {
		{"Subject: x", "x"},
		{"Subject: Re: x", "x"},
		{"Subject: RE: AW: Fwd: WG : Re[2]: SV:x", "x"},
		{"Subject: Re(3): x", "x"},
		{"Subject: Regarding: x", "Regarding: x"},
		{"Subject: Re", "Re"},
		{"Subject: Re:", ""},
		{"Subject: =?utf-8?B?5Zue5aSN77yaeA==?=", "x"},
		{"Subject: Re: x\nThread-Topic: =?utf-8?Q?t=C3=BC?=", "t\xc3\xbc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(summarize_field(cases[i].field)->thread_topic, cases[i].want);
}

static void test_conversations(void)
{
	/* 01 c6 e4 8e 12 34, GUID 00..0f, one level 80 01 02 03 04 */
	static const char old_form[] = "Thread-Index: AcbkjhI0AAECAwQFBgcICQoLDA0OD4ABAgME";
	/* 01 01 c6 e4 8e 12, the same GUID */
	static const char new_form[] = "Thread-Index: AQHG5I4SAAECAwQFBgcICQoLDA0ODw==";
	uint8_t first[16];
	struct mime_summary *s = summarize_field(old_form);

	CHECK_MEM(s->conversation_index, s->conversation_index_len,
		"\xc6\xe4\x8e\x12\x34\x80\x01\x02\x03\x04", 10);
	for (uint8_t i = 0; i < 16; i++)
		CHECK_INT(s->conversation_id[i], i);
	s = summarize_field(new_form);
	CHECK_MEM(s->conversation_index, s->conversation_index_len, "\xc6\xe4\x8e\x12\x00", 5);
	CHECK_INT(s->conversation_id[15], 15);

	/* Replies meet their thread by the root's id; the index is made from the date. */
	s = summarize("Message-ID: <1@x>\nDate: Fri, 20 Apr 2001 19:35:02 -0400\n\n");
	memcpy(first, s->conversation_id, sizeof(first));
	CHECK_MEM(s->conversation_index, s->conversation_index_len, "\xc0\xc9\xf2\x85\x2d", 5);
	s = summarize("Message-ID: <3@x>\nReferences: <1@x> <2@x>\n\n");
	CHECK_MEM(s->conversation_id, 16, first, 16);
	s = summarize("Message-ID: <2@x>\n\n");
	CHECK(memcmp(s->conversation_id, first, 16) != 0);
	s = summarize_field("Thread-Index: AcY=");
	CHECK_INT(s->conversation_index_len, 5);
	CHECK_INT(s->conversation_id[0], 0);
}

/* The parts as text: t or h for the bodies, else the name; + inline. */
static void check_parts(const char *raw, const char *want)
{
	struct mime_summary *s = summarize(raw);
	struct buf got = BUF_INIT;

	for (uint32_t i = 0; i < s->part_count; i++) {
		const struct mime_part *p = &s->parts[i];

		CHECK(p->is_attachment == (*p->name != 0));
		buf_addf(&got, "%s%s%s", i > 0 ? "|" : "",
			(int32_t)i == s->text_part   ? "t"
			: (int32_t)i == s->html_part ? "h"
						     : p->name,
			p->is_attachment && p->is_inline ? "+" : "");
	}
	CHECK_STR(buf_cstr(&got), want);
	buf_deinit(&got);
}

#define MIXED(parts)       "Content-Type: multipart/mixed; boundary=b\n\n" parts "--b--\n"
#define PART(header, body) "--b\n" header "\n\n" body "\n"
#define ALTERNATIVE(parts)                                                                         \
	"Content-Type: multipart/alternative; boundary=\"a b\"\n\n" parts "--a b--\n"
#define FORM(header, body) "--a b\n" header "\n\n" body "\n"
#define PLAIN              "Content-Type: text/plain"
#define HTML               "Content-Type: text/html"

static void test_bodies(void)
{
	check_parts("", "t");
	check_parts("X: y\n\ntext", "t");
	check_parts("Content-Type: text\n\ntext", "t");
	check_parts(HTML "\n\ntext", "h");
	check_parts("Content-Type: text/html charset=utf-8\n\ntext", "h");
	check_parts("Content-Type: text/enriched\n\ntext", "t");
	check_parts("Content-Type: image/png\n\nx", "image-1.png");
	check_parts("Content-Type: text/calendar\n\nx", "invite-1.ics");
	check_parts("Content-Type: multipart/mixed\n\nno boundary", "t");
	check_parts("Content-Type: multipart/mixed; boundary=b\n\nnever seen", "t");
	check_parts(MIXED(PART(PLAIN, "1") PART(PLAIN, "2")), "t|text-1.txt");
	check_parts(MIXED(PART(PLAIN, "1") PART(HTML, "2")), "t|text-1.html");
	check_parts(MIXED(PART("Content-Disposition: attachment", "1") PART(HTML, "2")),
		"text-1.txt|h");
	check_parts(
		MIXED(PART("Content-Disposition: inline; filename=a.txt", "1") PART(PLAIN, "2")),
		"a.txt+|t");
	check_parts(MIXED(PART("Content-Disposition: inline; filename=a.txt", "1")), "t");
	check_parts(ALTERNATIVE(FORM(PLAIN, "1") FORM(HTML, "2")), "t|h");
	check_parts(ALTERNATIVE(FORM(HTML, "2") FORM(PLAIN, "1")), "h|t");
	check_parts(ALTERNATIVE(FORM(PLAIN, "1") FORM("Content-Type: text/x-amp-html", "2")
				    FORM(HTML, "3") FORM("Content-Type: text/calendar", "4")
					    FORM("Content-Type: application/pdf", "5")),
		"t||h|invite-1.ics|document-2.pdf");
	check_parts(ALTERNATIVE(FORM(PLAIN, "1") FORM("Content-Type: multipart/related; boundary=b",
			    PART(HTML, "<img src='cid:i@1'>")
				    PART("Content-Type: image/gif\nContent-ID: <i@1>", "2")
					    PART(PLAIN, "3") "--b--")),
		"t|h|image-1.gif+|text-2.txt");
	check_parts(MIXED(PART(ALTERNATIVE(FORM(PLAIN, "1") FORM(HTML, "2")), "")
				    PART(PLAIN, "footer")),
		"t|h|text-1.txt");
	check_parts("Content-Type: multipart/signed; boundary=b\n\n" PART(PLAIN, "1")
			    PART("Content-Type: application/pgp-signature", "2") "--b--",
		"t|signature-1.asc");
	check_parts("Content-Type: multipart/digest; boundary=b\n\n"
		    "--b\n\nSubject: a/b\n\nx\n--b\n\nSubject: =?utf-8?Q?=C3=BC?=\n\ny\n--b--",
		"a_b.eml|\xc3\xbc.eml");
	check_parts(MIXED(PART("Content-Type: message/rfc822", "no header")), "message-1.eml");
}

static void test_structure(void)
{
	/* Empty parts do not count; a delimiter ends a header; blanks behind it are no matter. */
	check_parts(MIXED("--b\n--b\n" PART(PLAIN, "1") "--b\nX: y\n--b \t\n" PART(PLAIN, "2")),
		"t|text-1.txt|text-2.txt");
	/* Neither do parts of nothing but empty lines; one with a field does. */
	check_parts(MIXED("--b\n\n\n" PART(PLAIN, "1") "--b\r\n\r\n"), "t");
	check_parts(MIXED(PART(PLAIN, "1") "--b\n\n"), "t");
	check_parts("Content-Type: multipart/mixed; boundary=b\n\n" PART(PLAIN, "1") "--b\n", "t");
	check_parts(MIXED(PART(PLAIN, "1") PART("Content-Type: image/gif", "")), "t|image-1.gif");
	/* A parameter on a line of its own that is not indented. */
	check_parts(MIXED(PART(PLAIN, "1") PART("Content-Type: application/zip; x-mode=1;\r\n"
						"name=\"a.zip\"\nContent-Disposition: attachment",
			    "2")),
		"t|a.zip");
	check_parts(MIXED(PART(PLAIN, "1") PART("Content-Type: message/rfc822-headers", "2")),
		"t|headers-1.txt");
	/* The same boundary inside and outside. */
	check_parts("Content-Type: multipart/mixed; boundary=b\n\n--b\n"
		    "Content-Type: multipart/alternative; boundary=b\n\n" PART(PLAIN, "1")
			    PART(HTML, "2") "--b--\n" PART("Content-Type: image/gif", "3") "--b--",
		"t|h|image-1.gif");
	/* An inner multipart that is never closed. */
	check_parts(MIXED(PART("Content-Type: multipart/mixed; boundary=c", "--c\n\n1")
				    PART("Content-Type: image/gif", "2")),
		"t|image-1.gif");
	/* One boundary begins as the other does; CRLF. */
	check_parts("Content-Type: multipart/mixed; boundary=\"bb\"\r\n\r\n--bb\r\n"
		    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b--\r\n"
		    "--bb\r\nContent-Type: image/gif\r\n\r\n2\r\n--bb--\r\n",
		"t|image-1.gif");
}

static void test_names(void)
{
	static const struct field_case cases[] = {
		{"attachment; filename=x.txt", "x.txt"},
		{"attachment; filename=\"a;b.txt\"", "a;b.txt"},
		{"attachment; filename=foo bar.txt", "foo bar.txt"},
		{"attachment; filename=\"unterminated.txt", "unterminated.txt"},
		{"attachment; filename=\"=?utf-8?B?w7wucG5n?=\"", "\xc3\xbc.png"},
		{"attachment; filename=\"=?utf-8?Q?a=5F?= =?utf-8?Q?=C3=BC?=\"", "a_\xc3\xbc"},
		{"attachment; filename*=UTF-8''%e2%82%ac%20r.txt", "\xe2\x82\xac r.txt"},
		{"attachment; filename*=iso-8859-1'en'%A3.txt", "\xc2\xa3.txt"},
		{"attachment; filename*0=\"one \";\n filename*1=\"two\"", "one two"},
		{"attachment; filename*0*=utf-8''%E2%82; filename*1*=%AC", "\xe2\x82\xac"},
		{"attachment; filename*1=b; filename*0=a", "ab"},
		{"attachment; filename=\"\xc3\xbc.txt\"", "\xc3\xbc.txt"},
		{"attachment; filename=\"\xfc.txt\"", "\xc3\xbc.txt"},
		{"attachment; filename=\"a\\\"b\"", "a\"b"},
		{"attachment; filename=\"../../etc/passwd\"", ".._.._etc_passwd"},
		{"attachment; filename=\"..\"", "attachment-1.bin"},
		{"attachment; filename=", "attachment-1.bin"},
		{"attachment filename=X.txt", "X.txt"},
		{"filename=\"X.txt\"", "X.txt"},
		{"ATTACHMENT;FILENAME=X.txt;", "X.txt"},
		{"", "attachment-1.bin"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf raw = BUF_INIT;

		buf_addf(&raw, "Content-Type: application/x\nContent-Disposition: %s\n\nx",
			cases[i].field);
		check_parts(buf_cstr(&raw), cases[i].want);
		buf_deinit(&raw);
	}
	check_parts("Content-Type: image/png; name=n.png\n\n", "n.png");
}

static void test_inline(void)
{
	struct mime_summary *s = summarize("Content-Type: multipart/related; boundary=b\n\n" PART(
		HTML "\nContent-Transfer-Encoding: quoted-printable",
		"<img src=3D\"cid:a%40=\nb\"> <img src=3Dcid:c>")       //
		PART("Content-Type: image/png\nContent-ID: <a@b>", "1") //
		PART("Content-Type: image/png\nContent-ID: c", "2")     //
		PART("Content-Type: image/png\nContent-ID: <d>\nContent-Location: http://x/d",
			"3"));

	REQUIRE(s->part_count == 4);
	CHECK(s->parts[1].is_inline && s->parts[2].is_inline && !s->parts[3].is_inline);
	CHECK_STR(s->parts[1].content_id, "a@b");
	CHECK_STR(s->parts[3].content_location, "http://x/d");
}

static void check_class(const char *raw, const char *class, bool is_smime)
{
	struct mime_summary *s = summarize(raw);

	CHECK_STR(s->message_class, class);
	CHECK(s->is_smime == is_smime);
	CHECK_STR(s->content_class, str_starts(class, "IPM.Schedule")
					    ? "urn:content-classes:calendarmessage"
					    : "urn:content-classes:message");
}

static void test_classes(void)
{
	check_class("\nx", "IPM.Note", false);
	check_class("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx",
		"IPM.Note.SMIME", true);
	check_class("Content-Type: application/x-pkcs7-mime; smime-type=signed-receipt\n\nx",
		"IPM.Note.Receipt.SMIME", true);
	check_class("Content-Type: multipart/signed; boundary=b; "
		    "protocol=\"application/pkcs7-signature\"\n\n--b\n\nx\n--b--",
		"IPM.Note.SMIME.MultipartSigned", true);
	check_class(ALTERNATIVE(FORM(PLAIN, "x") FORM(
			    "Content-Type: text/calendar; method=REQUEST", "BEGIN:VCALENDAR")),
		"IPM.Schedule.Meeting.Request", false);
	check_class("Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nMETHOD:CANCEL\n",
		"IPM.Schedule.Meeting.Canceled", false);
	check_class("Content-Type: text/calendar; method=reply\n\nATTENDEE;PARTSTAT=DECLINED:x\n",
		"IPM.Schedule.Meeting.Resp.Neg", false);
	check_class("Content-Type: text/calendar; method=reply\n\nATTENDEE;PARTSTAT=ACCEPTED:x\n",
		"IPM.Schedule.Meeting.Resp.Pos", false);
	check_class("Content-Type: text/calendar; method=PUBLISH\n\nx\n", "IPM.Note", false);
	check_class("Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\n"
		    "Content-Type: message/delivery-status\n\nReporting-MTA: x\n\nAction: failed\n",
		"REPORT.IPM.NOTE.NDR", false);
	check_class("Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\n"
		    "Content-Type: message/delivery-status\n\nX: x\n\nAction: delayed\n",
		"REPORT.IPM.NOTE.DELAYED", false);
	check_class("Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\n"
		    "Content-Type: message/disposition-notification\n\n"
		    "Disposition: manual-action/MDN-sent-manually; displayed\n",
		"REPORT.IPM.NOTE.IPNRN", false);
}

#define REPORT(status)                                                                             \
	"Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\n"                            \
	"Content-Type: message/delivery-status\n\nReporting-MTA: dns; action: failed\n" status     \
	"\n"
#define RETURNED(type) "--b\nContent-Type: message/rfc822\n\nContent-Type: " type "\n--b--\n"
#define MDN(type)                                                                                  \
	"Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\n"                            \
	"Content-Type: message/disposition-notification\n\nFinal-Recipient: "                      \
	"rfc822;disposition:x\n"                                                                   \
	"Disposition: automatic-action/MDN-sent-automatically;" type "\n--b--\n"

/* The worst of all recipients; named after what came back. */
static void test_report_classes(void)
{
	check_class(REPORT("Action: delivered\n"), "REPORT.IPM.NOTE.DR", false);
	check_class(REPORT("\nAction: relayed\n\nAction: failed\n"), "REPORT.IPM.NOTE.NDR", false);
	check_class(REPORT("\nAction: expanded\n\nACTION: Delayed\n"), "REPORT.IPM.NOTE.DELAYED",
		false);
	check_class(REPORT("X-Action: delivered\n"), "REPORT.IPM.NOTE.NDR", false);
	check_class(REPORT("Action: failed\n") RETURNED("text/plain\n\nx"), "REPORT.IPM.NOTE.NDR",
		false);
	check_class(REPORT("Action: failed\n")
			    RETURNED("application/pkcs7-mime; smime-type=signed-data\n\nx"),
		"REPORT.IPM.NOTE.SMIME.NDR", false);
	check_class(REPORT("Action: delivered\n")
			    RETURNED("multipart/signed; boundary=c\n\n--c\n\nx\n--c--"),
		"REPORT.IPM.NOTE.SMIME.MULTIPARTSIGNED.DR", false);
	check_class(REPORT("Action: failed\n")
			    RETURNED("multipart/alternative; boundary=c\n\n--c\n\nx\n--c\n"
				     "Content-Type: text/calendar; method=REQUEST\n\nx\n--c--"),
		"REPORT.IPM.SCHEDULE.MEETING.REQUEST.NDR", false);
	check_class(
		REPORT("Action: failed\n") "--b\nContent-Type: text/rfc822-headers\n\n"
					   "Content-Type: multipart/signed; boundary=c\n--b--\n",
		"REPORT.IPM.NOTE.SMIME.MULTIPARTSIGNED.NDR", false);
	check_class(REPORT("Action: failed\n") "--b\nContent-Type: text/rfc822-headers\n\n"
					       "Subject: x\n--b--\n",
		"REPORT.IPM.NOTE.NDR", false);
	/* A report of a report is one of an ordinary message. */
	check_class(REPORT("Action: failed\n") RETURNED("multipart/report; boundary=c\n\n--c\n\nx"),
		"REPORT.IPM.NOTE.NDR", false);
	check_class(MDN("displayed"), "REPORT.IPM.NOTE.IPNRN", false);
	check_class(MDN("  deleted"), "REPORT.IPM.NOTE.IPNNRN", false);
	check_class(MDN("processed/error,deleted"), "REPORT.IPM.NOTE.IPNRN", false);
	check_class(
		"Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b--", "IPM.Note", false);
}

static void test_other_classes(void)
{
	check_class("Content-Type: application/octet-stream; name=\"smime.p7m\"\n\nx",
		"IPM.Note.SMIME", true);
	check_class("Content-Type: application/octet-stream; name=\"smime.p7s\"\n\nx", "IPM.Note",
		false);
	check_class("Content-Type: application/pkcs7-mime; smime-type=compressed-data\n\nx",
		"IPM.Note", false);
	check_class("Content-Type: multipart/signed; boundary=b; "
		    "protocol=\"application/pgp-signature\"\n\n--b\n\nx\n--b--",
		"IPM.Note.SMIME.MultipartSigned", false);
	check_class("Content-Class: Voice-CA\n\nx", "IPM.Note.Microsoft.Voicemail.UM.CA", false);
	check_class("Content-Class: missedcall\n\nx", "IPM.Note.Microsoft.Missed.Voice", false);
	check_class("Message-Context: voice-message\n\nx", "IPM.Note.Microsoft.Voicemail", false);
	check_class("Content-Class: urn:content-classes:message\n\nx", "IPM.Note", false);
}

static void test_preview(void)
{
	struct buf raw = BUF_INIT;
	const char *preview;

	CHECK_STR(summarize("\n  a\n\n\tb \xc2\xa0 c  \n")->preview, "a b c");
	CHECK_STR(
		summarize(HTML "\n\n<title>t</title><style>s</style><p>a<p><a href=http://x>b</a>")
			->preview,
		"a b");
	CHECK_STR(summarize("Content-Type: image/png\n\nx")->preview, "");
	buf_add_str(&raw, PLAIN "; charset=utf-8\n\n");
	for (size_t i = 0; i < 400; i++)
		buf_add_str(&raw, "\xc3\xbc");
	preview = summarize_bytes(raw.data, raw.len)->preview;
	CHECK_INT(strlen(preview), 510);
	CHECK(utf8_valid(preview, strlen(preview)));
	buf_deinit(&raw);
}

static void test_code_pages(void)
{
	CHECK_INT(summarize("\nx")->cpid, 20127);
	CHECK_INT(summarize("\n\xc3\xbc")->cpid, 65001);
	CHECK_INT(summarize("\n\xfc")->cpid, 1252);
	CHECK_INT(summarize(PLAIN "; charset=ISO-8859-1\n\nx")->cpid, 28591);
	CHECK_INT(summarize(PLAIN "; charset=\"iso-2022-jp\"\n\nx")->cpid, 50220);
	CHECK_INT(summarize(HTML "; charset=koi8-r\n\nx")->cpid, 20866);
	CHECK_INT(summarize(PLAIN "; charset=unheard-of\n\nx")->cpid, 20127);
}

static void test_blob(void)
{
	static const char raw[] = MIXED(PART(PLAIN, "1") PART("Content-Type: image/png", "2"));
	struct mime_summary *s = summarize(raw), *again = NULL;
	struct buf blob = BUF_INIT, second = BUF_INIT;
	struct err err = ERR_INIT;

	mime_summary_encode(s, &blob);
	REQUIRE_OK(mime_summary_decode(arena, blob.data, blob.len, &again, &err), &err);
	mime_summary_encode(again, &second);
	CHECK_MEM(second.data, second.len, blob.data, blob.len);
	for (size_t n = 0; n < blob.len; n++)
		CHECK_INT(mime_summary_decode(arena, blob.data, n, &again, &err), -1);
	/* Any damage is refused or gives something that can be used. */
	for (size_t n = 0; n < blob.len; n++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			blob.data[n] ^= (uint8_t)(1u << bit);
			if (mime_summary_decode(arena, blob.data, blob.len, &again, &err) == 0) {
				struct mime_body body;

				if (mime_body_render(again, raw, strlen(raw), MIME_BODY_TEXT, 100,
					    &body, &err) == 0)
					buf_deinit(&body.data);
			}
			blob.data[n] ^= (uint8_t)(1u << bit);
		}
	}
	buf_deinit(&blob);
	buf_deinit(&second);
}

static void test_limits(void)
{
	struct buf raw = BUF_INIT, part = BUF_INIT;
	struct mime_summary *s;
	struct err err = ERR_INIT;

	/* Parts: what is behind the last one is kept together. */
	buf_add_str(&raw, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (unsigned i = 0; i < 10000; i++)
		buf_addf(&raw, "--b\n\npart %u\n", i);
	s = summarize_bytes(raw.data, raw.len);
	CHECK_INT(s->part_count, 100);
	REQUIRE_OK(mime_part_decode(s, raw.data, raw.len, 99, &part, &err), &err);
	CHECK(str_starts(buf_cstr(&part), "--b\n\npart 99\n") ||
		str_starts(buf_cstr(&part), "--b\n\npart 98\n"));
	CHECK(str_ends(buf_cstr(&part), "--b\n\npart 9999\n"));
	buf_clear(&raw);
	buf_clear(&part);

	/* Depth: what is deeper is one part. */
	for (unsigned i = 0; i < 1000; i++)
		buf_addf(&raw, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
	buf_add_str(&raw, "\nthe end\n");
	s = summarize_bytes(raw.data, raw.len);
	REQUIRE(s->part_count == 1);
	CHECK_STR(s->parts[0].content_type, "multipart/mixed");
	REQUIRE_OK(mime_part_decode(s, raw.data, raw.len, 0, &part, &err), &err);
	CHECK(str_ends(buf_cstr(&part), "the end\n"));
	buf_clear(&raw);

	/* Headers: what is behind the bound is not looked at, the body is found. */
	while (raw.len < 1000000)
		buf_add_str(&raw, "X-Long: y\n");
	buf_add_str(&raw, "Subject: late\n\nbody");
	s = summarize_bytes(raw.data, raw.len);
	CHECK_STR(s->subject, "");
	CHECK_STR(s->preview, "body");
	buf_deinit(&raw);
	buf_deinit(&part);
}

/* Short of memory at any point: an error or a result, nothing else. */
static void test_memory(void)
{
	static const char raw[] = "Subject: =?utf-8?Q?=C3=BC?=\n" MIXED(PART(HTML, "<p>\xfc cid:x")
			PART("Content-Type: message/rfc822\nContent-ID: <x>", "Subject: s\n\nx"));
	struct mime_limits limits = {10, 10, 1000};
	bool failed = true;

	for (unsigned n = 1; failed && n < 1000; n++) {
		struct arena *own = arena_new(0);
		struct mime_summary *s = NULL;
		struct mime_body body;
		struct err err = ERR_INIT;

		mem_fail_after(n);
		failed = mime_summarize(own, raw, strlen(raw), &limits, &s, &err) < 0;
		if (!failed)
			failed = mime_body_render(
					 s, raw, strlen(raw), MIME_BODY_TEXT, 100, &body, &err) < 0;
		mem_fail_after(0);
		CHECK(!failed || err.code == ERR_INTERNAL);
		if (!failed)
			buf_deinit(&body.data);
		arena_free(&own);
	}
	CHECK(!failed);
	arena_free(&arena);
}

TEST_MAIN(TEST(test_subject), TEST(test_addresses), TEST(test_address_floods),
	TEST(test_ids_and_dates), TEST(test_topics), TEST(test_conversations), TEST(test_bodies),
	TEST(test_structure), TEST(test_names), TEST(test_inline), TEST(test_classes),
	TEST(test_report_classes), TEST(test_other_classes), TEST(test_preview),
	TEST(test_code_pages), TEST(test_blob), TEST(test_limits), TEST(test_memory))
