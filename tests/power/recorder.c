/*
 * Preloaded into a server (LD_PRELOAD), writes down all that it does to files below POWER_FOLDER,
 * and what it sends, into the file POWER_LOG (log.h). Also what libraries do, such as SQLite,
 * because they call the C library as we do. What is mapped and written to (the -shm file of SQLite)
 * is not seen; it does not outlive a power loss anyway.
 *
 * A call and its record are one step under a mutex, so the order of the log is the order of the
 * effects; a sync has a record before and one after it, because what is written meanwhile may or
 * may not be in it. Nothing is really synced: that is what the replayer is for.
 *
 * Of stdio, only what the server does with files below the folder is followed: fopen() and
 * fwrite(). What else is done with such a file becomes a POWER_TROUBLE when it is closed.
 *
 * Threads: any. Limits: descriptors below FDS.
 */
#include "log.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS      65536
#define SENT_MAX 65536 /* bytes of one send that are kept */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_len;
static int log_fd = -1;
static uint64_t next_sync;
/* Descriptors of files below the folder. */
static bool tracked[FDS];
static uint64_t stdio_bytes[FDS]; /* what was written through fwrite() */

#define REAL(name)                                                                                 \
	static __typeof__(&name) real;                                                             \
	if (real == NULL)                                                                          \
	real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- the log ---- */

static void put(
	const struct power_record *r, const char *path, const char *other, const void *bytes)
{
	static const char zeros[8];
	uint64_t len = sizeof(*r) + (uint64_t)r->path_len + r->other_len + r->bytes_len;
	struct iovec v[5] = {{(void *)(uintptr_t)r, sizeof(*r)},
		{(void *)(uintptr_t)path, r->path_len}, {(void *)(uintptr_t)other, r->other_len},
		{(void *)(uintptr_t)bytes, r->bytes_len},
		{(void *)(uintptr_t)zeros, POWER_ALIGN(len) - len}};

	if (syscall(SYS_writev, log_fd, v, 5) != (long)POWER_ALIGN(len))
		abort();
}

static void record(enum power_kind kind, uint64_t inode, uint64_t offset, const char *path,
	const char *other, const void *bytes, size_t len)
{
	struct power_record r = {.kind = kind,
		.path_len = path != NULL ? (uint32_t)strlen(path) : 0,
		.other_len = other != NULL ? (uint32_t)strlen(other) : 0,
		.bytes_len = (uint32_t)len,
		.inode = inode,
		.offset = offset};

	put(&r, path, other, bytes);
}

static void trouble(const char *text)
{
	record(POWER_TROUBLE, 0, 0, NULL, NULL, text, strlen(text));
}

__attribute__((constructor)) static void begin(void)
{
	const char *where = getenv("POWER_FOLDER"), *log = getenv("POWER_LOG");
	struct stat st;

	if (where == NULL || log == NULL || realpath(where, folder) == NULL ||
		stat(folder, &st) < 0)
		return;
	folder_len = strlen(folder);
	/* Out of the way of descriptors that are handed on by number. */
	log_fd = (int)syscall(
		SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (log_fd < 0)
		abort();
	log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 900);
	record(POWER_ROOT, st.st_ino, 0, NULL, NULL, NULL, 0);
}

/* ---- names ---- */

/* The path relative to the folder, or NULL when it lies elsewhere. */
static const char *below(int dir, const char *path, char text[PATH_MAX])
{
	char link[64];
	ssize_t n = 0;

	if (log_fd < 0 || path == NULL)
		return NULL;
	if (path[0] != '/') {
		if (dir == AT_FDCWD)
			(void)snprintf(link, sizeof(link), "/proc/self/cwd");
		else
			(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		n = readlink(link, text, PATH_MAX - 2);
		if (n <= 0)
			return NULL;
		if (path[0] != 0)
			text[n++] = '/';
	}
	if ((size_t)n + strlen(path) + 1 > PATH_MAX)
		return NULL;
	strcpy(text + n, path);
	if (strncmp(text, folder, folder_len) != 0)
		return NULL;
	if (text[folder_len] == 0)
		return text + folder_len;
	return text[folder_len] == '/' ? text + folder_len + 1 : NULL;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static bool is_tracked(int fd)
{
	return log_fd >= 0 && fd >= 0 && fd < FDS && tracked[fd];
}

static bool exists(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* After an open that may have made or emptied the file. */
static void opened(int fd, const char *name, bool was_there, bool truncates)
{
	if (fd < 0 || fd >= FDS)
		return;
	tracked[fd] = true;
	stdio_bytes[fd] = 0;
	if (!was_there)
		record(POWER_CREATE, inode_of(fd), 0, name, NULL, NULL, 0);
	else if (truncates)
		record(POWER_TRUNCATE, inode_of(fd), 0, NULL, NULL, NULL, 0);
}

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
	char text[PATH_MAX];
	const char *name = (flags & O_TMPFILE) == O_TMPFILE ? NULL : below(dir, path, text);
	bool was_there;
	int fd;

	if (name == NULL) {
		fd = (int)syscall(SYS_openat, dir, path, flags, mode);
		if (fd >= 0 && fd < FDS)
			tracked[fd] = false;
		return fd;
	}
	(void)pthread_mutex_lock(&mutex);
	was_there = exists(dir, path);
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	opened(fd, name, was_there, (flags & O_TRUNC) != 0);
	(void)pthread_mutex_unlock(&mutex);
	return fd;
}

#define OPEN_MODE(flags)                                                                           \
	mode_t mode = 0;                                                                           \
	if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                          \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
	}

int open(const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(dir, path, flags, mode);
}

/* What a fortified program calls when no file can be made. */
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

int __openat64_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags)
{
	return do_open(dir, path, flags, 0);
}

