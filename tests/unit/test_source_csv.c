/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#include "data/json.h"
#include "sources.h"
#include "support/test.h"

#define CSV &source_csv_adapter

struct dialect {
	bool no_header;
	const char *delimiter;
	const char *columns[4];
};

/* What is in the config is borrowed; `columns` lives in one block behind it. */
static void *make_config(const char *path, const struct dialect *dialect)
{
	struct key_strings columns = {.values = calloc(4, sizeof(char *))};
	void *config = calloc(1, source_csv_adapter.config_bytes);
	bool header = !dialect->no_header;
	const char *delimiter = dialect->delimiter ? dialect->delimiter : ",";
	for (; columns.n < 4 && dialect->columns[columns.n]; columns.n++)
		columns.values[columns.n] = (char *)(uintptr_t)dialect->columns[columns.n];
	memcpy(config_field(CSV, config, "path"), &path, sizeof path);
	memcpy(config_field(CSV, config, "header"), &header, sizeof header);
	memcpy(config_field(CSV, config, "delimiter"), &delimiter, sizeof delimiter);
	memcpy(config_field(CSV, config, "columns"), &columns, sizeof columns);
	return config;
}

static void free_columns(void *config)
{
	struct key_strings columns;
	memcpy(&columns, config_field(CSV, config, "columns"), sizeof columns);
	free(columns.values);
}

static const struct dialect usual;

static struct opened open_csv(const char *path, const struct dialect *dialect)
{
	struct opened opened = open_with(CSV, make_config(path, dialect));
	free_columns(opened.config); /* they are read when it is opened */
	return opened;
}

static struct opened open_text(const char *text, size_t n)
{
	return open_csv(write_bytes("input", text, n), &usual);
}

/* ---- records */

LOOP_TEST(source_csv_makes_objects_of_records)
{
	static const char text[] = "\xEF\xBB\xBFid,\"the \"\"name\"\"\",note\r\n"
				   "1,Ada,\r\n"
				   "\r\n"
				   "2,\"Lovelace, \"\"A.\"\"\",\"two\r\nlines\"\r\n"
				   ",,\n"
				   "\"\",\xC3\xA4,\" x \"\n"
				   "3, y ,last";
	struct opened opened = open_text(text, sizeof text - 1);
	expect_item(&opened, 2, "{\"id\":\"1\",\"the \\\"name\\\"\":\"Ada\",\"note\":\"\"}");
	expect_item(&opened, 4,
		    "{\"id\":\"2\",\"the \\\"name\\\"\":\"Lovelace, \\\"A.\\\"\",\"note\":\"two\\r\\nlines\"}");
	expect_item(&opened, 6, "{\"id\":\"\",\"the \\\"name\\\"\":\"\",\"note\":\"\"}");
	expect_item(&opened, 7, "{\"id\":\"\",\"the \\\"name\\\"\":\"\xC3\xA4\",\"note\":\" x \"}");
	expect_item(&opened, 8, "{\"id\":\"3\",\"the \\\"name\\\"\":\" y \",\"note\":\"last\"}");
	expect_end(&opened);
}

LOOP_TEST(source_csv_says_what_is_wrong_with_a_record_and_goes_on)
{
	static const char text[] = "a,b\n"
				   "1\n"
				   "1,2,3\n"
				   "1,2\"\n"
				   "\"1\"x,2\n"
				   "1,x\ry\n"
				   "\xFF,1\n"
				   "1,\0\n"
				   "\"1\n2\",\"\n\"\"\"\n"
				   "x,\"1";
	struct opened opened = open_text(text, sizeof text - 1);
	expect_bad(&opened, 2, "1 field, expected 2");
	expect_bad(&opened, 3, "3 fields, expected 2");
	expect_bad(&opened, 4, "field 2: a quote inside");
	expect_bad(&opened, 5, "field 1: text after the closing quote");
	expect_bad(&opened, 6, "field 2: a carriage return");
	expect_bad(&opened, 7, "invalid UTF-8 at byte 1");
	expect_bad(&opened, 8, "NUL at byte 3");
	expect_item(&opened, 9, "{\"a\":\"1\\n2\",\"b\":\"\\n\\\"\"}");
	expect_bad(&opened, 12, "field 2: the quote is not closed");
	expect_end(&opened);
}

