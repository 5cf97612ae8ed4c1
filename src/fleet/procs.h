#ifndef BELLHOP_FLEET_PROCS_H
#define BELLHOP_FLEET_PROCS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What processes of this machine use, read from /proc. Blocks for as long as reading takes. Zero
 * for what is gone or may not be read.
 */
struct procs_memory {
	uint64_t private_dirty; /* bytes that only this process has, and has written */
	uint64_t resident;
};

/* Of one process. */
struct procs_memory procs_memory_of(pid_t pid);
/* Of a process and all its descendants. */
struct procs_memory procs_memory_of_tree(pid_t pid);
/* Microseconds on a CPU, with those of threads that have ended. */
double procs_cpu_us(pid_t pid);
double procs_cpu_us_of_tree(pid_t pid);
/* The process and its descendants, parents first; returns how many there are, at most max. */
size_t procs_tree(pid_t pid, pid_t *ret, size_t max);
/* "front 3": /proc/PID/comm without its line end. */
void procs_name(pid_t pid, char *ret, size_t size);

/* What the kernel holds for sockets and epoll, by the names of its caches in /proc/slabinfo. */
struct procs_kernel {
	uint64_t tcp, inode, dentry, file, epoll; /* bytes in use */
	uint64_t total;                           /* their sum */
	int readable; /* 0: only root may read it, and this is nobody of that kind */
};
struct procs_kernel procs_kernel(void);

#endif
