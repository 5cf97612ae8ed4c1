/*
 * Messages from a stranger. A connection that decodes encodes again, and that decodes to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "front/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void write_again(const struct handover_conn *c)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct handover_message m;
	struct handover_conn read;
	struct err err = ERR_INIT;

	handover_begin_conns(&once, 1);
	handover_add_conn(&once, c);
	if (handover_decode(once.data, once.len, &m, &err) < 0 || m.count != 1 ||
		!handover_next_conn(&m, &read))
		abort();
	handover_begin_conns(&twice, 1);
	handover_add_conn(&twice, &read);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		abort();
	buf_deinit(&once);
	buf_deinit(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct handover_message m;
	struct handover_conn c;
	struct err err = ERR_INIT;

	if (handover_decode(bytes, len, &m, &err) < 0)
		return 0;
	for (uint32_t i = 0; i < m.count && handover_next_conn(&m, &c); i++)
		write_again(&c);
	return 0;
}
