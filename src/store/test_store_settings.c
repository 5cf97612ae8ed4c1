/*
 * What phones leave beside their mail: out of office, what they say of themselves, what they moved.
 */
#include "store/test_store_util.h"

static struct oof oof;

static int save_oof(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_oof_save(tx, w->anna, &oof, err);
}

static struct oof load_oof(struct world *w, struct owner_id owner)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct oof loaded;

	REQUIRE_OK(store_oof_load(rd, owner, w->arena, &loaded, &err), &err);
	return loaded;
}

static void test_oof(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct oof loaded = load_oof(w, w->anna);

	CHECK_INT(loaded.state, 0);
	CHECK_STR(loaded.messages[OOF_EXTERNAL_UNKNOWN].text, "");
	oof = (struct oof){.state = 2,
		.start_at = 100,
		.end_at = 200,
		.messages = {
			{true, false, "in"}, {false, true, "<b>known</b>"}, {true, true, NULL}}};
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	oof.messages[OOF_INTERNAL].text = "inside";
	REQUIRE_OK(transact(w, save_oof, &err), &err);
	loaded = load_oof(w, w->anna);
	CHECK_INT(loaded.state, 2);
	CHECK_INT(loaded.start_at, 100);
	CHECK_INT(loaded.end_at, 200);
	CHECK_STR(loaded.messages[OOF_INTERNAL].text, "inside");
	CHECK(loaded.messages[OOF_INTERNAL].enabled && !loaded.messages[OOF_INTERNAL].html);
	CHECK_STR(loaded.messages[OOF_EXTERNAL_KNOWN].text, "<b>known</b>");
	CHECK(!loaded.messages[OOF_EXTERNAL_KNOWN].enabled);
	CHECK(loaded.messages[OOF_EXTERNAL_KNOWN].html);
	CHECK_STR(loaded.messages[OOF_EXTERNAL_UNKNOWN].text, "");
	CHECK_INT(load_oof(w, w->bob).state, 0);
	world_free(&w);
}

static struct device_information information;

static int set_information(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_set_information(tx, phone.id, &information, err);
}

static int set_recovery(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_set_recovery(tx, phone.id, "1234", err);
}

static void test_information(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct device *device;
	const char *recovery;

	new_phone(w);
	information = (struct device_information){
		.model = "M2", .imei = "", .operator_name = "O2", .outbound_sms = -1};
	REQUIRE_OK(transact(w, set_information, &err), &err);
	device = load_phone(w);
	CHECK_STR(device->model, "M2");
	CHECK_STR(device->imei, "");
	CHECK_STR(device->operator_name, "O2");
	CHECK_STR(device->os, "O");
	CHECK_STR(device->phone_number, "+49");
	CHECK_INT(device->ping_heartbeat_s, 480);
	REQUIRE_OK(transact(w, set_recovery, &err), &err);
	{
		CLEANUP(store_read_end) struct store_read *rd = reading(w);

		REQUIRE_OK(store_device_recovery(rd, phone.id, w->arena, &recovery, &err), &err);
		CHECK_STR(recovery, "1234");
	}
	phone.id.v = 999;
	CHECK_INT(transact(w, set_information, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	world_free(&w);
}

static struct store_move moves[3] = {
	{{1}, {2}, {3}, {4}}, {{1}, {INT64_MAX}, {3}, {5}}, {{7}, {1}, {1}, {100}}};
static size_t move_count;

static int save_moves(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_moves_save(tx, w->anna, phone.id, moves, move_count, err);
}

static size_t load_moves(struct world *w, struct store_move **ret)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	size_t count = 99;

	REQUIRE_OK(store_moves_load(rd, w->anna, phone.id, w->arena, ret, &count, &err), &err);
	return count;
}

static int delete_phone(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_delete(tx, phone.id, err);
}

static void test_moves(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_move *loaded;

	new_phone(w);
	CHECK_INT(load_moves(w, &loaded), 0);
	move_count = 3;
	REQUIRE_OK(transact(w, save_moves, &err), &err);
	REQUIRE(load_moves(w, &loaded) == 3);
	CHECK_MEM(loaded, 3 * sizeof(*loaded), moves, sizeof(moves));
	move_count = 1;
	REQUIRE_OK(transact(w, save_moves, &err), &err);
	REQUIRE(load_moves(w, &loaded) == 1);
	CHECK_INT(loaded[0].moved.v, 4);
	REQUIRE_OK(transact(w, delete_phone, &err), &err);
	CHECK_INT(load_moves(w, &loaded), 0);
	world_free(&w);
}

TEST_MAIN(TEST(test_oof), TEST(test_information), TEST(test_moves))
