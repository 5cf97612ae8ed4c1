/*
 * What a renewal costs, counted: every allocation of the process, those of the libraries too, while
 * the front's loop runs, and every frame that the engine gets. A password is hashed by the engine
 * alone, so where no frame goes nothing is hashed but the bytes of the request.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

static bool counting;
static int allocations;

#if !POOLS_ARE_MALLOC /* else a sanitizer may have taken their place */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	allocations += counting;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations += counting;
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	allocations += counting;
	return __libc_realloc(p, size);
}
#endif

static struct rig rig;

static void begin(struct phone *p, const char *ping)
{
	struct ipc_handle h;

	rig_start(&rig, "", false);
	engine_up(&rig);
	phone_connect(&rig, p);
	phone_send(&rig, p, ping);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, 900, 86400);
	CHECK(phone_silent(&rig, p));
}

static void end(struct phone *p)
{
	phone_close(p);
	rig_stop(&rig);
}

/* The front's part alone: nobody else does anything meanwhile. */
static int spin_counted(void)
{
	allocations = 0;
	counting = true;
	rig_spin(&rig);
	counting = false;
	return allocations;
}

/* One renewal: the answer, and the same request again. What the front allocated for it. */
static int renew(struct phone *p, const char *ping)
{
	size_t left = strlen(ping);
	int cost;

	clock_fake_advance_ms(901000);
	cost = spin_counted();
	CHECK(str_starts(phone_answer(&rig, p, NULL), "HTTP/1.1 200 OK\r\n"));
	CHECK_INT(net_stream_write(&p->stream, ping, left), (int64_t)left);
	cost += spin_counted();
	CHECK(phone_silent(&rig, p));
	CHECK(engine_poll(&rig) == NULL);
	return cost;
}

#define HEAD                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Authorization: Basic YTpi\r\nContent-Length: "
#define PING  HEAD "5\r\n\r\n12345"
#define EMPTY HEAD "0\r\n\r\n"

static void test_nothing_is_allocated(void)
{
	static const char *const pings[] = {PING, EMPTY};
	struct phone p;

	for (size_t i = 0; i < ARRAY_LEN(pings); i++) {
		begin(&p, pings[i]);
		(void)renew(&p, pings[i]); /* what the front keeps for all: texts, ciphers */
		for (int round = 0; round < 5; round++)
			CHECK_INT(renew(&p, pings[i]), 0);
		CHECK_INT(rig_count(&rig, "renewals_memory"), 6);
		end(&p);
	}
}

/* The count can fail: another request is made an object of, and told to the engine. */
static void test_another_request(void)
{
	struct phone p;

	begin(&p, PING);
	(void)renew(&p, PING);
	clock_fake_advance_ms(901000);
	rig_spin(&rig);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK\r\n"));
	CHECK_INT(net_stream_write(&p.stream, EMPTY, strlen(EMPTY)), (int64_t)strlen(EMPTY));
#if POOLS_ARE_MALLOC
	rig_spin(&rig);
#else
	CHECK(spin_counted() > 0);
#endif
	(void)engine_next(&rig, IPC_GONE);
	(void)engine_next(&rig, IPC_REQUEST);
	end(&p);
}

TEST_MAIN(TEST(test_nothing_is_allocated), TEST(test_another_request))
