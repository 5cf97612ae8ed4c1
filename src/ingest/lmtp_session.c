/*
 * One LMTP connection, from the greeting to the end, as straight code: read a line, do it, answer.
 * Answers are gathered while the client pipelines and written when nothing more has been read.
 *
 * When the process ends, a session that has to wait for its client goes on in the next process,
 * from the same byte, also in the middle of a message (lmtp_baton.c).
 *
 * Limits: a command line LMTP_LINE_MAX, ERRORS_MAX errors, a message message_max_bytes in memory
 * out of the budget that all sessions share; what is beyond is read and thrown away, and beyond
 * four times the limit the connection ends. A command must be complete timeout_s after the one
 * before, a message must come with at least RATE_MIN bytes a second. Threads: a session is one
 * thread's.
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "ingest/lmtp_internal.h"
#include "mime/mime.h"

#define ERRORS_MAX    20
#define RATE_MIN      200 /* bytes a second of a message, from timeout_s on */
#define OUTPUT_FLUSH  ((size_t)16 * 1024)
#define SPOOL_FIRST   ((size_t)32 * 1024)
#define LINE_SKIP_MAX ((size_t)1024 * 1024) /* of a line that is too long */
#define HEADER_ROOM   ((size_t)4096)        /* of ours, beyond the message's limit */

struct session {
	const struct lmtp_session_options *o;
	struct lmtp_limits limits;
	struct log_context lc;
	struct arena *arena; /* of the transaction */
	struct buf out;
	uint8_t *input;
	size_t input_at, input_len;
	bool over; /* the connection is to end */
	unsigned errors;

	char client[LMTP_CLIENT_MAX + 1]; /* "" before LHLO */
	const char *sender;               /* NULL: no transaction */
	bool smtputf8;
	uint64_t size;
	struct lmtp_recipient *recipients;
	size_t recipient_count, recipient_cap;

	const struct spool *spool; /* while a message comes in; NULL: none does */
	const struct lmtp_data *data;
};

/* The message while it comes in. */
struct spool {
	struct session *s;
	struct buf bytes;
	uint64_t taken;    /* from the budget */
	size_t header_len; /* ours, at the start */
	bool too_big, no_memory;
};

/* ---- reading and answering ---- */

static void flush(struct session *s)
{
	struct err err;

	if (s->out.len > 0 &&
		s->o->io->write(s->o->io->owner, s->out.data, s->out.len,
			clock_now_ms() + (int64_t)s->limits.timeout_s * 1000, &err) < 0)
		s->over = true;
	buf_clear(&s->out);
}

static void reply(struct session *s, const char *text)
{
	buf_add_str(&s->out, text);
	buf_add_str(&s->out, "\r\n");
	if (text[0] == '5' &&
		text[1] == '0') /* syntax and sequence; unknown users are no error of the peer's */
		s->errors++;
	if (s->out.len >= OUTPUT_FLUSH)
		flush(s);
}

/* True: the next process goes on from here. */
static bool pass_on(struct session *s)
{
	struct lmtp_baton b = {.client = s->client,
		.sender = s->sender,
		.smtputf8 = s->smtputf8,
		.size = s->size,
		.errors = s->errors,
		.recipients = s->recipients,
		.recipient_count = s->recipient_count,
		.input = s->input + s->input_at,
		.input_len = s->input_len - s->input_at};

	if (s->o->io->pass == NULL)
		return false;
	if (s->spool != NULL) {
		b.in_data = true;
		b.too_big = s->spool->too_big;
		b.no_memory = s->spool->no_memory;
		b.header_len = s->spool->header_len;
		b.message = s->spool->bytes.data;
		b.message_len = s->spool->bytes.len;
		b.data_state = s->data->state;
		b.last_was_cr = s->data->last_was_cr;
		b.data_seen = s->data->seen;
	}
	return s->o->io->pass(s->o->io->owner, &b);
}

