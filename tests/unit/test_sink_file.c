/* SPDX-License-Identifier: MIT */
/*
 * Where the sinks that write files find their place again: what was acked is there, once, and what was not is gone.
 *
 * A kill is a close: nothing is written then that a kill would not have left (but for the head of a file without rows,
 * which the next open cuts off as it does everything behind the position).
 */
#include "files/output.h"
#include "unit/sinks.h"
#include "unit/syncs.h"

#include <weir/random.h>
#include <weir/testing.h>

/* A sink, its file, and what should be in that. */
struct bench {
	const struct adapter *adapter;
	const char *path;
	void *config;
	struct sink *sink;
	struct value position; /* that was kept with the last ack */
	struct buf acked;      /* what was written up to it */
	uint64_t random;
	int last_id;
	bool clean, adopt;
	char noted[300]; /* the last note */
};

static void take_note(void *arg, const char *text)
{
	struct bench *bench = arg;
	snprintf(bench->noted, sizeof bench->noted, "%s", text);
}

static void set_env(struct bench *bench)
{
	bench->noted[0] = 0;
	run_env = (struct sink_env){.run = "run",
				    .position = bench->position.data ? &bench->position : NULL,
				    .clean = bench->clean,
				    .adopt = bench->adopt,
				    .note = take_note,
				    .arg = bench};
}

static void open_bench(struct bench *bench)
{
	set_env(bench);
	bench->sink = open_sink(bench->adapter, bench->config);
}

static void close_bench(struct bench *bench)
{
	close_sink(bench->adapter, bench->sink);
	bench->sink = NULL;
}

/* As the engine does after a write, and after opening. */
static void keep_position(struct bench *bench)
{
	struct buf text = {0};
	bench->adapter->sink->position(bench->sink, &text);
	ck_assert_uint_gt(text.len, 0);
	bench->position.data = keep(buf_take(&text, &bench->position.len));
}

static struct bench start_bench(const struct adapter *adapter, const char *name, int on_start)
{
	struct bench bench = {.adapter = adapter, .random = test_seed() + 1};
	bench.path = test_format("%s/%s", test_folder(), name);
	bench.config = file_config(adapter, bench.path, on_start);
	open_bench(&bench);
	ck_assert(adapter->sink->exactness(bench.sink) == SINK_BY_POSITION);
	keep_position(&bench);
	if (adapter == &sink_csv_adapter && on_start != APPEND)
		buf_add_str(&bench.acked, "id,text\n"); /* it is there from the beginning */
	return bench;
}

static int below(struct bench *bench, int n)
{
	return (int)weir_random_below(&bench->random, (uint64_t)n);
}

/* An output, and the naive idea of how it is written. */
static const char *make_output(struct bench *bench, struct buf *expected)
{
	static const char *const texts[] = {"quite plain, but not that short", "a,b", "say \\\"hi\\\"", "two\\nlines",
					    ""};
	static const char *const in_csv[] = {"\"quite plain, but not that short\"", "\"a,b\"", "\"say \"\"hi\"\"\"",
					     "\"two\nlines\"", "\"\""};
	int id = ++bench->last_id, which = below(bench, 5);
	const char *output = test_format("{\"id\":%d,\"text\":\"%s\"}", id, texts[which]);
	if (bench->adapter == &sink_csv_adapter)
		buf_addf(expected, "%d,%s\n", id, in_csv[which]);
	else
		buf_addf(expected, "%s\n", output);
	return output;
}

static void make_batch(struct bench *bench, struct batch *batch, struct buf *expected)
{
	int items = 1 + below(bench, 12);
	for (int i = 0; i < items; i++) {
		const char *one = make_output(bench, expected);
		add(batch, one, below(bench, 3) ? NULL : make_output(bench, expected), NULL);
	}
}

static void write_batch(struct bench *bench, bool ack)
{
	struct batch batch = {0};
	struct buf text = {0};
	int last_id = bench->last_id;
	make_batch(bench, &batch, &text);
	write_all(bench->adapter, bench->sink, &batch);
	if (ack) {
		buf_add(&bench->acked, text.data, text.len);
		keep_position(bench);
	} else {
		bench->last_id = last_id;
	}
	buf_fini(&text);
}

static const char *acked(struct bench *bench)
{
	return bench->acked.data ? bench->acked.data : "";
}

