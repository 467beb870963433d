# SPDX-License-Identifier: MIT
# The verbs of this tree.  The building itself is Meson's and Ninja's; `make help` lists the verbs.
BUILD ?= build
# Sanitizers want their mappings where they expect them; where that may be asked for, ask.
FIXED_MAP = $(shell setarch -R true 2>/dev/null && echo setarch -R)
SLOW = WEIR_TEST_SLOW=1
# Each test inherits what is in quarantine, and is searched for leaks with it: a little is enough.
ASAN = ASAN_OPTIONS=detect_stack_use_after_return=0:abort_on_error=0:allocator_may_return_null=1:quarantine_size_mb=32 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(FIXED_MAP)

# A build for a sanitizer: what the tests run and no more, with line numbers and little optimisation, since that is
# compiled in half the time.
QUICK_BUILD = -Doptimization=1 -Dc_args=-g1 -Db_lundef=false
TESTED = tests/weir-test weir weir-jq

.PHONY: all check test scenario asan build-asan tsan torture crash powercut pgcrash fleet nemesis model cover memcheck ucontext aarch64 lint \
	format bench bench-pipeline bench-postgres bench-fleet compare sim recording demo install clean help
all: $(BUILD)/build.ninja ## build weir, its helpers and libweir in build/ (the default)
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/setup

check: all ## the unit tests (T=part-of-a-name for some of them)
	@tests/support/sharded $(BUILD)/tests/weir-test $(T)

scenario: all ## the command against real upstreams (T=part-of-a-name for some of them)
	@WEIR_BUILD=$(abspath $(BUILD)) tests/support/scenarios $(T)

test: ## everything, as scripts/test
	@scripts/test

asan: build-asan ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(SLOW) WEIR_TEST_SEEDS=3 $(ASAN) tests/support/sharded build-asan/tests/weir-test $(T)

torture: all build-asan ## under the same: each call of the library failing in turn, and random orders (SECONDS=120)
	@WEIR_BUILD=$(abspath $(BUILD)) $(ASAN) scripts/torture $(if $(SECONDS),--seconds $(SECONDS))

crash: ## kill weir at every change of its disk and 4,000 times at random: none lost, none doubled (ARGS=--sample)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/crash $(ARGS)

pgcrash: ## kill runs into PostgreSQL 300 times, and the server 50 times, likewise (ARGS=--sample)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/pgcrash $(ARGS)

nemesis: ## disturb fleets on Redis for a minute: kills, stops, failovers, lost answers (ARGS="--seeds 200 --jobs 3")
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/nemesis $(ARGS)

powercut: ## cut the power 2,200 times, likewise (ARGS=--sample)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/powercut $(ARGS)

fleet: ## limits, losses and latency of many workers at one Redis, 6 minutes (ARGS="--sample" or "rate poison …", see its --help)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/fleet $(ARGS)

model: all ## 1,000 random runs of each kind on the scripts of Redis, and each rule taken out (ARGS="--runs 10000 poison")
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/model $(ARGS)

build-asan:
	@scripts/setup --quiet --for test --packages-only
	@test -f build-asan/build.ninja || meson setup build-asan $(QUICK_BUILD) -Db_sanitize=address,undefined >/dev/null
	@ninja -C build-asan --quiet $(TESTED) tests/torture/weir-faults tests/torture/weir-orders

# Fibers of one loop share a thread: their order is tested elsewhere.
tsan: ## the unit tests under ThreadSanitizer (clang: gcc's gives up at 8,128 fibers)
	@scripts/setup --quiet --for test --packages-only
	@test -f build-tsan/build.ninja || CC=clang meson setup build-tsan $(QUICK_BUILD) -Db_sanitize=thread >/dev/null
	@ninja -C build-tsan --quiet $(TESTED)
	@$(SLOW) WEIR_TEST_SEEDS=1 TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1:second_deadlock_stack=1 $(FIXED_MAP) tests/support/sharded build-tsan/tests/weir-test $(T)

cover: ## lines of lib/ that the tests run, a file each; fails under 95 % (T=part-of-a-name for some tests)
	@scripts/cover $(T)

memcheck: all ## the unit tests under valgrind
	@scripts/setup --quiet --for test --packages-only
	@$(SLOW) valgrind --quiet --fair-sched=yes --trace-children=no --error-exitcode=99 \
		--leak-check=full --errors-for-leak-kinds=definite --max-stackframe=8388608 \
		$(BUILD)/tests/weir-test $(T)

ucontext: ## the library's unit tests with switch=ucontext, as on processors without assembly of their own
	@scripts/setup --quiet --for test --packages-only
	@test -f build-ucontext/build.ninja || meson setup build-ucontext -Dswitch=ucontext -Dcommand=false >/dev/null
	@ninja -C build-ucontext --quiet tests/weir-test
	@tests/support/sharded build-ucontext/tests/weir-test $(T)

aarch64: ## the library's unit tests for 64-bit ARM, in an emulator
	@scripts/aarch64 $(T)

lint: ## format, layers, tree, documents, shell scripts, reference, cppcheck, clang-tidy (T=one of them)
	@scripts/lint $(T)

format: ## format the C files in place
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

bench: all ## figures of the library beside those of others, and of the start of a run, a line each
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/bench
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/bench-pipeline start

bench-pipeline: all ## figures of the whole command against weir mock (T="orders-500 rate …", see its --help)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/bench-pipeline $(T)

bench-postgres: all ## sink and source `postgres` beside COPY of the same rows (T="sink source", see its --help)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/bench-postgres $(T)

bench-fleet: all ## a queue in Redis beside what its scripts allow (T="throughput latency idle --peers", see its --help)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/bench-fleet $(T)

compare: ## two commits pair by pair: is the new one slower or larger (ARGS="OLD NEW rate …", see its --help)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/compare $(ARGS)

sim: $(BUILD)/build.ninja ## limits that are found, on simulated upstreams: writes the table of docs/flow.md
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/sim $(T)

recording: all ## record the picture in the README: a run is killed with kill -9 and resumes (needs tmux)
	@WEIR_BUILD=$(abspath $(BUILD)) scripts/record.py

demo: ## 10,000 orders from a slow upstream into SQLite
	@scripts/demo

install: all ## install the command, the library and its headers (DESTDIR counts)
	@meson install -C $(BUILD) --no-rebuild

clean: ## remove what was built and what the demo left
	@rm -rf build build-asan build-tsan build-cover build-ucontext build-aarch64 demo

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'