/* More input; false: the connection is over. */
static bool fill(struct session *s, int64_t deadline_ms)
{
	struct err err = ERR_INIT;
	ssize_t n;

	flush(s);
	if (s->over)
		return false;
	/* What is there already is done when nobody goes on. */
	if (atomic_load(s->o->stopping) && pass_on(s)) {
		s->over = true;
		return false;
	}
	if (s->input_at > 0) {
		memmove(s->input, s->input + s->input_at, s->input_len - s->input_at);
		s->input_len -= s->input_at;
		s->input_at = 0;
	}
	n = s->o->io->read(s->o->io->owner, s->input + s->input_len,
		LMTP_INPUT_BYTES - s->input_len, deadline_ms, &err);
	if (n <= 0) {
		s->over = true;
		if (atomic_load(s->o->stopping)) {
			if (pass_on(s))
				return false;
			reply(s, "421 4.3.2 Shutting down");
		} else if (n < 0 && err.code == ERR_TIMEOUT) {
			reply(s, "421 4.4.2 Timeout");
		}
		flush(s);
		return false;
	}
	s->input_len += (size_t)n;
	return true;
}

/* The next line without its end, terminated, inside the input. *ret_len is LMTP_LINE_MAX for one
 * that is too long. NULL: over. A bare LF ends a command too: only inside a message is it a danger.
 */
static char *read_line(struct session *s, size_t *ret_len)
{
	int64_t deadline_ms = clock_now_ms() + (int64_t)s->limits.timeout_s * 1000;
	bool too_long = false;
	size_t skipped = 0;

	for (;;) {
		uint8_t *line = s->input + s->input_at;
		size_t have = s->input_len - s->input_at;
		uint8_t *lf = memchr(line, '\n', have);
		size_t len = lf != NULL ? (size_t)(lf - line) : have;

		too_long = too_long || len >= LMTP_LINE_MAX;
		if (lf != NULL) {
			s->input_at += len + 1;
			if (len > 0 && line[len - 1] == '\r')
				len--;
			line[len] = '\0';
			*ret_len = too_long ? LMTP_LINE_MAX : len;
			return (char *)line;
		}
		if (too_long) {
			skipped += have;
			s->input_at = s->input_len;
		}
		s->over = s->over || skipped > LINE_SKIP_MAX;
		if (s->over || !fill(s, deadline_ms))
			return NULL;
	}
}

/* ---- the transaction ---- */

static void reset(struct session *s)
{
	s->sender = NULL;
	s->size = 0;
	s->recipient_count = s->recipient_cap = 0;
	s->recipients = NULL;
	arena_clear(s->arena);
}

static void do_lhlo(struct session *s, const struct lmtp_command *c)
{
	reset(s);
	memcpy(s->client, c->argument, strlen(c->argument) + 1); /* at most 255, checked */
	s->o->backend->limits(s->o->backend->owner, &s->limits);
	buf_addf(&s->out,
		"250-%s\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-"
		"SMTPUTF8\r\n"
		"250 SIZE %llu\r\n",
		s->o->hostname, (unsigned long long)s->limits.message_max_bytes);
}

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

static void do_mail(struct session *s, const struct lmtp_command *c)
{
	if (s->client[0] == '\0') {
		reply(s, "503 5.5.1 LHLO first");
		return;
	}
	if (s->sender != NULL) {
		reply(s, "503 5.5.1 One MAIL at a time");
		return;
	}
	s->o->backend->limits(s->o->backend->owner, &s->limits);
	if (c->size > s->limits.message_max_bytes) {
		reply(s, "552 5.3.4 Message is larger than is taken here");
		return;
	}
	if (!c->smtputf8 && !is_ascii(c->argument)) {
		reply(s, "553 5.6.7 Address needs SMTPUTF8");
		return;
	}
	s->sender = arena_x_strdup(s->arena, c->argument);
	s->smtputf8 = c->smtputf8;
	s->size = c->size;
	reply(s, "250 2.1.0 Sender taken");
}

