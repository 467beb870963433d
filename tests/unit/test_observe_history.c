/* SPDX-License-Identifier: MIT */
/* The history of a run: rings of rows in a file. */
#include "observe/history.h"

#include "unit/fibers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT INT64_C(1790000000) /* a Monday, 16:13:20 */

static const struct history_figure figures[] = {
	{"done", HISTORY_SUM}, {"in_flight", HISTORY_MEAN}, {"memory", HISTORY_MOST}};

static char folder[40], path[60];

static struct history *open_history(void)
{
	struct history *history;
	struct weir_error err = {0};
	ck_assert_msg(!history_open(path, figures, 3, &history, &err), "%s", err.text);
	return history;
}

static struct history *new_history(void)
{
	strcpy(folder, "/tmp/weir-history-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/history", folder);
	return open_history();
}

static void drop(struct history *history)
{
	history_close(history);
	unlink(path);
	rmdir(folder);
}

static void add(struct history *history, int64_t at, float done, float in_flight, float memory)
{
	ck_assert_int_eq(history_add(history, at, (float[]){done, in_flight, memory}), 0);
}

static size_t read_all(const struct history *history, enum history_step step, int64_t since, int64_t now,
		       struct history_row **ret_rows)
{
	size_t n;
	ck_assert_int_eq(history_read(history, step, since, now, ret_rows, &n), 0);
	return n;
}

static size_t count(const struct history *history, enum history_step step, int64_t now)
{
	struct history_row *rows;
	size_t n = read_all(history, step, 0, now, &rows);
	free(rows);
	return n;
}

TEST(observe_history_makes_minutes_and_hours_of_seconds)
{
	struct history *history = new_history();
	struct history_row *rows;
	add(history, AT, 10, 4, 100);
	add(history, AT + 1, 20, 8, 50);
	add(history, AT + 100, 5, 1, 10);
	ck_assert_uint_eq(read_all(history, HISTORY_SECOND, 0, AT + 100, &rows), 3);
	ck_assert_int_eq(rows[0].at, AT);
	ck_assert_int_eq(rows[2].at, AT + 100);
	ck_assert_float_eq(rows[1].values[0], 20);
	free(rows);
	ck_assert_uint_eq(read_all(history, HISTORY_MINUTE, 0, AT + 100, &rows), 2);
	ck_assert_int_eq(rows[0].at, AT - AT % 60);
	ck_assert_uint_eq(rows[0].looks, 2);
	ck_assert_float_eq(rows[0].values[0], 30);
	ck_assert_float_eq(rows[0].values[1], 6);
	ck_assert_float_eq(rows[0].values[2], 100);
	free(rows);
	ck_assert_uint_eq(read_all(history, HISTORY_HOUR, 0, AT + 100, &rows), 1);
	ck_assert_float_eq(rows[0].values[0], 35);
	free(rows);
	drop(history);
}

TEST(observe_history_goes_on_when_it_is_opened_again_and_shows_the_gap)
{
	struct history *history = new_history();
	struct history_row *rows;
	add(history, AT, 1, 0, 0);
	history_close(history);
	history = open_history();
	add(history, AT + 20, 2, 0, 0);
	ck_assert_uint_eq(read_all(history, HISTORY_SECOND, 0, AT + 20, &rows), 2);
	ck_assert_int_eq(rows[1].at - rows[0].at, 20);
	free(rows);
	ck_assert_uint_eq(read_all(history, HISTORY_MINUTE, 0, AT + 20, &rows), 1);
	ck_assert_float_eq(rows[0].values[0], 3);
	free(rows);
	drop(history);
}

TEST(observe_history_keeps_an_hour_a_week_and_90_days_in_a_file_that_does_not_grow)
{
	struct history *history = new_history();
	struct stat st;
	const int64_t day = 24 * 3600, now = AT + 100 * day;
	for (int64_t at = AT; at <= now; at += 600)
		add(history, at, 1, 0, 0);
	for (int64_t at = now - 7200; at <= now; at++)
		add(history, at, 1, 0, 0);
	ck_assert_uint_eq(count(history, HISTORY_SECOND, now), 3600);
	ck_assert_uint_eq(count(history, HISTORY_MINUTE, now), 7 * 24 * 6 - 12 + 120);
	ck_assert_uint_eq(count(history, HISTORY_HOUR, now), 90 * 24);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_lt(st.st_size, 2100000);
	/* A clock that was set back shows no rows of the future. */
	ck_assert_uint_eq(count(history, HISTORY_HOUR, now - 10 * day), 80 * 24);
	drop(history);
}

