#include <ftw.h>
#include <jansson.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/verbs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "store/store_wipe.h"

/* The verbs about wipes: who may order what, what is refused, what is told. */

#define PHONE  "\"address\":\"anna@example.org\",\"device\":\"ABC123\""
#define ORDER  "device wipe", PHONE ",\"yes\":true"
#define ALONE  "device wipe", PHONE ",\"account\":true,\"yes\":true"
#define CANCEL "device cancel", PHONE
#define CLEAR  "device clear", PHONE

static struct store *store;
static struct admin *admin;
static char *folder;
static struct admin_limits limits;
static struct device phone;

static int add_anna(struct store_tx *tx, void *owner, struct err *err)
{
	(void)owner;
	if (store_domain_add(tx, "example.org", err) < 0 ||
		store_user_add(tx, "anna", "example.org", "", "$y$hash", 1, &phone.owner, err) < 0)
		return -1;
	return store_device_save(tx, &phone, err);
}

static void set_up(uint16_t version, const char *credential)
{
	char template[] = "/tmp/bellhop-test-wipe-XXXXXX";
	struct store_options options = {.readers_max = 2, .group_max = 4, .cache_kib = 1024};
	struct admin_options admin_options = {.control_fd = -1};
	struct err err = ERR_INIT;

	REQUIRE(mkdtemp(template) != NULL);
	options.data_dir = folder = x_strdup(template);
	phone = (struct device){.device_id = "ABC123",
		.model = "Phone 5",
		.protocol_version = version,
		.credential = credential,
		.provisioned_at = 1};
	REQUIRE_OK(store_open(&options, &store, &err), &err);
	REQUIRE_OK(store_transact(store, add_anna, NULL, &err), &err);
	admin_options.store = store;
	admin = admin_new(&admin_options);
	limits = (struct admin_limits){.wipe_device = true, .wipe_users_device = true};
	admin_set_limits(admin, &limits);
}

