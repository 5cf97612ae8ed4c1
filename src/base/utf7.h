#ifndef BELLHOP_BASE_UTF7_H
#define BELLHOP_BASE_UTF7_H

#include "base/buf.h"

/*
 * A folder's name for a file system: modified UTF-7 (RFC 3501, 5.1.3), after its UTF-8 was cleaned;
 * also the bytes in `special` and a leading dot in its base64. Any thread.
 */
void utf7_add_name(struct buf *out, const char *name, const char *special);

#endif
