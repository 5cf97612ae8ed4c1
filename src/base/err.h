#ifndef BELLHOP_BASE_ERR_H
#define BELLHOP_BASE_ERR_H

/*
 * Errors as values. A function that can fail returns 0 or -1, is marked NODISCARD and takes a
 * struct err, never NULL, as its last parameter. The code says what the caller can do about it; the
 * text is for the administrator's log and never reaches a client.
 *
 * Threads: a struct err belongs to the caller. Nothing here allocates or blocks.
 */

#define NODISCARD         __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err_code {
	ERR_NONE = 0,
	ERR_NOT_FOUND, /* the thing named does not exist */
	ERR_CONFLICT,  /* it exists already, or somebody else changed it */
	ERR_AUTH,      /* credentials missing or wrong */
	ERR_DENIED,    /* credentials good, permission not */
	ERR_QUOTA,     /* a limit of the user or a full disk */
	ERR_TIMEOUT,   /* a deadline passed */
	ERR_BACKEND,   /* database, file system or another server failed */
	ERR_BAD_INPUT, /* what the peer sent is wrong; the text names what */
	ERR_BUSY,      /* try again later */
	ERR_INTERNAL,  /* our own bug, or memory refused */
};

struct err {
	enum err_code code;
	char text[320]; /* always terminated */
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		ERR_NONE, ""                                                                       \
	}

/* Sets code and text; returns -1 so that `return err_set(...)` ends a function. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same, with ": " and the text of errnum appended. ENOSPC and EDQUOT become ERR_QUOTA. */
int err_set_errno(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the text that is already there; keeps the code. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "not_found", "bad_input", ... for logs and JSON. Static storage. */
const char *err_code_to_str(enum err_code code);

#endif
