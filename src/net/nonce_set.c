/*
 * An open hash table of 64-bit prints in shared memory. A slot is written once, by compare and
 * exchange, and never changed again; 0 means free. The prints are keyed with a constant, for all
 * processes must agree and nobody attacks a test.
 *
 * Limit: it counts as full, and aborts, at seven eighths.
 */
#include "net/nonce_set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/mem.h"

struct table {
	_Atomic uint64_t count;
	_Atomic uint64_t slots[];
};

struct nonce_set {
	struct table *table;
	size_t bytes;
	uint64_t mask;
};

static const uint8_t print_key[16] = "nonces of a test";

int nonce_set_open(const char *path, unsigned bits, struct nonce_set **ret, struct err *err)
{
	struct nonce_set *s = x_new(struct nonce_set);
	int fd = -1, flags = MAP_SHARED;

	s->bytes = sizeof(struct table) + (sizeof(uint64_t) << bits);
	s->mask = ((uint64_t)1 << bits) - 1;
	if (path == NULL) {
		flags |= MAP_ANONYMOUS;
	} else {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)s->bytes) < 0) {
			(void)err_set_errno(err, errno, "%s", path);
			fd_close(&fd);
			mem_free(s);
			return -1;
		}
	}
	s->table = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
	fd_close(&fd);
	if (s->table == MAP_FAILED) {
		mem_free(s);
		return err_set_errno(err, errno, "mapping the table of nonces");
	}
	*ret = s;
	return 0;
}

void nonce_set_close(struct nonce_set **sp)
{
	struct nonce_set *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	(void)munmap(s->table, s->bytes);
	mem_free(s);
}

uint64_t nonce_set_print(const struct nonce_set *s, const void *key, size_t len)
{
	return siphash(print_key, key, len);
}

void nonce_set_add(struct nonce_set *s, uint64_t key_print, const uint8_t *nonce, size_t len)
{
	uint8_t both[32];
	uint64_t print;

	memcpy(both, &key_print, sizeof(key_print));
	memcpy(both + sizeof(key_print), nonce, MIN(len, sizeof(both) - sizeof(key_print)));
	print = siphash(print_key, both, sizeof(key_print) + len);
	print |= print == 0;
	for (uint64_t at = print;; at++) {
		uint64_t found = 0;

		if (atomic_compare_exchange_strong(&s->table->slots[at & s->mask], &found, print))
			break;
		if (found != print)
			continue;
		(void)fprintf(stderr, "a nonce was used twice: key %016" PRIx64 "\n", key_print);
		abort();
	}
	if (atomic_fetch_add(&s->table->count, 1) >= s->mask / 8 * 7) {
		(void)fprintf(stderr, "the table of nonces is full\n");
		abort();
	}
}

uint64_t nonce_set_count(const struct nonce_set *s)
{
	return atomic_load(&s->table->count);
}
