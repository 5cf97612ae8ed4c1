#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "conf/settings.h"

/* Each setting: a text that says something, a default inside its own bounds (settings_default()
 * would trap). */
static void test_every_setting_has_text(void)
{
	size_t count;
	const struct setting_def *table = settings_table(&count);
	const struct settings *s = settings_default();

	CHECK(count > 50);
	for (size_t i = 0; i < count; i++) {
		struct buf range = BUF_INIT;

		if (strlen(table[i].text) < 12 || !str_ends(table[i].text, "."))
			test_fail_(__FILE__, __LINE__, "%s.%s has no proper text", table[i].section,
				table[i].name);
		settings_describe_range(&table[i], &range);
		CHECK(range.len > 0);
		if (table[i].type == SETTING_TYPE_UINT && strlen(table[i].name) > 2 &&
			str_ends(table[i].name, "_s"))
			CHECK_STR(table[i].unit, "s");
		for (size_t k = 0; k < i; k++)
			CHECK(!str_eq(table[i].section, table[k].section) ||
				!str_eq(table[i].name, table[k].name));
		buf_deinit(&range);
	}
	CHECK(s->hostname[0] != '\0');
	CHECK_INT(s->push_heartbeat_max_s, 3540);
	CHECK_INT(s->eas_versions.count, 7);
	settings_unref(&s);
	CHECK(s == NULL);
}

static void test_parse_values(void)
{
	static const char text[] = "\xef\xbb\xbf# a comment\r\n"
				   "[ server ]\n"
				   "hostname = mail.example.org   # trailing\n"
				   "data_dir = ./data\n"
				   "log_level=debug\r\n"
				   "\n"
				   "[push]\n"
				   "  heartbeat_min_s = 120\n"
				   "[policy]\n"
				   "required = no\n"
				   "[auth]\n"
				   "realm = \" Bell # hop \"  # quoted\n"
				   "[listen]\n"
				   "https = 127.0.0.1:8443   [::1]:8443\n"
				   "http =\n"
				   "[server]\n"
				   "workers = 4";
	const struct settings *s = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_parse(text, strlen(text), "/etc/bellhop/bellhop.conf", &s, NULL, &err),
		&err);
	CHECK_STR(s->server_hostname, "mail.example.org");
	CHECK_STR(s->hostname, "mail.example.org");
	CHECK_STR(s->server_data_dir, "/etc/bellhop/data");
	CHECK_STR(s->server_log_level, "debug");
	CHECK_INT(s->server_workers, 4);
	CHECK_INT(s->push_heartbeat_min_s, 120);
	CHECK(!s->policy_required);
	CHECK_STR(s->auth_realm, " Bell # hop ");
	CHECK_INT(s->listen_https.count, 2);
	CHECK_STR(s->listen_https.words[1], "[::1]:8443");
	CHECK_INT(s->listen_http.count, 0);
	settings_unref(&s);
}

