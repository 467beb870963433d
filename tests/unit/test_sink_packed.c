/* SPDX-License-Identifier: MIT */
/* Files whose names end in .gz or .zst: what is unpacked from them is what a plain file would hold. */
#include "codec/codec.h"
#include "unit/sinks.h"

#include <weir/random.h>

static const struct {
	const char *ending;
	enum codec codec;
} packings[] = {{".gz", CODEC_GZIP}, {".zst", CODEC_ZSTD}};

enum { PACKINGS = 2 };

static const char *bytes_of(const char *path, size_t *ret_n)
{
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	*ret_n = (size_t)st.st_size;
	return content_of(path);
}

/* All text; the data must end with a whole member. */
static const char *unpacked(const char *path, enum codec codec)
{
	static char piece[4096];
	struct codec_reader *reader;
	struct buf text = {0};
	struct codec_io io;
	io.in = bytes_of(path, &io.in_bytes);
	ck_assert_int_eq(codec_reader_new(codec, &reader), 0);
	do {
		struct weir_error err = {0};
		io.out = piece;
		io.room = sizeof piece;
		ck_assert_msg(codec_read(reader, &io, &err) == 0, "%s", err.text);
		buf_add(&text, piece, sizeof piece - io.room);
	} while (io.in_bytes || !io.room);
	ck_assert(codec_reader_whole(reader));
	codec_reader_free(reader);
	buf_add_str(&text, "");
	return keep(buf_take(&text, NULL));
}

static const char *pack_file(const char *name, enum codec codec, const char *text)
{
	struct buf packed = {0};
	const char *path = test_format("%s/%s", test_folder(), name);
	ck_assert_int_eq(codec_pack(codec, text, strlen(text), &packed), 0);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, packed.data, packed.len), (ssize_t)packed.len);
	close(fd);
	buf_fini(&packed);
	return path;
}

static void write_one_row(const struct adapter *adapter, struct sink *sink, int id)
{
	struct batch batch = {0};
	add(&batch, test_format("{\"id\":%d,\"text\":\"t\"}", id), NULL);
	write_all(adapter, sink, &batch);
}

LOOP_TEST(sink_packs_each_batch_by_the_name_of_its_file)
{
	for (int i = 0; i < PACKINGS; i++) {
		const char *path = test_format("%s/out%s", test_folder(), packings[i].ending);
		struct sink *sink = open_jsonl(path, REPLACE);
		write_one_row(&sink_jsonl_adapter, sink, 1);
		const char *first = unpacked(path, packings[i].codec); /* whole after each batch */
		write_one_row(&sink_jsonl_adapter, sink, 2);
		close_sink(&sink_jsonl_adapter, sink);
		ck_assert_str_eq(first, "{\"id\":1,\"text\":\"t\"}\n");
		ck_assert_str_eq(unpacked(path, packings[i].codec),
				 "{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"t\"}\n");
	}
}

LOOP_TEST(sink_csv_packs_its_header_once)
{
	for (int i = 0; i < PACKINGS; i++) {
		const char *path = test_format("%s/out.csv%s", test_folder(), packings[i].ending);
		void *config = file_config(&sink_csv_adapter, path, APPEND);
		close_sink(&sink_csv_adapter, open_sink(&sink_csv_adapter, config)); /* no rows */
		ck_assert_str_eq(unpacked(path, packings[i].codec), "id,text\n");
		for (int id = 1; id <= 2; id++) {
			struct sink *sink = open_sink(&sink_csv_adapter, config);
			write_one_row(&sink_csv_adapter, sink, id);
			close_sink(&sink_csv_adapter, sink);
		}
		ck_assert_str_eq(unpacked(path, packings[i].codec), "id,text\n1,t\n2,t\n");
	}
}

/* ---- a run that is killed: what was not acked is cut off, a member as a whole */

static void keep_position(const struct adapter *adapter, struct sink *sink, struct value *position)
{
	struct buf text = {0};
	adapter->sink->position(sink, &text);
	position->data = keep(buf_take(&text, &position->len));
}

static void write_and_die(const struct adapter *adapter, int packing, int on_start)
{
	const char *path =
		test_format("%s/run-%s%d%s", test_folder(), adapter->name, on_start, packings[packing].ending);
	void *config = file_config(adapter, path, on_start);
	struct value position = {0};
	struct buf acked = {0};
	uint64_t random = (uint64_t)packing + 1;
	buf_add_str(&acked, adapter == &sink_csv_adapter ? "id,text\n" : "");
	for (int id = 1; id <= 60;) {
		run_env = (struct sink_env){.run = "run", .position = position.data ? &position : NULL};
		struct sink *sink = open_sink(adapter, config);
		keep_position(adapter, sink, &position);
		for (uint64_t n = weir_random_below(&random, 4); n; n--, id++) {
			write_one_row(adapter, sink, id);
			keep_position(adapter, sink, &position);
			buf_addf(&acked, adapter == &sink_csv_adapter ? "%d,t\n" : "{\"id\":%d,\"text\":\"t\"}\n", id);
		}
		if (weir_random_below(&random, 2))
			write_one_row(adapter, sink, 1000); /* and is killed before the ack */
		close_sink(adapter, sink);
	}
	run_env.position = &position;
	close_sink(adapter, open_sink(adapter, config));
	ck_assert_str_eq(unpacked(path, packings[packing].codec), acked.data);
	buf_fini(&acked);
	run_env = (struct sink_env){0};
}

