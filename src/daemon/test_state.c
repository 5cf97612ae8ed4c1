/*
 * What a supervisor writes down for the program that takes its place: read again it is the same; a
 * document that lacks something, or says something that cannot be, is refused by name, before
 * anything was touched.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"
#include "conf/settings.h"
#include "daemon/listeners.h"
#include "daemon/supervisor_internal.h"
#include "shared/shared.h"

#define CHILD(role, number, pid)                                                                   \
	"{\"engine\":" role ",\"number\":" number ",\"life\":7,\"pid\":" pid                       \
	",\"control_fd\":-1,\"serving\":true,\"retiring\":false,\"started_ms\":12}"
#define HEAD(shared, config)                                                                       \
	"{\"version\":1,\"program\":\"/bin/bellhopd\",\"source\":\"/etc/b.conf\","                 \
	"\"config\":\"" config "\",\"ticket_fd\":900,\"shared_fd\":" shared ",\"notes_fd\":902,"   \
	"\"lock_fd\":903,\"notify_fd\":-1,"
#define TAIL                                                                                       \
	"\"listeners\":{\"https\":[[910],[911,912]],\"http\":[[],[]],\"https_shared\":false,"      \
	"\"http_shared\":true,\"lmtp\":[913]},\"children\":[" CHILD("true", "0", "100") "," CHILD( \
		"false", "0", "101") "," CHILD("false", "1", "102") "," CHILD("false", "1",        \
		"103") "]}"

static const char good[] = HEAD("901", "/run/active.conf") TAIL;

struct parsed {
	struct supervisor s;
	struct supervisor_options options;
	int notify_fd;
};

static int parse(const char *text, struct parsed *ret, struct err *err)
{
	*ret = (struct parsed){
		.s = {.ticket_fd = -1, .shared_fd = -1, .notes_fd = -1}, .notify_fd = -2};
	ret->s.options = &ret->options;
	list_init(&ret->s.extras);
	return state_parse(text, strlen(text), &ret->s, &ret->options, &ret->notify_fd, err);
}

/* The descriptors are none of ours, and stay open. */
static void forget(struct parsed *p)
{
	struct listeners *l = p->options.listeners;

	while (!list_empty(&p->s.extras)) {
		struct child *c = LIST_ENTRY(p->s.extras.next, struct child, extra);

		c->control_fd = -1;
		child_free(c);
	}
	for (size_t i = 0; i < p->s.child_count; i++) {
		p->s.children[i]->control_fd = -1;
		child_free(p->s.children[i]);
	}
	for (unsigned i = 0; l != NULL && i < l->fronts; i++)
		l->https[i].count = l->http[i].count = 0;
	if (l != NULL)
		l->lmtp.count = 0;
	listeners_free(&p->options.listeners);
	mem_free(p->s.children);
	mem_free(p->s.baton.fds);
	mem_free(p->s.config_path);
	mem_free((char *)(uintptr_t)p->options.program);
	mem_free((char *)(uintptr_t)p->options.source_path);
}

static void check_good(const struct parsed *p)
{
	const struct listeners *l = p->options.listeners;
	const struct child *retiring;

	CHECK_STR(p->options.program, "/bin/bellhopd");
	CHECK_STR(p->options.source_path, "/etc/b.conf");
	CHECK_STR(p->s.config_path, "/run/active.conf");
	CHECK_INT(p->s.ticket_fd, 900);
	CHECK_INT(p->s.shared_fd, 901);
	CHECK_INT(p->s.notes_fd, 902);
	CHECK_INT(p->options.lock_fd, 903);
	CHECK_INT(p->notify_fd, -1);
	CHECK_INT(l->fronts, 2);
	CHECK_INT(l->https[0].count, 1);
	CHECK_INT(l->https[1].count, 2);
	CHECK_INT(l->https[1].fds[1], 912);
	CHECK_INT(l->http[1].count, 0);
	CHECK_INT(l->lmtp.fds[0], 913);
	CHECK(!l->https_shared && l->http_shared);
	CHECK_INT(p->s.child_count, 3);
	CHECK_INT(p->s.children[0]->role, CHILD_ENGINE);
	CHECK_INT(p->s.children[2]->role, CHILD_FRONT);
	CHECK_INT(p->s.children[2]->number, 1);
	CHECK_INT(p->s.children[2]->pid, 102);
	CHECK_INT(p->s.children[2]->life, 7);
	CHECK_INT(p->s.children[2]->started_ms, 12);
	CHECK(p->s.children[2]->serving && !p->s.children[2]->retiring);
	retiring = LIST_ENTRY(p->s.extras.next, const struct child, extra);
	CHECK_INT(retiring->pid, 103);
	CHECK(retiring->extra.next == &p->s.extras);
}

