/*
 * The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): what a reverse proxy
 * says of its client in front of the first byte of a connection. Strict: what is not exactly a
 * header is none. Type-length-values behind the addresses are skipped. Pure.
 *
 * Limits: HTTP_PROXY_MAX bytes.
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"
#include "http/http.h"

#define V1_MAX      107u
#define V2_HEAD     16u
#define V2_LOCAL    0x20
#define V2_PROXY    0x21
#define V2_TCP4     0x11
#define V2_TCP6     0x21
#define V2_TCP4_LEN 12u
#define V2_TCP6_LEN 36u

static const uint8_t v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_start[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static void set_ipv4(struct http_proxy *ret, const uint8_t bytes[4])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memcpy(ret->client, mapped, sizeof(mapped));
	memcpy(ret->client + sizeof(mapped), bytes, 4);
	ret->has_client = true;
}

/* ---- version 1: a line ---- */

static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");
	unsigned n = 0;

	if (len == 0 || len > 5 || text[len] != '\0' || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++)
		n = n * 10 + (unsigned)(text[i] - '0');
	return n <= 65535;
}

/* "TCP4 192.0.2.7 192.0.2.1 56324 443", or "UNKNOWN" and anything. */
static bool parse_line(char *line, struct http_proxy *ret)
{
	char *words[5];
	uint8_t from[16], to[16];
	int family;

	if (strncmp(line, "UNKNOWN", 7) == 0 && (line[7] == '\0' || line[7] == ' '))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		words[i] = line;
		line += strcspn(line, " ");
		if ((*line == '\0') != (i == ARRAY_LEN(words) - 1))
			return false;
		*line++ = '\0';
	}
	if (strcmp(words[0], "TCP4") != 0 && strcmp(words[0], "TCP6") != 0)
		return false;
	family = words[0][3] == '4' ? AF_INET : AF_INET6;
	if (inet_pton(family, words[1], from) != 1 || inet_pton(family, words[2], to) != 1 ||
		!is_port(words[3]) || !is_port(words[4]))
		return false;
	if (family == AF_INET) {
		set_ipv4(ret, from);
	} else {
		memcpy(ret->client, from, sizeof(from));
		ret->has_client = true;
	}
	return true;
}

static enum http_proxy_result parse_v1(
	const uint8_t *bytes, size_t len, size_t *ret_used, struct http_proxy *ret)
{
	const uint8_t *lf = memchr(bytes, '\n', MIN(len, V1_MAX));
	char line[V1_MAX + 1];
	size_t text_len;

	if (lf == NULL)
		return len < V1_MAX ? HTTP_PROXY_MORE : HTTP_PROXY_BAD;
	if (lf[-1] != '\r')
		return HTTP_PROXY_BAD;
	text_len = (size_t)(lf - bytes) - 1 - sizeof(v1_start);
	memcpy(line, bytes + sizeof(v1_start), text_len);
	line[text_len] = '\0';
	if (strlen(line) != text_len || !parse_line(line, ret))
		return HTTP_PROXY_BAD;
	*ret_used = (size_t)(lf - bytes) + 1;
	return HTTP_PROXY_DONE;
}

/* ---- version 2: binary ---- */

static enum http_proxy_result parse_v2(
	const uint8_t *bytes, size_t len, size_t *ret_used, struct http_proxy *ret)
{
	const uint8_t *addresses = bytes + V2_HEAD;
	size_t more;

	if (len < V2_HEAD)
		return HTTP_PROXY_MORE;
	more = (size_t)bytes[14] << 8 | bytes[15];
	if ((bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY) || V2_HEAD + more > HTTP_PROXY_MAX)
		return HTTP_PROXY_BAD;
	if (bytes[12] == V2_PROXY && ((bytes[13] == V2_TCP4 && more < V2_TCP4_LEN) ||
					     (bytes[13] == V2_TCP6 && more < V2_TCP6_LEN)))
		return HTTP_PROXY_BAD;
	if (len < V2_HEAD + more)
		return HTTP_PROXY_MORE;
	/* LOCAL is the proxy itself; of other families nothing is known. */
	if (bytes[12] == V2_PROXY && bytes[13] == V2_TCP4)
		set_ipv4(ret, addresses);
	if (bytes[12] == V2_PROXY && bytes[13] == V2_TCP6) {
		memcpy(ret->client, addresses, sizeof(ret->client));
		ret->has_client = true;
	}
	*ret_used = V2_HEAD + more;
	return HTTP_PROXY_DONE;
}

enum http_proxy_result http_proxy_parse(
	const uint8_t *bytes, size_t len, size_t *ret_used, struct http_proxy *ret)
{
	struct http_proxy found = {.has_client = false};
	enum http_proxy_result result = HTTP_PROXY_NONE;

	if (len == 0)
		return HTTP_PROXY_MORE;
	if (memcmp(bytes, v1_start, MIN(len, sizeof(v1_start))) == 0)
		result = len < sizeof(v1_start) ? HTTP_PROXY_MORE
						: parse_v1(bytes, len, ret_used, &found);
	else if (memcmp(bytes, v2_start, MIN(len, sizeof(v2_start))) == 0)
		result = len < sizeof(v2_start) ? HTTP_PROXY_MORE
						: parse_v2(bytes, len, ret_used, &found);
	if (result == HTTP_PROXY_DONE)
		*ret = found;
	return result;
}