LOOP_TEST(source_csv_knows_other_delimiters_and_files_without_header)
{
	const char *path = test_write_file("input", "1;\"2;3\"\n4;5,6\n");
	struct opened opened = open_csv(path, &(struct dialect){true, ";", {"a", "b"}});
	expect_item(&opened, 1, "{\"a\":\"1\",\"b\":\"2;3\"}");
	expect_item(&opened, 2, "{\"a\":\"4\",\"b\":\"5,6\"}");
	expect_end(&opened);
	opened = open_csv(path, &(struct dialect){false, ";", {"a", "b"}});
	expect_item(&opened, 2, "{\"a\":\"4\",\"b\":\"5,6\"}");
	expect_end(&opened);
}

LOOP_TEST(source_csv_of_nothing_ends_immediately)
{
	static const char *const texts[] = {"", "\xEF\xBB\xBF", "\n\r\n", "a,b", "a,b\n", "\n\na,b\r\n\r\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct opened opened = open_text(texts[i], strlen(texts[i]));
		expect_end(&opened);
	}
}

/* ---- headers */

static void expect_no_header(const char *text, size_t n, const struct dialect *dialect, int line, int column,
			     const char *reason)
{
	const char *path = write_bytes("input", text, n);
	void *config = make_config(path, dialect);
	struct source *source = NULL;
	struct weir_error err = {0};
	ck_assert_int_eq(source_csv_adapter.source->open(config, NULL, &source, &err), WEIR_EINVAL);
	const char *place = test_format("%s:%d:%d: ", path, line, column);
	ck_assert_msg(strncmp(err.text, place, strlen(place)) == 0, "%s, expected %s", err.text, place);
	ck_assert_msg(strstr(err.text, reason), "%s, expected %s", err.text, reason);
	ck_assert_int_eq(err.line, line);
	ck_assert_ptr_null(source);
	free_columns(config);
	free(config);
}

LOOP_TEST(source_csv_refuses_a_header_with_its_place)
{
	char *wide = repeat(',', 5000, "\n"), *huge = repeat('x', MIB + 1, "\n");
	expect_no_header("id,name,id\n", 11, &usual, 1, 9, "duplicate name \"id\"");
	expect_no_header("\n\"a\nb\",a,\n", 10, &usual, 3, 6, "empty name");
	expect_no_header("id,\"name\n", 9, &usual, 1, 4, "not closed");
	expect_no_header("id,\xFF\n", 5, &usual, 1, 1, "invalid UTF-8 at byte 4");
	expect_no_header("a,b,c\n", 6, &(struct dialect){false, ",", {"x", "y"}}, 1, 1,
			 "3 fields, but `columns` names 2");
	expect_no_header(wide, 5001, &usual, 1, 1, "empty name");
	expect_no_header(huge, MIB + 2, &usual, 1, 1, "over 1 MiB");
	free(wide);
	free(huge);
}

static void expect_check(const struct dialect *dialect, const char *blamed, const char *text)
{
	void *config = make_config("input", dialect);
	struct weir_error err = {0};
	const char *key = NULL;
	int code = source_csv_adapter.check(config, &key, &err);
	ck_assert_int_eq(code, blamed ? WEIR_EINVAL : 0);
	if (blamed)
		ck_assert_str_eq(key, blamed);
	ck_assert_msg(strstr(err.text, text), "%s, expected %s", err.text, text);
	free_columns(config);
	free(config);
}

TEST(source_csv_checks_its_keys)
{
	expect_check(&usual, NULL, "");
	expect_check(&(struct dialect){true, "\t", {"a"}}, NULL, "");
	expect_check(&(struct dialect){true, ",", {NULL}}, "columns", "is required");
	expect_check(&(struct dialect){true, ",", {"a", "b", "a"}}, "columns", "duplicate");
	expect_check(&(struct dialect){false, ",", {"a", ""}}, "columns", "empty");
	expect_check(&(struct dialect){false, "", {NULL}}, "delimiter", "one ASCII character");
	expect_check(&(struct dialect){false, "::", {NULL}}, "delimiter", "one ASCII character");
	expect_check(&(struct dialect){false, "\"", {NULL}}, "delimiter", "one ASCII character");
	expect_check(&(struct dialect){false, "\n", {NULL}}, "delimiter", "one ASCII character");
	expect_check(&(struct dialect){false, "\xC3\xA4", {NULL}}, "delimiter", "one ASCII character");
}

/* ---- long records */

LOOP_TEST(source_csv_passes_over_a_record_of_over_1_mib)
{
	char *field = repeat('x', MIB, ""), *text = malloc(4 * MIB);
	ck_assert_ptr_nonnull(text);
	sprintf(text, "a\n%s\n1\n%s,\n2\n\"%s\n3\n", field, field, field); /* fits as a record, not as an object */
	struct opened opened = open_text(text, strlen(text));
	expect_bad(&opened, 2, "over 1 MiB as a JSON object");
	expect_item(&opened, 3, "{\"a\":\"1\"}");
	expect_bad(&opened, 4, "record over 1 MiB");
	expect_item(&opened, 5, "{\"a\":\"2\"}");
	expect_bad(&opened, 6, "record over 1 MiB; field 1: the quote is not closed; 2 lines were read as one record");
	expect_end(&opened);
	free(field);
	free(text);
}