static const char *outcome_to_reply(
	const struct session *s, enum lmtp_outcome outcome, bool after_data)
{
	switch (outcome) {
	case LMTP_DELIVERED:
		return after_data ? "250 2.0.0 Delivered" : "250 2.1.5 Recipient taken";
	case LMTP_FULL:
		return s->limits.reject_full ? "552 5.2.2 Mailbox full" : "452 4.2.2 Mailbox full";
	case LMTP_NO_SPACE:
		return "452 4.3.1 Insufficient storage";
	case LMTP_NO_USER:
		return "550 5.1.1 No such user here";
	case LMTP_REFUSED:
		return "554 5.6.0 This message cannot be processed";
	case LMTP_FAILED:
		break;
	}
	return "451 4.3.0 Store trouble, try again";
}

static void add_recipient(struct session *s, const char *address, struct owner_id owner)
{
	if (s->recipient_count == s->recipient_cap) {
		size_t cap = MAX(s->recipient_cap * 2, 8);
		struct lmtp_recipient *more = arena_x_alloc(s->arena, cap * sizeof(*more));

		if (s->recipient_count > 0)
			memcpy(more, s->recipients, s->recipient_count * sizeof(*more));
		s->recipients = more;
		s->recipient_cap = cap;
	}
	s->recipients[s->recipient_count++] =
		(struct lmtp_recipient){arena_x_strdup(s->arena, address), owner};
}

static void do_rcpt(struct session *s, const struct lmtp_command *c)
{
	struct err err = ERR_INIT;
	enum lmtp_outcome outcome;
	struct owner_id owner;

	if (s->sender == NULL) {
		reply(s, "503 5.5.1 MAIL first");
		return;
	}
	if (s->recipient_count >= s->limits.recipients_max) {
		reply(s, "452 4.5.3 Too many recipients");
		return;
	}
	if (!s->smtputf8 && !is_ascii(c->argument)) {
		reply(s, "553 5.6.7 Address needs SMTPUTF8");
		return;
	}
	outcome = s->o->backend->resolve(s->o->backend->owner, c->argument, s->size, &owner, &err);
	if (outcome == LMTP_DELIVERED)
		add_recipient(s, c->argument, owner);
	else
		log_info(&s->lc, "recipient_refused", F_STR("to", c->argument),
			F_STR("from", s->sender), F_STR("result", err_code_to_str(err.code)),
			F_ERR(&err));
	reply(s, outcome_to_reply(s, outcome, false));
}

/* ---- the message ---- */

/* Room for n more bytes out of the shared budget. */
static bool spool_reserve(struct spool *sp, size_t n)
{
	struct lmtp_budget *budget = sp->s->o->budget;
	size_t cap = sp->bytes.cap, want;
	uint64_t left = atomic_load(&budget->left);

	if (sp->bytes.len + n <= cap)
		return true;
	want = MAX(MAX(cap * 2, SPOOL_FIRST), sp->bytes.len + n);
	want = MAX(MIN(want, sp->bytes.max), sp->bytes.len + n);
	do {
		if (left < want - sp->taken)
			return false;
	} while (!atomic_compare_exchange_weak(&budget->left, &left, left - (want - sp->taken)));
	sp->taken = want;
	return buf_reserve(&sp->bytes, want - sp->bytes.len);
}

static void spool_drop(struct spool *sp)
{
	buf_deinit(&sp->bytes);
	atomic_fetch_add(&sp->s->o->budget->left, sp->taken);
	sp->taken = 0;
}

static void on_data(void *owner, const uint8_t *bytes, size_t len)
{
	struct spool *sp = owner;

	if (sp->too_big || sp->no_memory)
		return;
	if (sp->bytes.len - sp->header_len + len > sp->s->limits.message_max_bytes)
		sp->too_big = true;
	else if (!spool_reserve(sp, len))
		sp->no_memory = true;
	else
		buf_add(&sp->bytes, bytes, len);
	if (sp->too_big || sp->no_memory)
		spool_drop(sp);
}

/* Return-Path (RFC 5321 section 4.4) and Received. The addresses hold no control characters, the
 * name no parentheses: both were checked when they came in. */
