/*
 * What another release left of the memory that the fronts share. Whatever was taken comes out again
 * as the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "shared/shared_carry.h"
#include "shared/shared_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct shared_sizes sizes = {1, 4, 16, 16, 64};

static struct shared *make(void)
{
	struct shared *s = NULL;
	struct err err = ERR_INIT;
	int fd = -1;

	if (shared_create(&sizes, &fd, &err) < 0 || shared_open(fd, &s, &err) < 0)
		abort();
	fd_close(&fd);
	return s;
}

static void take(struct shared *s, const struct buf *carry)
{
	struct err err = ERR_INIT;

	if (carry->failed || shared_import(s, carry->data, carry->len, &err) < 0)
		abort();
}

/* Where there is no free place, one may push another out. */
static bool is_full(const struct shared *s)
{
	for (uint32_t i = 0; i < sizes.paths; i++) {
		if (atomic_load(&s->paths[i].key) == 0)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct shared *first = make(), *second = make(), *third = make();
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct err err = ERR_INIT;

	(void)!shared_import(first, bytes, len, &err);
	shared_export(first, &once);
	take(second, &once);
	shared_export(second, &twice);
	take(third, &twice);
	if (once.len != twice.len && !is_full(first))
		abort();
	buf_deinit(&once);
	buf_deinit(&twice);
	shared_close(&first);
	shared_close(&second);
	shared_close(&third);
	return 0;
}
