/*
 * Conversations: topic, id and index of a message. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

enum { HEADER_BYTES = 22, LEVEL_BYTES = 5 };

/* 1601 to 1970 in seconds: where FILETIME begins. */
#define FILETIME_EPOCH_S INT64_C(11644473600)

/* Length of one prefix at s with its colon and blanks, or 0. */
static size_t prefix_len(const char *s)
{
	static const char *const words[] = {"re", "fw", "fwd", "aw", "wg", "sv", "vs", "vb", "antw",
		"tr", "rv", "enc", "res", "ref", "odp", "pd", "ynt", "ilt",
		"\xe5\x9b\x9e\xe5\xa4\x8d", "\xe7\xad\x94\xe5\xa4\x8d", "\xe8\xbd\xac\xe5\x8f\x91"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if (!str_starts_nocase(s, words[i]))
			continue;
		if (s[n] == '[' || s[n] == '(') {
			size_t digits = strspn(s + n + 1, "0123456789");

			if (digits == 0 || (s[n + 1 + digits] != ']' && s[n + 1 + digits] != ')'))
				continue;
			n += digits + 2;
		}
		n += strspn(s + n, " ");
		if (s[n] == ':')
			n++;
		else if (memcmp(s + n, "\xef\xbc\x9a", MIN(strlen(s + n), (size_t)3)) == 0 &&
			 strlen(s + n) >= 3) /* full-width colon */
			n += 3;
		else
			continue;
		return n + strspn(s + n, " \t");
	}
	return 0;
}

const char *mime_thread_topic(const char *subject)
{
	size_t n;

	subject += strspn(subject, " \t");
	while ((n = prefix_len(subject)) > 0)
		subject += n;
	return subject;
}

bool mime_thread_is_forward(const char *subject)
{
	static const char *const words[] = {"fw", "fwd", "wg", "tr", "rv", "enc", "vb", "pd", "ilt",
		"\xe8\xbd\xac\xe5\x8f\x91"};

	subject += strspn(subject, " \t");
	for (size_t i = 0; prefix_len(subject) > 0 && i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if (str_starts_nocase(subject, words[i]) && strchr(" :[(\xef", subject[n]) != NULL)
			return true;
	}
	return false;
}

/* A fixed pair of keys: the same message has the same id on every node and for ever. */
static void hash_id(uint8_t out[16], const char *kind, const char *text)
{
	static const uint8_t keys[2][16] = {
		{'b', 'e', 'l', 'l', 'h', 'o', 'p', ' ', 't', 'h', 'r', 'e', 'a', 'd', ' ', '1'},
		{'b', 'e', 'l', 'l', 'h', 'o', 'p', ' ', 't', 'h', 'r', 'e', 'a', 'd', ' ', '2'},
	};
	struct buf b = BUF_INIT;

	buf_add_str(&b, kind);
	buf_add_str(&b, text);
	for (size_t k = 0; k < 2; k++) {
		uint64_t v = siphash(keys[k], b.data, b.len);

		memcpy(out + 8 * k, &v, sizeof(v));
	}
	buf_deinit(&b);
}

/* Bits 55..16 of the FILETIME, most significant byte first. */
static void index_from_date(uint8_t out[LEVEL_BYTES], int64_t at)
{
	uint64_t filetime = (uint64_t)(at + FILETIME_EPOCH_S) * 10000000u;

	for (size_t i = 0; i < LEVEL_BYTES; i++)
		out[i] = (uint8_t)(filetime >> (48 - 8 * i));
}

static bool index_from_header(struct mime_slice value, struct arena *arena, struct mime_summary *s)
{
	struct buf raw = BUF_INIT;
	char *text = mime_header_unfold(arena, value);
	bool good = base64_decode(&raw, text, strlen(text)) == 0 && raw.len >= HEADER_BYTES &&
		    raw.data[0] == 1;

	if (good) {
		size_t levels = (raw.len - HEADER_BYTES) / LEVEL_BYTES;
		size_t most = sizeof(s->conversation_index) / LEVEL_BYTES - 1;

		levels = MIN(levels, most);
		/* Two readings of the time are in use: with and without bits 63..56, which have
		 * been 01 since 1829 and will be till 2057. */
		if (raw.data[1] == 1)
			memcpy(s->conversation_index, raw.data + 2, 4);
		else
			memcpy(s->conversation_index, raw.data + 1, LEVEL_BYTES);
		memcpy(s->conversation_index + LEVEL_BYTES, raw.data + HEADER_BYTES,
			levels * LEVEL_BYTES);
		s->conversation_index_len = (uint8_t)(LEVEL_BYTES * (levels + 1));
		memcpy(s->conversation_id, raw.data + 6, 16);
	}
	buf_deinit(&raw);
	return good;
}

void mime_thread_fill(struct arena *arena, struct mime_slice thread_index, struct mime_summary *s)
{
	if (thread_index.p != NULL && index_from_header(thread_index, arena, s))
		return;
	index_from_date(s->conversation_index, s->date_at);
	s->conversation_index_len = LEVEL_BYTES;
	if (*s->root_id != 0)
		hash_id(s->conversation_id, "id:", s->root_id);
	else if (*s->thread_topic != 0)
		hash_id(s->conversation_id, "topic:", s->thread_topic);
}
