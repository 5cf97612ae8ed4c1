/*
 * Frames from a stranger. What decodes encodes again, and that decodes to the same: written a
 * second time it is byte for byte what it was the first time. For the version before, too, which
 * gets no more than it knows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void write_again(const struct ipc_frame *frame)
{
	for (uint32_t version = IPC_VERSION_MIN; version <= IPC_VERSION; version++) {
		struct buf once = BUF_INIT, twice = BUF_INIT;
		struct err err = ERR_INIT;
		struct ipc_frame read;
		size_t used = 0;

		ipc_encode_for(frame, version, &once);
		if (once.failed)
			abort();
		if (once.len > 0) {
			if (ipc_decode(once.data, once.len, &read, &used, &err) != 1 ||
				used != once.len || read.type != frame->type)
				abort();
			ipc_encode_for(&read, version, &twice);
			if (twice.failed || twice.len != once.len ||
				memcmp(once.data, twice.data, once.len) != 0)
				abort();
		}
		buf_deinit(&once);
		buf_deinit(&twice);
	}
}

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
		size_t used = 0;

		if (ipc_decode(copy + at, len - at, &frame, &used, &err) != 1)
			break;
		at += used;
		if (frame.type != IPC_UNKNOWN)
			write_again(&frame);
	}
	mem_free(copy);
	return 0;
}
