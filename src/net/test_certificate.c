/* What is read out of certificates: one of our own making is self-signed, and bears its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "net/certificate.h"
#include "net/tls.h"

static char dir[] = "/tmp/bellhop-certificate-XXXXXX", cert[64], key[64], other[64], other_key[64];

static void make(void)
{
	struct err err = ERR_INIT;

	REQUIRE(mkdtemp(dir) != NULL);
	(void)snprintf(cert, sizeof(cert), "%s/c.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/k.pem", dir);
	(void)snprintf(other, sizeof(other), "%s/o.pem", dir);
	(void)snprintf(other_key, sizeof(other_key), "%s/ok.pem", dir);
	REQUIRE_OK(net_tls_self_signed(cert, key, "mail.example.org", &err), &err);
	REQUIRE_OK(net_tls_self_signed(other, other_key, "other.example.org", &err), &err);
}

static void test_facts(void)
{
	struct certificate *c = NULL;
	struct err err = ERR_INIT;

	make();
	REQUIRE_OK(certificate_load(cert, &c, &err), &err);
	CHECK_INT(certificate_count(c), 1);
	CHECK(certificate_is_self_signed(c));
	CHECK(certificate_is_p256(c));
	CHECK(certificate_has_name(c, "mail.example.org"));
	CHECK(!certificate_has_name(c, "other.example.org"));
	CHECK(certificate_not_before_at(c) <= clock_now_at());
	CHECK(certificate_not_after_at(c) > clock_now_at());
	CHECK_INT(certificate_check_key(c, key, &err), 0);
	CHECK_INT(certificate_check_key(c, other_key, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK_INT(certificate_check_chain(c, NULL, &err), -1);
	CHECK_INT(certificate_check_chain(c, cert, &err), 0);
	certificate_free(&c);
	CHECK(c == NULL);
}

static void test_trouble(void)
{
	struct certificate *c = NULL;
	struct err err = ERR_INIT;

	CHECK_INT(certificate_load("/nonexistent/c.pem", &c, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(certificate_load(key, &c, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK(c == NULL);
	(void)unlink(cert);
	(void)unlink(key);
	(void)unlink(other);
	(void)unlink(other_key);
	(void)rmdir(dir);
}

TEST_MAIN(TEST(test_facts), TEST(test_trouble))
