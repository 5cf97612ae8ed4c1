/*
 * /proc: memory, CPU time, process trees, slab caches. Nothing is kept. Limits: TREE_MAX processes.
 */
#include "fleet/procs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define TREE_MAX 1024

/* The whole of a small file; "" when it is gone. */
static void read_small(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f != NULL) {
		n = fread(text, 1, size - 1, f);
		(void)fclose(f);
	}
	text[n] = 0;
}

static uint64_t kib_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

struct procs_memory procs_memory_of(pid_t pid)
{
	char path[64], text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	read_small(path, text, sizeof(text));
	return (struct procs_memory){kib_of(text, "\nPrivate_Dirty:"), kib_of(text, "\nRss:")};
}

/* Adds the children of one thread. */
static size_t add_children(pid_t pid, const char *task, pid_t *ret, size_t count, size_t max)
{
	char path[600], text[8192];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, task);
	read_small(path, text, sizeof(text));
	for (char *word = text + strspn(text, " \n"); *word != 0 && count < max;) {
		size_t len = strcspn(word, " \n");

		if (sscanf(word, "%d", &ret[count]) != 1)
			break;
		count++;
		word += len;
		word += strspn(word, " \n");
	}
	return count;
}

size_t procs_tree(pid_t pid, pid_t *ret, size_t max)
{
	size_t count = 0;

	if (max == 0)
		return 0;
	ret[count++] = pid;
	for (size_t i = 0; i < count; i++) {
		char path[64];
		struct dirent *task;
		DIR *tasks;

		(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)ret[i]);
		tasks = opendir(path);
		while (tasks != NULL && (task = readdir(tasks)) != NULL) {
			if (task->d_name[0] != '.')
				count = add_children(ret[i], task->d_name, ret, count, max);
		}
		if (tasks != NULL)
			(void)closedir(tasks);
	}
	return count;
}

struct procs_memory procs_memory_of_tree(pid_t pid)
{
	pid_t pids[TREE_MAX];
	size_t count = procs_tree(pid, pids, TREE_MAX);
	struct procs_memory sum = {0};

	for (size_t i = 0; i < count; i++) {
		struct procs_memory one = procs_memory_of(pids[i]);

		sum.private_dirty += one.private_dirty;
		sum.resident += one.resident;
	}
	return sum;
}

double procs_cpu_us(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

double procs_cpu_us_of_tree(pid_t pid)
{
	pid_t pids[TREE_MAX];
	size_t count = procs_tree(pid, pids, TREE_MAX);
	double sum_us = 0;

	for (size_t i = 0; i < count; i++)
		sum_us += procs_cpu_us(pids[i]);
	return sum_us;
}

void procs_name(pid_t pid, char *ret, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	read_small(path, ret, size);
	ret[strcspn(ret, "\n")] = 0;
}

struct procs_kernel procs_kernel(void)
{
	struct procs_kernel k = {0};
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512], name[64];
	unsigned long long used, all, size;

	if (f == NULL)
		return k;
	k.readable = 1;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%63s %llu %llu %llu", name, &used, &all, &size) != 4)
			continue;
		if (strcmp(name, "TCP") == 0 || strcmp(name, "TCPv6") == 0)
			k.tcp += all * size;
		else if (strcmp(name, "sock_inode_cache") == 0)
			k.inode += all * size;
		else if (strcmp(name, "dentry") == 0)
			k.dentry += all * size;
		else if (strcmp(name, "filp") == 0)
			k.file += all * size;
		else if (strcmp(name, "eventpoll_epi") == 0 || strcmp(name, "ep_item") == 0)
			k.epoll += all * size;
	}
	(void)fclose(f);
	k.total = k.tcp + k.inode + k.dentry + k.file + k.epoll;
	return k;
}
