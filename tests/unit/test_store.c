/* SPDX-License-Identifier: MIT */
/* The durable store against its model, through closes and kills; what it refuses; what it finds. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/random.h>

#include "store_model.h"
#include "unit/stores.h"

#define STEPS 60

static int load_and_free(struct store *store, uint64_t chunk)
{
	struct item *items[STORE_CHUNK_ITEMS];
	int n = store_load(store, chunk, items, &err);
	for (int i = 0; i < n; i++)
		item_free(items[i]);
	return n;
}

static void compare(const struct model *model, struct store *store, uint64_t seed, int step)
{
	const char *what = model_compare(model, store);
	ck_assert_msg(!what, "seed %llu, step %d: %s", (unsigned long long)seed, step, what);
}

static void go_through(uint64_t seed)
{
	uint64_t random = seed;
	int copies = (int)seed * 1000;
	const char *folder = make_folder(test_format("seed%llu", (unsigned long long)seed));
	struct store *store = open_store(folder, STORE_CREATE);
	struct model model = {0};
	model_start(&model, store);
	for (int step = 0; step < STEPS; step++) {
		int code = model_step(&model, store, &random, &err);
		ck_assert_msg(code == 0, "seed %llu, step %d: %s", (unsigned long long)seed, step, err.text);
		uint64_t then = weir_random_below(&random, 12);
		if (then < 3)
			compare(&model, store, seed, step);
		if (then == 0) {
			store_close(store);
			store = open_store(folder, 0);
		} else if (then == 1) {
			folder = copy_folder(folder, copies++);
			store_close(store);
			store = open_store(folder, 0);
		} else if (then == 2) {
			struct store *look = open_store(copy_folder(folder, copies++), STORE_READONLY);
			compare(&model, look, seed, step);
			store_close(look);
		}
		if (then < 3)
			compare(&model, store, seed, step);
	}
	store_close(store);
	model_fini(&model);
}

TEST(store_is_as_its_model_through_closes_and_kills)
{
	const char *only = getenv("WEIR_TEST_SEED");
	for (uint64_t seed = 1; seed <= (only ? 1 : 8); seed++)
		go_through(only ? strtoull(only, NULL, 10) : seed);
}

/* ---- opening */

