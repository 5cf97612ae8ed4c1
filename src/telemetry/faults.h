#ifndef BELLHOP_TELEMETRY_FAULTS_H
#define BELLHOP_TELEMETRY_FAULTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The last answers that were not success, of all phones together, with why: a ring of a fixed size,
 * in memory only. Any thread.
 */
struct faults;

#define FAULT_TEXT    200
#define FAULT_ADDRESS 46

struct fault {
	uint64_t device; /* 0: the request did not get as far */
	int64_t at;
	uint16_t version, http, status;
	uint8_t command;
	char address[FAULT_ADDRESS];
	char text[FAULT_TEXT]; /* for the administrator, as in the log; terminated */
};

struct faults *faults_new(size_t max);
void faults_free(struct faults **faults);
void faults_add(struct faults *faults, const struct fault *fault);
/* The newest of one device first; returns how many. */
size_t faults_read(struct faults *faults, uint64_t device, struct fault *out, size_t max);

#endif
