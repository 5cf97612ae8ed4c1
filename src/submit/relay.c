/*
 * SMTP by libcurl. libcurl tells only how a transaction ended as a whole; what the relay said to
 * each recipient is read from the lines that go over the wire, which it shows to its debug
 * function: commands go out one at a time, and the answer that comes next belongs to the last.
 *
 * Invariant: an address gets RELAY_ACCEPTED only when its own RCPT and the whole message were
 * answered with 2xx. Limits: ANSWER bytes of an answer are kept. No state between transactions.
 */
#include "submit/relay.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define PASSWORD_MAX     1024
#define STOP_PATIENCE_MS 5000 /* at the end: for the answer to a message that is out */

/* Which answer comes next. */
enum stage {
	STAGE_BEFORE, /* greeting, EHLO, STARTTLS, AUTH */
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_MESSAGE, /* to the final dot */
	STAGE_AFTER,
};

struct transaction {
	const struct relay_message *message;
	const _Atomic(bool) *stopping;
	int64_t stopped_ms; /* when that was seen; 0: not yet */
	struct relay_answer *answers;
	enum stage stage;
	size_t recipient; /* of the RCPT that is open, from 1 */
	bool spoke;       /* MAIL was answered */
	bool all_out;     /* the final dot is on its way */
	bool decided;     /* the message as a whole was answered */
	char line[512];   /* of the answer that comes in */
	char said[512];   /* the last whole answer */
	size_t at;        /* of the message: bytes given to libcurl, head included */
};

void relay_global_init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- what the relay says ---- */

static void copy_clean(char *to, size_t size, const char *from, size_t len)
{
	struct buf clean = BUF_INIT;
	size_t n;

	utf8_add_clean(&clean, from, len);
	n = utf8_floor(buf_cstr(&clean), clean.len, size - 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = clean.data[i];

		to[i] = (char)(c < ' ' || c == 0x7f ? ' ' : c);
	}
	to[n] = '\0';
	buf_deinit(&clean);
}

static enum relay_outcome outcome_of(const char *answer)
{
	return answer[0] == '2' || answer[0] == '3' ? RELAY_ACCEPTED
	       : answer[0] == '5'                   ? RELAY_REFUSED
						    : RELAY_LATER;
}

/* For everybody whose fate is open: all, or those whose RCPT was accepted. */
static void answer_all(struct transaction *t, enum relay_outcome outcome, const char *text)
{
	for (size_t i = 0; i < t->message->recipient_count; i++) {
		struct relay_answer *a = &t->answers[i];

		if (t->stage != STAGE_MAIL && a->outcome != RELAY_ACCEPTED)
			continue;
		a->outcome = outcome;
		(void)snprintf(a->text, sizeof(a->text), "%s", text);
	}
}

static void on_answer(struct transaction *t, const char *text)
{
	enum relay_outcome outcome = outcome_of(text);

	switch (t->stage) {
	case STAGE_MAIL:
		t->spoke = true;
		if (outcome != RELAY_ACCEPTED)
			answer_all(t, outcome, text);
		break;
	case STAGE_RCPT:
		if (t->recipient >= 1 && t->recipient <= t->message->recipient_count) {
			struct relay_answer *a = &t->answers[t->recipient - 1];

			a->outcome = outcome;
			(void)snprintf(a->text, sizeof(a->text), "%s", text);
		}
		break;
	case STAGE_DATA:
		if (outcome == RELAY_ACCEPTED) {
			t->stage = STAGE_MESSAGE;
			return;
		}
		answer_all(t, outcome, text);
		break;
	case STAGE_MESSAGE:
		answer_all(t, outcome, text);
		t->decided = true;
		break;
	case STAGE_BEFORE:
	case STAGE_AFTER:
		return;
	}
	if (t->stage == STAGE_MESSAGE || t->stage == STAGE_DATA)
		t->stage = STAGE_AFTER;
}

