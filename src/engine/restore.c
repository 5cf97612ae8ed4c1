/*
 * Watches that fronts bring back after an engine's start: they wait here for their look, a few at a
 * time, so that requests need not wait behind a hundred thousand of them.
 *
 * Owns: one record per watch until its look begins (push_restore()). A phone that goes away
 * meanwhile, or comes again from another process of its front, takes its record out. Thread: the
 * loop's. Limits: half of the workers at once.
 */
#include "base/mem.h"
#include "engine/engine_internal.h"

struct pending {
	struct list_node node; /* in restores.waiting */
	struct front *front;
	struct ipc_register reg;
};

struct restores {
	struct engine *engine;
	struct list_node waiting;
	struct map *by_handle; /* of the waiting */
	unsigned running;
};

struct restores *restores_new(struct engine *e)
{
	struct restores *r = x_new(struct restores);

	r->engine = e;
	list_init(&r->waiting);
	r->by_handle = map_new();
	return r;
}

/* Those whose look runs count, too. */
static void count_left(struct restores *r)
{
	atomic_store(&r->engine->restores_left, (unsigned)map_count(r->by_handle) + r->running);
}

static void drop(struct restores *r, struct pending *p)
{
	(void)map_remove(r->by_handle, &p->reg.handle, sizeof(p->reg.handle));
	list_remove(&p->node);
	mem_free(p);
}

void restores_free(struct restores **rp)
{
	struct restores *r = *rp;

	if (r == NULL)
		return;
	LIST_FOREACH_SAFE(node, &r->waiting)
		drop(r, LIST_ENTRY(node, struct pending, node));
	map_free(&r->by_handle);
	mem_free(r);
	*rp = NULL;
}

static void go_on(struct restores *r)
{
	unsigned max = MAX((unsigned)r->engine->settings->server_workers / 2, 1u);

	while (!r->engine->stopping && r->running < max && !list_empty(&r->waiting)) {
		struct pending *p = LIST_ENTRY(r->waiting.next, struct pending, node);

		if (push_restore(r->engine, p->front, &p->reg))
			r->running++;
		drop(r, p);
	}
	count_left(r);
}

void restores_add(struct restores *r, struct front *front, const struct ipc_register *reg)
{
	struct pending *p;

	if (map_find(r->by_handle, &reg->handle, sizeof(reg->handle)) != NULL)
		return;
	if (reg->moved)
		restores_gone(r, &reg->before);
	p = x_new(struct pending);
	p->front = front;
	p->reg = *reg;
	list_append(&r->waiting, &p->node);
	(void)map_put(r->by_handle, &p->reg.handle, sizeof(p->reg.handle), p);
	go_on(r);
}

void restores_gone(struct restores *r, const struct ipc_handle *handle)
{
	struct pending *p = map_find(r->by_handle, handle, sizeof(*handle));

	if (p != NULL)
		drop(r, p);
	count_left(r);
}

void restores_front_lost(struct restores *r, const struct front *front)
{
	LIST_FOREACH_SAFE(node, &r->waiting) {
		struct pending *p = LIST_ENTRY(node, struct pending, node);

		if (p->front == front)
			drop(r, p);
	}
	count_left(r);
}

void restores_done(struct restores *r)
{
	r->running--;
	go_on(r);
}
