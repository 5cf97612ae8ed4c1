/*
 * Lists in pages: searched and sorted by the store, which walks; this loads and shows what is on
 * the page. Threads and transactions: see admin.c. Memory: what is shown, and one row.
 */
#include "admin/admin_page.h"

#include "base/mem.h"
#include "base/str.h"

int admin_page_begin(struct admin_call *call, const struct admin_sort *sorts, size_t count,
	struct admin_page *ret, struct err *err)
{
	const char *sort = admin_text(call, "sort");
	struct admin_page page = {.skip = admin_number(call, "offset", 0),
		.left = admin_number(call, "limit", UINT64_MAX),
		.search = admin_text(call, "search"),
		.sort = sorts[0].value,
		.down = sorts[0].down};

	if (sort != NULL) {
		size_t i = 0;

		page.down = sort[0] == '-';
		sort += page.down;
		while (i < count && !str_eq(sorts[i].name, sort))
			i++;
		if (i == count)
			return err_set(err, ERR_BAD_INPUT, "cannot sort by \"%.40s\"", sort);
		page.sort = sorts[i].value;
	}
	*ret = page;
	return 0;
}

struct store_piece admin_piece(const struct admin_call *call)
{
	return (struct store_piece){.search = admin_text(call, "search"),
		.offset = admin_number(call, "offset", 0),
		.limit = admin_number(call, "limit", UINT64_MAX)};
}

bool admin_page_takes(struct admin_page *page)
{
	if (page->skip > 0) {
		page->skip--;
		return false;
	}
	page->left--;
	return true;
}
