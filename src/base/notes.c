/*
 * The page of notes: a header and slots of two cache lines each.
 *
 * Invariants: a slot is written by the thread that took it (and by the handler on that thread), so
 * plain stores suffice; `kind` is cleared first and written last with a compiler barrier between,
 * which on the processors we run on makes a note whole or absent for whoever reads after the death.
 * `taken` is the only field that threads fight for. `high` says how many slots were ever taken, so
 * that the next process reads no further.
 *
 * The handler touches the thread's slot and the disposition of its signal, nothing else; it runs on
 * an alternate stack, because an overflowed stack is one of the ways to get there. It blames nobody
 * for a signal that another process sent.
 *
 * Limits: SLOTS_MAX threads at once.
 */
#include "base/notes.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define MAGIC       0x62656c6c6e6f7465u
#define LAYOUT      1
#define SLOTS_MAX   12000 /* workers and LMTP connections at their largest settings */
#define STACK_ROOM  ((size_t)16 * 1024)
#define HASHED_ENDS ((size_t)64 * 1024)

struct notes_slot {
	struct note note;
	uint32_t guilty;
	atomic_uint taken;
} __attribute__((aligned(128)));

struct page {
	uint64_t magic;
	uint32_t layout, slot_bytes, slots_max;
	atomic_uint high;
	uint64_t process;
	struct notes_slot slots[SLOTS_MAX];
};

static_assert(sizeof(struct notes_slot) == 128, "a slot is two cache lines");

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static struct sigaction before[ARRAY_LEN(faults)];

/* The process has one page; set before its threads begin. */
static struct page *page;

static _Thread_local struct notes_slot *self;     /* whom a fault of this thread is blamed on */
static _Thread_local struct notes_slot *own_slot; /* what it took */
static _Thread_local stack_t stack_before;
static _Thread_local void *alternate_stack;

/* ---- the page ---- */

static bool fits(const struct page *p)
{
	return p->magic == MAGIC && p->layout == LAYOUT && p->slots_max == SLOTS_MAX &&
	       p->slot_bytes == sizeof(struct notes_slot) && p->high <= SLOTS_MAX;
}

static void format(struct page *p)
{
	memset(p->slots, 0, sizeof(p->slots[0]) * MIN(p->high, SLOTS_MAX));
	p->magic = MAGIC;
	p->layout = LAYOUT;
	p->slots_max = SLOTS_MAX;
	p->slot_bytes = sizeof(struct notes_slot);
	p->high = 0;
	random_bytes(&p->process, sizeof(p->process));
	p->process >>= 1; /* databases know signed numbers only */
}

static struct page *map_page(int fd, struct err *err)
{
	struct page *p;
	struct stat st;

	if (fstat(fd, &st) < 0 ||
		(st.st_size < (off_t)sizeof(*p) && ftruncate(fd, (off_t)sizeof(*p)) < 0)) {
		(void)err_set_errno(err, errno, "the page of notes");
		return NULL;
	}
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		(void)err_set_errno(err, errno, "mapping the page of notes");
		return NULL;
	}
	return p;
}

int notes_create(int *ret_fd, struct err *err)
{
	int fd = memfd_create("notes", MFD_CLOEXEC);
	struct page *p;

	if (fd < 0)
		return err_set_errno(err, errno, "memfd_create");
	p = map_page(fd, err);
	if (p == NULL) {
		(void)close(fd);
		return -1;
	}
	format(p);
	(void)munmap(p, sizeof(*p));
	*ret_fd = fd;
	return 0;
}

static bool is_note(const struct notes_slot *slot)
{
	return slot->note.kind > NOTE_NONE && slot->note.kind < NOTE_KIND_COUNT;
}

bool notes_blame_oldest(int fd, int64_t min_age_ms)
{
	struct notes_slot *oldest = NULL;
	struct err ignored = ERR_INIT;
	struct page *p = map_page(fd, &ignored);
	bool marked = false;

	if (p == NULL)
		return false;
	for (size_t i = 0; fits(p) && i < p->high; i++) {
		struct notes_slot *slot = &p->slots[i];

		marked = marked || slot->guilty != 0;
		if (is_note(slot) && clock_now_ms() - slot->note.begun_ms >= min_age_ms &&
			(oldest == NULL || slot->note.begun_ms < oldest->note.begun_ms))
			oldest = slot;
	}
	if (oldest != NULL && !marked)
		oldest->guilty = 1;
	(void)munmap(p, sizeof(*p));
	return oldest != NULL && !marked;
}

bool notes_marked(int fd)
{
	struct err ignored = ERR_INIT;
	struct page *p = map_page(fd, &ignored);
	bool marked = false;

	if (p == NULL)
		return false;
	for (size_t i = 0; fits(p) && i < p->high; i++)
		marked = marked || (p->slots[i].guilty != 0 && is_note(&p->slots[i]));
	(void)munmap(p, sizeof(*p));
	return marked;
}

size_t notes_guilty(struct note *ret, size_t max, uint64_t *ret_crash)
{
	size_t count = 0;

	if (page == NULL)
		return 0;
	for (size_t i = 0; i < page->high && count < max; i++) {
		const struct notes_slot *slot = &page->slots[i];

		if (slot->guilty == 0 || !is_note(slot))
			continue;
		ret[count] = slot->note;
		ret[count++].what[NOTE_WHAT_MAX - 1] = '\0';
	}
	*ret_crash = page->process;
	return count;
}

