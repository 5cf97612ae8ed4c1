/*
 * The model of a disk. A node is a file or a folder, known by its inode while it has one; it has a
 * durable state and a list of what was done to it since (its pending operations). A sync that ends
 * moves what was pending when it began into the durable state, so cuts in ascending order cost
 * little.
 *
 * Limits: the log in memory, its files twice.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

struct node;

/* One thing done to a node and not synced yet. */
struct pending {
	size_t at; /* record */
	const struct power_record *record;
	/* folders: */
	char *name;
	struct node *target;           /* NULL: the name goes */
	const struct pending *partner; /* a rename's new name, for its old one */
	struct node *partner_folder;
	bool chosen;
};

struct entry {
	char *name;
	struct node *target;
};

struct node {
	struct node *next; /* all */
	uint64_t inode;
	bool is_folder;
	uint8_t *bytes; /* durable */
	size_t len, cap;
	struct entry *entries; /* durable */
	size_t entry_count, entry_cap;
	struct pending **pending;
	size_t pending_count, pending_cap;
	uint64_t visited; /* by the cut of this number */
};

struct sync {
	struct sync *next;
	uint64_t token;
	struct node *node;
	size_t began_at;
};

struct replay {
	const uint8_t *map;
	size_t map_len;
	const struct power_record **records;
	size_t count, cap;
	size_t at; /* everything before it is in the nodes */
	struct node *nodes, *root;
	struct sync *syncs;
	const char *skip;
	uint64_t cut;
};

/* ---- reading ---- */

static int add_records(struct replay *r, struct err *err)
{
	size_t at = 0;

	while (at < r->map_len) {
		const struct power_record *record = (const void *)(r->map + at);
		uint64_t left = r->map_len - at;

		if (left < sizeof(*record) || left - sizeof(*record) < (uint64_t)record->path_len +
									       record->other_len +
									       record->bytes_len)
			return err_set(err, ERR_BAD_INPUT, "record %zu is cut off", r->count);
		if (record->kind < POWER_ROOT || record->kind > POWER_TROUBLE)
			return err_set(err, ERR_BAD_INPUT, "record %zu is of kind %u", r->count,
				record->kind);
		if (record->kind == POWER_TROUBLE)
			return err_set(err, ERR_BAD_INPUT, "record %zu: the recorder says %.*s",
				r->count, (int)record->bytes_len,
				(const char *)replay_bytes(record));
		if (r->count == r->cap) {
			r->cap = MAX(r->cap * 2, (size_t)1024);
			r->records = x_realloc(r->records, r->cap * sizeof(*r->records));
		}
		r->records[r->count++] = record;
		at += POWER_ALIGN(sizeof(*record) + (uint64_t)record->path_len + record->other_len +
				  record->bytes_len);
	}
	return 0;
}

