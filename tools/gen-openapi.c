/* Writes the description of the REST API (src/api/openapi.c) to standard output. At build time. */
#include <stdio.h>

#include "api/api_internal.h"

int main(void)
{
	json_t *document = api_openapi();
	int status = json_dumpf(document, stdout, JSON_INDENT(2));

	json_decref(document);
	return status == 0 && putchar('\n') == '\n' ? 0 : 1;
}
