/* SPDX-License-Identifier: MIT */
/* Files and pipes of gzip and zstd data: read like the text that is in them, or an error where they are damaged. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/random.h>
#include <weir/weir.h>

#include "codec/codec.h"
#include "sources.h"
#include "support/test.h"

static const enum codec codecs[] = {CODEC_GZIP, CODEC_ZSTD};

static void add_member(struct buf *packed, enum codec codec, const char *text)
{
	ck_assert_int_eq(codec_pack(codec, text, strlen(text), packed), 0);
}

/* A file whose name says nothing. */
static const char *write_packed(struct buf *packed)
{
	const char *path = write_bytes("input", packed->data, packed->len);
	buf_fini(packed);
	return path;
}

static const char *pack_file(enum codec codec, const char *text)
{
	struct buf packed = {0};
	add_member(&packed, codec, text);
	return write_packed(&packed);
}

LOOP_TEST(source_unpacks_what_begins_as_gzip_or_zstd)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct opened opened =
			open_path(&source_jsonl_adapter, pack_file(codec, "\xEF\xBB\xBF{\"a\":1}\r\n\n]\n2"));
		expect_item(&opened, 1, "{\"a\":1}");
		expect_bad(&opened, 3, "not JSON");
		expect_item(&opened, 4, "2");
		expect_end(&opened);
		opened = open_path(&source_lines_adapter, pack_file(codec, ""));
		expect_end(&opened);
	}
}

LOOP_TEST(source_reads_members_and_frames_as_one_text)
{
	static const char skippable[] = "\x5A\x2A\x4D\x18\x03\x00\x00\x00"
					"abc";
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct buf packed = {0};
		if (codec == CODEC_ZSTD)
			buf_add(&packed, skippable, sizeof skippable - 1);
		add_member(&packed, codec, "on");
		add_member(&packed, codec, "");
		if (codec == CODEC_ZSTD)
			buf_add(&packed, skippable, sizeof skippable - 1);
		add_member(&packed, codec, "e\ntwo\n");
		add_member(&packed, codec, "three");
		struct opened opened = open_path(&source_lines_adapter, write_packed(&packed));
		expect_item(&opened, 1, "\"one\"");
		expect_item(&opened, 2, "\"two\"");
		expect_item(&opened, 3, "\"three\"");
		expect_end(&opened);
	}
}

/* ---- the same items as of the plain text, wherever it is left */

static size_t random_lines(uint64_t *random, char *text, size_t most)
{
	size_t n = 0;
	while (n < most - 3000) {
		size_t len = weir_random_below(random, weir_random_below(random, 50) ? 60 : 2900);
		for (size_t i = 0; i < len; i++)
			text[n++] = (char)('a' + weir_random_below(random, 26));
		text[n++] = '\n';
	}
	text[n] = 0;
	return n;
}

/* In members of any length, some empty. */
static const char *pack_in_pieces(uint64_t *random, enum codec codec, const char *text, size_t n)
{
	struct buf packed = {0};
	for (size_t at = 0, step; at < n; at += step) {
		step = weir_random_below(random, weir_random_below(random, 4) ? 300 : 200000);
		step = step < n - at ? step : n - at;
		ck_assert_int_eq(
			(weir_random_below(random, 2) ? codec_pack : codec_pack_fast)(codec, text + at, step, &packed),
			0);
	}
	const char *path = write_bytes("packed", packed.data, packed.len);
	buf_fini(&packed);
	return path;
}

static struct left look(struct opened *opened)
{
	struct left left = {0};
	struct buf identity = {0};
	opened->ops->cursor(opened->source, &left.cursor);
	ck_assert(opened->ops->identify(opened->source, &identity));
	left.identity = buf_take(&identity, NULL);
	return left;
}

