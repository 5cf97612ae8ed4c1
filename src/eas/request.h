#ifndef BELLHOP_EAS_REQUEST_H
#define BELLHOP_EAS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "wbxml/wbxml.h"

/*
 * Values out of a request that schema_check() has passed: no errors to handle. node may be NULL. An
 * element that is absent, or empty where its type is not boolean, gives the default. Pure.
 */

/* Saturates at UINT64_MAX; a negative number (schema type NUMBER only) is 0. */
uint64_t eas_get_uint(const struct wbxml_node *node, unsigned tag, uint64_t value_if_absent);
/* Saturates at both ends. */
int64_t eas_get_int(const struct wbxml_node *node, unsigned tag, int64_t value_if_absent);
/* An empty element is true. */
bool eas_get_bool(const struct wbxml_node *node, unsigned tag, bool value_if_absent);
/* Never NULL when value_if_absent is not. */
const char *eas_get_text(const struct wbxml_node *node, unsigned tag, const char *value_if_absent);
bool eas_has(const struct wbxml_node *node, unsigned tag);
/* Either form; milliseconds since 1970. */
int64_t eas_get_date_ms(const struct wbxml_node *node, unsigned tag, int64_t value_if_absent);
/* "m-n"; false when absent. */
bool eas_get_range(
	const struct wbxml_node *node, unsigned tag, uint64_t *ret_first, uint64_t *ret_last);
/* Of the element and all below: tags, texts and their order. For telling a request that came before
 * from another one; not against somebody who wants two to be alike. */
uint64_t eas_hash_node(const struct wbxml_node *node, uint64_t seed);

#endif
