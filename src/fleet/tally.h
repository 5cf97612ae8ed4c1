#ifndef BELLHOP_FLEET_TALLY_H
#define BELLHOP_FLEET_TALLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a worker counts, in memory that it shares with the coordinator. One writer, the worker;
 * readers see values that may be a moment old. No pointers, no locks.
 *
 * Levels are what is now, counters only grow.
 */
#define TALLY_BUCKETS 640

/* Times from a microsecond to a day, in steps of a sixteenth: no value is off by more than 7 %. */
struct tally_times {
	uint64_t count, max_us, sum_us;
	uint32_t buckets[TALLY_BUCKETS];
};

/* What went wrong, in words, and how often. */
#define TALLY_TROUBLES     16
#define TALLY_TROUBLE_TEXT 160
struct tally_trouble {
	uint64_t count;                /* 0: the end */
	char text[TALLY_TROUBLE_TEXT]; /* there before it counts; never changes */
};

#define TALLY_FIELDS(X)                                                                            \
	X(started, "phones that have been told to begin")                                          \
	X(connected, "connections that stand")                                                     \
	X(parked, "phones whose Ping, or held Sync, waits")                                        \
	X(paused, "phones without a connection, waiting to come back")                             \
	X(connects, "connections begun")                                                           \
	X(handshakes, "TLS handshakes that ended well")                                            \
	X(resumed, "of them with a session of before")                                             \
	X(requests, "requests sent")                                                               \
	X(pings, "of them Pings, or held Syncs")                                                   \
	X(expired, "waits that ended with their heartbeat")                                        \
	X(woken, "waits that ended with news")                                                     \
	X(false_wakes, "news whose Sync brought nothing")                                          \
	X(news, "changes that Syncs brought")                                                      \
	X(hierarchy, "waits that ended with Status 7, or 449")                                     \
	X(refused, "answers 503")                                                                  \
	X(refused_again, "phones that were answered 503 twice before they were in")                \
	X(unauthorized, "answers 401")                                                             \
	X(wrong, "answers that make no sense here")                                                \
	X(connect_failed, "connections that did not come about")                                   \
	X(connect_late, "of them: not answered within 30 s, when the phone gave up")               \
	X(connect_local, "of them: this machine had no descriptor, address or port for them")      \
	X(dropped, "connections that the server closed, or reset, while a phone used them")        \
	X(timed_out, "answers that did not come")                                                  \
	X(path_cut, "waits that a path with an idle time-out cut")                                 \
	X(lost, "answers lost on the way")                                                         \
	X(moved, "changes of the network")                                                         \
	X(bytes_out, "bytes sent, without TLS")                                                    \
	X(bytes_in, "bytes received, without TLS")

struct tally {
#define TALLY_MEMBER(name, text) uint64_t name;
	TALLY_FIELDS(TALLY_MEMBER)
#undef TALLY_MEMBER
	struct tally_times connect; /* from connect() to the first request sent, with TLS */
	struct tally_times answer;  /* of requests that are not held */
	struct tally_times wake;    /* from the news to the phone */
	struct tally_times settled; /* from a cut to the next wait */
	struct tally_trouble troubles[TALLY_TROUBLES]; /* the last one: all others */
};

void tally_time(struct tally_times *t, uint64_t us);
/* The p-th percentile (0..1); 0 when nothing was timed. */
uint64_t tally_percentile(const struct tally_times *t, double p);
uint64_t tally_mean(const struct tally_times *t);
/* Upper end of a bucket, microseconds. */
uint64_t tally_bucket_end(size_t bucket);
/* Counts what the text says; characters that a terminal would obey are replaced. */
void tally_trouble(struct tally *t, uint64_t count, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tally_add(struct tally *sum, const struct tally *other);

#endif
