/* Walks through trees of every kind, and what is wrong in them. */
#include "base/test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "bulk/bulk.h"

static char root[64];

static void make_root(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/bellhop-test-bulk-XXXXXX");
	REQUIRE(mkdtemp(root) != NULL);
}

static void remove_root(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execlp("rm", "rm", "-rf", root, (char *)NULL);
		_exit(1);
	}
	REQUIRE(pid > 0);
	(void)waitpid(pid, NULL, 0);
}

/* With the folders above it. */
static void put(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", root, name);
	FILE *f;

	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	if (str_ends(name, "/"))
		return;
	f = fopen(path, "we");
	REQUIRE(f != NULL);
	(void)fputs(text, f);
	(void)fclose(f);
}

struct seen {
	struct buf text;
	unsigned folders, problems;
	uint64_t bytes;
};

static int on_folder(void *owner, const struct bulk_path *path, struct err *err)
{
	struct seen *s = owner;

	(void)path;
	(void)err;
	s->folders++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "path/of/folder first-line flags\n" */
static int on_message(void *owner, const struct bulk_path *path, const struct bulk_mail *mail,
	const struct buf *bytes, const char *where, struct err *err)
{
	struct seen *s = owner;

	(void)err;
	CHECK(str_starts(where, root));
	for (size_t i = 0; i < path->count; i++)
		buf_addf(&s->text, "%s/", path->names[i]);
	buf_addf(&s->text, " %.*s ", (int)strcspn((char *)bytes->data, "\r\n"), bytes->data);
	bulk_flags_add(&s->text, mail->flags);
	buf_add_byte(&s->text, '\n');
	return 0;
}

static int on_problem(void *owner, const char *where, const char *text, struct err *err)
{
	struct seen *s = owner;

	(void)err;
	CHECK(str_starts(where, root) && *text != '\0');
	s->problems++;
	return 0;
}

static void on_progress(void *owner, uint64_t bytes)
{
	((struct seen *)owner)->bytes += bytes;
}

/* Everything met, in the order of the alphabet. */
static int walk(const char *name, enum bulk_format format, struct seen *s)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", root, name);
	const struct bulk_source source = {path, format, 1000};
	const struct bulk_visitor visitor = {on_folder, on_message, on_problem, on_progress, s};
	struct err err = ERR_INIT;
	char *lines[64], *copy, *save = NULL;
	size_t n = 0;
	int rc;

	*s = (struct seen){.text = BUF_INIT};
	rc = bulk_source_walk(&source, &visitor, &err);
	CHECK(rc == 0 || err.text[0] != '\0');
	if (rc == 0 && s->problems == 0)
		CHECK_INT(bulk_source_bytes(&source), s->bytes);
	copy = x_strdup(buf_cstr(&s->text));
	for (char *p = strtok_r(copy, "\n", &save); p != NULL; p = strtok_r(NULL, "\n", &save))
		lines[n++] = p;
	qsort(lines, n, sizeof(*lines), compare);
	buf_clear(&s->text);
	for (size_t i = 0; i < n; i++)
		buf_addf(&s->text, "%s\n", lines[i]);
	mem_free(copy);
	return rc;
}

static void expect(const char *name, enum bulk_format format, const char *want, unsigned folders,
	unsigned problems)
{
	struct seen s;

	CHECK_INT(walk(name, format, &s), 0);
	CHECK_STR(buf_cstr(&s.text), want);
	CHECK_INT(s.folders, folders);
	CHECK_INT(s.problems, problems);
	buf_deinit(&s.text);
}

static void expect_refused(const char *name, enum bulk_format format)
{
	struct seen s;

	CHECK_INT(walk(name, format, &s), -1);
	buf_deinit(&s.text);
}

