#ifndef BELLHOP_CTL_DOCTOR_H
#define BELLHOP_CTL_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/settings.h"

/*
 * `bellhop doctor`: looks at the system, the configuration and the running server, and says what is
 * not as it should be and how it is put right. A check is one function in the table of doctor.c; it
 * reads struct doctor and calls doctor_say() once or several times. One thread; blocks.
 */

/* What the system allows, read once (doctor_system.c). 0: not known. */
struct doctor_system {
	bool running;                  /* a server answered */
	uint64_t open_soft, open_hard; /* RLIMIT_NOFILE of the server; else of this process, raised
					  as the server would raise it */
	uint64_t nr_open, file_max;    /* fs.nr_open, fs.file-max */
	uint64_t somaxconn, syn_backlog; /* net.core.somaxconn, net.ipv4.tcp_max_syn_backlog */
	uint64_t tcp_mem_pages;          /* net.ipv4.tcp_mem, the last value */
	uint64_t page_bytes;
	uint64_t conntrack_max, conntrack_s; /* netfilter's table and its time-out */
	uint64_t memory_bytes;               /* all of it, or the limit of the server's cgroup */
	uint64_t cores;
};

enum doctor_result { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM };

struct doctor {
	const struct settings *settings;
	struct doctor_system system;
	json_t *status;        /* the server's answer to `status`; NULL: it does not run */
	json_t *domains;       /* of the server, texts; NULL: not known */
	const char *url;       /* where phones come to, without a path; NULL: not given */
	const char *ca_file;   /* authorities that are trusted beside the system's; NULL: none */
	bool look_outside;     /* certificate, names, clock and URL, too */
	uint64_t hold_s;       /* how long the URL is to hold a request */
	json_t *checks;        /* an array of {check, result, text, advice} */
	uint64_t phones;       /* the least that any check found possible */
	const char *phones_by; /* that check */
};

/* text, advice: what is, and what to do about it (NULL: nothing). */
void doctor_say(struct doctor *d, const char *check, enum doctor_result result, const char *advice,
	const char *fmt, ...) PRINTF_LIKE(5, 6);
/* As far as this check sees, so many phones can be connected. */
void doctor_phones(struct doctor *d, const char *check, uint64_t phones);

/* doctor_system.c; engine_pid: of the running server, 0: none. */
void doctor_system_read(struct doctor_system *ret, uint64_t engine_pid);

/* doctor_limits.c */
void doctor_check_descriptors(struct doctor *d);
void doctor_check_files(struct doctor *d);
void doctor_check_backlog(struct doctor *d);
void doctor_check_memory(struct doctor *d);
void doctor_check_tcp_memory(struct doctor *d);
void doctor_check_conntrack(struct doctor *d);
/* doctor_public.c; doctor_when(): a date and how far away it is, in words. */
#define DOCTOR_EXPIRES_SOON_S ((int64_t)14 * 86400)
#define DOCTOR_WHEN_SIZE      64
const char *doctor_when(int64_t at, char text[DOCTOR_WHEN_SIZE]);
void doctor_check_certificate(struct doctor *d);
void doctor_check_signer(struct doctor *d);
void doctor_check_names(struct doctor *d);
void doctor_check_clock(struct doctor *d);
/* doctor_url.c: nothing without a URL. Blocks for hold_s. */
void doctor_check_url(struct doctor *d);
/* doctor.c: what the server itself warns of. */
void doctor_check_server(struct doctor *d);

/* All checks on what is in d; then a result with "checks", "phones", "max_connections" and, when
 * something is not well, "findings". */
void doctor_run(struct doctor *d, json_t **ret_result);
/* The verb: reads, asks the server at socket_path, looks from outside, runs. args: "url", "hold"
 * and "ca" of the verb. */
NODISCARD int doctor_examine(const struct settings *settings, const char *socket_path,
	const json_t *args, json_t **ret_result, struct err *err);
/* For people. */
void doctor_render(const json_t *result, size_t width, struct buf *out);

#endif
