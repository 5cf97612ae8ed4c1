/*
 * Answers of a hostile server: the first byte chooses the command whose parser gets the rest.
 */
#include "client/answer.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Touches every string, so that ASan sees a bad one. */
static size_t touch(const char *s)
{
	return s == NULL ? 0 : strlen(s);
}

static size_t touch_sync(const struct answer_sync *s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s->collection_count; i++) {
		const struct answer_collection *c = &s->collections[i];

		sum += touch(c->id) + touch(c->sync_key);
		for (size_t n = 0; n < c->item_count; n++) {
			const struct answer_mail *m = &c->items[n].mail;

			sum += touch(c->items[n].server_id) + touch(m->from) + touch(m->subject);
			sum += m->data_len > 0 ? (uint8_t)m->data[m->data_len - 1] : 0;
		}
		for (size_t n = 0; n < c->response_count; n++)
			sum += touch(c->responses[n].server_id);
	}
	return sum;
}

static void parse(struct arena *arena, unsigned which, const struct wbxml_node *root)
{
	struct answer_provision provision;
	struct answer_folders folders;
	struct answer_sync sync;
	struct answer_ping ping;
	struct answer_mail mail;
	struct err err = ERR_INIT;
	unsigned status;
	size_t sum = answer_status(root);

	switch (which % 5) {
	case 0:
		if (answer_sync(arena, root, &sync, &err) == 0)
			sum += touch_sync(&sync) + (answer_sync_find(&sync, "1") != NULL);
		break;
	case 1:
		if (answer_folders(arena, root, &folders, &err) == 0) {
			for (size_t i = 0; i < folders.added_count; i++)
				sum += touch(folders.added[i].id) + touch(folders.added[i].name);
		}
		break;
	case 2:
		if (answer_ping(arena, root, &ping, &err) == 0) {
			for (size_t i = 0; i < ping.folder_count; i++)
				sum += touch(ping.folders[i]);
		}
		break;
	case 3:
		sum += answer_provision(root, &provision, &err) == 0;
		break;
	default:
		if (answer_fetch(root, &status, &mail, &err) == 0)
			sum += touch(mail.subject) + mail.data_len;
		break;
	}
	(void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_new((size_t)64 << 20);
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	if (len > 0 && answer_decode(arena, bytes + 1, len - 1, &root, &err) == 0)
		parse(arena, bytes[0], root);
	arena_free(&arena);
	return 0;
}
