/*
 * The LMTP server for real: sockets, threads, the store.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "conf/settings.h"
#include "ingest/lmtp.h"
#include "mime/mime.h"
#include "net/baton.h"
#include "store/test_store_util.h"

struct client {
	int fd;
	char in[4096];
	size_t len;
};

struct rig {
	struct world *world;
	struct lmtp_server *server;
	struct settings *settings;
	char *path;
};

static void drop_line(const char *line, void *owner)
{
	(void)line;
	(void)owner;
}

static void ignore_events(const struct change_event *events, size_t count, void *owner)
{
	(void)events;
	(void)count;
	(void)owner;
}

static struct sockaddr_un address_of(const struct rig *rig)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", rig->path);
	return a;
}

static struct rig rig_new(unsigned connections_max)
{
	struct rig rig = {.world = world_new()};
	struct lmtp_server_options o;
	struct sockaddr_un a;
	struct err err = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	log_capture(drop_line, NULL);
	store_set_publisher(rig.world->store, ignore_events, NULL);
	rig.path = x_printf("%s/lmtp.sock", rig.world->dir);
	a = address_of(&rig);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 100) == 0);
	rig.settings = (struct settings *)(uintptr_t)settings_default();
	rig.settings->lmtp_connections_max = connections_max;
	o = (struct lmtp_server_options){
		.store = rig.world->store, .settings = rig.settings, .fds = &fd, .fd_count = 1};
	REQUIRE_OK(lmtp_server_start(&o, &rig.server, &err), &err);
	return rig;
}

static void rig_free(struct rig *rig)
{
	const struct settings *settings = rig->settings;

	lmtp_server_stop(&rig->server);
	settings_unref(&settings);
	mem_free(rig->path);
	world_free(&rig->world);
	log_capture(NULL, NULL);
}

static struct client dial(const struct rig *rig)
{
	struct sockaddr_un a = address_of(rig);
	struct client c = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	REQUIRE(c.fd >= 0 && connect(c.fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return c;
}

static void say(struct client *c, const char *text)
{
	REQUIRE(send(c->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* The code of the next answer; 0 at the end of the connection. */
static int hear(struct client *c)
{
	for (;;) {
		char *eol = memmem(c->in, c->len, "\r\n", 2);
		ssize_t n;

		if (eol != NULL) {
			int code = (c->in[0] - '0') * 100 + (c->in[1] - '0') * 10 + c->in[2] - '0';
			bool last = c->in[3] == ' ';

			c->len -= (size_t)(eol + 2 - c->in);
			memmove(c->in, eol + 2, c->len);
			if (last)
				return code;
			continue;
		}
		n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);
		if (n <= 0)
			return 0;
		c->len += (size_t)n;
	}
}

static size_t inbox_count(struct world *w, struct owner_id owner)
{
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folder;
	uint64_t count;

	REQUIRE_OK(store_folder_by_type(rd, owner, FOLDER_INBOX, w->arena, &folder, &err), &err);
	REQUIRE_OK(store_item_count(rd, owner, folder->id, INT64_MIN, 0, &count, &err), &err);
	store_read_end(&rd);
	return count;
}

static void test_delivers(void)
{
	struct rig rig = rig_new(10);
	struct client c = dial(&rig);

	CHECK_INT(hear(&c), 220);
	say(&c, "LHLO here\r\nMAIL FROM:<x@y>\r\nRCPT TO:<anna@example.org>\r\nRCPT "
		"TO:<nobody@example.org>\r\n"
		"RCPT TO:<Bob@Example.NET>\r\nRCPT TO:<ANNA@example.org>\r\nDATA\r\n");
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 550);
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 354);
	say(&c, "Subject: Hi\r\n\r\nText\r\n.\r\n");
	for (int i = 0; i < 3; i++)
		CHECK_INT(hear(&c), 250);
	CHECK_INT(inbox_count(rig.world, rig.world->anna), 1);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 1);
	CHECK_INT(lmtp_server_connections(rig.server), 1);
	say(&c, "QUIT\r\n");
	CHECK_INT(hear(&c), 221);
	CHECK_INT(hear(&c), 0);
	fd_close(&c.fd);
	rig_free(&rig);
}

static int change_bob(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_disabled(tx, w->bob, true, err);
}

static int limit_anna(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->anna, 200, err);
}