static const struct {
	const char *text, *error; /* error: must be in the message; NULL: accepted */
} parse_cases[] = {
	{"", NULL},
	{"[push]\n\n[push]\n", NULL},
	{"workers = 4\n", "x.conf:1: a setting before the first [section] line"},
	{"[serve]\n", "x.conf:1: unknown section [serve]; known: server, listen, tls"},
	{"[server\n", "a section line is [name]"},
	{"[]\n", "unknown section []"},
	{"[push]\nheartbeat = 3\n", "x.conf:2: unknown setting \"heartbeat\" in [push]; known: "
				    "heartbeat_min_s, heartbeat_max_s"},
	{"[push]\nheartbeat_min_s 3\n", "a setting is written name = value"},
	{"[push]\n#\nheartbeat_min_s = 0\n",
		"x.conf:3: push.heartbeat_min_s: \"0\" is not allowed; allowed: 1 to 3540 s"},
	{"[push]\nheartbeat_min_s = 3541\n", "1 to 3540 s"},
	{"[push]\nheartbeat_min_s = -1\n", "1 to 3540 s"},
	{"[push]\nheartbeat_min_s = 1m\n", "1 to 3540 s"},
	{"[push]\nheartbeat_min_s =\n", "1 to 3540 s"},
	{"[push]\nheartbeat_min_s = 99999999999999999999999\n", "1 to 3540 s"},
	{"[push]\nheartbeat_min_s = 1\nheartbeat_min_s = 2\n",
		"x.conf:3: push.heartbeat_min_s is set already in line 2"},
	{"[server]\nfronts = auto\n", NULL},
	{"[server]\nfronts = many\n", "\"many\" is not allowed; allowed: auto, or 0 to 256"},
	{"[server]\nfronts =\n", "auto, or 0 to 256"},
	{"[server]\nworkers = auto\n", "allowed: 2 to 256"},
	{"[policy]\nrequired = true\n", "yes or no"},
	{"[server]\nlog_level = loud\n", "error, warn, info or debug"},
	{"[server]\nlog_level = error|warn\n", "error, warn, info or debug"},
	{"[server]\ndata_dir =\n", "a path of 1 to 4000 bytes"},
	{"[auth]\nrealm = \"x\n", "closing quote"},
	{"[auth]\nrealm = \"x\" y\n", "text after the closing quote"},
	{"[auth]\nrealm = a\x01\n", "control character"},
	{"[auth]\nrealm = \xff\n", "broken UTF-8"},
	{"[tls]\ncertificate = /x\n", "belong together"},
	{"[server]\nhostname = a b\n", "x.conf:2: server.hostname: \"a b\" is not allowed"},
	{"[server]\nhostname = mail.\n", "a host name"},
	{"[http]\ntrusted_proxies = 10.0.0.1 proxy\n", "\"proxy\" is no address"},
	{"[http]\ntrusted_proxies =\n", NULL},
	{"[web]\nprofile_key = /x\n",
		"web.profile_certificate and web.profile_key belong together"},
	{"[web]\nprofile_certificate = /x\nprofile_key = /y\n", NULL},
	{"[http]\naddress_exceptions = 192.0.2.0/24 2001:db8::1\n", NULL},
	{"[http]\naddress_exceptions = outlook.com\n", "address_exceptions: \"outlook.com\" is no"},
	{"[http]\ntrusted_proxies = 10.0.0.0/8 2001:db8::/128 0.0.0.0/0\n", NULL},
	{"[http]\ntrusted_proxies = 10.0.0.0/33\n", "\"10.0.0.0/33\" is no address"},
	{"[http]\ntrusted_proxies = 10.0.0.0/\n", "\"10.0.0.0/\" is no address"},
	{"[http]\ntrusted_proxies = ::/129\n", "\"::/129\" is no address"},
	{"[http]\ntrusted_proxies = /8\n", "\"/8\" is no address"},
	{"[server]\nhostname = mail-1.example.org\n", NULL},
	{"[auth]\ndefault_domain = \"@example.org\"\n", "x.conf:2: auth.default_domain"},
	{"[auth]\ndefault_domain = m\xc3\xbcnchen.example\n", NULL},
	{"[eas]\nversions = 14.1 15.0\n", "\"15.0\" is not one of"},
	{"[listen]\nhttps = 443\n", "\"443\" is not allowed; allowed: address:port"},
	{"[listen]\nhttps = *:65536\n", "address:port"},
	{"[listen]\nhttps = ::1:443\n", "address:port"},
	{"[listen]\nhttps = mail.example.org:443\n", "address:port"},
	{"[listen]\nhttps = localhost:443\n", NULL},
	{"[listen]\nhttp = unix:/run/x\n", "phones need address:port"},
	{"[listen]\nlmtp = unix:\n", "address:port"},
	{"[listen]\nlmtp = 127.0.0.1:24 unix:/run/x.sock\n", NULL},
};

static void test_errors_name_line_and_range(void)
{
	for (size_t i = 0; i < ARRAY_LEN(parse_cases); i++) {
		const struct settings *s = NULL;
		struct err err = ERR_INIT;
		int status = settings_parse(
			parse_cases[i].text, strlen(parse_cases[i].text), "x.conf", &s, NULL, &err);

		if (parse_cases[i].error == NULL) {
			if (status < 0)
				test_fail_(__FILE__, __LINE__, "case %zu: %s", i, err.text);
		} else if (status == 0 || strstr(err.text, parse_cases[i].error) == NULL) {
			test_fail_(__FILE__, __LINE__, "case %zu: \"%s\" lacks \"%s\"", i, err.text,
				parse_cases[i].error);
		}
		CHECK(status == 0 || (s == NULL && err.code == ERR_BAD_INPUT));
		settings_unref(&s);
	}
}

static void test_all_errors_are_reported(void)
{
	static const char text[] =
		"[push]\nfoo = 1\nheartbeat_min_s = x\n[bar]\nany = thing\n[http]\nq = 1\n";
	const struct settings *s = NULL;
	struct settings_report report = SETTINGS_REPORT_INIT;
	struct err err = ERR_INIT;

	CHECK(settings_parse(text, strlen(text), "x.conf", &s, &report, &err) < 0);
	CHECK_INT(report.errors, 4);
	CHECK(strstr(buf_cstr(&report.text), "x.conf:7: error: unknown setting") != NULL);
	settings_report_deinit(&report);
}

