#ifndef BELLHOP_ENGINE_ACCESS_TIMER_H
#define BELLHOP_ENGINE_ACCESS_TIMER_H

#include "engine/engine_internal.h"
#include "submit/queue.h"

/*
 * Looks every few seconds, on a worker, whether administrators must be told of phones in quarantine
 * (submit/access_report.h), and keeps the pause between two mails. Loop thread.
 */
struct access_timer;
struct access_timer *access_timer_new(
	struct engine *engine, struct store *store, struct submit_queue *queue);
/* No job of it is on its way any more: the workers have ended. */
void access_timer_free(struct access_timer **timer);

#endif