LOOP_TEST(sink_of_packed_rows_is_cut_back_to_what_was_acked)
{
	for (int i = 0; i < PACKINGS; i++)
		for (int on_start = REFUSE; on_start <= REPLACE; on_start++) {
			write_and_die(&sink_jsonl_adapter, i, on_start);
			write_and_die(&sink_csv_adapter, i, on_start);
		}
}

/* ---- behind rows of somebody else */

static const char *after_append(const struct adapter *adapter, const char *path, enum codec codec)
{
	struct sink *sink = open_sink(adapter, file_config(adapter, path, APPEND));
	write_one_row(adapter, sink, 1);
	write_one_row(adapter, sink, 2);
	close_sink(adapter, sink);
	return unpacked(path, codec);
}

LOOP_TEST(sink_appends_to_a_packed_file_on_a_line_of_its_own)
{
	static const char *const texts[] = {"{}\n", "{}", ""}, *const expected[] = {"{}\n", "{}\n", ""};
	for (int i = 0; i < PACKINGS; i++)
		for (int k = 0; k < 3; k++)
			for (int exact = 0; exact < 2; exact++) {
				run_env = (struct sink_env){.run = exact ? "run" : NULL};
				const char *path = pack_file(test_format("out%s", packings[i].ending),
							     packings[i].codec, texts[k]);
				ck_assert_str_eq(after_append(&sink_jsonl_adapter, path, packings[i].codec),
						 test_format("%s{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"t\"}\n",
							     expected[k]));
			}
	run_env = (struct sink_env){0};
}

/* The place is kept before the first batch, so the next run has to find the open line, too. */
LOOP_TEST(sink_that_was_killed_before_its_first_batch_still_knows_of_an_open_line)
{
	struct value position = {0};
	const char *path = pack_file("out.gz", CODEC_GZIP, "{}");
	void *config = file_config(&sink_jsonl_adapter, path, APPEND);
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_sink(&sink_jsonl_adapter, config);
	keep_position(&sink_jsonl_adapter, sink, &position);
	close_sink(&sink_jsonl_adapter, sink);
	run_env.position = &position;
	ck_assert_str_eq(after_append(&sink_jsonl_adapter, path, CODEC_GZIP),
			 "{}\n{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"t\"}\n");
	run_env = (struct sink_env){0};
}

LOOP_TEST(sink_csv_appends_to_a_packed_file_with_the_same_header_alone)
{
	for (int i = 0; i < PACKINGS; i++) {
		const char *name = test_format("out.csv%s", packings[i].ending);
		const char *path = pack_file(name, packings[i].codec, "id,text\n0,z\n");
		ck_assert_str_eq(after_append(&sink_csv_adapter, path, packings[i].codec), "id,text\n0,z\n1,t\n2,t\n");
		path = pack_file(name, packings[i].codec, "id,other\n0,z\n");
		ck_assert_int_eq(refused_open(&sink_csv_adapter, file_config(&sink_csv_adapter, path, APPEND)),
				 WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "does not begin with the line \"id,text\""), "%s",
			      last_error.text);
	}
}

LOOP_TEST(sink_appends_to_no_file_that_could_not_be_unpacked_then)
{
	for (int i = 0; i < PACKINGS; i++) {
		size_t n;
		const char *name = test_format("out%s", packings[i].ending);
		const char *path = pack_file(name, packings[i].codec, "{\"some\":\"text\"}\n");
		void *config = file_config(&sink_jsonl_adapter, path, APPEND);
		const char *bytes = bytes_of(path, &n);
		ck_assert_int_eq(truncate(path, (off_t)n - 3), 0);
		ck_assert_int_eq(refused_open(&sink_jsonl_adapter, config), WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "contains truncated"), "%s", last_error.text);
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
		ck_assert_int_eq(pwrite(fd, "\xFF\xFF\xFF\xFF", 4, (off_t)n / 2), 4);
		close(fd);
		ck_assert_int_eq(refused_open(&sink_jsonl_adapter, config), WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "data at byte"), "%s", last_error.text);
		test_write_file(name, "{}\n");
		ck_assert_int_eq(refused_open(&sink_jsonl_adapter, config), WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "data, which its name promises"), "%s", last_error.text);
		ck_assert_str_eq(content_of(path), "{}\n");
	}
}

/* ---- a FIFO */

struct drain {
	const char *path;
	struct buf got;
};

static int drain_fifo(void *arg)
{
	struct drain *drain = arg;
	char piece[4096];
	ssize_t n;
	int fd = open(drain->path, O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, piece, sizeof piece)) > 0)
		buf_add(&drain->got, piece, (size_t)n);
	close(fd);
	return 0;
}

static int drain_on_thread(void *arg)
{
	return weir_offload(drain_fifo, arg, WEIR_FOREVER);
}

LOOP_TEST(sink_packs_what_goes_into_a_fifo)
{
	struct weir_group *group;
	struct drain drain = {.path = test_format("%s/fifo.gz", test_folder())};
	ck_assert_int_eq(mkfifo(drain.path, 0600), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, drain_on_thread, &drain, WEIR_FOREVER), 0);
	struct sink *sink = open_jsonl(drain.path, REPLACE);
	write_one_row(&sink_jsonl_adapter, sink, 1);
	write_one_row(&sink_jsonl_adapter, sink, 2);
	close_sink(&sink_jsonl_adapter, sink);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	const char *path = test_format("%s/got", test_folder());
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, drain.got.data, drain.got.len), (ssize_t)drain.got.len);
	close(fd);
	buf_fini(&drain.got);
	ck_assert_str_eq(unpacked(path, CODEC_GZIP), "{\"id\":1,\"text\":\"t\"}\n{\"id\":2,\"text\":\"t\"}\n");
}
