/*
 * The partnership's file. Unknown keys are ignored; missing ones get their defaults.
 */
#include "phone/profile.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/durable.h"
#include "phone/maildir.h"

#define FILE_MAX  ((size_t)64 << 20)
#define DEPTH_MAX 32

void profile_set(char **field, const char *value)
{
	char *old = *field;

	*field = value == NULL ? NULL : x_strdup(value);
	mem_free(old);
}

struct profile *profile_new(const char *server, const char *user)
{
	struct profile *p = x_new(struct profile);

	p->server = x_strdup(server);
	p->user = x_strdup(user);
	p->hierarchy_key = x_strdup("0");
	heartbeat_init(&p->heartbeat, 0);
	return p;
}

static void folder_clear(struct profile_folder *f)
{
	mem_free(f->id);
	mem_free(f->parent_id);
	mem_free(f->name);
	mem_free(f->path);
}

void profile_folders_clear(struct profile *p)
{
	for (size_t i = 0; i < p->folder_count; i++)
		folder_clear(&p->folders[i]);
	p->folder_count = 0;
}

void profile_free(struct profile **p)
{
	if (*p == NULL)
		return;
	profile_folders_clear(*p);
	mem_free((*p)->folders);
	mem_free((*p)->server);
	mem_free((*p)->user);
	mem_free((*p)->url);
	mem_free((*p)->device_id);
	mem_free((*p)->device_type);
	mem_free((*p)->hierarchy_key);
	mem_free(*p);
	*p = NULL;
}

struct profile_folder *profile_folder_find(const struct profile *p, const char *id)
{
	for (size_t i = 0; i < p->folder_count; i++) {
		if (strcmp(p->folders[i].id, id) == 0)
			return &p->folders[i];
	}
	return NULL;
}

void profile_folder_put(struct profile *p, const struct answer_folder *folder)
{
	struct profile_folder *f = profile_folder_find(p, folder->id);

	if (f == NULL) {
		p->folders = x_realloc(
			p->folders, (p->folder_count + 1) * sizeof(struct profile_folder));
		f = &p->folders[p->folder_count++];
		*f = (struct profile_folder){.id = x_strdup(folder->id)};
	}
	profile_set(&f->parent_id, folder->parent_id);
	profile_set(&f->name, folder->name);
	f->type = folder->type;
}

void profile_folder_remove(struct profile *p, const char *id)
{
	struct profile_folder *f = profile_folder_find(p, id);
	size_t at;

	if (f == NULL)
		return;
	at = (size_t)(f - p->folders);
	folder_clear(f);
	memmove(f, f + 1, (p->folder_count - at - 1) * sizeof(*f));
	p->folder_count--;
}

bool profile_folder_is_mail(const struct profile *p, const struct profile_folder *folder)
{
	switch (folder->type) {
	case 2:  /* Inbox */
	case 4:  /* Deleted Items */
	case 5:  /* Sent Items */
	case 12: /* user's mail folder */
		return true;
	case 3: /* Drafts: "must not be synced" before 16.0 */
		return p->version >= 160;
	default: /* 6, the Outbox, holds nothing for us; the rest is not mail or not known */
		return false;
	}
}

static void add_path(
	const struct profile *p, const struct profile_folder *f, unsigned depth, struct buf *out)
{
	const struct profile_folder *parent = profile_folder_find(p, f->parent_id);

	if (parent != NULL && depth < DEPTH_MAX)
		add_path(p, parent, depth + 1, out);
	buf_add_byte(out, '.');
	if (*f->name == 0)
		buf_addf(out, "folder");
	else
		maildir_add_name(out, f->name);
}

char *profile_folder_path(const struct profile *p, const struct profile_folder *folder)
{
	CLEANUP(buf_deinit) struct buf path = BUF_INIT;

	if (!profile_folder_is_mail(p, folder))
		return NULL;
	if (folder->type == 2)
		return x_strdup("");
	add_path(p, folder, 0, &path);
	if (path.len > 200) /* file names end at 255 bytes */
		path.len = 200;
	/* Two folders of one name, or a folder called "cur": told apart by the id's hash. */
	for (size_t i = 0; i < p->folder_count; i++) {
		const struct profile_folder *other = &p->folders[i];

		if (other != folder && other->path != NULL &&
			strcmp(other->path, buf_cstr(&path)) == 0) {
			CLEANUP(mem_freep) char *tail = maildir_base(folder->id, "", 0);

			buf_addf(&path, "-%.8s", tail + 2);
			break;
		}
	}
	return x_strdup(buf_cstr(&path));
}

