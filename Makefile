# The commands that everybody uses. Meson builds; this file only knows the order of things.
#
#   make            what is missing is installed, everything is built (in build/)
#   make run        a server with demo users on this machine, and one message being pushed
#   make check      every test; ends with "N passed, N failed"
#   make check-long sanitizers for threads, valgrind, fuzzers, 100,000 seeds, static analysis (an hour
#                   and a half)
#   make bench      the benchmarks; ONLY=push for some of them
#   make install    installs below PREFIX (/usr/local), DESTDIR is honoured
#   make uninstall  removes what the last make install put there, and nothing else
#   make fmt        lays the sources out
BUILD ?= build
PREFIX ?= /usr/local

.PHONY: all build deps run check check-long bench install uninstall fmt clean

all: build

deps:
	@tools/install-deps build

build: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) --prefix=$(PREFIX)
	@ninja -C $(BUILD)

run: build
	@tools/run-demo --build-dir $(BUILD)

# tools/check is Python, which a bare machine does not have yet.
check:
	@tools/install-deps build test
	@tools/check --build-dir $(BUILD)

check-long:
	@tools/install-deps build test long
	@tools/check --long --build-dir $(BUILD)

bench: build
	@tools/install-deps test
	@bench/run --build-dir $(BUILD) $(ONLY)

install: build
	meson install -C $(BUILD) --no-rebuild

uninstall:
	ninja -C $(BUILD) uninstall

fmt:
	clang-format -i $$(git ls-files 'src/*.[ch]' 'tools/*.[ch]' 'bench/*.[ch]' 'tests/*.[ch]')

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-valgrind $(BUILD)-fuzz $(BUILD)-analyzer
