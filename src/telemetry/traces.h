#ifndef BELLHOP_TELEMETRY_TRACES_H
#define BELLHOP_TELEMETRY_TRACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/*
 * The last requests and answers of devices as they came: raw bytes, in memory only, gone with the
 * process. They hold what people write; whoever shows them leaves it out (wbxml_trace()).
 *
 * One piece of memory of a fixed size, made once. The oldest go first; a device has a share of its
 * own, so that a busy one does not push out the others'. Any thread; a lock is held for the time of
 * a copy, and there is one for each of several groups of devices.
 */
struct traces;

struct traces_limits {
	uint32_t per_device;    /* requests */
	uint32_t message_bytes; /* kept of each request, and of each answer */
	uint64_t total_bytes;   /* 0: nothing is kept */
};

struct trace {
	uint64_t number; /* grows over all devices; given by traces_add() */
	uint64_t device;
	int64_t at_ms; /* wall clock */
	uint32_t took_us;
	uint16_t version; /* times ten */
	uint16_t http;    /* 0: the phone waits */
	uint16_t status;  /* of EAS; 0: none was set beside the command's own success */
	uint8_t command;
	uint32_t request_len, answer_len;   /* whole */
	uint32_t request_kept, answer_kept; /* of them here */
	const uint8_t *request, *answer;    /* NULL, given to traces_add(): nothing of it is kept */
};

struct traces *traces_new(const struct traces_limits *limits);
void traces_free(struct traces **traces);

/* Keeps a copy. number and _kept are not read. */
void traces_add(struct traces *traces, const struct trace *trace);
/* Those of one device with a greater number than `after`, oldest first; in the arena. */
void traces_read(struct traces *traces, uint64_t device, uint64_t after, struct arena *arena,
	struct trace **ret, size_t *ret_count);

#endif