LOOP_TEST(source_gives_the_items_of_the_plain_text_and_goes_on_behind_any_of_them)
{
	char *text = malloc(MIB);
	uint64_t random = 1;
	for (int round = 0; round < 4; round++) {
		size_t n = random_lines(&random, text, round % 3 ? MIB / 8 : MIB);
		struct opened plain = open_path(&source_lines_adapter, write_bytes("plain", text, n));
		const char *path = pack_in_pieces(&random, codecs[round % 2], text, n);
		struct opened packed = open_path(&source_lines_adapter, path);
		for (int verdict = SOURCE_ITEM; verdict == SOURCE_ITEM;) {
			struct item *one = item_new(), *other = item_new();
			verdict = plain.ops->next(plain.source, one, NULL, WEIR_FOREVER);
			ck_assert_int_eq(packed.ops->next(packed.source, other, NULL, WEIR_FOREVER), verdict);
			if (verdict == SOURCE_ITEM)
				quick_assert(strcmp(one->source.data, other->source.data) == 0 &&
					     one->position == other->position);
			item_free(one);
			item_free(other);
			if (weir_random_below(&random, 400))
				continue;
			struct left left = look(&packed), same = look(&plain);
			ck_assert_str_eq(left.cursor.text, same.cursor.text);
			free(same.identity);
			shut(&packed);
			packed = open_path(&source_lines_adapter, path);
			go_on(&packed, &left);
		}
		shut(&plain);
		shut(&packed);
	}
	free(text);
}

LOOP_TEST(source_csv_of_packed_data_reads_its_header_once)
{
	static const char *const delimiter = ",";
	static const bool header = true;
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		const char *path = pack_file(codec, "a,b\n1,2\n3,4\n");
		struct left left = {0};
		for (int run = 0; run < 2; run++) {
			void *config = calloc(1, source_csv_adapter.config_bytes);
			memcpy(config_field(&source_csv_adapter, config, "path"), &path, sizeof path);
			memcpy(config_field(&source_csv_adapter, config, "delimiter"), &delimiter, sizeof delimiter);
			memcpy(config_field(&source_csv_adapter, config, "header"), &header, sizeof header);
			struct opened opened = open_with(&source_csv_adapter, config);
			if (run)
				go_on(&opened, &left);
			expect_item(&opened, run + 2, run ? "{\"a\":\"3\",\"b\":\"4\"}" : "{\"a\":\"1\",\"b\":\"2\"}");
			left = leave(&opened);
		}
		free(left.identity);
	}
}

/* ---- what is damaged */

/* Reads what there is, which should be the beginning of 1, 2, 3 ... on lines: how many there were, -1 if it is not. err
 * says what was wrong then, if anything. */
static int read_numbers(const char *path, struct weir_error *err)
{
	struct opened opened = open_path(&source_jsonl_adapter, path);
	bool right = true;
	int n = 0, verdict;
	do {
		struct item *item = item_new();
		verdict = opened.ops->next(opened.source, item, err, WEIR_FOREVER);
		if (verdict > 0)
			right = right && verdict == SOURCE_ITEM && atoi(item->source.data) == ++n;
		item_free(item);
	} while (verdict > 0);
	ck_assert(verdict == SOURCE_END || verdict == WEIR_EDATA || verdict == WEIR_EINVAL);
	if (verdict != SOURCE_END) { /* and it stays so */
		struct item *item = item_new();
		ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, WEIR_FOREVER), verdict);
		item_free(item);
		ck_assert_ptr_nonnull(strstr(err->text, path));
	}
	shut(&opened);
	return right ? n : -1;
}

static void add_numbers(struct buf *packed, enum codec codec, int from, int to)
{
	struct buf text = {0};
	for (int i = from; i <= to; i++)
		buf_addf(&text, "%d\n", i);
	add_member(packed, codec, text.data);
	buf_fini(&text);
}

LOOP_TEST(source_never_takes_a_cut_for_the_end_of_packed_data)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct buf packed = {0};
		add_numbers(&packed, codec, 1, 50);
		size_t member = packed.len;
		add_numbers(&packed, codec, 51, 100);
		for (size_t n = 4; n <= packed.len; n++) {
			struct weir_error err = {0};
			int got = read_numbers(write_bytes("input", packed.data, n), &err);
			if (n == member || n == packed.len) {
				ck_assert_int_eq(got, n == member ? 50 : 100);
				ck_assert_str_eq(err.text, "");
				continue;
			}
			ck_assert_int_le(got, n < member ? 50 : 100);
			ck_assert_int_ge(got, n < member ? 0 : 50);
			ck_assert_msg(strstr(err.text, test_format("%s data is truncated: it ends at byte %zu",
								   codec_name(codec), n)),
				      "%s", err.text);
		}
		buf_fini(&packed);
	}
}

