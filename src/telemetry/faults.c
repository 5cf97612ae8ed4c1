/* The ring of faults, as that of waits (waits.c). One lock, held for one copy or for a search. */
#include "telemetry/faults.h"

#include <pthread.h>

#include "base/mem.h"

struct faults {
	pthread_mutex_t lock; /* all below */
	struct fault *ring;
	size_t next, max;
	uint64_t count; /* ever */
};

struct faults *faults_new(size_t max)
{
	struct faults *f = x_new(struct faults);

	(void)pthread_mutex_init(&f->lock, NULL);
	f->max = max;
	f->ring = x_calloc(MAX(max, 1), sizeof(*f->ring));
	return f;
}

void faults_free(struct faults **faults)
{
	if (*faults == NULL)
		return;
	(void)pthread_mutex_destroy(&(*faults)->lock);
	mem_free((*faults)->ring);
	mem_free(*faults);
	*faults = NULL;
}

void faults_add(struct faults *f, const struct fault *fault)
{
	if (f->max == 0)
		return;
	(void)pthread_mutex_lock(&f->lock);
	f->ring[f->next] = *fault;
	f->next = (f->next + 1) % f->max;
	f->count++;
	(void)pthread_mutex_unlock(&f->lock);
}

size_t faults_read(struct faults *f, uint64_t device, struct fault *out, size_t max)
{
	size_t found = 0, there;

	(void)pthread_mutex_lock(&f->lock);
	there = (size_t)MIN(f->count, (uint64_t)f->max);
	for (size_t i = 1; i <= there && found < max; i++) {
		const struct fault *fault = &f->ring[(f->next + f->max - i) % f->max];

		if (fault->device == device)
			out[found++] = *fault;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return found;
}
