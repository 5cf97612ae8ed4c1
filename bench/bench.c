/*
 * The server under test, and the figures. One bellhopd at a time; it is stopped by its pid, also
 * when a benchmark gives up.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "account/account.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/procs.h"
#include "phone/durable.h"

#define READY_MS   30000
#define STOP_MS    20000
#define FILL_GROUP 64
#define THREADS    8
/* The server counts as quiet when it used less than QUIET_US within QUIET_MS. */
#define QUIET_MS    3
#define QUIET_US    10.0
#define QUIET_TRIES 100
/* Ports of the server. */
#define SERVER_PORT 10240u
#define CLIENT_PORT 32768u
#define PORTS_MIN   1000u
#define PORT_TRIES  100u

static struct bench *running; /* for bench_die() only */

int64_t bench_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void bench_die(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	va_start(ap, fmt);
	(void)fprintf(stderr, "bench: ");
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "\n");
	va_end(ap);
	if (running != NULL && running->pid > 0)
		(void)kill(running->pid, SIGTERM);
	if (running != NULL)
		(void)fprintf(stderr, "bench: %s is left as it is; bellhopd's words are in it\n",
			running->folder);
	_exit(1);
}

/* The first port that the kernel gives to clients; theirs are not for servers: between this choice
 * and the server's start anybody may be given one. */
static unsigned first_client_port(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64] = "";
	struct err ignored = ERR_INIT;
	uint64_t first;

	if (f == NULL)
		return CLIENT_PORT;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = 0;
	(void)fclose(f);
	line[strcspn(line, " \t\n")] = 0;
	return str_parse_u64(line, UINT16_MAX, &first, &ignored) < 0 ? CLIENT_PORT
								     : (unsigned)first;
}

static uint16_t free_port(void)
{
	unsigned end = first_client_port();

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		struct sockaddr_in a = {
			.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
		socklen_t len = sizeof(a);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint16_t any;
		bool good;

		random_bytes(&any, sizeof(any));
		/* Few are left below: then one of the clients'. */
		if (end >= SERVER_PORT + PORTS_MIN)
			a.sin_port = htons((uint16_t)(SERVER_PORT + any % (end - SERVER_PORT)));
		good = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		       getsockname(fd, (struct sockaddr *)&a, &len) == 0;
		fd_close(&fd);
		if (good)
			return ntohs(a.sin_port);
	}
	bench_die("no free port: %s", strerror(errno));
}

static void find_bellhopd(struct bench *b, const char *build)
{
	static const char *const folders[] = {"src/daemon", "src", "."};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		(void)snprintf(
			b->bellhopd, sizeof(b->bellhopd), "%s/%s/bellhopd", build, folders[i]);
		if (access(b->bellhopd, X_OK) == 0)
			return;
	}
	bench_die("there is no bellhopd in %s", build);
}

static void open_store(struct bench *b)
{
	CLEANUP(mem_freep) char *data_dir = x_printf("%s/data", b->folder);
	struct store_options options = {.data_dir = data_dir,
		.readers_max = 2,
		.group_max = FILL_GROUP,
		.body_inline_max = 131072,
		.cache_kib = 65536,
		.mmap_bytes = 1u << 28};
	struct err err = ERR_INIT;

	BENCH_OK(durable_mkdirs(data_dir, &err), &err);
	BENCH_OK(store_open(&options, &b->store, &err), &err);
}

void bench_init(struct bench *b, const char *name, int argc, char **argv)
{
	const char *build = "build", *where = getenv("BENCH_FOLDER");

	*b = (struct bench){.name = name, .notify_fd = -1};
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--build-dir") == 0)
			build = argv[i + 1];
	}
	b->only = bench_only(argc, argv);
	running = b;
	(void)signal(SIGPIPE, SIG_IGN);
	find_bellhopd(b, build);
	/* Not /tmp, which may be memory: commits shall be as durable as they are in real life. */
	(void)snprintf(b->folder, sizeof(b->folder), "%s/bellhop-bench-XXXXXX",
		where != NULL ? where : "/var/tmp");
	if (mkdtemp(b->folder) == NULL)
		bench_die("%s: %s", b->folder, strerror(errno));
	b->http_port = free_port();
	b->https_port = free_port();
	b->lmtp_port = free_port();
	open_store(b);
}

uint64_t bench_number(int argc, char **argv, const char *option, uint64_t otherwise)
{
	struct err err = ERR_INIT;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], option) == 0 &&
			str_parse_u64(argv[i + 1], UINT32_MAX, &otherwise, &err) < 0)
			bench_die("%s: %s", option, err.text);
	}
	return otherwise;
}

