/* Any target and header text: parses or is refused with a fault that can be answered. First line:
 * target; further lines: "name: value". */
#include "eas/query.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

static void check(const struct eas_query *q, int rc)
{
	struct eas_outcome outcome;

	require(q->user != NULL && q->device_id != NULL && q->device_type != NULL);
	require(q->attachment_name != NULL && q->user_agent != NULL);
	if (rc == 0 && q->command != EAS_CMD_OPTIONS) {
		require(strlen(q->device_id) >= 1 && strlen(q->device_id) <= 32);
		require(eas_version_known(q->version));
		require(eas_command_in_version(q->command, q->version));
	}
	if (rc < 0) {
		outcome = eas_query_outcome(q);
		require(outcome.http == 200 ? outcome.wbxml : outcome.http >= 400);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new((size_t)1 << 20);
	char *text = x_strndup((const char *)bytes, len), *line = text, *next;
	static struct ipc_request http;
	struct eas_query q;
	struct err err = ERR_INIT;

	http = (struct ipc_request){.method = "POST", .target = ""};
	for (size_t i = 0; line != NULL && i < 20; i++, line = next) {
		char *colon;

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = 0;
		colon = strchr(line, ':');
		if (i == 0) {
			http.target = line;
		} else if (colon != NULL) {
			*colon = 0;
			http.headers[http.header_count++] =
				(struct ipc_header){.name = line, .value = colon + 1};
		}
	}
	check(&q, eas_query_parse(arena, &http, &q, &err));
	http.method = "OPTIONS";
	check(&q, eas_query_parse(arena, &http, &q, &err));
	mem_free(text);
	arena_free(&arena);
	return 0;
}
