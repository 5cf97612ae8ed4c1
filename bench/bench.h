#ifndef BELLHOP_BENCH_BENCH_H
#define BELLHOP_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "client/answer.h"
#include "client/request.h"
#include "store/store.h"

/*
 * What the benchmarks share: a bellhopd of their own (temp folder, free loopback ports), users and
 * mail put into its store before it starts, phones and LMTP clients that cost little, and
 * figures. A benchmark that meets anything unexpected says what and exits with status 1
 * (bench_die): a wrong answer has no speed.
 *
 * Passwords are hashed cheaply here (sha256crypt, 1,000 rounds), because setting up 1,000 users
 * with yescrypt takes minutes; no figure measures a first login.
 */
struct bench {
	const char *name; /* "push" */
	const char *only; /* NULL: all parts */
	char folder[256];
	char bellhopd[4096];
	uint16_t http_port, https_port, lmtp_port;
	pid_t pid; /* supervisor; 0: not running */
	int notify_fd;
	struct store *store;  /* open only before the server runs */
	unsigned phones;      /* 0: two fronts; else as many as so many phones want */
	const char *settings; /* further lines for the configuration, "[push]\nheartbeat_min_s =
				 1\n"; or NULL */
};

_Noreturn void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define BENCH_OK(call, err)                                                                        \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			bench_die("%s: %s", #call, (err)->text);                                   \
	} while (0)

/* argv: --build-dir DIR, --only PART, as bench_options() let it pass. Makes the folder and opens
 * the store. */
void bench_init(struct bench *b, const char *name, int argc, char **argv);
/* What --only names, or NULL. */
const char *bench_only(int argc, char **argv);
/* The number behind an option; `otherwise` when it is not given. */
uint64_t bench_number(int argc, char **argv, const char *option, uint64_t otherwise);
/* False: --only names another part (for profiling one). */
bool bench_wants(const struct bench *b, const char *part);
/* Closes the store, writes the configuration, starts bellhopd, waits until it is ready. */
void bench_start(struct bench *b);
/* Stops it and opens the store again; bench_start() may follow. */
void bench_stop(struct bench *b);
/* Stops it and removes the folder. */
void bench_finish(struct bench *b);

/* One figure: a table row and a JSON line. aim: "under 10", or NULL. */
void bench_figure(const struct bench *b, const char *figure, double value, const char *unit,
	const char *aim, const char *conditions);

int64_t bench_now_us(void); /* monotonic */
/* CPU microseconds that all processes of the server have used. */
double bench_server_cpu_us(const struct bench *b);
/* The same without waiting: for a server that is never quiet. */
double bench_server_cpu_now_us(const struct bench *b);
/* Runs `bellhop VERB` to its end; its exit status. */
int bench_ctl(const struct bench *b, const char *verb);
/* A counter of `bellhop stats`. */
uint64_t bench_counter(const struct bench *b, const char *name);
/* The engine, a child of the supervisor; 0 while there is none. */
pid_t bench_engine_pid(const struct bench *b);
/* Resident memory of a process, in MiB: now, and the largest since bench_memory() was called. */
double bench_memory(pid_t pid);
double bench_memory_peak(pid_t pid);
/* The p-th percentile (0..1) of values, which are sorted by it. */
double bench_percentile(double *values, size_t count, double p);

/* ---- users and mail, before bench_start() ---- */
/* user<n>@bench.example, password "secret<n>". */
struct owner_id bench_add_user(struct bench *b, unsigned n);
/* Puts count messages into the user's Inbox; make(i, out) builds each. */
void bench_fill(struct bench *b, struct owner_id owner, unsigned count,
	void (*make)(unsigned i, struct buf *out));
/* The same with a date for each; NULL: a minute apart, in order, years ago. */
void bench_fill_dated(struct bench *b, struct owner_id owner, unsigned count,
	void (*make)(unsigned i, struct buf *out), int64_t (*date_at)(unsigned i));

