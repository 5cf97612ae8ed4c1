/*
 * bellhop trace for people: one request and its answer after the other, indented. --follow asks
 * again and again for those that came since; Ctrl-C ends it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

#define FOLLOW_EVERY_MS 500

static void add_time(struct buf *out, json_int_t at_ms)
{
	time_t at = (time_t)(at_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(out, "%s.%03uZ", text, (unsigned)(at_ms % 1000));
}

static void add_message(struct buf *out, const json_t *trace, const char *mark, const char *key)
{
	const char *text = json_string_value(json_object_get(trace, key));

	for (const char *line = text; line != NULL && *line != '\0';) {
		size_t len = strcspn(line, "\n");

		buf_addf(out, "  %s %.*s\n", mark, (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void add_trace(struct buf *out, const json_t *trace)
{
	const char *version = json_string_value(json_object_get(trace, "version"));

	add_time(out, json_integer_value(json_object_get(trace, "at_ms")));
	buf_addf(out, "  %s", json_string_value(json_object_get(trace, "command")));
	if (version != NULL && version[0] != '\0')
		buf_addf(out, " (%s)", version);
	if (json_is_true(json_object_get(trace, "waits")))
		buf_add_str(out, "  waits now");
	else
		buf_addf(out, "  %lld",
			(long long)json_integer_value(json_object_get(trace, "http")));
	if (json_integer_value(json_object_get(trace, "status")) != 0)
		buf_addf(out, ", Status %lld",
			(long long)json_integer_value(json_object_get(trace, "status")));
	if (json_integer_value(json_object_get(trace, "took_us")) != 0)
		buf_addf(out, ", %.1f ms",
			(double)json_integer_value(json_object_get(trace, "took_us")) / 1000);
	buf_addf(out, ", %lld bytes in, %lld out\n",
		(long long)json_integer_value(json_object_get(trace, "request_bytes")),
		(long long)json_integer_value(json_object_get(trace, "answer_bytes")));
	add_message(out, trace, ">", "request");
	add_message(out, trace, "<", "answer");
	buf_add_byte(out, '\n');
}

void ctl_trace_render(const json_t *result, struct buf *out)
{
	const json_t *traces = json_object_get(result, "traces");

	for (size_t i = 0; i < json_array_size(traces); i++)
		add_trace(out, json_array_get(traces, i));
}

int ctl_trace_follow(const char *path, json_t *args, bool json, json_int_t last, struct err *err)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_EVERY_MS * 1000000L};

	ctl_signal_catch();
	while (!ctl_signal_caught()) {
		struct buf text = BUF_INIT;
		json_t *result = NULL;

		(void)nanosleep(&pause, NULL);
		(void)json_object_set_new(args, "after", json_integer(last));
		if (ctl_client_ask(path, "trace", args, &result, err) < 0)
			return -1;
		last = json_integer_value(json_object_get(result, "last"));
		if (!json)
			ctl_trace_render(result, &text);
		for (size_t i = 0; json && i < json_array_size(json_object_get(result, "traces"));
			i++) {
			char *line = json_dumps(
				json_array_get(json_object_get(result, "traces"), i), JSON_COMPACT);

			buf_addf(&text, "%s\n", line != NULL ? line : "");
			mem_free(line);
		}
		(void)fputs(buf_cstr(&text), stdout);
		(void)fflush(stdout);
		buf_deinit(&text);
		json_decref(result);
	}
	return 0;
}
