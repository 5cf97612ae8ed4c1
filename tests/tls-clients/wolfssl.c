/*
 * A TLS client of wolfSSL (orders.h).
 */
#include <wolfssl/options.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <wolfssl/ssl.h>

#include "orders.h"

static WOLFSSL *begin(int fd, int port, const char *version, const char *suite)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	WOLFSSL_CTX *ctx;
	WOLFSSL *ssl;

	to.sin_port = htons((unsigned short)port);
	(void)wolfSSL_Init();
	ctx = wolfSSL_CTX_new(strcmp(version, "1.2") == 0 ? wolfTLSv1_2_client_method()
							  : wolfTLSv1_3_client_method());
	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
	if (wolfSSL_CTX_set_cipher_list(ctx, suite) != WOLFSSL_SUCCESS)
		die("no such suite");
	ssl = wolfSSL_new(ctx);
	if (ssl == NULL || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS ||
		wolfSSL_connect(ssl) != WOLFSSL_SUCCESS)
		die("connect");
	return ssl;
}

/* 0: the end of the orders. */
static int follow_order(WOLFSSL *ssl)
{
	static unsigned char bytes[ORDER_MAX];
	int n = next_order(bytes);

	if (n > 0 && wolfSSL_write(ssl, bytes, n) != n)
		die("write");
	if (n == 0 && wolfSSL_update_keys(ssl) != WOLFSSL_SUCCESS)
		die("update of keys");
	return n >= 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), order, server, n;
	unsigned char bytes[ORDER_MAX];
	WOLFSSL *ssl;

	if (argc != 4)
		die("wolfssl PORT 1.2|1.3 SUITE");
	ssl = begin(fd, (int)strtol(argv[1], NULL, 10), argv[2], argv[3]);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	wolfSSL_set_using_nonblock(ssl, 1);
	for (;;) {
		wait_both(fd, &order, &server);
		if (order && !follow_order(ssl))
			break;
		while (server || wolfSSL_pending(ssl) > 0) {
			n = wolfSSL_read(ssl, bytes, sizeof(bytes));
			/* A ticket or a KeyUpdate is no data. */
			if (n <= 0 && wolfSSL_get_error(ssl, n) == WOLFSSL_ERROR_WANT_READ)
				break;
			if (n <= 0)
				die("the server has closed");
			show(bytes, n);
		}
	}
	(void)fcntl(fd, F_SETFL, 0);
	wolfSSL_set_using_nonblock(ssl, 0);
	if (wolfSSL_shutdown(ssl) == WOLFSSL_SHUTDOWN_NOT_DONE &&
		wolfSSL_shutdown(ssl) != WOLFSSL_SUCCESS)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
