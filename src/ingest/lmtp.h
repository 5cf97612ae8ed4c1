#ifndef BELLHOP_INGEST_LMTP_H
#define BELLHOP_INGEST_LMTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "store/store.h"
#include "submit/queue.h"

/*
 * Mail comes in by LMTP (RFC 2033): a listener thread, and a thread for each connection, at most
 * lmtp.connections_max. 250 after the message means that it is committed to disk for that
 * recipient.
 */
struct lmtp_server;

struct lmtp_server_options {
	struct store *store;             /* must outlive the server */
	const struct settings *settings; /* a reference is taken */
	struct submit_queue *queue;      /* of answers of users who are away; may be NULL; must
					    outlive the server */
	const int *fds; /* listening sockets, TCP or Unix; the server owns them from now on */
	size_t fd_count;
	/* Where sessions go at a stop (net/baton.h), as LMTP_BATON; the caller's. NULL: nowhere. */
	const int *baton_fd;
};

#define LMTP_BATON 'L'

/* Starts the listener. ERR_INTERNAL when there are no threads. */
NODISCARD int lmtp_server_start(
	const struct lmtp_server_options *options, struct lmtp_server **ret, struct err *err);
/* Reload: for the next transaction of each connection. Any thread. */
void lmtp_server_set_settings(struct lmtp_server *server, const struct settings *settings);
/* A connection that another process had; the server owns it. From where that one stopped. */
void lmtp_server_adopt(struct lmtp_server *server, int fd, const uint8_t *state, size_t len);
/* Connections now; any thread. */
uint32_t lmtp_server_connections(struct lmtp_server *server);
/*
 * Orderly: takes no connection any more, lets deliveries under way finish and be answered, puts
 * sessions where the next process finds them; where there is none, ends them with 421 (nothing of
 * a transfer that is cut was acknowledged). Waits for all threads.
 */
void lmtp_server_stop(struct lmtp_server **server);

#endif