static void add_trace(struct session *s, struct buf *out)
{
	const time_t now = (time_t)clock_now_at();
	char date[64];
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_addf(out, "Return-Path: <%s>\r\nReceived: from %s (%s)\r\n\tby %s with %s id %016llx",
		s->sender, s->client, s->o->peer, s->o->hostname, s->smtputf8 ? "UTF8LMTP" : "LMTP",
		(unsigned long long)random_u64());
	if (s->recipient_count == 1)
		buf_addf(out, "\r\n\tfor <%s>", s->recipients[0].address);
	buf_addf(out, "; %s\r\n", date);
}

/* Reads up to the end of the data. False: the connection is over, nothing counts. */
static bool receive(struct session *s, struct lmtp_data *data)
{
	int64_t start_ms = clock_now_ms();

	while (data->state != LMTP_DATA_END) {
		int64_t allowed_ms = (int64_t)s->limits.timeout_s * 1000 +
				     (int64_t)(data->seen / RATE_MIN * 1000);

		if (s->input_at == s->input_len &&
			!fill(s, MIN(start_ms + allowed_ms,
					 clock_now_ms() + (int64_t)s->limits.timeout_s * 1000)))
			return false;
		s->input_at +=
			lmtp_data_feed(data, s->input + s->input_at, s->input_len - s->input_at);
		if (data->seen / 4 > s->limits.message_max_bytes) {
			reply(s, "421 4.3.4 Message is far too large");
			s->over = true;
			flush(s);
			return false;
		}
	}
	return true;
}

static void answer_all(struct session *s, const char *text)
{
	for (size_t i = 0; i < s->recipient_count; i++)
		reply(s, text);
}

static void deliver(struct session *s, const struct spool *sp)
{
	enum lmtp_outcome *outcomes =
		arena_x_alloc(s->arena, s->recipient_count * sizeof(enum lmtp_outcome));
	const struct lmtp_message message = {.sender = s->sender,
		.recipients = s->recipients,
		.recipient_count = s->recipient_count,
		.raw = sp->bytes.data,
		.len = sp->bytes.len,
		.own_len = sp->header_len};
	int64_t start_ms = clock_now_ms();
	struct err err = ERR_INIT;
	size_t good = 0;

	for (size_t i = 0; i < s->recipient_count; i++)
		outcomes[i] = LMTP_FAILED;
	s->o->backend->deliver(s->o->backend->owner, &message, outcomes, &err);
	for (size_t i = 0; i < s->recipient_count; i++) {
		good += outcomes[i] == LMTP_DELIVERED;
		reply(s, outcome_to_reply(s, outcomes[i], true));
	}
	if (good == s->recipient_count)
		log_info(&s->lc, "message_finished", F_STR("result", "delivered"),
			F_UINT("recipients", good), F_UINT("bytes", message.len),
			F_INT("took_ms", clock_now_ms() - start_ms));
	else
		log_warn(&s->lc, "message_finished", F_STR("result", err_code_to_str(err.code)),
			F_UINT("recipients", s->recipient_count), F_UINT("delivered", good),
			F_UINT("bytes", message.len), F_ERR(&err));
}

/* From the first byte of it, or from where another process stopped, to the answers. */
static void take_message(struct session *s, struct spool *sp, struct lmtp_data *data)
{
	bool whole;

	s->spool = sp;
	s->data = data;
	whole = receive(s, data);
	s->spool = NULL;
	s->data = NULL;
	if (whole) {
		if (sp->too_big)
			answer_all(s, "552 5.3.4 Message is larger than is taken here");
		else if (sp->no_memory || sp->bytes.failed)
			answer_all(s, "452 4.3.1 Too many messages at once, try again");
		else
			deliver(s, sp);
	}
	spool_drop(sp);
	reset(s);
}

static void do_data(struct session *s)
{
	struct spool sp = {.s = s};
	struct lmtp_data data = {.add = on_data, .owner = &sp};

	if (s->sender == NULL || s->recipient_count == 0) {
		reply(s, s->sender == NULL ? "503 5.5.1 MAIL first"
					   : "503 5.5.1 No valid recipients");
		return;
	}
	reply(s, "354 End with a dot on a line of its own");
	buf_init(&sp.bytes, s->limits.message_max_bytes + HEADER_ROOM);
	add_trace(s, &sp.bytes);
	sp.header_len = sp.bytes.len;
	take_message(s, &sp, &data);
}

