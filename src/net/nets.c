/* Addresses and nets, as settings list them. Pure. */
#include "net/nets.h"

#include <string.h>

#include "base/str.h"

/* Are the first bits the same? */
static bool same_net(const struct net_address *a, const struct net_address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a->bytes, b->bytes, whole) == 0 &&
	       (rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0);
}

/* An address, or a net: 10.0.0.0/8. What is neither is nobody. */
static bool is_in(const char *word, const struct net_address *a)
{
	const char *slash = strchr(word, '/');
	size_t len = slash != NULL ? (size_t)(slash - word) : strlen(word);
	struct err ignored = ERR_INIT;
	struct net_address net;
	char text[NET_ADDRESS_TEXT];
	uint64_t bits;

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	if (!net_address_parse(text, &net))
		return false;
	if (slash == NULL)
		return memcmp(net.bytes, a->bytes, sizeof(net.bytes)) == 0;
	if (str_parse_u64(slash + 1, net_address_is_ipv4(&net) ? 32 : 128, &bits, &ignored) < 0)
		return false;
	return same_net(&net, a, (unsigned)bits + (net_address_is_ipv4(&net) ? 96 : 0));
}

bool nets_hold(const char *const *words, size_t count, const struct net_address *a)
{
	for (size_t i = 0; i < count; i++) {
		if (is_in(words[i], a))
			return true;
	}
	return false;
}
