#ifndef BELLHOP_NET_NETS_H
#define BELLHOP_NET_NETS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/listen.h"

/* Is the address one of these, or in one of these nets ("192.0.2.7", "10.0.0.0/8",
 * "2001:db8::/32")? A word that is neither holds nobody. Pure. */
bool nets_hold(const char *const *words, size_t count, const struct net_address *a);

#endif
