#ifndef BELLHOP_MIME_MIME_GMIME_H
#define BELLHOP_MIME_MIME_GMIME_H

/* GMime, without GLib's MIN and MAX, which base/mem.h defines too: to be included before that. */
#include <gmime/gmime.h>

#undef MIN
#undef MAX

#endif
