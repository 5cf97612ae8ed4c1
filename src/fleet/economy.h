#ifndef BELLHOP_FLEET_ECONOMY_H
#define BELLHOP_FLEET_ECONOMY_H

#include <stddef.h>
#include <stdint.h>

/*
 * What it costs a phone to be current, and how late it is, in each of the ways there are: an SMS
 * for each piece of news, polling, Direct Push. Virtual time, no clock, no I/O: the same options
 * give the same results.
 */

/* Bytes over the air, both directions, with TCP and IP headers. */
struct economy_bytes {
	double heartbeat;  /* a wait that ends with nothing and begins again */
	double wake;       /* Ping, and its answer that there is news */
	double sync_empty; /* a Sync that brings nothing, on a connection that stands */
	double sync_news;  /* one that brings a message */
	double per_news;   /* each further message of the same Sync */
	double connect;    /* a connection made and closed again, TLS session resumed */
};

/* Measured against bellhopd (docs/PUSH-ECONOMY.md says how). */
extern const struct economy_bytes economy_plain, economy_tls;

/* One that falls asleep when nothing has moved for tail_s. */
struct economy_radio {
	double promotion_s, promotion_w; /* waking up */
	double awake_w;                  /* until it sleeps again */
	double tail_s;
	double bytes_per_s;
	double rtt_s;
};

struct economy_options {
	unsigned days;
	double mail_per_day; /* of a working day */
	double weekend;      /* of that, on Saturdays and Sundays; 0 to 1 */
	uint64_t seed;
	struct economy_bytes bytes;
	struct economy_radio radio;
	double sms_delay_s; /* mean; exponential */
	double sms_fee;     /* money for each */
	double sms_bytes;
	double battery_wh; /* of the phone */
};

void economy_defaults(struct economy_options *options);

enum economy_kind { ECONOMY_SMS, ECONOMY_POLL, ECONOMY_PUSH };

struct economy_way {
	const char *name;
	enum economy_kind kind;
	unsigned interval_s; /* of polls, or the heartbeat */
};

#define ECONOMY_WAYS 8
extern const struct economy_way economy_ways[ECONOMY_WAYS];

struct economy_result {
	unsigned news;
	double delay_mean_s, delay_p50_s, delay_p99_s, delay_max_s;
	double bytes_day, bytes_month;
	double wakeups_day; /* of the radio, from sleep */
	double joule_day;
	double fees_month;
};

void economy_run(const struct economy_options *options, const struct economy_way *way,
	struct economy_result *ret);

#endif
