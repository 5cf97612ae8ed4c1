#ifndef BELLHOP_PHONE_PHONE_H
#define BELLHOP_PHONE_PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "client/answer.h"
#include "client/request.h"
#include "phone/events.h"
#include "phone/http.h"
#include "phone/options.h"
#include "phone/profile.h"

/*
 * One phone: an account, its state and its connection. One thread, blocking. Shared by the files of
 * this room:
 *
 *   exchange.c   a command and its answer: version, policy key, redirects, provisioning when asked
 *   provision.c  both phases, wipe
 *   hierarchy.c  FolderSync and the Maildir folders
 *   mail_sync.c  one mail folder, both ways
 *   push.c       the Ping loop
 *   send.c       SendMail
 */
struct phone {
	const struct options *options;
	struct events events;
	struct http *http;
	struct profile *profile;
	char *maildir, *state_dir, *data_dir;
	int stop_fd;               /* signalfd: SIGTERM, SIGINT */
	int inotify_fd;            /* -1: none */
	bool wiped;                /* the server ordered it and it is done */
	bool wiping;               /* one was begun and did not get to its end */
	bool version_known;        /* OPTIONS was asked in this run */
	bool hierarchy_stale;      /* a FolderSync is due */
	unsigned retry_after_s;    /* what the last refusal asked for */
	unsigned provision_rounds; /* in a row, without a command that worked */
};

/* exchange.c */
struct exchange {
	enum request_command command;
	const void *body;
	size_t body_len;
	const char *content_type; /* NULL: WBXML */
	bool save_in_sent;        /* SendMail before 14.0 */
	int64_t timeout_ms;
	bool held; /* a Ping: gives up when the Maildir changes; no policy key */
	void (*on_held)(void *owner);
	void *owner;
	int64_t sent_us, answered_us; /* filled in, also on failure */
	bool interrupted;             /* given up because of a signal or a change of the Maildir */
};
/*
 * Sends a command and decodes the answer into the arena; provisions and repeats when the server
 * asks for it. *ret_root NULL: an empty answer. Errors: ERR_AUTH password refused; ERR_DENIED no
 * use trying again; ERR_BAD_INPUT the answer makes no sense; ERR_TIMEOUT, ERR_BACKEND network;
 * ERR_BUSY the server asks for patience, or x->interrupted.
 */
NODISCARD int exchange_run(struct phone *p, struct exchange *x, struct arena *arena,
	struct wbxml_node **ret_root, struct err *err);
/* OPTIONS, choice of the version. */
NODISCARD int exchange_options(struct phone *p, struct err *err);
/* A signal asked to stop. */
bool exchange_stopped(const struct phone *p);
/* Waits that long, or until a signal. */
void exchange_pause(const struct phone *p, unsigned ms);

/* provision.c: sets profile->policy_key, or wipes (phone->wiped, ERR_DENIED). */
NODISCARD int provision_run(struct phone *p, struct err *err);
/* The account of a wipe that was begun and not ended, from its note; ERR_NOT_FOUND: none was. */
NODISCARD int provision_wipe_note(struct phone *p, struct err *err);
/* Goes on with it, and ends as provision_run() with a wipe. */
NODISCARD int provision_wipe_resume(struct phone *p, struct err *err);

/* hierarchy.c */
NODISCARD int hierarchy_run(struct phone *p, struct err *err);
/* The Maildir folder of a mail folder. mem_free. */
char *hierarchy_dir(const struct phone *p, const struct profile_folder *f);

/* mail_sync.c */
struct mail_sync_count {
	unsigned added, changed, deleted; /* by the server */
	unsigned sent;                    /* our own changes that it took */
};
/* One folder until nothing is left to say. */
NODISCARD int mail_sync_run(struct phone *p, const struct profile_folder *f,
	struct mail_sync_count *ret, struct err *err);
/* All wanted folders. */
NODISCARD int mail_sync_all(struct phone *p, struct err *err);
/* Whether somebody read, flagged or deleted something in the folder's Maildir. */
NODISCARD int mail_sync_local_changes(
	struct phone *p, const struct profile_folder *f, bool *ret, struct err *err);

/* push.c: until a signal, an error, or (--wait-one) the first pushed change. */
NODISCARD int push_run(struct phone *p, struct err *err);

/* send.c: the message on standard input. */
NODISCARD int send_run(struct phone *p, struct err *err);

/* compose.c: a message from the properties, for servers that send no MIME. */
void compose_message(const struct answer_mail *mail, struct buf *out);

#endif