TEST(store_is_made_only_when_asked)
{
	const char *folder = make_folder("s");
	struct store *store;
	ck_assert_int_eq(store_open(folder, 0, &store, &err), WEIR_ENOENT);
	ck_assert_int_eq(store_open(folder, STORE_READONLY | STORE_CREATE, &store, &err), WEIR_ENOENT);
	close(open(test_format("%s/" STORE_FILE, folder), O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(store_open(folder, 0, &store, &err), WEIR_ENOENT);
	store = open_store(folder, STORE_CREATE);
	struct broker_past past;
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(!past.begun && !past.done && !past.plan.data);
	broker_past_fini(&past);
	store_close(store);
	ck_assert_int_eq(access(test_format("%s/" STORE_FILE "-shm", folder), F_OK), -1);
	ck_assert_int_eq(access(test_format("%s/" STORE_FILE "-wal", folder), F_OK), -1);
}

static const char *make_store(const char *name)
{
	const char *folder = make_folder(name);
	struct store *store = open_store(folder, STORE_CREATE);
	start(store);
	for (int i = 0; i < 4; i++)
		put(store, 100, 500);
	ck_assert_int_eq(ack(store, 256, 30), 0);
	store_close(store);
	return folder;
}

TEST(store_refuses_what_is_none_or_later_or_damaged)
{
	struct store *store;
	const char *path;
	path = test_format("%s/" STORE_FILE, make_store("later"));
	overwrite(path, 60, "\0\0\0\4", 4);
	ck_assert_int_eq(store_open(test_format("%s/later", test_folder()), STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "newer weir") && strstr(err.text, path), "%s", err.text);

	path = test_format("%s/" STORE_FILE, make_store("other"));
	overwrite(path, 68, "else", 4);
	ck_assert_int_eq(store_open(test_format("%s/other", test_folder()), STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "not a state of weir") && strstr(err.text, path), "%s", err.text);

	path = test_format("%s/" STORE_FILE, make_store("cut"));
	ck_assert_int_eq(truncate(path, 20000), 0);
	ck_assert_int_eq(store_open(test_format("%s/cut", test_folder()), STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "state verify") && strstr(err.text, path), "%s", err.text);

	path = test_format("%s/text/" STORE_FILE, test_folder());
	make_folder("text");
	test_write_file("text/" STORE_FILE, "this is no database, but a text of more than a hundred bytes, so that it "
					    "cannot be taken for an empty or a cut one");
	ck_assert_int_eq(store_open(test_format("%s/text", test_folder()), STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, path), "%s", err.text);
}

TEST(store_refuses_a_file_emptied_beside_its_log)
{
	const char *folder = make_folder("s");
	struct store *store = open_store(folder, STORE_CREATE), *other;
	start(store);
	put(store, 10, 10);
	const char *copy = copy_folder(folder, 1);
	ck_assert_int_eq(truncate(test_format("%s/" STORE_FILE, copy), 0), 0);
	ck_assert_int_eq(store_open(copy, STORE_CREATE, &other, &err), WEIR_EDATA);
	store_close(store);
}

/* Wherever bytes are wrong: it opens or does not, it is told or not seen; it never crashes, nothing runs away. */
TEST(store_survives_random_bytes)
{
	const char *folder = make_store("s");
	const char *path = test_format("%s/" STORE_FILE, folder), *kept = test_format("%s.kept", path);
	uint64_t random = 1;
	struct stat st;
	copy_file(path, kept);
	ck_assert_int_eq(stat(path, &st), 0);
	for (int round = 0; round < 150; round++) {
		copy_file(kept, path);
		for (int i = 0; i < 1 + round % 20; i++) {
			uint64_t bytes = weir_random(&random);
			uint64_t area = round % 3 ? (uint64_t)st.st_size - 8 : 400;
			overwrite(path, (off_t)weir_random_below(&random, area), &bytes,
				  1 + weir_random_below(&random, 8));
		}
		struct store *store;
		struct buf out = {0};
		int code = store_open(folder, round % 2 ? STORE_READONLY : 0, &store, &err);
		ck_assert_msg(code == 0 || code == WEIR_EDATA || code == WEIR_EIO || code == WEIR_ENOENT ||
				      code == WEIR_ENOMEM,
			      "%d %s", code, err.text);
		if (code)
			continue;
		store_verify(store, &out, &err);
		for (uint64_t chunk = 1; chunk <= 4; chunk++)
			load_and_free(store, chunk);
		if (round % 2 == 0)
			store_commit(store, &(struct store_batch){.seal = true}, &err);
		buf_fini(&out);
		store_close(store);
	}
}

/* ---- damage */

static off_t find_bytes(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	fstat(fd, &st);
	char *data = malloc((size_t)st.st_size);
	ck_assert_int_eq(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	char *at = memmem(data, (size_t)st.st_size, text, strlen(text));
	off_t offset = at ? at - data : -1;
	free(data);
	return offset;
}

TEST(store_finds_a_flipped_bit_in_a_body)
{
	const char *folder = make_store("s");
	const char *path = test_format("%s/" STORE_FILE, folder);
	off_t at = find_bytes(path, "xxxxxxxxxxxxxxxxxxxxxxxx");
	ck_assert_int_ge(at, 0);
	overwrite(path, at + 5, "y", 1);
	struct store *store = open_store(folder, STORE_READONLY);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), WEIR_EDATA);
	ck_assert_msg(strstr(findings.data, "checksum does not match") && strchr(findings.data, '\n'), "%s",
		      findings.data);
	ck_assert_ptr_eq(strchr(findings.data, '\n')[1] ? "one" : NULL, NULL);
	int damaged = 0, whole = 0;
	for (uint64_t chunk = 1; chunk <= 4; chunk++) {
		struct buf out = {0};
		int code = store_export(store, chunk, &out, &err);
		damaged += code == WEIR_EDATA;
		whole += code == 0 && out.len > 0;
		buf_fini(&out);
	}
	ck_assert(damaged == 1 && whole == 3);
	store_close(store);
	store = open_store(folder, 0);
	int code = 0;
	for (uint64_t chunk = 1; chunk <= 4 && code >= 0; chunk++)
		code = load_and_free(store, chunk);
	ck_assert_int_eq(code, WEIR_EDATA);
	ck_assert_int_eq(store_commit(store, &(struct store_batch){.seal = true}, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, path), "%s", err.text);
	store_close(store);
	buf_fini(&findings);
}

/* ---- what a run is told */

TEST(store_passes_over_what_is_written_twice)
{
	const char *folder = make_store("s");
	struct store *store = open_store(folder, 0);
	const uint64_t in_sink[] = {256, 300, 301, 300, 256 + 200}, in_dead[] = {301, 302};
	struct value position = {"off=7", 5};
	struct broker_start again = {.run = MODEL_RUN,
				     .plan = "other",
				     .source = "",
				     .positions = {[OUTLET_DEAD] = &position},
				     .written = {in_sink, in_dead},
				     .n = {5, 2}};
	struct broker_past past;
	ck_assert_int_eq(store_start(store, &again, &err), 0);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert_uint_eq(past.accounts.succeeded, 30 + 2);
	ck_assert_uint_eq(past.accounts.dead, 1);
	ck_assert_uint_eq(past.unfinished, 400 - 33);
	ck_assert_str_eq(past.plan.data, "other");
	ck_assert_str_eq(past.positions[OUTLET_DEAD].data, "off=7");
	ck_assert_str_eq(past.positions[OUTLET_SINK].data, "");
	broker_past_fini(&past);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	store_close(store);
}

TEST(store_is_older_than_a_sink_that_has_what_was_never_read)
{
	const char *folder = make_store("s");
	struct store *store = open_store(folder, 0);
	const uint64_t in_sink[] = {300, 99999999};
	struct broker_start again = {.run = MODEL_RUN, .plan = "", .source = "", .written = {in_sink}, .n = {2}};
	struct broker_past past;
	ck_assert_int_eq(store_start(store, &again, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "older than its sink"));
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert_uint_eq(past.unfinished, 400 - 30);
	broker_past_fini(&past);
	again.adopt = true;
	ck_assert_int_eq(store_start(store, &again, &err), 0);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert_uint_eq(past.unfinished, 400 - 31);
	broker_past_fini(&past);
	store_close(store);
}

TEST(store_glance_tells_of_a_killed_run_and_writes_nothing)
{
	const char *folder = make_store("s");
	struct store *store = open_store(folder, 0);
	struct broker_start again = {.run = MODEL_RUN, .plan = "p", .source = "s", .file = "shop.yaml"};
	struct broker_past past;
	struct stat before, after;
	ck_assert_int_eq(store_start(store, &again, &err), 0);
	put(store, 50, 500);
	bury(store, 512, 3, "no");
	const char *killed = copy_folder(folder, 1), *log = test_format("%s/" STORE_FILE "-wal", killed);
	ck_assert(!stat(log, &before) && before.st_size > 0);
	ck_assert_msg(store_glance(killed, &past, &err) == 0, "%s", err.text);
	ck_assert(past.begun && !past.done && !past.clean);
	ck_assert_str_eq(past.file.data, "shop.yaml");
	ck_assert_uint_eq(past.accounts.read, 450);
	ck_assert_uint_eq(past.unfinished, 450 - 30 - 3);
	ck_assert_uint_eq(past.letters, 3);
	broker_past_fini(&past);
	ck_assert(!stat(log, &after) && after.st_size == before.st_size && after.st_mtime == before.st_mtime);
	ck_assert_int_eq(store_glance(make_folder("none"), &past, &err), WEIR_ENOENT);
	store_close(store);
	ck_assert_int_eq(store_glance(folder, &past, &err), 0);
	ck_assert(past.clean);
	broker_past_fini(&past);
}

/* Which files it may replace. */
TEST(store_forget_leaves_nothing_of_a_run_but_where_its_sinks_stood)
{
	const char *folder = make_store("s");
	struct store *store = open_store(folder, 0);
	struct broker_past past;
	char stood[] = "byte 9";
	const struct value position = {stood, sizeof stood - 1};
	struct broker_start again = {.run = MODEL_RUN, .plan = "", .source = "", .positions = {&position}};
	ck_assert_int_eq(store_start(store, &again, &err), 0);
	for (int reopened = 0; reopened < 2; reopened++) {
		ck_assert_int_eq(store_forget(store, &err), 0);
		ck_assert_int_eq(store_recall(store, &past, &err), 0);
		ck_assert(!past.begun && past.accounts.read == 0 && past.unfinished == 0 && past.letters == 0);
		ck_assert_str_eq(past.positions[OUTLET_SINK].data, stood);
		ck_assert_uint_eq(store_next_chunk(store), 1);
		ck_assert_int_eq(load_and_free(store, 1), 0);
		broker_past_fini(&past);
		store_close(store);
		store = open_store(folder, 0);
	}
	start(store);
	put(store, 256, 10);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(past.begun && past.accounts.read == 256 && past.unfinished == 256);
	ck_assert_str_eq(past.positions[OUTLET_SINK].data, "");
	ck_assert_str_eq(past.positions[OUTLET_DEAD].data, "");
	broker_past_fini(&past);
	store_close(store);
}

TEST(store_bytes_grow_and_shrink_with_what_is_unfinished)
{
	struct store *store = open_store(make_folder("s"), STORE_CREATE);
	start(store);
	uint64_t empty = store_bytes(store);
	for (int i = 0; i < 10; i++)
		put(store, 256, 512);
	ck_assert_uint_gt(store_bytes(store), empty + 10 * 256 * 512);
	ck_assert_uint_lt(store_bytes(store), empty + 10 * 256 * 512 * 5 / 4);
	for (uint64_t chunk = 1; chunk <= 10; chunk++)
		ck_assert_int_eq(ack(store, chunk * 256, 256), 0);
	ck_assert_uint_lt(store_bytes(store), empty + 100000);
	store_close(store);
}

TEST(store_writes_no_chunk_that_is_settled_with_its_put)
{
	struct store *store = open_store(make_folder("s"), STORE_CREATE);
	struct item *item = item_new();
	struct store_put one = {1, &item, 1};
	struct store_ack done = {.id = 256};
	start(store);
	ck_assert_int_eq(value_copy(&item->source, "1", 1), 0);
	struct store_batch batch = {.puts = &one, .put_count = 1, .acks = &done, .ack_count = 1};
	ck_assert_int_eq(store_commit(store, &batch, &err), 0);
	ck_assert_int_eq(load_and_free(store, 1), 0);
	ck_assert_uint_eq(store_next_chunk(store), 2);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	item_free(item);
	store_close(store);
}
