#ifndef BELLHOP_NET_KDF_H
#define BELLHOP_NET_KDF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The key schedule of TLS 1.3 for OpenSSL: a provider within the process that offers TLS13-KDF and
 * nothing else. OpenSSL's own looks for its hash by name, allocates and hands parameters on for
 * each of the twenty derivations of a handshake. Contexts of net_tls_server_new() prefer this one
 * while it is loaded (NET_KDF_WANTED), and take OpenSSL's otherwise.
 *
 * For SHA-256 and SHA-384, which all suites of TLS 1.3 that OpenSSL offers have. Keeps nothing, and
 * tells one listener of the two secrets that a connection's application keys are made of.
 */
struct net_kdf;

enum net_kdf_side { NET_KDF_CLIENT, NET_KDF_SERVER };

/* An application secret has been derived; OpenSSL installs its keys before it reads or writes
 * again. The bytes are there until return. */
typedef void net_kdf_heard(
	void *listener, enum net_kdf_side side, const uint8_t *secret, size_t len);

#define NET_KDF_WANTED "?provider=bellhop"
/* Which clients want: so a handshake with ourselves compares the two. */
#define NET_KDF_OPENSSL "?provider=default"

/* Before the contexts that shall use it. Failure: OpenSSL goes on with its own. */
NODISCARD int net_kdf_load(struct net_kdf **ret, struct err *err);
/* Whose handshake goes on now; NULL: nobody's. All handshakes of the process that use it are on the
 * calling thread. The listener is kept until the next call. */
void net_kdf_listen(struct net_kdf *k, net_kdf_heard *heard, void *listener);
/* After connections that shake hands are gone. NULL inside is fine. */
void net_kdf_unload(struct net_kdf **k);

#endif
