#ifndef BELLHOP_TESTS_POWER_PHONE_H
#define BELLHOP_TESTS_POWER_PHONE_H

#include "base/arena.h"
#include "client/answer.h"
#include "client/request.h"
#include "eas/eas.h"

/*
 * A store that a power loss left behind, opened by the server's own code, and phones that talk to
 * it without sockets. Functions return -1 with what is wrong in err.
 */
struct power_world {
	struct store *store;
	struct watches *watches;
	const struct settings *settings;
	struct eas_server server;
};

NODISCARD int power_world_open(
	const char *data_dir, const char *config, struct power_world *ret, struct err *err);
void power_world_close(struct power_world *w);

struct power_item {
	const char *id, *subject;
	bool read, flag;
	const uint8_t *data; /* of its body, when wanted */
	size_t len;
};

/* One phone and what it holds of its Inbox. Texts live in its arena. */
struct power_phone {
	struct power_world *world;
	struct arena *arena;
	const char *login, *device, *sync_key, *inbox;
	uint32_t policy_key;
	unsigned body_type;
	int64_t truncation;
	struct power_item *items;
	size_t count, cap;
};

void power_phone_deinit(struct power_phone *p);
struct power_item *power_phone_find(struct power_phone *p, const char *id);
void power_phone_add(struct power_phone *p, const struct power_item *item);
void power_phone_remove(struct power_phone *p, struct power_item *item);

/* A new phone: provisions, learns the folders, begins the Inbox. */
NODISCARD int power_phone_begin(struct power_phone *p, struct err *err);
/* FolderSync with a key that it was given: nothing may have changed. */
NODISCARD int power_phone_check_folders(struct power_phone *p, const char *key, struct err *err);
/* Syncs until nothing is left. An Add of what it holds, or a Change or Delete of what it does not,
 * is an error. */
NODISCARD int power_phone_sync(struct power_phone *p, struct err *err);

#endif
