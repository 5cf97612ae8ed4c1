/*
 * One curl easy handle under a multi handle, so that a held request can be given up when a signal
 * or a change of the local Maildir asks for it. The password is given to libcurl only, and to
 * no host but that of the URL.
 */
#include "phone/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/str.h"
#include "phone/events.h"

#define BODY_MAX       ((size_t)512 << 20)
#define CONNECT_MAX_MS 30000L
#define POLL_MS        1000
/* A kept connection that turns out dead this soon was closed while idle; libcurl may repeat then.
 */
#define STALE_US 1000000

struct http {
	struct http_options options;
	CURLM *multi;
	CURL *easy;
	char message[CURL_ERROR_SIZE];
	struct http_answer *answer; /* of the exchange under way */
	bool told_held;             /* its caller knows that it is held */
};

struct http *http_new(const struct http_options *options)
{
	struct http *h = x_new(struct http);

	h->options = *options;
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	if (h->multi == NULL || h->easy == NULL)
		http_free(&h);
	return h;
}

void http_free(struct http **h)
{
	if (*h == NULL)
		return;
	curl_easy_cleanup((*h)->easy);
	(void)curl_multi_cleanup((*h)->multi);
	mem_free(*h);
	*h = NULL;
}

void http_answer_clear(struct http_answer *a)
{
	buf_deinit(&a->body);
	mem_free(a->content_type);
	mem_free(a->versions);
	mem_free(a->location);
	*a = (struct http_answer){0};
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
	struct http *h = owner;

	buf_add(&h->answer->body, bytes, size * count);
	return h->answer->body.failed ? 0 : size * count;
}

/* Copies the value when the line is that header. */
static void take_header(const char *line, size_t len, const char *name, char **to)
{
	size_t n = strlen(name);
	char *value;

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return;
	mem_free(*to);
	*to = x_strndup(line + n + 1, len - n - 1);
	value = str_trim(*to);
	memmove(*to, value, strlen(value) + 1);
}

static size_t on_header(char *line, size_t size, size_t count, void *owner)
{
	struct http *h = owner;
	char *retry = NULL;
	struct err ignored;
	uint64_t seconds;

	take_header(line, size * count, "Content-Type", &h->answer->content_type);
	take_header(line, size * count, "MS-ASProtocolVersions", &h->answer->versions);
	take_header(line, size * count, "X-MS-Location", &h->answer->location);
	take_header(line, size * count, "Retry-After", &retry);
	if (retry != NULL && str_parse_u64(retry, 86400, &seconds, &ignored) == 0)
		h->answer->retry_after_s = (unsigned)seconds;
	mem_free(retry);
	return size * count;
}

/*
 * libcurl repeats a request by itself when a kept connection breaks before the first byte of the
 * answer. For one that was closed while idle this is right. For one that broke while the request
 * was held it would hide the very thing that the heartbeat must learn from, so it gets no new
 * socket then.
 */
static curl_socket_t on_open_socket(
	void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *h = owner;

	(void)purpose;
	if (h->answer->sent_us != 0 && events_now_us() - h->answer->sent_us > STALE_US)
		return CURL_SOCKET_BAD;
	h->answer->sent_us = 0;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static struct curl_slist *header_list(const struct http_request *r)
{
	CLEANUP(mem_freep)
	char *type = r->content_type == NULL ? x_strdup("Content-Type:")
					     : x_printf("Content-Type: %s", r->content_type);
	struct curl_slist *list = curl_slist_append(NULL, type);

	/* curl would ask for a 100 Continue with large bodies; a round trip for nothing here. */
	list = curl_slist_append(list, "Expect:");
	for (const char *const *p = r->headers; p != NULL && *p != NULL; p++)
		list = curl_slist_append(list, *p);
	return list;
}

static void set_tls(struct http *h)
{
	const struct http_options *o = &h->options;
	/* A pinned key is a stronger statement than any authority's. */
	long check = o->insecure || o->pin != NULL ? 0L : 1L;

	(void)curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYPEER, check);
	(void)curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYHOST, check * 2);
	(void)curl_easy_setopt(h->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (o->cacert != NULL)
		(void)curl_easy_setopt(h->easy, CURLOPT_CAINFO, o->cacert);
	if (o->pin != NULL)
		(void)curl_easy_setopt(h->easy, CURLOPT_PINNEDPUBLICKEY, o->pin);
}

static void set_up(struct http *h, const struct http_request *r, struct curl_slist *headers)
{
	CURL *e = h->easy;

	curl_easy_reset(e); /* keeps connections, which belong to the multi handle */
	(void)curl_easy_setopt(e, CURLOPT_URL, r->url);
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	(void)curl_easy_setopt(e, CURLOPT_USERNAME, h->options.user);
	(void)curl_easy_setopt(e, CURLOPT_PASSWORD, h->options.password);
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, h->options.user_agent);
	(void)curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS);
	(void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->message);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, h);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, h);
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, h);
	if (strcmp(r->method, "POST") == 0) {
		(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body == NULL ? "" : r->body);
	} else {
		(void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	}
	set_tls(h);
}

