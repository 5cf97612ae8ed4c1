/*
 * One command: query, headers, the policy key, and what any command can be answered with. A 449 or
 * a Status 142..144 leads through provision_run() and back, at most twice in a row; 451 to another
 * address.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/phone.h"

#define WBXML_TYPE     "application/vnd.ms-sync.wbxml"
#define REDIRECTS_MAX  3
#define PROVISIONS_MAX 2

bool exchange_stopped(const struct phone *p)
{
	struct pollfd pfd = {.fd = p->stop_fd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

void exchange_pause(const struct phone *p, unsigned ms)
{
	struct pollfd pfd = {.fd = p->stop_fd, .events = POLLIN};

	(void)poll(&pfd, 1, (int)MIN(ms, 3600u * 1000));
}

static struct request_device device_of(const struct phone *p)
{
	return (struct request_device){.user = p->profile->user,
		.id = p->profile->device_id,
		.type = p->profile->device_type,
		.version = p->profile->version,
		.policy_key = p->profile->policy_key,
		.base64 = p->options->base64};
}

/* One HTTP round trip. */
static int send_once(
	struct phone *p, struct exchange *x, struct http_answer *answer, struct err *err)
{
	struct request_device device = device_of(p);
	CLEANUP(buf_deinit) struct buf query = BUF_INIT;
	CLEANUP(mem_freep) char *url = NULL;
	char version[40], key[40];
	const char *headers[3] = {NULL, NULL, NULL};
	struct http_request request = {.method = "POST",
		.content_type = x->content_type != NULL ? x->content_type : WBXML_TYPE,
		.headers = headers,
		.body = x->body,
		.body_len = x->body_len,
		.timeout_ms = x->timeout_ms != 0 ? x->timeout_ms : 300000,
		.wake_fd = x->held ? p->inotify_fd : -1,
		.on_held = x->on_held,
		.owner = x->owner};
	int rc;

	if (request_query(&device, x->command, x->save_in_sent, &query, err) < 0)
		return -1;
	url = x_printf("%s?%s", p->profile->url, buf_cstr(&query));
	if (!request_uses_base64(&device)) {
		(void)snprintf(version, sizeof(version), "MS-ASProtocolVersion: %s",
			version_to_str(device.version));
		(void)snprintf(key, sizeof(key), "X-MS-PolicyKey: %u", device.policy_key);
		headers[0] = version;
		headers[1] = x->held ? NULL : key; /* a Ping carries none */
	}
	request.url = url;
	rc = http_exchange(p->http, &request, answer, err);
	x->sent_us = answer->sent_us;
	x->answered_us = answer->answered_us;
	x->interrupted = rc < 0 && err->code == ERR_BUSY;
	log_debug(NULL, "exchange_finished", F_STR("command", request_command_to_str(x->command)),
		F_INT("status", rc < 0 ? -1 : (int)answer->status),
		F_UINT("request_bytes", x->body_len), F_UINT("answer_bytes", answer->body.len),
		F_INT("ms", answer->sent_us == 0 ? -1
						 : (answer->answered_us - answer->sent_us) / 1000));
	return rc;
}

/* 451: the mailbox lives elsewhere. */
static int redirect(struct phone *p, const struct http_answer *answer, struct err *err)
{
	CLEANUP(mem_freep) char *url = NULL;

	if (answer->location == NULL)
		return err_set(err, ERR_DENIED,
			"the mailbox lives on another server (HTTP 451), which was not named");
	if (http_url(answer->location, p->options->insecure, &url, err) < 0)
		return err_wrap(err, "the server redirects to");
	if (strcmp(url, p->profile->url) == 0)
		return err_set(err, ERR_DENIED, "%s redirects to itself (HTTP 451)", url);
	profile_set(&p->profile->url, url);
	events_emit(&p->events, 0, NULL, "redirected", EV_STR("url", url));
	return profile_save(p->state_dir, p->profile, err);
}

static int refuse(struct phone *p, const struct http_answer *answer, struct err *err)
{
	p->retry_after_s = answer->retry_after_s;
	switch (answer->status) {
	case 401:
		return err_set(err, ERR_AUTH, "the server does not accept the password of \"%s\"",
			p->profile->user);
	case 403:
		return err_set(err, ERR_DENIED,
			"the server lets this user or this phone not in (HTTP 403)");
	case 404:
		return err_set(err, ERR_DENIED,
			"%s is no ActiveSync address (HTTP 404); is the server's name right?",
			p->profile->url);
	case 429:
	case 503:
		return err_set(err, ERR_BUSY, "the server is busy (HTTP %u)", answer->status);
	case 507:
		return err_set(err, ERR_DENIED, "the mailbox is full (HTTP 507)");
	case 400:
	case 501:
	case 505:
		return err_set(err, ERR_DENIED,
			"the server does not understand this request (HTTP %u)", answer->status);
	default:
		return err_set(err, ERR_BACKEND, "the server answered HTTP %u", answer->status);
	}
}

