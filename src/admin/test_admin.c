#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/verbs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "sync/generations.h"

static struct store *store;
static struct admin *admin;
static char folder[64];
static int line[2];

static uint64_t heartbeats_short;

static size_t counters(void *owner, struct admin_counter *out, size_t max)
{
	(void)owner;
	if (max < 4)
		return 0;
	(void)snprintf(out[0].name, sizeof(out[0].name), "parked");
	out[0].value = 42;
	(void)snprintf(out[1].name, sizeof(out[1].name), "front_1_wakes");
	out[1].value = 7;
	(void)snprintf(out[2].name, sizeof(out[2].name), "all_heartbeats_short");
	out[2].value = heartbeats_short;
	(void)snprintf(out[3].name, sizeof(out[3].name), "all_heartbeat_average_s");
	out[3].value = 312;
	return 4;
}

static char config_path[128];

static void write_config(const char *text)
{
	FILE *f = fopen(config_path, "w");

	REQUIRE(f != NULL);
	(void)fputs(text, f);
	(void)fclose(f);
}

static uint64_t released; /* the item of the last release to a phone */

static int release(void *owner, struct device_id device, struct owner_id folder_owner,
	struct folder_id in, struct item_id item, struct err *err)
{
	(void)owner;
	(void)device;
	(void)folder_owner;
	(void)in;
	(void)err;
	released = item.v;
	return 0;
}

static void set_up(void)
{
	struct store_options options = {.data_dir = folder,
		.readers_max = 2,
		.group_max = 8,
		.body_inline_max = 131072,
		.cache_kib = 1024};
	struct err err = ERR_INIT;

	(void)snprintf(folder, sizeof(folder), "/tmp/bellhop-admin-XXXXXX");
	REQUIRE(mkdtemp(folder) != NULL);
	(void)snprintf(config_path, sizeof(config_path), "%s/b.conf", folder);
	write_config("");
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, line) == 0);
	REQUIRE_OK(store_open(&options, &store, &err), &err);
	admin = admin_new(&(struct admin_options){.store = store,
		.config_path = config_path,
		.control_fd = line[0],
		.release = release,
		.counters = counters});
}

static void tear_down(void)
{
	char command[6][96];

	admin_free(&admin);
	store_close(&store);
	(void)close(line[0]);
	(void)close(line[1]);
	(void)snprintf(command[0], 96, "%s/b.conf", folder);
	(void)snprintf(command[1], 96, "%s/bellhop.db", folder);
	(void)snprintf(command[2], 96, "%s/bellhop.db-wal", folder);
	(void)snprintf(command[3], 96, "%s/bellhop.db-shm", folder);
	(void)snprintf(command[4], 96, "%s/bodies/incoming", folder);
	(void)snprintf(command[5], 96, "%s/bodies", folder);
	for (int i = 0; i < 6; i++)
		(void)remove(command[i]);
	(void)remove(folder);
}

/* The answer, to be json_decref()ed. */
static json_t *ask_as(uid_t peer, const char *request)
{
	struct buf out = BUF_INIT;
	struct admin_caller caller;
	char actor[ADMIN_ACTOR_MAX];
	json_error_t where;
	json_t *answer;

	admin_caller_local(&caller, actor, peer);
	admin_handle(admin, request, strlen(request), &caller, &out);
	CHECK(out.len > 1 && out.data[out.len - 1] == '\n');
	CHECK(memchr(out.data, '\n', out.len - 1) == NULL);
	answer = json_loadb((const char *)out.data, out.len, 0, &where);
	REQUIRE(answer != NULL);
	buf_deinit(&out);
	return answer;
}

