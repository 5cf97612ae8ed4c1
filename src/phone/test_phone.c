/*
 * The parts of the phone that need no server: command line, Maildir, the state files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "client/version.h"
#include "phone/durable.h"
#include "phone/http.h"
#include "phone/mailbox.h"
#include "phone/maildir.h"
#include "phone/options.h"
#include "phone/phone.h"
#include "phone/profile.h"

static char folder[64];

static void make_folder(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/test-phone-XXXXXX");
	REQUIRE(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
	struct err err = ERR_INIT;

	REQUIRE_OK(durable_remove_tree(folder, &err), &err);
	CHECK(access(folder, F_OK) < 0);
}

static void test_options(void)
{
	static const struct {
		const char *args[8];
		const char *error; /* part of the text; NULL: good */
	} cases[] = {
		{{"--server", "x", "--user", "u"}, NULL},
		{{"--server", "x", "--user", "u", "--once", "--base64"}, NULL},
		{{"--help"}, NULL},
		{{"--server", "x"}, "--user is missing"},
		{{"--user", "u"}, "--server is missing"},
		{{"--server"}, "--server needs a value"},
		{{"--sever", "x"}, "--sever is no option"},
		{{"--server", "x", "--user", "u", "more"}, "\"more\""},
		{{"--server", "x", "--user", "u", "--window", "513"}, "from 1 to 512"},
		{{"--server", "x", "--user", "u", "--window", "-1"}, "from 1 to 512"},
		{{"--server", "x", "--user", "u", "--filter", "6"}, "from 0 to 5"},
		{{"--server", "x", "--user", "u", "--version-eas", "13.0"}, "14.1"},
		{{"--server", "x", "--user", "u", "--body", "3"}, "--body"},
		{{"--server", "x", "--user", "u", "--device-id", "a-b"}, "letters and digits"},
		{{"--server", "x", "--user", "u", "--once", "--send"}, "only one of"},
		{{"--server", "x", "--user", "u", "--pin", "abc"}, "sha256//"},
		{{"--server", "x", "--user", "u", "--heartbeat", "0"}, "from 1 to 3540"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *argv[10] = {x_strdup("bellhop-phone")};
		struct options o;
		struct err err = ERR_INIT;
		int argc = 1, rc;

		for (size_t n = 0; n < 8 && cases[i].args[n] != NULL; n++)
			argv[argc++] = x_strdup(cases[i].args[n]);
		rc = options_parse(argc, argv, &o, &err);
		CHECK_INT(rc, cases[i].error == NULL ? 0 : -1);
		if (cases[i].error != NULL && strstr(err.text, cases[i].error) == NULL)
			CHECK_STR(err.text, cases[i].error);
		for (int n = 0; n < argc; n++)
			mem_free(argv[n]);
	}
	CHECK(strstr(options_help(), "--wait-one") != NULL);
}

static void test_urls(void)
{
	static const struct {
		const char *server;
		bool insecure;
		const char *url; /* NULL: refused */
	} cases[] = {
		{"mail.example.org", false, "https://mail.example.org/Microsoft-Server-ActiveSync"},
		{"mail.example.org:8443", false,
			"https://mail.example.org:8443/Microsoft-Server-ActiveSync"},
		{"https://x.org/eas?a=b#c", false, "https://x.org/eas"},
		{"https://u:p@x.org/", false, "https://x.org/Microsoft-Server-ActiveSync"},
		{"http://127.0.0.1:8080", false,
			"http://127.0.0.1:8080/Microsoft-Server-ActiveSync"},
		{"http://[::1]:80/", false, "http://[::1]:80/Microsoft-Server-ActiveSync"},
		{"http://x.org", false, NULL},
		{"http://127.0.0.1.x.org", false, NULL},
		{"http://x.org", true, "http://x.org/Microsoft-Server-ActiveSync"},
		{"ftp://x.org", true, NULL},
		{"https://", false, NULL},
		{"", false, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep) char *url = NULL;
		struct err err = ERR_INIT;
		int rc = http_url(cases[i].server, cases[i].insecure, &url, &err);

		CHECK_INT(rc, cases[i].url == NULL ? -1 : 0);
		CHECK_STR(url, cases[i].url);
	}
}

static void test_same_host(void)
{
	CHECK(http_same_host("https://x.org/a", "http://X.org:80/b"));
	CHECK(http_same_host("http://[::1]:80/", "https://[::1]/"));
	CHECK(!http_same_host("http://[::1]:80/", "https://[::2]/"));
	CHECK(!http_same_host("https://x.org/", "https://x.org.evil/"));
}