/* 1,000 records, a quote lost in the 20th, and what is added behind the last. */
static struct opened open_with_lost_quote(const char *behind, const char *wide)
{
	struct buf text = {0};
	buf_add_str(&text, "id,name,qty\n");
	for (int i = 1; i <= 1000; i++)
		buf_addf(&text, "%d,%sitem %d%s,%d\n", i, i == 20 ? "\"" : "", i, i == 500 ? wide : "", i);
	buf_add_str(&text, behind);
	struct opened opened = open_text(text.data, text.len);
	for (int i = 1; i < 20; i++)
		item_free(take(&opened, SOURCE_ITEM));
	buf_fini(&text);
	return opened;
}

LOOP_TEST(source_csv_says_how_many_lines_a_lost_quote_took)
{
	static const struct {
		const char *behind, *why;
		bool wide;
	} cases[] = {
		{"", "field 2: the quote is not closed; 981 lines were read as one record", false},
		{"last", "field 2: the quote is not closed; 982 lines were read as one record", false},
		{"1,a\"b,2\n", "field 2: text after the closing quote; 982 lines were read as one", false},
		{"1,a\",2,3\n", "4 fields, expected 3; 982 lines were read as one record", false},
		{"\xFF", "invalid UTF-8 at byte 16", false},
		{"", "record over 1 MiB; field 2: the quote is not closed; 981 lines were read as one record", true},
		{"1,\",2\n", "record over 1 MiB; the quote of field 2 may not be closed; 982 lines were read as one",
		 true},
	};
	char *wide = repeat('x', MIB, "");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct opened opened = open_with_lost_quote(cases[i].behind, cases[i].wide ? wide : "");
		expect_bad(&opened, 21, cases[i].why);
		expect_end(&opened);
	}
	free(wide);
}

LOOP_TEST(source_csv_names_the_open_field_only_where_it_sees_it)
{
	char *wide = repeat('x', MIB, "");
	const char *text = test_format("a,b\n%s,\"1\n2\n", wide);
	struct opened opened = open_text(text, strlen(text));
	expect_bad(&opened, 2, "record over 1 MiB; a quote is not closed; 2 lines were read as one record");
	expect_end(&opened);
	free(wide);
}

LOOP_TEST(source_csv_survives_an_endless_quote_in_bounded_memory)
{
	const char *path = test_write_file("long", "a\n\"");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "\"\n1\n", 4, 100000000), 4);
	close(fd);
	reset_peak();
	long before = peak_kib();
	struct opened opened = open_csv(path, &usual);
	expect_bad(&opened, 2, "record over 1 MiB");
	expect_item(&opened, 3, "{\"a\":\"1\"}");
	expect_end(&opened);
	ck_assert_int_lt(peak_kib() - before, 10000);
}

/* ---- a naive model of the parser, and random bytes */

struct record {
	uint64_t position;
	bool bad;
	char *json;
};

struct model {
	struct record records[1200];
	size_t n;
};

static void add_escaped(char *json, char c)
{
	size_t n = strlen(json);
	if (c == '"' || c == '\n' || c == '\r')
		sprintf(json + n, "\\%c", c == '"' ? '"' : c == '\n' ? 'n' : 'r');
	else
		sprintf(json + n, "%c", c);
}

/* Goes through all of the text a byte at a time, knowing what comes before and behind; fields are named a, b and c. */
static void model_parse(struct model *model, const char *text, size_t n)
{
	size_t at = 0, line = 1;
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		at = 3;
	while (at < n) {
		size_t begin = at, fields = 0;
		struct record record = {.position = line, .json = calloc(1, 2 * n + 100)};
		for (bool more = true; more; fields++) {
			sprintf(record.json + strlen(record.json), "%s\"%c\":\"", fields ? "," : "{",
				'a' + (char)fields % 26);
			if (at < n && text[at] == '"') {
				for (at++; at < n && (text[at] != '"' || (at + 1 < n && text[at + 1] == '"')); at++) {
					line += text[at] == '\n';
					add_escaped(record.json, text[at]);
					at += text[at] == '"';
				}
				if (at < n)
					at++;
				else
					record.bad = true;
			}
			bool quoted = at > begin && text[at - 1] == '"';
			for (; at < n && text[at] != ',' && text[at] != '\n'; at++) {
				if (text[at] == '\r' && at + 1 < n && text[at + 1] == '\n')
					continue;
				record.bad = record.bad || quoted || text[at] == '"' || text[at] == '\r';
				add_escaped(record.json, text[at]);
			}
			strcat(record.json, "\"");
			more = at < n && text[at] == ',';
			at += more;
		}
		strcat(record.json, "}");
		size_t len = at - begin;
		len -= at < n && len && text[at - 1] == '\r';
		record.bad = record.bad || fields != 3 || !json_utf8_valid(text + begin, len) ||
			     memchr(text + begin, 0, len);
		line++;
		at++;
		if (len)
			model->records[model->n++] = record;
		else
			free(record.json);
	}
}

