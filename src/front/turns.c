/*
 * Turns: handshakes are shared out between addresses.
 *
 * All that wait for a handshake stand in one queue in the kernel, so one address that brings more
 * than tls.handshakes_max could have them all, and keep everybody else out for as long as a
 * handshake may take. So when more than half of them are taken, each address may have
 * tls.handshakes_address_percent of them. What it brings beyond is accepted all the same, or it
 * would stand in the queue before others; it `waits`, and costs no more than its socket and its
 * struct conn: OpenSSL hears of it when its turn comes.
 *
 * One that waits enters the line of its address with its first bytes, so who says nothing never has
 * a turn. Turns are given where a handshake ends: in a line
 * first come, first served, between lines one after the other.
 *
 * There is room for all that one address may bring (http.connections_per_address, this front's part
 * of it and a quarter more, for the kernel spreads by chance), so one alone cannot block the queue.
 * When several have taken the room, the queue waits: longer lines would only be waited in until
 * phones give up. Nobody waits longer than a handshake may take, for the same reason.
 *
 * Owns front.turns: struct line per address that has unfinished handshakes or waits, and the links
 * in connections that wait. Only addresses at their share have anybody in line, so the lines that
 * are looked through are few: 100 / percent. Addresses in http.address_exceptions never wait.
 *
 * The queue of the kernel and tls.handshakes_rate stay first come, first served.
 */
#include <string.h>

#include "base/mem.h"
#include "front/front_internal.h"

struct line {
	uint8_t key[ADMIT_KEY_MAX];
	size_t key_len;
	uint32_t unfinished;      /* handshakes */
	uint32_t waiting;         /* connections, in line or silent */
	bool excepted;            /* from its share */
	struct list_node waiters; /* conn.waiter, in line */
	struct list_node link;    /* in front.turns_lines, while somebody is in line */
};

void turns_init(struct front *f)
{
	f->turns = map_new();
	list_init(&f->turns_lines);
}

void turns_deinit(struct front *f)
{
	map_free(&f->turns); /* it is empty: connections have ended */
}

static struct line *line_find(const struct front *f, const struct conn *c)
{
	uint8_t key[ADMIT_KEY_MAX];
	size_t len = admit_address_key(&c->address, key);

	return map_find(f->turns, key, len);
}

static struct line *line_get(struct front *f, const struct conn *c)
{
	struct line *l = line_find(f, c);

	if (l != NULL)
		return l;
	l = x_new(struct line);
	l->key_len = admit_address_key(&c->address, l->key);
	list_init(&l->waiters);
	list_init(&l->link);
	(void)map_put(f->turns, l->key, l->key_len, l);
	return l;
}

static void line_put(struct front *f, struct line *l)
{
	if (l->unfinished > 0 || l->waiting > 0)
		return;
	(void)map_remove(f->turns, l->key, l->key_len);
	mem_free(l);
}

static bool may_begin(const struct front *f, const struct line *l)
{
	return l->excepted || !pace_is_crowded(f) || l->unfinished < pace_share(f);
}

/* It takes its place in the line, or leaves it. */
static void enter_line(struct front *f, struct line *l, struct conn *c)
{
	if (list_empty(&l->waiters))
		list_append(&f->turns_lines, &l->link);
	list_append(&l->waiters, &c->waiter);
}

static void leave_line(struct line *l, struct conn *c)
{
	list_remove(&c->waiter);
	if (list_empty(&l->waiters))
		list_remove(&l->link);
}

static void begin(struct front *f, struct line *l)
{
	l->unfinished++;
	pace_begin(f);
}

static void tell(const struct front *f, const struct conn *c)
{
	char address[NET_ADDRESS_TEXT];
	struct log_context lc = conn_log(f, c, address);

	log_info(&lc, "handshakes_held", F_STR("reason", "tls.handshakes_address_percent"),
		F_UINT("unfinished", f->handshakes));
}

void turns_accepted(struct front *f, struct conn *c)
{
	struct line *l = line_get(f, c);

	l->excepted = forwarded_is_in(&f->settings->http_address_exceptions, &c->address);
	list_init(&c->waiter);
	c->waits = !may_begin(f, l);
	if (!c->waits) {
		begin(f, l);
		return;
	}
	front_count(f, handshakes_held);
	f->turns_waiting++;
	if (l->waiting++ == 0)
		tell(f, c);
}

static void turn(struct front *f, struct line *l, struct conn *c)
{
	leave_line(l, c);
	l->waiting--;
	f->turns_waiting--;
	c->waits = false;
	begin(f, l);
	conn_set_deadline(f, c, (int64_t)pace_timeout_s(f) * 1000);
}

bool turns_has(struct front *f, struct conn *c)
{
	struct line *l;

	if (!c->waits)
		return true;
	if (!c->input_seen || !list_empty(&c->waiter))
		return false;
	l = line_find(f, c);
	enter_line(f, l, c);
	if (l->waiters.next != &c->waiter || !may_begin(f, l) || pace_is_full(f))
		return false;
	turn(f, l, c);
	return true;
}

/* The next in line that may; NULL: none. */
static struct conn *next(struct front *f, struct line **ret_line)
{
	LIST_FOREACH(node, &f->turns_lines) {
		struct line *l = LIST_ENTRY(node, struct line, link);

		if (!may_begin(f, l))
			continue;
		list_remove(&l->link); /* the others come first, then */
		list_append(&f->turns_lines, &l->link);
		*ret_line = l;
		return LIST_ENTRY(l->waiters.next, struct conn, waiter);
	}
	return NULL;
}

static void give(struct front *f)
{
	struct line *l;
	struct conn *c;

	while (!f->stopping && !pace_is_full(f) && (c = next(f, &l)) != NULL) {
		turn(f, l, c);
		front_again(f, c);
	}
}

void turns_ended(struct front *f, struct conn *c)
{
	struct line *l = line_find(f, c);

	if (c->waits) {
		leave_line(l, c);
		c->waits = false;
		l->waiting--;
		f->turns_waiting--;
	} else {
		l->unfinished--;
		pace_end(f);
	}
	line_put(f, l);
	c->print = (struct print){0, 0}; /* where its link was */
	give(f);
	pace_accept_again(f);
}
