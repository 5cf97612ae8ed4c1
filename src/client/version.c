/*
 * The protocol versions we speak.
 */
#include "client/version.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct {
	unsigned number;
	const char *text;
} versions[] = {
	{VERSION_25, "2.5"},
	{VERSION_120, "12.0"},
	{VERSION_121, "12.1"},
	{VERSION_140, "14.0"},
	{VERSION_141, "14.1"},
	{VERSION_160, "16.0"},
	{VERSION_161, "16.1"},
};

static unsigned parse_n(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (strlen(versions[i].text) == len && memcmp(versions[i].text, text, len) == 0)
			return versions[i].number;
	}
	return 0;
}

unsigned version_parse(const char *text)
{
	return parse_n(text, strlen(text));
}

const char *version_to_str(unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i].number == version)
			return versions[i].text;
	}
	return "?";
}

/* Calls for each known version of the list; the highest that is at most `only` (0: any). */
static unsigned best_of(const char *list, unsigned only)
{
	unsigned best = 0;

	for (const char *p = list; p != NULL && *p != 0;) {
		size_t len = strcspn(p, ", \t");
		unsigned v = parse_n(p, len);

		if (v > best && (only == 0 || v == only))
			best = v;
		p += len;
		p += strspn(p, ", \t");
	}
	return best;
}

unsigned version_choose(const char *list)
{
	return best_of(list, 0);
}

int version_listed(const char *list, unsigned version)
{
	return version != 0 && best_of(list, version) == version;
}
