/*
 * PROXY headers of any bytes: never read past what is there, and whatever is given first, the
 * answer is the same as for the whole; an HTTP request is none.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct http_proxy whole = {0}, part;
	size_t used = 0;
	enum http_proxy_result result = http_proxy_parse(bytes, len, &used, &whole);

	if (result == HTTP_PROXY_DONE && (used < 8 || used > len || used > HTTP_PROXY_MAX))
		abort();
	if (len >= HTTP_PROXY_MAX && result == HTTP_PROXY_MORE)
		abort();
	for (size_t n = 0; n < len && n < 300; n++) {
		/* A copy of its own, so that a sanitizer sees each byte too many. */
		uint8_t *copy = x_calloc(1, n + 1);
		size_t part_used = 0;
		enum http_proxy_result r;

		memcpy(copy, bytes, n);
		copy = x_realloc(copy, n > 0 ? n : 1);
		part = (struct http_proxy){0};
		r = http_proxy_parse(copy, n, &part_used, &part);
		mem_free(copy);
		if (r == HTTP_PROXY_DONE &&
			(result != HTTP_PROXY_DONE || part_used != used ||
				part.has_client != whole.has_client ||
				memcmp(part.client, whole.client, sizeof(part.client)) != 0))
			abort();
		if ((r == HTTP_PROXY_BAD || r == HTTP_PROXY_NONE) && r != result)
			abort();
	}
	return 0;
}
