#ifndef BELLHOP_AUTH_SECRET_H
#define BELLHOP_AUTH_SECRET_H

#include <stdbool.h>

#include "store/ids.h"

/*
 * Secrets that we make: app passwords, API tokens, the cookies of web sessions. Pure but for the
 * random numbers; any thread.
 *
 * Passwords that people choose are guessed, so their hash must be slow and salted. Ours are not:
 * each is drawn evenly from so many that guessing is hopeless whatever a guess costs (an app
 * password has 86 bits: with 10^12 SHA-256 in a second the average takes 10^6 years). So a plain
 * SHA-256 keeps them safe in a stolen database, and because it is the same for the same secret it
 * is also the key of the row: one look into an index tells whether the secret is good and which it
 * is, and nothing is tried one after the other. No part of the secret names the row, so all of what
 * the user types is secret. What the hash is made of begins with the purpose, and for app passwords
 * with the owner: a hash copied from one place of the database to another fits nothing there.
 *
 * An app password is typed on a phone: twenty lower-case letters in groups of four. There are no
 * vowels, so no words, and no l; blanks, hyphens and capital letters, which phones add, do not
 * matter.
 */
#define AUTH_APP_LETTERS   20
#define AUTH_APP_TEXT_SIZE 25 /* "bcdf-ghjk-mnpq-rstv-wxyz" and its end */
#define AUTH_APP_PREFIX    "$bellhop-app$"
#define AUTH_VERIFIER_SIZE                                                                         \
	104 /* of an app password: the prefix, the owner, 64 hexadecimal digits */

void auth_app_make(char ret[AUTH_APP_TEXT_SIZE]);
/* False: it is none. */
bool auth_app_parse(const char *password, char ret_letters[AUTH_APP_LETTERS + 1]);
void auth_app_verifier(
	struct owner_id owner, const char *letters, char ret_verifier[AUTH_VERIFIER_SIZE]);
/* Is this the verifier of an app password? Whose? */
bool auth_verifier_is_app(const char *verifier, struct owner_id *ret_owner);

enum auth_purpose {
	AUTH_API_TOKEN,   /* "bht_" and 43 letters and digits: 256 bits */
	AUTH_WEB_SESSION, /* the value of a cookie */
	AUTH_CSRF,        /* kept as it is */
	AUTH_PURPOSE_COUNT,
};
#define AUTH_SECRET_SIZE 72
#define AUTH_HASH_SIZE   65

void auth_secret_make(enum auth_purpose purpose, char ret[AUTH_SECRET_SIZE]);
/* 64 hexadecimal digits: what is kept, and looked for. */
void auth_secret_hash(enum auth_purpose purpose, const char *secret, char ret[AUTH_HASH_SIZE]);

#endif
