#ifndef BELLHOP_TELEMETRY_TELEMETRY_H
#define BELLHOP_TELEMETRY_TELEMETRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "telemetry/faults.h"
#include "telemetry/histogram.h"
#include "telemetry/series.h"
#include "telemetry/traces.h"
#include "telemetry/waits.h"

/*
 * What the engine knows of its own work: counters, histograms, and the last things that happened to
 * each phone. Memory of a fixed size; nothing survives the process. Counting is a relaxed addition,
 * from any thread. The numbers of commands and versions are the protocol's (eas/protocol.h).
 */
#define TELEMETRY_COMMANDS 32  /* more are counted as number 0 */
#define TELEMETRY_STATUSES 256 /* the last: all that are greater */
#define TELEMETRY_VERSIONS 8
#define TELEMETRY_CLASSES  8
#define TELEMETRY_HTTP_MIN 100
#define TELEMETRY_HTTP_MAX 599
#define TELEMETRY_LOGINS   4 /* enum auth_result */

struct telemetry {
	struct histogram request[TELEMETRY_COMMANDS]; /* on a worker, from credentials to answer */
	_Atomic uint64_t http[TELEMETRY_HTTP_MAX - TELEMETRY_HTTP_MIN + 1];
	_Atomic uint64_t status[TELEMETRY_COMMANDS][TELEMETRY_STATUSES];
	_Atomic uint64_t syncs[TELEMETRY_CLASSES][TELEMETRY_VERSIONS]; /* collections answered */
	_Atomic uint64_t logins[TELEMETRY_LOGINS];
	_Atomic uint64_t errors; /* answers that were not success */
	struct traces *traces;
	struct waits *waits;
	struct faults *faults;
	struct series *series;
};

struct telemetry_limits {
	struct traces_limits traces;
	uint64_t waits, faults;
};

struct telemetry *telemetry_new(const struct telemetry_limits *limits);
void telemetry_free(struct telemetry **telemetry);

static inline void telemetry_count(_Atomic uint64_t *counter)
{
	(void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t telemetry_value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* An answer went out, whichever way. status: the EAS Status, 0: none was set. */
void telemetry_answer(struct telemetry *t, unsigned command, unsigned http, unsigned status);
/* Requests of all commands together. */
uint64_t telemetry_requests(const struct telemetry *t);
/* Those of one command. */
uint64_t telemetry_requests_of(const struct telemetry *t, unsigned command);

#endif
