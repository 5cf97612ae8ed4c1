/* Any bytes can be rendered, and the rendering is text. */
#include <stdlib.h>

#include "wbxml/wbxml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf out = BUF_INIT;

	buf_init(&out, 1 << 20);
	wbxml_trace(bytes, len, &out);
	for (size_t i = 0; i < out.len; i++) {
		if (out.data[i] != '\n' && (out.data[i] < 0x20 || out.data[i] > 0x7e))
			abort();
	}
	buf_deinit(&out);
	return 0;
}