static void test_read(void)
{
	struct err err = ERR_INIT;
	struct parsed p;

	REQUIRE_OK(parse(good, &p, &err), &err);
	check_good(&p);
	forget(&p);
}

/* Written and read again, it is the same. */
static void test_written(void)
{
	struct err err = ERR_INIT;
	struct parsed p, again;
	char text[4096] = "";
	int fd = -1;

	REQUIRE_OK(parse(good, &p, &err), &err);
	REQUIRE_OK(state_save(&p.s, &fd, &err), &err);
	REQUIRE(pread(fd, text, sizeof(text) - 1, 0) > 0);
	REQUIRE_OK(parse(text, &again, &err), &err);
	check_good(&again);
	CHECK_INT(again.s.carry_fd, p.s.carry_fd);
	fd_close(&p.s.carry_fd);
	forget(&p);
	forget(&again);
	fd_close(&fd);
}

/* The good one with `from` replaced; the caller frees it. */
static char *altered(const char *from, const char *to)
{
	const char *at = strstr(good, from);

	REQUIRE(at != NULL);
	return x_printf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static void test_next_release(void)
{
	/* What only the next one knows, and what the one before did not know. */
	char *more = altered("\"lock_fd\":903", "\"new\":{\"a\":[1]},\"lock_fd\":903");
	char *less = altered("\"notes_fd\":902,", "");
	struct err err = ERR_INIT;
	struct parsed p;

	CHECK_INT(parse(more, &p, &err), 0);
	check_good(&p);
	forget(&p);
	CHECK_INT(parse(less, &p, &err), 0);
	CHECK_INT(p.s.notes_fd, -1);
	forget(&p);
	mem_free(more);
	mem_free(less);
}

static void test_refused(void)
{
	static const struct {
		const char *from, *to, *said;
	} cases[] = {
		{"\"version\":1", "\"version\":2", "version"},
		{"\"version\":1,", "", "version"},
		{"\"program\":\"/bin/bellhopd\",", "", "program"},
		{"\"program\":\"/bin/bellhopd\"", "\"program\":\"\"", "program"},
		{"\"source\":\"/etc/b.conf\"", "\"source\":7", "source"},
		{"\"config\":", "\"conf\":", "config"},
		{"\"ticket_fd\":900,", "", "ticket_fd"},
		{"\"shared_fd\":901", "\"shared_fd\":-1", "shared_fd"},
		{"\"shared_fd\":901", "\"shared_fd\":4294967297", "shared_fd"},
		{"\"notes_fd\":902", "\"notes_fd\":\"902\"", "notes_fd"},
		{"\"lock_fd\":903", "\"lock_fd\":-2", "lock_fd"},
		{"\"listeners\":", "\"listener\":", "0 fronts"},
		{"[[910],[911,912]]", "[]", "0 fronts"},
		{"[[910],[911,912]]", "[[910]]", "1 fronts"},
		{"[[910],[911,912]]", "[[910],[911,912],[]]", "3 fronts"},
		{"[911,912]", "911", "https is not a list"},
		{"[911,912]", "[911,-912]", "descriptor 1 of https"},
		{"[911,912]", "[911,99999999999]", "descriptor 1 of https"},
		{"\"http\":[[],[]]", "\"http\":[[],[null]]", "descriptor 0 of http"},
		{"\"lmtp\":[913]", "\"lmtp\":913", "lmtp"},
		{"," CHILD("false", "1", "102") "," CHILD("false", "1", "103"), "", "2 children"},
		{CHILD("true", "0", "100"), CHILD("false", "0", "100"), "child 0"},
		{CHILD("false", "0", "101"), CHILD("true", "0", "101"), "child 1"},
		{CHILD("false", "0", "101"), CHILD("false", "1", "101"), "child 1: "},
		{CHILD("false", "1", "103"), CHILD("false", "2", "103"), "child 3: "},
		{CHILD("false", "1", "103"), "null", "child 3: "},
		{CHILD("false", "1", "102"), CHILD("false", "1", "-1"), "child 2: "},
		{"\"control_fd\":-1", "\"control_fd\":-2", "control_fd"},
		{"\"life\":7", "\"life\":4294967296", "life"},
		{"{\"version\":1", "{\"version\":1,\"version\":1", "duplicate"},
		{"\"children\":[", "\"children\":", "the state: "},
	};
	struct parsed p;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = altered(cases[i].from, cases[i].to);
		struct err err = ERR_INIT;

		CHECK_INT(parse(text, &p, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		if (strstr(err.text, cases[i].said) == NULL)
			test_fail_(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text,
				cases[i].said);
		/* Nothing was taken. */
		CHECK(p.s.children == NULL && p.s.config_path == NULL);
		CHECK(p.options.listeners == NULL && p.options.program == NULL);
		CHECK_INT(p.s.shared_fd, -1);
		mem_free(text);
	}
}

/* Every beginning of it is refused, or it would not be a whole one. */
static void test_cut_short(void)
{
	struct parsed p;

	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		char *text = x_printf("%.*s", (int)len, good);
		struct err err = ERR_INIT;

		CHECK_INT(parse(text, &p, &err), -1);
		mem_free(text);
	}
}

/* ---- --dry ---- */

static int memory_with(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

/* Whether the new program would go on from a state with this shared memory and configuration. */
static int try_dry(int shared_fd, const char *config, struct err *err)
{
	char *text = x_printf(HEAD("%d", "/proc/self/fd/%d") TAIL,
		memory_with(config, strlen(config)), shared_fd);
	struct supervisor_options options = {.lock_fd = -1};
	int fd = memory_with(text, strlen(text)), status;

	status = supervisor_resume(fd, true, &options, err);
	listeners_free(&options.listeners);
	settings_unref(&options.settings);
	mem_free((char *)(uintptr_t)options.program);
	mem_free((char *)(uintptr_t)options.source_path);
	mem_free(text);
	fd_close(&fd);
	return status;
}

static void test_dry(void)
{
	struct shared_sizes sizes = {
		.parts = 2, .part_slots = 16, .counts = 64, .rates = 64, .paths = 16};
	struct err err = ERR_INIT;
	char page[8192];
	int fd = -1;

	REQUIRE_OK(shared_create(&sizes, &fd, &err), &err);
	REQUIRE_OK(try_dry(fd, "[server]\nlog_level = error\n", &err), &err);
	REQUIRE_OK(shared_create(&sizes, &fd, &err), &err);
	CHECK_INT(try_dry(fd, "[server]\nfrontiers = 1\n", &err), -1);
	CHECK(strstr(err.text, "frontiers") != NULL);
	/* Another version's: a new one is made. Not one at all: nothing must happen to the old
	 * program. */
	err = (struct err)ERR_INIT;
	REQUIRE_OK(shared_create(&sizes, &fd, &err), &err);
	REQUIRE(pread(fd, page, sizeof(page), 0) == sizeof(page));
	page[sizeof(uint64_t)] ^= 1;
	REQUIRE(pwrite(fd, page, sizeof(page), 0) == sizeof(page));
	REQUIRE_OK(try_dry(fd, "[server]\nlog_level = error\n", &err), &err);
	memset(page, 0, sizeof(page));
	CHECK_INT(try_dry(memory_with(page, sizeof(page)), "", &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	/* No state at all. */
	fd = memory_with("", 0);
	CHECK_INT(
		supervisor_resume(fd, true, &(struct supervisor_options){.lock_fd = -1}, &err), -1);
	CHECK(strstr(err.text, "no state") != NULL);
	fd_close(&fd);
}

TEST_MAIN(TEST(test_read), TEST(test_written), TEST(test_next_release), TEST(test_refused),
	TEST(test_cut_short), TEST(test_dry))