static int reopening_code(struct bench *bench)
{
	set_env(bench);
	return refused_open(bench->adapter, bench->config);
}

static void expect_refused(struct bench *bench, const char *why)
{
	ck_assert_int_eq(reopening_code(bench), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, why) && strstr(last_error.text, bench->path) &&
			      strstr(last_error.text, "--adopt"),
		      "%s, expected %s", last_error.text, why);
}

static void end_bench(struct bench *bench)
{
	if (bench->sink)
		close_bench(bench);
	buf_fini(&bench->acked);
}

/* ---- killed at any moment */

/* Part of a line that was on its way when the power went. */
static void tear(struct bench *bench)
{
	int fd = open(bench->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_ge(write(fd, "{\"id\":99,\"te", (size_t)(1 + below(bench, 11))), 1);
	close(fd);
}

static void lose_unsynced(struct bench *bench)
{
	struct stat st;
	ck_assert_int_eq(stat(bench->path, &st), 0);
	off_t more = st.st_size - (off_t)bench->acked.len;
	ck_assert_int_ge(more, 0);
	ck_assert_int_eq(truncate(bench->path, st.st_size - (off_t)below(bench, (int)more + 1)), 0);
}

static void kill_bench(struct bench *bench)
{
	close_bench(bench);
	if (below(bench, 2))
		tear(bench);
	else
		lose_unsynced(bench);
	open_bench(bench);
	ck_assert_str_eq(content_of(bench->path), acked(bench));
	if (below(bench, 2))
		keep_position(bench);
}

static void live_and_die(const struct adapter *adapter)
{
	struct bench bench = start_bench(adapter, "out", REPLACE);
	for (int i = 0; i < 80; i++) {
		bool ack = below(&bench, 3) != 0;
		write_batch(&bench, ack);
		if (!ack || !below(&bench, 4))
			kill_bench(&bench);
	}
	write_batch(&bench, true);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	ck_assert_uint_gt(bench.acked.len, 4096); /* so the tail was full at times, and not at others */
	end_bench(&bench);
}

FIBER_TEST(jsonl_has_each_line_once_however_often_it_is_killed)
{
	live_and_die(&sink_jsonl_adapter);
}

FIBER_TEST(csv_has_each_row_and_the_header_once_however_often_it_is_killed)
{
	live_and_die(&sink_csv_adapter);
}

/* ---- a file that is not as it was left */

FIBER_TEST(file_that_was_shortened_is_refused)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	for (int i = below(&bench, 40); i >= 0; i--)
		write_batch(&bench, true);
	close_bench(&bench);
	off_t left = below(&bench, (int)bench.acked.len);
	ck_assert_int_eq(truncate(bench.path, left), 0);
	expect_refused(&bench, "was truncated or replaced");
	ck_assert_uint_eq(strlen(content_of(bench.path)), left);
	end_bench(&bench);
}

FIBER_TEST(file_that_was_changed_in_its_tail_is_refused)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	for (int i = below(&bench, 40); i >= 0; i--)
		write_batch(&bench, true);
	write_batch(&bench, false);
	close_bench(&bench);
	int tail = bench.acked.len < 4096 ? (int)bench.acked.len : 4096, fd = open(bench.path, O_RDWR | O_CLOEXEC);
	off_t at = (off_t)bench.acked.len - 1 - below(&bench, tail);
	char byte;
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	expect_refused(&bench, "was replaced or changed");
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
	open_bench(&bench); /* and nothing was cut off when it was refused */
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	end_bench(&bench);
}

LOOP_TEST(file_that_is_gone_is_refused_unless_nothing_was_in_it)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	close_bench(&bench);
	ck_assert_int_eq(unlink(bench.path), 0);
	open_bench(&bench);
	write_batch(&bench, true);
	close_bench(&bench);
	ck_assert_int_eq(unlink(bench.path), 0);
	expect_refused(&bench, "is missing");
	ck_assert_int_ne(access(bench.path, F_OK), 0);
	end_bench(&bench);
}

LOOP_TEST(file_that_was_replaced_by_its_like_is_the_same)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	close_bench(&bench);
	ck_assert_int_eq(unlink(bench.path), 0);
	ck_assert_str_eq(test_write_file("out", acked(&bench)), bench.path);
	open_bench(&bench);
	write_batch(&bench, true);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	end_bench(&bench);
}

