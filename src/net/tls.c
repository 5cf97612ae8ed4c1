/*
 * TLS contexts and certificates. What is chosen here and why:
 * - SSL_MODE_RELEASE_BUFFERS: an idle connection holds no record buffers;
 * - tickets, no cache: a cache would cost memory per session and would not be shared between
 * fronts;
 * - no renegotiation: nobody needs it, and it would make reads want writes at the peer's will;
 * - no automatic chain: the file has the chain, and OpenSSL would look for it in each handshake.
 */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/kdf.h"

#define CERT_DAYS 3650

static int tls_err(struct err *err, enum err_code code, const char *what)
{
	/* The first one is the cause; those after it only say who passed it on ("PEM lib"). */
	unsigned long number = ERR_peek_error();
	const char *reason = NULL;

	if (ERR_SYSTEM_ERROR(number))
		reason = strerrordesc_np(ERR_GET_REASON(number));
	else if (number != 0)
		reason = ERR_reason_error_string(number);

	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, reason != NULL ? reason : "unknown error");
}

/* ---- contexts ---- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char offered[] = "\x08http/1.1";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, offered, sizeof(offered) - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

void net_tls_free(struct ssl_ctx_st **ctx)
{
	SSL_CTX_free(*ctx);
	*ctx = NULL;
}

static struct ssl_ctx_st *new_context(const SSL_METHOD *method, const char *wanted)
{
	SSL_CTX *c = SSL_CTX_new_ex(NULL, wanted, method);

	if (c == NULL)
		return NULL;
	(void)SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	(void)SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_options(c,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
			SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	return c;
}

int net_tls_server_new(const char *path_cert, const char *path_key, const uint8_t *ticket_keys,
	struct ssl_ctx_st **ret, struct err *err)
{
	CLEANUP(net_tls_free) struct ssl_ctx_st *c = NULL;
	uint8_t keys[NET_TICKET_KEYS_BYTES];
	static const unsigned char session_context[] = "bellhop";

	ERR_clear_error();
	c = new_context(TLS_server_method(), NET_KDF_WANTED);
	if (c == NULL)
		return tls_err(err, ERR_INTERNAL, "TLS context");
	if (SSL_CTX_use_certificate_chain_file(c, path_cert) != 1)
		return tls_err(err, ERR_BAD_INPUT, path_cert);
	if (SSL_CTX_use_PrivateKey_file(c, path_key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(c) != 1)
		return tls_err(err, ERR_BAD_INPUT, path_key);
	if (ticket_keys != NULL) {
		memcpy(keys, ticket_keys, sizeof(keys));
		if (SSL_CTX_set_tlsext_ticket_keys(c, keys, sizeof(keys)) != 1)
			return tls_err(err, ERR_INTERNAL, "session ticket keys");
		secret_wipe(keys, sizeof(keys));
	}
	(void)SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);
	(void)SSL_CTX_set_num_tickets(c, 1);
	(void)SSL_CTX_set_session_id_context(c, session_context, sizeof(session_context) - 1);
	SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
	*ret = TAKE(c);
	return 0;
}

int net_tls_client_new(struct ssl_ctx_st **ret, struct err *err)
{
	struct ssl_ctx_st *c = new_context(TLS_client_method(), NET_KDF_OPENSSL);

	if (c == NULL)
		return tls_err(err, ERR_INTERNAL, "TLS context");
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	*ret = c;
	return 0;
}

/* ---- the self-signed certificate ---- */

static void free_x509(X509 **x)
{
	X509_free(*x);
	*x = NULL;
}

static void free_pkey(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
	*k = NULL;
}

static bool is_numeric(const char *hostname)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, hostname, bytes) == 1 ||
	       inet_pton(AF_INET6, hostname, bytes) == 1;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool fill_certificate(X509 *x, EVP_PKEY *key, const char *hostname)
{
	char alt_name[300];
	unsigned char serial[16];
	BIGNUM *number;
	X509_NAME *name = X509_get_subject_name(x);
	bool ok;

	random_bytes(serial, sizeof(serial));
	serial[0] &= 0x7f; /* positive */
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
	BN_free(number);
	(void)snprintf(
		alt_name, sizeof(alt_name), "%s:%s", is_numeric(hostname) ? "IP" : "DNS", hostname);
	/* A name longer than 64 does not fit into CN; clients look at the alternative name anyway.
	 */
	return ok && X509_set_version(x, 2) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -86400) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(x), 86400L * CERT_DAYS) != NULL &&
	       X509_set_pubkey(x, key) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		       (const unsigned char *)(strlen(hostname) <= 64 ? hostname : "bellhop"), -1,
		       -1, 0) == 1 &&
	       X509_set_issuer_name(x, name) == 1 &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_alt_name, alt_name) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

/* Under another name first: whoever reads the path finds the old file or the whole new one. */
static int write_file(const char *path, unsigned mode, BIO *content, struct err *err)
{
	char *bytes, aside[4100];
	long len = BIO_get_mem_data(content, &bytes);
	int fd, rc, saved;

	if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
		return err_set(err, ERR_BAD_INPUT, "path %s is too long", path);
	(void)unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_set_errno(err, errno, "writing %s", aside);
	rc = fd_write_all(fd, bytes, (size_t)len) < 0 || fsync(fd) < 0 ? -1 : 0;
	saved = errno;
	(void)close(fd);
	if (rc == 0 && rename(aside, path) < 0) {
		rc = -1;
		saved = errno;
	}
	if (rc < 0) {
		(void)unlink(aside);
		return err_set_errno(err, saved, "writing %s", path);
	}
	return 0;
}

int net_tls_self_signed(
	const char *path_cert, const char *path_key, const char *hostname, struct err *err)
{
	CLEANUP(free_pkey) EVP_PKEY *key = NULL;
	CLEANUP(free_x509) X509 *x = NULL;
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_secmem());
	int rc;

	ERR_clear_error();
	key = EVP_EC_gen("P-256");
	x = X509_new();
	if (key == NULL || x == NULL || cert_pem == NULL || key_pem == NULL ||
		!fill_certificate(x, key, hostname) || PEM_write_bio_X509(cert_pem, x) != 1 ||
		PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1)
		rc = tls_err(err, ERR_INTERNAL, "making a certificate");
	else
		rc = write_file(path_key, 0600, key_pem, err) < 0 ||
				     write_file(path_cert, 0644, cert_pem, err) < 0
			     ? -1
			     : 0;
	BIO_free(cert_pem);
	BIO_free(key_pem);
	return rc;
}

int net_tls_fingerprint(const char *path_cert, char ret[96], struct err *err)
{
	CLEANUP(free_x509) X509 *x = NULL;
	BIO *file = BIO_new_file(path_cert, "re");
	unsigned char hash[32];
	unsigned len = 0;

	ERR_clear_error();
	if (file != NULL)
		x = PEM_read_bio_X509(file, NULL, NULL, NULL);
	BIO_free(file);
	if (x == NULL || X509_digest(x, EVP_sha256(), hash, &len) != 1 || len != sizeof(hash))
		return tls_err(err, ERR_BAD_INPUT, path_cert);
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(ret + 3 * i, 4, "%02X%s", hash[i], i + 1 < len ? ":" : "");
	return 0;
}
