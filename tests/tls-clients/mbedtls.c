/*
 * A TLS client of mbedTLS (orders.h). Version 2.28 has TLS 1.2 only.
 */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

#include "orders.h"

int main(int argc, char **argv)
{
	static mbedtls_ctr_drbg_context random;
	static mbedtls_entropy_context entropy;
	static mbedtls_ssl_context ssl;
	static mbedtls_ssl_config config;
	static unsigned char bytes[ORDER_MAX];
	mbedtls_net_context net;
	int suites[2] = {0, 0}, order, server, n;

	if (argc != 4)
		die("mbedtls PORT 1.2 SUITE");
	suites[0] = mbedtls_ssl_get_ciphersuite_id(argv[3]);
	mbedtls_net_init(&net);
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&config);
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&random);
	if (suites[0] == 0 ||
		mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) != 0 ||
		mbedtls_net_connect(&net, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_TCP) != 0 ||
		mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
			MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		die("connect");
	mbedtls_ssl_conf_ciphersuites(&config, suites);
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	if (mbedtls_ssl_setup(&ssl, &config) != 0)
		die("setup");
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
	if (mbedtls_ssl_handshake(&ssl) != 0)
		die("handshake");
	for (;;) {
		wait_both(net.fd, &order, &server);
		if (order) {
			n = next_order(bytes);
			if (n < 0)
				break;
			if (n == 0 || mbedtls_ssl_write(&ssl, bytes, (size_t)n) != n)
				die("write");
		}
		while (server || mbedtls_ssl_get_bytes_avail(&ssl) > 0) {
			n = mbedtls_ssl_read(&ssl, bytes, sizeof(bytes));
			if (n <= 0)
				die("the server has closed");
			show(bytes, n);
			server = 0;
		}
	}
	if (mbedtls_ssl_close_notify(&ssl) != 0 ||
		mbedtls_ssl_read(&ssl, bytes, sizeof(bytes)) != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		die("no close_notify from the server");
	(void)puts("closed");
	return 0;
}