/* What another process began. */
static void resume_data(struct session *s, const struct lmtp_baton *b)
{
	struct spool sp = {.s = s,
		.header_len = (size_t)b->header_len,
		.too_big = b->too_big,
		.no_memory = b->no_memory};
	struct lmtp_data data = {.add = on_data,
		.owner = &sp,
		.state = b->data_state,
		.last_was_cr = b->last_was_cr,
		.seen = b->data_seen};

	buf_init(&sp.bytes, MAX(s->limits.message_max_bytes + HEADER_ROOM, b->message_len));
	if (!sp.too_big && !sp.no_memory) {
		sp.no_memory = !spool_reserve(&sp, b->message_len);
		if (!sp.no_memory)
			buf_add(&sp.bytes, b->message, b->message_len);
	}
	take_message(s, &sp, &data);
}

/* ---- the session ---- */

static void do_command(struct session *s, const struct lmtp_command *c)
{
	switch (c->verb) {
	case LMTP_LHLO:
		do_lhlo(s, c);
		break;
	case LMTP_MAIL:
		do_mail(s, c);
		break;
	case LMTP_RCPT:
		do_rcpt(s, c);
		break;
	case LMTP_DATA:
		do_data(s);
		break;
	case LMTP_RSET:
		reset(s);
		reply(s, "250 2.0.0 Forgotten");
		break;
	case LMTP_NOOP:
		reply(s, "250 2.0.0 Done");
		break;
	case LMTP_VRFY:
		reply(s, "252 2.1.5 Send mail and see");
		break;
	case LMTP_HELP:
		reply(s, "214 2.0.0 RFC 2033");
		break;
	case LMTP_QUIT:
		reply(s, "221 2.0.0 Bye");
		s->over = true;
		break;
	case LMTP_HELO:
		reply(s, "500 5.5.1 This is LMTP: say LHLO");
		break;
	case LMTP_UNKNOWN:
		break;
	}
}

static void run_lines(struct session *s)
{
	while (!s->over) {
		struct lmtp_command command;
		const char *refusal;
		size_t len;
		char *line = read_line(s, &len);

		if (line == NULL)
			return;
		refusal = len == LMTP_LINE_MAX ? "500 5.5.2 Line too long"
					       : lmtp_command_parse(line, len, &command);
		if (refusal != NULL)
			reply(s, refusal);
		else
			do_command(s, &command);
		if (s->errors > ERRORS_MAX && !s->over) {
			reply(s, "421 4.7.0 Too many errors");
			s->over = true;
		}
	}
}

static void resume(struct session *s, const struct lmtp_baton *b)
{
	memcpy(s->client, b->client, strlen(b->client) + 1); /* LMTP_CLIENT_MAX at most */
	s->errors = b->errors;
	if (b->sender != NULL)
		s->sender = arena_x_strdup(s->arena, b->sender);
	s->smtputf8 = b->smtputf8;
	s->size = b->size;
	for (size_t i = 0; i < b->recipient_count; i++)
		add_recipient(s, b->recipients[i].address, b->recipients[i].owner);
	if (b->input_len > 0)
		memcpy(s->input, b->input, b->input_len); /* LMTP_INPUT_BYTES at most */
	s->input_len = b->input_len;
	if (b->in_data)
		resume_data(s, b);
}

void lmtp_session_run(const struct lmtp_session_options *options)
{
	struct session s = {.o = options, .lc = {.address = options->peer, .command = "LMTP"}};

	s.arena = arena_new(0);
	s.input = x_calloc(1, LMTP_INPUT_BYTES + 1);
	options->backend->limits(options->backend->owner, &s.limits);
	if (options->resume != NULL)
		resume(&s, options->resume);
	else
		buf_addf(&s.out, "220 %s LMTP Bellhop\r\n", options->hostname);
	run_lines(&s);
	flush(&s);
	buf_deinit(&s.out);
	mem_free(s.input);
	arena_free(&s.arena);
}