/* A folder that was moved with all that is in it. */
LOOP_TEST(file_that_was_moved_goes_on)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	write_batch(&bench, false);
	close_bench(&bench);
	const char *path = test_format("%s/moved", test_folder());
	ck_assert_int_eq(rename(bench.path, path), 0);
	bench.path = path;
	bench.config = file_config(bench.adapter, path, REPLACE);
	open_bench(&bench);
	ck_assert_str_eq(content_of(path), acked(&bench));
	end_bench(&bench);
}

LOOP_TEST(file_is_the_same_by_whatever_path)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	close_bench(&bench);
	ck_assert_int_eq(truncate(bench.path, 1), 0);
	ck_assert_int_eq(chdir(test_folder()), 0);
	bench.config = file_config(bench.adapter, "./out", REPLACE);
	ck_assert_int_eq(reopening_code(&bench), WEIR_EINVAL);
	bench.config = file_config(bench.adapter, "out", REPLACE);
	ck_assert_int_eq(reopening_code(&bench), WEIR_EINVAL);
	ck_assert_int_eq(chdir("/"), 0);
	end_bench(&bench);
}

LOOP_TEST(file_of_another_name_or_sink_begins_only_if_adopted)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	close_bench(&bench);
	const char *other = test_write_file("other", "\"of somebody else, and longer than what was written\"\n");
	bench.path = other;
	bench.config = file_config(bench.adapter, other, APPEND);
	expect_refused(&bench, "replaced");
	bench.adopt = true;
	open_bench(&bench);
	ck_assert_ptr_nonnull(strstr(content_of(other), "somebody"));
	close_bench(&bench);
	bench.config = file_config(bench.adapter, other, REPLACE);
	open_bench(&bench);
	ck_assert_str_eq(content_of(other), "");
	close_bench(&bench);
	test_write_file("other", "1\n");
	bench.position = (struct value){keep(strdup("table orders")), 12};
	open_bench(&bench);
	ck_assert_str_eq(content_of(other), "");
	end_bench(&bench);
}

/* ---- a file that this run has not written */

LOOP_TEST(file_of_somebody_else_is_refused_and_left_alone)
{
	const struct adapter *const adapters[] = {&sink_jsonl_adapter, &sink_csv_adapter};
	const char *path = test_write_file("out", "precious\n");
	for (int i = 0; i < 4; i++) {
		run_env = (struct sink_env){.run = i % 2 ? "run" : NULL};
		ck_assert_int_eq(refused_open(adapters[i / 2], file_config(adapters[i / 2], path, REFUSE)),
				 WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "exists (9 bytes)") && strstr(last_error.text, "on_start"), "%s",
			      last_error.text);
		ck_assert_str_eq(content_of(path), "precious\n");
	}
}

LOOP_TEST(file_that_is_empty_is_nobodys)
{
	const char *path = test_write_file("out", "");
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REFUSE);
	write_batch(&bench, true);
	ck_assert_str_eq(content_of(path), acked(&bench));
	end_bench(&bench);
}

/* Killed between the head and the first word of the file in the state. */
LOOP_TEST(file_with_no_more_than_its_head_is_nobodys)
{
	static const char *const heads[] = {"i", "id,text", "id,text\n"};
	static const int on_start[] = {REFUSE, REPLACE, APPEND};
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++) {
			const char *path = test_write_file("out", heads[i]);
			struct bench bench = start_bench(&sink_csv_adapter, "out", on_start[j]);
			ck_assert_str_eq(content_of(path), "id,text\n");
			end_bench(&bench);
		}
	static const char *const packed[] = {"out.gz", "out.zst"};
	for (int i = 0; i < 4; i++) {
		struct bench bench = start_bench(&sink_csv_adapter, packed[i / 2], REFUSE);
		end_bench(&bench);
	}
	const char *path = test_write_file("out", "id,test");
	run_env = (struct sink_env){.run = "run"};
	ck_assert_int_eq(refused_open(&sink_csv_adapter, file_config(&sink_csv_adapter, path, REFUSE)), WEIR_EINVAL);
}

