/*
 * Passwords never stand on a command line, where ps shows them: they come from a file, a terminal
 * without echo, or standard input.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

#define LINE_MAX_BYTES 512

/* The first line; without its end. */
static int read_line(FILE *f, const char *name, char **ret, struct err *err)
{
	char line[LINE_MAX_BYTES] = "";
	size_t len = 0;
	int status = 0, c;

	while ((c = getc(f)) != EOF && c != '\n' && len < sizeof(line) - 1)
		line[len++] = (char)c;
	if (c == EOF && ferror(f))
		status = err_set_errno(err, errno, "reading the password from %s", name);
	else if (len == 0)
		status = err_set(err, ERR_BAD_INPUT, "no password in %s", name);
	else if (memchr(line, '\0', len) != NULL)
		status = err_set(err, ERR_BAD_INPUT, "the password in %s has a NUL byte", name);
	else if (c != EOF && c != '\n')
		status = err_set(err, ERR_BAD_INPUT, "the password in %s is too long", name);
	line[strcspn(line, "\r\n")] = '\0';
	if (status == 0)
		*ret = x_strdup(line);
	secret_wipe(line, sizeof(line));
	return status;
}

static int prompt(const char *text, char **ret, struct err *err)
{
	struct termios before, silent;
	int status;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set_errno(err, errno, "terminal");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	(void)fputs(text, stderr);
	(void)fflush(stderr);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
		return err_set_errno(err, errno, "terminal");
	status = read_line(stdin, "the terminal", ret, err);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	(void)fputc('\n', stderr);
	return status;
}

static int prompt_twice(char **ret, struct err *err)
{
	char *first = NULL, *second = NULL;
	int status = prompt("New password: ", &first, err);

	if (status == 0)
		status = prompt("Once more: ", &second, err);
	if (status == 0 && !str_eq(first, second))
		status = err_set(err, ERR_BAD_INPUT, "the two passwords differ");
	if (second != NULL)
		secret_wipe(second, strlen(second));
	mem_free(second);
	if (status == 0)
		*ret = TAKE(first);
	if (first != NULL)
		secret_wipe(first, strlen(first));
	mem_free(first);
	return status;
}

int ctl_password_read(const char *file, char **ret, struct err *err)
{
	FILE *f;
	int status;

	if (file == NULL && isatty(STDIN_FILENO))
		return prompt_twice(ret, err);
	if (file == NULL || str_eq(file, "-"))
		return read_line(stdin, "standard input", ret, err);
	f = fopen(file, "re");
	if (f == NULL)
		return err_set_errno(err, errno, "password file %s", file);
	status = read_line(f, file, ret, err);
	(void)fclose(f);
	return status;
}
