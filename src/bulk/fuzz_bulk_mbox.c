/*
 * An mbox of any bytes; the first says in which style and in which pieces it is read. However it is
 * read, it is gone through to its end, each message begins behind the one before, and the same
 * bytes come out whatever the pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bulk/bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MESSAGE_MAX 300

struct feed {
	const uint8_t *bytes;
	size_t len, step;
};

static int64_t feed_read(void *owner, uint64_t at, void *out, size_t max, struct err *err)
{
	const struct feed *f = owner;
	size_t n = at < f->len ? MIN(MIN(f->len - (size_t)at, max), f->step) : 0;

	(void)err;
	if (n > 0)
		memcpy(out, f->bytes + at, n);
	return (int64_t)n;
}

static void read_all(struct feed *f, enum bulk_mbox_style style, struct buf *all)
{
	struct bulk_mbox *m = bulk_mbox_new(feed_read, f, style, MESSAGE_MAX);
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct bulk_mail mail;
	uint64_t before = 0, number = 0;

	while (bulk_mbox_next(m, &out, &mail, &err) > 0) {
		if (mail.number != ++number || mail.at < before || bulk_mbox_at(m) <= mail.at ||
			bulk_mbox_at(m) > f->len)
			abort();
		if (mail.too_large ? out.len != 0 || mail.bytes <= MESSAGE_MAX
				   : out.len != mail.bytes || out.len > MESSAGE_MAX)
			abort();
		before = bulk_mbox_at(m);
		buf_add_u64(all, mail.at);
		buf_add(all, out.data, out.len);
	}
	buf_deinit(&out);
	bulk_mbox_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct feed whole = {bytes + 1, len - 1, len}, pieces = whole;
	struct buf a = BUF_INIT, b = BUF_INIT;
	enum bulk_mbox_style style;

	if (len == 0)
		return 0;
	style = (enum bulk_mbox_style)(bytes[0] % 5);
	pieces.step = 1 + bytes[0] / 5u;
	read_all(&whole, style, &a);
	read_all(&pieces, style, &b);
	if (a.len != b.len || (a.len > 0 && memcmp(a.data, b.data, a.len) != 0))
		abort();
	buf_deinit(&a);
	buf_deinit(&b);
	return 0;
}
