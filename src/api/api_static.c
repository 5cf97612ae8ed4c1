/*
 * The pages: a few files in the program itself. A path is looked up in their table and nowhere
 * else, so no path can lead out of it. Constant; any thread.
 *
 * Their names stay the same from one version to the next, so a browser asks each time whether what
 * it has is still good, and mostly hears 304. index.html names its files with ?v= and their entity
 * tag: what is asked for in that way never changes, and is kept.
 */
#include "api/api_static.h"

#include <string.h>

#include "api/api_internal.h"
#include "base/str.h"

static const struct api_file *find(const struct api_target *target)
{
	if (target->segment_count > 1)
		return NULL;
	for (size_t i = 0; i < api_file_count; i++) {
		const char *name = target->segment_count == 0 ? "index.html" : target->segments[0];

		if (str_eq(api_files[i].path + 1, name))
			return &api_files[i];
	}
	return NULL;
}

/* Is the ?v= of the request the file's tag? */
static bool names_version(const struct api_target *target, const struct api_file *file)
{
	const char *v = api_target_find(target, "v");
	size_t len = v != NULL ? strlen(v) : 0;

	return len > 0 && strlen(file->etag) == len + 2 && strncmp(file->etag + 1, v, len) == 0;
}

bool api_static_serve(struct api_call *call)
{
	const struct api_file *file = find(&call->target);

	if (file == NULL || !str_eq(call->method, "GET"))
		return false;
	api_add_header(call, "ETag", file->etag);
	api_add_header(call, "Cache-Control",
		names_version(&call->target, file) ? "public, max-age=31536000, immutable"
						   : "no-cache");
	if (file->gzip != NULL)
		api_add_header(call, "Vary", "Accept-Encoding");
	if (api_etag_matches(api_header(call->http, "if-none-match"), file->etag)) {
		call->reply->status = 304;
	} else if (file->gzip != NULL && api_takes_gzip(call->http)) {
		api_add_header(call, "Content-Encoding", "gzip");
		api_reply_bytes(call, 200, file->type, file->gzip, file->gzip_len);
	} else {
		api_reply_bytes(call, 200, file->type, file->bytes, file->len);
	}
	return true;
}