/* With --fresh: what the run before has written may go, and nothing else. */
LOOP_TEST(file_of_the_run_that_is_replaced_may_go)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REFUSE);
	write_batch(&bench, true);
	close_bench(&bench);
	set_env(&bench);
	run_env.position = NULL;
	run_env.replaced = &bench.position;
	ck_assert_int_eq(truncate(bench.path, 2), 0);
	ck_assert_int_eq(refused_open(bench.adapter, bench.config), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(last_error.text, "on_start"));
	test_write_file("out", acked(&bench));
	bench.sink = open_sink(bench.adapter, bench.config);
	ck_assert_msg(strstr(bench.noted, "replacing"), "%s", bench.noted);
	ck_assert_str_eq(content_of(bench.path), "");
	end_bench(&bench);
}

/* ---- a file that has more than the state knows */

LOOP_TEST(file_that_was_added_to_between_two_runs_is_refused)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REFUSE);
	struct buf expected = {0};
	write_batch(&bench, true);
	close_bench(&bench);
	buf_addf(&expected, "%s\"mine\"", acked(&bench));
	test_write_file("out", expected.data);
	bench.clean = true;
	expect_refused(&bench, "6 more bytes than this run has written");
	ck_assert_str_eq(content_of(bench.path), expected.data);
	bench.adopt = true;
	open_bench(&bench);
	keep_position(&bench);
	buf_add_char(&expected, '\n');
	buf_add(&bench.acked, "\"mine\"\n", 7);
	write_batch(&bench, true);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	buf_fini(&expected);
	end_bench(&bench);
}

LOOP_TEST(file_that_was_not_acked_is_cut_and_that_is_noted)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REFUSE);
	write_batch(&bench, true);
	write_batch(&bench, false);
	close_bench(&bench);
	open_bench(&bench);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	ck_assert_msg(strstr(bench.noted, "removing the last") && strstr(bench.noted, "bytes of"), "%s", bench.noted);
	end_bench(&bench);
}

/* Nothing was acked, so there is no tail to know it by. */
LOOP_TEST(file_that_took_the_place_of_an_empty_one_is_refused)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REFUSE);
	write_batch(&bench, false);
	close_bench(&bench);
	open_bench(&bench); /* the same one is cut */
	ck_assert_str_eq(content_of(bench.path), "");
	close_bench(&bench);
	test_write_file("new", "precious\n");
	ck_assert_int_eq(rename(test_format("%s/new", test_folder()), bench.path), 0);
	expect_refused(&bench, "replaced");
	ck_assert_str_eq(content_of(bench.path), "precious\n");
	end_bench(&bench);
}

LOOP_TEST(csv_that_was_stopped_before_its_first_row_resumes)
{
	struct bench bench = start_bench(&sink_csv_adapter, "out", REFUSE);
	close_bench(&bench);
	bench.clean = true;
	open_bench(&bench);
	write_batch(&bench, true);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	end_bench(&bench);
}

/* ---- a file that is appended to */

/* What was there, what of it is there once a run has begun, and what comes before the first row. */
static void append_behind(const struct adapter *adapter, const char *was, const char *before, const char *between)
{
	const char *path = test_write_file("out", was);
	struct bench bench = start_bench(adapter, "out", APPEND);
	struct buf expected = {0};
	write_batch(&bench, false);
	close_bench(&bench);
	open_bench(&bench);
	ck_assert_str_eq(content_of(path), before);
	write_batch(&bench, true);
	write_batch(&bench, false);
	close_bench(&bench);
	open_bench(&bench);
	buf_addf(&expected, "%s%s%s", before, between, acked(&bench));
	ck_assert_str_eq(content_of(path), expected.data);
	buf_fini(&expected);
	end_bench(&bench);
}

LOOP_TEST(jsonl_appends_to_what_is_there_and_finds_its_place_again)
{
	append_behind(&sink_jsonl_adapter, "\"old\"\n", "\"old\"\n", "");
	append_behind(&sink_jsonl_adapter, "\"old\"\n{\"torn", "\"old\"\n{\"torn", "\n");
	append_behind(&sink_jsonl_adapter, "", "", "");
}

LOOP_TEST(csv_appends_below_the_header_that_is_there)
{
	append_behind(&sink_csv_adapter, "id,text\n7,seven\n", "id,text\n7,seven\n", "");
	append_behind(&sink_csv_adapter, "id,text\n7,se", "id,text\n7,se", "\n");
	append_behind(&sink_csv_adapter, "id,text\n", "id,text\n", "");
	append_behind(&sink_csv_adapter, "", "id,text\n", "");
}

