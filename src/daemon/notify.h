#ifndef BELLHOP_DAEMON_NOTIFY_H
#define BELLHOP_DAEMON_NOTIFY_H

#include <stdbool.h>

/*
 * What systemd is told (sd_notify(3)). Not libsystemd's function, because that one waits for ever
 * when nobody reads the socket, and the supervisor must go on keeping the house alive. Without
 * NOTIFY_SOCKET nothing happens.
 *
 * important: waits up to half a second for room (READY, RELOADING, STOPPING); others are dropped
 * when there is none.
 */
void notify_systemd(bool important, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
