#ifndef BELLHOP_BASE_TEST_H
#define BELLHOP_BASE_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The house's test library: TAP on standard output. A check that fails says where and goes on. The
 * tests of a file stand in one array at its end:
 *
 *     TEST_MAIN(TEST(test_one), TEST(test_two))
 *
 * A forgotten test is an unused static function, which does not compile.
 */
/* One for all files of a test. */
__attribute__((weak)) int test_failures_;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			test_fail_(__FILE__, __LINE__, "%s", #cond);                               \
	} while (0)
#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                            \
		if (got_ != want_)                                                                 \
			test_fail_(__FILE__, __LINE__, "%s is %" PRId64 ", not %" PRId64, #got,    \
				got_, want_);                                                      \
	} while (0)
#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		if ((got_ == NULL) != (want_ == NULL) ||                                           \
			(got_ != NULL && want_ != NULL && strcmp(got_, want_) != 0))               \
			test_fail_(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got,           \
				got_ ? got_ : "(null)", want_ ? want_ : "(null)");                 \
	} while (0)
#define CHECK_MEM(got, got_len, want, want_len)                                                    \
	do {                                                                                       \
		size_t gl_ = (got_len), wl_ = (want_len);                                          \
		if (gl_ != wl_ || (gl_ > 0 && memcmp((got), (want), gl_) != 0))                    \
			test_fail_(__FILE__, __LINE__, "%s: %zu bytes differ from %zu wanted",     \
				#got, gl_, wl_);                                                   \
	} while (0)
/* For steps without which the rest makes no sense. */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			test_fail_(__FILE__, __LINE__, "required: %s", #cond);                     \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
/* A call that must succeed; shows the error's text. */
#define REQUIRE_OK(call, e)                                                                        \
	do {                                                                                       \
		if ((call) < 0) {                                                                  \
			test_fail_(__FILE__, __LINE__, "%s: %s", #call, (e)->text);                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

__attribute__((format(printf, 3, 4))) static inline void test_fail_(
	const char *file, int line, const char *fmt, ...)
{
	__builtin_va_list ap;

	test_failures_++;
	printf("# %s:%d: ", file, line);
	__builtin_va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	__builtin_va_end(ap);
	printf("\n");
	(void)fflush(stdout);
}

struct test_case_ {
	const char *name;
	void (*run)(void);
};

#define TEST(fn)                                                                                   \
	{                                                                                          \
#fn, fn                                                                            \
	}
#define TEST_MAIN(...)                                                                             \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct test_case_ tests_[] = {__VA_ARGS__};                           \
		return test_run_(tests_, sizeof(tests_) / sizeof(tests_[0]), argc, argv);          \
	}

/* With arguments, runs only the tests named. */
static inline int test_run_(const struct test_case_ *cases, size_t count, int argc, char **argv)
{
	int failed = 0;

	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted = wanted || strcmp(argv[a], cases[i].name) == 0;
		test_failures_ = 0;
		if (wanted)
			cases[i].run();
		printf("%s %zu - %s%s\n", test_failures_ > 0 ? "not ok" : "ok", i + 1,
			cases[i].name, wanted ? "" : " # SKIP not asked for");
		(void)fflush(stdout);
		failed += test_failures_ > 0;
	}
	return failed > 0 ? 1 : 0;
}

#endif
