/*
 * A phone replies to somebody here and to somebody far away, and keeps a copy; and each time
 * another step of it fails, or the process ends there. The phone repeats its request until it hears
 * that it was sent. Then there is one mail for each, one copy, and the mark on the original.
 *
 * The ledger is not asked: it knows nothing of other users and of what a reply does.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "scenario.h"
#include "store/store_queue.h"

enum { STORY_STEPS_MAX = 2000, ATTEMPTS_MAX = 10 };

struct story {
	struct world *w;
};

static void write_reply(struct buf *out, struct folder_id folder, uint64_t item)
{
	static const char message[] = "To: bob@example.org, x@far.example\r\nSubject: reply\r\n\r\n"
				      "Words.\r\n";
	struct wbxml_writer x;
	char id[48];

	(void)snprintf(id, sizeof(id), "%llu:%llu", (unsigned long long)folder.v,
		(unsigned long long)item);
	wbxml_writer_init(&x, out);
	wbxml_start(&x, TAG_ComposeMail_SmartReply);
	wbxml_add_text(&x, TAG_ComposeMail_ClientId, "one");
	wbxml_start(&x, TAG_ComposeMail_Source);
	wbxml_add_text(&x, TAG_ComposeMail_ItemId, id);
	wbxml_end(&x);
	wbxml_add_empty(&x, TAG_ComposeMail_SaveInSentItems);
	wbxml_add_opaque(&x, TAG_ComposeMail_Mime, message, sizeof(message) - 1);
	wbxml_end(&x);
}

/* True: the phone has heard that it is sent, be it before. */
static bool attempt(struct world *w, struct phone *p, const struct buf *body)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_node *root = NULL;
	struct eas_reply reply;
	const char *status = NULL;
	bool sent;

	world_request(w, p, "14.1", "SmartReply", body, arena, &reply);
	if (reply.status == 200 && reply.body.len > 0 && world_decode(w, arena, &reply, &root))
		status = wbxml_text(root, TAG_ComposeMail_Status);
	sent = reply.status == 200 &&
	       (reply.body.len == 0 || (status != NULL && strcmp(status, "118") == 0));
	/* 110, 111 and 113: trouble, an engine that ends, a full disk. */
	if (!sent && reply.status == 200 && status != NULL && strcmp(status, "110") != 0 &&
		strcmp(status, "111") != 0 && strcmp(status, "113") != 0)
		model_fail(w, -1, "SmartReply: Status %s", status);
	buf_deinit(&reply.body);
	return sent && !vfs_is_cut();
}

static void end_trouble(struct story *s)
{
	struct world *w = s->w;
	bool cut = vfs_is_cut();

	vfs_set_fault(VFS_FAULT_NONE, 0);
	store_fail_after(w->store, 0, ERR_NONE);
	w->trouble = false;
	if (cut)
		world_reboot(w);
	world_drain(w);
}

static uint64_t count_items(struct story *s, struct owner_id owner, enum folder_type type)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;
	uint64_t count = 0;

	if (store_read_begin(s->w->store, &rd, &err) < 0 ||
		store_folder_by_type(rd, owner, type, arena, &folder, &err) < 0 ||
		store_item_count(rd, owner, folder->id, INT64_MIN, 0, &count, &err) < 0)
		model_fail(s->w, -1, "%s", err.text);
	return count;
}

static void check_end(struct story *s)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct queue_counts counts = {0};
	struct err err = ERR_INIT;
	struct item *source;
	uint64_t inbox = count_items(s, s->w->bob, FOLDER_INBOX),
		 sent = count_items(s, s->w->anna, FOLDER_SENT);

	if (store_read_begin(s->w->store, &rd, &err) < 0 ||
		store_queue_count(rd, &counts, &err) < 0 ||
		store_item_load(rd, s->w->anna, s->w->folders[0], (struct item_id){1}, arena,
			&source, &err) < 0) {
		model_fail(s->w, -1, "%s", err.text);
		return;
	}
	if (inbox != 1 || sent != 1 || counts.mails != 1 || counts.recipients != 1)
		model_fail(s->w, -1, "%u at bob's, %u in Sent, %u in the queue", (unsigned)inbox,
			(unsigned)sent, (unsigned)counts.mails);
	if (source->last_verb != 1)
		model_fail(s->w, -1, "the original has no mark");
}

/* True: the fault did strike. */
static bool tell_with(struct story *s, enum vfs_fault fault, enum err_code code, unsigned n)
{
	unsigned long faults;
	struct world *w = s->w;
	struct buf body = BUF_INIT;
	struct phone *p;
	bool first, struck;

	world_reset(w, n);
	run_mail(w, 1, 0);
	p = scenario_phone(w, 0, "14.1", 0, 1);
	write_reply(&body, w->folders[0], 1);
	faults = vfs_fault_count();
	w->trouble = true;
	if (code != ERR_NONE)
		store_fail_after(w->store, n, code);
	else
		vfs_set_fault(fault, n);
	first = attempt(w, p, &body);
	struck = !first || vfs_fault_count() > faults;
	end_trouble(s);
	/* The answer is lost now and then, also when all went well. */
	for (unsigned i = 0; i < ATTEMPTS_MAX && (!first || i < n % 2); i++)
		first = attempt(w, p, &body);
	if (!first)
		model_fail(w, -1, "the reply is never sent");
	check_end(s);
	buf_deinit(&body);
	return struck;
}

static void each_step(struct story *s, enum vfs_fault fault, enum err_code code, const char *what)
{
	unsigned n = 1;

	while (n < STORY_STEPS_MAX && !s->w->failed && tell_with(s, fault, code, n))
		n++;
	if (s->w->failed)
		model_trace(s->w, -1, "the %u-th", n);
	if (n < 2 && !s->w->failed)
		model_fail(s->w, -1, "no fault ever struck: %s", what);
}

void scenario_sends(struct world *w)
{
	struct story s = {.w = w};

	each_step(&s, VFS_FAULT_NONE, ERR_QUOTA, "statements, disk full");
	each_step(&s, VFS_FAULT_NONE, ERR_BACKEND, "statements, I/O error");
	each_step(&s, VFS_FAULT_FULL, ERR_NONE, "writes, disk full");
	each_step(&s, VFS_FAULT_WRITE, ERR_NONE, "writes, I/O error");
	each_step(&s, VFS_FAULT_SYNC, ERR_NONE, "fsync, I/O error");
	each_step(&s, VFS_FAULT_CUT, ERR_NONE, "cuts");
}