static void set_string(json_t *object, const char *key, const char *value)
{
	if (value != NULL)
		(void)json_object_set_new(object, key, json_stringn_nocheck(value, strlen(value)));
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *encode_folder(const struct profile_folder *f)
{
	json_t *o = json_object();

	set_string(o, "id", f->id);
	set_string(o, "parent", f->parent_id);
	set_string(o, "name", f->name);
	set_string(o, "path", f->path);
	set_number(o, "type", f->type);
	return o;
}

static json_t *encode(const struct profile *p)
{
	json_t *o = json_object(), *folders = json_array(), *hb = json_object();

	set_string(o, "server", p->server);
	set_string(o, "user", p->user);
	set_string(o, "url", p->url);
	set_string(o, "device_id", p->device_id);
	set_string(o, "device_type", p->device_type);
	set_number(o, "version", p->version);
	set_number(o, "policy_key", p->policy_key);
	set_number(o, "max_filter", p->max_filter);
	set_string(o, "hierarchy_key", p->hierarchy_key);
	set_number(o, "max_folders", p->max_folders);
	set_number(hb, "current_s", p->heartbeat.current_s);
	set_number(hb, "good_s", p->heartbeat.good_s);
	set_number(hb, "bad_s", p->heartbeat.bad_s);
	set_number(hb, "min_s", p->heartbeat.min_s);
	set_number(hb, "max_s", p->heartbeat.max_s);
	(void)json_object_set_new(o, "heartbeat", hb);
	for (size_t i = 0; i < p->folder_count; i++)
		(void)json_array_append_new(folders, encode_folder(&p->folders[i]));
	(void)json_object_set_new(o, "folders", folders);
	return o;
}

int profile_save(const char *dir, const struct profile *p, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/account.json", dir);
	json_t *o = encode(p);
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_SORT_KEYS);
	int rc;

	json_decref(o);
	if (text == NULL)
		return err_set(err, ERR_INTERNAL, "the account's state cannot be written as JSON");
	rc = durable_write(dir, path, text, strlen(text), err);
	mem_free(text);
	return rc;
}

static const char *string_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static unsigned number_of(const json_t *o, const char *key, unsigned max)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 || v > (json_int_t)max ? 0 : (unsigned)v;
}

static void decode_folder(struct profile *p, const json_t *o)
{
	const char *name = string_of(o, "name"), *parent = string_of(o, "parent");
	const char *path = string_of(o, "path");
	struct answer_folder f = {.id = string_of(o, "id"),
		.name = name == NULL ? "" : name,
		.parent_id = parent == NULL ? "0" : parent,
		.type = number_of(o, "type", 1000)};

	if (f.id == NULL || (path != NULL && strchr(path, '/') != NULL))
		return;
	profile_folder_put(p, &f);
	profile_set(&profile_folder_find(p, f.id)->path, path);
}

static struct profile *decode(const json_t *o)
{
	struct profile *p = profile_new(string_of(o, "server"), string_of(o, "user"));
	const json_t *hb = json_object_get(o, "heartbeat"),
		     *folders = json_object_get(o, "folders");
	const char *key = string_of(o, "hierarchy_key");

	profile_set(&p->url, string_of(o, "url"));
	profile_set(&p->device_id, string_of(o, "device_id"));
	profile_set(&p->device_type, string_of(o, "device_type"));
	p->version = number_of(o, "version", 1000);
	p->policy_key = number_of(o, "policy_key", UINT32_MAX);
	p->max_filter = number_of(o, "max_filter", 5);
	p->max_folders = number_of(o, "max_folders", UINT32_MAX);
	if (key != NULL && *key != 0)
		profile_set(&p->hierarchy_key, key);
	heartbeat_restore(&p->heartbeat, number_of(hb, "current_s", 86400),
		number_of(hb, "good_s", 86400), number_of(hb, "bad_s", 86400),
		number_of(hb, "min_s", 86400), number_of(hb, "max_s", 86400));
	for (size_t i = 0; i < json_array_size(folders); i++)
		decode_folder(p, json_array_get(folders, i));
	return p;
}

int profile_load(const char *dir, struct profile **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/account.json", dir);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	json_error_t where;
	json_t *o;

	text.max = FILE_MAX;
	if (durable_read(path, &text, err) < 0)
		return -1;
	o = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &where);
	if (o == NULL)
		return err_set(err, ERR_BAD_INPUT, "%s, line %d: %s", path, where.line, where.text);
	if (string_of(o, "server") == NULL || string_of(o, "user") == NULL) {
		json_decref(o);
		return err_set(err, ERR_BAD_INPUT, "%s: no server or user in it", path);
	}
	*ret = decode(o);
	json_decref(o);
	return 0;
}
