#ifndef BELLHOP_FLEET_MEASURE_H
#define BELLHOP_FLEET_MEASURE_H

#include "base/err.h"
#include "fleet/economy.h"

/*
 * The bytes of struct economy_bytes, measured: one phone goes through each exchange against a real
 * server, and the kernel says what its connection sent and received. Blocks, for two heartbeats and
 * some seconds.
 */
struct measure_options {
	const char *url, *user, *password;
	const char *lmtp; /* where mail for the user goes in */
	unsigned heartbeat_s;
	unsigned mail_bytes;
};

NODISCARD int measure_run(
	const struct measure_options *options, struct economy_bytes *ret, struct err *err);

#endif
