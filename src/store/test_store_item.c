/*
 * Items, bodies and the change log: the contract that each store upholds, whatever database is
 * below.
 */
#include "store/test_store_util.h"

static void test_add_and_load(void)
{
	struct world *w = world_new();
	uint64_t seq = seq_of(w, w->anna);
	struct op op = {
		.kind = OP_ADD, .text = "Subject: hello\r\n\r\nhi", .date_at = 500, .device = {9}};
	struct store_read *rd;
	struct store_body body;
	struct err err = ERR_INIT;
	struct item *item;

	REQUIRE_OK(do_op(w, &op, &err), &err);
	CHECK_INT(op.id.v, 1);
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	item = load_item(w, w->inbox, op.id);
	REQUIRE(item != NULL);
	CHECK_INT(item->row.date_at, 500);
	CHECK_INT(item->row.changed_seq, seq + 1);
	CHECK_INT(item->row.created_seq, seq + 1);
	CHECK_INT(item->row.content_seq, seq + 1);
	CHECK_INT(item->row.item_class, ITEM_MAIL);
	CHECK(!item->row.deleted && !item->is_read);
	CHECK(item->flag == NULL && item->categories == NULL);
	CHECK_MEM(item->summary, item->summary_len, "summary", 7);
	CHECK_INT(item->body_bytes, strlen(op.text));
	rd = reading(w);
	REQUIRE_OK(store_body_load(rd, w->anna, item->body_id, &body, &err), &err);
	store_read_end(&rd);
	CHECK_MEM(body.bytes, body.len, op.text, strlen(op.text));
	store_body_release(&body);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_ADD);
	CHECK_INT(w->events[0].owner.v, w->anna.v);
	CHECK_INT(w->events[0].folder.v, w->inbox.v);
	CHECK_INT(w->events[0].item.v, 1);
	CHECK_INT(w->events[0].seq, seq + 1);
	CHECK_INT(w->events[0].date_at, 500);
	CHECK_INT(w->events[0].item_class, ITEM_MAIL);
	CHECK_INT(w->events[0].device.v, 9);
	world_free(&w);
}

TEST_MAIN(TEST(test_add_and_load))