static void test_maildir_names(void)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{"Sent", "Sent"},
		{"a.b/c", "a_b_c"},
		{"R&D", "R&-D"},
		{"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
		{"\xe5\x8f\xb0\xe5\x8c\x97", "&U,BTFw-"}, /* RFC 3501 5.1.3 */
		{"\xf0\x9f\x98\x80", "&2D3eAA-"},
		{"", ""},
	};
	CLEANUP(mem_freep) char *a = maildir_base("1", "1:2", 5);
	CLEANUP(mem_freep) char *b = maildir_base("1", "1:2", 5);
	CLEANUP(mem_freep) char *c = maildir_base("11", ":2", 5);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b2 = BUF_INIT;

		maildir_add_name(&b2, cases[i].name);
		CHECK_STR(buf_cstr(&b2), cases[i].want);
		buf_deinit(&b2);
	}
	CHECK_STR(a, b);
	CHECK(strcmp(a, c) != 0);
	CHECK(str_starts(a, "5.") && str_ends(a, MAILDIR_SUFFIX));
}

static bool exists(const char *name)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

static void test_maildir(void)
{
	struct maildir_scan scan;
	const struct maildir_file *f;
	struct err err = ERR_INIT;
	char *path = NULL;

	make_folder();
	REQUIRE_OK(maildir_scan(folder, &scan, &err), &err);
	CHECK(scan.missing);
	maildir_scan_clear(&scan);
	REQUIRE_OK(maildir_create(folder, &err), &err);
	REQUIRE_OK(maildir_put(folder, "1.a.bellhop", (struct maildir_flags){0}, "a\r\nb\rc\r\n", 8,
			   1000000000, NULL, &path, &err),
		&err);
	CHECK(str_ends(path, "/new/1.a.bellhop"));
	mem_freep(&path);
	REQUIRE_OK(maildir_put(folder, "1.b.bellhop", (struct maildir_flags){.read = true}, "x", 1,
			   0, NULL, &path, &err),
		&err);
	mem_freep(&path);
	CHECK(exists("cur/1.b.bellhop:2,S"));
	REQUIRE_OK(maildir_sync(folder, &err), &err);
	REQUIRE_OK(maildir_scan(folder, &scan, &err), &err);
	CHECK(!scan.missing);
	f = maildir_scan_find(&scan, "1.a.bellhop");
	REQUIRE(f != NULL);
	CHECK(!f->flags.read);
	REQUIRE_OK(maildir_set_flags(
			   folder, f, (struct maildir_flags){.read = true, .flagged = true}, &err),
		&err);
	CHECK(exists("cur/1.a.bellhop:2,FS"));
	f = maildir_scan_find(&scan, "1.b.bellhop");
	REQUIRE(f != NULL && f->flags.read);
	REQUIRE_OK(maildir_put(folder, "1.b.bellhop", (struct maildir_flags){0}, "y", 1, 0, f,
			   &path, &err),
		&err);
	mem_freep(&path);
	CHECK(!exists("cur/1.b.bellhop:2,S"));
	maildir_scan_clear(&scan);
	remove_folder();
}

static void test_maildir_keeps_other_letters(void)
{
	struct maildir_file f = {.base = "1.a.bellhop", .path = "cur/1.a.bellhop:2,RT"};
	struct err err = ERR_INIT;
	CLEANUP(mem_freep) char *path = NULL;

	make_folder();
	REQUIRE_OK(maildir_create(folder, &err), &err);
	path = x_printf("%s/%s", folder, f.path);
	REQUIRE_OK(durable_write(folder, path, "x", 1, &err), &err);
	REQUIRE_OK(maildir_set_flags(folder, &f, (struct maildir_flags){.read = true}, &err), &err);
	CHECK(exists("cur/1.a.bellhop:2,RST"));
	REQUIRE_OK(maildir_set_flags(folder, &f, (struct maildir_flags){0}, &err), &err); /* gone */
	remove_folder();
}

static void test_mailbox(void)
{
	struct mailbox *m, *again = NULL;
	struct mailbox_entry *e;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	make_folder();
	REQUIRE_OK(mailbox_load(folder, "5 /x", &m, &err), &err);
	CHECK_STR(mailbox_sync_key(m), "0");
	mailbox_set_sync_key(m, "k 1%");
	e = mailbox_add(m, "5:1", "1.a.bellhop");
	e->read = e->partial = true;
	(void)mailbox_add(m, "id with\nall", "1.b.bellhop");
	(void)mailbox_add(m, "5:3", "1.c.bellhop");
	mailbox_remove(m, e);
	CHECK(mailbox_find(m, "5:1") == NULL);
	mailbox_find(m, "5:3")->flagged = true;
	REQUIRE_OK(mailbox_save(folder, m, &err), &err);
	REQUIRE_OK(mailbox_load(folder, "5 /x", &again, &err), &err);
	CHECK_STR(mailbox_sync_key(again), "k 1%");
	CHECK_INT(mailbox_count(again), 2);
	CHECK(mailbox_find(again, "id with\nall") != NULL);
	CHECK(mailbox_find(again, "5:3")->flagged && !mailbox_find(again, "5:3")->read);
	mailbox_reset(again);
	CHECK_STR(mailbox_sync_key(again), "0");
	CHECK(mailbox_at(again, 0)->stale);
	mailbox_free(&again);
	/* A file that ends early at any byte is refused. */
	mailbox_encode(m, &text);
	for (size_t n = 0; n < text.len; n++)
		CHECK(mailbox_decode("5 /x", (const char *)text.data, n, &again, &err) < 0);
	CHECK(mailbox_decode("6", (const char *)text.data, text.len, &again, &err) < 0);
	REQUIRE_OK(mailbox_decode("5 /x", (const char *)text.data, text.len, &again, &err), &err);
	mailbox_free(&again);
	mailbox_forget(folder, "5 /x");
	mailbox_free(&m);
	buf_deinit(&text);
	remove_folder();
}