LOOP_TEST(csv_refuses_a_file_with_another_header)
{
	struct bench bench = {.adapter = &sink_csv_adapter, .path = test_write_file("out", "id,total\n7,7.5\n")};
	bench.config = file_config(bench.adapter, bench.path, APPEND);
	for (int resumable = 0; resumable < 2; resumable++) {
		run_env = (struct sink_env){.run = resumable ? "run" : NULL};
		ck_assert_int_eq(refused_open(bench.adapter, bench.config), WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "does not begin with the line \"id,text\""), "%s",
			      last_error.text);
	}
	ck_assert_str_eq(content_of(bench.path), "id,total\n7,7.5\n");
}

LOOP_TEST(csv_without_rows_has_its_header)
{
	for (int resumable = 0; resumable < 2; resumable++) {
		const char *path = test_write_file("out", "old\n");
		run_env = (struct sink_env){.run = resumable ? "run" : NULL};
		close_sink(&sink_csv_adapter,
			   open_sink(&sink_csv_adapter, file_config(&sink_csv_adapter, path, REPLACE)));
		ck_assert_str_eq(content_of(path), "id,text\n");
	}
}

/* ---- what is not exact */

LOOP_TEST(file_is_exact_only_of_a_run_that_can_go_on)
{
	const char *path = test_format("%s/out", test_folder());
	for (int i = 0; i < 3; i++) {
		struct buf position = {0};
		run_env = (struct sink_env){.run = i ? "run" : NULL};
		struct sink *sink = open_jsonl(i == 1 ? "/dev/null" : i == 2 ? "/dev/stdout" : path, APPEND);
		ck_assert(sink_jsonl_adapter.sink->exactness(sink) == SINK_REPEATS);
		sink_jsonl_adapter.sink->position(sink, &position);
		ck_assert_uint_eq(position.len, 0);
		close_sink(&sink_jsonl_adapter, sink);
	}
	ck_assert(sink_stdout_adapter.sink->exactness == sink_jsonl_adapter.sink->exactness);
}

/* ---- several processes */

static const struct sink_env joining = {.run = "run", .shared = true, .joins = true};

static void write_id(const struct adapter *adapter, struct sink *sink, int id)
{
	struct batch batch = {0};
	add(&batch, test_format("{\"id\":%d,\"text\":\"t\"}", id), NULL);
	write_all(adapter, sink, &batch);
}

LOOP_TEST(file_that_several_write_has_the_lines_of_all)
{
	static const char *const expected[] = {
		"{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"t\"}\n{\"id\":3,\"text\":\"t\"}\n",
		"id,text\n1,t\n2,t\n3,t\n"};
	const struct adapter *const adapters[] = {&sink_jsonl_adapter, &sink_csv_adapter};
	for (int i = 0; i < 2; i++) {
		const char *path = test_format("%s/out%d", test_folder(), i);
		void *config = file_config(adapters[i], path, REFUSE);
		struct sink *sinks[2];
		run_env = joining;
		for (int k = 0; k < 2; k++)
			sinks[k] = open_sink(adapters[i], config);
		ck_assert(adapters[i]->sink->exactness(sinks[0]) == SINK_REPEATS);
		for (int id = 1; id <= 3; id++)
			write_id(adapters[i], sinks[id % 2], id);
		ck_assert_str_eq(content_of(path), expected[i]);
		/* A run that is alone in its file waits until they are gone. */
		run_env = (struct sink_env){.run = "other"};
		ck_assert_int_eq(refused_open(adapters[i], config), WEIR_EBUSY);
		for (int k = 0; k < 2; k++)
			close_sink(adapters[i], sinks[k]);
	}
}