static void deliver(struct client *c, const char *recipients, const char *text)
{
	say(c, "LHLO here\r\nMAIL FROM:<x@y>\r\n");
	CHECK_INT(hear(c), 250);
	CHECK_INT(hear(c), 250);
	say(c, recipients);
	say(c, "DATA\r\n");
	for (const char *p = recipients; (p = strstr(p, "RCPT")) != NULL; p++)
		CHECK_INT(hear(c), 250);
	CHECK_INT(hear(c), 354);
	say(c, text);
}

static void test_quota_of_one_recipient(void)
{
	struct rig rig = rig_new(10);
	struct client c = dial(&rig);
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(rig.world, change_bob, &err), &err); /* disabled: still takes mail */
	REQUIRE_OK(transact(rig.world, limit_anna, &err), &err);
	CHECK_INT(hear(&c), 220);
	deliver(&c,
		"RCPT TO:<bob@example.net>\r\nRCPT TO:<anna@example.org>\r\nRCPT "
		"TO:<bob@example.net>\r\n",
		"Subject: "
		"Hi\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r"
		"\n.\r\n");
	CHECK_INT(hear(&c), 250);
	CHECK_INT(hear(&c), 452);
	CHECK_INT(hear(&c), 250);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 1);
	CHECK_INT(inbox_count(rig.world, rig.world->anna), 0);
	fd_close(&c.fd);
	rig_free(&rig);
}

static void test_store_trouble(void)
{
	struct rig rig = rig_new(10);
	struct client c = dial(&rig);

	CHECK_INT(hear(&c), 220);
	store_fail_after(rig.world->store, 1, ERR_BACKEND);
	deliver(&c, "RCPT TO:<bob@example.net>\r\n", "Subject: Hi\r\n\r\nText\r\n.\r\n");
	CHECK_INT(hear(&c), 451);
	store_fail_after(rig.world->store, 0, ERR_NONE);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 0);
	deliver(&c, "RCPT TO:<bob@example.net>\r\n", "Subject: Hi\r\n\r\nText\r\n.\r\n");
	CHECK_INT(hear(&c), 250);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 1);
	fd_close(&c.fd);
	rig_free(&rig);
}

static void test_too_many_connections(void)
{
	struct rig rig = rig_new(2);
	struct client a = dial(&rig), b = dial(&rig), c;

	CHECK_INT(hear(&a), 220);
	CHECK_INT(hear(&b), 220);
	c = dial(&rig);
	CHECK_INT(hear(&c), 421);
	CHECK_INT(hear(&c), 0);
	say(&a, "NOOP\r\n");
	CHECK_INT(hear(&a), 250);
	fd_close(&a.fd);
	fd_close(&b.fd);
	fd_close(&c.fd);
	rig_free(&rig);
}

/* A stop cuts what is only half there, and says so. */
static void test_stop(void)
{
	struct rig rig = rig_new(10);
	struct client idle = dial(&rig), half = dial(&rig);

	CHECK_INT(hear(&idle), 220);
	CHECK_INT(hear(&half), 220);
	deliver(&half, "RCPT TO:<bob@example.net>\r\n", "Subject: Hi\r\n\r\nHal");
	lmtp_server_stop(&rig.server);
	CHECK_INT(hear(&idle), 421);
	CHECK_INT(hear(&half), 421);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 0);
	fd_close(&idle.fd);
	fd_close(&half.fd);
	rig_free(&rig);
}

/* ---- another process follows ---- */

static void start_with_baton(struct rig *rig, int listener, int baton[2])
{
	int fd = dup(listener);
	struct lmtp_server_options o = {.store = rig->world->store,
		.settings = rig->settings,
		.fds = &fd,
		.fd_count = 1,
		.baton_fd = &baton[0]};
	struct err err = ERR_INIT;
	uint8_t *state = NULL;
	size_t len = 0;
	char kind;

	REQUIRE(fd >= 0);
	REQUIRE_OK(lmtp_server_start(&o, &rig->server, &err), &err);
	while (net_baton_take(baton[1], &kind, &fd, &state, &len)) {
		CHECK_INT(kind, LMTP_BATON);
		lmtp_server_adopt(rig->server, fd, state, len);
		mem_free(state);
	}
}

