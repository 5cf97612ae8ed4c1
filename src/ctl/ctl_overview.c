/* bellhop overview for people: numbers of now, a line for the last step, what to look at. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

static double last_of(const json_t *series, const char *key)
{
	const json_t *list = json_object_get(series, key);

	return json_number_value(json_array_get(list, json_array_size(list) - 1));
}

static void add_words(
	struct buf *out, const char *before, const json_t *row, const char *key, size_t width)
{
	const char *text = json_string_value(json_object_get(row, key));

	buf_add_str(out, before);
	ctl_add_wrapped(out, text != NULL ? text : "", strlen(before), width);
	buf_add_byte(out, '\n');
}

static void add_warning(struct buf *out, const json_t *row, size_t width)
{
	char before[32];

	(void)snprintf(before, sizeof(before), "%-8s ",
		json_string_value(json_object_get(row, "severity")));
	add_words(out, before, row, "text", width);
	add_words(out, "         -> ", row, "remedy", width);
}

void ctl_overview_render(const json_t *result, size_t width, struct buf *out)
{
	const json_t *hour = json_object_get(json_object_get(result, "series"), "hour");
	const json_t *warnings = json_object_get(result, "warnings");

	ctl_render(json_object_get(result, "now"), "", 0, out);
	if (json_array_size(json_object_get(hour, "at")) > 0)
		buf_addf(out,
			"\nPer minute: %.1f pushes, %.1f Syncs, %.1f requests, %.1f errors.\n"
			"Push latency: %.1f ms, %.1f ms at most for 99 of 100.\n",
			last_of(hour, "pushes_per_min"), last_of(hour, "syncs_per_min"),
			last_of(hour, "requests_per_min"), last_of(hour, "errors_per_min"),
			last_of(hour, "push_p50_ms"), last_of(hour, "push_p99_ms"));
	buf_add_byte(out, '\n');
	for (size_t i = 0; i < json_array_size(warnings); i++)
		add_warning(out, json_array_get(warnings, i), width);
	if (json_array_size(warnings) == 0)
		buf_add_str(out, "Nothing to look at.\n");
}
