/*
 * crypt(3) of libxcrypt: new hashes are yescrypt, every scheme that it knows is read. Threads: any;
 * each call has a work area of its own on the heap, wiped afterwards.
 */
#include "auth/auth_internal.h"

#include <crypt.h>
#include <string.h>

#include "auth/auth_secret.h"
#include "base/mem.h"
#include "base/str.h"

/* The hash, in the work area; NULL when the setting is none that crypt(3) knows. */
static const char *run_crypt(const char *password, const char *setting, struct crypt_data *work)
{
	const char *hash = crypt_rn(password, setting, work, (int)sizeof(*work));

	return hash == NULL || hash[0] == '*' ? NULL : hash;
}

bool auth_password_fits(const char *password, const char *hash)
{
	struct crypt_data *work;
	const char *got;
	bool fits;

	if (hash == NULL || hash[0] == 0 || hash[0] == '*' || hash[0] == '!')
		return false;
	work = x_new(struct crypt_data);
	got = run_crypt(password, hash, work);
	fits = got != NULL && strlen(got) == strlen(hash) &&
	       bytes_equal_secret(got, hash, strlen(hash));
	secret_wipe(work, sizeof(*work));
	mem_free(work);
	return fits;
}

int auth_hash_password(const char *password, char **ret, struct err *err)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *work;
	const char *hash;

	if (strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE)
		return err_set(err, ERR_BAD_INPUT, "a password has at most %d bytes",
			CRYPT_MAX_PASSPHRASE_SIZE - 1);
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, (int)sizeof(setting)) == NULL)
		return err_set(err, ERR_INTERNAL, "crypt(3) has no yescrypt");
	work = x_new(struct crypt_data);
	hash = run_crypt(password, setting, work);
	if (hash != NULL)
		*ret = x_strdup(hash);
	secret_wipe(work, sizeof(*work));
	mem_free(work);
	return hash != NULL ? 0 : err_set(err, ERR_INTERNAL, "crypt(3) refused the password");
}

bool auth_check_verifier(const char *password, const char *verifier)
{
	char letters[AUTH_APP_LETTERS + 1], made[AUTH_VERIFIER_SIZE];
	struct owner_id owner;
	bool fits;

	if (!auth_verifier_is_app(verifier, &owner))
		return auth_password_fits(password, verifier);
	if (!auth_app_parse(password, letters))
		return false;
	auth_app_verifier(owner, letters, made);
	fits = strlen(made) == strlen(verifier) && bytes_equal_secret(made, verifier, strlen(made));
	secret_wipe(letters, sizeof(letters));
	return fits;
}
