/*
 * The VFS in memory (vfs.h): files with the five lock levels of SQLite, and the shared memory that
 * WAL wants. One thread of the system, so there are no locks of our own. A file whose name was
 * deleted lives until it is closed.
 */
#include "vfs.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fiber.h"

#define FILES_MAX   16
#define REGIONS_MAX 64
#define PATH_BYTES  256

struct node {
	char path[PATH_BYTES]; /* "": its name was deleted */
	bool used;
	uint8_t *bytes;
	size_t len, cap;
	unsigned handles;
	unsigned shared; /* handles with SHARED or more */
	bool reserved, exclusive;
	void *regions[REGIONS_MAX]; /* shared memory */
	unsigned shm_handles;
	uint16_t shm_shared[SQLITE_SHM_NLOCK];
	bool shm_exclusive[SQLITE_SHM_NLOCK];
};

struct handle {
	sqlite3_file base;
	struct node *node;
	int level;
	bool has_shm;
	uint16_t shm_shared, shm_exclusive; /* masks */
};

static struct node nodes[FILES_MAX];

static struct {
	enum vfs_fault kind;
	unsigned left; /* until it happens; 0: it did, or there is none */
	unsigned busy_left;
	bool full, cut;
	unsigned long count;
} fault;

/* ---- faults ---- */

void vfs_set_fault(enum vfs_fault kind, unsigned n)
{
	fault.kind = kind;
	fault.left = n;
	fault.busy_left = 0;
	fault.full = false;
}

static bool strikes(enum vfs_fault kind)
{
	if (fault.kind != kind || fault.left == 0 || --fault.left > 0)
		return false;
	fault.count++;
	return true;
}

bool vfs_is_cut(void)
{
	return fault.cut;
}

void vfs_restart(void)
{
	fault.cut = false;
	vfs_set_fault(VFS_FAULT_NONE, 0);
}

unsigned long vfs_fault_count(void)
{
	return fault.count;
}

/* SQLITE_OK: go on. A cut write is done by half. */
static int before_write(bool *ret_half)
{
	*ret_half = false;
	if (fault.cut)
		return SQLITE_IOERR_WRITE;
	if (strikes(VFS_FAULT_FULL))
		fault.full = true;
	if (fault.full)
		return SQLITE_FULL;
	if (strikes(VFS_FAULT_WRITE))
		return SQLITE_IOERR_WRITE;
	if (strikes(VFS_FAULT_CUT))
		*ret_half = fault.cut = true;
	return SQLITE_OK;
}

/* ---- nodes ---- */

static struct node *find_node(const char *path)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (nodes[i].used && strcmp(nodes[i].path, path) == 0)
			return &nodes[i];
	}
	return NULL;
}

static void free_regions(struct node *n)
{
	for (size_t i = 0; i < REGIONS_MAX; i++) {
		mem_free(n->regions[i]);
		n->regions[i] = NULL;
	}
}

static void free_node(struct node *n)
{
	free_regions(n);
	mem_free(n->bytes);
	*n = (struct node){.used = false};
}

static struct node *new_node(const char *path)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (nodes[i].used)
			continue;
		nodes[i].used = true;
		(void)snprintf(nodes[i].path, PATH_BYTES, "%s", path);
		return &nodes[i];
	}
	return NULL;
}

static void set_len(struct node *n, size_t len)
{
	if (len > n->cap) {
		size_t cap = MAX(len, n->cap * 2);

		n->bytes = x_realloc(n->bytes, cap);
		memset(n->bytes + n->cap, 0, cap - n->cap);
		n->cap = cap;
	}
	if (len < n->len)
		memset(n->bytes + len, 0, n->len - len);
	n->len = len;
}

void vfs_clear(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (nodes[i].used)
			free_node(&nodes[i]);
	}
	vfs_restart();
}

size_t vfs_file_size(const char *path)
{
	const struct node *n = find_node(path);

	return n != NULL ? n->len : 0;
}

uint8_t *vfs_file_get(const char *path, size_t *ret_len)
{
	const struct node *n = find_node(path);
	uint8_t *copy = x_calloc(1, (n != NULL ? n->len : 0) + 1);

	*ret_len = n != NULL ? n->len : 0;
	if (n != NULL && n->len > 0)
		memcpy(copy, n->bytes, n->len);
	return copy;
}

void vfs_file_put(const char *path, const uint8_t *bytes, size_t len)
{
	struct node *n = find_node(path);

	if (n == NULL)
		n = new_node(path);
	set_len(n, len);
	memcpy(n->bytes, bytes, len);
}

/* ---- files ---- */