static void model_free(struct model *model)
{
	for (size_t i = 0; i < model->n; i++)
		free(model->records[i].json);
	model->n = 0;
}

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 11;
}

/* Mostly records of three fields, so that many are good. */
static size_t random_text(uint64_t *random, char *text, size_t most)
{
	static const char *const pieces[] = {"a",        "xy",   "\xC3\xA4", "\"q\"",   "\"a,b\"", "\"\"\"\"",
					     "\"x\ny\"", "",     "\"",       "\r",      "\n",      "\r\n",
					     "\0",       "\xFF", ",",        "\"\r\n\""};
	size_t n = 0, target = draw(random) % most, wild = draw(random) % 30;
	if (draw(random) % 4 == 0)
		n = (size_t)sprintf(text, "\xEF\xBB\xBF");
	for (unsigned field = 0; n < target; field++) {
		bool any = draw(random) % 100 < wild;
		const char *piece = pieces[draw(random) % (any ? 16 : 8)];
		size_t len = any && !*piece ? 1 : strlen(piece);
		memcpy(text + n, piece, len);
		n += len;
		if (!any || draw(random) % 2)
			text[n++] = field % 3 == 2 ? '\n' : ',';
	}
	return n;
}

static void expect_record(struct opened *opened, const struct record *record, uint64_t seed)
{
	struct item *item = take(opened, record->bad ? SOURCE_BAD : SOURCE_ITEM);
	ck_assert_msg(item->position == record->position, "seed %llu: line %llu, expected %llu",
		      (unsigned long long)seed, (unsigned long long)item->position,
		      (unsigned long long)record->position);
	ck_assert_msg(record->bad || strcmp(item->source.data, record->json) == 0, "seed %llu: %s, expected %s",
		      (unsigned long long)seed, item->source.data, record->json);
	item_free(item);
}

struct pieces {
	const char *text;
	size_t n;
	uint64_t random;
	int fd;
};

static int write_pieces(void *arg)
{
	struct pieces *pieces = arg;
	for (size_t at = 0, n; at < pieces->n; at += n) {
		n = draw(&pieces->random) % 7 + 1;
		if (n > pieces->n - at)
			n = pieces->n - at;
		if (write(pieces->fd, pieces->text + at, n) < 0)
			return -errno;
		weir_yield();
		weir_yield();
	}
	close(pieces->fd);
	return 0;
}

static const struct dialect three = {true, ",", {"a", "b", "c"}};

static void read_in_pieces(const struct model *model, const char *text, size_t n, uint64_t seed)
{
	struct pieces pieces = {.text = text, .n = n, .random = seed};
	struct weir_group *group;
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pieces.fd = fds[1];
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	struct opened opened = open_csv(test_format("/proc/self/fd/%d", fds[0]), &three);
	ck_assert_int_eq(weir_group_spawn(group, write_pieces, &pieces, WEIR_FOREVER), 0);
	for (size_t i = 0; i < model->n; i++)
		expect_record(&opened, &model->records[i], seed);
	expect_end(&opened);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	close(fds[0]);
}

/* The file is left and opened again, at a record that is drawn. */
static void read_in_two_runs(const struct model *model, const char *text, size_t n, uint64_t *random, uint64_t seed)
{
	const char *path = write_bytes("input", text, n);
	size_t cut = model->n ? draw(random) % (model->n + 1) : 0;
	struct opened opened = open_csv(path, &three);
	for (size_t i = 0; i < cut; i++)
		expect_record(&opened, &model->records[i], seed);
	struct left left = leave(&opened);
	opened = open_csv(path, &three);
	go_on(&opened, &left);
	for (size_t i = cut; i < model->n; i++)
		expect_record(&opened, &model->records[i], seed);
	expect_end(&opened);
}

