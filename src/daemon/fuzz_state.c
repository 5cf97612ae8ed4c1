/*
 * What the program before has written down for this one: whatever the bytes, reading ends, and
 * what is taken, written again, is taken again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "daemon/listeners.h"
#include "daemon/supervisor_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct parsed {
	struct supervisor s;
	struct supervisor_options options;
	int notify_fd;
};

static int parse(const void *bytes, size_t len, struct parsed *ret)
{
	struct err err = ERR_INIT;

	*ret = (struct parsed){.notify_fd = -1};
	ret->s.options = &ret->options;
	list_init(&ret->s.extras);
	return state_parse(bytes, len, &ret->s, &ret->options, &ret->notify_fd, &err);
}

static void forget_child(struct child *c, const struct supervisor *s)
{
	if (c->role == CHILD_FRONT && c->number + 1 >= s->child_count)
		abort();
	c->control_fd = -1; /* a number only: not to be closed */
	child_free(c);
}

static void forget(struct parsed *p)
{
	struct listeners *l = p->options.listeners;

	while (!list_empty(&p->s.extras))
		forget_child(LIST_ENTRY(p->s.extras.next, struct child, extra), &p->s);
	for (size_t i = 0; i < p->s.child_count; i++)
		forget_child(p->s.children[i], &p->s);
	for (unsigned i = 0; i < l->fronts; i++)
		l->https[i].count = l->http[i].count = 0;
	l->lmtp.count = 0;
	listeners_free(&p->options.listeners);
	mem_free(p->s.children);
	mem_free(p->s.baton.fds);
	mem_free(p->s.config_path);
	mem_free((char *)(uintptr_t)p->options.program);
	mem_free((char *)(uintptr_t)p->options.source_path);
}

/* Its text; the caller frees it. */
static char *write_again(struct supervisor *s, size_t *ret_len)
{
	struct err err = ERR_INIT;
	int fd = -1;
	off_t len;
	char *text;

	if (state_save(s, &fd, &err) < 0)
		abort();
	len = lseek(fd, 0, SEEK_END);
	text = x_calloc(1, (size_t)len);
	if (pread(fd, text, (size_t)len, 0) != len)
		abort();
	fd_close(&fd);
	fd_close(&s->carry_fd);
	*ret_len = (size_t)len;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct parsed once, twice;
	size_t first_len, second_len;
	char *first, *second;

	if (parse(bytes, len, &once) < 0)
		return 0;
	first = write_again(&once.s, &first_len);
	if (parse(first, first_len, &twice) < 0)
		abort();
	second = write_again(&twice.s, &second_len);
	if (first_len != second_len || memcmp(first, second, first_len) != 0)
		abort();
	mem_free(first);
	mem_free(second);
	forget(&once);
	forget(&twice);
	return 0;
}
