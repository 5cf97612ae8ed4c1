#ifndef BELLHOP_ADMIN_LOG_EXPORT_H
#define BELLHOP_ADMIN_LOG_EXPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

/*
 * The event log as a file for others: CSV as RFC 4180 has it (UTF-8, CRLF, a first line of names),
 * or JSON lines, one object each with the names that `log list` has. Newest first, a page at a
 * time, so that an export of any size takes the memory of one page.
 *
 * What phones and strangers send stands in it, and a spreadsheet takes text that begins with = + -
 * @ or a tab for a formula. Such text gets an apostrophe in front, which spreadsheets show as text.
 */
enum log_format { LOG_CSV, LOG_JSONL };

#define LOG_PAGE_ROWS 500

/* Pure; any thread. -1: there is none of that name. */
int log_format_parse(const char *name);
const char *log_format_type(enum log_format format); /* for Content-Type */
/* What comes before the first row; nothing for JSON lines. */
void log_export_begin(struct buf *out, enum log_format format);
void log_export_row(struct buf *out, enum log_format format, const struct log_row *row);
/*
 * Appends the rows from filter->before_id on, so many at most, and moves filter->before_id to
 * the next page. 1: more may follow; 0: that was the end; -1. The arena can be cleared between
 * pages, if the texts of the filter lie elsewhere. A short snapshot of its own for each call.
 */
NODISCARD int log_export_page(struct store *store, struct log_filter *filter, size_t rows,
	enum log_format format, struct arena *arena, struct buf *out, struct err *err);

#endif
