/* SPDX-License-Identifier: MIT */
/* Files that match a pattern, read as one. */
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

static const char *pattern(void)
{
	return test_format("%s/part-*", test_folder());
}

static struct opened open_pattern(const struct adapter *adapter)
{
	static const char *const delimiter = ",";
	static const bool header = true;
	const char *path = pattern();
	void *config = calloc(1, adapter->config_bytes);
	memcpy(config_field(adapter, config, "path"), &path, sizeof path);
	if (adapter == &source_csv_adapter) {
		memcpy(config_field(adapter, config, "delimiter"), &delimiter, sizeof delimiter);
		memcpy(config_field(adapter, config, "header"), &header, sizeof header);
	}
	return open_with(adapter, config);
}

static void pack_part(const char *name, const char *text)
{
	struct buf packed = {0};
	ck_assert_int_eq(codec_pack(CODEC_GZIP, text, strlen(text), &packed), 0);
	write_bytes(name, packed.data, packed.len);
	buf_fini(&packed);
}

static const char *part(const char *name)
{
	return test_format("%s/%s", test_folder(), name);
}

static struct left leave_after(unsigned items)
{
	struct opened opened = open_pattern(&source_lines_adapter);
	for (unsigned i = 0; i < items; i++)
		item_free(take(&opened, SOURCE_ITEM));
	return leave(&opened);
}

/* ---- reading */

static void write_parts(void)
{
	test_write_file("part-1", "1\n2\n");
	test_write_file("part-10", "");
	pack_part("part-2", "]\n3\n4"); /* whose last line has no end */
	test_write_file("part-3", "\n\r\n");
	test_write_file("part-a", "\xEF\xBB\xBF\n5\n{\n");
	test_write_file("other", "6\n");
}

static void expect_part(struct opened *opened, int i)
{
	static const struct {
		uint64_t position;
		const char *text, *why;
	} items[] = {
		{1, "1", NULL}, {2, "2", NULL}, {3, NULL, "part-2:1: not JSON: "},  {4, "3", NULL},
		{5, "4", NULL}, {9, "5", NULL}, {10, NULL, "part-a:3: not JSON: "},
	};
	if (items[i].text)
		expect_item(opened, items[i].position, items[i].text);
	else
		expect_bad(opened, items[i].position, items[i].why);
}

enum { PARTS = 7 };

LOOP_TEST(source_reads_the_files_of_a_pattern_as_one)
{
	bool exact = true;
	write_parts();
	struct opened opened = open_pattern(&source_jsonl_adapter);
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	for (int i = 0; i < PARTS; i++) {
		expect_part(&opened, i);
		opened.ops->total(opened.source, &exact);
		ck_assert(!exact);
	}
	item_free(take(&opened, SOURCE_END));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), PARTS);
	ck_assert(exact);
	expect_end(&opened);
}

LOOP_TEST(source_goes_on_behind_any_item_of_a_pattern)
{
	bool exact;
	write_parts();
	for (int after = 0; after <= PARTS; after++) {
		struct opened opened = open_pattern(&source_jsonl_adapter);
		for (int i = 0; i < after; i++)
			expect_part(&opened, i);
		if (after == PARTS)
			item_free(take(&opened, SOURCE_END));
		struct left left = leave(&opened);
		opened = open_pattern(&source_jsonl_adapter);
		go_on(&opened, &left);
		for (int i = after; i < PARTS; i++)
			expect_part(&opened, i);
		item_free(take(&opened, SOURCE_END));
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), PARTS);
		shut(&opened);
	}
}

LOOP_TEST(source_total_of_a_pattern_counts_all_its_files)
{
	char text[10000] = "";
	bool exact;
	for (int i = 0; i < 500; i++)
		strcat(text, "{\"number\": 12345}\n");
	for (int i = 0; i < 4; i++)
		test_write_file(test_format("part-%d", i), text);
	struct opened opened = open_pattern(&source_jsonl_adapter);
	for (int i = 0; i < 2000; i++) {
		item_free(take(&opened, SOURCE_ITEM));
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), 2000);
	}
	expect_end(&opened);
}

