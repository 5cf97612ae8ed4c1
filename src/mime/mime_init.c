/*
 * The global state of GMime and libxml2, and the tables of the single-byte charsets: made once,
 * read only afterwards.
 *
 * Threads: any; pthread_once orders them.
 */
#include <pthread.h>

#include <gmime/gmime.h>
#include <libxml/parser.h>

#include "mime/mime_internal.h"

static GMimeParserOptions *header_options;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_once(void)
{
	/* What a header holds in 8-bit bytes without saying: UTF-8, else windows-1252. */
	const char *fallback[] = {"utf-8", "windows-1252", NULL};

	g_mime_init();
	header_options = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(header_options, fallback);
	xmlInitParser();
	mime_charset_init();
}

void mime_global_init(void)
{
	(void)pthread_once(&once, init_once);
}

void *mime_init_options(void)
{
	mime_global_init();
	return header_options;
}
