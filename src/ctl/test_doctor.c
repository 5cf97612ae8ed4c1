/* The doctor on made-up systems. */
#include "ctl/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/certificate.h"
#include "net/tls.h"

/* Room for a million. */
static const struct doctor_system large = {.running = true,
	.open_soft = 20000,
	.open_hard = 20000,
	.nr_open = 1048576,
	.file_max = 9223372036854775807,
	.somaxconn = 4096,
	.syn_backlog = 4096,
	.tcp_mem_pages = 562500,
	.page_bytes = 4096,
	.memory_bytes = 24ull << 30,
	.cores = 2};

static struct doctor doctor;
static json_t *result;

static void examine(const char *conf, const struct doctor_system *system, const char *status)
{
	struct err err = ERR_INIT;
	json_t *answer = status != NULL ? json_loads(status, 0, NULL) : NULL;

	doctor = (struct doctor){.system = *system, .status = answer};
	REQUIRE_OK(
		settings_parse(conf, strlen(conf), "x.conf", &doctor.settings, NULL, &err), &err);
	doctor_run(&doctor, &result);
	json_decref(answer);
}

static void done(void)
{
	json_decref(result);
	settings_unref(&doctor.settings);
}

/* What a check said; "" when it said nothing. */
static const char *of(const char *check, const char *what)
{
	const json_t *rows = json_object_get(result, "checks");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);

		if (str_eq(json_string_value(json_object_get(row, "check")), check)) {
			const char *text = json_string_value(json_object_get(row, what));

			return text != NULL ? text : "";
		}
	}
	return "";
}

static size_t findings(void)
{
	return json_array_size(json_object_get(result, "findings"));
}

static uint64_t phones(void)
{
	return (uint64_t)json_integer_value(json_object_get(result, "phones"));
}

#define MILLION "[server]\nmax_connections = 1000000\n"

static void test_well(void)
{
	examine(MILLION, &large, "{\"parked\":7}");
	CHECK_INT(findings(), 0);
	CHECK_STR(of("descriptors", "result"), "ok");
	CHECK(strstr(of("descriptors", "text"), "54 fronts hold 1069632 phones") != NULL);
	CHECK(strstr(of("server", "text"), "7 phones waiting") != NULL);
	CHECK_STR(of("memory", "result"), "ok");
	CHECK_STR(of("tcp_mem", "result"), "ok");
	CHECK_STR(of("conntrack", "result"), "");
	CHECK_INT((int)phones(), 1069632);
	done();
}

/* Enough for the phones, but by far more fronts than cores: what would do with fewer. */
static void test_many_fronts(void)
{
	struct doctor_system y = large;
	const char *digits;
	uint64_t enough;

	y.open_soft = y.open_hard = 1100;
	examine("", &y, "{}");
	CHECK_STR(of("descriptors", "result"), "ok");
	CHECK_INT(findings(), 0);
	CHECK(strstr(of("descriptors", "advice"), "LimitNOFILE") != NULL);
	CHECK(strstr(of("descriptors", "advice"), "limits.conf") != NULL);
	CHECK(strstr(of("descriptors", "advice"), "nr_open") == NULL);
	digits = strpbrk(of("descriptors", "advice"), "0123456789");
	REQUIRE(digits != NULL);
	enough = strtoull(digits, NULL, 10);
	done();
	/* The figure is enough, and not one is too many. */
	y.open_soft = y.open_hard = enough;
	examine("", &y, "{}");
	CHECK(strstr(of("descriptors", "text"), ": 2 fronts") != NULL);
	CHECK_STR(of("descriptors", "advice"), "");
	done();
	y.open_soft = y.open_hard = enough - 1;
	examine("", &y, "{}");
	CHECK(strstr(of("descriptors", "text"), ": 3 fronts") != NULL);
	CHECK_STR(of("descriptors", "advice"), "");
	done();
	/* As many as somebody asked for. */
	y.open_soft = y.open_hard = 1100;
	examine("[server]\nfronts = 40\n", &y, "{}");
	CHECK_STR(of("descriptors", "advice"), "");
	done();
}

static void test_too_few_fronts(void)
{
	examine(MILLION "fronts = 3\n", &large, "{}");
	CHECK_INT(findings(), 1);
	CHECK_STR(of("descriptors", "result"), "problem");
	CHECK(strstr(of("descriptors", "text"), "3 fronts hold only 59424 phones; 54 fronts") !=
		NULL);
	CHECK(strstr(of("descriptors", "advice"), "server.fronts to 0") != NULL);
	CHECK_INT((int)phones(), 59424);
	done();
	examine(MILLION "fronts = 1\n", &large, "{}");
	CHECK(strstr(of("descriptors", "text"), "1 front holds only 19808 phones;") != NULL);
	done();
}