const char *bench_only(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--only") == 0)
			return argv[i + 1];
	}
	return NULL;
}

bool bench_wants(const struct bench *b, const char *part)
{
	return b->only == NULL || strcmp(b->only, part) == 0;
}

static void write_config(const struct bench *b)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.conf", b->folder);
	struct err err = ERR_INIT;

	buf_addf(&text, "[server]\ndata_dir = %s/data\nruntime_dir = %s/run\n", b->folder,
		b->folder);
	if (b->phones > 0)
		buf_addf(&text,
			"fronts = 0\nmax_connections = %u\n[listen]\nhttps = 127.0.0.1:%u\n",
			b->phones + b->phones / 10 + 2000, b->https_port);
	else
		buf_add_str(&text, "fronts = 2\n[listen]\nhttps =\n");
	buf_addf(&text,
		"http = 127.0.0.1:%u\nlmtp = 127.0.0.1:%u\n"
		"[http]\nconnections_per_address = 100000\nrequests_per_device = "
		"0\nconnections_per_user = 0\n"
		"[auth]\ndefault_domain = bench.example\nfail_limit_address = 100000\n%s",
		b->http_port, b->lmtp_port, b->settings != NULL ? b->settings : "");
	BENCH_OK(durable_write(b->folder, path, text.data, text.len, &err), &err);
}

static void open_notify(struct bench *b, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(a->sun_path, sizeof(a->sun_path), "%.90s/notify", b->folder);
	(void)unlink(a->sun_path);
	b->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (b->notify_fd < 0 || bind(b->notify_fd, (struct sockaddr *)a, sizeof(*a)) < 0)
		bench_die("%s: %s", a->sun_path, strerror(errno));
}

static void run_server(const struct bench *b, const char *notify)
{
	CLEANUP(mem_freep) char *config = x_printf("%s/bellhop.conf", b->folder);
	CLEANUP(mem_freep) char *log = x_printf("%s/log", b->folder);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setenv("NOTIFY_SOCKET", notify, 1);
	if (fd >= 0)
		(void)dup2(fd, 2);
	(void)execl(b->bellhopd, b->bellhopd, "-c", config, (char *)NULL);
	_exit(127);
}

/* The end of what it said goes to standard error: the folder may not outlive a test. */
static void show_log(const struct bench *b)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/log", b->folder);
	char text[1024];
	FILE *f = fopen(path, "re");
	size_t len;

	if (f == NULL)
		return;
	if (fseek(f, -(long)sizeof(text), SEEK_END) != 0)
		rewind(f);
	len = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	(void)fprintf(stderr, "%.*s\n", (int)len, text);
}

static void wait_ready(struct bench *b)
{
	int64_t end_us = bench_now_us() + READY_MS * 1000LL;
	struct pollfd pfd = {.fd = b->notify_fd, .events = POLLIN};
	char state[4096];
	ssize_t n;

	while (bench_now_us() < end_us) {
		if (waitpid(b->pid, NULL, WNOHANG) == b->pid) {
			b->pid = 0;
			show_log(b);
			bench_die("bellhopd ended at once; see %s/log", b->folder);
		}
		if (poll(&pfd, 1, 200) <= 0)
			continue;
		n = recv(b->notify_fd, state, sizeof(state) - 1, 0);
		state[n > 0 ? n : 0] = 0;
		if (strstr(state, "READY=1") != NULL)
			return;
	}
	bench_die("bellhopd was not ready in time; see %s/log", b->folder);
}

