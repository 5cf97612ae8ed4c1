/*
 * A TLS client of GnuTLS (orders.h). For the suite, a priority string. (gnutls-cli can be told to
 * change its keys, too, but not once it has been given bytes that are no text.)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <sys/socket.h>

#include "orders.h"

static gnutls_session_t begin(int fd, int port, const char *priority)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	gnutls_certificate_credentials_t any;
	gnutls_session_t session;
	int rc;

	to.sin_port = htons((unsigned short)port);
	if (gnutls_init(&session, GNUTLS_CLIENT) < 0 ||
		gnutls_certificate_allocate_credentials(&any) < 0 ||
		gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, any) < 0 ||
		gnutls_priority_set_direct(session, priority, NULL) < 0)
		die("setup");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	gnutls_transport_set_int(session, fd);
	do
		rc = gnutls_handshake(session);
	while (rc < 0 && gnutls_error_is_fatal(rc) == 0);
	if (rc < 0)
		die("handshake");
	return session;
}

/* 0: the end of the orders. */
static int follow_order(gnutls_session_t session)
{
	static unsigned char bytes[ORDER_MAX];
	int n = next_order(bytes);

	if (n > 0 && gnutls_record_send(session, bytes, (size_t)n) != n)
		die("write");
	if (n == 0 && gnutls_session_key_update(session, GNUTLS_KU_PEER) < 0)
		die("update of keys");
	return n >= 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), order, server;
	static unsigned char bytes[ORDER_MAX];
	gnutls_session_t session;
	ssize_t n;

	if (argc != 4)
		die("gnutls PORT 1.2|1.3 PRIORITY");
	session = begin(fd, (int)strtol(argv[1], NULL, 10), argv[3]);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		wait_both(fd, &order, &server);
		if (order && !follow_order(session))
			break;
		while (server || gnutls_record_check_pending(session) > 0) {
			n = gnutls_record_recv(session, bytes, sizeof(bytes));
			/* A ticket or a KeyUpdate is no data. */
			if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
				break;
			if (n <= 0)
				die("the server has closed");
			show(bytes, (int)n);
		}
	}
	(void)fcntl(fd, F_SETFL, 0);
	if (gnutls_bye(session, GNUTLS_SHUT_RDWR) != GNUTLS_E_SUCCESS)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
