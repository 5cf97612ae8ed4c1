/*
 * Stored sync states: whatever the bytes, decoding ends, and what it takes it can write again. The
 * first byte says how many of the following are a chunk's.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "sync/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct sync_chunk_list chunks = SYNC_CHUNK_LIST_INIT;
	struct sync_chunk_row chunk = {.id = 1};
	struct sync_state s, again;
	struct buf blob = BUF_INIT;
	struct err err = ERR_INIT;
	size_t chunk_len;

	if (len == 0)
		return 0;
	chunk_len = MIN((size_t)bytes[0], len - 1);
	chunk.bytes = bytes + 1;
	chunk.len = chunk_len;
	sync_state_init(&s);
	sync_state_init(&again);
	if (sync_state_decode(bytes + 1 + chunk_len, len - 1 - chunk_len, &chunk, 1, &s, &err) ==
		0) {
		sync_state_encode(&s, &blob, &chunks);
		if (chunks.count <= 1) {
			if (sync_state_decode(blob.data, blob.len, chunks.rows, chunks.count,
				    &again, &err) < 0 ||
				!sync_state_same(&s, &again))
				abort();
		}
	}
	buf_deinit(&blob);
	sync_chunk_list_deinit(&chunks);
	sync_state_deinit(&s);
	sync_state_deinit(&again);
	return 0;
}