/* on_start is for who begins the run; who joins cannot tell its own lines from others. */
LOOP_TEST(file_of_several_is_continued_by_who_joins)
{
	static const char *const left[] = {"", "id,te", "id,text\n", "id,text\n7,seven\n", "id,text\n7,se"};
	static const char *const now[] = {"id,text\n1,t\n", "id,text\n1,t\n", "id,text\n1,t\n",
					  "id,text\n7,seven\n1,t\n", "id,text\n7,se\n1,t\n"};
	for (int i = 0; i < 5; i++)
		for (int on_start = REFUSE; on_start <= REPLACE; on_start++) {
			const char *path = test_write_file("out", left[i]);
			run_env = joining;
			struct sink *sink =
				open_sink(&sink_csv_adapter, file_config(&sink_csv_adapter, path, on_start));
			write_id(&sink_csv_adapter, sink, 1);
			close_sink(&sink_csv_adapter, sink);
			ck_assert_str_eq(content_of(path), now[i]);
		}
	const char *path = test_write_file("out", "7\n");
	run_env = (struct sink_env){.run = "run", .shared = true};
	ck_assert_int_eq(refused_open(&sink_jsonl_adapter, file_config(&sink_jsonl_adapter, path, REFUSE)),
			 WEIR_EINVAL);
	struct sink *sink = open_jsonl(path, REPLACE);
	write_id(&sink_jsonl_adapter, sink, 1);
	close_sink(&sink_jsonl_adapter, sink);
	ck_assert_str_eq(content_of(path), "{\"id\":1,\"text\":\"t\"}\n");
}

/* Half a member would spoil all behind it. */
LOOP_TEST(file_of_several_is_not_packed)
{
	run_env = joining;
	ck_assert_int_eq(
		refused_open(&sink_jsonl_adapter,
			     file_config(&sink_jsonl_adapter, test_format("%s/out.gz", test_folder()), REFUSE)),
		WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(last_error.text, "is compressed"));
}

LOOP_TEST(file_of_several_waits_for_its_turn)
{
	const char *path = test_write_file("out", "half");
	struct batch batch = {0};
	run_env = joining;
	struct sink *sink = open_jsonl(path, REFUSE);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	ck_assert(fd >= 0 && !fcntl(fd, F_OFD_SETLK, &lock));
	add(&batch, "1", NULL);
	ck_assert_int_eq(write_code(&sink_jsonl_adapter, sink, &batch), WEIR_EBUSY);
	ck_assert_str_eq(content_of(path), "half");
	close(fd);
	write_all(&sink_jsonl_adapter, sink, &batch);
	ck_assert_str_eq(content_of(path), "half\n1\n");
	ck_assert_int_eq(rename(path, test_format("%s.1", path)), 0);
	add(&batch, "2", NULL);
	ck_assert_int_eq(write_code(&sink_jsonl_adapter, sink, &batch), WEIR_EIO);
	ck_assert_ptr_nonnull(strstr(last_error.text, "was moved, deleted or replaced"));
	drop(&batch);
	close_sink(&sink_jsonl_adapter, sink);
}

/* ---- trouble while it is open */

static void expect_failed(struct bench *bench, const char *why)
{
	struct batch batch = {0};
	add(&batch, "1", NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_code(bench->adapter, bench->sink, &batch), WEIR_EIO);
		ck_assert_msg(strstr(last_error.text, why), "%s, expected %s", last_error.text, why);
	}
	drop(&batch);
}

LOOP_TEST(file_that_another_program_writes_to_is_left_alone)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	tear(&bench);
	expect_failed(&bench, "was changed by another program");
	close_bench(&bench);
	open_bench(&bench);
	ck_assert_int_eq(truncate(bench.path, 3), 0);
	expect_failed(&bench, "was changed by another program");
	ck_assert_uint_eq(strlen(content_of(bench.path)), 3);
	end_bench(&bench);
}

LOOP_TEST(file_that_is_moved_away_is_noticed)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	ck_assert_int_eq(rename(bench.path, test_format("%s.1", bench.path)), 0);
	expect_failed(&bench, "was moved, deleted or replaced");
	close_bench(&bench);
	test_write_file("out", "");
	expect_refused(&bench, "was truncated or replaced");
	end_bench(&bench);
}

LOOP_TEST(file_stays_failed_after_a_sync_that_failed_and_goes_on_from_its_position)
{
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	write_batch(&bench, true);
	syncs_fail(true);
	expect_failed(&bench, "could not be synced");
	syncs_fail(false);
	expect_failed(&bench, "could not be synced");
	close_bench(&bench);
	open_bench(&bench);
	ck_assert_str_eq(content_of(bench.path), acked(&bench));
	end_bench(&bench);
}

