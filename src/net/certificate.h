#ifndef BELLHOP_NET_CERTIFICATE_H
#define BELLHOP_NET_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What a certificate says of itself: for whoever looks whether a server's is good. No key is
 * needed. One thread; blocks on files.
 */
struct certificate;

/* The first certificate of a PEM file, and those that follow as its chain. ERR_NOT_FOUND,
 * ERR_DENIED, ERR_BAD_INPUT. */
NODISCARD int certificate_load(const char *path, struct certificate **ret, struct err *err);
void certificate_free(struct certificate **c);

/* Wall clock, seconds. */
int64_t certificate_not_before_at(const struct certificate *c);
int64_t certificate_not_after_at(const struct certificate *c);
/* Certificates in the file. */
size_t certificate_count(const struct certificate *c);
bool certificate_is_self_signed(const struct certificate *c);
/* An elliptic curve's key, on P-256: a handshake costs a tenth of that of an RSA key. */
bool certificate_is_p256(const struct certificate *c);
/* Does it bear this name? Wildcards count. */
bool certificate_has_name(const struct certificate *c, const char *name);
/* Does the private key in this PEM file belong to it? ERR_NOT_FOUND, ERR_DENIED: it cannot be
 * read; ERR_BAD_INPUT: it is another's. */
NODISCARD int certificate_check_key(
	const struct certificate *c, const char *key_path, struct err *err);
/* Would a client that trusts the system's authorities (and those in ca_path, NULL: none) take it,
 * by this file alone? ERR_BAD_INPUT says why not. */
NODISCARD int certificate_check_chain(
	const struct certificate *c, const char *ca_path, struct err *err);

#endif
