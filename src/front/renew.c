/*
 * The short way of a renewal: the answer at the end of a heartbeat, and the same request again. It
 * is what a front does nearly all of the time, so it goes from the socket to the wheel and back
 * without a request object, an allocation or a parser; whatever is not quite as usual takes the
 * long way (answer.c, request.c), which does the same.
 *
 * The answer is the same for everybody within a second, so its text is made once in a second. A
 * request that comes in one piece is known by the hash of its raw bytes (its print) before anybody
 * looks at what they mean.
 *
 * A print is that of head and body as they lie on the wire. A body that was chunked there is hashed
 * without its chunks, so its print is turned over: no raw bytes are ever taken for it.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "front/front_internal.h"

/* [MS-ASCMD] 2.2.1.13: Ping { Status 1 }, "the heartbeat is over, nothing has changed". */
static const uint8_t ping_expired[] = {
	0x03, 0x01, 0x6A, 0x00, 0x00, 0x0D, 0x45, 0x47, 0x03, 0x31, 0x00, 0x01, 0x01};

/* ---- prints ---- */

void renew_print_head(const struct front *f, struct request *r)
{
	siphash128_init(&r->hash, f->print_keys[0]);
	siphash128_add(&r->hash, r->in.data, r->in.len);
}

struct print renew_print(struct request *r)
{
	uint64_t sum[2];

	if (r->body.len > 0)
		siphash128_add(&r->hash, r->body.data, r->body.len);
	siphash128_get(&r->hash, sum);
	return (struct print){r->http.chunked ? ~sum[0] : sum[0], sum[1]};
}

static bool is_again(const struct front *f, const struct conn *c, const uint8_t *bytes, size_t len)
{
	struct siphash128 h;
	uint64_t sum[2];

	siphash128_init(&h, f->print_keys[0]);
	siphash128_add(&h, bytes, len);
	siphash128_get(&h, sum);
	return sum[0] == c->print.a && sum[1] == c->print.b;
}

/* ---- the answer ---- */

void renew_body(const struct conn *c, const void **ret_body, size_t *ret_len)
{
	bool ping = c->expiry != IPC_EXPIRY_SYNC;

	*ret_body = ping ? ping_expired : NULL;
	*ret_len = ping ? sizeof(ping_expired) : 0;
}

/* To a client that stays, of HTTP/1.1. */
static const struct buf *text_now(struct front *f, const struct conn *c)
{
	bool ping = c->expiry != IPC_EXPIRY_SYNC;
	struct buf *text = &f->expiry_text[ping];
	int64_t now_at = clock_now_at();
	const void *body;
	size_t len;

	if (f->expiry_at[ping] == now_at && text->len > 0)
		return text;
	renew_body(c, &body, &len);
	buf_clear(text);
	http_response_begin(text, 200, NULL, now_at, HTTP_KEEP);
	if (ping)
		http_response_header(text, "Content-Type", RENEW_PING_TYPE);
	http_response_end(text, len);
	buf_add(text, body, len);
	f->expiry_at[ping] = text->failed ? 0 : now_at;
	return text->failed ? NULL : text;
}

/* The socket did not take all: a request object waits for it. */
static bool answer_rest(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	struct request *r = request_new(f, c);

	if (r == NULL) {
		conn_close(f, c);
		return false;
	}
	r->number = c->watch;
	r->sent = r->answered = r->body_done = r->keep_alive = true;
	r->checked_ms = clock_now_ms();
	buf_add(&r->out, bytes, len);
	request_charge(f, r);
	if (r->out.failed) {
		conn_close(f, c);
		return false;
	}
	conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	return answer_flush(f, c);
}

bool renew_answer(struct front *f, struct conn *c, bool *ret_alive)
{
	const struct buf *text;
	int64_t n;

	if (c->request != NULL || !c->keep_alive || c->half_closed || c->input_seen ||
		f->stopping || f->pass.begun)
		return false;
	text = text_now(f, c);
	if (text == NULL)
		return false;
	conn_enter(f, c, CONN_ANSWER);
	n = net_stream_write(&c->stream, text->data, text->len);
	if (n < 0 && n != NET_AGAIN) {
		conn_close(f, c);
		*ret_alive = false;
		return true;
	}
	n = MAX(n, (int64_t)0);
	f->counters[COUNT_bytes_out] += (uint64_t)n;
	*ret_alive = true;
	if ((size_t)n == text->len)
		conn_enter_idle(f, c);
	else
		*ret_alive = answer_rest(f, c, text->data + n, text->len - (size_t)n);
	return true;
}

/* ---- the request ---- */

bool renew_request(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, bool *ret_alive)
{
	if (c->state != CONN_IDLE || c->request != NULL || !park_may_renew(f, c) ||
		!is_again(f, c, bytes, len))
		return false;
	front_count(f, requests);
	*ret_alive = park_again(f, c);
	return true;
}
