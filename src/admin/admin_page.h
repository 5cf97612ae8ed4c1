#ifndef BELLHOP_ADMIN_PAGE_H
#define BELLHOP_ADMIN_PAGE_H

#include "admin/admin_internal.h"
#include "store/store_page.h"

/* The arguments search, sort, limit and offset of a verb that lists. sort is a column, with a
 * hyphen in front for the largest first. */
struct admin_sort {
	const char *name;
	int value;
	bool down; /* of the first one, which is taken when none is named */
};

struct admin_page {
	uint64_t skip, left; /* rows */
	const char *search;
	int sort;
	bool down;
};

/* ERR_BAD_INPUT: no such column. */
NODISCARD int admin_page_begin(struct admin_call *call, const struct admin_sort *sorts,
	size_t count, struct admin_page *ret, struct err *err);
/* One row more that fits: is it shown? Ask only while page->left > 0. */
bool admin_page_takes(struct admin_page *page);

/* The arguments search, limit and offset alone. */
struct store_piece admin_piece(const struct admin_call *call);

#endif
