/*
 * large: a message with an attachment of 50 MB, on its way in by LMTP and by SendMail, and out by
 * Sync (as text and as MIME), ItemOperations (inline, multipart, in ranges of 1 MB) and
 * GetAttachment. How much the engine's resident memory grows at the peak, each time in a new
 * engine. What comes back is compared with what went in.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bench.h"
#include "mime/mime.h"
#include "options.h"

#define ATTACHMENT_BYTES ((size_t)50 << 20)
#define RANGE_BYTES      ((size_t)1 << 20)
/* As it stands in the message, in lines of 76 characters. */
#define PAPER_BYTES (ATTACHMENT_BYTES / 57 * 78)

static struct buf message, attachment;

static void make(unsigned i, struct buf *out)
{
	(void)i;
	buf_add(out, message.data, message.len);
}

static void make_message(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_summary *s = NULL;
	struct err err = ERR_INIT;

	bench_mail(7, BENCH_LARGE_PAPER, "user0@bench.example", PAPER_BYTES, &message);
	BENCH_OK(mime_summarize(arena, message.data, message.len, NULL, &s, &err), &err);
	BENCH_OK(mime_part_decode(s, message.data, message.len, 1, &attachment, &err), &err);
}

/* ---- requests that only this benchmark makes ---- */

static void ask(struct bench_phone *p, const char *query, const char *version, const char *more,
	const struct buf *body, const uint8_t **ret, size_t *ret_len)
{
	CLEANUP(buf_deinit) struct buf request = BUF_INIT;

	buf_addf(&request,
		"POST /Microsoft-Server-ActiveSync?%s&User=user%u@bench.example&DeviceId=%s"
		"&DeviceType=BenchPhone HTTP/1.1\r\nHost: bench.example\r\nAuthorization: %s\r\n"
		"MS-ASProtocolVersion: %s\r\nX-MS-PolicyKey: %u\r\n%sContent-Length: %zu\r\n"
		"Content-Type: application/vnd.ms-sync.wbxml\r\n\r\n",
		query, p->n, p->device_id, p->authorization, version, p->policy_key, more,
		body->len);
	buf_add(&request, body->data, body->len);
	bench_phone_send(p, &request);
	buf_deinit(&request);
	if (!bench_phone_receive(p, ret, ret_len))
		bench_die("no answer");
}

static void fetch_request(const struct bench_phone *p, size_t first, size_t count, struct buf *out)
{
	struct wbxml_writer w;
	char text[100];

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_ItemOperations_ItemOperations);
	wbxml_start(&w, TAG_ItemOperations_Fetch);
	wbxml_add_text(&w, TAG_ItemOperations_Store, "Mailbox");
	(void)snprintf(text, sizeof(text), "%s:1:1", p->inbox);
	wbxml_add_text(&w, TAG_AirSyncBase_FileReference, text);
	if (count > 0) {
		wbxml_start(&w, TAG_ItemOperations_Options);
		(void)snprintf(text, sizeof(text), "%zu-%zu", first, first + count - 1);
		wbxml_add_text(&w, TAG_ItemOperations_Range, text);
		wbxml_end(&w);
	}
	wbxml_end(&w);
	wbxml_end(&w);
}

/* The answer holds exactly these bytes of the attachment, behind what stands in front of them. */
static void compare(const uint8_t *answer, size_t len, size_t tail, size_t first, size_t count)
{
	if (len < count + tail ||
		memcmp(answer + len - tail - count, attachment.data + first, count) != 0)
		bench_die("%zu bytes came, and not those of the attachment", len);
}

/* Data as base64, in front of the ends of four elements. */
static void compare_inline(const uint8_t *answer, size_t len, size_t first, size_t count)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	base64_add(&text, attachment.data + first, count);
	if (len < text.len + 6 || memcmp(answer + len - text.len - 6, text.data, text.len) != 0)
		bench_die("%zu bytes came, and not those of the attachment", len);
}

static void get_inline(struct bench_phone *p)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	const uint8_t *answer;
	size_t len;

	fetch_request(p, 0, 0, &body);
	ask(p, "Cmd=ItemOperations", "14.1", "", &body, &answer, &len);
	compare_inline(answer, len, 0, attachment.len);
}

static void get_multipart(struct bench_phone *p)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	const uint8_t *answer;
	size_t len;

	fetch_request(p, 0, 0, &body);
	ask(p, "Cmd=ItemOperations", "14.1", "MS-ASAcceptMultiPart: T\r\n", &body, &answer, &len);
	compare(answer, len, 0, 0, attachment.len);
}

static void get_ranges(struct bench_phone *p)
{
	for (size_t at = 0; at < attachment.len; at += RANGE_BYTES) {
		CLEANUP(buf_deinit) struct buf body = BUF_INIT;
		size_t count = MIN(RANGE_BYTES, attachment.len - at), len;
		const uint8_t *answer;

		fetch_request(p, at, count, &body);
		ask(p, "Cmd=ItemOperations", "14.1", "", &body, &answer, &len);
		compare_inline(answer, len, at, count);
	}
}

