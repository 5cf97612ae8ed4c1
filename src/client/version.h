#ifndef BELLHOP_CLIENT_VERSION_H
#define BELLHOP_CLIENT_VERSION_H

/*
 * Protocol versions as numbers times ten, as the base64 query has them: 25, 120, 121, 140, 141,
 * 160, 161. Pure.
 */
#define VERSION_25  25
#define VERSION_120 120
#define VERSION_121 121
#define VERSION_140 140
#define VERSION_141 141
#define VERSION_160 160
#define VERSION_161 161

/* 0 when the text is none of the seven. */
unsigned version_parse(const char *text);
/* "14.1"; "?" for unknown numbers. */
const char *version_to_str(unsigned version);
/* The highest of ours in a list like "2.5,12.0, 14.1"; 0 when there is none. NULL is an empty list.
 */
unsigned version_choose(const char *list);
/* Whether the list names that version. */
int version_listed(const char *list, unsigned version);

#endif
