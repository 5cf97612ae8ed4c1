#ifndef BELLHOP_EAS_PING_INTERNAL_H
#define BELLHOP_EAS_PING_INTERNAL_H

#include "eas/command.h"

/*
 * What Ping and the watches share: the remembered parameters, and looking whether a waiting phone
 * has anything to be told.
 */
enum ping_status {
	PING_EXPIRED = 1,
	PING_CHANGES = 2,
	PING_MISSING = 3,
	PING_SYNTAX = 4,
	PING_BAD_HEARTBEAT = 5,
	PING_TOO_MANY_FOLDERS = 6,
	PING_HIERARCHY = 7,
	PING_SERVER = 8,
};

/* What a look found. One of the first two, or a Ping status, or nothing (all zero). */
struct wait_verdict {
	int http;        /* credentials are no good any more: 401 */
	unsigned common; /* 126, 129 ... */
	bool provision;  /* policy or wipe: Ping says 7, Sync its common status */
	unsigned gate;   /* that common status */
	bool hierarchy;
	/* The folders that are watched are not those which should be (a quarantine begins or ends):
	 * the phone is to ask anew. */
	bool renew;
	bool quiet;               /* it is to hear of a wipe, and of nothing else */
	uint64_t heartbeat_bound; /* its heartbeat is out of bounds: this one; 0: it is not */
	uint64_t folders_bound;   /* it names more folders than this; 0: it does not */
	size_t changed_count;
	const struct watch_folder **changed; /* in the arena */
	uint64_t seq;                        /* of the user: what was looked at */
	int64_t refresh_at; /* when the phone is to provision again anyhow; 0: never */
	/* What holds, for a Sync that goes on with it: */
	enum eas_mute mute;
	uint64_t items_left;
	struct services services;
	const char *access_texts[ACCESS_TEXTS]; /* when mute is EAS_MUTE_NOTICE */
};

struct wait_subject {
	enum watch_kind kind;
	struct owner_id user;
	struct device_id device;
	uint64_t user_epoch;
	const struct watch_folder *folders;
	size_t folder_count;
	bool provisioning_known; /* the phone was told already and goes on waiting */
	bool plain;              /* it waits without TLS */
	bool muted;              /* it watches nothing: it was to hear of nothing */
	uint32_t heartbeat_s;    /* of a Sync */
	struct watch_id watch;   /* is told what the look has seen; 0: not registered yet */
	/* The folders were clean at this seq of the user, when the device had this epoch: when both
	 * still hold they are not read. 0: not known. */
	uint64_t clean_seq, clean_device_epoch;
	/* Whose user, device and rules hold as long as nothing has been committed since; NULL: they
	 * are to be read. settled: then the folders are clean, too. */
	const struct eas_call *call;
	bool call_settled;
};

/* Reads everything from one snapshot. */
NODISCARD int eas_wait_look(struct eas_server *server, struct arena *arena,
	const struct wait_subject *subject, struct wait_verdict *ret, struct err *err);
static inline bool eas_wait_verdict_any(const struct wait_verdict *v)
{
	return v->http != 0 || v->common != 0 || v->provision || v->hierarchy || v->renew ||
	       v->heartbeat_bound != 0 || v->folders_bound != 0 || v->changed_count > 0;
}

/* A call made up for a watch: user, device and version as they are now. False: the user is gone. A
 * device that is gone is an empty one with its id. */
bool eas_wait_call(struct eas_server *server, struct arena *arena, enum watch_kind kind,
	struct owner_id user, struct device_id device, struct eas_reply *reply,
	struct eas_call *ret);

/* Ping{Status 2, Folders}, for that device. */
void eas_ping_changes(
	struct eas_call *call, struct device_id device, const struct wait_verdict *verdict);
/* The answer to a Ping that a verdict leads to. */
void eas_ping_answer_verdict(struct eas_call *call, const struct wait_verdict *verdict);

/* The folders of a Ping as they are watched: known, synced, mail's cutoffs filled in. pending: one
 * of them has news. ERR_NOT_FOUND: one is unknown. */
NODISCARD int eas_ping_watch_folders(struct store_read *rd, struct owner_id user,
	struct device_id device, struct arena *arena, const uint8_t *blob, size_t len,
	struct watch_folder **ret, size_t *ret_count, bool *ret_pending, struct err *err);
/* How many folders its last Ping named. */
size_t eas_ping_folder_count(const struct device *device);

#endif