int replay_open(const char *log_path, struct replay **ret, struct err *err)
{
	CLEANUP(replay_free) struct replay *r = x_new(struct replay);
	CLEANUP(fd_close) int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_errno(err, errno, "%s", log_path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_set_errno(err, errno, "%s", log_path);
	r->map = map;
	r->map_len = (size_t)st.st_size;
	if (add_records(r, err) < 0)
		return err_wrap(err, "%s", log_path);
	*ret = TAKE(r);
	return 0;
}

static void node_free(struct node *n)
{
	for (size_t i = 0; i < n->pending_count; i++) {
		mem_free(n->pending[i]->name);
		mem_free(n->pending[i]);
	}
	for (size_t i = 0; i < n->entry_count; i++)
		mem_free(n->entries[i].name);
	mem_free(n->pending);
	mem_free(n->entries);
	mem_free(n->bytes);
	mem_free(n);
}

void replay_free(struct replay **rp)
{
	struct replay *r = *rp;

	if (r == NULL)
		return;
	for (struct node *n = r->nodes, *next; n != NULL; n = next) {
		next = n->next;
		node_free(n);
	}
	for (struct sync *s = r->syncs, *next; s != NULL; s = next) {
		next = s->next;
		mem_free(s);
	}
	if (r->map != NULL)
		(void)munmap((void *)(uintptr_t)r->map, r->map_len);
	mem_free(r->records);
	mem_free(r);
	*rp = NULL;
}

size_t replay_count(const struct replay *r)
{
	return r->count;
}

const struct power_record *replay_record(const struct replay *r, size_t at)
{
	return r->records[at];
}

const char *replay_path(const struct power_record *record)
{
	return (const char *)(record + 1);
}

const uint8_t *replay_bytes(const struct power_record *record)
{
	return (const uint8_t *)(record + 1) + record->path_len + record->other_len;
}

void replay_skip_syncs(struct replay *r, const char *text)
{
	r->skip = text;
}

/* ---- files ---- */

static void grow(struct node *n, size_t len)
{
	if (len > n->cap) {
		size_t cap = MAX(len, n->cap * 2);

		n->bytes = x_realloc(n->bytes, cap);
		memset(n->bytes + n->cap, 0, cap - n->cap);
		n->cap = cap;
	}
	if (len > n->len)
		n->len = len;
}

/* Bytes behind the size are zero, always. */
static void shrink(struct node *n, size_t len)
{
	if (len < n->len) {
		memset(n->bytes + len, 0, n->len - len);
		n->len = len;
	}
}

static void apply_bytes(struct node *n, const struct power_record *record)
{
	if (record->kind == POWER_TRUNCATE) {
		shrink(n, record->offset);
		grow(n, record->offset);
		return;
	}
	grow(n, record->offset + record->bytes_len);
	memcpy(n->bytes + record->offset, replay_bytes(record), record->bytes_len);
}

/* ---- folders ---- */

static struct entry *find_entry(struct node *folder, const char *name)
{
	for (size_t i = 0; i < folder->entry_count; i++) {
		if (strcmp(folder->entries[i].name, name) == 0)
			return &folder->entries[i];
	}
	return NULL;
}

static void set_entry(struct node *folder, const char *name, struct node *target)
{
	struct entry *e = find_entry(folder, name);

	if (target == NULL) {
		if (e != NULL) {
			mem_free(e->name);
			*e = folder->entries[--folder->entry_count];
		}
		return;
	}
	if (e == NULL) {
		if (folder->entry_count == folder->entry_cap) {
			folder->entry_cap = MAX(folder->entry_cap * 2, (size_t)8);
			folder->entries = x_realloc(
				folder->entries, folder->entry_cap * sizeof(*folder->entries));
		}
		e = &folder->entries[folder->entry_count++];
		e->name = x_strdup(name);
	}
	e->target = target;
}

/* As it is for the server itself, with everything that is pending. */
static struct node *look_up(struct node *folder, const char *name)
{
	struct entry *e;

	for (size_t i = folder->pending_count; i > 0; i--) {
		if (strcmp(folder->pending[i - 1]->name, name) == 0)
			return folder->pending[i - 1]->target;
	}
	e = find_entry(folder, name);
	return e != NULL ? e->target : NULL;
}

/* The folder of a path, and its last part; NULL when there is none. */
static struct node *walk(struct replay *r, const char *path, size_t len, char name[256])
{
	struct node *folder = r->root;
	const char *end = path + len;

	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash != NULL ? slash : end) - path);

		if (n == 0 || n > 255 || folder == NULL || !folder->is_folder)
			return NULL;
		memcpy(name, path, n);
		name[n] = 0;
		if (slash == NULL)
			return folder;
		folder = look_up(folder, name);
		path = slash + 1;
	}
}

/* ---- what happens ---- */

static struct node *add_node(struct replay *r, uint64_t inode, bool is_folder)
{
	struct node *n = x_new(struct node);

	n->inode = inode;
	n->is_folder = is_folder;
	n->next = r->nodes;
	r->nodes = n;
	return n;
}

/* The newest of that inode: numbers are used again. */
static struct node *node_of(struct replay *r, uint64_t inode)
{
	for (struct node *n = r->nodes; n != NULL; n = n->next) {
		if (n->inode == inode)
			return n;
	}
	return NULL;
}

static struct pending *add_pending(struct node *n, size_t at, const struct power_record *record)
{
	struct pending *p = x_new(struct pending);

	p->at = at;
	p->record = record;
	if (n->pending_count == n->pending_cap) {
		n->pending_cap = MAX(n->pending_cap * 2, (size_t)8);
		n->pending = x_realloc(n->pending, n->pending_cap * sizeof(struct pending *));
	}
	n->pending[n->pending_count++] = p;
	return p;
}

static struct pending *name_pending(struct node *folder, size_t at,
	const struct power_record *record, const char *name, struct node *target)
{
	struct pending *p = add_pending(folder, at, record);

	p->name = x_strdup(name);
	p->target = target;
	return p;
}

/* Makes everything durable that was pending at that record. */
static void settle(struct node *n, size_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->pending_count; i++) {
		struct pending *p = n->pending[i];

		/* The old name of a rename goes with the new one or after it. */
		if (p->at >= before || p->partner != NULL) {
			n->pending[kept++] = p;
			continue;
		}
		if (n->is_folder)
			set_entry(n, p->name, p->target);
		else
			apply_bytes(n, p->record);
		if (p->partner_folder != NULL) {
			struct node *other = p->partner_folder;

			for (size_t k = 0; k < other->pending_count; k++) {
				if (other->pending[k]->partner == p)
					other->pending[k]->partner = NULL;
			}
		}
		mem_free(p->name);
		mem_free(p);
	}
	n->pending_count = kept;
}

