/*
 * Error values. Text is cut, never overrun: a cut message is better than a lost one.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void PRINTF_LIKE(3, 0)
	err_format(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
	err->code = code;
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_format(err, code, fmt, ap);
	va_end(ap);
	return -1;
}

int err_set_errno(struct err *err, int errnum, const char *fmt, ...)
{
	enum err_code code = errnum == ENOSPC || errnum == EDQUOT ? ERR_QUOTA : ERR_BACKEND;
	char reason[96];
	va_list ap;
	size_t used;

	va_start(ap, fmt);
	err_format(err, code, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		strerror_r(errnum, reason, sizeof(reason)));
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	va_list ap;
	size_t used;

	(void)snprintf(inner, sizeof(inner), "%s", err->text);
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	return -1;
}

const char *err_code_to_str(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "none";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_CONFLICT:
		return "conflict";
	case ERR_AUTH:
		return "auth";
	case ERR_DENIED:
		return "denied";
	case ERR_QUOTA:
		return "quota";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_BACKEND:
		return "backend";
	case ERR_BAD_INPUT:
		return "bad_input";
	case ERR_BUSY:
		return "busy";
	case ERR_INTERNAL:
		return "internal";
	}
	return "unknown";
}
