#ifndef BELLHOP_EAS_DATE_H
#define BELLHOP_EAS_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * The two text forms of a moment ([MS-ASDTYPE] 2.3, 2.7.2), always UTC: dashed
 * "2010-03-01T12:00:00.000Z" and compact "20100301T120000Z". Which form an element wants
 * depends on its code page and version; both are read anywhere. Pure.
 */
enum eas_date_forms {
	EAS_DATE_DASHED = 1,
	EAS_DATE_COMPACT = 2,
	EAS_DATE_DAY = 4, /* 16.0 all-day: "20100301", "20100301T000000" */
	EAS_DATE_ANY = EAS_DATE_DASHED | EAS_DATE_COMPACT,
};

#define EAS_DATE_SIZE 32 /* bytes that any form needs */

/* False when the text has none of the forms or names no real moment. Milliseconds since 1970. */
bool eas_date_parse(const char *text, size_t len, unsigned forms, int64_t *ret_ms);
/* One form, terminated; returns text. Years outside of 1..9999 are clamped. */
const char *eas_date_format(int64_t at_ms, enum eas_date_forms form, char text[EAS_DATE_SIZE]);

#endif