LOOP_TEST(source_never_believes_packed_data_of_which_a_bit_is_wrong)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct buf packed = {0};
		int damaged = 0, wrong = 0;
		add_numbers(&packed, codec, 1, 30);
		add_numbers(&packed, codec, 31, 60);
		for (size_t bit = 32; bit < 8 * packed.len; bit++) {
			struct weir_error err = {0};
			packed.data[bit / 8] ^= (char)(1 << bit % 8);
			int got = read_numbers(write_bytes("input", packed.data, packed.len), &err);
			packed.data[bit / 8] ^= (char)(1 << bit % 8);
			ck_assert_msg(got == 60 || err.code, "%zu: only %d, and no error", bit, got);
			damaged += err.code && strstr(err.text, "data is damaged at byte ");
			wrong += got < 0; /* it looked like more of a member whose checksum never came */
		}
		ck_assert_int_gt(damaged, (int)(6 * packed.len));
		ck_assert_int_lt(wrong, (int)packed.len / 4);
		buf_fini(&packed);
	}
}

/* Behind its last member there is something else. */
LOOP_TEST(source_says_where_packed_data_stops_being_such)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct buf packed = {0};
		struct weir_error err = {0};
		add_numbers(&packed, codec, 1, 1000);
		size_t at = packed.len;
		buf_add_str(&packed, "plain text\n");
		ck_assert_int_eq(read_numbers(write_packed(&packed), &err), 1000);
		const char *place = strstr(err.text, " data is damaged at byte ");
		ck_assert_msg(place, "%s", err.text);
		ck_assert_int_ge(atol(place + strlen(" data is damaged at byte ")), (long)at);
		ck_assert_int_le(atol(place + strlen(" data is damaged at byte ")), (long)at + 2);
	}
}

LOOP_TEST(source_refuses_a_zstd_window_over_128_mib)
{
	static const char largest[] = "\x28\xB5\x2F\xFD\x00\x88\x01\x00\x00",
			  over[] = "\x28\xB5\x2F\xFD\x00\x90\x01\x00\x00";
	struct weir_error err = {0};
	ck_assert_int_eq(read_numbers(write_bytes("input", largest, sizeof largest - 1), &err), 0);
	ck_assert_str_eq(err.text, "");
	ck_assert_int_eq(read_numbers(write_bytes("input", over, sizeof over - 1), &err), 0);
	ck_assert_msg(strstr(err.text, "zstd window is over 128 MiB"), "%s", err.text);
}

LOOP_TEST(source_says_that_a_packed_file_was_cut_while_it_was_read)
{
	char *text = malloc(MIB);
	uint64_t random = 1;
	struct weir_error err = {0};
	random_lines(&random, text, MIB); /* more than what is read in one go */
	const char *path = pack_file(CODEC_GZIP, text);
	struct opened opened = open_path(&source_lines_adapter, path);
	free(text);
	item_free(take(&opened, SOURCE_ITEM));
	ck_assert_int_eq(truncate(path, 100), 0);
	int verdict;
	do {
		struct item *item = item_new();
		verdict = opened.ops->next(opened.source, item, &err, WEIR_FOREVER);
		item_free(item);
	} while (verdict == SOURCE_ITEM);
	ck_assert_int_eq(verdict, WEIR_EIO);
	ck_assert_msg(strstr(err.text, "was truncated while it was read: it has 100 bytes"), "%s", err.text);
	shut(&opened);
}

/* ---- what has changed since */

LOOP_TEST(source_that_grew_by_a_member_gives_what_was_added)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct buf packed = {0};
		add_numbers(&packed, codec, 1, 3);
		struct opened opened = open_path(&source_jsonl_adapter, write_bytes("input", packed.data, packed.len));
		for (int i = 1; i <= 3; i++)
			item_free(take(&opened, SOURCE_ITEM));
		item_free(take(&opened, SOURCE_END));
		struct left left = leave(&opened);
		add_numbers(&packed, codec, 4, 5);
		opened = open_path(&source_jsonl_adapter, write_packed(&packed));
		go_on(&opened, &left);
		expect_item(&opened, 4, "4");
		expect_item(&opened, 5, "5");
		expect_end(&opened);
	}
}

