/*
 * A TLS client of mbedTLS: mbedtls PORT. Standard input goes to the server, what it says to standard output.
 * End of input: close_notify.
 */
#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void die(const char *what)
{
	(void)fprintf(stderr, "mbedtls: %s\n", what);
	exit(1);
}

int main(int argc, char **argv)
{
	static mbedtls_ctr_drbg_context random;
	static mbedtls_entropy_context entropy;
	static mbedtls_ssl_context ssl;
	static mbedtls_ssl_config config;
	static unsigned char bytes[16384];
	mbedtls_net_context net;
	int n;

	mbedtls_net_init(&net);
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&config);
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) != 0 ||
		mbedtls_net_connect(&net, "127.0.0.1", argc > 1 ? argv[1] : "0", MBEDTLS_NET_PROTO_TCP) != 0 ||
		mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
			MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		die("connect");
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	if (mbedtls_ssl_setup(&ssl, &config) != 0)
		die("setup");
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
	if (mbedtls_ssl_handshake(&ssl) != 0)
		die("handshake");
	for (;;) {
		struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = net.fd, .events = POLLIN}};

		if (mbedtls_ssl_get_bytes_avail(&ssl) == 0 && poll(fds, 2, -1) < 0)
			die("poll");
		if (fds[0].revents != 0) {
			n = (int)read(0, bytes, sizeof(bytes));
			if (n <= 0)
				break;
			if (mbedtls_ssl_write(&ssl, bytes, (size_t)n) != n)
				die("write");
		}
		if (fds[1].revents != 0 || mbedtls_ssl_get_bytes_avail(&ssl) > 0) {
			n = mbedtls_ssl_read(&ssl, bytes, sizeof(bytes));
			if (n <= 0)
				die("the server has closed");
			if (write(1, bytes, (size_t)n) != n)
				die("output");
		}
	}
	if (mbedtls_ssl_close_notify(&ssl) != 0 ||
		mbedtls_ssl_read(&ssl, bytes, sizeof(bytes)) != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