void bench_start(struct bench *b)
{
	struct sockaddr_un notify;
	CLEANUP(mem_freep) char *run_dir = x_printf("%s/run", b->folder);
	struct err err = ERR_INIT;

	store_close(&b->store);
	BENCH_OK(durable_mkdirs(run_dir, &err), &err);
	write_config(b);
	open_notify(b, &notify);
	(void)fflush(stdout);
	b->pid = fork();
	if (b->pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (b->pid == 0)
		run_server(b, notify.sun_path);
	wait_ready(b);
}

static void stop_server(struct bench *b)
{
	int64_t end_us = bench_now_us() + STOP_MS * 1000LL;
	pid_t ended = 0;
	int status = 0;

	(void)kill(b->pid, SIGTERM);
	while (ended == 0 && bench_now_us() < end_us) {
		ended = waitpid(b->pid, &status, WNOHANG);
		if (ended == 0)
			(void)poll(NULL, 0, 20);
	}
	if (ended == 0)
		bench_die("bellhopd did not stop");
	b->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		bench_die("bellhopd stopped with status %x; see %s/log", status, b->folder);
	fd_close(&b->notify_fd);
}

void bench_stop(struct bench *b)
{
	stop_server(b);
	open_store(b);
}

void bench_finish(struct bench *b)
{
	struct err err = ERR_INIT;

	store_close(&b->store);
	if (b->pid > 0)
		stop_server(b);
	BENCH_OK(durable_remove_tree(b->folder, &err), &err);
	running = NULL;
}

void bench_figure(const struct bench *b, const char *figure, double value, const char *unit,
	const char *aim, const char *conditions)
{
	(void)printf("%-8s %-22s %12.2f %-12s %s%s\n", b->name, figure, value, unit,
		aim != NULL ? "aim: " : "", aim != NULL ? aim : "");
	(void)printf("{\"bench\":\"%s\",\"figure\":\"%s\",\"value\":%.3f,\"unit\":\"%s\","
		     "\"conditions\":\"%s\"}\n",
		b->name, figure, value, unit, conditions);
	(void)fflush(stdout);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_percentile(double *values, size_t count, double p)
{
	if (count == 0)
		bench_die("no values to take a percentile of");
	qsort(values, count, sizeof(*values), compare_doubles);
	return values[MIN(count - 1, (size_t)(p * (double)count))];
}

/* ---- processes ---- */

pid_t bench_engine_pid(const struct bench *b)
{
	pid_t pids[512];
	size_t count = procs_tree(b->pid, pids, ARRAY_LEN(pids));

	for (size_t i = 0; i < count; i++) {
		char name[64];

		procs_name(pids[i], name, sizeof(name));
		if (strcmp(name, "engine") == 0)
			return pids[i];
	}
	return 0;
}

double bench_server_cpu_now_us(const struct bench *b)
{
	return procs_cpu_us_of_tree(b->pid);
}

double bench_server_cpu_us(const struct bench *b)
{
	double before_us = procs_cpu_us_of_tree(b->pid), now_us = before_us;

	/* What is still under way belongs to what was asked before: wait until the server is quiet.
	 * A thread is counted when it goes to sleep. */
	for (int tries = 0; tries < QUIET_TRIES; tries++) {
		(void)poll(NULL, 0, QUIET_MS);
		now_us = procs_cpu_us_of_tree(b->pid);
		if (now_us - before_us < QUIET_US)
			break;
		before_us = now_us;
	}
	return now_us;
}

/* Starts `bellhop VERB`, with --json when its output is wanted (out_fd). */
static pid_t start_ctl(const struct bench *b, const char *verb, int out_fd)
{
	CLEANUP(mem_freep) char *config = x_printf("%s/bellhop.conf", b->folder);
	CLEANUP(mem_freep) char *folder = x_strdup(b->bellhopd);
	CLEANUP(mem_freep) char *ctl = NULL;
	pid_t pid;

	/* .../src/daemon/bellhopd and .../src/ctl/bellhop */
	folder[strlen(folder) - strlen("daemon/bellhopd")] = 0;
	ctl = x_printf("%sctl/bellhop", folder);
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		bench_die("bellhop %s: %s", verb, strerror(errno));
	if (pid > 0)
		return pid;
	if (out_fd >= 0) {
		(void)dup2(out_fd, 1);
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
	}
	(void)execl(ctl, ctl, "-c", config, verb, out_fd >= 0 ? "--json" : NULL, (char *)NULL);
	_exit(127);
}

int bench_ctl(const struct bench *b, const char *verb)
{
	pid_t pid = start_ctl(b, verb, -1);
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What `bellhop stats --json` says. */
static void ask_stats(const struct bench *b, struct buf *out)
{
	int pipe_fds[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		bench_die("bellhop stats: %s", strerror(errno));
	pid = start_ctl(b, "stats", pipe_fds[1]);
	fd_close(&pipe_fds[1]);
	do {
		if (!buf_reserve(out, 65536))
			bench_die("memory");
		n = read(pipe_fds[0], out->data + out->len, 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	fd_close(&pipe_fds[0]);
	(void)waitpid(pid, NULL, 0);
}

uint64_t bench_counter(const struct bench *b, const char *name)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(mem_freep) char *quoted = x_printf("\"%s\": ", name);
	unsigned long long value;
	const char *at;

	ask_stats(b, &text);
	at = strstr(buf_cstr(&text), quoted);
	/* While an engine is away nobody knows. */
	return at != NULL && sscanf(at + strlen(quoted), "%llu", &value) == 1 ? value : 0;
}

/* ---- users and mail ---- */

struct new_user {
	unsigned n;
	const char *hash;
	struct owner_id id;
};

static int add_user(struct store_tx *tx, void *owner, struct err *err)
{
	struct new_user *u = owner;
	char login[32];

	(void)snprintf(login, sizeof(login), "user%u", u->n);
	if (u->n == 0 && store_domain_add(tx, "bench.example", err) < 0)
		return -1;
	return store_user_add(tx, login, "bench.example", login, u->hash, 1700000000, &u->id, err);
}

struct owner_id bench_add_user(struct bench *b, unsigned n)
{
	struct crypt_data crypt = {0};
	char password[32];
	struct new_user u = {.n = n};
	struct err err = ERR_INIT;

	(void)snprintf(password, sizeof(password), "secret%u", n);
	u.hash = crypt_r(password, "$5$rounds=1000$benchbench", &crypt);
	if (u.hash == NULL || u.hash[0] == '*')
		bench_die("crypt cannot do sha256crypt");
	BENCH_OK(store_transact(b->store, add_user, &u, &err), &err);
	return u.id;
}

struct fill {
	struct owner_id owner;
	struct account_mail mails[FILL_GROUP];
	unsigned first, count;
	int64_t (*date_at)(unsigned i);
};

static int64_t minutes_apart(unsigned i)
{
	return 1700000000 + 60 * (int64_t)i;
}

static int add_mails(struct store_tx *tx, void *owner, struct err *err)
{
	struct fill *f = owner;

	for (unsigned i = 0; i < f->count; i++) {
		struct item_id ignored;

		if (account_mail_add(tx, f->owner, FOLDER_INBOX, &f->mails[i],
			    f->date_at(f->first + i), false, (struct device_id){0}, &ignored,
			    err) < 0)
			return -1;
	}
	return 0;
}

void bench_fill(struct bench *b, struct owner_id owner, unsigned count,
	void (*make)(unsigned i, struct buf *out))
{
	bench_fill_dated(b, owner, count, make, NULL);
}

void bench_fill_dated(struct bench *b, struct owner_id owner, unsigned count,
	void (*make)(unsigned i, struct buf *out), int64_t (*date_at)(unsigned i))
{
	static const struct mime_limits limits = {
		.parts = 1000, .depth = 50, .header_bytes = 1u << 20};
	CLEANUP(mem_freep) struct fill *f = x_new(struct fill);
	struct buf raw[FILL_GROUP] = {0};
	struct err err = ERR_INIT;

	f->owner = owner;
	f->date_at = date_at != NULL ? date_at : minutes_apart;
	for (; f->first < count; f->first += f->count) {
		f->count = MIN(count - f->first, FILL_GROUP);
		for (unsigned i = 0; i < f->count; i++) {
			buf_clear(&raw[i]);
			make(f->first + i, &raw[i]);
			BENCH_OK(account_mail_prepare(b->store, raw[i].data, raw[i].len, &limits,
					 &f->mails[i], &err),
				&err);
		}
		BENCH_OK(store_transact(b->store, add_mails, f, &err), &err);
		for (unsigned i = 0; i < f->count; i++)
			account_mail_release(&f->mails[i]);
	}
	for (unsigned i = 0; i < FILL_GROUP; i++)
		buf_deinit(&raw[i]);
}

/* ---- threads for setting up ---- */

struct parallel {
	unsigned count;
	void (*fn)(void *owner, unsigned i);
	void *owner;
	_Atomic unsigned next;
};

static void *parallel_thread(void *owner)
{
	struct parallel *p = owner;
	unsigned i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->count)
		p->fn(p->owner, i);
	return NULL;
}

void bench_parallel(unsigned count, void (*fn)(void *owner, unsigned i), void *owner)
{
	struct parallel p = {.count = count, .fn = fn, .owner = owner};
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, parallel_thread, &p) != 0)
			bench_die("no thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* A line of /proc/PID/status, in MiB. */
static double status_mib(pid_t pid, const char *line)
{
	char path[64], text[256];
	double kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(text, sizeof(text), f) != NULL) {
		if (strncmp(text, line, strlen(line)) == 0)
			kib = (double)strtoull(text + strlen(line), NULL, 10);
	}
	if (f != NULL)
		(void)fclose(f);
	if (kib < 0)
		bench_die("%s has no %s", path, line);
	return kib / 1024;
}

double bench_memory_peak(pid_t pid)
{
	return status_mib(pid, "VmHWM:");
}

/* From now on VmHWM is the peak since now. */
static void forget_peak(pid_t pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "5", 1) != 1)
		bench_die("%s: %s", path, strerror(errno));
	fd_close(&fd);
}

double bench_memory(pid_t pid)
{
	forget_peak(pid);
	return status_mib(pid, "VmRSS:");
}