/* A kill between two files: what was read last is known by the end of the first. */
LOOP_TEST(source_that_was_left_at_the_end_of_a_file_names_that_file)
{
	test_write_file("part-1", "1\n2\n");
	test_write_file("part-2", "\n\n");
	struct opened opened = open_pattern(&source_lines_adapter);
	item_free(take(&opened, SOURCE_ITEM));
	item_free(take(&opened, SOURCE_ITEM));
	item_free(take(&opened, SOURCE_END)); /* part-2 was read, too, and gave nothing */
	struct left left = leave(&opened);
	ck_assert_msg(strstr(left.cursor.text, "offset=4 line=2 items=2 tail=4/"), "%s", left.cursor.text);
	ck_assert_msg(strstr(left.cursor.text, " file=0 at=2 before=0"), "%s", left.cursor.text);
	free(left.identity);
}

LOOP_TEST(source_says_that_nothing_matches)
{
	const char *path = pattern();
	struct source *source = NULL;
	struct weir_error err = {0};
	void *config = calloc(1, source_lines_adapter.config_bytes);
	memcpy(config_field(&source_lines_adapter, config, "path"), &path, sizeof path);
	ck_assert_int_eq(source_lines_adapter.source->open(config, NULL, &source, &err), WEIR_ENOENT);
	ck_assert_str_eq(err.text, test_format("no file matches %s", path));
	ck_assert_int_eq(mkfifo(part("part-1"), 0600), 0);
	ck_assert_int_eq(source_lines_adapter.source->open(config, NULL, &source, &err), WEIR_EINVAL);
	ck_assert_str_eq(err.text, test_format("%s is not a regular file; a pattern may match only regular files",
					       part("part-1")));
	ck_assert_ptr_null(source);
	free(config);
	test_write_file("part-*", "x\n"); /* the very name */
	struct opened opened = open_pattern(&source_lines_adapter);
	expect_item(&opened, 1, "\"x\"");
	expect_end(&opened);
}

/* ---- files that appear, and that grow */

LOOP_TEST(source_reads_new_files_after_those_it_knows)
{
	test_write_file("part-3", "1\n2\n");
	test_write_file("part-5", "3\n");
	for (unsigned after = 0; after <= 3; after++) {
		struct left left = leave_after(after);
		test_write_file("part-1", "4\n");
		test_write_file("part-4", "5\n");
		struct opened opened = open_pattern(&source_lines_adapter);
		go_on(&opened, &left);
		for (unsigned i = after; i < 4; i++)
			expect_item(&opened, i + 1, test_format("\"%u\"", i + 1));
		left = leave(&opened); /* in part-1; a third run, with one more file */
		test_write_file("part-2", "6\n");
		opened = open_pattern(&source_lines_adapter);
		go_on(&opened, &left);
		expect_item(&opened, 5, "\"5\"");
		expect_item(&opened, 6, "\"6\"");
		expect_end(&opened);
		unlink(part("part-1"));
		unlink(part("part-2"));
		unlink(part("part-4"));
	}
}

LOOP_TEST(source_reads_what_was_added_to_the_file_it_was_in)
{
	test_write_file("part-1", "1\n");
	test_write_file("part-2", "2\n");
	for (unsigned after = 1; after <= 2; after++) {
		struct left left = leave_after(after);
		test_write_file(test_format("part-%u", after), test_format("%u\nadded\n", after));
		struct opened opened = open_pattern(&source_lines_adapter);
		go_on(&opened, &left);
		expect_item(&opened, after + 1, "\"added\"");
		if (after == 1)
			expect_item(&opened, 3, "\"2\"");
		expect_end(&opened);
		test_write_file("part-1", "1\n");
	}
}

/* A folder as a naive reader sees it: its files in the order in which they are read, and how far that has come. */
struct folder {
	struct {
		char name[16], text[400];
		int numbers[40], n;
	} files[120];
	int n;
	int at, line; /* the next number */
	int written;
	uint64_t random;
};

static int below(struct folder *folder, int n)
{
	return (int)weir_random_below(&folder->random, (uint64_t)n);
}

static void add_lines(struct folder *folder, int i, int lines)
{
	char *text = folder->files[i].text;
	for (; lines && folder->files[i].n < 40; lines--) {
		folder->files[i].numbers[folder->files[i].n++] = ++folder->written;
		sprintf(text + strlen(text), "%s%d\n", below(folder, 4) ? "" : "\n", folder->written);
	}
	test_write_file(folder->files[i].name, text);
}

