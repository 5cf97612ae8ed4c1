/*
 * Debug builds only: what stands between our code and the C library (pure.h). The linker turns each
 * of our calls of f into one of __wrap_f, and __real_f into f. The list stands twice: here, and in
 * meson.build, which tells the linker; a name that is missing in either breaks the build as soon as
 * it is used.
 *
 * Not in the list: random numbers, which may differ when a transaction runs again, and mmap, which
 * needs a descriptor first.
 *
 * Threads: any. Wrappers keep errno and everything else as they are.
 */
#include "base/pure.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One wrapper: result, name, parameters, and the same as arguments. */
#define WRAP(type, name, params, args)                                                             \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		pure_check(#name);                                                                 \
		return __real_##name args;                                                         \
	}

/* Calls that have another name where off_t has 64 bits: which one is taken is a matter of flags. */
#define WRAP_LARGE(type, name, params, args)                                                       \
	WRAP(type, name, params, args) WRAP(type, name##64, params, args)

/* ---- descriptors ---- */
WRAP(int, close, (int fd), (fd))
WRAP(ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len))
WRAP(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len))
WRAP_LARGE(ssize_t, pread, (int fd, void *bytes, size_t len, off_t at), (fd, bytes, len, at))
WRAP_LARGE(ssize_t, pwrite, (int fd, const void *bytes, size_t len, off_t at), (fd, bytes, len, at))
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int count), (fd, v, count))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int count), (fd, v, count))
WRAP_LARGE(off_t, lseek, (int fd, off_t at, int whence), (fd, at, whence))
WRAP_LARGE(int, ftruncate, (int fd, off_t len), (fd, len))
WRAP_LARGE(int, posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len))
WRAP_LARGE(int, fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, syncfs, (int fd), (fd))
WRAP_LARGE(ssize_t, sendfile, (int to, int from, off_t *at, size_t len), (to, from, at, len))
WRAP(ssize_t, copy_file_range,
	(int from, off_t *from_at, int to, off_t *to_at, size_t len, unsigned flags),
	(from, from_at, to, to_at, len, flags))

#define WRAP_OPEN(name)                                                                            \
	int __real_##name(const char *path, int flags, ...);                                       \
	int __wrap_##name(const char *path, int flags, ...);                                       \
	int __wrap_##name(const char *path, int flags, ...)                                        \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		pure_check(#name);                                                                 \
		va_start(ap, flags);                                                               \
		mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;                                 \
		va_end(ap);                                                                        \
		return __real_##name(path, flags, mode);                                           \
	}
#define WRAP_OPENAT(name)                                                                          \
	int __real_##name(int dir, const char *path, int flags, ...);                              \
	int __wrap_##name(int dir, const char *path, int flags, ...);                              \
	int __wrap_##name(int dir, const char *path, int flags, ...)                               \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		pure_check(#name);                                                                 \
		va_start(ap, flags);                                                               \
		mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;                                 \
		va_end(ap);                                                                        \
		return __real_##name(dir, path, flags, mode);                                      \
	}

/* Only then there is a third (fourth) argument. */
static bool makes_file(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

/* ---- names ---- */
WRAP_LARGE(int, stat, (const char *path, struct stat *st), (path, st))
WRAP_LARGE(int, lstat, (const char *path, struct stat *st), (path, st))
WRAP_LARGE(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP_LARGE(int, fstatat, (int dir, const char *path, struct stat *st, int flags),
	(dir, path, st, flags))
WRAP(int, access, (const char *path, int mode), (path, mode))
WRAP_LARGE(int, truncate, (const char *path, off_t len), (path, len))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
	(from_dir, from, to_dir, to))
WRAP(int, remove, (const char *path), (path))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(int, link, (const char *from, const char *to), (from, to))
WRAP(int, symlink, (const char *target, const char *path), (target, path))
WRAP(ssize_t, readlink, (const char *path, char *ret, size_t size), (path, ret, size))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
WRAP(int, rmdir, (const char *path), (path))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, chown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
WRAP(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
WRAP_LARGE(int, mkstemp, (char *template), (template))
WRAP_LARGE(int, mkostemp, (char *template, int flags), (template, flags))
WRAP(char *, mkdtemp, (char *template), (template))
WRAP(DIR *, opendir, (const char *path), (path))
WRAP(DIR *, fdopendir, (int fd), (fd))
WRAP_LARGE(struct dirent *, readdir, (DIR * dir), (dir))
WRAP(int, closedir, (DIR * dir), (dir))
WRAP(char *, realpath, (const char *path, char *ret), (path, ret))
WRAP(int, flock, (int fd, int op), (fd, op))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, eventfd, (unsigned value, int flags), (value, flags))

/* ---- streams ---- */
WRAP_LARGE(FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode))
WRAP_LARGE(FILE *, freopen, (const char *path, const char *mode, FILE *f), (path, mode, f))
WRAP(int, fclose, (FILE * f), (f))
WRAP(int, fflush, (FILE * f), (f))
WRAP(size_t, fread, (void *bytes, size_t size, size_t count, FILE *f), (bytes, size, count, f))
WRAP(size_t, fwrite, (const void *bytes, size_t size, size_t count, FILE *f),
	(bytes, size, count, f))
