/*
 * Reads what the system allows from /proc and /sys. What cannot be read is 0, and its check says
 * nothing. Blocks on files of the kernel only.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/doctor.h"

/* The text of a small file; false: it is not there. */
static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The n-th number in it, from 0; 0: there is none. What is no number ("max") has no bound. */
static uint64_t number_in(const char *text, int n)
{
	uint64_t value = 0;
	struct err ignored = ERR_INIT;
	char word[24];
	size_t len;

	for (;; n--) {
		text += strspn(text, " \t\n");
		len = strcspn(text, " \t\n");
		if (len == 0 || len >= sizeof(word))
			return 0;
		if (n == 0)
			break;
		text += len;
	}
	memcpy(word, text, len);
	word[len] = '\0';
	return str_parse_u64(word, UINT64_MAX, &value, &ignored) == 0 ? value : UINT64_MAX;
}

static uint64_t number_of(const char *path, int n)
{
	char text[256];

	return read_file(path, text, sizeof(text)) ? number_in(text, n) : 0;
}

/* Of the server, or of this process. */
static void read_descriptors(struct doctor_system *y, uint64_t engine_pid)
{
	struct rlimit limit = {0, 0};
	char path[64], text[4096];
	const char *line;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/limits", engine_pid);
	if (engine_pid != 0 && read_file(path, text, sizeof(text)) &&
		(line = strstr(text, "Max open files")) != NULL) {
		line += strlen("Max open files");
		y->open_soft = number_in(line, 0);
		y->open_hard = number_in(line, 1);
		y->running = true;
		return;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	/* With the right to do so the server will have more. */
	if (limit.rlim_max < y->nr_open &&
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_cur, y->nr_open}) == 0)
		limit.rlim_max = y->nr_open;
	y->open_soft = limit.rlim_cur;
	y->open_hard = limit.rlim_max;
}

static uint64_t memory_of_machine(void)
{
	char text[4096];
	const char *line;

	if (!read_file("/proc/meminfo", text, sizeof(text)) ||
		(line = strstr(text, "MemTotal:")) == NULL)
		return 0;
	return number_in(line + strlen("MemTotal:"), 0) * 1024;
}

/* cgroup v2: "0::/system.slice/bellhopd.service". The innermost limit; UINT64_MAX: none. */
static uint64_t memory_of_cgroup(uint64_t pid)
{
	char path[512], text[400];
	const char *group;
	uint64_t limit;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cgroup",
		pid != 0 ? pid : (uint64_t)getpid());
	if (!read_file(path, text, sizeof(text)) || (group = strstr(text, "0::/")) == NULL)
		return UINT64_MAX;
	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.max",
		(int)strcspn(group + 3, "\n"), group + 3);
	limit = number_of(path, 0);
	return limit == 0 ? UINT64_MAX : limit;
}

void doctor_system_read(struct doctor_system *y, uint64_t engine_pid)
{
	long page = sysconf(_SC_PAGESIZE), cores = sysconf(_SC_NPROCESSORS_ONLN);

	*y = (struct doctor_system){0};
	y->nr_open = number_of("/proc/sys/fs/nr_open", 0);
	read_descriptors(y, engine_pid);
	y->file_max = number_of("/proc/sys/fs/file-max", 0);
	y->somaxconn = number_of("/proc/sys/net/core/somaxconn", 0);
	y->syn_backlog = number_of("/proc/sys/net/ipv4/tcp_max_syn_backlog", 0);
	y->tcp_mem_pages = number_of("/proc/sys/net/ipv4/tcp_mem", 2);
	y->conntrack_max = number_of("/proc/sys/net/netfilter/nf_conntrack_max", 0);
	y->conntrack_s =
		number_of("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established", 0);
	y->page_bytes = page > 0 ? (uint64_t)page : 4096;
	y->cores = cores > 0 ? (uint64_t)cores : 1;
	y->memory_bytes = MIN(memory_of_machine(), memory_of_cgroup(engine_pid));
}
