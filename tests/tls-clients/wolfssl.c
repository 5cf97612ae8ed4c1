/*
 * A TLS client of wolfSSL: wolfssl PORT tls1.2|tls1.3. Standard input goes to the server, what it says to
 * standard output. Each byte 0x01 of the input is an order to update keys (1.3). End of input: close_notify.
 */
#include <wolfssl/options.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wolfssl/ssl.h>

#define UPDATE 0x01

static void die(const char *what)
{
	(void)fprintf(stderr, "wolfssl: %s\n", what);
	exit(1);
}

static void put(WOLFSSL *ssl, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		const char *order = memchr(bytes + at, UPDATE, len - at);
		size_t n = order != NULL ? (size_t)(order - (bytes + at)) : len - at;

		if (n > 0 && wolfSSL_write(ssl, bytes + at, (int)n) != (int)n)
			die("write");
		at += n;
		if (order == NULL)
			continue;
		if (wolfSSL_update_keys(ssl) != WOLFSSL_SUCCESS)
			die("update of keys");
		at++;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int old = argc > 2 && strcmp(argv[2], "tls1.2") == 0, fd = socket(AF_INET, SOCK_STREAM, 0), n;
	char bytes[16384];
	WOLFSSL_CTX *ctx;
	WOLFSSL *ssl;

	to.sin_port = htons((unsigned short)strtoul(argc > 1 ? argv[1] : "0", NULL, 10));
	(void)wolfSSL_Init();
	ctx = wolfSSL_CTX_new(old ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
	ssl = wolfSSL_new(ctx);
	if (ssl == NULL || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS || wolfSSL_connect(ssl) != WOLFSSL_SUCCESS)
		die("connect");
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	wolfSSL_set_using_nonblock(ssl, 1);
	for (;;) {
		struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

		if (wolfSSL_pending(ssl) == 0 && poll(fds, 2, -1) < 0)
			die("poll");
		if (fds[0].revents != 0) {
			n = (int)read(0, bytes, sizeof(bytes));
			if (n <= 0)
				break;
			put(ssl, bytes, (size_t)n);
		}
		if (fds[1].revents != 0 || wolfSSL_pending(ssl) > 0) {
			n = wolfSSL_read(ssl, bytes, sizeof(bytes));
			/* A ticket or a KeyUpdate is no data. */
			if (n <= 0 && wolfSSL_get_error(ssl, n) == WOLFSSL_ERROR_WANT_READ)
				continue;
			if (n <= 0)
				die("the server has closed");
			if (write(1, bytes, (size_t)n) != n)
				die("output");
		}
	}
	(void)fcntl(fd, F_SETFL, 0);
	wolfSSL_set_using_nonblock(ssl, 0);
	if (wolfSSL_shutdown(ssl) == WOLFSSL_SHUTDOWN_NOT_DONE && wolfSSL_shutdown(ssl) != WOLFSSL_SUCCESS)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
