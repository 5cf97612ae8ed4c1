#ifndef BELLHOP_EAS_REPAIR_H
#define BELLHOP_EAS_REPAIR_H

#include "base/err.h"
#include "eas/eas.h"
#include "store/store.h"

/*
 * Makes the next Sync of that collection (folder 0: the next FolderSync) compare everything that
 * the phone holds with everything that is there, and send the difference; the phone keeps its key
 * and what it has. Nothing stays set aside for it. A waiting phone is woken when there is a
 * difference. ERR_NOT_FOUND: the phone has no state there. Waits for a request of the phone on that
 * collection; any thread that holds none.
 */
NODISCARD int eas_repair(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err);

/*
 * Forgets what the phone holds of that collection: its key is good no more, so it starts over with
 * key 0 and gets everything again. A waiting phone that watches the folder is woken. Locks and
 * threads as eas_repair().
 */
NODISCARD int eas_resync(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err);

/*
 * Ends the withholding of one item: the next Sync of that collection tries it again, with all the
 * attempts that sync.repeats_max allows, whichever of its keys the phone comes with. A waiting
 * phone is woken. ERR_NOT_FOUND: nothing of that id is withheld from the phone. Locks and threads
 * as eas_repair().
 */
NODISCARD int eas_release(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct item_id item, struct err *err);

#endif
