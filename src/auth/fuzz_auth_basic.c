/* Any header value: nothing, bad, or a name and a password that are UTF-8 and bounded. */
#include "auth/auth_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new(65536);
	char *text = x_strndup((const char *)bytes, len);
	struct auth_basic basic = {NULL, NULL};

	if (auth_basic_parse(arena, text, &basic) == AUTH_PARSE_GOOD) {
		require(basic.name[0] != 0 && strlen(basic.name) <= 320);
		require(strlen(basic.password) <= 511);
		require(utf8_valid(basic.name, strlen(basic.name)));
		require(utf8_valid(basic.password, strlen(basic.password)));
	} else {
		require(basic.name == NULL && basic.password == NULL);
	}
	mem_free(text);
	arena_free(&arena);
	return 0;
}
