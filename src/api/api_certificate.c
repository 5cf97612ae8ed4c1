/*
 * Certificates: the one that phones must be told to trust, and the one that signs profiles.
 *
 * The engine has no key of TLS, by design: it parses mail. So profiles are signed with a key of
 * their own: web.profile_key where the site has one, else one that is made in the data folder when
 * the first profile is asked for. It signs profiles and nothing else; who has stolen it can make
 * profiles that look like ours, and no more.
 *
 * Threads: any; making the key is under api->lock. Blocks on files.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/tls.h"

static int fail(struct err *err, const char *what, const char *path)
{
	char text[160] = "";
	unsigned long code = ERR_peek_last_error();

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_BACKEND, "%s %s: %s", what, path, text);
}

static int load_certificates(const char *path, STACK_OF(X509) * *ret, struct err *err)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *file = BIO_new_file(path, "r");
	X509 *one;

	while (file != NULL && (one = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL)
		(void)sk_X509_push(all, one);
	BIO_free(file);
	if (sk_X509_num(all) == 0) {
		sk_X509_pop_free(all, X509_free);
		return fail(err, "no certificate in", path);
	}
	ERR_clear_error();
	*ret = all;
	return 0;
}

int api_certificate_own(
	const struct settings *s, uint8_t **ret_der, size_t *ret_len, struct err *err)
{
	STACK_OF(X509) *all = NULL;
	const X509 *root = NULL;
	uint8_t *der = NULL;
	int len;

	*ret_der = NULL;
	*ret_len = 0;
	if (s->tls_certificate[0] == '\0')
		return 0;
	if (load_certificates(s->tls_certificate, &all, err) < 0)
		return -1;
	for (int i = 0; i < sk_X509_num(all) && root == NULL; i++) {
		if (X509_self_signed(sk_X509_value(all, i), 0) == 1)
			root = sk_X509_value(all, i);
	}
	len = root != NULL ? i2d_X509(root, &der) : 0;
	if (len > 0) {
		*ret_der = x_calloc(1, (size_t)len);
		memcpy(*ret_der, der, (size_t)len);
		*ret_len = (size_t)len;
	}
	OPENSSL_free(der);
	sk_X509_pop_free(all, X509_free);
	return 0;
}

/* ---- signing ---- */

/* The files of the signer; made at the first time. */
static int find_signer(struct api *api, const struct settings *s, char **ret_certificate,
	char **ret_key, struct err *err)
{
	bool given = s->web_profile_certificate[0] != '\0';
	int status = 0;

	*ret_certificate = given ? x_strdup(s->web_profile_certificate)
				 : x_printf("%s/profile.pem", s->server_data_dir);
	*ret_key = given ? x_strdup(s->web_profile_key)
			 : x_printf("%s/profile.key", s->server_data_dir);
	if (given)
		return 0;
	(void)pthread_mutex_lock(&api->lock);
	if (access(*ret_certificate, R_OK) != 0 || access(*ret_key, R_OK) != 0)
		status = net_tls_self_signed(*ret_certificate, *ret_key, s->hostname, err);
	(void)pthread_mutex_unlock(&api->lock);
	return status;
}

static int load_key(const char *path, EVP_PKEY **ret, struct err *err)
{
	BIO *file = BIO_new_file(path, "r");

	*ret = file != NULL ? PEM_read_bio_PrivateKey(file, NULL, NULL, NULL) : NULL;
	BIO_free(file);
	return *ret != NULL ? 0 : fail(err, "no private key in", path);
}

static int sign(STACK_OF(X509) * certificates, EVP_PKEY *key, const void *bytes, size_t len,
	struct buf *out, struct err *err)
{
	X509 *signer = sk_X509_shift(certificates); /* the others go along as its chain */
	BIO *in = BIO_new_mem_buf(bytes, (int)len);
	CMS_ContentInfo *cms = CMS_sign(signer, key, certificates, in, CMS_BINARY | CMS_NOSMIMECAP);
	uint8_t *der = NULL;
	int n = cms != NULL ? i2d_CMS_ContentInfo(cms, &der) : -1;

	if (n > 0)
		buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	X509_free(signer);
	return n > 0 ? 0 : fail(err, "signing", "a profile");
}

int api_certificate_sign(struct api *api, const struct settings *s, const void *bytes, size_t len,
	struct buf *out, struct err *err)
{
	char *certificate = NULL, *key_file = NULL;
	STACK_OF(X509) *certificates = NULL;
	EVP_PKEY *key = NULL;
	int status = find_signer(api, s, &certificate, &key_file, err);

	if (status == 0)
		status = load_certificates(certificate, &certificates, err);
	if (status == 0)
		status = load_key(key_file, &key, err);
	if (status == 0)
		status = sign(certificates, key, bytes, len, out, err);
	EVP_PKEY_free(key);
	sk_X509_pop_free(certificates, X509_free);
	mem_free(certificate);
	mem_free(key_file);
	return status;
}