static void test_heartbeat_bounds_revert(void)
{
	static const char text[] = "[push]\nheartbeat_min_s = 900\nheartbeat_max_s = 600\n";
	const struct settings *s = NULL;
	struct settings_report report = SETTINGS_REPORT_INIT;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_parse(text, strlen(text), "x.conf", &s, &report, &err), &err);
	CHECK_INT(report.warnings, 1);
	CHECK(strstr(buf_cstr(&report.text), "x.conf:3: warning: ") != NULL);
	CHECK_INT(s->push_heartbeat_min_s, 60);
	CHECK_INT(s->push_heartbeat_max_s, 3540);
	settings_report_deinit(&report);
	settings_unref(&s);
}

/* The documented dump parses to the same values, with and without changes. */
static void test_dump_round_trip(void)
{
	static const char text[] = "[auth]\nrealm = \"#x\"\n[tls]\ncertificate = /a b\nkey = "
				   "k\n[sync]\nwindow_default = 7\n";
	const struct settings *s = NULL, *again = NULL;
	struct err err = ERR_INIT;
	struct buf dump = BUF_INIT;

	REQUIRE_OK(settings_parse(text, strlen(text), "/e/x.conf", &s, NULL, &err), &err);
	settings_dump(s, true, &dump);
	CHECK_STR(buf_cstr(&dump),
		"[tls]\ncertificate = /a b\nkey = /e/k\n\n[sync]\nwindow_default = 7\n\n"
		"[auth]\nrealm = \"#x\"\n");
	buf_clear(&dump);
	settings_dump(s, false, &dump);
	REQUIRE_OK(settings_parse((char *)dump.data, dump.len, "y", &again, NULL, &err), &err);
	CHECK(settings_equal(s, again));
	CHECK(strstr(buf_cstr(&dump), "#heartbeat_min_s = 60\n") != NULL);
	CHECK(strstr(buf_cstr(&dump), "\nwindow_default = 7\n") != NULL);
	buf_deinit(&dump);
	settings_unref(&s);
	settings_unref(&again);
}

static void test_merge_holds_back(void)
{
	static const char text[] =
		"[server]\nworkers = 3\nlog_level = warn\n[store]\nreaders = 2\n";
	const struct settings *running = settings_default(), *next = NULL, *merged;
	struct err err = ERR_INIT;
	struct buf names = BUF_INIT;

	REQUIRE_OK(settings_parse(text, strlen(text), "x", &next, NULL, &err), &err);
	merged = settings_merge(running, next, &names);
	CHECK_STR(buf_cstr(&names), "server.workers store.readers");
	CHECK_INT(merged->server_workers, running->server_workers);
	CHECK_STR(merged->server_log_level, "warn");
	CHECK(settings_reloadable("server.log_level"));
	CHECK(!settings_reloadable("server.workers"));
	CHECK(!settings_reloadable("server.nothing"));
	settings_unref(&next);
	REQUIRE_OK(settings_with(merged, "push.heartbeat_min_s", "77", &next, &err), &err);
	CHECK_INT(next->push_heartbeat_min_s, 77);
	CHECK_STR(next->server_log_level, "warn");
	CHECK_INT(merged->push_heartbeat_min_s, 60);
	settings_unref(&next);
	CHECK(settings_with(merged, "push.heartbeat_min_s", "0", &next, &err) < 0);
	CHECK(settings_with(merged, "push.nothing", "0", &next, &err) < 0);
	CHECK(next == NULL);
	buf_deinit(&names);
	settings_unref(&running);
	settings_unref(&next);
	settings_unref(&merged);
}

static void test_references(void)
{
	const struct settings *a = settings_default(), *b = settings_ref(a);

	settings_unref(&a);
	CHECK_INT(b->push_heartbeat_min_s, 60); /* still there: ASan would tell */
	settings_unref(&b);
	settings_unref(&b);
}

static void test_files(void)
{
	char dir[] = "/tmp/bellhop-conf-XXXXXX", path[64];
	const struct settings *s = NULL;
	struct err err = ERR_INIT;
	FILE *f;

	REQUIRE(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/b.conf", dir);
	CHECK(settings_parse_file(path, &s, NULL, &err) < 0);
	CHECK(strstr(err.text, path) != NULL && strstr(err.text, "No such file") != NULL);
	REQUIRE((f = fopen(path, "w")) != NULL);
	(void)fputs("[server]\nruntime_dir = run\n", f);
	(void)fclose(f);
	REQUIRE_OK(settings_parse_file(path, &s, NULL, &err), &err);
	CHECK(str_starts(s->server_runtime_dir, dir) && str_ends(s->server_runtime_dir, "/run"));
	settings_unref(&s);
	(void)unlink(path);
	(void)rmdir(dir);
}

TEST_MAIN(TEST(test_every_setting_has_text), TEST(test_parse_values),
	TEST(test_errors_name_line_and_range), TEST(test_all_errors_are_reported),
	TEST(test_heartbeat_bounds_revert), TEST(test_dump_round_trip), TEST(test_merge_holds_back),
	TEST(test_references), TEST(test_files))