/* "250-first", "250 last": one answer, of which the text of the first lines is kept. */
static void on_line(struct transaction *t, const char *line, size_t len)
{
	size_t have = strlen(t->line);

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	if (have > 0 && len > 4 && have < sizeof(t->line) - 2) {
		t->line[have] = ' ';
		copy_clean(t->line + have + 1, sizeof(t->line) - have - 1, line + 4, len - 4);
	} else if (have == 0) {
		copy_clean(t->line, sizeof(t->line), line, len);
	}
	if (len > 3 && line[3] == '-')
		return;
	if (t->line[0] != '\0' && strlen(t->line) > 3 && t->line[3] == '-')
		t->line[3] = ' ';
	memcpy(t->said, t->line, sizeof(t->said));
	t->line[0] = '\0';
	on_answer(t, t->said);
}

static void on_command(struct transaction *t, const char *line, size_t len)
{
	if (len >= 5 && strncasecmp(line, "MAIL ", 5) == 0) {
		t->stage = STAGE_MAIL;
	} else if (len >= 5 && strncasecmp(line, "RCPT ", 5) == 0) {
		t->stage = STAGE_RCPT;
		t->recipient++;
	} else if (len >= 4 && strncasecmp(line, "DATA", 4) == 0) {
		t->stage = STAGE_DATA;
	} else if (len >= 4 && strncasecmp(line, "QUIT", 4) == 0) {
		t->stage = STAGE_AFTER;
	}
}

static int on_debug(CURL *curl, curl_infotype type, char *bytes, size_t len, void *owner)
{
	struct transaction *t = owner;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		on_command(t, bytes, len);
	else if (type == CURLINFO_HEADER_IN)
		on_line(t, bytes, len);
	return 0;
}

/* ---- what it is given ---- */

static size_t on_read(char *out, size_t size, size_t count, void *owner)
{
	struct transaction *t = owner;
	const struct relay_message *m = t->message;
	size_t room = size * count, n;

	if (t->at < m->head_len) {
		n = MIN(room, m->head_len - t->at);
		memcpy(out, (const char *)m->head + t->at, n);
	} else {
		n = MIN(room, m->head_len + m->len - t->at);
		if (n > 0)
			memcpy(out, (const char *)m->raw + (t->at - m->head_len), n);
	}
	t->at += n;
	/* libcurl knows the size, and does not ask again behind the end. */
	t->all_out = t->at == m->head_len + m->len;
	return n;
}

static int on_progress(void *owner, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transaction *t = owner;

	(void)a, (void)b, (void)c, (void)d;
	if (t->stopping == NULL || !atomic_load(t->stopping))
		return 0;
	if (t->stopped_ms == 0)
		t->stopped_ms = clock_now_ms();
	return !t->all_out || clock_now_ms() - t->stopped_ms > STOP_PATIENCE_MS;
}

/* ---- the whole ---- */

static int read_password(const char *path, char *out, size_t size, struct err *err)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return err_set_errno(err, errno, "relay.password_file %s", path);
	(void)setvbuf(f, NULL, _IONBF, 0);
	if (fgets(out, (int)size, f) == NULL)
		out[0] = '\0';
	(void)fclose(f);
	out[strcspn(out, "\r\n")] = '\0';
	return 0;
}

static int set_login(CURL *curl, const struct settings *s, struct err *err)
{
	char password[PASSWORD_MAX] = "";

	if (s->relay_user[0] == '\0')
		return 0;
	if (s->relay_password_file[0] != '\0' &&
		read_password(s->relay_password_file, password, sizeof(password), err) < 0)
		return -1;
	(void)curl_easy_setopt(curl, CURLOPT_USERNAME, s->relay_user);
	(void)curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
	secret_wipe(password, sizeof(password));
	return 0;
}

