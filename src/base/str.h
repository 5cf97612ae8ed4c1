#ifndef BELLHOP_BASE_STR_H
#define BELLHOP_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Text helpers. Nothing here looks at the locale: all case rules are ASCII unless said. */

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_eq_nocase(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_starts_nocase(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* In place; returns s. */
char *str_lower(char *s);
/* Skips blanks at both ends: returns the new start, terminates at the new end. */
char *str_trim(char *s);

/* Decimal only, whole string, no sign for u64. ERR_BAD_INPUT names the text and the range. */
NODISCARD int str_parse_u64(const char *s, uint64_t max, uint64_t *ret, struct err *err);
NODISCARD int str_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err);

/* True when the bytes are valid UTF-8 (no surrogates, nothing above U+10FFFF). */
bool utf8_valid(const void *bytes, size_t len);
/* True when it is valid and every character shows: no control character, none that only directs
 * others (marks of direction, joiners), no blank but ' '. So that names that look the same are. */
bool utf8_visible(const void *bytes, size_t len);
/* The largest n <= len which does not cut a character of valid UTF-8. */
size_t utf8_floor(const char *s, size_t len, size_t n);
/*
 * Appends text with everything that XML 1.0 (and so WBXML clients) cannot carry replaced by U+FFFD:
 * broken UTF-8, NUL, control characters other than tab, LF, CR, and U+FFFE/U+FFFF.
 */
void utf8_add_clean(struct buf *out, const char *s, size_t len);

/* Base64, standard alphabet. Decode also takes the URL-safe one and missing padding, and skips
 * white space; -1 on anything else. */
void base64_add(struct buf *out, const void *bytes, size_t len);
NODISCARD int base64_decode(struct buf *out, const char *text, size_t len);
/* Lower-case hex. */
void hex_add(struct buf *out, const void *bytes, size_t len);
/* 0 to 15 for a digit in either case; -1. */
int hex_value(char c);

/* Constant time for equal lengths. */
bool bytes_equal_secret(const void *a, const void *b, size_t len);
/* From the kernel; aborts if it has none. */
void random_bytes(void *out, size_t len);
uint64_t random_u64(void);

/* explicit_bzero under the house's name, for keys and passwords. */
void secret_wipe(void *p, size_t len);

#endif
