/*
 * manifest.json: what a backup consists of. Read back strictly: everything must be there. Any
 * thread.
 */
#include "store/store_manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_files.h"

void store_manifest_deinit(struct store_manifest *m)
{
	for (size_t i = 0; i < m->damaged_count; i++)
		mem_free(m->damaged[i]);
	mem_free(m->damaged);
	*m = (struct store_manifest){.damaged = NULL};
}

void store_manifest_add_damaged(struct store_manifest *m, const char *file)
{
	m->damaged = x_realloc(m->damaged, (m->damaged_count + 1) * sizeof(*m->damaged));
	m->damaged[m->damaged_count++] = x_strdup(file);
}

bool store_manifest_is_damaged(const struct store_manifest *m, const char *file)
{
	for (size_t i = 0; i < m->damaged_count; i++) {
		if (str_eq(m->damaged[i], file))
			return true;
	}
	return false;
}

/* The numbers, by their place in the document: "counts.users". */
struct number {
	const char *group, *name;
	size_t offset;
};
#define NUMBER(group, name, field)                                                                 \
	{                                                                                          \
		group, name, offsetof(struct store_manifest, field)                                \
	}
static const struct number numbers[] = {
	NUMBER("counts", "users", users),
	NUMBER("counts", "devices", devices),
	NUMBER("counts", "folders", folders),
	NUMBER("counts", "items", items),
	NUMBER("counts", "bodies", bodies),
	NUMBER("database", "schema", schema),
	NUMBER("database", "bytes", database_bytes),
	NUMBER("body_files", "files", body_files),
	NUMBER("body_files", "bytes", body_files_bytes),
};

static json_t *group_of(json_t *root, const char *name)
{
	json_t *group = json_object_get(root, name);

	if (group == NULL)
		(void)json_object_set_new(root, name, group = json_object());
	return group;
}

static json_t *to_json(const struct store_manifest *m)
{
	json_t *root = json_object(), *damaged = json_array();
	time_t created_at = (time_t)m->created_at;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&created_at, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)json_object_set_new(root, "format", json_integer(STORE_BACKUP_FORMAT));
	(void)json_object_set_new(root, "program", json_string("bellhop"));
	(void)json_object_set_new(root, "version", json_string(m->program));
	(void)json_object_set_new(root, "created", json_string(text));
	(void)json_object_set_new(root, "created_at", json_integer((json_int_t)m->created_at));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t value;

		memcpy(&value, (const char *)m + numbers[i].offset, sizeof(value));
		(void)json_object_set_new(group_of(root, numbers[i].group), numbers[i].name,
			json_integer((json_int_t)value));
	}
	(void)json_object_set_new(group_of(root, "database"), "file", json_string("bellhop.db"));
	(void)json_object_set_new(
		group_of(root, "database"), "sha256", json_string(m->database_sha256));
	for (size_t i = 0; i < m->damaged_count; i++)
		(void)json_array_append_new(damaged, json_string(m->damaged[i]));
	(void)json_object_set_new(group_of(root, "body_files"), "damaged", damaged);
	return root;
}

int store_manifest_save(const struct store_manifest *m, const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/manifest.json", dir);
	json_t *root = to_json(m);
	char *text = json_dumps(root, JSON_INDENT(2));
	int rc = text != NULL ? store_files_write(path, text, strlen(text), err)
			      : err_set(err, ERR_INTERNAL, "writing the manifest");

	mem_free(text);
	json_decref(root);
	return rc;
}

static bool copy_text(const json_t *object, const char *name, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (text == NULL || strlen(text) >= size)
		return false;
	(void)snprintf(to, size, "%s", text);
	return true;
}

static bool from_json(json_t *root, struct store_manifest *m)
{
	const json_t *damaged = json_object_get(json_object_get(root, "body_files"), "damaged");
	const json_t *created_at = json_object_get(root, "created_at");

	if (!json_is_integer(created_at) || !json_is_array(damaged) ||
		!copy_text(root, "version", m->program, sizeof(m->program)) ||
		!copy_text(json_object_get(root, "database"), "sha256", m->database_sha256,
			sizeof(m->database_sha256)))
		return false;
	m->created_at = json_integer_value(created_at);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const json_t *number =
			json_object_get(json_object_get(root, numbers[i].group), numbers[i].name);
		uint64_t value = (uint64_t)json_integer_value(number);

		if (!json_is_integer(number) || json_integer_value(number) < 0)
			return false;
		memcpy((char *)m + numbers[i].offset, &value, sizeof(value));
	}
	for (size_t i = 0; i < json_array_size(damaged); i++) {
		const char *file = json_string_value(json_array_get(damaged, i));

		if (file == NULL)
			return false;
		store_manifest_add_damaged(m, file);
	}
	return true;
}

int store_manifest_load(const char *dir, struct store_manifest *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/manifest.json", dir);
	struct store_manifest m = {.damaged = NULL};
	json_error_t where;
	json_t *root;
	json_int_t format;
	bool good;

	if (access(path, R_OK) < 0) {
		(void)err_set_errno(err, errno, "%s is no backup: %s", dir, path);
		if (errno == ENOENT || errno == ENOTDIR)
			err->code = ERR_NOT_FOUND;
		return -1;
	}
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		return err_set(err, ERR_BACKEND, "the backup is damaged: %s: line %d: %s", path,
			where.line, where.text);
	format = json_integer_value(json_object_get(root, "format"));
	good = format == STORE_BACKUP_FORMAT && from_json(root, &m);
	json_decref(root);
	if (good) {
		*ret = m;
		return 0;
	}
	store_manifest_deinit(&m);
	if (format > STORE_BACKUP_FORMAT)
		return err_set(err, ERR_BACKEND,
			"the backup has format %lld, this program knows %d: use the newer program",
			(long long)format, STORE_BACKUP_FORMAT);
	return err_set(err, ERR_BACKEND, "the backup is damaged: %s lacks something", path);
}
