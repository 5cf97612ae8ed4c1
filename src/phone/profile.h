#ifndef BELLHOP_PHONE_PROFILE_H
#define BELLHOP_PHONE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "client/answer.h"
#include "client/heartbeat.h"

/*
 * What a partnership between this phone and one account consists of: who, where, the version, the
 * policy key, the folder list and the heartbeat. One JSON file in the state folder. One thread.
 */
struct profile_folder {
	char *id, *parent_id, *name;
	unsigned type;
	char *path;  /* Maildir folder below the tree: "" for the Inbox, ".Sent"; NULL: not a mail
			folder */
	bool wanted; /* --folder; not stored */
};

struct profile {
	char *server, *user; /* as given first: another account must use another folder */
	char *url;           /* where requests go, after redirects */
	char *device_id, *device_type;
	unsigned version;    /* 0: not chosen yet */
	uint32_t policy_key; /* 0: none */
	unsigned max_filter; /* the policy's look-back limit; 0: none */
	char *hierarchy_key; /* "0": none */
	struct profile_folder *folders;
	size_t folder_count;
	struct heartbeat heartbeat;
	unsigned max_folders; /* in one Ping, from Status 6; 0: no limit known */
};

struct profile *profile_new(const char *server, const char *user);
void profile_free(struct profile **p);
/* ERR_NOT_FOUND: none there. ERR_BAD_INPUT: damaged, the text says where. */
NODISCARD int profile_load(const char *dir, struct profile **ret, struct err *err);
NODISCARD int profile_save(const char *dir, const struct profile *p, struct err *err);

struct profile_folder *profile_folder_find(const struct profile *p, const char *id);
/* Adds or replaces name, parent and type. */
void profile_folder_put(struct profile *p, const struct answer_folder *folder);
void profile_folder_remove(struct profile *p, const char *id);
void profile_folders_clear(struct profile *p);
/* The Maildir path that a folder should have now, by its names; NULL for what is not synced.
 * mem_free. */
char *profile_folder_path(const struct profile *p, const struct profile_folder *folder);
/* Mail that this version can sync: not the Outbox, and Drafts from 16.0 on only. */
bool profile_folder_is_mail(const struct profile *p, const struct profile_folder *folder);
/* Sets a string, freeing the old one. */
void profile_set(char **field, const char *value);

#endif