/* The result as compact JSON with sorted keys; "code: text" of an error. Static storage. */
static const char *ask(const char *request)
{
	static char text[8192];
	json_t *answer = ask_as(0, request), *error = json_object_get(answer, "error");

	if (error != NULL) {
		(void)snprintf(text, sizeof(text), "%s: %s",
			json_string_value(json_object_get(error, "code")),
			json_string_value(json_object_get(error, "text")));
	} else {
		char *dump = json_dumps(
			json_object_get(answer, "result"), JSON_COMPACT | JSON_SORT_KEYS);

		(void)snprintf(text, sizeof(text), "%s", dump != NULL ? dump : "(none)");
		free(dump);
	}
	json_decref(answer);
	return text;
}

#define CHECK_HAS(got, part)                                                                       \
	do {                                                                                       \
		const char *has_ = (got);                                                          \
		if (strstr(has_, (part)) == NULL)                                                  \
			test_fail_(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", has_, (part));       \
	} while (0)

static void test_table(void)
{
	for (int i = 0; i < ADMIN_VERB_COUNT; i++) {
		const struct admin_verb *verb = &admin_verbs[i];

		REQUIRE(verb->name != NULL && verb->help != NULL && verb->columns != NULL);
		CHECK(str_ends(verb->help, "."));
		CHECK_INT(admin_verb_find(verb->name), i);
		for (size_t k = 0; k < admin_verb_arg_count(verb); k++)
			CHECK(verb->args[k].help != NULL);
	}
	CHECK_INT(admin_verb_find("user"), ADMIN_VERB_COUNT);
}

/* Arguments that a path names: each must be one of the verb's. */
static void check_path(const struct admin_verb *verb, const char *path)
{
	CHECK(path[0] == '/' && !str_ends(path, "/"));
	for (const char *p = strchr(path, '{'); p != NULL; p = strchr(p + 1, '{')) {
		size_t len = strcspn(p + 1, "}");
		bool known = false;

		for (size_t i = 0; i < admin_verb_arg_count(verb); i++)
			known |= strlen(verb->args[i].name) == len &&
				 strncmp(verb->args[i].name, p + 1, len) == 0;
		if (!known)
			test_fail_(__FILE__, __LINE__, "%s: %s", verb->name, path);
	}
}

/* Whoever adds a verb says what a token needs for it, and where the REST API has it. */
static void test_table_of_rest(void)
{
	for (int i = 0; i < ADMIN_VERB_COUNT; i++) {
		const struct admin_verb *verb = &admin_verbs[i];
		bool has_address = false;

		if (verb->hidden) {
			CHECK(verb->scope == ADMIN_SCOPE_NONE && verb->method == NULL);
			continue;
		}
		if (verb->scope == ADMIN_SCOPE_NONE || verb->method == NULL || verb->path == NULL) {
			test_fail_(__FILE__, __LINE__, "%s: no scope, method or path", verb->name);
			continue;
		}
		/* What changes something is never a GET, which no CSRF token protects. */
		CHECK(verb->changes == !str_eq(verb->method, "GET"));
		CHECK(str_eq(verb->method, "GET") || str_eq(verb->method, "POST") ||
			str_eq(verb->method, "PUT") || str_eq(verb->method, "DELETE"));
		CHECK((verb->scope == ADMIN_SCOPE_READ) == str_eq(verb->method, "GET"));
		check_path(verb, verb->path);
		for (size_t k = 0; k < admin_verb_arg_count(verb); k++)
			has_address |= str_eq(verb->args[k].name, "address");
		if (verb->self_path != NULL) {
			check_path(verb, verb->self_path);
			CHECK(has_address && str_starts(verb->self_path, "/me/"));
		}
		for (int k = 0; k < i; k++)
			CHECK(!str_eq(verb->method, admin_verbs[k].method) ||
				!str_eq(verb->path, admin_verbs[k].path));
	}
	CHECK_INT(admin_scope_find("wipe"), ADMIN_SCOPE_WIPE);
	CHECK_INT(admin_scope_find("all"), ADMIN_SCOPE_NONE);
	CHECK_STR(admin_scope_to_str(ADMIN_SCOPE_SELF), "self");
}

static void test_users(void)
{
	set_up();
	CHECK_STR(ask("{\"verb\":\"user list\"}"), "[]");
	CHECK_STR(ask("{\"verb\":\"user "
		      "add\",\"args\":{\"address\":\"Anna@Example.org\",\"password\":\"geheim\","
		      "\"name\":\"Anna\"}}"),
		"{\"address\":\"anna@example.org\",\"domain_added\":\"example.org\"}");
	CHECK_STR(ask("{\"verb\":\"user "
		      "add\",\"args\":{\"address\":\"bert@example.org\",\"password\":\"x\"}}"),
		"{\"address\":\"bert@example.org\"}");
	CHECK_STR(ask("{\"verb\":\"user "
		      "add\",\"args\":{\"address\":\"bert@example.org\",\"password\":\"x\"}}"),
		"conflict: the address bert@example.org is taken");
	CHECK_HAS(ask("{\"verb\":\"user list\"}"),
		"{\"address\":\"anna@example.org\",\"admin\":false,\"created_at\":");
	CHECK_HAS(ask("{\"verb\":\"user list\"}"),
		"\"device_limit\":5000,\"eas\":true,\"enabled\":true");
	(void)ask("{\"verb\":\"service set\",\"args\":{\"service\":\"sync\",\"value\":\"off\","
		  "\"address\":\"anna@example.org\"}}");
	(void)ask("{\"verb\":\"service set\",\"args\":{\"service\":\"devices_per_user\","
		  "\"value\":\"2\",\"domain\":\"example.org\"}}");
	CHECK_HAS(ask("{\"verb\":\"user show\",\"args\":{\"address\":\"anna@example.org\"}}"),
		"\"device_limit\":2,\"device_limit_from\":\"domain example.org\",\"devices\":[],"
		"\"eas\":false,\"eas_from\":\"user anna@example.org\"");
	CHECK_STR(ask("{\"verb\":\"user disable\",\"args\":{\"address\":\"bert@example.org\"}}"),
		"{\"address\":\"bert@example.org\",\"enabled\":false}");
	CHECK_HAS(ask("{\"verb\":\"user show\",\"args\":{\"address\":\"bert@example.org\"}}"),
		"\"enabled\":false");
	CHECK_STR(ask("{\"verb\":\"user enable\",\"args\":{\"address\":\"bert@example.org\"}}"),
		"{\"address\":\"bert@example.org\",\"enabled\":true}");
	CHECK_STR(ask("{\"verb\":\"user "
		      "passwd\",\"args\":{\"address\":\"nobody@example.org\",\"password\":\"x\"}}"),
		"not_found: there is no user nobody@example.org");
	CHECK_STR(ask("{\"verb\":\"user "
		      "passwd\",\"args\":{\"address\":\"anna@example.org\",\"password\":\"neu\"}}"),
		"{\"address\":\"anna@example.org\"}");
	CHECK_STR(ask("{\"verb\":\"user "
		      "del\",\"args\":{\"address\":\"bert@example.org\",\"yes\":true}}"),
		"{\"address\":\"bert@example.org\"}");
	CHECK_HAS(ask("{\"verb\":\"user show\",\"args\":{\"address\":\"bert@example.org\"}}"),
		"not_found: ");
	/* What changed something is in the event log, with who did it, and without any password. */
	CHECK_HAS(ask("{\"verb\":\"log list\"}"),
		"\"action\":\"user del\",\"actor\":\"admin:uid=0\"");
	CHECK(strstr(ask("{\"verb\":\"log list\"}"), "geheim") == NULL);
	CHECK(strstr(ask("{\"verb\":\"log list\"}"), "user show") == NULL);
	CHECK_HAS(ask("{\"verb\":\"log list\",\"args\":{\"limit\":1}}"), "user del");
	tear_down();
}

static void test_aliases_and_domains(void)
{
	set_up();
	(void)ask("{\"verb\":\"user "
		  "add\",\"args\":{\"address\":\"anna@example.org\",\"password\":\"x\"}}");
	CHECK_STR(ask("{\"verb\":\"alias "
		      "add\",\"args\":{\"alias\":\"info@example.org\",\"address\":\"anna@example."
		      "org\"}}"),
		"{\"address\":\"anna@example.org\",\"alias\":\"info@example.org\"}");
	CHECK_STR(ask("{\"verb\":\"alias "
		      "add\",\"args\":{\"alias\":\"info@example.org\",\"address\":\"anna@example."
		      "org\"}}"),
		"conflict: the address info@example.org is taken");
	CHECK_STR(ask("{\"verb\":\"alias list\"}"),
		"[{\"address\":\"anna@example.org\",\"alias\":\"info@example.org\"}]");
	CHECK_STR(ask("{\"verb\":\"alias list\",\"args\":{\"address\":\"info@example.org\"}}"),
		"[{\"address\":\"anna@example.org\",\"alias\":\"info@example.org\"}]");
	CHECK_HAS(ask("{\"verb\":\"user del\",\"args\":{\"address\":\"info@example.org\"}}"),
		"conflict: ");
	CHECK_STR(ask("{\"verb\":\"alias del\",\"args\":{\"alias\":\"info@example.org\"}}"),
		"{\"alias\":\"info@example.org\"}");
	CHECK_HAS(ask("{\"verb\":\"alias del\",\"args\":{\"alias\":\"info@example.org\"}}"),
		"not_found: there is no alias");
	CHECK_STR(ask("{\"verb\":\"domain add\",\"args\":{\"domain\":\"Two.example\"}}"),
		"{\"domain\":\"two.example\"}");
	CHECK_HAS(ask("{\"verb\":\"domain add\",\"args\":{\"domain\":\"two.example\"}}"),
		"conflict: ");
	CHECK_STR(ask("{\"verb\":\"domain list\"}"),
		"[{\"device_limit\":5000,\"domain\":\"example.org\",\"eas\":true},"
		"{\"device_limit\":5000,\"domain\":\"two.example\",\"eas\":true}]");
	CHECK_STR(ask("{\"verb\":\"domain del\",\"args\":{\"domain\":\"two.example\"}}"),
		"{\"domain\":\"two.example\"}");
	CHECK_HAS(ask("{\"verb\":\"domain del\",\"args\":{\"domain\":\"example.org\"}}"),
		"conflict: ");
	CHECK_HAS(ask("{\"verb\":\"domain del\",\"args\":{\"domain\":\"two.example\"}}"),
		"not_found: ");
	tear_down();
}

static int add_device(struct store_tx *tx, void *owner, struct err *err)
{
	struct device *device = owner;
	struct device copy = *device;

	return store_device_save(tx, &copy, err);
}

static void test_devices(void)
{
	struct device device = {
		.device_id = "ABC123", .device_type = "SP", .protocol_version = 141};
	struct err err = ERR_INIT;

	set_up();
	(void)ask("{\"verb\":\"user "
		  "add\",\"args\":{\"address\":\"anna@example.org\",\"password\":\"x\"}}");
	device.owner = (struct owner_id){1};
	REQUIRE_OK(store_transact(store, add_device, &device, &err), &err);
	CHECK_HAS(ask("{\"verb\":\"device list\"}"), "\"device\":\"ABC123\"");
	CHECK_HAS(ask("{\"verb\":\"device list\",\"args\":{\"address\":\"anna@example.org\"}}"),
		"\"version\":\"14.1\"");
	CHECK_HAS(ask("{\"verb\":\"device "
		      "show\",\"args\":{\"address\":\"anna@example.org\",\"device\":\"nope\"}}"),
		"not_found: anna@example.org has no phone \"nope\"");
	CHECK_HAS(ask("{\"verb\":\"device "
		      "wipe\",\"args\":{\"address\":\"anna@example.org\",\"device\":\"ABC123\"}}"),
		"bad_input: ");
	CHECK_HAS(ask("{\"verb\":\"device "
		      "block\",\"args\":{\"address\":\"anna@example.org\",\"device\":\"ABC123\"}}"),
		"\"state\":\"blocked\"");
	CHECK_HAS(ask("{\"verb\":\"log list\"}"), "\"device\":\"ABC123\"");
	CHECK_HAS(ask("{\"verb\":\"device "
		      "del\",\"args\":{\"address\":\"anna@example.org\",\"device\":\"ABC123\","
		      "\"yes\":true}}"),
		"{\"device\":\"ABC123\"}");
	CHECK_STR(ask("{\"verb\":\"device list\"}"), "[]");
	tear_down();
}

/* ---- what is kept from phones ---- */

struct guilty {
	struct device device;
	struct store_new_body body;
	struct item_id item;
};

static int add_guilty(struct store_tx *tx, void *owner, struct err *err)
{
	struct guilty *g = owner;
	struct owner_id anna = {1};
	struct folder_id inbox = {1};
	struct new_item item = {.item_class = ITEM_MAIL, .date_at = 1000, .body = &g->body};
	struct sync_collection c = {.device = g->device.id, .owner = anna, .folder = inbox};
	struct poison_request request = {.owner = anna, .hash = 0xabc, .command = "Sync"};
	struct sync_state state;
	bool now;
	int result;

	if (store_item_add(tx, anna, inbox, &item, &g->item, err) < 0 ||
		store_poison_set_aside(tx, anna, inbox, g->item, 0, "why not", err) < 0)
		return -1;
	g->device.owner = anna;
	if (store_device_save(tx, &g->device, err) < 0)
		return -1;
	request.device = c.device = g->device.id;
	for (uint64_t crash = 1; crash <= 2; crash++) {
		if (store_poison_count_request(tx, &request, crash, 0, &now, err) < 0)
			return -1;
	}
	request.owner.v = 0;
	request.command = "LMTP";
	for (uint64_t crash = 1; crash <= 2; crash++) {
		if (store_poison_count_request(tx, &request, crash, 0, &now, err) < 0)
			return -1;
	}
	sync_state_init(&state);
	state.key = 5;
	state.version = 141;
	sync_state_withhold(&state, 77);
	result = sync_collection_save(tx, &c, &state, err);
	sync_state_deinit(&state);
	return result;
}

#define RELEASE(item)                                                                              \
	"{\"verb\":\"item release\",\"args\":{\"address\":\"anna@example.org\",\"item\":\"" item   \
	"\"}}"

static void test_items(void)
{
	struct guilty g = {.device = {.device_id = "ABC123", .device_type = "SP"}};
	struct err err = ERR_INIT;
	const char *list;

	set_up();
	(void)ask("{\"verb\":\"user "
		  "add\",\"args\":{\"address\":\"anna@example.org\",\"password\":\"x\"}}");
	CHECK_STR(ask("{\"verb\":\"item list\"}"), "[]");
	REQUIRE_OK(store_body_prepare(store, "raw", 3, &g.body, &err), &err);
	REQUIRE_OK(store_transact(store, add_guilty, &g, &err), &err);
	list = ask("{\"verb\":\"item list\"}");
	CHECK_HAS(list, "\"item\":\"1:1\",\"kind\":\"set aside\",\"reason\":\"why not\"");
	CHECK_HAS(list, "\"folder\":\"Inbox\"");
	CHECK_HAS(list,
		"\"device\":\"ABC123\",\"folder\":\"\",\"item\":\"request:0000000000000abc\"");
	CHECK_HAS(list, "\"item\":\"message:0000000000000abc\",\"kind\":\"taken unread\"");
	CHECK(strstr(list, "withheld") == NULL);
	list = ask("{\"verb\":\"item list\",\"args\":{\"address\":\"anna@example.org\"}}");
	CHECK_HAS(list, "\"item\":\"1:1\"");
	CHECK_HAS(list, "\"item\":\"1:77\",\"kind\":\"withheld\"");
	CHECK(strstr(list, "message:") == NULL);

	CHECK_HAS(ask("{\"verb\":\"device repair\",\"args\":{\"device\":\"ABC123\"}}"),
		"bad_input: device repair needs a folder");
	CHECK_HAS(ask("{\"verb\":\"device repair\",\"args\":{\"device\":\"ABC123\","
		      "\"folder\":\"1\",\"all\":true}}"),
		"bad_input: device repair takes a folder or --all, not both");

	CHECK_HAS(ask(RELEASE("nonsense")), "bad_input: \"nonsense\" is not an item of item list");
	CHECK_HAS(ask(RELEASE("1")), "bad_input: ");
	CHECK_HAS(ask(RELEASE(":1")), "bad_input: ");
	CHECK_HAS(ask(RELEASE("1:")), "bad_input: ");
	CHECK_HAS(ask(RELEASE("1111111111111111111111111:1")), "bad_input: ");
	CHECK_HAS(ask(RELEASE("request:xyz")), "bad_input: ");
	CHECK_HAS(ask(RELEASE("1:99")), "not_found: nothing is set aside, withheld or refused as "
					"1:99 for anna@example.org");
	CHECK_HAS(ask(RELEASE("request:0000000000000abd")), "not_found: nothing is set aside");
	CHECK(strstr(ask("{\"verb\":\"log list\"}"), "item release") == NULL);
	CHECK_STR(ask(RELEASE("1:1")), "{\"address\":\"anna@example.org\",\"item\":\"1:1\","
				       "\"phones\":0,\"released\":1}");
	CHECK_HAS(ask(RELEASE("1:1")), "not_found: nothing is set aside");
	released = 0;
	CHECK_STR(ask(RELEASE("1:77")), "{\"address\":\"anna@example.org\",\"item\":\"1:77\","
					"\"phones\":1,\"released\":1}");
	CHECK_INT(released, 77);
	CHECK_HAS(ask(RELEASE("request:0000000000000abc")), "request:");
	CHECK_HAS(ask(RELEASE("message:0000000000000abc")), "message:");
	CHECK_STR(ask("{\"verb\":\"item list\"}"), "[]");
	CHECK_HAS(ask("{\"verb\":\"log list\"}"), "\"action\":\"item release\"");
	CHECK_HAS(ask("{\"verb\":\"log list\"}"), "\"result\":\"1:1\"");
	tear_down();
}

static void test_policy(void)
{
	set_up();
	CHECK_HAS(ask("{\"verb\":\"policy show\"}"), "\"version\":1");
	CHECK_STR(ask("{\"verb\":\"policy "
		      "set\",\"args\":{\"settings\":{\"DevicePasswordEnabled\":1}}}"),
		"{\"default\":true,\"description\":\"\",\"policy\":\"default\",\"version\":2}");
	CHECK_HAS(ask("{\"verb\":\"policy show\"}"), "\"DevicePasswordEnabled\":true");
	CHECK_HAS(ask("{\"verb\":\"policy set\",\"args\":{\"settings\":{\"Nonsense\":1}}}"),
		"bad_input: ");
	CHECK_HAS(ask("{\"verb\":\"policy "
		      "set\",\"args\":{\"settings\":{\"MinDevicePasswordLength\":99}}}"),
		"18");
	CHECK_HAS(ask("{\"verb\":\"policy set\",\"args\":{\"settings\":3}}"),
		"bad_input: settings must be a JSON object");
	CHECK_HAS(ask("{\"verb\":\"policy show\"}"), "\"version\":2");
	tear_down();
}

static char line_byte(void)
{
	char byte = '-';

	return recv(line[1], &byte, 1, 0) == 1 ? byte : '-';
}

static void test_server(void)
{
	set_up();
	CHECK_HAS(ask("{\"verb\":\"status\"}"), "\"parked\":42");
	CHECK(strstr(ask("{\"verb\":\"status\"}"), "front_1_wakes") == NULL);
	CHECK(strstr(ask("{\"verb\":\"status\"}"), "warning") == NULL);
	heartbeats_short = 1;
	CHECK_HAS(ask("{\"verb\":\"status\"}"), "\"warning_heartbeats\":\"phones wait only 312 s");
	heartbeats_short = 0;
	CHECK_HAS(ask("{\"verb\":\"stats\"}"), "\"front_1_wakes\":7");
	CHECK_STR(ask("{\"verb\":\"reload\"}"), "{\"warnings\":\"\"}");
	CHECK_INT(line_byte(), 'R');
	write_config("[push]\nheartbeat_min_s = x\n");
	CHECK_HAS(ask("{\"verb\":\"reload\"}"),
		"b.conf:2: push.heartbeat_min_s: \"x\" is not allowed");
	CHECK_INT(line_byte(), '-');
	CHECK_HAS(ask("{\"verb\":\"restart\",\"args\":{\"part\":\"moon\"}}"), "bad_input: ");
	CHECK_STR(ask("{\"verb\":\"restart\",\"args\":{\"part\":\"engine\"}}"),
		"{\"part\":\"engine\"}");
	CHECK_INT(line_byte(), 'E');
	CHECK_HAS(ask("{\"verb\":\"log list\"}"), "\"action\":\"restart\"");
	tear_down();
}

static const struct {
	const char *request, *error;
} bad[] = {
	{"", "bad_input: not JSON"},
	{"nonsense", "bad_input: not JSON"},
	{"[]", "bad_input: a request is"},
	{"{}", "bad_input: a request is"},
	{"{\"verb\":1}", "bad_input: a request is"},
	{"{\"verb\":\"user\"}", "not_found: there is no verb \"user\""},
	{"{\"verb\":\"user list\",\"args\":[]}", "bad_input: \"args\" must be an object"},
	{"{\"verb\":\"user list\",\"args\":{\"a\":1}}",
		"bad_input: user list has no argument \"a\""},
	{"{\"verb\":\"user add\"}", "bad_input: user add needs address: "},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@b.c\"}}",
		"bad_input: user add needs password: "},
	{"{\"verb\":\"user add\",\"args\":{\"address\":1,\"password\":\"x\"}}",
		"address must be text"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"nodomain\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"@\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a b@c.de\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@c..de\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@-c.de\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@b@c.de\",\"password\":\"x\"}}",
		"not a mail address"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@c.de\",\"password\":\"\"}}",
		"a password has 1 to"},
	{"{\"verb\":\"user add\",\"args\":{\"address\":\"a@c.de\",\"password\":\"a\\nb\"}}",
		"a password has 1 to"},
	{"{\"verb\":\"domain add\",\"args\":{\"domain\":\"a b\"}}", "not a domain"},
	{"{\"verb\":\"log list\",\"args\":{\"limit\":-1}}", "limit must be a number"},
	{"{\"verb\":\"user del\",\"args\":{\"address\":\"a@c.de\",\"yes\":1}}",
		"yes must be true or false"},
	{"{\"verb\":\"user list\",\"verb\":\"user list\"}", "bad_input: not JSON"},
};

static void test_bad_requests(void)
{
	set_up();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_HAS(ask(bad[i].request), bad[i].error);
	CHECK_STR(ask("{\"verb\":\"user list\"}"), "[]");
	CHECK_STR(ask("{\"verb\":\"log list\"}"), "[]");
	tear_down();
}

/* The result of a batch of this mail, or its error. */
static const char *import(const char *batch, const char *mail, uint64_t body_len)
{
	static char text[2048];
	struct buf request = BUF_INIT, out = BUF_INIT;
	struct admin_caller caller;
	char actor[ADMIN_ACTOR_MAX];

	buf_addf(&request,
		"{\"body\": %llu, \"verb\": \"import batch\", \"args\": {\"address\": "
		"\"a@b.de\", \"batch\": %s}}",
		(unsigned long long)body_len, batch);
	CHECK_INT(admin_body_bytes((char *)request.data, request.len), body_len);
	admin_caller_local(&caller, actor, 0);
	admin_handle_body(
		admin, (char *)request.data, request.len, mail, strlen(mail), &caller, &out);
	(void)snprintf(text, sizeof(text), "%s", buf_cstr(&out));
	buf_deinit(&request);
	buf_deinit(&out);
	return text;
}

static void test_import(void)
{
	static const struct admin_limits limits = {100, 13, {100, 10, 10000}, 100};
	static const char two[] = "A: 1\n\none\nA: 2\n\ntwo\n";
	static const char rows[] = "{\"messages\":[[10,\"S\",5],[10,\"FR\",0]]}";

	set_up();
	CHECK_HAS(import(rows, two, 20), "there is no user");
	CHECK_HAS(ask("{\"verb\":\"user add\",\"args\":{\"address\":\"a@b.de\","
		      "\"password\":\"x\"}}"),
		"a@b.de");
	CHECK_HAS(import(rows, two, 20), "\"at\":0,\"text\":\"10 bytes are more than");
	admin_set_limits(admin, &limits);
	CHECK_INT(admin_body_max(admin), 100 + (1 << 20));
	CHECK_HAS(ask("{\"verb\":\"import begin\",\"args\":{\"address\":\"a@b.de\"}}"),
		"\"message_max_bytes\":100");
	CHECK_HAS(import(rows, two, 20), "\"added\":2,\"known\":0,\"failed\":[]");
	CHECK_HAS(import(rows, two, 20), "\"added\":0,\"known\":2,\"failed\":[]");
	/* One and the same twice in a batch; another folder; no message: only the folder. */
	CHECK_HAS(import("{\"folder\":[\"X\",\"Y\"],\"messages\":[[7,\"\",0],[7,\"\",0]]}",
			  "A: 1\n\nxA: 1\n\nx", 14),
		"\"added\":1,\"known\":1");
	CHECK_HAS(import("{\"folder\":[\"trash\"],\"messages\":[]}", "", 0), "\"added\":0");
	/* X and Y were the twelfth and thirteenth. */
	CHECK_HAS(import("{\"folder\":[\"Z\"],\"messages\":[]}", "", 0), "eas.folders_max");
	CHECK_HAS(import("{\"messages\":[[10,\"S\",5]]}", two, 20), "do not make up");
	CHECK_HAS(import("{\"messages\":[[30,\"S\",5]]}", two, 20), "a message is");
	CHECK_HAS(import("{\"messages\":[[-1,\"S\",5]]}", two, 20), "a message is");
	CHECK_HAS(import("{\"messages\":[5]}", two, 20), "a message is");
	CHECK_HAS(import("{\"folder\":[1]}", "", 0), "list of names");
	tear_down();
}

static void test_body_bytes(void)
{
	static const struct {
		const char *line;
		uint64_t want;
	} lines[] = {{"{\"verb\": \"x\"}", 0}, {"{\"body\": 12, \"verb\"", 12}, {"", 0},
		{"{\"body\": 12", UINT64_MAX}, {"{\"body\": -1,", UINT64_MAX},
		{"{\"body\": 99999999999999999999999,", UINT64_MAX}};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		CHECK_INT(admin_body_bytes(lines[i].line, strlen(lines[i].line)), lines[i].want);
}

static void test_only_administrators(void)
{
	json_t *answer;

	set_up();
	answer = ask_as(geteuid() == 0 ? 4711 : geteuid() + 1, "{\"verb\":\"user list\"}");
	CHECK(json_is_false(json_object_get(answer, "ok")));
	CHECK_STR(json_string_value(json_object_get(json_object_get(answer, "error"), "code")),
		"denied");
	json_decref(answer);
	answer = ask_as(geteuid(), "{\"verb\":\"user list\"}");
	CHECK(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	tear_down();
}

TEST_MAIN(TEST(test_table), TEST(test_table_of_rest), TEST(test_users),
	TEST(test_aliases_and_domains), TEST(test_devices), TEST(test_items), TEST(test_policy),
	TEST(test_server), TEST(test_bad_requests), TEST(test_import), TEST(test_body_bytes),
	TEST(test_only_administrators))