/* Common statuses that end a command whichever it is. 0: not one of them. */
static int check_common(struct phone *p, unsigned status, struct err *err)
{
	const char *text = answer_common_text(status);

	if (status < 101 || status == 118)
		return 0;
	switch (status) {
	case 110: /* server errors and locks that pass */
	case 111:
	case 114:
	case 132:
	case 133:
		p->retry_after_s = 0;
		return err_set(err, ERR_BUSY, "the server asks to try again (Status %u%s%s)",
			status, text != NULL ? ", " : "", text != NULL ? text : "");
	default:
		return err_set(err, ERR_DENIED, "the server refuses (Status %u%s%s)", status,
			text != NULL ? ", " : "", text != NULL ? text : "");
	}
}

static bool wants_provision(const struct exchange *x, unsigned http, unsigned status)
{
	return x->command != REQUEST_PROVISION &&
	       (http == 449 || status == 140 || (status >= 142 && status <= 144));
}

/* 1: repeat the command. */
static int provision_for(struct phone *p, struct err *err)
{
	if (p->provision_rounds++ >= PROVISIONS_MAX)
		return err_set(err, ERR_DENIED,
			"the server asks for provisioning again and again; it does not accept "
			"ours");
	return provision_run(p, err) < 0 ? -1 : 1;
}

/* 1: repeat; 0: *ret_root is the answer. */
static int judge(struct phone *p, struct exchange *x, const struct http_answer *answer,
	struct arena *arena, struct wbxml_node **ret_root, struct err *err)
{
	struct wbxml_node *root = NULL;
	unsigned status;

	if (answer->status == 451)
		return redirect(p, answer, err) < 0 ? -1 : 1;
	if (wants_provision(x, answer->status, 0))
		return provision_for(p, err);
	if (answer->status != 200)
		return refuse(p, answer, err);
	if (answer_decode(arena, answer->body.data, answer->body.len, &root, err) < 0)
		return -1;
	if (root != NULL && p->options->debug) {
		CLEANUP(buf_deinit) struct buf text = BUF_INIT;

		wbxml_dump(root, true, &text);
		(void)fprintf(stderr, "%s\n", buf_cstr(&text));
	}
	status = answer_status(root);
	if (wants_provision(x, 0, status))
		return provision_for(p, err);
	if (x->command != REQUEST_PROVISION) {
		if (check_common(p, status, err) < 0)
			return -1;
		p->provision_rounds = 0;
	}
	*ret_root = root;
	return 0;
}

int exchange_run(struct phone *p, struct exchange *x, struct arena *arena,
	struct wbxml_node **ret_root, struct err *err)
{
	unsigned redirects = 0;
	int rc;

	do {
		struct http_answer answer;

		rc = send_once(p, x, &answer, err);
		if (rc == 0) {
			rc = judge(p, x, &answer, arena, ret_root, err);
			if (rc == 1 && answer.status == 451 && ++redirects > REDIRECTS_MAX)
				rc = err_set(err, ERR_DENIED, "the server redirects endlessly");
		}
		http_answer_clear(&answer);
	} while (rc == 1);
	return rc;
}

static int choose_version(struct phone *p, const char *offered, struct err *err)
{
	unsigned wanted = p->options->version, version;

	if (offered == NULL && wanted == 0)
		return err_set(err, ERR_DENIED,
			"%s names no protocol versions; is it an ActiveSync server?",
			p->profile->url);
	if (wanted != 0 && offered != NULL && !version_listed(offered, wanted))
		return err_set(err, ERR_DENIED, "the server does not offer version %s but %s",
			version_to_str(wanted), offered);
	version = wanted != 0 ? wanted : version_choose(offered);
	if (version == 0)
		return err_set(err, ERR_DENIED, "the server offers only versions unknown here: %s",
			offered);
	events_emit(&p->events, 0, NULL, "version", EV_STR("version", version_to_str(version)),
		EV_STR("offered", offered));
	if (version != p->profile->version) {
		/* Keys belong to a version: the server answers them with "start again". */
		p->profile->version = version;
		profile_set(&p->profile->hierarchy_key, "0");
		if (profile_save(p->state_dir, p->profile, err) < 0)
			return -1;
	}
	p->version_known = true;
	return 0;
}

int exchange_options(struct phone *p, struct err *err)
{
	unsigned redirects = 0;
	int rc;

	do {
		struct http_request request = {.method = "OPTIONS",
			.url = p->profile->url,
			.timeout_ms = 60000,
			.wake_fd = -1};
		struct http_answer answer;

		rc = http_exchange(p->http, &request, &answer, err);
		if (rc == 0 && answer.status == 451)
			rc = ++redirects > REDIRECTS_MAX
				     ? err_set(err, ERR_DENIED, "the server redirects endlessly")
				     : (redirect(p, &answer, err) < 0 ? -1 : 1);
		else if (rc == 0 && answer.status != 200)
			rc = refuse(p, &answer, err);
		else if (rc == 0)
			rc = choose_version(p, answer.versions, err);
		http_answer_clear(&answer);
	} while (rc == 1);
	return rc < 0 ? err_wrap(err, "asking %s for its versions", p->profile->url) : 0;
}
