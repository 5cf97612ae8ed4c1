/*
 * The message after DATA: dots unstuffed, the end found, every line end made CRLF. Pure; keeps
 * three words of state between pieces, so it does not matter where the network cut them.
 */
#include <string.h>

#include "ingest/lmtp_internal.h"

static void add(struct lmtp_data *d, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	d->seen += len;
	d->last_was_cr = ((const uint8_t *)bytes)[len - 1] == '\r';
	d->add(d->owner, bytes, len);
}

/* Inside a line: up to and with the next LF. */
static size_t feed_inside(struct lmtp_data *d, const uint8_t *bytes, size_t len)
{
	const uint8_t *lf = memchr(bytes, '\n', len);
	size_t run = lf != NULL ? (size_t)(lf - bytes) : len;

	add(d, bytes, run);
	if (lf == NULL)
		return len;
	if (d->last_was_cr) {
		add(d, "\n", 1);
		d->state = LMTP_DATA_LINE_START;
	} else {
		add(d, "\r\n", 2);
	}
	return run + 1;
}

size_t lmtp_data_feed(struct lmtp_data *d, const uint8_t *bytes, size_t len)
{
	size_t used = 0;

	while (used < len && d->state != LMTP_DATA_END) {
		uint8_t c = bytes[used];

		switch (d->state) {
		case LMTP_DATA_LINE_START:
			d->last_was_cr = false;
			d->state = c == '.' ? LMTP_DATA_DOT : LMTP_DATA_INSIDE;
			used += c == '.';
			break;
		case LMTP_DATA_DOT: /* the dot itself is never part of the message */
			d->state = c == '\r' ? LMTP_DATA_DOT_CR : LMTP_DATA_INSIDE;
			used += c == '\r';
			break;
		case LMTP_DATA_DOT_CR:
			if (c == '\n') {
				d->state = LMTP_DATA_END;
				used++;
				break;
			}
			add(d, "\r", 1);
			d->state = LMTP_DATA_INSIDE;
			break;
		case LMTP_DATA_INSIDE:
			used += feed_inside(d, bytes + used, len - used);
			break;
		case LMTP_DATA_END:
			break;
		}
	}
	return used;
}