static void get_attachment(struct bench_phone *p)
{
	const struct buf none = BUF_INIT;
	const uint8_t *answer;
	char query[128];
	size_t len;

	(void)snprintf(query, sizeof(query), "Cmd=GetAttachment&AttachmentName=%s:1:1", p->inbox);
	ask(p, query, "12.1", "", &none, &answer, &len);
	compare(answer, len, 0, 0, attachment.len);
}

static void sync_body(struct bench_phone *p, unsigned type, size_t least)
{
	p->body_type = type;
	p->truncation = -1;
	if (bench_phone_sync_all(p) != 1 || p->body_bytes < least)
		bench_die("the message did not come whole");
}

static void sync_text(struct bench_phone *p)
{
	sync_body(p, 1, 2500);
}

static void sync_mime(struct bench_phone *p)
{
	sync_body(p, 4, message.len);
}

static void send_mail(struct bench_phone *p)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	CLEANUP(buf_deinit) struct buf own = BUF_INIT;
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	static const char from[] = "From: user0@bench.example\r\nX-";
	const char *old = memmem(message.data, 4096, "From:", 5);

	/* The sender is the user, and what was From is some other field. */
	buf_add(&own, message.data, (size_t)(old - (const char *)message.data));
	buf_add_str(&own, from);
	buf_add(&own, old, message.len - (size_t)(old - (const char *)message.data));
	request_send_mail("large-1", true, own.data, own.len, &body);
	if (bench_phone_call(p, REQUEST_SEND_MAIL, &body, arena) != NULL)
		bench_die("SendMail was refused");
}

static struct bench *lmtp_bench;

static void deliver(struct bench_phone *p)
{
	struct bench_lmtp lmtp;

	(void)p;
	bench_lmtp_open(lmtp_bench, &lmtp);
	bench_lmtp_send(&lmtp, "user0@bench.example", message.data, message.len);
	bench_lmtp_answer(&lmtp);
	bench_lmtp_close(&lmtp);
}

/* ---- the figures ---- */

static void measure(struct bench *b, const char *figure, void (*act)(struct bench_phone *p),
	const char *aim, const char *what)
{
	struct bench_phone p;
	char conditions[400], device[16];
	static unsigned number;
	double before, grown, cpu_us;
	int64_t began_us;
	pid_t engine;

	bench_start(b);
	lmtp_bench = b;
	engine = bench_engine_pid(b);
	(void)snprintf(device, sizeof(device), "PAPER%u", number++);
	bench_phone_init(b, &p, 0, device);
	bench_phone_set_up(&p);
	before = bench_memory(engine);
	cpu_us = bench_server_cpu_us(b);
	began_us = bench_now_us();
	act(&p);
	grown = bench_memory_peak(engine) - before;
	began_us = bench_now_us() - began_us;
	cpu_us = bench_server_cpu_us(b) - cpu_us;
	(void)snprintf(conditions, sizeof(conditions),
		"%s; peak RSS of the engine over its RSS before (%.0f MiB); %.2f s, %.2f s of "
		"server CPU",
		what, before, (double)began_us / 1e6, cpu_us / 1e6);
	bench_figure(b, figure, grown, "MiB", aim, conditions);
	bench_phone_clear(&p);
	bench_stop(b);
}

static const char *const part_names[] = {"inline", "multipart", "ranges", "get_attachment",
	"sync_text", "sync_mime", "lmtp", "send_mail", NULL};
static const struct bench_usage usage = {.name = "large",
	.what = "a message with an attachment of 50 MB, on its ways in and out.",
	.parts = part_names};

int main(int argc, char **argv)
{
	struct bench b;
	static const struct {
		const char *figure;
		void (*act)(struct bench_phone *p);
		const char *aim, *what;
	} parts[] = {
		{"inline", get_inline, "under 80",
			"ItemOperations of an attachment of 50 MiB, base64"},
		{"multipart", get_multipart, "under 60", "the same as multipart"},
		{"ranges", get_ranges, "under 16", "the same in 50 ranges of 1 MiB"},
		{"get_attachment", get_attachment, "under 60", "GetAttachment of it"},
		{"sync_text", sync_text, "under 16", "Sync of that message, body as text"},
		{"sync_mime", sync_mime, "under 150", "Sync of the whole message as MIME, 72 MB"},
		{"lmtp", deliver, "under 80", "LMTP delivery of that message"},
		{"send_mail", send_mail, "under 80",
			"SendMail of it to oneself, with a copy in Sent"},
	};

	bench_options(argc, argv, &usage);
	make_message();
	bench_init(&b, "large", argc, argv);
	bench_fill(&b, bench_add_user(&b, 0), 1, make);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (bench_wants(&b, parts[i].figure))
			measure(&b, parts[i].figure, parts[i].act, parts[i].aim, parts[i].what);
	}
	bench_finish(&b);
	buf_deinit(&message);
	buf_deinit(&attachment);
	return 0;
}
