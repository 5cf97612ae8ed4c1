/*
 * The same small story again and again, and each time another step of it fails: the n-th statement,
 * write, fsync, read or lock, or the process ends at the n-th write. Until a story has come to its
 * end untouched.
 */
#include "base/mem.h"
#include "scenario.h"

enum { STORY_STEPS_MAX = 2000 };

/* Faults are on while it is told. */
static void tell(struct world *w, struct phone *a, struct phone *b)
{
	struct effect e = {.folder = 0, .item = 5, .deletes = true};
	struct request *r;

	scenario_want(w, a, 0, 2, GROUP_READ, 1);
	scenario_want(w, a, 0, 3, GROUP_FLAG, ++w->next_value);
	scenario_want_gone(a, 0, 4);
	r = scenario_write(w, a, 0, 3);
	scenario_send(w, a, r, true);
	request_free(&r);
	run_mail(w, 1, 0);
	client_do(w, &e, 2);
	scenario_want(w, b, 0, 2, GROUP_CATEGORY, ++w->next_value);
	r = scenario_write(w, b, 0, 2);
	scenario_send(w, b, r, true);
	request_free(&r);
}

/* True: the fault did strike. */
static bool tell_with(struct world *w, enum vfs_fault fault, enum err_code code, unsigned n)
{
	unsigned long faults = vfs_fault_count();
	struct phone *a, *b;
	bool struck;

	world_reset(w, n);
	run_mail(w, 6, 0);
	a = scenario_phone(w, 0, "14.1", 0, 1);
	b = scenario_phone(w, 1, "16.1", 0, 0);
	w->troubles = 0;
	w->trouble = true;
	if (code != ERR_NONE)
		store_fail_after(w->store, n, code);
	else
		vfs_set_fault(fault, n);
	tell(w, a, b);
	struck = w->troubles > 0 || vfs_fault_count() > faults;
	run_recover(w);
	run_settle(w);
	return struck;
}

static void each_step(struct world *w, enum vfs_fault fault, enum err_code code, const char *what)
{
	unsigned n = 1;

	while (n < STORY_STEPS_MAX && !w->failed && tell_with(w, fault, code, n))
		n++;
	if (w->failed)
		model_trace(w, -1, "the %u-th", n);
	if (n < 3 && !w->failed)
		model_fail(w, -1, "no fault ever struck: %s", what);
}

void scenario_faults(struct world *w)
{
	each_step(w, VFS_FAULT_NONE, ERR_QUOTA, "statements, disk full");
	each_step(w, VFS_FAULT_NONE, ERR_BACKEND, "statements, I/O error");
	each_step(w, VFS_FAULT_NONE, ERR_BUSY, "statements, busy");
	each_step(w, VFS_FAULT_FULL, ERR_NONE, "writes, disk full");
	each_step(w, VFS_FAULT_WRITE, ERR_NONE, "writes, I/O error");
	each_step(w, VFS_FAULT_SYNC, ERR_NONE, "fsync, I/O error");
	each_step(w, VFS_FAULT_READ, ERR_NONE, "reads, I/O error");
	each_step(w, VFS_FAULT_BUSY, ERR_NONE, "locks, busy");
}

void scenario_cuts(struct world *w)
{
	each_step(w, VFS_FAULT_CUT, ERR_NONE, "cuts");
}