LOOP_TEST(file_is_synced_before_a_write_returns_and_its_folder_when_it_is_made)
{
	unsigned before = syncs_seen();
	struct bench bench = start_bench(&sink_jsonl_adapter, "out", REPLACE);
	ck_assert_uint_ge(syncs_seen(), before + 2);
	before = syncs_seen();
	write_batch(&bench, true);
	ck_assert_uint_eq(syncs_seen(), before + 1);
	end_bench(&bench);
}

LOOP_TEST(file_takes_a_batch_again_that_did_not_fit)
{
	const char *disk = small_disk();
	static char fat[64 << 10];
	int written = 0;
	struct batch batch = {0};
	if (!disk) {
		fputs("file_takes_a_batch_again...: not tried, no file system can be mounted here\n", stderr);
		return;
	}
	struct bench bench = start_bench(&sink_jsonl_adapter, "disk/out", REPLACE);
	const char *filler = test_format("%s/filler", disk);
	int code = 0, fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(posix_fallocate(fd, 0, 512 << 10), 0);
	memset(fat, '7', sizeof fat - 1);
	for (int i = 0; i < 100 && !code; i++) {
		drop(&batch);
		for (int k = 0; k < 3; k++)
			add(&batch, fat, NULL);
		code = write_code(bench.adapter, bench.sink, &batch);
		written += code ? 0 : 3;
	}
	ck_assert_int_eq(code, WEIR_ENOSPC);
	keep_position(&bench);
	ck_assert_int_eq(write_code(bench.adapter, bench.sink, &batch), WEIR_ENOSPC);
	ck_assert_uint_eq(strlen(content_of(bench.path)), (size_t)written * sizeof fat);
	close(fd);
	unlink(filler);
	close_bench(&bench);
	open_bench(&bench);
	write_all(bench.adapter, bench.sink, &batch);
	ck_assert_uint_eq(strlen(content_of(bench.path)), (size_t)(written + 3) * sizeof fat);
	end_bench(&bench);
	ck_assert_int_eq(umount(disk), 0);
}

/* ---- without memory */

struct thrift {
	const char *path;
	const struct value *position;
	unsigned failing; /* which allocation; 0: none */
	bool failed;
	int code;
};

/* What a sink does on its thread, on this one, where allocations can be made to fail. */
static void open_and_write(struct thrift *thrift)
{
	const struct sink_env env = {.run = "run", .position = thrift->position};
	struct weir_error err = {0};
	struct sink_file file = {.name = thrift->path, .fd = open(thrift->path, O_WRONLY | O_CLOEXEC), .empty = true};
	weir_testing_fail(WEIR_TESTING_ALLOCATE, thrift->failing, WEIR_ENOMEM);
	int code = sink_file_open(&file, SINK_REPLACE, &(struct value){0}, &env, &err);
	if (!code)
		code = sink_file_start(&file, &err);
	int is_there = code ? 0 : sink_file_begins_with(&file, "1\n", &err);
	if (!code && is_there >= 0)
		code = sink_file_write(&file, "2\n", 2, &err);
	thrift->failed = weir_testing_failed(WEIR_TESTING_ALLOCATE);
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 0, WEIR_ENOMEM); /* Check allocates, too */
	thrift->code = is_there < 0 ? is_there : code;
	ck_assert_msg(!thrift->code || (thrift->failed && thrift->code == WEIR_ENOMEM), "%d %s", thrift->code,
		      err.text);
	sink_file_fini(&file);
}

TEST(file_is_as_it_was_when_there_is_no_memory)
{
	const char *path = test_write_file("out", "1\n");
	const struct value position = {keep(strdup(test_format("file off=2 crc=6751fc53 path=%s", path))), 0};
	struct thrift thrift = {.path = path, .position = &position, .failed = true};
	while (thrift.failed) {
		thrift.failing++;
		test_write_file("out", "1\n{\"to");
		open_and_write(&thrift);
		if (thrift.code)
			ck_assert_int_eq(memcmp(content_of(path), "1\n", 2), 0);
	}
	ck_assert_int_eq(thrift.code, 0);
	ck_assert_uint_gt(thrift.failing, 3);
	ck_assert_str_eq(content_of(path), "1\n2\n");
}