/* New files under any names, and more in those that are not behind the reader. */
static void change_folder(struct folder *folder)
{
	int from = folder->n;
	for (int i = below(folder, 3) + !folder->n; i; i--) {
		int at = folder->n++;
		char name[16];
		do
			snprintf(name, sizeof name, "part-%03d", below(folder, 1000));
		while (access(part(name), F_OK) == 0);
		for (; at > from && strcmp(folder->files[at - 1].name, name) > 0; at--)
			folder->files[at] = folder->files[at - 1];
		memset(&folder->files[at], 0, sizeof folder->files[at]);
		strcpy(folder->files[at].name, name);
		add_lines(folder, at, below(folder, 4));
	}
	for (int i = folder->at; i < from; i++)
		add_lines(folder, i, below(folder, 3));
}

/* The number that comes next; 0: all were read. */
static int next_number(struct folder *folder)
{
	int at = folder->at, line = folder->line;
	while (at < folder->n && line == folder->files[at].n) {
		at++;
		line = 0;
	}
	if (at == folder->n)
		return 0;
	folder->at = at;
	folder->line = line + 1;
	return folder->files[at].numbers[line];
}

LOOP_TEST(source_gives_each_line_of_a_growing_folder_once)
{
	static struct folder folder = {.random = 5};
	struct left left = {0};
	bool exact;
	int items = 0;
	for (int run = 0; run < 50; run++) {
		change_folder(&folder);
		struct opened opened = open_pattern(&source_jsonl_adapter);
		if (left.identity)
			go_on(&opened, &left);
		int number = 1;
		for (int k = below(&folder, 3) ? 1000 : below(&folder, 8); k && number; k--) {
			number = next_number(&folder);
			struct item *item = take(&opened, number ? SOURCE_ITEM : SOURCE_END);
			ck_assert(!number || atoi(item->source.data) == number);
			item_free(item);
			items += number != 0;
		}
		if (!number)
			ck_assert_int_eq(opened.ops->total(opened.source, &exact), items);
		left = leave(&opened);
	}
	free(left.identity);
	ck_assert_int_gt(items, 100);
	ck_assert_int_gt(folder.n, 20);
}

/* ---- what is not the same any more */

LOOP_TEST(source_names_the_file_that_is_not_what_it_was)
{
	static const struct {
		const char *name, *now, *why; /* NULL: gone */
	} cases[] = {
		{"part-1", "1\nadded\n", "part-1 has changed since it was read to its end: it had 2 bytes and has 8"},
		{"part-1", "9\n", "part-1 is not the file that this run has read: its first 2 bytes differ"},
		{"part-1", "1", "part-1 has become shorter"},
		{"part-1", NULL, "part-1 is missing from"},
		{"part-2", "2\n9\n", "part-2 is not the file that this run has read: its first 4 bytes differ"},
		{"part-2", "2\n", "part-2 has become shorter"},
		{"part-2", NULL, "part-2 is missing from"},
		{"part-3", "9\n", "part-3 has changed since this run began, and was not read yet"},
		{"part-3", NULL, "part-3 is missing from"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		test_write_file("part-1", "1\n");
		test_write_file("part-2", "2\n3\n");
		test_write_file("part-3", "4\n");
		struct left left = leave_after(2);
		if (cases[i].now)
			test_write_file(cases[i].name, cases[i].now);
		else
			unlink(part(cases[i].name));
		struct opened opened = open_pattern(&source_lines_adapter);
		expect_refused(&opened, &left, false, cases[i].why);
		free(left.identity);
	}
}

static void replace(const char *name, const char *text)
{
	const char *copy = test_write_file("copy", text);
	ck_assert_int_eq(rename(copy, part(name)), 0);
}

LOOP_TEST(source_adopts_copies_and_what_was_not_read)
{
	struct weir_error err = {0};
	test_write_file("part-1", "1\n");
	test_write_file("part-2", "2\n");
	test_write_file("part-3", "3\n");
	struct left left = leave_after(2);
	replace("part-1", "1\n");
	replace("part-3", "other\n");
	struct opened opened = open_pattern(&source_lines_adapter);
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, false, &err), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, "part-1 was replaced: it was inode") && strstr(err.text, "--adopt"), "%s",
		      err.text);
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, true, &err), 0);
	expect_item(&opened, 3, "\"other\"");
	expect_end(&opened);
	free(left.identity);
}

LOOP_TEST(source_of_one_file_is_not_one_of_a_pattern)
{
	test_write_file("part-1", "1\n2\n");
	struct left left = leave_after(1);
	struct opened opened = open_path(&source_lines_adapter, part("part-1"));
	expect_refused(&opened, &left, true, "was a different source when this run began");
	free(left.identity);
	opened = open_path(&source_lines_adapter, part("part-1"));
	item_free(take(&opened, SOURCE_ITEM));
	left = leave(&opened);
	opened = open_pattern(&source_lines_adapter);
	expect_refused(&opened, &left, true, "was a different source when this run began");
	free(left.identity);
}

