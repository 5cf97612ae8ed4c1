#ifndef BELLHOP_PHONE_HTTP_H
#define BELLHOP_PHONE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The phone's HTTP over libcurl: one connection that is kept, one exchange at a time. Blocking, one
 * thread; libcurl's global state is set up in main. Redirects are not followed (451 is the
 * caller's).
 */
struct http;

#define HTTP_HELD_MS 150

struct http_options {
	const char *user, *password; /* kept, must outlive */
	bool insecure;               /* no certificate check */
	const char *cacert;          /* PEM file; NULL: the system's */
	const char *pin; /* "sha256//BASE64" of the public key; then nothing else is checked */
	const char *user_agent;
	int stop_fd; /* readable: give up at once (a signal) */
};

struct http_request {
	const char *method, *url;   /* borrowed */
	const char *content_type;   /* NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
	const void *body;
	size_t body_len;
	int64_t timeout_ms; /* for all of it */
	int wake_fd;        /* readable: give up; -1: none */
	/* Called once, when the request is out for HTTP_HELD_MS without an answer: it is being
	 * held. May be NULL. */
	void (*on_held)(void *owner);
	void *owner;
};

struct http_answer {
	unsigned status;
	struct buf body;
	char *content_type, *versions, *location; /* NULL when absent */
	unsigned retry_after_s;                   /* 0: not said */
	int64_t sent_us, answered_us;             /* CLOCK_MONOTONIC; 0: never */
};

struct http *http_new(const struct http_options *options);
void http_free(struct http **h);
void http_answer_clear(struct http_answer *a);

/*
 * ERR_TIMEOUT: the time was over. ERR_BACKEND: the network failed. ERR_DENIED: the server's
 * certificate. ERR_BUSY: stop_fd or wake_fd became readable. *ret's times are set in each case; the
 * rest on success. Clear it always.
 */
NODISCARD int http_exchange(struct http *h, const struct http_request *request,
	struct http_answer *ret, struct err *err);

/*
 * The address from what the user typed: a bare host, host:port or a URL; path
 * /Microsoft-Server-ActiveSync when none is named. mem_free. ERR_BAD_INPUT says what is wrong.
 * Plain http is for this machine only, or with insecure.
 */
NODISCARD int http_url(const char *server, bool insecure, char **ret, struct err *err);
/* Whether two addresses of http_url() name the same host, whatever scheme, port and path. */
bool http_same_host(const char *a, const char *b);

#endif
