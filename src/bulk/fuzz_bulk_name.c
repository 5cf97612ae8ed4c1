/*
 * Names of files and folders: whatever is read is clean text, and what is written for a file system
 * has no special byte in it and reads back as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf7.h"
#include "bulk/bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf text = BUF_INIT, file = BUF_INIT, back = BUF_INIT, flags = BUF_INIT;
	CLEANUP(mem_freep) char *name = x_strndup((const char *)bytes, len);
	unsigned found = bulk_flags_parse(name);

	bulk_flags_add(&flags, found);
	require(flags.len <= 6);

	bulk_name_decode(&text, (const char *)bytes, len);
	require(utf8_valid(text.data, text.len));
	for (size_t i = 0; i < text.len; i++)
		require(text.data[i] >= ' ');

	utf7_add_name(&file, buf_cstr(&text), "./");
	for (size_t i = 0; i < file.len; i++)
		require(file.data[i] >= ' ' && file.data[i] < 0x7f && file.data[i] != '.' &&
			file.data[i] != '/');
	bulk_name_decode(&back, (const char *)file.data, file.len);
	require(back.len == text.len &&
		(text.len == 0 || memcmp(back.data, text.data, text.len) == 0));
	buf_deinit(&text);
	buf_deinit(&file);
	buf_deinit(&back);
	buf_deinit(&flags);
	return 0;
}