static void test_maildir(void)
{
	make_root();
	put("m/cur/1:2,FS", "A: 1\n\n");
	put("m/cur/.hidden", "A: no\n\n");
	put("m/new/2", "A: 2\n\n");
	put("m/tmp/3", "A: no\n\n");
	put("m/dovecot.index", "A: no\n\n");
	put("m/.Entw&APw-rfe.2019/cur/4:2,D", "A: 4\n\n");
	put("m/.Entw&APw-rfe.2019/new/", "");
	put("m/.cache/x", "A: no\n\n");
	put("m/Plain/Sub/cur/5:2,RP", "A: 5\n\n");
	put("m/.Empty/cur/", "");
	expect("m", BULK_FORMAT_AUTO,
		" A: 1 FS\n A: 2 \nEntw\xc3\xbcrfe/2019/ A: 4 D\nPlain/Sub/ A: 5 PR\n", 4, 0);
	expect("m", BULK_FORMAT_MAILDIR,
		" A: 1 FS\n A: 2 \nEntw\xc3\xbcrfe/2019/ A: 4 D\nPlain/Sub/ A: 5 PR\n", 4, 0);
	expect_refused("m/.cache", BULK_FORMAT_MAILDIR);
	expect_refused("m/new/2", BULK_FORMAT_MAILDIR);
	remove_root();
}

#define FROM "From a Mon Jan  1 10:00:00 2024\n"

static void test_files(void)
{
	char large[1200] = "A: ";

	make_root();
	put("one.eml", "A: 1\n\nx\n");
	put("plain", "Received: x\n\nx\n");
	put("other", "no mail at all\n");
	put("empty", "");
	put("box", FROM "A: 1\n\nx\n\n" FROM "A: 2\nStatus: R\n\n");
	expect("one.eml", BULK_FORMAT_AUTO, " A: 1 \n", 0, 0);
	expect("plain", BULK_FORMAT_AUTO, " Received: x \n", 0, 0);
	expect("empty", BULK_FORMAT_AUTO, "", 0, 0);
	expect("box", BULK_FORMAT_AUTO, " A: 1 \n A: 2 S\n", 0, 0);
	expect("other", BULK_FORMAT_EML, " no mail at all \n", 0, 0);
	expect_refused("other", BULK_FORMAT_AUTO);
	expect_refused("missing", BULK_FORMAT_AUTO);
	expect("other", BULK_FORMAT_MBOX, "", 0, 1);
	memset(large + 3, 'x', sizeof(large) - 4);
	put("large.eml", large);
	put("none.eml", "");
	expect("large.eml", BULK_FORMAT_AUTO, "", 0, 1);
	expect("none.eml", BULK_FORMAT_AUTO, "", 0, 1);
	remove_root();
}

static void test_trees(void)
{
	make_root();
	put("t/a.eml", "A: 1\n\n");
	put("t/b.txt", "A: no\n\n");
	put("t/sub/c.EML", "A: 2\n\n");
	put("t/Inbox", FROM "A: 3\n\n");
	put("t/Inbox.msf", "index\n");
	put("t/Archive.sbd/Old.mbox", FROM "A: 4\n\n");
	put("t/None.mbox", "");
	put("t/maildir/cur/x:2,S", "A: 5\n\n");
	(void)!symlink("a.eml", "t/link.eml");
	expect("t", BULK_FORMAT_AUTO,
		" A: 1 \nArchive/Old/ A: 4 \nInbox/ A: 3 \nmaildir/ A: 5 S\nsub/ A: 2 \n", 4, 0);
	remove_root();
}

static void test_depth(void)
{
	struct buf name = BUF_INIT;

	make_root();
	for (int i = 0; i < BULK_DEPTH_MAX + 2; i++)
		buf_add_str(&name, "d/");
	buf_add_str(&name, "x.eml");
	put(buf_cstr(&name), "A: 1\n\n");
	expect("d", BULK_FORMAT_AUTO, "", 0, 1);
	buf_deinit(&name);
	remove_root();
}

TEST_MAIN(TEST(test_maildir), TEST(test_files), TEST(test_trees), TEST(test_depth))
