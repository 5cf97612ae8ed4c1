#ifndef BELLHOP_DAEMON_NOTIFY_H
#define BELLHOP_DAEMON_NOTIFY_H

#include <stdbool.h>

/*
 * What systemd is told (sd_notify(3)). Not libsystemd's function, because that one waits for ever
 * when nobody reads the socket, and the supervisor must go on keeping the house alive. Without
 * NOTIFY_SOCKET nothing happens.
 *
 * notify_systemd(): important ones wait up to half a second for room (READY, RELOADING, STOPPING);
 * others are dropped when there is none.
 */
/* Connects to NOTIFY_SOCKET; before privileges are dropped, because it may belong to another user.
 */
void notify_open(void);
/* The connection, for the program that takes this one's place in the same process; -1: none. */
int notify_descriptor(void);
void notify_adopt(int fd);
void notify_systemd(bool important, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