LOOP_TEST(source_csv_reads_random_bytes_as_a_naive_model_does)
{
	static struct model model;
	char text[2100];
	size_t good = 0, bad = 0;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		uint64_t random = seed * 0x9E3779B97F4A7C15u;
		size_t n = random_text(&random, text, seed % 2 ? 60 : 2000);
		model_parse(&model, text, n);
		read_in_pieces(&model, text, n, seed);
		read_in_two_runs(&model, text, n, &random, seed);
		for (size_t i = 0; i < model.n; i++)
			model.records[i].bad ? bad++ : good++;
		model_free(&model);
	}
	ck_assert_uint_gt(good, 1000);
	ck_assert_uint_gt(bad, 1000);
}

/* ---- going on */

LOOP_TEST(source_csv_reads_the_header_again_when_it_goes_on)
{
	const char *path = test_write_file("input", "a,b\r\n1,\"x\ny\"\r\n\r\n2,z\r\n");
	bool exact;
	for (int after = 0; after < 3; after++) {
		struct opened opened = open_csv(path, &usual);
		for (int i = 0; i < after; i++)
			item_free(take(&opened, SOURCE_ITEM));
		struct left left = leave(&opened);
		opened = open_csv(path, &usual);
		go_on(&opened, &left);
		if (after == 0)
			expect_item(&opened, 2, "{\"a\":\"1\",\"b\":\"x\\ny\"}");
		if (after < 2)
			expect_item(&opened, 5, "{\"a\":\"2\",\"b\":\"z\"}");
		item_free(take(&opened, SOURCE_END));
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), 2);
		expect_end(&opened);
	}
}

/* Each of the pipe's writes ends where the reader has least to go by. */
LOOP_TEST(source_csv_reads_a_header_from_a_pipe_when_it_comes)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	struct opened opened = open_csv(test_format("/proc/self/fd/%d", fds[0]), &usual);
	struct item *item = item_new();
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "a\n\"", 3), 3);
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "1\"", 2), 2);
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "\"\"\n", 3), 3);
	item_free(item);
	expect_item(&opened, 2, "{\"a\":\"1\\\"\"}");
	close(fds[1]);
	expect_end(&opened);
	close(fds[0]);
}

/* ---- what has grown */

/* Leaves `before` after that many records, then finds `after`. */
static struct opened read_grown(const char *before, int records, const char *after, struct left *ret_left)
{
	struct opened opened = open_csv(test_write_file("input", before), &usual);
	for (int i = 0; i < records; i++) {
		struct item *item = item_new();
		ck_assert_int_gt(opened.ops->next(opened.source, item, NULL, WEIR_FOREVER), 0);
		item_free(item);
	}
	item_free(take(&opened, SOURCE_END));
	*ret_left = leave(&opened);
	return open_csv(test_write_file("input", after), &usual);
}

LOOP_TEST(source_csv_that_grew_after_its_end_gives_the_new_records)
{
	static const struct {
		const char *before, *after;
		int records;
		uint64_t line; /* of the new record */
	} cases[] = {
		{"a,b\n1,2\n", "a,b\n1,2\n3,4\n", 1, 3},
		{"a,b\n1,2", "a,b\n1,2\r\n3,4", 1, 3},
		{"a,b\n1,\"2\n\"", "a,b\n1,\"2\n\"\n3,4\n", 1, 4},
		{"a,b\n1,2\n\n\r\n", "a,b\n1,2\n\n\r\n\n3,4\n", 1, 6},
		{"a,b\n", "a,b\n3,4\n", 0, 2},
		{"", "a,b\n3,4\n", 0, 2},
	};
	struct left left;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct opened opened = read_grown(cases[i].before, cases[i].records, cases[i].after, &left);
		go_on(&opened, &left);
		expect_item(&opened, cases[i].line, "{\"a\":\"3\",\"b\":\"4\"}");
		expect_end(&opened);
	}
}

LOOP_TEST(source_csv_whose_last_record_became_longer_is_refused)
{
	static const struct {
		const char *before, *after, *why;
	} cases[] = {
		{"a,b\n1,2", "a,b\n1,23\n", "line 2, which was read, ended at byte 7 and does not now"},
		{"a,b\n1,\"2\n", "a,b\n1,\"2\n3,4\n", "it ended inside quotes, and is longer now"},
		{"a,b\n1,\"2", "a,b\n1,\"2\n\"\n", "it ended inside quotes, and is longer now"},
	};
	struct left left;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct opened opened = read_grown(cases[i].before, 1, cases[i].after, &left);
		expect_refused(&opened, &left, true, cases[i].why);
		free(left.identity);
	}
	struct opened opened = read_grown("a,b\n1,\"2\n", 1, "a,b\n1,\"2\n", &left);
	go_on(&opened, &left);
	expect_end(&opened);
}