static struct node *node_of(sqlite3_file *file)
{
	return ((struct handle *)file)->node;
}

static int file_read(sqlite3_file *file, void *to, int count, sqlite3_int64 at)
{
	struct node *n = node_of(file);
	size_t left = (size_t)at < n->len ? n->len - (size_t)at : 0;
	size_t got = MIN(left, (size_t)count);

	if (fault.cut || strikes(VFS_FAULT_READ))
		return SQLITE_IOERR_READ;
	if (got > 0)
		memcpy(to, n->bytes + at, got);
	if (got == (size_t)count)
		return SQLITE_OK;
	memset((uint8_t *)to + got, 0, (size_t)count - got);
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *from, int count, sqlite3_int64 at)
{
	struct node *n = node_of(file);
	size_t len = (size_t)count;
	bool half;
	int rc = before_write(&half);

	if (rc != SQLITE_OK)
		return rc;
	if (half)
		len /= 2;
	if ((size_t)at + len > n->len)
		set_len(n, (size_t)at + len);
	if (len > 0)
		memcpy(n->bytes + at, from, len);
	return half ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	bool half;
	int rc = before_write(&half);

	if (rc != SQLITE_OK)
		return rc;
	set_len(node_of(file), (size_t)size);
	return half ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
	(void)file;
	(void)flags;
	return fault.cut || strikes(VFS_FAULT_SYNC) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)node_of(file)->len;
	return SQLITE_OK;
}