LOOP_TEST(source_reads_no_other_file_than_it_looked_up)
{
	struct weir_error err = {0};
	test_write_file("part-1", "1\n");
	test_write_file("part-2", "2\n");
	struct opened opened = open_pattern(&source_lines_adapter);
	replace("part-2", "other\n");
	item_free(take(&opened, SOURCE_ITEM));
	for (int i = 0; i < 2; i++) {
		struct item *item = item_new();
		ck_assert_int_eq(opened.ops->next(opened.source, item, &err, WEIR_FOREVER), WEIR_EINVAL);
		ck_assert_msg(strstr(err.text, "part-2"), "%s", err.text);
		item_free(item);
	}
	struct left left = leave(&opened);
	ck_assert_msg(strstr(left.cursor.text, "offset=2 line=1 items=1 tail=2/"), "%s", left.cursor.text);
	free(left.identity);
}

/* ---- headers */

LOOP_TEST(source_csv_reads_the_header_of_each_file)
{
	static const char *const rows[] = {"{\"a\":\"1\",\"b c\":\"x\"}", "{\"a\":\"2\",\"b c\":\"\\n\"}",
					   "{\"a\":\"3\",\"b c\":\"z\"}"};
	static const uint64_t positions[] = {2, 5, 8};
	test_write_file("part-1", "a,b c\n1,x\n");
	test_write_file("part-2", "\na,\"b c\"\n2,\"\n\"\n");
	test_write_file("part-3", "\xEF\xBB\xBF"
				  "a,b c\r\n3,z");
	test_write_file("part-4", "a,b c\n");
	for (int after = 0; after <= 3; after++) {
		struct opened opened = open_pattern(&source_csv_adapter);
		for (int i = 0; i < after; i++)
			expect_item(&opened, positions[i], rows[i]);
		struct left left = leave(&opened);
		opened = open_pattern(&source_csv_adapter);
		go_on(&opened, &left);
		for (int i = after; i < 3; i++)
			expect_item(&opened, positions[i], rows[i]);
		expect_end(&opened);
	}
}

LOOP_TEST(source_csv_refuses_a_file_with_another_header_and_names_both)
{
	static const struct {
		const char *header, *why;
	} cases[] = {
		{"a,c\n", ":1:3: field 2 of the header is \"c\", but \"b\" in "},
		{"a\n", ":1:1: field 2 of the header is missing, but \"b\" in "},
		{"a,b,c\n", ":1:5: field 3 of the header is \"c\", but missing in "},
		{"b,a\n", ":1:1: field 1 of the header is \"b\", but \"a\" in "},
		{"a,\"b\n", ":1:3: the quote is not closed"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weir_error err = {0};
		struct item *item = item_new();
		test_write_file("part-1", "a,b\n1,2\n");
		test_write_file("part-2", cases[i].header);
		struct opened opened = open_pattern(&source_csv_adapter);
		item_free(take(&opened, SOURCE_ITEM));
		ck_assert_int_eq(opened.ops->next(opened.source, item, &err, WEIR_FOREVER), WEIR_EINVAL);
		ck_assert_msg(strstr(err.text, test_format("part-2%s", cases[i].why)), "%s", err.text);
		ck_assert_msg(i == 4 || strstr(err.text, part("part-1")), "%s", err.text);
		item_free(item);
		shut(&opened);
	}
}

/* Where the header was mended, nothing of that file was read. */
LOOP_TEST(source_csv_adopts_a_header_that_was_mended)
{
	struct weir_error err = {0};
	struct item *item = item_new();
	test_write_file("part-1", "a,b\n1,2\n");
	test_write_file("part-2", "a,c\n3,4\n");
	struct opened opened = open_pattern(&source_csv_adapter);
	item_free(take(&opened, SOURCE_ITEM));
	ck_assert_int_eq(opened.ops->next(opened.source, item, &err, WEIR_FOREVER), WEIR_EINVAL);
	item_free(item);
	struct left left = leave(&opened);
	test_write_file("part-2", "a,b\n3,4\n");
	opened = open_pattern(&source_csv_adapter);
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, true, &err), 0);
	expect_item(&opened, 4, "{\"a\":\"3\",\"b\":\"4\"}");
	expect_end(&opened);
	free(left.identity);
}
