#ifndef BELLHOP_TESTS_POWER_FACTS_H
#define BELLHOP_TESTS_POWER_FACTS_H

#include "base/arena.h"
#include "replay.h"

/*
 * What the driver of a run did, and what it was told. Each act has a number; the log says where it
 * began and where it was acknowledged ("begin 7", "ack 7 PORT TOKEN": acknowledged is what the
 * server said first with these bytes, in hex, in it; with a port, what it said last to that peer.
 * Without them it is the place of the mark).
 *
 * The file has one act per line, fields between tabs, in the order of their beginning:
 *
 *	user N LOGIN                    a user was added
 *	alias N LOGIN ADDRESS           an alias of the user
 *	mail N LOGIN SUBJECT SHA256 LEN a message was delivered; the last LEN bytes of what is kept
 *	                                have this hash (LEN 0: not looked at)
 *	read N LOGIN SUBJECT VALUE      a phone changed Read (0, 1)
 *	flag N LOGIN SUBJECT VALUE      a phone changed the Flag (0, 1)
 *	gone N LOGIN SUBJECT            a phone deleted it
 *	policy N PHONE LOGIN KEY        a phone was given its final policy key
 *	folders N PHONE LOGIN KEY ID    a phone was given that key of the hierarchy; its Inbox
 *	sync N PHONE LOGIN KEY          a phone was given that SyncKey; what it holds then differs
 *by
 *	+ ID READ FLAG SUBJECT          these lines
 *	~ ID READ FLAG                  (a dash: as it was)
 *	- ID
 */
enum fact_kind {
	FACT_USER = 1,
	FACT_ALIAS,
	FACT_MAIL,
	FACT_READ,
	FACT_FLAG,
	FACT_GONE,
	FACT_POLICY,
	FACT_FOLDERS,
	FACT_SYNC,
};

struct fact_item {
	char what; /* + ~ - */
	const char *id, *subject;
	int read, flag; /* -1: as it was */
};

struct fact {
	enum fact_kind kind;
	unsigned number;
	size_t began_at, acked_at;                  /* records; acked_at SIZE_MAX: never */
	const char *phone, *login, *subject, *text; /* text: address, hash, key */
	const char *inbox;
	uint64_t value; /* of a property; length of a message */
	struct fact_item *items;
	size_t item_count;
};

struct facts {
	struct arena *arena;
	struct fact *all;
	size_t count;
};

/* ERR_BAD_INPUT with the line. */
NODISCARD int facts_load(
	struct facts *facts, const char *path, const struct replay *log, struct err *err);
void facts_deinit(struct facts *facts);

#endif