TEST(observe_history_begins_where_it_is_asked_to)
{
	struct history *history = new_history();
	struct history_row *rows;
	for (int64_t i = 0; i < 10; i++)
		add(history, AT + i, (float)i, 0, 0);
	ck_assert_uint_eq(read_all(history, HISTORY_SECOND, AT + 7, AT + 9, &rows), 3);
	ck_assert_float_eq(rows[0].values[0], 7);
	free(rows);
	drop(history);
}

TEST(observe_history_passes_over_a_row_that_was_torn)
{
	struct history *history = new_history();
	add(history, AT, 1, 0, 0);
	add(history, AT + 1, 2, 0, 0);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "x", 1, 4096 + (AT % 3600) * 128 + 20), 1);
	close(fd);
	ck_assert_uint_eq(count(history, HISTORY_SECOND, AT + 1), 1);
	add(history, AT, 5, 0, 0);
	ck_assert_uint_eq(count(history, HISTORY_SECOND, AT + 1), 2);
	drop(history);
}

TEST(observe_history_of_other_figures_is_begun_anew_and_not_misread)
{
	static const struct history_figure others[] = {{"done", HISTORY_SUM}};
	struct history *history = new_history(), *other;
	struct weir_error err = {0};
	add(history, AT, 1, 0, 0);
	ck_assert_int_eq(history_look(path, others, 1, &other, &err), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(err.text, "another version"));
	ck_assert_int_eq(history_open(path, others, 1, &other, &err), 0);
	ck_assert_uint_eq(count(other, HISTORY_SECOND, AT), 0);
	history_close(other);
	drop(history);
}

TEST(observe_history_that_is_not_there_or_is_a_link_is_not_opened)
{
	struct history *history = new_history(), *other;
	struct weir_error err = {0};
	char link[80];
	snprintf(link, sizeof link, "%s/link", folder);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_eq(history_open(link, figures, 3, &other, &err), -ELOOP);
	unlink(link);
	ck_assert_int_eq(history_look(link, figures, 3, &other, &err), -ENOENT);
	drop(history);
}

TEST(observe_history_as_json_has_columns_and_rows)
{
	struct history *history = new_history();
	struct buf json = {0};
	add(history, AT, 10, 4.5F, 100);
	ck_assert_int_eq(history_json(history, HISTORY_SECOND, 0, AT, &json), 0);
	ck_assert_str_eq(json.data, "{\"step\":1,\"columns\":[\"at\",\"looks\",\"done\",\"in_flight\",\"memory\"],"
				    "\"rows\":[[1790000000,1,10,4.5,100]]}\n");
	buf_fini(&json);
	drop(history);
}

TEST(observe_history_is_added_to_by_one_at_a_time)
{
	struct history *first = new_history(), *second = open_history();
	struct history_row *rows;
	add(first, AT, 10, 4, 100);
	add(second, AT, 10, 4, 100);
	ck_assert_uint_eq(read_all(second, HISTORY_SECOND, 0, AT, &rows), 1);
	ck_assert_uint_eq(rows[0].looks, 1);
	free(rows);
	history_close(first);
	add(second, AT + 1, 10, 4, 100); /* of which the first may have added a part */
	add(second, AT + 2, 10, 4, 100);
	ck_assert_uint_eq(count(second, HISTORY_SECOND, AT + 2), 2);
	history_yield(second);
	add(second, AT + 3, 10, 4, 100);
	first = open_history();
	add(first, AT + 4, 10, 4, 100);
	add(second, AT + 5, 10, 4, 100);
	ck_assert_uint_eq(count(second, HISTORY_SECOND, AT + 5), 4);
	history_close(first);
	drop(second);
}
