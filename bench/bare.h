#ifndef BELLHOP_BENCH_BARE_H
#define BELLHOP_BENCH_BARE_H

#include <stdint.h>

/*
 * What a renewal costs on this machine when nobody thinks: a server that reads whatever a phone
 * sends and answers it after a heartbeat with the bytes of an empty Ping, by one recv(), one send()
 * and a share of an epoll_wait(), over plain HTTP. It has as many processes as there are fronts,
 * and answers at the beginning of each second whoever is due, as they do.
 */
struct bare;

struct bare *bare_start(unsigned processes, unsigned heartbeat_s);
uint16_t bare_port(const struct bare *b);
/* CPU microseconds of all processes since they began. */
double bare_cpu_us(const struct bare *b);
void bare_stop(struct bare **b);

#endif
