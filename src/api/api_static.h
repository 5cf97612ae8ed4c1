#ifndef BELLHOP_API_API_STATIC_H
#define BELLHOP_API_API_STATIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file of the pages, in the program; the table is made at build time by tools/embed-web. */
struct api_file {
	const char *path; /* "/app.js" */
	const char *type; /* Content-Type */
	const char *etag; /* quoted; a hash of the bytes */
	const uint8_t *bytes;
	size_t len;
	const uint8_t *gzip; /* NULL: it would not be smaller */
	size_t gzip_len;
};

extern const struct api_file api_files[];
extern const size_t api_file_count;

/* Schemas of what the verbs return, a JSON object by the verb's name (results.json). */
extern const uint8_t api_results[];
extern const size_t api_results_len;

#endif