/* A rig whose server leaves its sessions to the next one. */
static struct rig rig_with_baton(unsigned connections_max, int *ret_listener, int baton[2])
{
	struct rig rig = rig_new(connections_max);
	struct sockaddr_un a = address_of(&rig);
	struct err err = ERR_INIT;

	lmtp_server_stop(&rig.server);
	(void)unlink(rig.path);
	*ret_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(*ret_listener >= 0 && bind(*ret_listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		listen(*ret_listener, 100) == 0);
	REQUIRE_OK(net_baton_pair(baton, &err), &err);
	start_with_baton(&rig, *ret_listener, baton);
	return rig;
}

static const char *const talk =
	"LHLO mx.example.org\r\nNOOP\r\nMAIL FROM:<x@example.org> SIZE=100\r\n"
	"RCPT TO:<anna@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"
	"Subject: Hi\r\n\r\n..dots\r\nText\r\n.\r\nNOOP\r\n";

/* Each byte of the talk is a place at which the server is replaced: the client cannot tell. */
static void test_goes_on_anywhere(void)
{
	static const int answers[] = {220, 250, 250, 250, 250, 250, 354, 250, 250, 250};
	size_t len = strlen(talk);
	int baton[2], listener;
	struct rig rig = rig_with_baton(10, &listener, baton);
	size_t talks = 0;

	for (size_t at = 0; at <= len; at += at % 3 + 1) {
		struct client c = dial(&rig);
		char first[512];

		(void)snprintf(first, sizeof(first), "%.*s", (int)at, talk);
		say(&c, first);
		lmtp_server_stop(&rig.server);
		start_with_baton(&rig, listener, baton);
		say(&c, talk + at);
		for (size_t i = 0; i < ARRAY_LEN(answers); i++)
			CHECK_INT(hear(&c), answers[i]);
		fd_close(&c.fd);
		talks++;
	}
	CHECK_INT(inbox_count(rig.world, rig.world->anna), talks);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), talks);
	rig_free(&rig);
	fd_close(&listener);
	fd_close(&baton[0]);
	fd_close(&baton[1]);
}

/* No next one will come: it is said, and nothing was taken. */
static void test_nobody_follows(void)
{
	int baton[2], listener;
	struct rig rig = rig_with_baton(10, &listener, baton);
	struct client half = dial(&rig);

	CHECK_INT(hear(&half), 220);
	deliver(&half, "RCPT TO:<bob@example.net>\r\n", "Subject: Hi\r\n\r\nHal");
	(void)shutdown(baton[1], SHUT_RDWR);
	lmtp_server_stop(&rig.server);
	CHECK_INT(hear(&half), 421);
	CHECK_INT(hear(&half), 0);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), 0);
	fd_close(&half.fd);
	rig_free(&rig);
	fd_close(&listener);
	fd_close(&baton[0]);
	fd_close(&baton[1]);
}

/* ---- many at once ---- */

#define CLIENTS  8
#define MESSAGES 50

static void *run_client(void *arg)
{
	struct client c = dial(arg);

	CHECK_INT(hear(&c), 220);
	for (int i = 0; i < MESSAGES; i++) {
		deliver(&c, "RCPT TO:<anna@example.org>\r\nRCPT TO:<bob@example.net>\r\n",
			"Subject: Hi\r\n\r\nText\r\n.\r\n");
		CHECK_INT(hear(&c), 250);
		CHECK_INT(hear(&c), 250);
	}
	fd_close(&c.fd);
	return NULL;
}

static void test_many_at_once(void)
{
	struct rig rig = rig_new(CLIENTS);
	pthread_t threads[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, run_client, &rig) == 0);
	lmtp_server_set_settings(rig.server, rig.settings); /* a reload in the middle */
	for (int i = 0; i < CLIENTS; i++)
		(void)pthread_join(threads[i], NULL);
	CHECK_INT(inbox_count(rig.world, rig.world->anna), CLIENTS * MESSAGES);
	CHECK_INT(inbox_count(rig.world, rig.world->bob), CLIENTS * MESSAGES);
	rig_free(&rig);
}

TEST_MAIN(TEST(test_delivers), TEST(test_quota_of_one_recipient), TEST(test_store_trouble),
	TEST(test_too_many_connections), TEST(test_stop), TEST(test_goes_on_anywhere),
	TEST(test_nobody_follows), TEST(test_many_at_once))