static void test_profile(void)
{
	struct profile *p = profile_new("https://x/", "u"), *again = NULL;
	struct answer_folder folders[] = {{"1", "0", "Inbox", 2}, {"2", "0", "Archiv", 12},
		{"3", "2", "2024", 12}, {"4", "0", "Archiv", 12}, {"5", "0", "Calendar", 8},
		{"6", "0", "Drafts", 3}, {"7", "8", "Loop", 12}, {"8", "7", "Pool", 12}};
	static const char *const paths[] = {"", ".Archiv", ".Archiv.2024", NULL, NULL, NULL};
	CLEANUP(mem_freep) char *fourth = NULL, *loop = NULL;
	struct err err = ERR_INIT;

	make_folder();
	CHECK(profile_load(folder, &again, &err) < 0);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	p->version = VERSION_141;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		profile_folder_put(p, &folders[i]);
	for (size_t i = 0; i < 3; i++) {
		p->folders[i].path = profile_folder_path(p, &p->folders[i]);
		CHECK_STR(p->folders[i].path, paths[i]);
	}
	fourth = profile_folder_path(p, &p->folders[3]);
	CHECK(str_starts(fourth, ".Archiv-"));
	CHECK_STR(profile_folder_path(p, &p->folders[4]), NULL);
	CHECK_STR(profile_folder_path(p, &p->folders[5]), NULL); /* Drafts before 16.0 */
	loop = profile_folder_path(p, &p->folders[6]);
	CHECK(loop != NULL && strlen(loop) <= 220);
	p->policy_key = 4294967295u;
	heartbeat_on_expired(&p->heartbeat, 480);
	profile_folder_remove(p, "4");
	REQUIRE_OK(profile_save(folder, p, &err), &err);
	REQUIRE_OK(profile_load(folder, &again, &err), &err);
	CHECK_INT(again->policy_key, 4294967295u);
	CHECK_INT(again->heartbeat.current_s, 780);
	CHECK_INT(again->folder_count, 7);
	CHECK_STR(again->folders[2].path, ".Archiv.2024");
	profile_free(&again);
	profile_free(&p);
	remove_folder();
}

static void test_broken_profiles(void)
{
	static const char *const texts[] = {
		"", "{", "[]", "{\"server\":1}", "{\"server\":\"x\"}", "\xff"};
	CLEANUP(mem_freep) char *path = NULL;
	struct profile *p = NULL;
	struct err err = ERR_INIT;

	make_folder();
	path = x_printf("%s/account.json", folder);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		REQUIRE_OK(durable_write(folder, path, texts[i], strlen(texts[i]), &err), &err);
		CHECK(profile_load(folder, &p, &err) < 0);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		CHECK(strstr(err.text, "account.json") != NULL);
	}
	remove_folder();
}

static void test_compose(void)
{
	struct answer_mail mail = {.from = "\"A\" <a@x>",
		.subject = "one\r\nBcc: two",
		.received_at = 1267444800,
		.importance = 2,
		.body_type = 1,
		.data = "hi",
		.data_len = 2};
	struct buf b = BUF_INIT;

	compose_message(&mail, &b);
	CHECK(strstr(buf_cstr(&b), "Subject: one  Bcc: two\r\n") != NULL);
	CHECK(strstr(buf_cstr(&b), "Date: Mon, 01 Mar 2010 12:00:00 +0000\r\n") != NULL);
	CHECK(str_ends(buf_cstr(&b), "\r\n\r\nhi\r\n"));
	buf_deinit(&b);
}

TEST_MAIN(TEST(test_options), TEST(test_urls), TEST(test_same_host), TEST(test_maildir_names),
	TEST(test_maildir), TEST(test_maildir_keeps_other_letters), TEST(test_mailbox),
	TEST(test_profile), TEST(test_broken_profiles), TEST(test_compose))
