/*
 * A TLS client of NSS (orders.h). The suite by its number, in hexadecimal.
 */
#include <nspr.h>
#include <nss.h>
#include <ssl.h>
#include <sslexp.h>
#include <sslproto.h>
#include <string.h>

#include "orders.h"

static SECStatus take_any(void *arg, PRFileDesc *fd, PRBool check, PRBool server)
{
	(void)arg;
	(void)fd;
	(void)check;
	(void)server;
	return SECSuccess;
}

static PRFileDesc *begin(PRUint16 port, const char *version, const char *suite)
{
	PRUint16 number = strcmp(version, "1.2") == 0 ? SSL_LIBRARY_VERSION_TLS_1_2
						      : SSL_LIBRARY_VERSION_TLS_1_3;
	SSLVersionRange range = {number, number};
	PRFileDesc *fd;
	PRNetAddr to;

	if (NSS_NoDB_Init(NULL) != SECSuccess || NSS_SetDomesticPolicy() != SECSuccess)
		die("NSS");
	fd = SSL_ImportFD(NULL, PR_NewTCPSocket());
	if (fd == NULL || SSL_VersionRangeSet(fd, &range) != SECSuccess ||
		SSL_AuthCertificateHook(fd, take_any, NULL) != SECSuccess ||
		SSL_SetURL(fd, "localhost") != SECSuccess)
		die("setup");
	for (PRUint16 i = 0; i < SSL_NumImplementedCiphers; i++)
		(void)SSL_CipherPrefSet(fd, SSL_ImplementedCiphers[i],
			SSL_ImplementedCiphers[i] == (PRInt32)strtol(suite, NULL, 16));
	(void)PR_InitializeNetAddr(PR_IpAddrLoopback, port, &to);
	if (PR_Connect(fd, &to, PR_INTERVAL_NO_TIMEOUT) != PR_SUCCESS ||
		SSL_ForceHandshake(fd) != SECSuccess)
		die("handshake");
	return fd;
}

/* 0: the end of the orders. */
static int follow_order(PRFileDesc *fd)
{
	static unsigned char bytes[ORDER_MAX];
	int n = next_order(bytes);

	if (n > 0 && PR_Send(fd, bytes, n, 0, PR_INTERVAL_NO_TIMEOUT) != n)
		die("write");
	if (n == 0 && SSL_KeyUpdate(fd, PR_TRUE) != SECSuccess)
		die("update of keys");
	return n >= 0;
}

int main(int argc, char **argv)
{
	unsigned char bytes[ORDER_MAX];
	PRFileDesc *fd, *standard = PR_GetSpecialFD(PR_StandardInput);
	PRSocketOptionData waiting = {
		.option = PR_SockOpt_Nonblocking, .value = {.non_blocking = PR_TRUE}};
	int n;

	if (argc != 4)
		die("nss PORT 1.2|1.3 SUITE");
	fd = begin((PRUint16)strtol(argv[1], NULL, 10), argv[2], argv[3]);
	(void)PR_SetSocketOption(fd, &waiting);
	for (;;) {
		PRPollDesc both[2] = {{standard, PR_POLL_READ, 0}, {fd, PR_POLL_READ, 0}};

		if (PR_Poll(both, 2, PR_INTERVAL_NO_TIMEOUT) < 0)
			die("poll");
		if (both[0].out_flags != 0 && !follow_order(fd))
			break;
		/* A ticket or a KeyUpdate is no data. */
		while ((n = PR_Recv(fd, bytes, sizeof(bytes), 0, PR_INTERVAL_NO_TIMEOUT)) > 0)
			show(bytes, n);
		if (n == 0 || PR_GetError() != PR_WOULD_BLOCK_ERROR)
			die("the server has closed");
	}
	waiting.value.non_blocking = PR_FALSE;
	(void)PR_SetSocketOption(fd, &waiting);
	if (PR_Shutdown(fd, PR_SHUTDOWN_SEND) != PR_SUCCESS ||
		PR_Recv(fd, bytes, sizeof(bytes), 0, PR_INTERVAL_NO_TIMEOUT) != 0)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