/* Notes when the request has left completely, and tells the caller once that it is being held. */
static void note_progress(struct http *h, const struct http_request *r, bool running)
{
	curl_off_t uploaded = 0, ready_us = 0;

	if (h->answer->sent_us == 0) {
		(void)curl_easy_getinfo(h->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
		(void)curl_easy_getinfo(h->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
		if (ready_us != 0 && (size_t)uploaded >= r->body_len)
			h->answer->sent_us = events_now_us();
	} else if (running && !h->told_held && r->on_held != NULL &&
		   events_now_us() - h->answer->sent_us >= HTTP_HELD_MS * 1000) {
		h->told_held = true;
		r->on_held(r->owner);
	}
}

/* Soon, while there is still something to tell. */
static int poll_ms(const struct http *h, const struct http_request *r)
{
	return r->on_held != NULL && !h->told_held ? HTTP_HELD_MS / 3 : POLL_MS;
}

/* 1 done, 0 given up because a descriptor became readable, -1 error. */
static int drive(struct http *h, const struct http_request *r, struct err *err)
{
	struct curl_waitfd extra[2] = {
		{.fd = h->options.stop_fd, .events = CURL_WAIT_POLLIN},
		{.fd = r->wake_fd, .events = CURL_WAIT_POLLIN},
	};
	unsigned extra_count = r->wake_fd >= 0 ? 2 : 1;
	int running = 1;

	for (;;) {
		CURLMcode rc = curl_multi_perform(h->multi, &running);

		note_progress(h, r, running > 0);
		if (rc == CURLM_OK && running == 0)
			return 1;
		if (rc == CURLM_OK)
			rc = curl_multi_poll(h->multi, extra, extra_count, poll_ms(h, r), NULL);
		if (rc != CURLM_OK)
			return err_set(err, ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
		if (extra[0].revents != 0 || (extra_count > 1 && extra[1].revents != 0))
			return 0;
	}
}

static int describe(struct http *h, CURLcode rc, struct err *err)
{
	const char *text = h->message[0] != 0 ? h->message : curl_easy_strerror(rc);

	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT, "no answer in time (%s)", text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(err, ERR_DENIED,
			"the server's certificate is not trusted: %s (for a self-signed one use "
			"--cacert FILE or --pin sha256//KEY)",
			text);
	case CURLE_COULDNT_CONNECT:
		if (h->answer->sent_us != 0)
			return err_set(err, ERR_BACKEND, "the connection broke while waiting");
		return err_set(err, ERR_BACKEND, "%s", text);
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return err_set(err, ERR_DENIED, "the server's key is not the pinned one");
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(
			err, ERR_DENIED, "--cacert %s cannot be read: %s", h->options.cacert, text);
	case CURLE_WRITE_ERROR:
		return err_set(err, ERR_BAD_INPUT, "the server's answer is larger than %zu MB",
			BODY_MAX >> 20);
	default:
		return err_set(err, ERR_BACKEND, "%s", text);
	}
}

int http_exchange(struct http *h, const struct http_request *request, struct http_answer *ret,
	struct err *err)
{
	struct curl_slist *headers = header_list(request);
	CURLcode result = CURLE_OK;
	struct CURLMsg *message;
	long status = 0;
	int rc, left;

	*ret = (struct http_answer){.body = {.max = BODY_MAX}};
	h->answer = ret;
	h->message[0] = 0;
	h->told_held = false;
	set_up(h, request, headers);
	(void)curl_multi_add_handle(h->multi, h->easy);
	rc = drive(h, request, err);
	ret->answered_us = events_now_us();
	while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE)
			result = message->data.result;
	}
	(void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_multi_remove_handle(h->multi, h->easy); /* ends an exchange that was given up */
	curl_slist_free_all(headers);
	if (rc == 0)
		rc = err_set(err, ERR_BUSY, "interrupted");
	else if (rc > 0 && result != CURLE_OK)
		rc = describe(h, result, err);
	h->answer = NULL;
	if (rc < 0)
		return -1;
	ret->status = (unsigned)status;
	return 0;
}

static bool is_local(const char *host)
{
	struct in_addr v4;

	return str_eq_nocase(host, "localhost") || str_eq(host, "[::1]") ||
	       (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

int http_url(const char *server, bool insecure, char **ret, struct err *err)
{
	CLEANUP(mem_freep)
	char *full =
		strstr(server, "://") != NULL ? x_strdup(server) : x_printf("https://%s", server);
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *path = NULL, *url = NULL;
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, full, 0);
	int result = -1;

	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_PATH, &path, 0);
	if (rc == CURLUE_OK && strcmp(path, "/") == 0)
		rc = curl_url_set(u, CURLUPART_PATH, "/Microsoft-Server-ActiveSync", 0);
	(void)curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	(void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	(void)curl_url_set(u, CURLUPART_USER, NULL, 0);
	(void)curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_URL, &url, 0);
	if (rc != CURLUE_OK)
		(void)err_set(err, ERR_BAD_INPUT, "\"%s\" is no server address: %s", server,
			curl_url_strerror(rc));
	else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		(void)err_set(err, ERR_BAD_INPUT, "\"%s\": only https and http work", server);
	else if (strcmp(scheme, "http") == 0 && !insecure && !is_local(host))
		(void)err_set(err, ERR_BAD_INPUT,
			"\"%s\" would send the password unencrypted; use https, or --insecure if "
			"you "
			"mean it",
			server);
	else
		result = 0;
	if (result == 0)
		*ret = x_strdup(url);
	curl_free(scheme);
	curl_free(host);
	curl_free(path);
	curl_free(url);
	curl_url_cleanup(u);
	return result;
}

/* Where the host of a URL begins; its length. */
static const char *host_of(const char *url, size_t *ret_len)
{
	const char *host = strstr(url, "://");

	host = host == NULL ? url : host + 3;
	*ret_len = *host == '[' ? strcspn(host, "]") : strcspn(host, ":/");
	return host;
}

bool http_same_host(const char *a, const char *b)
{
	size_t a_len, b_len;

	a = host_of(a, &a_len);
	b = host_of(b, &b_len);
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}
