/*
 * The ring of waits. Its memory is touched by and by, as it fills. One lock, held for one copy, or
 * for reading the whole ring when somebody looks at a device (some milliseconds per million).
 */
#include "telemetry/waits.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

struct waits {
	pthread_mutex_t lock; /* all below but max */
	struct wait *ring;
	size_t next;
	uint64_t count;                                   /* ever */
	char proxies[WAITS_PROXIES][WAITS_PROXY_ADDRESS]; /* once written they stay */
	size_t proxy_count;
	size_t max;
};

_Static_assert(sizeof(struct wait) == 20, "as trace.waits_max says");

struct waits *waits_new(size_t max)
{
	struct waits *w = x_new(struct waits);

	(void)pthread_mutex_init(&w->lock, NULL);
	w->max = max;
	w->ring = x_calloc(MAX(max, 1), sizeof(*w->ring));
	return w;
}

void waits_free(struct waits **waits)
{
	if (*waits == NULL)
		return;
	(void)pthread_mutex_destroy(&(*waits)->lock);
	mem_free((*waits)->ring);
	mem_free(*waits);
	*waits = NULL;
}

void waits_add(struct waits *w, const struct wait *wait)
{
	if (w->max == 0)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->ring[w->next] = *wait;
	w->next = (w->next + 1) % w->max;
	w->count++;
	(void)pthread_mutex_unlock(&w->lock);
}

size_t waits_read(struct waits *w, uint64_t device, struct wait *out, size_t max)
{
	size_t found = 0, there;

	(void)pthread_mutex_lock(&w->lock);
	there = (size_t)MIN(w->count, (uint64_t)w->max);
	for (size_t i = 1; i <= there && found < max; i++) {
		const struct wait *wait = &w->ring[(w->next + w->max - i) % w->max];

		if (wait->device == device)
			out[found++] = *wait;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return found;
}

size_t waits_read_ended(struct waits *w, uint32_t since_at, struct wait *out, size_t max)
{
	size_t found = 0, there;

	(void)pthread_mutex_lock(&w->lock);
	there = (size_t)MIN(w->count, (uint64_t)w->max);
	for (size_t i = 1; i <= there && found < max; i++) {
		const struct wait *wait = &w->ring[(w->next + w->max - i) % w->max];

		if (wait->ended_at < since_at)
			break;
		if (wait->end == WAIT_CLOSED || wait->end == WAIT_CUT)
			out[found++] = *wait;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return found;
}

size_t waits_read_short(
	struct waits *w, uint32_t since_at, uint32_t below_s, struct wait *out, size_t max)
{
	size_t found = 0, there;

	(void)pthread_mutex_lock(&w->lock);
	there = (size_t)MIN(w->count, (uint64_t)w->max);
	for (size_t i = 1; i <= there && found < max; i++) {
		const struct wait *wait = &w->ring[(w->next + w->max - i) % w->max];

		if (wait->ended_at < since_at)
			break;
		if (wait->asked_s < below_s)
			out[found++] = *wait;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return found;
}

uint8_t waits_proxy(struct waits *w, const char *address)
{
	size_t i = 0;

	if (address[0] == '\0')
		return 0;
	(void)pthread_mutex_lock(&w->lock);
	while (i < w->proxy_count && !str_eq(w->proxies[i], address))
		i++;
	if (i == w->proxy_count && i < WAITS_PROXIES)
		(void)snprintf(w->proxies[w->proxy_count++], WAITS_PROXY_ADDRESS, "%s", address);
	(void)pthread_mutex_unlock(&w->lock);
	return i < WAITS_PROXIES ? (uint8_t)(i + 1) : 0;
}

const char *waits_proxy_address(struct waits *w, uint8_t proxy)
{
	return proxy > 0 && proxy <= WAITS_PROXIES ? w->proxies[proxy - 1] : "";
}

const char *wait_end_to_str(enum wait_end end)
{
	switch (end) {
	case WAIT_EXPIRED:
		return "expired";
	case WAIT_WOKEN:
		return "woken";
	case WAIT_CLOSED:
		return "closed";
	case WAIT_CUT:
		return "cut";
	}
	return "unknown";
}
