/*
 * Which user and which device a request is from, as numbers: for limits only, so nothing is checked
 * and nothing kept. A front knows nothing of mail; what it needs of the query is where the DeviceId
 * stands in its two forms ([MS-ASHTTP] 2.2.1.1.1.1).
 *
 * The user is the Authorization header as it came: whoever does not know the password cannot use up
 * what somebody else may do.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"

/* Of the base64 form: the command's byte changes, so the first four characters do not count; the
 * next twenty-four hold the rest of the locale, the length of the DeviceId and its 16 bytes. */
#define BASE64_SKIP 4
#define BASE64_TAKE 24

/* The piece of the query that names the device; NULL: none. */
static const char *device_of(const char *target, size_t *ret_len)
{
	const char *query = strchr(target, '?');
	size_t len;

	if (query == NULL)
		return NULL;
	for (const char *at = query; at != NULL; at = strchr(at, '&')) {
		at++;
		if (!str_starts_nocase(at, "DeviceId="))
			continue;
		*ret_len = strcspn(at, "&");
		return at;
	}
	len = strlen(++query);
	if (strchr(query, '&') != NULL || len <= BASE64_SKIP)
		return NULL;
	*ret_len = MIN(len - BASE64_SKIP, (size_t)BASE64_TAKE);
	return query + BASE64_SKIP;
}

bool device_keys(const struct front *f, const struct http_request *http, struct device_keys *ret)
{
	const char *device = NULL;
	size_t len = 0;
	uint64_t parts[2] = {0, 0};

	for (size_t i = 0; i < http->header_count && parts[0] == 0; i++) {
		const char *value = http->headers[i].value;

		if (str_eq(http->headers[i].name, "authorization"))
			parts[0] = shared_hash(f->shared, value, strlen(value));
	}
	if (parts[0] == 0)
		return false;
	device = device_of(http->target, &len);
	if (device != NULL)
		parts[1] = shared_hash(f->shared, device, len);
	ret->user = parts[0];
	ret->device = shared_hash(f->shared, parts, sizeof(parts));
	return true;
}
