/*
 * Frames from a stranger. What decodes must encode again to the same bytes, unless its integers
 * were written longer than needed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = mem_try_alloc(len);
	size_t at = 0;

	if (copy == NULL)
		return 0;
	if (len > 0)
		memcpy(copy, bytes, len);
	for (;;) {
		struct err err = ERR_INIT;
		struct ipc_frame frame;
		struct buf again = BUF_INIT;
		size_t used = 0;

		if (ipc_decode(copy + at, len - at, &frame, &used, &err) != 1)
			break;
		ipc_encode(&frame, &again);
		if (again.failed || again.len > used)
			abort();
		buf_deinit(&again);
		at += used;
	}
	mem_free(copy);
	return 0;
}