static int file_unlock(sqlite3_file *file, int level)
{
	struct handle *h = (struct handle *)file;

	if (h->level >= SQLITE_LOCK_PENDING && level < SQLITE_LOCK_PENDING)
		h->node->exclusive = false;
	if (h->level >= SQLITE_LOCK_RESERVED && level < SQLITE_LOCK_RESERVED)
		h->node->reserved = false;
	if (h->level >= SQLITE_LOCK_SHARED && level < SQLITE_LOCK_SHARED)
		h->node->shared--;
	h->level = MIN(h->level, level);
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
	struct handle *h = (struct handle *)file;
	struct node *n = h->node;

	if (level <= h->level)
		return SQLITE_OK;
	if (h->level < SQLITE_LOCK_SHARED) {
		if (n->exclusive)
			return SQLITE_BUSY;
		n->shared++;
		h->level = SQLITE_LOCK_SHARED;
	}
	if (level >= SQLITE_LOCK_RESERVED && h->level < SQLITE_LOCK_RESERVED) {
		if (n->reserved)
			return SQLITE_BUSY;
		n->reserved = true;
		h->level = SQLITE_LOCK_RESERVED;
	}
	if (level >= SQLITE_LOCK_PENDING) {
		n->exclusive = true;
		h->level = SQLITE_LOCK_PENDING;
		if (n->shared > 1)
			return SQLITE_BUSY;
		h->level = SQLITE_LOCK_EXCLUSIVE;
	}
	return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *file, int *ret)
{
	*ret = node_of(file)->reserved;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	(void)file;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int file_traits(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory ---- */

static int shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **ret)
{
	struct handle *h = (struct handle *)file;

	*ret = NULL;
	if (region >= REGIONS_MAX)
		return SQLITE_IOERR_SHMSIZE;
	if (!h->has_shm) {
		h->has_shm = true;
		h->node->shm_handles++;
	}
	if (h->node->regions[region] == NULL && extend != 0)
		h->node->regions[region] = x_calloc(1, (size_t)bytes);
	*ret = h->node->regions[region];
	return SQLITE_OK;
}

static bool is_other_writer(int at, int flags)
{
	if (at != 0 || (flags & SQLITE_SHM_LOCK) == 0 || (flags & SQLITE_SHM_EXCLUSIVE) == 0)
		return false;
	if (strikes(VFS_FAULT_BUSY))
		fault.busy_left = 100; /* more often than the busy handler asks */
	return fault.busy_left > 0 && fault.busy_left-- > 0;
}

static int shm_take(struct handle *h, unsigned slot, bool exclusive)
{
	struct node *n = h->node;
	unsigned bit = 1u << slot;
	unsigned others = n->shm_shared[slot] - ((h->shm_shared & bit) != 0);

	if (n->shm_exclusive[slot] && (h->shm_exclusive & bit) == 0)
		return SQLITE_BUSY;
	if (exclusive && others > 0)
		return SQLITE_BUSY;
	if (exclusive) {
		n->shm_exclusive[slot] = true;
		h->shm_exclusive |= (uint16_t)bit;
	} else if ((h->shm_shared & bit) == 0) {
		n->shm_shared[slot]++;
		h->shm_shared |= (uint16_t)bit;
	}
	return SQLITE_OK;
}

static void shm_give(struct handle *h, unsigned slot)
{
	unsigned bit = 1u << slot;

	if ((h->shm_exclusive & bit) != 0)
		h->node->shm_exclusive[slot] = false;
	if ((h->shm_shared & bit) != 0)
		h->node->shm_shared[slot]--;
	h->shm_exclusive &= (uint16_t)~bit;
	h->shm_shared &= (uint16_t)~bit;
}

static int shm_lock(sqlite3_file *file, int at, int count, int flags)
{
	struct handle *h = (struct handle *)file;
	bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;

	if ((flags & SQLITE_SHM_UNLOCK) != 0) {
		for (int i = at; i < at + count; i++)
			shm_give(h, (unsigned)i);
		return SQLITE_OK;
	}
	if (is_other_writer(at, flags))
		return SQLITE_BUSY;
	for (int i = at; i < at + count; i++) {
		if (shm_take(h, (unsigned)i, exclusive) == SQLITE_OK)
			continue;
		while (--i >= at)
			shm_give(h, (unsigned)i);
		return SQLITE_BUSY;
	}
	return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *file)
{
	(void)file;
}

static int shm_unmap(sqlite3_file *file, int delete_it)
{
	struct handle *h = (struct handle *)file;

	(void)delete_it;
	if (!h->has_shm)
		return SQLITE_OK;
	for (unsigned i = 0; i < SQLITE_SHM_NLOCK; i++)
		shm_give(h, i);
	h->has_shm = false;
	if (--h->node->shm_handles == 0)
		free_regions(h->node);
	return SQLITE_OK;
}

static int file_close(sqlite3_file *file)
{
	struct handle *h = (struct handle *)file;

	(void)shm_unmap(file, 0);
	(void)file_unlock(file, SQLITE_LOCK_NONE);
	if (--h->node->handles == 0 && h->node->path[0] == 0)
		free_node(h->node);
	return SQLITE_OK;
}

/* ---- the file system ---- */

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_is_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

static int fs_open(
	sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct handle *h = (struct handle *)file;
	struct node *n = path != NULL ? find_node(path) : NULL;

	(void)vfs;
	memset(h, 0, sizeof(*h));
	if (fault.cut)
		return SQLITE_CANTOPEN;
	if (n == NULL && (flags & SQLITE_OPEN_CREATE) == 0)
		return SQLITE_CANTOPEN;
	if (n == NULL && (n = new_node(path != NULL ? path : "")) == NULL)
		return SQLITE_NOMEM;
	n->handles++;
	h->node = n;
	h->base.pMethods = &methods;
	if (ret_flags != NULL)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int fs_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	struct node *n = find_node(path);
	bool half;

	(void)vfs;
	(void)sync_folder;
	if (n == NULL)
		return SQLITE_IOERR_DELETE_NOENT;
	if (before_write(&half) != SQLITE_OK)
		return SQLITE_IOERR_DELETE;
	n->path[0] = 0;
	if (n->handles == 0)
		free_node(n);
	return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	const struct node *n = find_node(path);

	(void)vfs;
	*ret = n != NULL && (flags != SQLITE_ACCESS_EXISTS || n->len > 0);
	return SQLITE_OK;
}

static int fs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *ret)
{
	(void)vfs;
	(void)snprintf(ret, (size_t)size, "%s", path);
	return SQLITE_OK;
}

static int fs_random(sqlite3_vfs *vfs, int count, char *ret)
{
	(void)vfs;
	memset(ret, 7, (size_t)count);
	return count;
}

static int fs_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	fiber_yield();
	return us;
}

static int fs_time(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
	(void)vfs;
	*ret = (sqlite3_int64)24405875 * 8640000 + clock_wall_ms();
	return SQLITE_OK;
}

static int fs_last_error(sqlite3_vfs *vfs, int size, char *text)
{
	(void)vfs;
	if (size > 0)
		text[0] = 0;
	return 0;
}

void vfs_register(void)
{
	static sqlite3_vfs vfs = {
		.iVersion = 2,
		.szOsFile = sizeof(struct handle),
		.mxPathname = PATH_BYTES - 16,
		.zName = "model",
		.xOpen = fs_open,
		.xDelete = fs_delete,
		.xAccess = fs_access,
		.xFullPathname = fs_full_path,
		.xRandomness = fs_random,
		.xSleep = fs_sleep,
		.xGetLastError = fs_last_error,
		.xCurrentTimeInt64 = fs_time,
	};

	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}
