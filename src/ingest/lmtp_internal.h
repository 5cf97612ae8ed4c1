#ifndef BELLHOP_INGEST_LMTP_INTERNAL_H
#define BELLHOP_INGEST_LMTP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/settings.h"
#include "mime/mime.h"
#include "store/store.h"
#include "submit/queue.h"

#define LMTP_LINE_MAX    2048 /* bytes of a command line with its CRLF */
#define LMTP_ADDRESS_MAX 512
#define LMTP_CLIENT_MAX  255                 /* LHLO's name */
#define LMTP_INPUT_BYTES ((size_t)64 * 1024) /* read and not yet looked at */

/* ---- one command line (pure; lmtp_command.c) ---- */

enum lmtp_verb {
	LMTP_UNKNOWN = 0,
	LMTP_LHLO,
	LMTP_MAIL,
	LMTP_RCPT,
	LMTP_DATA,
	LMTP_RSET,
	LMTP_NOOP,
	LMTP_QUIT,
	LMTP_VRFY,
	LMTP_HELP,
	LMTP_HELO, /* HELO and EHLO: this is not SMTP */
};

struct lmtp_command {
	enum lmtp_verb verb;
	const char *argument; /* LHLO: the name; MAIL, RCPT: the address without < >, "" for the
				 empty one */
	uint64_t size;        /* MAIL SIZE=; 0: not said */
	bool smtputf8;        /* MAIL SMTPUTF8 */
};

/* Takes a line apart in place (without its line end; terminated). NULL: *ret is set. Else the reply
 * to give. */
const char *lmtp_command_parse(char *line, size_t len, struct lmtp_command *ret);

/* ---- the bytes after DATA (pure; lmtp_data.c) ---- */

enum lmtp_data_state {
	LMTP_DATA_LINE_START = 0, /* behind CRLF: a dot counts */
	LMTP_DATA_INSIDE,
	LMTP_DATA_DOT, /* a dot at the start of a line */
	LMTP_DATA_DOT_CR,
	LMTP_DATA_END, /* CRLF . CRLF was there */
};

struct lmtp_data {
	enum lmtp_data_state state;
	bool last_was_cr;
	uint64_t seen; /* bytes of the message so far */
	void (*add)(
		void *owner, const uint8_t *bytes, size_t len); /* unstuffed, every line end CRLF */
	void *owner;
};

/* Returns how many bytes were used; fewer than len only when state became LMTP_DATA_END. Only
 * CRLF.CRLF ends the data, and dots count only behind CRLF: a bare LF becomes CRLF and starts no
 * line ("smuggling"). */
size_t lmtp_data_feed(struct lmtp_data *d, const uint8_t *bytes, size_t len);

/* ---- a session on its way to another process (pure; lmtp_baton.c) ---- */

struct lmtp_recipient {
	const char *address;
	struct owner_id owner;
};

/* All that it knows between two reads. */
struct lmtp_baton {
	const char *client; /* "": no LHLO yet */
	const char *sender; /* NULL: no transaction */
	bool smtputf8;
	uint64_t size;
	unsigned errors;
	const struct lmtp_recipient *recipients;
	size_t recipient_count;
	const uint8_t *input; /* read and not yet looked at */
	size_t input_len;
	/* In the middle of a message: what came of it, with our trace fields before it. */
	bool in_data, last_was_cr, too_big, no_memory;
	enum lmtp_data_state data_state;
	uint64_t data_seen, header_len;
	const uint8_t *message;
	size_t message_len;
};

void lmtp_baton_encode(const struct lmtp_baton *b, struct buf *out);
/* *ret borrows from bytes and arena. ERR_BAD_INPUT: malformed, or of another version. */
NODISCARD int lmtp_baton_decode(const uint8_t *bytes, size_t len, struct arena *arena,
	struct lmtp_baton *ret, struct err *err);

/* ---- a session over seams (lmtp_session.c) ---- */

/* What the peer is connected with. deadline_ms is monotonic. */
struct lmtp_io {
	/* Bytes read, 0: the peer closed, -1: err (ERR_TIMEOUT, ERR_BACKEND). Blocks. */
	ssize_t (*read)(void *owner, void *bytes, size_t max, int64_t deadline_ms, struct err *err);
	int (*write)(
		void *owner, const void *bytes, size_t len, int64_t deadline_ms, struct err *err);
	void *owner;
	/* While stopping: the session goes on in another process, and ends here without a word.
	 * False: it does not. NULL: never. */
	bool (*pass)(void *owner, const struct lmtp_baton *baton);
};

struct lmtp_limits {
	uint64_t message_max_bytes;
	uint32_t recipients_max, timeout_s;
	bool reject_full; /* a full mailbox is a reason for good: 552, not 452 */
};

enum lmtp_outcome {
	LMTP_DELIVERED = 1,
	LMTP_FULL /* mailbox */,
	LMTP_NO_SPACE /* disk */,
	LMTP_NO_USER,
	LMTP_REFUSED /* for good: whatever was tried, the engine crashed on it */,
	LMTP_FAILED
};

struct lmtp_message {
	const char *sender;                      /* "": none */
	const struct lmtp_recipient *recipients; /* the same owner may be there twice */
	size_t recipient_count;
	const uint8_t *raw;
	size_t len;
	size_t own_len; /* of our own trace fields at its beginning */
};

struct lmtp_backend {
	void (*limits)(void *owner, struct lmtp_limits *ret);
	/* LMTP_DELIVERED: would be taken (*ret is set; size 0: not known). Else why not; err for
	 * the log. */
	enum lmtp_outcome (*resolve)(void *owner, const char *address, uint64_t size,
		struct owner_id *ret, struct err *err);
	/* Sets an outcome for each recipient; err holds the first trouble. */
	void (*deliver)(void *owner, const struct lmtp_message *message,
		enum lmtp_outcome *outcomes, struct err *err);
	void *owner;
};

/* Memory for messages under way, shared by all sessions. */
struct lmtp_budget {
	atomic_uint_least64_t left;
};

struct lmtp_session_options {
	const struct lmtp_io *io;
	const struct lmtp_backend *backend;
	struct lmtp_budget *budget;
	const char *hostname, *peer; /* peer: address text, for Received and the log */
	const atomic_bool *stopping;
	const struct lmtp_baton *resume; /* of another process: go on with it; NULL: a new one */
};

/* From the greeting, or from where another process stopped, to the end of the connection. */
void lmtp_session_run(const struct lmtp_session_options *options);

/* ---- the real backend (lmtp_deliver.c) ---- */

struct lmtp_delivery {
	struct store *store;
	struct mime_limits mime;
	const struct settings *settings; /* NULL: nobody answers */
	struct submit_queue *queue;      /* told of answers; may be NULL */
	const char *default_domain;      /* for addresses without one; "": none */
	uint32_t refuse_s;               /* how long crashes on a message are remembered */
};

enum lmtp_outcome lmtp_delivery_resolve(const struct lmtp_delivery *d, const char *address,
	uint64_t size, struct owner_id *ret, struct err *err);
void lmtp_delivery_run(const struct lmtp_delivery *d, const struct lmtp_message *message,
	enum lmtp_outcome *outcomes, struct err *err);

#endif
