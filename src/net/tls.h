#ifndef BELLHOP_NET_TLS_H
#define BELLHOP_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * TLS by OpenSSL: contexts for servers, and the self-signed certificate of the first start. TLS 1.2
 * and 1.3; session tickets on, no session cache; buffers are released while a connection is idle;
 * no renegotiation; ALPN http/1.1.
 */
struct ssl_ctx_st;

#define NET_TICKET_KEYS_BYTES 80

/*
 * A context for new connections. Connections keep the context they began with: to reload
 * certificates make a new one and free the old one. ticket_keys: NET_TICKET_KEYS_BYTES random bytes
 * which all fronts share, so that a session resumes at any of them; NULL: own ones. Errors name the
 * file.
 */
NODISCARD int net_tls_server_new(const char *path_cert, const char *path_key,
	const uint8_t *ticket_keys, struct ssl_ctx_st **ret, struct err *err);
/* NULL inside is fine. */
void net_tls_free(struct ssl_ctx_st **ctx);
/* A client's context that checks no certificate: tests and local probes. */
NODISCARD int net_tls_client_new(struct ssl_ctx_st **ret, struct err *err);

/*
 * Writes a P-256 key (mode 0600) and a certificate for hostname (a DNS name or a numeric address)
 * that it signs itself, good for ten years. Blocks. Files appear whole or not at all; existing ones
 * are replaced.
 */
NODISCARD int net_tls_self_signed(
	const char *path_cert, const char *path_key, const char *hostname, struct err *err);
/* SHA-256 of the first certificate in the file, as 95 characters AA:BB:..., for the administrator
 * to compare. */
NODISCARD int net_tls_fingerprint(const char *path_cert, char ret[96], struct err *err);

#endif