static bool counts(const struct replay *r, const struct power_record *record, const struct node *n)
{
	CLEANUP(mem_freep) char *path = x_strndup(replay_path(record), record->path_len);
	size_t len = r->skip != NULL ? strlen(r->skip) : 0;
	CLEANUP(mem_freep) char *part = NULL;

	if (len == 0)
		return true;
	if (r->skip[len - 1] != '/')
		return strstr(path, r->skip) == NULL;
	part = x_strndup(r->skip, len - 1);
	return !n->is_folder || strstr(path, part) == NULL;
}

static int begin_sync(struct replay *r, const struct power_record *record)
{
	struct node *n = node_of(r, record->inode);
	struct sync *s;

	if (n == NULL || !counts(r, record, n))
		return n == NULL ? -1 : 0;
	s = x_new(struct sync);
	s->token = record->offset;
	s->node = n;
	s->began_at = r->at;
	s->next = r->syncs;
	r->syncs = s;
	return 0;
}

static void end_sync(struct replay *r, uint64_t token)
{
	for (struct sync **s = &r->syncs; *s != NULL; s = &(*s)->next) {
		struct sync *done = *s;

		if (done->token != token)
			continue;
		settle(done->node, done->began_at);
		*s = done->next;
		mem_free(done);
		return;
	}
}

static int change_names(struct replay *r, const struct power_record *record)
{
	char name[256], other[256];
	struct node *folder = walk(r, replay_path(record), record->path_len, name), *to, *target;
	struct pending *new;

	if (folder == NULL)
		return -1;
	if (record->kind == POWER_CREATE || record->kind == POWER_MKDIR) {
		target = add_node(r, record->inode, record->kind == POWER_MKDIR);
		(void)name_pending(folder, r->at, record, name, target);
		return 0;
	}
	target = look_up(folder, name);
	if (target == NULL)
		return -1;
	if (record->kind == POWER_UNLINK || record->kind == POWER_RMDIR) {
		(void)name_pending(folder, r->at, record, name, NULL);
		return 0;
	}
	to = walk(r, replay_path(record) + record->path_len, record->other_len, other);
	if (to == NULL)
		return -1;
	new = name_pending(to, r->at, record, other, target);
	if (record->kind == POWER_RENAME) {
		struct pending *old = name_pending(folder, r->at, record, name, NULL);

		old->partner = new;
		new->partner_folder = folder;
	}
	return 0;
}

static int step(struct replay *r, const struct power_record *record)
{
	struct node *n;

	switch ((enum power_kind)record->kind) {
	case POWER_ROOT:
		if (r->root == NULL)
			r->root = add_node(r, record->inode, true);
		return 0;
	case POWER_WRITE:
	case POWER_TRUNCATE:
		n = node_of(r, record->inode);
		if (n == NULL || n->is_folder)
			return -1;
		(void)add_pending(n, r->at, record);
		return 0;
	case POWER_SYNC_BEGIN:
		return begin_sync(r, record);
	case POWER_SYNC_END:
		end_sync(r, record->offset);
		return 0;
	case POWER_CREATE:
	case POWER_RENAME:
	case POWER_UNLINK:
	case POWER_LINK:
	case POWER_MKDIR:
	case POWER_RMDIR:
		return change_names(r, record);
	case POWER_SENT:
	case POWER_MARK:
	case POWER_TROUBLE:
		break;
	}
	return 0;
}

static int move_on(struct replay *r, size_t at, struct err *err)
{
	if (at < r->at || at > r->count)
		return err_set(err, ERR_INTERNAL, "a cut at %zu after %zu", at, r->at);
	for (; r->at < at; r->at++) {
		if (step(r, r->records[r->at]) < 0)
			return err_set(err, ERR_BAD_INPUT,
				"record %zu (kind %u) is about something that does not exist",
				r->at, r->records[r->at]->kind);
	}
	return 0;
}

/* ---- the loss ---- */

