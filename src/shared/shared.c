/*
 * The memory that all fronts share: making, mapping, and the parts of the processes.
 *
 * Owns: the mapping. The sizes are written once, before the descriptor is handed on, and checked
 * against the length of the file when it is mapped, so that no table reaches beyond it; pages are
 * used only as far as they are written to.
 *
 * A part belongs to the process whose pid is in it. It is released by that process, or by the
 * supervisor when that has died: never by both, because a process that releases its part does so
 * before it exits. Limits: the sizes.
 */
#include "shared/shared.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "shared/shared_internal.h"

#define MAGIC      0x62656c6c73686172u
#define LAYOUT     (4 + SHARED_OTHER_LAYOUT)
#define PAGE_BYTES ((uint64_t)4096)
#define COUNTS_MAX (1u << 26)

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 2 * SHARED_BUCKET;

	while (p < n && p < COUNTS_MAX)
		p *= 2;
	return p;
}

static uint64_t place_table(uint64_t *at, uint64_t bytes)
{
	uint64_t here = *at;

	*at = (here + bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	return here;
}

static void lay_out(struct shared_page *p)
{
	uint64_t at = 0;

	(void)place_table(&at, sizeof(*p));
	p->parts_at = place_table(&at, (uint64_t)p->sizes.parts * sizeof(struct shared_part));
	p->slots_at = place_table(
		&at, (uint64_t)p->sizes.parts * p->sizes.part_slots * sizeof(struct shared_slot));
	p->counts_at = place_table(&at, (uint64_t)p->sizes.counts * sizeof(uint64_t));
	p->rates_at = place_table(&at, (uint64_t)p->sizes.rates * sizeof(uint64_t));
	p->devices_at = place_table(&at, (uint64_t)p->sizes.rates * sizeof(uint64_t));
	p->paths_at = place_table(&at, (uint64_t)p->sizes.paths * sizeof(struct shared_path));
	p->counters_at =
		place_table(&at, (uint64_t)p->sizes.parts * sizeof(struct shared_counters));
	p->bytes = at;
}

int shared_create(const struct shared_sizes *sizes, int *ret_fd, struct err *err)
{
	static const struct shared_page empty;
	struct shared_page page = empty;
	int fd = memfd_create("shared", MFD_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, errno, "memfd_create");
	page.magic = MAGIC;
	page.layout = LAYOUT;
	page.sizes = *sizes;
	page.sizes.counts = power_of_two(sizes->counts);
	page.sizes.rates = power_of_two(sizes->rates);
	page.sizes.paths = power_of_two(sizes->paths);
	random_bytes(page.key, sizeof(page.key));
	random_bytes(&page.proof, sizeof(page.proof));
	lay_out(&page);
	if (ftruncate(fd, (off_t)page.bytes) < 0 ||
		pwrite(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page)) {
		int saved = errno;

		fd_close(&fd);
		return err_set_errno(err, saved, "memory that the fronts share");
	}
	*ret_fd = fd;
	return 0;
}

/* Of this version, and as long as it says? */
static bool fits(const struct shared_page *p, uint64_t bytes)
{
	struct shared_page expected = *p;

	if (p->layout != LAYOUT || p->sizes.counts > COUNTS_MAX || p->sizes.rates > COUNTS_MAX ||
		p->sizes.paths > COUNTS_MAX)
		return false;
	lay_out(&expected);
	return expected.bytes == p->bytes && expected.slots_at == p->slots_at &&
	       expected.counts_at == p->counts_at && expected.rates_at == p->rates_at &&
	       expected.devices_at == p->devices_at && expected.paths_at == p->paths_at &&
	       expected.counters_at == p->counters_at && p->bytes <= bytes;
}

int shared_open(int fd, struct shared **ret, struct err *err)
{
	struct shared_page page;
	struct shared *s;
	struct stat st;
	uint8_t *map;

	if (fstat(fd, &st) < 0)
		return err_set_errno(err, errno, "memory that the fronts share");
	if (pread(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page) || page.magic != MAGIC)
		return err_set(err, ERR_BAD_INPUT, "this is no memory that the fronts share");
	if (!fits(&page, (uint64_t)st.st_size))
		return err_set(err, ERR_CONFLICT,
			"the memory that the fronts share was made by another version");
	map = mmap(NULL, page.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return err_set_errno(err, errno, "mapping what the fronts share");
	s = x_new(struct shared);
	s->page = (struct shared_page *)(void *)map;
	s->parts = (struct shared_part *)(void *)(map + page.parts_at);
	s->slots = (struct shared_slot *)(void *)(map + page.slots_at);
	s->counts = (atomic_uint_least64_t *)(void *)(map + page.counts_at);
	s->rates = (atomic_uint_least64_t *)(void *)(map + page.rates_at);
	s->devices = (atomic_uint_least64_t *)(void *)(map + page.devices_at);
	s->paths = (struct shared_path *)(void *)(map + page.paths_at);
	s->counters = (struct shared_counters *)(void *)(map + page.counters_at);
	*ret = s;
	return 0;
}

void shared_close(struct shared **sp)
{
	struct shared *s = TAKE(*sp);

	if (s == NULL)
		return;
	(void)munmap(s->page, s->page->bytes);
	mem_free(s);
}

uint32_t shared_part_slots(const struct shared *s)
{
	return s->page->sizes.part_slots;
}

uint64_t shared_overflows(const struct shared *s)
{
	return atomic_load_explicit(&s->page->overflows, memory_order_relaxed);
}

uint64_t shared_hash(const struct shared *s, const void *bytes, size_t len)
{
	return siphash(s->page->key, bytes, len);
}

uint64_t shared_proof(const struct shared *s)
{
	return s->page->proof;
}

/* ---- parts ---- */

int shared_part_take(struct shared *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->page->sizes.parts; i++) {
		int nobody = 0;

		if (atomic_compare_exchange_strong(&s->parts[i].pid, &nobody, pid))
			return (int)i;
	}
	return -1;
}

void shared_part_release(struct shared *s, int part)
{
	struct shared_part *p = &s->parts[part];
	uint32_t used = MIN(atomic_load(&p->used), s->page->sizes.part_slots);

	for (uint32_t i = 0; i < used; i++)
		shared_slot_release(s, part, i);
	shared_counters_release(s, part);
	(void)atomic_fetch_sub(&s->page->connections, atomic_exchange(&p->connections, 0));
	atomic_store(&p->used, 0);
	atomic_store(&p->pid, 0);
}

void shared_bury(struct shared *s, pid_t pid)
{
	for (uint32_t i = 0; i < s->page->sizes.parts; i++) {
		if (atomic_load(&s->parts[i].pid) == pid)
			shared_part_release(s, (int)i);
	}
	shared_tend(s);
}

/* ---- all connections ---- */

/*
 * The part's number is raised before and lowered after that of all, so that a process killed in
 * between leaves the sum one too low at most, until the next start: a limit of thousands can bear
 * one more, but not one less for ever.
 */
bool shared_connect(struct shared *s, int part, uint64_t limit)
{
	uint64_t before;

	(void)atomic_fetch_add(&s->parts[part].connections, 1);
	before = atomic_fetch_add(&s->page->connections, 1);
	if (limit == 0 || before < limit)
		return true;
	shared_disconnect(s, part);
	return false;
}

void shared_disconnect(struct shared *s, int part)
{
	(void)atomic_fetch_sub(&s->page->connections, 1);
	(void)atomic_fetch_sub(&s->parts[part].connections, 1);
}

uint64_t shared_connections(const struct shared *s)
{
	int64_t n = (int64_t)atomic_load(&s->page->connections);

	return n > 0 ? (uint64_t)n : 0;
}
