/* Certificates in files. Owns the parsed chain. One thread. */
#include "net/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/str.h"

struct certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* those behind it */
};

static int open_failed(const char *path, struct err *err)
{
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s is not there", path);
	if (errno == EACCES)
		return err_set(err, ERR_DENIED, "%s may not be read by whom you are", path);
	return err_set_errno(err, errno, "%s", path);
}

int certificate_load(const char *path, struct certificate **ret, struct err *err)
{
	FILE *file = fopen(path, "re");
	CLEANUP(certificate_free) struct certificate *c = NULL;
	X509 *next;

	if (file == NULL)
		return open_failed(path, err);
	c = x_new(struct certificate);
	c->chain = sk_X509_new_null();
	c->leaf = PEM_read_X509(file, NULL, NULL, NULL);
	while (c->leaf != NULL && (next = PEM_read_X509(file, NULL, NULL, NULL)) != NULL)
		(void)sk_X509_push(c->chain, next);
	ERR_clear_error();
	(void)fclose(file);
	if (c->leaf == NULL)
		return err_set(err, ERR_BAD_INPUT, "%s holds no certificate in PEM form", path);
	*ret = TAKE(c);
	return 0;
}

void certificate_free(struct certificate **c)
{
	if (*c == NULL)
		return;
	X509_free((*c)->leaf);
	sk_X509_pop_free((*c)->chain, X509_free);
	mem_free(*c);
	*c = NULL;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t certificate_not_before_at(const struct certificate *c)
{
	return seconds_of(X509_get0_notBefore(c->leaf));
}

int64_t certificate_not_after_at(const struct certificate *c)
{
	return seconds_of(X509_get0_notAfter(c->leaf));
}

size_t certificate_count(const struct certificate *c)
{
	return 1 + (size_t)sk_X509_num(c->chain);
}

bool certificate_is_self_signed(const struct certificate *c)
{
	return X509_self_signed(c->leaf, 0) == 1;
}

bool certificate_is_p256(const struct certificate *c)
{
	char group[32] = "";
	EVP_PKEY *key = X509_get0_pubkey(c->leaf);

	return key != NULL &&
	       EVP_PKEY_get_utf8_string_param(key, "group", group, sizeof(group), NULL) == 1 &&
	       (str_eq(group, "prime256v1") || str_eq(group, "P-256"));
}

bool certificate_has_name(const struct certificate *c, const char *name)
{
	return X509_check_host(c->leaf, name, 0, 0, NULL) == 1 ||
	       X509_check_ip_asc(c->leaf, name, 0) == 1;
}

int certificate_check_key(const struct certificate *c, const char *key_path, struct err *err)
{
	FILE *file = fopen(key_path, "re");
	EVP_PKEY *key;
	int fits;

	if (file == NULL)
		return open_failed(key_path, err);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	(void)fclose(file);
	fits = key != NULL && X509_check_private_key(c->leaf, key) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return fits ? 0
		    : err_set(err, ERR_BAD_INPUT, "the key in %s is not that of the certificate",
			      key_path);
}

int certificate_check_chain(const struct certificate *c, const char *ca_path, struct err *err)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	int result = 0;

	(void)X509_STORE_set_default_paths(store);
	if (ca_path != NULL)
		(void)X509_STORE_load_file(store, ca_path);
	if (X509_STORE_CTX_init(check, store, c->leaf, c->chain) != 1)
		result = err_set(err, ERR_INTERNAL, "no memory to check a certificate");
	else if (X509_verify_cert(check) != 1)
		result = err_set(err, ERR_BAD_INPUT, "%s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)));
	X509_STORE_CTX_free(check);
	X509_STORE_free(store);
	ERR_clear_error();
	return result;
}
