/*
 * The front's TLS: its context, whether connections are detached, and that their keys stay in
 * memory. Connections keep the context and the form they began with, so a reload touches nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "front/front_internal.h"
#include "net/kdf.h"
#include "net/nonce_set.h"
#include "net/tickets.h"

#define NONCE_BITS 22

static int load(struct front *f, const struct settings *s, struct ssl_ctx_st **ret, struct err *err)
{
	const char *cert = s->tls_certificate[0] != 0 ? s->tls_certificate : f->tls_certificate;
	const char *key = s->tls_certificate[0] != 0 ? s->tls_key : f->tls_key;

	if (cert == NULL || key == NULL)
		return err_set(err, ERR_BAD_INPUT, "no certificate for the TLS listeners");
	if (net_tls_server_new(cert, key, f->ticket_keys, ret, err) < 0)
		return -1;
	if (f->options.tickets != NULL)
		net_tickets_use(*ret, f->options.tickets, 2 * s->tls_ticket_rotate_s);
	detach_context(*ret, (uint32_t)s->tls_key_updates_per_minute);
	return 0;
}

static void take_settings(struct front *f, const struct settings *s)
{
	if (f->detach == NULL)
		return;
	f->detaching = strcmp(s->tls_park, "detach") == 0;
	detach_pool_set_max_held(f->detach, s->http_buffer_max_bytes);
	record_crypto_set_limits(detach_pool_crypto(f->detach),
		(uint32_t)s->tls_key_updates_per_minute, RECORD_UPDATE_AFTER);
}

#if BELLHOP_NONCE_CHECK
/* All fronts that are told the same file share the table, also over an upgrade. */
static void watch_nonces(struct front *f)
{
	struct err err = ERR_INIT;

	if (nonce_set_open(getenv("BELLHOP_NONCES"), NONCE_BITS, &f->nonces, &err) < 0)
		log_error(&f->lc, "nonces_not_watched", F_ERR(&err));
	else
		record_crypto_watch_nonces(detach_pool_crypto(f->detach), f->nonces);
}
#else
static void watch_nonces(struct front *f)
{
}
#endif

/* 0: connections can be detached. 1: they cannot, `why` says it. -1: no TLS at all. */
static int make_context(struct front *f, struct err *why, struct err *err)
{
	net_tls_free(&f->tls);
	if (load(f, f->settings, &f->tls, err) < 0)
		return -1;
	return f->detach != NULL && detach_self_test(f->detach, f->tls, why) == 0 ? 0 : 1;
}

/* Our key schedule is relied on when the test at start has shaken hands with it. */
static int test_context(struct front *f, struct err *why, struct err *err)
{
	int result;

	if (f->detach == NULL)
		return make_context(f, why, err);
	if (net_kdf_load(&f->kdf, why) < 0)
		log_warn(&f->lc, "key_schedule_refused", F_ERR(why));
	detach_pool_set_kdf(f->detach, f->kdf);
	result = make_context(f, why, err);
	if (result == 0 || f->kdf == NULL)
		return result;
	detach_pool_set_kdf(f->detach, NULL);
	net_kdf_unload(&f->kdf);
	return make_context(f, why, err);
}

int secure_start(struct front *f, struct err *err)
{
	struct err why = ERR_INIT;
	int result;

	if (f->tls != NULL)
		return 0;
	if (detach_pool_new(f->settings->http_buffer_max_bytes, &f->detach, &why) < 0)
		f->detach = NULL;
	if (f->detach != NULL)
		watch_nonces(f);
	result = test_context(f, &why, err);
	if (result < 0)
		return -1;
	if (result > 0) {
		log_warn(&f->lc, "tls_park_kept", F_ERR(&why),
			F_STR("consequence", "waiting phones cost more memory"));
		detach_pool_free(&f->detach);
	}
	take_settings(f, f->settings);
	secure_check_lock(f);
	return 0;
}

int secure_reload(struct front *f, const struct settings *next, struct err *err)
{
	struct ssl_ctx_st *tls = NULL;

	if (f->tls == NULL)
		return 0;
	if (load(f, next, &tls, err) < 0)
		return -1;
	net_tls_free(&f->tls);
	f->tls = tls;
	take_settings(f, next);
	return 0;
}

void secure_stop(struct front *f)
{
	net_tls_free(&f->tls);
	net_kdf_unload(&f->kdf);
	detach_pool_free(&f->detach);
	nonce_set_close(&f->nonces);
}

void secure_check_lock(struct front *f)
{
	struct err err = ERR_INIT;

	if (f->lock_failed || f->detach == NULL || detach_pool_lock_error(f->detach) == 0)
		return;
	f->lock_failed = true;
	(void)err_set_errno(&err, detach_pool_lock_error(f->detach), "mlock");
	log_warn(&f->lc, "tls_keys_not_locked", F_ERR(&err),
		F_STR("consequence", "keys of connections may be swapped out"),
		F_STR("advice", "raise the limit of locked memory (RLIMIT_MEMLOCK)"));
}

int secure_begin(struct front *f, struct conn *c, struct err *err)
{
	if (net_stream_init(&c->stream, c->stream.fd, f->tls, err) < 0)
		return -1;
	if (f->detaching)
		net_stream_prepare_detach(&c->stream, f->detach);
	return 0;
}

void secure_established(struct front *f, struct conn *c)
{
	front_count(f, tls_handshakes);
	if (net_stream_resumed(&c->stream))
		front_count(f, tls_resumed);
	if (net_stream_detach(&c->stream))
		front_count(f, tls_detached);
	else
		front_count(f, tls_kept);
}
