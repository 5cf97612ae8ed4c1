/*
 * The line to the supervisor. What the loop reads is handed to the one thread that waits for it,
 * under a lock.
 */
#include "engine/control_line.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"

#define PATIENCE_S 20

struct control_line {
	struct control_line_options o;
	struct loop_fd *watch;
	atomic_bool upgrading, upgrade_failed;
	char refusal[512];
	size_t refusal_len;
	bool in_refusal; /* of the loop: the text is coming */

	pthread_mutex_t lock; /* over what follows, and over the text once it is whole */
	pthread_cond_t changed;
	bool asked;    /* somebody waits for the answer; one at a time */
	bool answered; /* it is here: well when refusal is empty */
	bool over;     /* the engine ends, no answer will come */
};

int control_line_ask(struct control_line *line, char what, struct err *err)
{
	struct timespec until;
	int status = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	(void)pthread_mutex_lock(&line->lock);
	while (line->asked && !line->over)
		(void)pthread_cond_wait(&line->changed, &line->lock);
	line->asked = true;
	line->answered = false;
	if (send(line->o.fd, &what, 1, MSG_NOSIGNAL) != 1)
		status = err_set_errno(err, errno, "asking the supervisor");
	while (status == 0 && !line->answered && !line->over) {
		if (pthread_cond_clockwait(&line->changed, &line->lock, CLOCK_MONOTONIC, &until) !=
			0)
			status = err_set(err, ERR_TIMEOUT, "the supervisor does not answer");
	}
	if (status == 0 && !line->answered)
		status = err_set(err, ERR_BUSY, "the engine is stopping");
	if (status == 0 && line->refusal_len > 0)
		status = err_set(err, ERR_BAD_INPUT, "%s", line->refusal);
	line->asked = false;
	(void)pthread_cond_broadcast(&line->changed);
	(void)pthread_mutex_unlock(&line->lock);
	return status;
}

static void end_waiting(struct control_line *line, bool over)
{
	(void)pthread_mutex_lock(&line->lock);
	line->answered = line->answered || !over;
	line->over = over;
	(void)pthread_cond_broadcast(&line->changed);
	(void)pthread_mutex_unlock(&line->lock);
}

/* One byte; a refusal is '-', its text and a newline. */
static void take_byte(struct control_line *line, char byte)
{
	if (line->in_refusal && byte != '\n') {
		if (line->refusal_len < sizeof(line->refusal) - 1)
			line->refusal[line->refusal_len++] = byte;
		line->refusal[line->refusal_len] = '\0';
		return;
	}
	if (byte == 'R') {
		line->o.on_reload(line->o.owner);
		(void)send(line->o.fd, "d", 1, MSG_NOSIGNAL);
	}
	if (byte == 'F' || byte == 'X') {
		atomic_store(&line->upgrade_failed, byte == 'X');
		atomic_store(&line->upgrading, false);
	}
	if (byte == '+' || byte == '-')
		line->refusal_len = 0;
	if (byte == '+' || line->in_refusal)
		end_waiting(line, false);
	line->in_refusal = byte == '-';
}

static void on_readable(void *owner, unsigned events)
{
	struct control_line *line = owner;
	char byte;

	(void)events;
	for (;;) {
		ssize_t n = recv(line->o.fd, &byte, 1, MSG_DONTWAIT);

		if (n == 1)
			take_byte(line, byte);
		if (n == 1 || (n < 0 && errno == EINTR))
			continue;
		if (n == 0 || errno != EAGAIN)
			line->o.on_stop(line->o.owner, "the supervisor says so");
		return;
	}
}

int control_line_start(
	const struct control_line_options *options, struct control_line **ret, struct err *err)
{
	struct control_line *line = x_new(struct control_line);

	line->o = *options;
	atomic_init(&line->upgrading, options->upgrading);
	(void)pthread_mutex_init(&line->lock, NULL);
	(void)pthread_cond_init(&line->changed, NULL);
	*ret = line;
	return options->fd < 0 ? 0
			       : loop_fd_new(options->loop, options->fd, "supervisor", on_readable,
					 line, &line->watch, err);
}

void control_line_say_ready(struct control_line *line)
{
	if (line->o.fd >= 0)
		(void)send(line->o.fd, "r", 1, MSG_NOSIGNAL);
}

bool control_line_upgrading(const struct control_line *line)
{
	return atomic_load(&line->upgrading);
}

bool control_line_upgrade_failed(const struct control_line *line)
{
	return atomic_load(&line->upgrade_failed);
}

void control_line_close(struct control_line *line)
{
	end_waiting(line, true);
}

void control_line_free(struct control_line **control_line)
{
	struct control_line *line = *control_line;

	*control_line = NULL;
	if (line == NULL)
		return;
	loop_fd_free(&line->watch);
	(void)pthread_mutex_destroy(&line->lock);
	(void)pthread_cond_destroy(&line->changed);
	mem_free(line);
}