void notes_begin_process(void)
{
	if (page != NULL)
		format(page);
}

/* ---- faults ---- */

static void on_fault(int signo, siginfo_t *info, void *context)
{
	bool from_outside = info->si_code <= 0 && info->si_pid != getpid();

	(void)context;
	if (self != NULL && !from_outside)
		self->guilty = 1;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i] == signo)
			(void)sigaction(signo, &before[i], NULL);
	}
	/* A fault of the processor happens again by itself, at the same place, for the core file.
	 */
	if (info->si_code <= 0)
		(void)raise(signo);
}

static int install(struct err *err)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (sigaction(faults[i], &action, &before[i]) < 0)
			return err_set_errno(err, errno, "handling signal %d", faults[i]);
	}
	return 0;
}

int notes_attach(int fd, struct err *err)
{
	struct page *p = map_page(fd, err);

	if (p == NULL)
		return -1;
	if (!fits(p)) {
		p->high = SLOTS_MAX;
		format(p);
	}
	if (page == NULL && install(err) < 0) {
		(void)munmap(p, sizeof(*p));
		return -1;
	}
	if (page != NULL)
		(void)munmap(page, sizeof(*page));
	page = p;
	return 0;
}

/* ---- threads ---- */

static struct notes_slot *take_slot(void)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		struct notes_slot *slot = &page->slots[i];
		unsigned free_ = 0, high = page->high;

		if (!atomic_compare_exchange_strong(&slot->taken, &free_, 1))
			continue;
		while (high < i + 1 && !atomic_compare_exchange_weak(&page->high, &high, i + 1))
			;
		return slot;
	}
	return NULL;
}

static void take_stack(void)
{
	long least = sysconf(_SC_MINSIGSTKSZ);
	size_t bytes = STACK_ROOM + (least > 0 ? (size_t)least : 0);
	stack_t stack = {.ss_size = (bytes + 4095) & ~(size_t)4095};

	/* A sanitizer has made one already. */
	if (sigaltstack(NULL, &stack_before) < 0 || (stack_before.ss_flags & SS_DISABLE) == 0)
		return;
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return;
	if (sigaltstack(&stack, NULL) == 0) {
		alternate_stack = stack.ss_sp;
		stack_before.ss_size = stack.ss_size; /* for leaving; it was disabled */
	} else {
		(void)munmap(stack.ss_sp, stack.ss_size);
	}
}

void notes_thread_join(void)
{
	sigset_t set;

	if (page == NULL || own_slot != NULL)
		return;
	own_slot = self = take_slot();
	if (own_slot == NULL)
		return;
	take_stack();
	/* A blocked fault ends the process without its handler. */
	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		(void)sigaddset(&set, faults[i]);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void notes_thread_leave(void)
{
	const stack_t none = {.ss_flags = SS_DISABLE};

	if (own_slot == NULL)
		return;
	notes_end();
	atomic_store(&own_slot->taken, 0);
	own_slot = self = NULL;
	if (alternate_stack != NULL && sigaltstack(&none, NULL) == 0)
		(void)munmap(alternate_stack, stack_before.ss_size);
	alternate_stack = NULL;
}

struct notes_slot *notes_self(void)
{
	return self;
}

void notes_work_for(struct notes_slot *other)
{
	self = other != NULL ? other : own_slot;
}

/* ---- notes ---- */

void notes_begin(
	enum note_kind kind, uint64_t hash, uint64_t owner, uint64_t device, const char *what)
{
	struct note *n;

	if (self == NULL)
		return;
	n = &self->note;
	n->kind = NOTE_NONE;
	atomic_signal_fence(memory_order_seq_cst);
	n->hash = hash;
	n->owner = owner;
	n->device = device;
	n->item_owner = n->folder = n->item = 0;
	n->begun_ms = clock_now_ms();
	(void)strncpy(n->what, what, sizeof(n->what) - 1);
	atomic_signal_fence(memory_order_seq_cst);
	n->kind = kind;
}

void notes_device(uint64_t device)
{
	if (self != NULL)
		self->note.device = device;
}

void notes_item(uint64_t item_owner, uint64_t folder, uint64_t item)
{
	if (self == NULL)
		return;
	self->note.item = 0;
	atomic_signal_fence(memory_order_seq_cst);
	self->note.item_owner = item_owner;
	self->note.folder = folder;
	atomic_signal_fence(memory_order_seq_cst);
	self->note.item = item;
}

void notes_item_done(void)
{
	if (self != NULL)
		self->note.item = 0;
}

void notes_end(void)
{
	if (self == NULL)
		return;
	self->note.kind = NOTE_NONE;
	self->note.item = 0;
}

uint64_t notes_hash(uint64_t seed, const void *bytes, size_t len)
{
	/* No secret: the number must be the same in the next process. Peers can only make requests
	 * of their own collide. */
	uint64_t key[2] = {seed, len};
	size_t first = MIN(len, HASHED_ENDS), last = MIN(len - first, HASHED_ENDS);

	key[0] = siphash((const uint8_t *)key, bytes, first);
	if (last > 0)
		key[0] = siphash((const uint8_t *)key, (const uint8_t *)bytes + (len - last), last);
	return key[0] >> 1; /* databases know signed numbers only */
}