LOOP_TEST(source_of_packed_data_that_is_not_what_was_read_is_refused)
{
	static const struct {
		const char *now, *why;
	} cases[] = {
		{"first\n", "has become shorter: 13 bytes of decoded text were read, and it has 6"},
		{"first\nsecund\nthird\n", "the 13 bytes before byte 13, up to which it was read, differ"},
	};
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct opened opened =
				open_path(&source_lines_adapter, pack_file(codec, "first\nsecond\nthird\n"));
			item_free(take(&opened, SOURCE_ITEM));
			item_free(take(&opened, SOURCE_ITEM));
			struct left left = leave(&opened);
			opened = open_path(&source_lines_adapter, pack_file(codec, cases[i].now));
			free(left.identity); /* and another without a head, which would be refused first */
			struct stat st;
			stat(test_format("%s/input", test_folder()), &st);
			left.identity = strdup(
				test_format("file inode=%lu size=9 head=0 crc=00000000", (unsigned long)st.st_ino));
			expect_refused(&opened, &left, true, cases[i].why);
			free(left.identity);
		}
}

/* ---- pipes, deadlines, memory */

struct trickle {
	struct buf packed;
	int fd;
};

static int write_bytewise(void *arg)
{
	struct trickle *trickle = arg;
	for (size_t i = 0; i < trickle->packed.len; i++) {
		if (write(trickle->fd, trickle->packed.data + i, 1) != 1)
			return -errno;
		if (i % 3 == 0 || i < 8)
			weir_yield();
	}
	close(trickle->fd);
	return 0;
}

/* The read of one item with deadlines that are far too short. */
static int next_of_many(struct opened *opened, struct item *item, struct weir_error *err)
{
	int code;
	do
		code = opened->ops->next(opened->source, item, err, weir_after(WEIR_MSEC / 50));
	while (code == WEIR_ETIMEDOUT);
	return code;
}

static void read_trickle(struct trickle *trickle, int numbers, int last, const char *why)
{
	struct weir_group *group;
	struct weir_error err = {0};
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	trickle->fd = fds[1];
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	struct opened opened = open_path(&source_jsonl_adapter, test_format("/proc/self/fd/%d", fds[0]));
	ck_assert_int_eq(weir_group_spawn(group, write_bytewise, trickle, WEIR_FOREVER), 0);
	for (int i = 1; i <= numbers; i++) {
		struct item *item = item_new();
		ck_assert_int_eq(next_of_many(&opened, item, &err), SOURCE_ITEM);
		ck_assert_int_eq(atoi(item->source.data), i);
		item_free(item);
	}
	struct item *item = item_new();
	ck_assert_int_eq(next_of_many(&opened, item, &err), last);
	ck_assert_msg(strstr(err.text, why), "%s", err.text);
	item_free(item);
	shut(&opened);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	buf_fini(&trickle->packed);
	close(fds[0]);
}

LOOP_TEST(source_unpacks_a_pipe_that_trickles)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct trickle trickle = {{0}, -1};
		add_numbers(&trickle.packed, codec, 1, 40);
		add_numbers(&trickle.packed, codec, 41, 50);
		read_trickle(&trickle, 50, SOURCE_END, "");
		add_numbers(&trickle.packed, codec, 1, 40);
		size_t member = trickle.packed.len;
		add_numbers(&trickle.packed, codec, 41, 50);
		trickle.packed.len = member + 8;
		read_trickle(&trickle, 40, WEIR_EDATA, "is truncated");
	}
}