static void test_few_descriptors(void)
{
	struct doctor_system y = large;

	y.open_soft = y.open_hard = 1024;
	examine(MILLION, &y, "{}");
	CHECK_STR(of("descriptors", "result"), "problem");
	CHECK(strstr(of("descriptors", "advice"), "LimitNOFILE") != NULL);
	CHECK_INT((int)phones(), 256 * (1024 - 192));
	done();
	y.running = false;
	examine("", &y, NULL);
	CHECK_STR(of("descriptors", "result"), "ok");
	CHECK_STR(of("server", "result"), "warning");
	CHECK_INT(findings(), 0);
	done();
}

static void test_small_machine(void)
{
	struct doctor_system y = large;

	y.memory_bytes = 2ull << 30;
	y.file_max = 100000;
	y.somaxconn = 128;
	y.tcp_mem_pages = 10000;
	examine(MILLION, &y, "{}");
	CHECK_STR(of("memory", "result"), "problem");
	CHECK_STR(of("files", "result"), "problem");
	CHECK_STR(of("backlog", "result"), "warning");
	CHECK_STR(of("tcp_mem", "result"), "warning");
	CHECK_INT((int)phones(), 80000);
	CHECK_STR(json_string_value(json_object_get(result, "phones_limited_by")), "files");
	done();
	/* The same machine is good enough for the default. */
	y.file_max = 200000;
	examine("", &y, "{}");
	CHECK_INT(findings(), 0);
	done();
}

static void test_conntrack(void)
{
	struct doctor_system y = large;

	y.conntrack_max = 262144;
	y.conntrack_s = 432000;
	examine(MILLION, &y, "{}");
	CHECK_STR(of("conntrack", "result"), "problem");
	done();
	examine("", &y, "{}");
	CHECK_STR(of("conntrack", "result"), "ok");
	done();
	y.conntrack_s = 900;
	examine("", &y, "{}");
	CHECK(strstr(of("conntrack", "advice"), "nf_conntrack_tcp_timeout_established") != NULL);
	done();
}

static void test_warnings_of_the_server(void)
{
	struct buf text = BUF_INIT;

	examine("", &large, "{\"parked\":1,\"warning_heartbeats\":\"phones wait only 312 s\"}");
	CHECK_STR(of("heartbeats", "result"), "warning");
	CHECK_STR(of("heartbeats", "text"), "phones wait only 312 s");
	doctor_render(result, 0, &text);
	CHECK(strstr(buf_cstr(&text), "warning  heartbeats   phones wait only 312 s\n") != NULL);
	CHECK(strstr(buf_cstr(&text), "server.max_connections is 20000.\n") != NULL);
	buf_deinit(&text);
	done();
}

static void test_this_system(void)
{
	struct doctor_system y;

	doctor_system_read(&y, 0);
	CHECK(y.open_hard > 0 && y.open_hard >= y.open_soft);
	CHECK(y.memory_bytes > 1 << 20 && y.memory_bytes < UINT64_MAX);
	CHECK(y.file_max > 0 && y.cores > 0 && y.page_bytes >= 4096);
}

/* A certificate of our own making, under its own name and under another. */
static void test_certificate(void)
{
	char dir[] = "/tmp/bellhop-doctor-XXXXXX", cert[64], key[64], conf[400];
	struct err err = ERR_INIT;

	REQUIRE(mkdtemp(dir) != NULL);
	(void)snprintf(cert, sizeof(cert), "%s/c.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/k.pem", dir);
	REQUIRE_OK(net_tls_self_signed(cert, key, "mail.example.org", &err), &err);
	for (int other = 0; other < 2; other++) {
		struct doctor d = {.checks = json_array(), .ca_file = cert};

		(void)snprintf(conf, sizeof(conf),
			"[server]\nhostname = %s\n[tls]\ncertificate = %s\nkey = %s\n",
			other ? "else.example.org" : "mail.example.org", cert, key);
		REQUIRE_OK(settings_parse(conf, strlen(conf), "x.conf", &d.settings, NULL, &err),
			&err);
		result = json_pack("{s:O}", "checks", d.checks);
		doctor_check_certificate(&d);
		CHECK_STR(of("certificate", "result"), other ? "problem" : "ok");
		CHECK(strstr(of("certificate", "text"), other ? "else.example.org" : "days more") !=
			NULL);
		json_decref(d.checks);
		json_decref(result);
		/* Nobody's authority: phones would not trust it. */
		d.checks = json_array();
		d.ca_file = NULL;
		result = json_pack("{s:O}", "checks", d.checks);
		doctor_check_certificate(&d);
		CHECK(json_array_size(d.checks) == (other ? 2u : 1u));
		CHECK_STR(of("certificate", "result"), other ? "problem" : "warning");
		json_decref(d.checks);
		json_decref(result);
		settings_unref(&d.settings);
	}
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
}