static void set_place(CURL *curl, const struct settings *s)
{
	bool tls = str_eq(s->relay_tls, "tls");
	bool v6 = strchr(s->relay_host, ':') != NULL && s->relay_host[0] != '[';
	const char *helo = s->relay_helo[0] != '\0' ? s->relay_helo : s->hostname;
	char *name = curl_easy_escape(curl, helo, 0);
	char *url = x_printf("%s://%s%s%s:%u/%s", tls ? "smtps" : "smtp", v6 ? "[" : "",
		s->relay_host, v6 ? "]" : "", (unsigned)s->relay_port, name != NULL ? name : "");

	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	mem_free(url);
	curl_free(name);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_USE_SSL,
		(long)(str_eq(s->relay_tls, "none") ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, s->relay_verify ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, s->relay_verify ? 2L : 0L);
	if (s->relay_ca_file[0] != '\0')
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, s->relay_ca_file);
}

static void set_transfer(CURL *curl, const struct settings *s, struct transaction *t,
	struct curl_slist *recipients, char *curl_said)
{
	const struct relay_message *m = t->message;

	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, curl_said);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)s->relay_connect_timeout_s);
	(void)curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)s->relay_timeout_s);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)s->relay_timeout_s);
	(void)curl_easy_setopt(curl, CURLOPT_MAIL_FROM, m->sender);
	(void)curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
	(void)curl_easy_setopt(curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(m->head_len + m->len));
	(void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	(void)curl_easy_setopt(curl, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug);
	(void)curl_easy_setopt(curl, CURLOPT_DEBUGDATA, t);
}

/* Everybody without a last word: it broke off before. A 2xx to RCPT alone is none. */
static void settle(struct transaction *t, const char *trouble)
{
	for (size_t i = 0; i < t->message->recipient_count; i++) {
		struct relay_answer *a = &t->answers[i];

		if (a->text[0] != '\0' && (a->outcome != RELAY_ACCEPTED || t->decided))
			continue;
		a->outcome = RELAY_LATER;
		(void)snprintf(a->text, sizeof(a->text), "%s", trouble);
	}
}

static int perform(CURL *curl, struct transaction *t, const char *curl_said, struct err *err)
{
	CURLcode code = curl_easy_perform(curl);
	char trouble[512];

	copy_clean(trouble, sizeof(trouble),
		curl_said[0] != '\0' ? curl_said : curl_easy_strerror(code),
		strlen(curl_said[0] != '\0' ? curl_said : curl_easy_strerror(code)));
	if (!t->spoke) {
		if (t->said[0] == '4' || t->said[0] == '5')
			return err_set(err, ERR_BACKEND, "the relay says: %s", t->said);
		return err_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_BACKEND,
			"%s", trouble);
	}
	settle(t, trouble);
	return 0;
}

int relay_send(const struct settings *settings, const struct relay_message *message,
	const _Atomic(bool) *stopping, struct relay_answer *answers, struct err *err)
{
	struct transaction t = {.message = message, .stopping = stopping};
	struct curl_slist *recipients = NULL;
	char curl_said[CURL_ERROR_SIZE] = "";
	CURL *curl;
	int rc;

	if (settings->relay_host[0] == '\0')
		return err_set(err, ERR_BACKEND, "no relay is configured");
	curl = curl_easy_init();
	if (curl == NULL)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	t.answers = x_calloc(message->recipient_count, sizeof(*t.answers));
	for (size_t i = 0; i < message->recipient_count; i++)
		recipients = curl_slist_append(recipients, message->recipients[i]);
	set_place(curl, settings);
	set_transfer(curl, settings, &t, recipients, curl_said);
	rc = set_login(curl, settings, err);
	if (rc == 0)
		rc = perform(curl, &t, curl_said, err);
	if (rc == 0)
		memcpy(answers, t.answers, message->recipient_count * sizeof(*answers));
	curl_easy_cleanup(curl);
	curl_slist_free_all(recipients);
	mem_free(t.answers);
	return rc;
}