/* What begins like packed data and is none: as it comes. */
LOOP_TEST(source_waits_no_longer_than_it_must_to_know_a_pipe)
{
	static const char *const texts[] = {"P\n", "X*M\n", "(\n", "P", "\x28\xB5\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int fds[2];
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
		struct opened opened = open_path(&source_lines_adapter, test_format("/proc/self/fd/%d", fds[0]));
		ck_assert_int_eq(write(fds[1], texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		if (!strchr(texts[i], '\n'))
			close(fds[1]);
		item_free(take(&opened, i == 4 ? SOURCE_BAD : SOURCE_ITEM));
		if (strchr(texts[i], '\n'))
			close(fds[1]);
		expect_end(&opened);
		close(fds[0]);
	}
}

LOOP_TEST(source_loses_nothing_of_a_packed_file_to_deadlines_that_are_short)
{
	struct buf packed = {0};
	add_numbers(&packed, CODEC_GZIP, 1, 40000);
	struct opened opened = open_path(&source_jsonl_adapter, write_packed(&packed));
	for (int i = 1; i <= 40001; i++) {
		struct item *item = item_new();
		int verdict = next_of_many(&opened, item, NULL);
		quick_assert(i <= 40000 ? verdict == SOURCE_ITEM && atoi(item->source.data) == i
					: verdict == SOURCE_END);
		item_free(item);
	}
	shut(&opened);
}

LOOP_TEST(source_stdin_unpacks_from_where_a_file_stands)
{
	struct buf packed = {0};
	bool exact;
	buf_add_str(&packed, "skipped");
	add_numbers(&packed, CODEC_ZSTD, 1, 3);
	int fd = open(write_packed(&packed), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(dup2(fd, 0), 0);
	struct left left = {0};
	for (int run = 0; run < 2; run++) {
		ck_assert_int_eq(lseek(fd, 7, SEEK_SET), 7);
		struct opened opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
		if (run) {
			go_on(&opened, &left);
			expect_item(&opened, 2, "2");
			expect_item(&opened, 3, "3");
			item_free(take(&opened, SOURCE_END));
			ck_assert_int_eq(opened.ops->total(opened.source, &exact), 3);
			shut(&opened);
		} else {
			expect_item(&opened, 1, "1");
			left = leave(&opened);
		}
	}
	close(fd);
}

LOOP_TEST(source_unpacks_a_line_of_50_mb_in_bounded_memory)
{
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		char *piece = repeat('x', MIB, "");
		struct buf one = {0}, packed = {0};
		add_member(&one, codec, piece);
		free(piece);
		add_member(&packed, codec, "{}\n");
		for (int i = 0; i < 50; i++)
			buf_add(&packed, one.data, one.len);
		add_member(&packed, codec, "\n[]\n");
		buf_fini(&one);
		const char *path = write_packed(&packed);
		reset_peak();
		long before = peak_kib();
		struct opened opened = open_path(&source_jsonl_adapter, path);
		expect_item(&opened, 1, "{}");
		expect_bad(&opened, 2, "line over 1 MiB");
		expect_item(&opened, 3, "[]");
		expect_end(&opened);
		ck_assert_int_lt(peak_kib() - before, 16000); /* 4,000 without a sanitizer */
	}
}

LOOP_TEST(source_total_of_packed_data_is_estimated)
{
	struct buf packed = {0};
	bool exact = true;
	for (int i = 0; i < 40; i++)
		add_numbers(&packed, CODEC_GZIP, 100000 + i * 2000, 101999 + i * 2000);
	struct opened opened = open_path(&source_jsonl_adapter, write_packed(&packed));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	for (int i = 0; i < 80000; i++) {
		item_free(take(&opened, SOURCE_ITEM));
		if (i < 1000 || i % 100)
			continue;
		int64_t total = opened.ops->total(opened.source, &exact);
		ck_assert_int_ge(total, 76000);
		ck_assert_int_le(total, 84000);
		ck_assert(!exact);
	}
	item_free(take(&opened, SOURCE_END));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), 80000);
	shut(&opened);
	char *dense = repeat('\n', MIB, "");
	memcpy(dense, "[]", 2); /* a few bytes of the file make all of the text */
	opened = open_path(&source_jsonl_adapter, pack_file(CODEC_ZSTD, dense));
	item_free(take(&opened, SOURCE_ITEM));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	expect_end(&opened);
	free(dense);
}
