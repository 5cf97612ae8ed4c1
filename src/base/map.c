/*
 * Chained hash map. Grows at a load of one; never shrinks, as our maps live as long as the process.
 */
#include "base/map.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct entry {
	struct entry *next;
	uint64_t hash;
	void *value;
	size_t key_len;
	uint8_t key[];
};

struct map {
	struct entry **slots;
	size_t slot_count; /* a power of two */
	size_t count;
	uint8_t secret[16];
};

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t k0, k1, word, v[4];
	size_t left = len;

	memcpy(&k0, key, 8);
	memcpy(&k1, key + 8, 8);
	v[0] = k0 ^ 0x736f6d6570736575ull;
	v[1] = k1 ^ 0x646f72616e646f6dull;
	v[2] = k0 ^ 0x6c7967656e657261ull;
	v[3] = k1 ^ 0x7465646279746573ull;
	for (; left >= 8; p += 8, left -= 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)p[i] << (8 * i);
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void siphash128_init(struct siphash128 *h, const uint8_t key[16])
{
	uint64_t k0, k1;

	memcpy(&k0, key, 8);
	memcpy(&k1, key + 8, 8);
	*h = (struct siphash128){
		.v = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull ^ 0xee,
			k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull}};
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

void siphash128_add(struct siphash128 *h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t has = h->len % 8, n;
	uint64_t word, v[4];

	h->len += len;
	if (has > 0) {
		n = MIN(8 - has, len);
		if (n > 0)
			memcpy(h->tail + has, p, n);
		if (has + n < 8)
			return;
		p += n;
		len -= n;
		memcpy(&word, h->tail, 8);
		sip_word(h->v, word);
	}
	memcpy(v, h->v, sizeof(v));
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		sip_word(v, word);
	}
	memcpy(h->v, v, sizeof(v));
	if (len > 0)
		memcpy(h->tail, p, len);
}

void siphash128_get(struct siphash128 *h, uint64_t ret[2])
{
	uint64_t word = h->len << 56;

	for (size_t i = 0; i < h->len % 8; i++)
		word |= (uint64_t)h->tail[i] << (8 * i);
	sip_word(h->v, word);
	h->v[2] ^= 0xee;
	for (int i = 0; i < 4; i++)
		sip_round(h->v);
	ret[0] = h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
	h->v[1] ^= 0xdd;
	for (int i = 0; i < 4; i++)
		sip_round(h->v);
	ret[1] = h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

struct map *map_new(void)
{
	struct map *m = x_new(struct map);

	m->slot_count = 16;
	m->slots = x_calloc(m->slot_count, sizeof(struct entry *));
	random_bytes(m->secret, sizeof(m->secret));
	return m;
}

void map_free(struct map **m)
{
	if (*m == NULL)
		return;
	for (size_t i = 0; i < (*m)->slot_count; i++) {
		struct entry *e = (*m)->slots[i];

		while (e != NULL) {
			struct entry *next = e->next;

			mem_free(e);
			e = next;
		}
	}
	mem_free((*m)->slots);
	mem_free(*m);
	*m = NULL;
}

static struct entry **find_link(const struct map *m, uint64_t hash, const void *key, size_t len)
{
	struct entry **link = &m->slots[hash & (m->slot_count - 1)];

	for (; *link != NULL; link = &(*link)->next) {
		if ((*link)->hash == hash && (*link)->key_len == len &&
			memcmp((*link)->key, key, len) == 0)
			break;
	}
	return link;
}

void *map_find(const struct map *m, const void *key, size_t key_len)
{
	struct entry *e = *find_link(m, siphash(m->secret, key, key_len), key, key_len);

	return e != NULL ? e->value : NULL;
}

static void grow(struct map *m)
{
	size_t old_count = m->slot_count;
	struct entry **old = m->slots;

	m->slot_count *= 2;
	m->slots = x_calloc(m->slot_count, sizeof(struct entry *));
	for (size_t i = 0; i < old_count; i++) {
		struct entry *e = old[i];

		while (e != NULL) {
			struct entry *next = e->next;
			struct entry **slot = &m->slots[e->hash & (m->slot_count - 1)];

			e->next = *slot;
			*slot = e;
			e = next;
		}
	}
	mem_free(old);
}

void *map_put(struct map *m, const void *key, size_t key_len, void *value)
{
	uint64_t hash = siphash(m->secret, key, key_len);
	struct entry **link = find_link(m, hash, key, key_len), *e;

	if (*link != NULL) {
		void *old = (*link)->value;

		(*link)->value = value;
		return old;
	}
	if (m->count >= m->slot_count) {
		grow(m);
		link = find_link(m, hash, key, key_len);
	}
	e = x_calloc(1, sizeof(*e) + key_len);
	e->hash = hash;
	e->value = value;
	e->key_len = key_len;
	memcpy(e->key, key, key_len);
	*link = e;
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, const void *key, size_t key_len)
{
	struct entry **link = find_link(m, siphash(m->secret, key, key_len), key, key_len);
	struct entry *e = *link;
	void *value;

	if (e == NULL)
		return NULL;
	value = e->value;
	*link = e->next;
	mem_free(e);
	m->count--;
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

void map_each(const struct map *m,
	void (*fn)(const void *key, size_t key_len, void *value, void *owner), void *owner)
{
	for (size_t i = 0; i < m->slot_count; i++) {
		for (struct entry *e = m->slots[i]; e != NULL; e = e->next)
			fn(e->key, e->key_len, e->value, owner);
	}
}