WRAP(char *, fgets, (char *line, int size, FILE *f), (line, size, f))
WRAP(ssize_t, getline, (char **line, size_t *size, FILE *f), (line, size, f))
WRAP(int, fputs, (const char *text, FILE *f), (text, f))
WRAP(int, fputc, (int c, FILE *f), (c, f))
WRAP(int, getc, (FILE * f), (f))
WRAP(int, getchar, (void), ())
WRAP(int, puts, (const char *text), (text))
WRAP(int, putchar, (int c), (c))

int __real_vfprintf(FILE *f, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_vfprintf(FILE *f, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_vfprintf(FILE *f, const char *fmt, va_list ap)
{
	pure_check("vfprintf");
	return __real_vfprintf(f, fmt, ap);
}

int __wrap_vprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
int __wrap_vprintf(const char *fmt, va_list ap)
{
	pure_check("vprintf");
	return __real_vfprintf(stdout, fmt, ap);
}

int __wrap_fprintf(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int __wrap_fprintf(FILE *f, const char *fmt, ...)
{
	va_list ap;
	int rc;

	pure_check("fprintf");
	va_start(ap, fmt);
	rc = __real_vfprintf(f, fmt, ap);
	va_end(ap);
	return rc;
}

int __wrap_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int __wrap_printf(const char *fmt, ...)
{
	va_list ap;
	int rc;

	pure_check("printf");
	va_start(ap, fmt);
	rc = __real_vfprintf(stdout, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- sockets ---- */
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds))
WRAP(int, pipe, (int fds[2]), (fds))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
WRAP(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),
	(fd, addr, len, flags))
WRAP(ssize_t, send, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, sendto,
	(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
		socklen_t to_len),
	(fd, bytes, len, flags, to, to_len))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
WRAP(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, recvfrom,
	(int fd, void *bytes, size_t len, int flags, struct sockaddr *from, socklen_t *from_len),
	(fd, bytes, len, flags, from, from_len))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, getaddrinfo,
	(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret),
	(host, service, hints, ret))

/* ---- waiting, processes ---- */
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, ppoll,
	(struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
	(fds, count, timeout, mask))
WRAP(int, select, (int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout),
	(count, in, out, other, timeout))
WRAP(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout),
	(fd, events, count, timeout))
WRAP(int, epoll_ctl, (int fd, int op, int other, struct epoll_event *event), (fd, op, other, event))
WRAP(int, nanosleep, (const struct timespec *wait, struct timespec *left), (wait, left))
WRAP(int, clock_nanosleep,
	(clockid_t id, int flags, const struct timespec *wait, struct timespec *left),
	(id, flags, wait, left))
WRAP(int, usleep, (useconds_t us), (us))
WRAP(unsigned, sleep, (unsigned s), (s))
WRAP(int, sched_yield, (void), ())
WRAP(pid_t, fork, (void), ())
WRAP(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
WRAP(int, execv, (const char *path, char *const args[]), (path, args))
WRAP(struct passwd *, getpwnam, (const char *name), (name))
WRAP(int, kill, (pid_t pid, int signal), (pid, signal))

/* ---- clocks ---- */
WRAP(int, clock_gettime, (clockid_t id, struct timespec *ts), (id, ts))
WRAP(int, gettimeofday, (struct timeval * tv, void *zone), (tv, zone))
WRAP(time_t, time, (time_t * ret), (ret))

/* ---- locks ---- */
WRAP(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
WRAP(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))
WRAP(int, pthread_mutex_timedlock, (pthread_mutex_t * mutex, const struct timespec *until),
	(mutex, until))
WRAP(int, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))
WRAP(int, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))
WRAP(int, pthread_cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
WRAP(int, pthread_cond_timedwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *until),
	(cond, mutex, until))
WRAP(int, pthread_cond_clockwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t id, const struct timespec *until),
	(cond, mutex, id, until))
WRAP(int, pthread_cond_signal, (pthread_cond_t * cond), (cond))
WRAP(int, pthread_cond_broadcast, (pthread_cond_t * cond), (cond))
WRAP(int, pthread_once, (pthread_once_t * once, void (*fn)(void)), (once, fn))
WRAP(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *owner),
	(thread, attr, fn, owner))
WRAP(int, pthread_join, (pthread_t thread, void **ret), (thread, ret))
WRAP(int, sem_wait, (sem_t * sem), (sem))
WRAP(int, sem_post, (sem_t * sem), (sem))