/* A day before its end, on the day after, and before it began: the dates and nothing else. */
static void test_dates(void)
{
	static const struct {
		int days; /* from the end; before the beginning: from that */
		bool from_start;
		const char *result, *text;
	} cases[] = {
		{-30, false, "ok", "good for 30 days more"},
		{-10, false, "warning", ", in 10 days"},
		{-1, false, "warning", ", in 1 day"},
		{0, false, "warning", ", in less than a day"},
		{1, false, "problem", ", 1 day ago: phones refuse to connect"},
		{40, false, "problem", ", 40 days ago"},
		{-3, true, "problem", "not valid yet"},
	};
	char dir[] = "/tmp/bellhop-doctor-XXXXXX", cert[64], key[64], conf[400];
	struct certificate *c = NULL;
	struct err err = ERR_INIT;
	int64_t start_at, end_at;

	REQUIRE(mkdtemp(dir) != NULL);
	(void)snprintf(cert, sizeof(cert), "%s/c.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/k.pem", dir);
	REQUIRE_OK(net_tls_self_signed(cert, key, "mail.example.org", &err), &err);
	REQUIRE_OK(certificate_load(cert, &c, &err), &err);
	start_at = certificate_not_before_at(c);
	end_at = certificate_not_after_at(c);
	certificate_free(&c);
	(void)snprintf(conf, sizeof(conf),
		"[server]\nhostname = mail.example.org\n[tls]\ncertificate = %s\nkey = %s\n", cert,
		key);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct doctor d = {.checks = json_array(), .ca_file = cert};
		int64_t at = (cases[i].from_start ? start_at : end_at) + cases[i].days * 86400;

		clock_fake_set((at + (cases[i].days > 0 ? 60 : -60)) * 1000, 0);
		REQUIRE_OK(settings_parse(conf, strlen(conf), "x.conf", &d.settings, NULL, &err),
			&err);
		result = json_pack("{s:O}", "checks", d.checks);
		doctor_check_certificate(&d);
		CHECK_STR(json_string_value(json_object_get(json_array_get(d.checks, 0), "result")),
			cases[i].result);
		CHECK(strstr(of("certificate", "text"), cases[i].text) != NULL);
		/* What is wrong with the dates is not said once more as a lack of trust. */
		CHECK(!str_eq(cases[i].result, "problem") || json_array_size(d.checks) == 1);
		json_decref(d.checks);
		json_decref(result);
		settings_unref(&d.settings);
	}
	clock_fake_off();
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
}

/* The key that signs profiles is for the server's user, not for root. */
static void test_signer(void)
{
	char dir[] = "/tmp/bellhop-signer-XXXXXX", conf[500];
	char *cert, *key;

	REQUIRE(mkdtemp(dir) != NULL);
	cert = x_printf("%s/cert.pem", dir);
	key = x_printf("%s/key.pem", dir);
	for (int i = 0; i < 3; i++) {
		struct doctor d = {.checks = json_array()};
		struct err err = ERR_INIT;
		int fd;

		/* i 0: all is well; 1: the key is root's alone; 2: it is not there. */
		(void)unlink(key);
		fd = open(cert, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		fd_close(&fd);
		fd = i < 2 ? open(key, O_CREAT | O_WRONLY | O_CLOEXEC, i == 0 ? 0644 : 0600) : -1;
		fd_close(&fd);
		REQUIRE(chmod(dir, 0755) == 0);
		(void)snprintf(conf, sizeof(conf),
			"[server]\nuser = nobody\n[web]\nprofile_certificate = %s\nprofile_key = "
			"%s\n",
			cert, key);
		REQUIRE_OK(settings_parse(conf, strlen(conf), "x.conf", &d.settings, NULL, &err),
			&err);
		result = json_pack("{s:O}", "checks", d.checks);
		doctor_check_signer(&d);
		if (geteuid() == 0) {
			CHECK_STR(of("profiles", "result"), i == 0 ? "ok" : "problem");
			CHECK(i == 0 || strstr(of("profiles", "text"), key) != NULL);
			CHECK(i != 1 || strstr(of("profiles", "text"), "chgrp nobody") != NULL);
			CHECK(i != 2 || strstr(of("profiles", "text"), "No such file") != NULL);
		}
		json_decref(d.checks);
		json_decref(result);
		settings_unref(&d.settings);
	}
	(void)unlink(cert);
	(void)unlink(key);
	(void)rmdir(dir);
	mem_free(cert);
	mem_free(key);
}

TEST_MAIN(TEST(test_signer), TEST(test_certificate), TEST(test_dates), TEST(test_well),
	TEST(test_many_fronts), TEST(test_too_few_fronts), TEST(test_few_descriptors),
	TEST(test_small_machine), TEST(test_conntrack), TEST(test_warnings_of_the_server),
	TEST(test_this_system))
