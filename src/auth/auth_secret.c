/* Making secrets, and what is kept of them. See auth_secret.h for why a plain hash will do. */
#include "auth/auth_secret.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char app_letters[] = "bcdfghjkmnpqrstvwxyz";
static const char all_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static const struct {
	const char *prefix;
	const char *label; /* what the hash begins with */
} purposes[AUTH_PURPOSE_COUNT] = {
	[AUTH_API_TOKEN] = {"bht_", "bellhop api token 1:"},
	[AUTH_WEB_SESSION] = {"", "bellhop web session 1:"},
	[AUTH_CSRF] = {"", "bellhop csrf 1:"},
};

/* One of them, each as likely: bytes that would make the first ones likelier are thrown away. */
static char draw(const char *letters, size_t count)
{
	uint8_t byte;

	do
		random_bytes(&byte, 1);
	while (byte >= 256 / count * count);
	return letters[byte % count];
}

static void hex_of(const char *label, const char *text, char ret[AUTH_HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[SHA256_DIGEST_LENGTH];
	CLEANUP(mem_freep) char *whole = x_printf("%s%s", label, text);

	(void)SHA256((const uint8_t *)whole, strlen(whole), hash);
	secret_wipe(whole, strlen(whole));
	for (size_t i = 0; i < sizeof(hash); i++) {
		ret[2 * i] = digits[hash[i] >> 4];
		ret[2 * i + 1] = digits[hash[i] & 15];
	}
	ret[AUTH_HASH_SIZE - 1] = '\0';
}

void auth_app_make(char ret[AUTH_APP_TEXT_SIZE])
{
	size_t at = 0;

	for (size_t i = 0; i < AUTH_APP_LETTERS; i++) {
		if (i > 0 && i % 4 == 0)
			ret[at++] = '-';
		ret[at++] = draw(app_letters, sizeof(app_letters) - 1);
	}
	ret[at] = '\0';
}

bool auth_app_parse(const char *password, char ret_letters[AUTH_APP_LETTERS + 1])
{
	char letters[AUTH_APP_LETTERS + 1];
	size_t count = 0;

	for (const char *p = password; *p != '\0'; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;

		if (c == '-' || c == ' ')
			continue;
		if (strchr(app_letters, c) == NULL || count == AUTH_APP_LETTERS)
			return false;
		letters[count++] = c;
	}
	if (count < AUTH_APP_LETTERS)
		return false;
	letters[count] = '\0';
	memcpy(ret_letters, letters, sizeof(letters));
	secret_wipe(letters, sizeof(letters));
	return true;
}

void auth_app_verifier(
	struct owner_id owner, const char *letters, char ret_verifier[AUTH_VERIFIER_SIZE])
{
	char label[64], hex[AUTH_HASH_SIZE];

	(void)snprintf(label, sizeof(label), "bellhop app password 1:%" PRIu64 ":", owner.v);
	hex_of(label, letters, hex);
	(void)snprintf(
		ret_verifier, AUTH_VERIFIER_SIZE, AUTH_APP_PREFIX "%" PRIu64 "$%s", owner.v, hex);
}

bool auth_verifier_is_app(const char *verifier, struct owner_id *ret_owner)
{
	struct err ignored = ERR_INIT;
	char owner[24];
	const char *at, *end;

	if (!str_starts(verifier, AUTH_APP_PREFIX))
		return false;
	at = verifier + strlen(AUTH_APP_PREFIX);
	end = strchr(at, '$');
	if (end == NULL || (size_t)(end - at) >= sizeof(owner))
		return false;
	(void)snprintf(owner, sizeof(owner), "%.*s", (int)(end - at), at);
	return str_parse_u64(owner, INT64_MAX, &ret_owner->v, &ignored) == 0;
}

void auth_secret_make(enum auth_purpose purpose, char ret[AUTH_SECRET_SIZE])
{
	enum { LETTERS = 43 }; /* 62^43 > 2^256 */
	size_t at = strlen(purposes[purpose].prefix);

	memcpy(ret, purposes[purpose].prefix, at);
	for (size_t i = 0; i < LETTERS; i++)
		ret[at++] = draw(all_letters, sizeof(all_letters) - 1);
	ret[at] = '\0';
}

void auth_secret_hash(enum auth_purpose purpose, const char *secret, char ret[AUTH_HASH_SIZE])
{
	hex_of(purposes[purpose].label, secret, ret);
}
