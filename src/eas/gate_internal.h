#ifndef BELLHOP_EAS_GATE_INTERNAL_H
#define BELLHOP_EAS_GATE_INTERNAL_H

#include "eas/gate.h"

/* The steps that access and services decide (gate_access.c). */
enum gate_answer gate_check_user(const struct gate_subject *s, struct gate_verdict *v);
enum gate_answer gate_check_access(const struct gate_subject *s, struct gate_verdict *v);
enum gate_answer gate_check_service(const struct gate_subject *s, struct gate_verdict *v);

static inline enum gate_answer gate_stop(struct gate_verdict *v, unsigned status)
{
	v->status = status;
	return GATE_STOP;
}

#endif
