#ifndef BELLHOP_STORE_IDS_H
#define BELLHOP_STORE_IDS_H

#include <stdint.h>

/*
 * Ids of different kinds are different types. All start at 1; 0 is "none". Folder ids are unique within their owner, item
 * ids within their folder, both ascending in commit order and never used again.
 */
struct owner_id { /* of a user, and of the data that is theirs */
	uint64_t v;
};
struct folder_id {
	uint64_t v;
};
struct item_id {
	uint64_t v;
};
struct device_id { /* our row, not the phone's DeviceId text */
	uint64_t v;
};

#endif
