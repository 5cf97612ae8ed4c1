/*
 * The state of a collection. The file is lines of words, ids percent-escaped:
 *
 *     bellhop-phone-mailbox 1
 *     collection 5
 *     key 12ab
 *     m RF 1267444800.0123456789abcdef.bellhop 5:17       (R read, F flagged, P partial, X stale, -
 * none) end 1
 *
 * A file without its last line is not ours.
 */
#include "phone/mailbox.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/durable.h"

#define FILE_MAX ((size_t)1 << 30)

struct mailbox {
	char *collection_id, *sync_key;
	struct mailbox_entry **entries; /* owned */
	size_t count, cap;
	struct map *by_id; /* server id -> entry */
};

struct mailbox *mailbox_new(const char *collection_id)
{
	struct mailbox *m = x_new(struct mailbox);

	m->collection_id = x_strdup(collection_id);
	m->sync_key = x_strdup("0");
	m->by_id = map_new();
	return m;
}

static void entry_free(struct mailbox_entry *e)
{
	mem_free(e->server_id);
	mem_free(e->base);
	mem_free(e);
}

void mailbox_free(struct mailbox **m)
{
	if (*m == NULL)
		return;
	for (size_t i = 0; i < (*m)->count; i++)
		entry_free((*m)->entries[i]);
	mem_free((*m)->entries);
	map_free(&(*m)->by_id);
	mem_free((*m)->collection_id);
	mem_free((*m)->sync_key);
	mem_free(*m);
	*m = NULL;
}

const char *mailbox_sync_key(const struct mailbox *m)
{
	return m->sync_key;
}

void mailbox_set_sync_key(struct mailbox *m, const char *key)
{
	char *old = m->sync_key;

	m->sync_key = x_strdup(key);
	mem_free(old);
}

struct mailbox_entry *mailbox_find(const struct mailbox *m, const char *server_id)
{
	return map_find_str(m->by_id, server_id);
}

struct mailbox_entry *mailbox_add(struct mailbox *m, const char *server_id, const char *base)
{
	struct mailbox_entry *e = x_new(struct mailbox_entry);

	e->server_id = x_strdup(server_id);
	e->base = x_strdup(base);
	if (m->count == m->cap) {
		m->cap = MAX(m->cap * 2, 64);
		m->entries = x_realloc(m->entries, m->cap * sizeof(struct mailbox_entry *));
	}
	e->slot = m->count;
	m->entries[m->count++] = e;
	(void)map_put_str(m->by_id, server_id, e);
	return e;
}

void mailbox_remove(struct mailbox *m, struct mailbox_entry *entry)
{
	m->entries[entry->slot] = m->entries[--m->count];
	m->entries[entry->slot]->slot = entry->slot;
	(void)map_remove_str(m->by_id, entry->server_id);
	entry_free(entry);
}

size_t mailbox_count(const struct mailbox *m)
{
	return m->count;
}

struct mailbox_entry *mailbox_at(const struct mailbox *m, size_t n)
{
	return m->entries[n];
}

void mailbox_reset(struct mailbox *m)
{
	mailbox_set_sync_key(m, "0");
	for (size_t i = 0; i < m->count; i++)
		m->entries[i]->stale = true;
}

static void add_word(struct buf *out, const char *s)
{
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == '%' || c == 0x7f)
			buf_addf(out, "%%%02x", c);
		else
			buf_add_byte(out, c);
	}
}

