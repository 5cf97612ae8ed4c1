#ifndef BELLHOP_EAS_WIPE_H
#define BELLHOP_EAS_WIPE_H

#include "ipc/ipc.h"
#include "store/store.h"

/*
 * The credential of last resort (struct auth_fallback): a phone that is to be erased, and whose
 * password was changed or app password revoked since, is still heard, and hears of the wipe;
 * eas_handle() gives it nothing else. owner: a struct eas_wipe_request. Reads the store; any
 * worker.
 */
struct eas_wipe_request {
	struct store *store;
	const struct ipc_request *http;
	struct owner_id refused; /* told by the call: whose login it is; 0: nobody's */
};

/* The verifier that the asking device was let in by last, if a wipe of it is pending; for OPTIONS
 * without a DeviceId that of any such device of the user. Else NULL. *ret_proved: the request has
 * the device's policy key, a random number. */
const char *eas_wipe_credential(
	void *owner, const struct user *user, struct arena *arena, bool *ret_proved);

/* The asking device, if the user has it. Its id and its type, in the arena; else untouched. */
void eas_wipe_device(void *owner, const struct user *user, struct arena *arena, const char **ret_id,
	const char **ret_type);

#endif
