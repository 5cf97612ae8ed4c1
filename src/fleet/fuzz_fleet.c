/* Scenario files, and what servers answer: the first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/reply.h"
#include "fleet/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct scenario scenario;
	struct reply reply;
	uint8_t *copy;

	if (size == 0)
		return 0;
	if (data[0] == 's') {
		if (scenario_parse((const char *)data + 1, size - 1, "fuzz", &scenario, &err) ==
			0) {
			for (uint32_t i = 0; i < 10; i++)
				(void)scenario_path_of(
					&scenario, scenario_group_of(&scenario, i), i, 1);
		}
		return 0;
	}
	copy = x_calloc(1, size);
	memcpy(copy, data + 1, size - 1);
	if (reply_parse(copy, size - 1, data[0] == 'c', &reply) == 1 && reply.len > size - 1)
		abort();
	mem_free(copy);
	return 0;
}
