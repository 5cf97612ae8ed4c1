/* Any password: an app password or not; when it is one, its letters are one again, and the same. */
#include <stdlib.h>
#include <string.h>

#include "auth/auth_secret.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = x_strndup((const char *)bytes, len);
	char letters[AUTH_APP_LETTERS + 1] = "-", again[AUTH_APP_LETTERS + 1];
	char verifier[AUTH_VERIFIER_SIZE];
	struct owner_id owner = {0};

	if (auth_app_parse(text, letters)) {
		require(strlen(letters) == AUTH_APP_LETTERS);
		require(strspn(letters, "bcdfghjkmnpqrstvwxyz") == AUTH_APP_LETTERS);
		require(auth_app_parse(letters, again) && strcmp(letters, again) == 0);
		auth_app_verifier((struct owner_id){INT64_MAX}, letters, verifier);
		require(auth_verifier_is_app(verifier, &owner) && owner.v == INT64_MAX);
	} else {
		require(strcmp(letters, "-") == 0);
	}
	(void)auth_verifier_is_app(text, &owner);
	mem_free(text);
	return 0;
}