/* ---- messages (bench_mail.c): the same for the same number, always ---- */
enum bench_mail_kind {
	BENCH_PLAIN,
	BENCH_ALTERNATIVE,
	BENCH_ATTACHMENT,
	BENCH_HTML,
	BENCH_LARGE_PAPER,
	BENCH_NEWSLETTER /* HTML only, quoted-printable: tables, styles, long links */
};
/* to: an address; body_bytes: of the text (each of the two, for ALTERNATIVE), or of the attachment
 * as it stands in the message (LARGE_PAPER; that of ATTACHMENT has 40 KB). */
void bench_mail(unsigned seed, enum bench_mail_kind kind, const char *to, size_t body_bytes,
	struct buf *out);

/* ---- LMTP ---- */
struct bench_lmtp {
	int fd;
	size_t len;
	char line[4096];
};
void bench_lmtp_open(const struct bench *b, struct bench_lmtp *l);
/* Envelope and message up to the final dot, which bench_lmtp_send() has sent; then the answer. */
void bench_lmtp_send(struct bench_lmtp *l, const char *to, const void *message, size_t len);
void bench_lmtp_answer(struct bench_lmtp *l); /* waits for the 250 */
/* A bare-LF-free message with dots doubled and the final dot: what is sent after DATA. */
void bench_lmtp_close(struct bench_lmtp *l);

/* ---- phones (bench_phone.c): 14.1, plain HTTP, one connection each ---- */
struct bench_phone {
	unsigned n; /* of its user */
	int fd;
	char device_id[32];
	char authorization[128];
	uint32_t policy_key;
	char inbox[72], sync_key[72];
	unsigned body_type;
	int64_t truncation;
	unsigned window, filter;
	bool gzip;           /* accepts it */
	bool gone_counts;    /* Deletes are counted too, else they are an error */
	uint64_t body_bytes; /* of all messages that came */
	struct buf in;       /* bytes of the answer under way */
	struct buf plain;    /* the last one, when it was compressed */
	struct buf ping;     /* the whole Ping request, built once */
};
void bench_phone_init(
	const struct bench *b, struct bench_phone *p, unsigned user, const char *device);
void bench_phone_clear(struct bench_phone *p);
/* To the server that runs now. */
void bench_phone_reconnect(const struct bench *b, struct bench_phone *p);
/* Provision, FolderSync, Sync of the Inbox with key 0. */
void bench_phone_set_up(struct bench_phone *p);
/* Builds the HTTP request of a command. */
void bench_phone_request(const struct bench_phone *p, enum request_command command,
	const void *body, size_t len, struct buf *out);
/* Sends all of it. */
void bench_phone_send(struct bench_phone *p, const struct buf *request);
/*
 * Reads what is there, without waiting if the socket is non-blocking. True: a whole answer came;
 * *ret_body and *ret_len are its body, good until the next call. The status must be 200.
 */
bool bench_phone_receive(struct bench_phone *p, const uint8_t **ret_body, size_t *ret_len);
/* One command with its answer, waiting. NULL: an empty answer. */
struct wbxml_node *bench_phone_call(struct bench_phone *p, enum request_command command,
	const struct buf *body, struct arena *arena);
/* One Sync of the Inbox: takes up the key, returns how many changes came; *ret_more: MoreAvailable.
 */
unsigned bench_phone_sync(struct bench_phone *p, struct arena *arena, bool *ret_more);
/* The bytes of such a Sync request, for sending by hand; then bench_phone_take_sync(). */
void bench_phone_sync_request(const struct bench_phone *p, struct buf *out);
unsigned bench_phone_take_sync(struct bench_phone *p, struct arena *arena, const uint8_t *body,
	size_t len, bool *ret_more);
/* Syncs until nothing is left; returns the number of messages. */
unsigned bench_phone_sync_all(struct bench_phone *p);
/* Builds p->ping for this heartbeat. */
void bench_phone_make_ping(struct bench_phone *p, unsigned heartbeat_s);

/* Runs fn(owner, i) for i below count on 8 threads. */
void bench_parallel(unsigned count, void (*fn)(void *owner, unsigned i), void *owner);

#endif