/* In place. False: not what add_word() writes. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s != 0; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (hex_value(s[1]) < 0 || hex_value(s[2]) < 0)
			return false;
		*to++ = (char)(hex_value(s[1]) * 16 + hex_value(s[2]));
		s += 2;
	}
	*to = 0;
	return true;
}

void mailbox_encode(const struct mailbox *m, struct buf *out)
{
	buf_add_str(out, "bellhop-phone-mailbox 1\ncollection ");
	add_word(out, m->collection_id);
	buf_add_str(out, "\nkey ");
	add_word(out, m->sync_key);
	buf_add_byte(out, '\n');
	for (size_t i = 0; i < m->count; i++) {
		const struct mailbox_entry *e = m->entries[i];

		buf_addf(out, "m %s%s%s%s- %s ", e->read ? "R" : "", e->flagged ? "F" : "",
			e->partial ? "P" : "", e->stale ? "X" : "", e->base);
		add_word(out, e->server_id);
		buf_add_byte(out, '\n');
	}
	buf_addf(out, "end %zu\n", m->count);
}

static bool decode_entry(struct mailbox *m, char *line)
{
	char *base = strchr(line, ' '), *id = base == NULL ? NULL : strchr(base + 1, ' ');
	struct mailbox_entry *e;

	if (id == NULL)
		return false;
	*base++ = 0;
	*id++ = 0;
	if (*base == 0 || *id == 0 || strchr(base, '/') != NULL || !unescape(id) ||
		mailbox_find(m, id) != NULL)
		return false;
	e = mailbox_add(m, id, base);
	e->read = strchr(line, 'R') != NULL;
	e->flagged = strchr(line, 'F') != NULL;
	e->partial = strchr(line, 'P') != NULL;
	e->stale = strchr(line, 'X') != NULL;
	return true;
}

/* 1 the last line, 0 go on, -1 wrong. */
static int decode_line(struct mailbox *m, size_t number, char *line)
{
	char end[40];

	if (number == 0)
		return strcmp(line, "bellhop-phone-mailbox 1") == 0 ? 0 : -1;
	if (number == 1) {
		if (!str_starts(line, "collection ") || !unescape(line + 11))
			return -1;
		return strcmp(line + 11, m->collection_id) == 0 ? 0 : -1;
	}
	if (number == 2) {
		if (!str_starts(line, "key ") || line[4] == 0 || !unescape(line + 4))
			return -1;
		mailbox_set_sync_key(m, line + 4);
		return 0;
	}
	if (str_starts(line, "m "))
		return decode_entry(m, line + 2) ? 0 : -1;
	(void)snprintf(end, sizeof(end), "end %zu", m->count);
	return strcmp(line, end) == 0 ? 1 : -1;
}

int mailbox_decode(const char *collection_id, const char *text, size_t len, struct mailbox **ret,
	struct err *err)
{
	CLEANUP(mailbox_free) struct mailbox *m = mailbox_new(collection_id);
	CLEANUP(mem_freep) char *copy = x_strndup(text, len);
	size_t number = 0;
	int rc = 0;

	for (char *line = copy, *next; rc == 0 && *line != 0; line = next, number++) {
		next = line + strcspn(line, "\n");
		if (*next == 0)
			break; /* a line that is not ended was not written whole */
		*next++ = 0;
		rc = decode_line(m, number, line);
	}
	if (rc != 1)
		return err_set(err, ERR_BAD_INPUT, "line %zu is not what it must be", number + 1);
	*ret = TAKE(m);
	return 0;
}

static char *path_of(const char *dir, const char *collection_id)
{
	CLEANUP(buf_deinit) struct buf hex = BUF_INIT;

	/* Hex: any id is a file name, and none is another's. Long ids by their hash. */
	if (strlen(collection_id) <= 80) {
		hex_add(&hex, collection_id, strlen(collection_id));
	} else {
		static const uint8_t key[16] = "bellhop mailbox";

		buf_addf(&hex, "x%016llx",
			(unsigned long long)siphash(key, collection_id, strlen(collection_id)));
	}
	return x_printf("%s/mailbox-%s", dir, buf_cstr(&hex));
}

int mailbox_load(const char *dir, const char *collection_id, struct mailbox **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = path_of(dir, collection_id);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	text.max = FILE_MAX;
	if (durable_read(path, &text, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*ret = mailbox_new(collection_id);
		return 0;
	}
	if (mailbox_decode(collection_id, buf_cstr(&text), text.len, ret, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

int mailbox_save(const char *dir, const struct mailbox *m, struct err *err)
{
	CLEANUP(mem_freep) char *path = path_of(dir, m->collection_id);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	mailbox_encode(m, &text);
	if (text.failed)
		return err_set(err, ERR_QUOTA, "the state of a folder does not fit into memory");
	return durable_write(dir, path, text.data, text.len, err);
}

void mailbox_forget(const char *dir, const char *collection_id)
{
	CLEANUP(mem_freep) char *path = path_of(dir, collection_id);

	(void)unlink(path);
}