struct loss {
	uint64_t seed;
	size_t sector;
	unsigned keep; /* of 256: how likely a thing that was not synced is there */
	bool whole;    /* nothing is lost */
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* How many of the count operations in order this thing has seen. */
static size_t seen(const struct loss *l, uint64_t node, uint64_t thing, size_t count)
{
	uint64_t z = mix(mix(l->seed, node), thing);

	if (l->whole || (l->keep == 256))
		return count;
	if (l->keep == 0)
		return 0;
	if ((z & 255) < l->keep / 2)
		return count;
	return (z >> 8) % (count + 1);
}

static void lose_sectors(struct node *to, const struct node *from, const struct loss *l)
{
	for (size_t i = 0; i < from->pending_count; i++) {
		const struct power_record *record = from->pending[i]->record;
		const uint8_t *bytes = replay_bytes(record);
		size_t at = record->offset, end = at + record->bytes_len, next;

		if (record->kind == POWER_TRUNCATE) {
			/* What a sector held behind the new end is zero for it from then on. */
			for (at = record->offset; at < to->len; at = next) {
				next = MIN((at / l->sector + 1) * l->sector, to->len);
				if (seen(l, from->inode, at / l->sector, from->pending_count) > i)
					memset(to->bytes + at, 0, next - at);
			}
			continue;
		}
		for (; at < end; at = next) {
			next = MIN((at / l->sector + 1) * l->sector, end);
			if (seen(l, from->inode, at / l->sector, from->pending_count) <= i)
				continue;
			grow(to, next);
			memcpy(to->bytes + at, bytes + (at - record->offset), next - at);
		}
	}
}

/* The file after the loss, in *to. */
static void lose_file(struct node *to, const struct node *from, const struct loss *l)
{
	size_t len = from->len, prefix = seen(l, from->inode, UINT64_MAX, from->pending_count);

	for (size_t i = 0; i < prefix; i++) {
		const struct power_record *record = from->pending[i]->record;

		len = record->kind == POWER_TRUNCATE
			      ? record->offset
			      : MAX(len, (size_t)record->offset + record->bytes_len);
	}
	grow(to, from->len);
	if (from->len > 0)
		memcpy(to->bytes, from->bytes, from->len);
	lose_sectors(to, from, l);
	shrink(to, len);
	grow(to, len);
}

static int write_file(const char *path, const struct node *n, struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t at = 0;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	while (at < n->len) {
		ssize_t done = write(fd, n->bytes + at, n->len - at);

		if (done <= 0)
			return err_set_errno(err, errno, "%s", path);
		at += (size_t)done;
	}
	return 0;
}

/* Decides for each pending name of the folder; those of renames' new names first. */
static void choose_names(struct node *folder, const struct loss *l)
{
	for (size_t i = 0; i < folder->pending_count; i++) {
		struct pending *p = folder->pending[i];

		p->chosen = seen(l, p->at, 1, 1) == 1;
	}
}

static int write_folder(struct replay *r, struct node *folder, const char *path,
	const struct loss *l, struct err *err);

static int write_node(
	struct replay *r, struct node *n, const char *path, const struct loss *l, struct err *err)
{
	struct node after = {0};
	int rc;

	if (n->is_folder)
		/* Two names of one folder cannot be; the second is left out. */
		return n->visited == r->cut ? 0 : write_folder(r, n, path, l, err);
	if (n->pending_count == 0)
		return write_file(path, n, err);
	lose_file(&after, n, l);
	rc = write_file(path, &after, err);
	mem_free(after.bytes);
	return rc;
}

static int write_folder(struct replay *r, struct node *folder, const char *path,
	const struct loss *l, struct err *err)
{
	struct node names = {.is_folder = true};
	int rc = 0;

	folder->visited = r->cut;
	if (mkdir(path, 0700) < 0)
		return err_set_errno(err, errno, "%s", path);
	for (size_t i = 0; i < folder->entry_count; i++)
		set_entry(&names, folder->entries[i].name, folder->entries[i].target);
	for (size_t i = 0; i < folder->pending_count; i++) {
		const struct pending *p = folder->pending[i];

		if (p->chosen && (p->partner == NULL || p->partner->chosen))
			set_entry(&names, p->name, p->target);
	}
	for (size_t i = 0; i < names.entry_count; i++) {
		CLEANUP(mem_freep) char *sub = x_printf("%s/%s", path, names.entries[i].name);

		if (rc == 0)
			rc = write_node(r, names.entries[i].target, sub, l, err);
		mem_free(names.entries[i].name);
	}
	mem_free(names.entries);
	return rc;
}

static int write_all(struct replay *r, const char *folder, const struct loss *l, struct err *err)
{
	if (r->root == NULL)
		return err_set(err, ERR_BAD_INPUT, "the log does not say of which folder it is");
	r->cut++;
	for (struct node *n = r->nodes; n != NULL; n = n->next) {
		if (n->is_folder)
			choose_names(n, l);
	}
	return write_folder(r, r->root, folder, l, err);
}

int replay_cut(struct replay *r, size_t at, uint64_t seed, const char *folder, struct err *err)
{
	/* Nothing of it, all of it in any order, and between. */
	static const unsigned keeps[] = {0, 32, 128, 224, 256};
	uint64_t z = mix(seed, at);
	struct loss l = {.seed = z,
		.sector = (z & 1) != 0 ? 512 : 4096,
		.keep = keeps[(z >> 1) % ARRAY_LEN(keeps)]};

	if (move_on(r, at, err) < 0)
		return -1;
	return write_all(r, folder, &l, err);
}

int replay_whole(struct replay *r, const char *folder, struct err *err)
{
	struct loss l = {.whole = true, .sector = 4096};

	if (move_on(r, r->count, err) < 0)
		return -1;
	return write_all(r, folder, &l, err);
}