static int on_leaving(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void tear_down(void)
{
	admin_free(&admin);
	store_close(&store);
	(void)nftw(folder, on_leaving, 8, FTW_DEPTH | FTW_PHYS);
	mem_free(folder);
}

/* The result as compact JSON, or "code: text". Static storage. */
static const char *ask_as(const struct admin_caller *caller, const char *verb, const char *args)
{
	static char text[8192];
	char *request = x_printf("{\"verb\":\"%s\",\"args\":{%s}}", verb, args);
	struct buf out = BUF_INIT;
	json_t *answer, *error;
	char *dump;

	admin_handle(admin, request, strlen(request), caller, &out);
	mem_free(request);
	answer = json_loadb((const char *)out.data, out.len, 0, NULL);
	REQUIRE(answer != NULL);
	error = json_object_get(answer, "error");
	dump = json_dumps(
		error != NULL ? json_object_get(error, "text") : json_object_get(answer, "result"),
		JSON_COMPACT | JSON_ENCODE_ANY);
	(void)snprintf(text, sizeof(text), "%s%s%s",
		error != NULL ? json_string_value(json_object_get(error, "code")) : "",
		error != NULL ? ": " : "", dump);
	mem_free(dump);
	json_decref(answer);
	buf_deinit(&out);
	return text;
}

static const char *ask(const char *verb, const char *args)
{
	struct admin_caller caller;
	char actor[ADMIN_ACTOR_MAX];

	admin_caller_local(&caller, actor, 0);
	return ask_as(&caller, verb, args);
}

/* Anna, by the web pages. */
static const char *ask_self(const char *verb, const char *args)
{
	struct admin_caller caller = {.kind = ADMIN_CALLER_SESSION,
		.user = phone.owner,
		.user_address = "anna@example.org",
		.actor = "web:anna@example.org",
		.address = "192.0.2.1",
		.for_self = true};

	return ask_as(&caller, verb, args);
}

#define CHECK_HAS(got, part)                                                                       \
	do {                                                                                       \
		const char *has_ = (got);                                                          \
		if (strstr(has_, (part)) == NULL)                                                  \
			test_fail_(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", has_, (part));       \
	} while (0)

static enum wipe_event moved;

static int move_tx(struct store_tx *tx, void *owner, struct err *err)
{
	enum wipe_state from;

	(void)owner;
	return store_wipe_move(tx, phone.id, moved, "", 5, &from, err);
}

static void phone_says(enum wipe_event event)
{
	struct err err = ERR_INIT;

	moved = event;
	REQUIRE_OK(store_transact(store, move_tx, NULL, &err), &err);
}

static void test_order_and_cancel(void)
{
	set_up(141, "$y$hash");
	CHECK_HAS(ask("device wipe", PHONE), "bad_input: \"device wipe cannot be taken back");
	CHECK_HAS(ask(CANCEL), "conflict: \"no wipe of this phone is under way");
	CHECK_HAS(ask(ORDER), "\"wipe\":\"pending\"");
	CHECK_HAS(ask("device show", PHONE), "\"wipe_asked_by\":\"admin:uid=0\"");
	CHECK_HAS(ask("device show", PHONE), "\"model\":\"Phone 5\"");
	CHECK_HAS(ask("device show", PHONE), "\"wipe_reach\":\"yes\",\"wipe_reach_text\":\"\"");
	CHECK_HAS(ask("device show", PHONE), "\"state\":\"wipe pending\"");
	CHECK_HAS(ask(ORDER), "conflict: \"a wipe of this phone is under way (pending)");
	CHECK_HAS(ask(CLEAR), "conflict: ");
	CHECK_HAS(ask(CANCEL), "\"wipe\":\"cancelled\"");
	CHECK_HAS(ask(ORDER), "\"wipe_kind\":\"device\"");
	phone_says(WIPE_EVENT_SEND);
	CHECK_HAS(ask(CANCEL), "it may erase itself all the same");
	CHECK_HAS(ask("device wipes", ""), "\"wipe\":\"cancelled\"");
	CHECK_HAS(ask("device wipes", "\"address\":\"anna@example.org\""), "\"device\":\"ABC123\"");
	CHECK_HAS(ask("log list", ""), "cancelled, was sent");
	CHECK_HAS(ask("log list", ""), "pending, whole device");
	tear_down();
}

static void test_wiped_and_cleared(void)
{
	set_up(141, "$y$hash");
	CHECK_HAS(ask(ORDER), "pending");
	phone_says(WIPE_EVENT_SEND);
	phone_says(WIPE_EVENT_ACKNOWLEDGE);
	CHECK_HAS(ask(CANCEL), "conflict: \"the phone has acknowledged");
	CHECK_HAS(ask(ORDER), "conflict: \"the phone was wiped and stays out");
	CHECK_HAS(ask("device show", PHONE), "\"state\":\"wiped\"");
	CHECK_HAS(ask(CLEAR), "\"wipe\":\"cleared\"");
	CHECK_HAS(ask("device show", PHONE), "\"state\":\"not provisioned\"");
	tear_down();
}

static void test_what_is_allowed(void)
{
	set_up(141, "$y$hash");
	limits.wipe_device = false;
	admin_set_limits(admin, &limits);
	CHECK_HAS(ask(ORDER), "denied: \"erasing whole phones is off: wipe.device = yes");
	CHECK_HAS(ask_self(ORDER), "denied: \"erasing whole phones is off");
	CHECK_HAS(ask(ALONE), "conflict: \"impossible for this phone: it speaks 14.1");
	limits.wipe_device = true;
	limits.wipe_users_device = false;
	admin_set_limits(admin, &limits);
	CHECK_HAS(ask_self(ORDER), "denied: \"users may not have their whole phone erased");
	CHECK_HAS(ask(ORDER), "pending");
	tear_down();

	set_up(161, "");
	limits.wipe_device = false;
	admin_set_limits(admin, &limits);
	CHECK_HAS(ask_self(ALONE), "\"wipe_kind\":\"account\"");
	CHECK_HAS(ask("device show", PHONE), "\"wipe_reach\":\"doubtful\"");
	CHECK_HAS(ask("device show", PHONE), "No password is known");
	tear_down();
}

static void test_users_end_their_own(void)
{
	set_up(141, "$y$hash");
	CHECK_HAS(ask_self(ORDER), "\"wipe_asked_by\":\"web:anna@example.org\"");
	CHECK_HAS(ask_self(CANCEL), "\"wipe\":\"cancelled\"");
	CHECK_HAS(ask(ORDER), "pending");
	CHECK_HAS(ask_self(CANCEL), "denied: \"an administrator had this phone erased");
	CHECK_HAS(ask_self("device wipes", "\"address\":\"anna@example.org\""), "admin:uid=0");
	phone_says(WIPE_EVENT_ACKNOWLEDGE);
	CHECK_HAS(ask_self(CLEAR), "denied: ");
	CHECK_HAS(ask_self("device del", PHONE ",\"yes\":true"), "denied: ");
	CHECK_HAS(ask("device del", PHONE ",\"yes\":true"), "conflict: \"this phone was wiped");
	CHECK_HAS(ask(CLEAR), "\"wipe\":\"cleared\"");
	CHECK_HAS(ask("device del", PHONE ",\"yes\":true"), "ABC123");
	tear_down();
}

static void test_no_wipe_is_lost(void)
{
	set_up(141, "$y$hash");
	CHECK_HAS(ask(ORDER), "pending");
	CHECK_HAS(ask("device del", PHONE ",\"yes\":true"), "conflict: \"a wipe of this phone is");
	CHECK_HAS(ask("user del", "\"address\":\"anna@example.org\",\"yes\":true"),
		"conflict: \"1 of this user's phones have a pending wipe");
	CHECK_HAS(ask(CANCEL), "cancelled");
	CHECK_HAS(ask("user del", "\"address\":\"anna@example.org\",\"yes\":true"), "anna");
	CHECK_STR(ask("device wipes", ""), "[]");
	tear_down();
}

TEST_MAIN(TEST(test_order_and_cancel), TEST(test_wiped_and_cleared), TEST(test_what_is_allowed),
	TEST(test_users_end_their_own), TEST(test_no_wipe_is_lost))
