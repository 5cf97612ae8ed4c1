#ifndef BELLHOP_EAS_GATE_H
#define BELLHOP_EAS_GATE_H

#include "eas/command.h"
#include "eas/eas.h"
#include "eas/query.h"
#include "policy/access.h"
#include "policy/rules.h"
#include "policy/service.h"

/*
 * The one place where it is decided whether a phone may go on: asked for each request, and for a
 * phone that waits whenever something about it was marked. The steps are asked in their order, and
 * the first that does not say "next" has decided.
 *
 * Reads no database: who asks loads user, device and rules in the snapshot that it reads anyway.
 * Any thread.
 */
enum gate_step {
	GATE_WIPE,    /* a pending wipe: before everything that would keep it from the phone */
	GATE_USER,    /* the user is disabled, ActiveSync is off */
	GATE_ACCESS,  /* the device is blocked, in quarantine, or refused by a rule */
	GATE_SERVICE, /* what the service offers: synchronisation, plain HTTP, versions */
	GATE_POLICY,  /* the device must provision first */
	GATE_STEPS,
};

enum gate_answer {
	GATE_NEXT, /* this step has nothing against it */
	GATE_PASS, /* go on, whatever later steps would say */
	GATE_STOP, /* not further than this: the verdict says what the phone hears */
};

struct gate_subject {
	struct eas_server *server;
	const struct settings *settings;
	const struct user *user;
	const struct device
		*device; /* NULL: has no row yet; GATE_ACCESS and GATE_POLICY need one */
	/* What is asked for; NULL: the phone waits, be it parked or about to be. */
	const struct eas_query *query;
	unsigned version;                /* times ten */
	const struct rules *rules;       /* of the snapshot that user and device come from */
	const struct services *services; /* what holds for the user */
	bool plain;                      /* the request came, or the phone waits, without TLS */
	bool waits_by_ping;              /* query NULL: it waits in a Ping */
	int64_t now_at;
	bool provisioning_known; /* waiting: it was told to provision and goes on waiting */
};

struct gate_verdict {
	enum gate_step step; /* that stopped it */
	unsigned status;     /* the common status; 0: it may go on */
	bool provision;      /* remedied by Provision: Ping says 7, anything else the status */
	int http;            /* said so in every version; 0: as the status is said */
	bool judged;         /* GATE_ACCESS was asked: */
	struct access_decision access;
	enum eas_mute mute;
	int64_t mute_until_at; /* 0: no end is known */
};

/* Steps from first to last, both included. NEXT and PASS both mean that it may go on; PASS says
 * that later steps need not be asked. */
enum gate_answer gate_check(const struct gate_subject *subject, enum gate_step first,
	enum gate_step last, struct gate_verdict *ret);

#endif