DIR *opendir(const char *path)
{
	char text[PATH_MAX];
	DIR *dir;

	REAL(opendir);
	dir = real(path);
	if (dir != NULL && dirfd(dir) < FDS)
		tracked[dirfd(dir)] = below(AT_FDCWD, path, text) != NULL;
	return dir;
}

int mkdir(const char *path, mode_t mode)
{
	char text[PATH_MAX];
	const char *name = below(AT_FDCWD, path, text);
	struct stat st;
	int rc;

	(void)pthread_mutex_lock(&mutex);
	rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
	if (rc == 0 && name != NULL && stat(path, &st) == 0)
		record(POWER_MKDIR, st.st_ino, 0, name, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&mutex);
	return rc;
}

static int remove_name(int dir, const char *path, int flags)
{
	char text[PATH_MAX];
	const char *name = below(dir, path, text);
	int rc;

	(void)pthread_mutex_lock(&mutex);
	rc = (int)syscall(SYS_unlinkat, dir, path, flags);
	if (rc == 0 && name != NULL)
		record((flags & AT_REMOVEDIR) != 0 ? POWER_RMDIR : POWER_UNLINK, 0, 0, name, NULL,
			NULL, 0);
	(void)pthread_mutex_unlock(&mutex);
	return rc;
}

int unlink(const char *path)
{
	return remove_name(AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
	return remove_name(dir, path, flags);
}

int rmdir(const char *path)
{
	return remove_name(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -1;
	return remove_name(AT_FDCWD, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

static int two_names(enum power_kind kind, int dir, const char *path, int other_dir,
	const char *other, int number)
{
	char text[PATH_MAX], other_text[PATH_MAX];
	const char *name = below(dir, path, text), *new = below(other_dir, other, other_text);
	int rc;

	(void)pthread_mutex_lock(&mutex);
	rc = (int)syscall(number, dir, path, other_dir, other, 0);
	if (rc == 0 && name != NULL && new != NULL)
		record(kind, 0, 0, name, new, NULL, 0);
	else if (rc == 0 && (name != NULL || new != NULL))
		trouble("a name came or went across the folder's border");
	(void)pthread_mutex_unlock(&mutex);
	return rc;
}

int rename(const char *from, const char *to)
{
	return two_names(POWER_RENAME, AT_FDCWD, from, AT_FDCWD, to, SYS_renameat2);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return two_names(POWER_RENAME, from_dir, from, to_dir, to, SYS_renameat2);
}

int link(const char *from, const char *to)
{
	return two_names(POWER_LINK, AT_FDCWD, from, AT_FDCWD, to, SYS_linkat);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	(void)flags;
	return two_names(POWER_LINK, from_dir, from, to_dir, to, SYS_linkat);
}

/* ---- bytes ---- */

static ssize_t write_at(int fd, const void *bytes, size_t len, off_t at)
{
	ssize_t n;

	if (!is_tracked(fd))
		return syscall(SYS_pwrite64, fd, bytes, len, at);
	(void)pthread_mutex_lock(&mutex);
	n = syscall(SYS_pwrite64, fd, bytes, len, at);
	if (n > 0)
		record(POWER_WRITE, inode_of(fd), (uint64_t)at, NULL, NULL, bytes, (size_t)n);
	(void)pthread_mutex_unlock(&mutex);
	return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return write_at(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	return write_at(fd, bytes, len, at);
}

static off_t write_position(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return lseek(fd, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	off_t at;
	ssize_t n;

	if (!is_tracked(fd))
		return syscall(SYS_write, fd, bytes, len);
	(void)pthread_mutex_lock(&mutex);
	at = write_position(fd);
	n = syscall(SYS_write, fd, bytes, len);
	if (n > 0)
		record(POWER_WRITE, inode_of(fd), (uint64_t)at, NULL, NULL, bytes, (size_t)n);
	(void)pthread_mutex_unlock(&mutex);
	return n;
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	if (is_tracked(fd))
		trouble("writev");
	return syscall(SYS_writev, fd, v, count);
}

static int truncate_to(int fd, off_t size)
{
	int rc;

	(void)pthread_mutex_lock(&mutex);
	rc = (int)syscall(SYS_ftruncate, fd, size);
	if (rc == 0 && is_tracked(fd))
		record(POWER_TRUNCATE, inode_of(fd), (uint64_t)size, NULL, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&mutex);
	return rc;
}

int ftruncate(int fd, off_t size)
{
	return truncate_to(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return truncate_to(fd, size);
}

static int do_sync(int fd, int number)
{
	char link[64], path[PATH_MAX];
	uint64_t token;
	const char *name;
	ssize_t n;

	if (!is_tracked(fd))
		return (int)syscall(number, fd);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	name = (size_t)n > folder_len ? path + folder_len + 1 : "";
	(void)pthread_mutex_lock(&mutex);
	token = ((uint64_t)getpid() << 32) | ++next_sync;
	record(POWER_SYNC_BEGIN, inode_of(fd), token, name, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&mutex);
	/* A disk takes its time: others shall get between. */
	(void)sched_yield();
	(void)pthread_mutex_lock(&mutex);
	record(POWER_SYNC_END, 0, token, NULL, NULL, NULL, 0);
	(void)pthread_mutex_unlock(&mutex);
	return 0;
}

int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		tracked[fd] = false;
	return (int)syscall(SYS_close, fd);
}

/* ---- stdio ---- */

static FILE *follow(FILE *(*real)(const char *, const char *), const char *path, const char *mode)
{
	char text[PATH_MAX];
	const char *name = below(AT_FDCWD, path, text);
	bool was_there;
	FILE *f;

	if (name == NULL) {
		f = real(path, mode);
		if (f != NULL && fileno(f) < FDS)
			tracked[fileno(f)] = false;
		return f;
	}
	(void)pthread_mutex_lock(&mutex);
	was_there = exists(AT_FDCWD, path);
	f = real(path, mode);
	if (f != NULL)
		opened(fileno(f), name, was_there, mode[0] == 'w');
	(void)pthread_mutex_unlock(&mutex);
	return f;
}

FILE *fopen(const char *path, const char *mode)
{
	REAL(fopen);
	return follow(real, path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	REAL(fopen64);
	return follow(real, path, mode);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *f)
{
	size_t n;
	off_t at;

	REAL(fwrite);
	if (!is_tracked(fileno(f)))
		return real(bytes, size, count, f);
	(void)pthread_mutex_lock(&mutex);
	at = ftello(f);
	n = real(bytes, size, count, f);
	(void)fflush(f);
	record(POWER_WRITE, inode_of(fileno(f)), (uint64_t)at, NULL, NULL, bytes, n * size);
	stdio_bytes[fileno(f)] += n * size;
	(void)pthread_mutex_unlock(&mutex);
	return n;
}

int fclose(FILE *f)
{
	int fd = fileno(f);

	REAL(fclose);
	if (is_tracked(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) {
		struct stat st;

		(void)fflush(f);
		if (fstat(fd, &st) == 0 && (uint64_t)st.st_size != stdio_bytes[fd])
			trouble("a stream was written by something else than fwrite");
	}
	if (fd >= 0 && fd < FDS)
		tracked[fd] = false;
	return real(f);
}

/* ---- what is said ---- */

static bool is_engine(void)
{
	static int known; /* 0: not yet */
	char name[32] = "";
	int fd;

	if (known == 0) {
		fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/comm", O_RDONLY | O_CLOEXEC);
		(void)!read(fd, name, sizeof(name) - 1);
		(void)syscall(SYS_close, fd);
		known = strcmp(name, "engine\n") == 0 ? 1 : -1;
	}
	return known > 0;
}

static void said(int fd, const void *bytes, size_t len)
{
	struct sockaddr_storage a = {0};
	socklen_t a_len = sizeof(a);
	uint64_t port = 0;

	if (log_fd < 0 || len == 0 || !is_engine())
		return;
	if (getpeername(fd, (struct sockaddr *)&a, &a_len) == 0 && a.ss_family == AF_INET)
		port = ntohs(((struct sockaddr_in *)&a)->sin_port);
	(void)pthread_mutex_lock(&mutex);
	record(POWER_SENT, 0, port, NULL, NULL, bytes, len < SENT_MAX ? len : SENT_MAX);
	(void)pthread_mutex_unlock(&mutex);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	said(fd, bytes, len);
	return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		said(fd, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
	return syscall(SYS_sendmsg, fd, msg, flags);
}
