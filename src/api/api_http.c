/*
 * What a browser or a script sends, taken apart: targets, cookies, Origin. Strict, because whatever
 * two programs read in two ways is a hole in one of them. Pure; all of it lies in the arena or is
 * borrowed. Limits: API_SEGMENTS_MAX, API_PAIRS_MAX; the head as a whole is bounded by the front.
 */
#include <string.h>

#include "api/api_internal.h"
#include "base/str.h"

/* ---- targets ---- */

/* RFC 3986 2.1; plus: + is a blank, as in forms. NULL: it is wrong. */
static const char *decode(struct arena *arena, const char *text, size_t len, bool plus)
{
	char *out = arena_x_alloc(arena, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '%') {
			int high = i + 1 < len ? hex_value(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return NULL;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return utf8_valid(out, n) ? out : NULL;
}

static int parse_path(
	struct arena *arena, const char *path, size_t len, struct api_target *ret, struct err *err)
{
	const char *end = path + len, *p = path;

	if (len == 0 || *p != '/')
		return err_set(err, ERR_BAD_INPUT, "the path must begin with /");
	p++;
	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash != NULL ? slash : end) - p);
		const char *segment = decode(arena, p, n, false);

		if (segment == NULL)
			return err_set(err, ERR_BAD_INPUT, "the path does not decode");
		if (n == 0 || str_eq(segment, ".") || str_eq(segment, "..") ||
			(slash != NULL && slash + 1 == end))
			return err_set(err, ERR_BAD_INPUT, "the path has an empty segment or dots");
		if (ret->segment_count == API_SEGMENTS_MAX)
			return err_set(err, ERR_BAD_INPUT, "the path has too many segments");
		ret->segments[ret->segment_count++] = segment;
		p += n + 1;
	}
	return 0;
}

static int parse_query(
	struct arena *arena, const char *query, struct api_target *ret, struct err *err)
{
	for (const char *p = query; *p != '\0';) {
		size_t len = strcspn(p, "&"), name_len = strcspn(p, "=&");
		struct api_pair pair = {NULL, ""};

		pair.name = decode(arena, p, name_len, true);
		if (name_len < len)
			pair.value = decode(arena, p + name_len + 1, len - name_len - 1, true);
		if (pair.name == NULL || pair.value == NULL)
			return err_set(err, ERR_BAD_INPUT, "the query does not decode");
		if (len > 0 && api_target_find(ret, pair.name) != NULL)
			return err_set(
				err, ERR_BAD_INPUT, "the query says \"%.40s\" twice", pair.name);
		if (ret->pair_count == API_PAIRS_MAX)
			return err_set(err, ERR_BAD_INPUT, "the query has too many parts");
		if (len > 0)
			ret->pairs[ret->pair_count++] = pair;
		p += len + (p[len] == '&');
	}
	return 0;
}

int api_target_parse(
	struct arena *arena, const char *target, struct api_target *ret, struct err *err)
{
	struct api_target parsed = {0};
	size_t path_len;

	/* The absolute form, as proxies send it. */
	if (str_starts_nocase(target, "http://") || str_starts_nocase(target, "https://")) {
		target = strstr(target, "//") + 2;
		target += strcspn(target, "/?");
		if (*target != '/')
			target = "/";
	}
	path_len = strcspn(target, "?");
	if (strchr(target, '#') != NULL)
		return err_set(err, ERR_BAD_INPUT, "a fragment is not for the server");
	if (parse_path(arena, target, path_len, &parsed, err) < 0)
		return -1;
	if (target[path_len] == '?' && parse_query(arena, target + path_len + 1, &parsed, err) < 0)
		return -1;
	*ret = parsed;
	return 0;
}

const char *api_target_find(const struct api_target *target, const char *name)
{
	for (size_t i = 0; i < target->pair_count; i++) {
		if (str_eq(target->pairs[i].name, name))
			return target->pairs[i].value;
	}
	return NULL;
}

/* ---- header fields ---- */

const char *api_header(const struct ipc_request *http, const char *name)
{
	return ipc_header_find(http->headers, http->header_count, name);
}

const char *api_cookie(struct arena *arena, const struct ipc_request *http, const char *name)
{
	const char *found = NULL;
	size_t name_len = strlen(name);

	for (size_t i = 0; i < http->header_count; i++) {
		const char *p = http->headers[i].value;

		if (!str_eq(http->headers[i].name, "cookie"))
			continue;
		while (*p != '\0') {
			size_t len;

			p += strspn(p, " \t;");
			len = strcspn(p, ";");
			if (len > name_len && p[name_len] == '=' &&
				strncmp(p, name, name_len) == 0) {
				size_t n = len - name_len - 1;

				if (found != NULL)
					return NULL;
				while (n > 0 && strchr(" \t", p[name_len + n]) != NULL)
					n--;
				found = arena_x_strndup(arena, p + name_len + 1, n);
			}
			p += len;
		}
	}
	return found;
}

const char *api_bearer(const char *authorization)
{
	if (authorization == NULL || !str_starts_nocase(authorization, "Bearer "))
		return NULL;
	authorization += strlen("Bearer ");
	return authorization + strspn(authorization, " ");
}

/* The host without the port that goes without saying. */
static size_t host_len(const char *host, const char *port)
{
	return strlen(host) - (str_ends(host, port) ? strlen(port) : 0);
}

bool api_origin_is(const char *origin, bool tls, const char *host)
{
	bool secure = str_starts(origin, "https://");
	const char *port = secure ? ":443" : ":80";
	size_t len;

	if (host == NULL || host[0] == '\0' || (!secure && !str_starts(origin, "http://")))
		return false;
	/* A page without TLS is no part of a site that has it. The other way round a proxy does TLS
	 * without saying so. */
	if (tls && !secure)
		return false;
	origin = strstr(origin, "//") + 2;
	len = host_len(origin, port);
	return len == host_len(host, port) && strncasecmp(origin, host, len) == 0;
}

bool api_takes_gzip(const struct ipc_request *http)
{
	const char *p = api_header(http, "accept-encoding");

	while (p != NULL && *p != '\0') {
		size_t len, name;

		p += strspn(p, " \t");
		len = strcspn(p, ",");
		name = strcspn(p, " \t;,");
		if (name == 4 && strncasecmp(p, "gzip", 4) == 0) {
			const char *q = memchr(p, '=', len);

			/* q=0, q=0.000: no. */
			return q == NULL || strspn(q + 1, "0.") < len - (size_t)(q + 1 - p);
		}
		p += len + (p[len] == ',');
	}
	return false;
}

bool api_etag_matches(const char *if_none_match, const char *etag)
{
	size_t len = strlen(etag);

	for (const char *p = if_none_match; p != NULL && *p != '\0';) {
		p += strspn(p, " \t,");
		if (str_eq(p, "*"))
			return true;
		if (str_starts(p, "W/"))
			p += 2;
		if (strncmp(p, etag, len) == 0 && strchr(" \t,", p[len]) != NULL)
			return true;
		p += strcspn(p, ",");
	}
	return false;
}
