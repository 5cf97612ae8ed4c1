#ifndef BELLHOP_API_API_EXTRA_H
#define BELLHOP_API_API_EXTRA_H

#include "api/api_internal.h"

/*
 * Paths of the API that are no verbs, because what they give is no JSON, or concerns the pages
 * alone. They are described like verbs, so that the same function decides who may, and the same one
 * writes their part of the OpenAPI document.
 */
struct api_extra {
	struct admin_verb verb; /* name, help, args, scope, method, path, self_path */
	void (*serve)(struct api_call *call, json_t *args);
	const char *type;    /* Content-Type of the answer */
	const char *args_of; /* takes the arguments of this verb; NULL: none */
};

#define API_APP_PASSWORD_VERB "app-password add"

extern const struct api_extra api_extras[];
extern const size_t api_extra_count;

/* api_me.c */
void api_me_show(struct api_call *call, json_t *args);
void api_me_setup(struct api_call *call, json_t *args);
void api_me_qr(struct api_call *call, json_t *args);
void api_me_certificate(struct api_call *call, json_t *args);
/* api_login.c */
void api_login_change_password(struct api_call *call, json_t *args);
/* api_profile.c */
void api_profile_get(struct api_call *call, json_t *args);
/* api_export.c */
void api_export_csv(struct api_call *call, json_t *args);
void api_export_lines(struct api_call *call, json_t *args);
void api_export_settings(struct api_call *call, json_t *args);

/* api_me.c: where a phone finds this server. */
struct api_place {
	const char *url;  /* "https://mail.example.org", without a slash at its end */
	const char *host; /* "mail.example.org" */
	unsigned port;
	bool tls;
};
void api_place_of(struct api_call *call, struct api_place *ret);
/* The host, and ":port" where that is not the usual one. */
void api_place_add(struct buf *out, const struct api_place *place);

/* api_certificate.c: what phones must be told to trust: the certificate in tls.certificate that is
 * signed by itself, the server's own or the root of the site's own authority; *ret_der is the
 * caller's (mem_free), NULL when there is none. */
NODISCARD int api_certificate_own(
	const struct settings *s, uint8_t **ret_der, size_t *ret_len, struct err *err);
/* Signs, as CMS (RFC 5652), DER, with what is signed inside. */
NODISCARD int api_certificate_sign(struct api *api, const struct settings *s, const void *bytes,
	size_t len, struct buf *out, struct err *err);

#endif
