/*
 * The driver's file and its marks in the log, put together.
 */
#include "facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FIELDS_MAX 8

static const struct {
	const char *name;
	enum fact_kind kind;
	size_t fields;
} kinds[] = {
	{"user", FACT_USER, 3},
	{"alias", FACT_ALIAS, 4},
	{"mail", FACT_MAIL, 6},
	{"read", FACT_READ, 5},
	{"flag", FACT_FLAG, 5},
	{"gone", FACT_GONE, 4},
	{"policy", FACT_POLICY, 5},
	{"folders", FACT_FOLDERS, 6},
	{"sync", FACT_SYNC, 5},
};

static size_t split(char *line, char *fields[FIELDS_MAX])
{
	size_t count = 0;

	line[strcspn(line, "\n")] = 0;
	for (char *at = line; at != NULL && count < FIELDS_MAX;) {
		fields[count++] = at;
		at = strchr(at, '\t');
		if (at != NULL)
			*at++ = 0;
	}
	return count;
}

static int number_of(const char *text)
{
	return strcmp(text, "-") == 0 ? -1 : (int)strtol(text, NULL, 10);
}

static int add_item(struct facts *f, char **fields, size_t count)
{
	struct fact *fact = f->count > 0 ? &f->all[f->count - 1] : NULL;
	struct fact_item item = {.what = fields[0][0], .read = -1, .flag = -1};

	if (fact == NULL || fact->kind != FACT_SYNC || fields[0][1] != 0 || count < 2)
		return -1;
	item.id = arena_x_strdup(f->arena, fields[1]);
	if (item.what != '-') {
		if (count < (item.what == '+' ? 5u : 4u))
			return -1;
		item.read = number_of(fields[2]);
		item.flag = number_of(fields[3]);
		item.subject = item.what == '+' ? arena_x_strdup(f->arena, fields[4]) : NULL;
	}
	fact->items = x_realloc(fact->items, (fact->item_count + 1) * sizeof(item));
	fact->items[fact->item_count++] = item;
	return 0;
}

static int add_fact(struct facts *f, char **fields, size_t count)
{
	struct fact fact = {.acked_at = SIZE_MAX, .began_at = SIZE_MAX};
	char **at = fields + 2;
	bool of_phone;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(fields[0], kinds[i].name) == 0 && count == kinds[i].fields)
			fact.kind = kinds[i].kind;
	}
	if (fact.kind == 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		fields[i] = arena_x_strdup(f->arena, fields[i]);
	of_phone = fact.kind >= FACT_POLICY;
	fact.number = (unsigned)number_of(fields[1]);
	if (of_phone)
		fact.phone = *at++;
	fact.login = *at++;
	if (of_phone || fact.kind == FACT_ALIAS)
		fact.text = *at++;
	else if (fact.kind != FACT_USER)
		fact.subject = *at++;
	if (fact.kind == FACT_FOLDERS)
		fact.inbox = *at;
	if (fact.kind == FACT_MAIL)
		fact.text = *at++;
	if (fact.kind == FACT_MAIL || fact.kind == FACT_READ || fact.kind == FACT_FLAG)
		fact.value = strtoull(*at, NULL, 10);
	f->all = x_realloc(f->all, (f->count + 1) * sizeof(fact));
	f->all[f->count++] = fact;
	return 0;
}

static int read_file(struct facts *f, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	if (file == NULL)
		return err_set_errno(err, errno, "%s", path);
	while (rc == 0 && getline(&line, &size, file) > 0) {
		char *fields[FIELDS_MAX];
		size_t count = split(line, fields);

		number++;
		rc = strchr("+~-", fields[0][0]) != NULL ? add_item(f, fields, count)
							 : add_fact(f, fields, count);
		if (rc < 0)
			(void)err_set(err, ERR_BAD_INPUT, "%s:%u: not a fact", path, number);
	}
	mem_free(line);
	(void)fclose(file);
	return rc;
}

/* ---- the marks ---- */

static size_t from_hex(const char *hex, uint8_t *ret, size_t size)
{
	size_t n = 0;

	for (; hex[0] != 0 && hex[1] != 0 && n < size; hex += 2, n++) {
		char pair[3] = {hex[0], hex[1], 0};

		ret[n] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

/* Where the server said it. */
static size_t find_sent(const struct replay *log, size_t from, size_t mark, const char *said)
{
	uint64_t port = strtoull(said, NULL, 10);
	const char *hex = strchr(said, ' ');
	size_t found = mark, len;
	uint8_t token[256];

	len = from_hex(hex != NULL ? hex + 1 : "", token, sizeof(token));
	if (len == 0 || from == SIZE_MAX)
		return mark;
	for (size_t i = from; i < mark; i++) {
		const struct power_record *r = replay_record(log, i);

		if (r->kind != POWER_SENT || (port != 0 && r->offset != port) ||
			memmem(replay_bytes(r), r->bytes_len, token, len) == NULL)
			continue;
		found = i;
		if (port == 0)
			break;
	}
	return found;
}

static void place(struct facts *f, const struct replay *log, size_t at, const char *text)
{
	bool ack = strncmp(text, "ack ", 4) == 0;
	const char *number = strchr(text, ' ');
	char *end = NULL;
	unsigned n;

	if (number == NULL || (!ack && strncmp(text, "begin ", 6) != 0))
		return;
	n = (unsigned)strtoul(number, &end, 10);
	for (size_t i = 0; i < f->count; i++) {
		struct fact *fact = &f->all[i];

		if (fact->number != n)
			continue;
		if (ack)
			fact->acked_at =
				*end == ' ' ? find_sent(log, fact->began_at, at, end + 1) : at;
		else
			fact->began_at = at;
	}
}

int facts_load(struct facts *f, const char *path, const struct replay *log, struct err *err)
{
	*f = (struct facts){.arena = arena_new(0)};
	if (read_file(f, path, err) < 0)
		return -1;
	for (size_t i = 0; i < replay_count(log); i++) {
		const struct power_record *r = replay_record(log, i);
		CLEANUP(mem_freep) char *text = NULL;

		if (r->kind != POWER_MARK)
			continue;
		text = x_strndup((const char *)replay_bytes(r), r->bytes_len);
		place(f, log, i, text);
	}
	for (size_t i = 0; i < f->count; i++) {
		if (f->all[i].began_at == SIZE_MAX)
			return err_set(err, ERR_BAD_INPUT, "act %u never began", f->all[i].number);
	}
	return 0;
}

void facts_deinit(struct facts *f)
{
	for (size_t i = 0; i < f->count; i++)
		mem_free(f->all[i].items);
	mem_free(f->all);
	arena_free(&f->arena);
	*f = (struct facts){0};
}
