/* Any bytes as a configuration: no crash, and what is accepted survives dump and parse unchanged.
 */
#include <stdint.h>
#include <stdlib.h>

#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct settings *first = NULL, *second = NULL;
	struct settings_report report = SETTINGS_REPORT_INIT;
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;

	if (settings_parse((const char *)bytes, len, "/etc/fuzz.conf", &first, &report, &err) ==
		0) {
		settings_dump(first, true, &text);
		if (settings_parse((const char *)text.data, text.len, "/etc/fuzz.conf", &second,
			    NULL, &err) < 0 ||
			!settings_equal(first, second))
			abort();
	} else if (err.code == ERR_NONE) {
		abort();
	}
	buf_deinit(&text);
	settings_report_deinit(&report);
	settings_unref(&first);
	settings_unref(&second);
	return 0;
}
