/*
 * Bodies of requests, in memory or in unnamed files. A file has no name from the start (O_TMPFILE)
 * or at once (unlinked), so a crash leaves nothing behind.
 */
#include "engine/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

void spool_init(struct spool *s)
{
	*s = (struct spool){.fd = -1};
	buf_init(&s->memory, 2 * SPOOL_MEMORY);
}

void spool_deinit(struct spool *s)
{
	if (s->mapped != NULL)
		(void)munmap(s->mapped, s->mapped_len);
	s->mapped = NULL;
	fd_close(&s->fd);
	buf_deinit(&s->memory);
}

void spool_add(struct spool *s, const void *bytes, size_t len)
{
	buf_add(&s->memory, bytes, len);
	s->len += len;
}

/* File systems without O_TMPFILE get a name that is gone at once. */
static int open_unnamed(const char *dir, struct err *err)
{
	char *path;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	path = x_printf("%s/.spool-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		(void)err_set_errno(err, errno, "spool file in %s", dir);
	else
		(void)unlink(path);
	mem_free(path);
	return fd;
}

int spool_flush(struct spool *s, const char *dir, struct err *err)
{
	size_t done = 0;

	if (s->memory.failed)
		return err_set(err, ERR_INTERNAL, "no memory for a request's body");
	if (s->fd < 0)
		s->fd = open_unnamed(dir, err);
	if (s->fd < 0)
		return -1;
	while (done < s->memory.len) {
		ssize_t n = pwrite(
			s->fd, s->memory.data + done, s->memory.len - done, (off_t)s->in_file);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(err, n < 0 ? errno : EIO, "spooling a request's body");
		done += (size_t)n;
		s->in_file += (uint64_t)n;
	}
	buf_clear(&s->memory);
	return 0;
}

int spool_open(
	struct spool *s, const char *dir, const uint8_t **ret, size_t *ret_len, struct err *err)
{
	if (s->memory.failed)
		return err_set(err, ERR_INTERNAL, "no memory for a request's body");
	if (s->fd < 0) {
		*ret = s->memory.data;
		*ret_len = s->memory.len;
		return 0;
	}
	if (spool_flush(s, dir, err) < 0)
		return -1;
	s->mapped_len = (size_t)s->len;
	s->mapped = mmap(NULL, s->mapped_len, PROT_READ, MAP_PRIVATE, s->fd, 0);
	if (s->mapped == MAP_FAILED) {
		s->mapped = NULL;
		return err_set_errno(err, errno, "mapping a request's body");
	}
	*ret = s->mapped;
	*ret_len = s->mapped_len;
	return 0;
}

void spool_passed(const struct spool *s, const void *upto)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)s->mapped, end = (uintptr_t)upto;

	if (s->mapped != NULL && end > begin && end - begin <= s->mapped_len)
		(void)madvise(s->mapped, (size_t)(end - begin) / page * page, MADV_DONTNEED);
}
