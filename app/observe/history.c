/* SPDX-License-Identifier: MIT */
/* See history.h.  The file: a head, which names the figures, and a ring of records for each step. */
#include "observe/history.h"

#include "data/crc.h"
#include "data/json_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, RECORD_BYTES = 128 };

/* A row as it is stored; `sum` is the checksum of the rest. */
union record {
	struct history_row row;
	char bytes[RECORD_BYTES];
};
_Static_assert(sizeof(union record) == RECORD_BYTES, "a row fills its record");

static const struct {
	const char *name;
	int64_t seconds, places;
} rings[HISTORY_STEPS] = {{"1s", 1, 3600}, {"1m", 60, 7 * 24 * 60}, {"1h", 3600, 90 * 24}};

struct history {
	int fd;
	const struct history_figure *figures;
	size_t n;
	bool yields, was_denied;
	bool is_ours; /* this process adds, and no other; the kernel lets go of the lock when it ends */
};

int64_t history_seconds(enum history_step step)
{
	return rings[step].seconds;
}

const char *history_step_name(enum history_step step)
{
	return rings[step].name;
}

bool history_step_read(const char *name, enum history_step *ret_step)
{
	for (enum history_step step = 0; step < HISTORY_STEPS; step++) {
		if (strcmp(name, rings[step].name))
			continue;
		*ret_step = step;
		return true;
	}
	return false;
}

static off_t ring_at(enum history_step step)
{
	int64_t places = 0;
	for (enum history_step i = 0; i < step; i++)
		places += rings[i].places;
	return HEAD_BYTES + places * RECORD_BYTES;
}

static int64_t place_of(enum history_step step, int64_t at)
{
	return at / rings[step].seconds % rings[step].places;
}

static uint32_t checksum(const union record *record)
{
	union record copy = *record;
	copy.row.sum = 0;
	return crc_add(0, copy.bytes, sizeof copy.bytes);
}

/* --- the head --- */

static void make_head(const struct history_figure *figures, size_t n, char head[HEAD_BYTES])
{
	static const char *const kinds[] = {"sum", "mean", "most"};
	struct buf text = {0};
	buf_add_str(&text, "weir history 1\n");
	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%s %s\n", figures[i].name, kinds[figures[i].kind]);
	memset(head, 0, HEAD_BYTES);
	if (!text.failed)
		memcpy(head, text.data, text.len < HEAD_BYTES ? text.len : HEAD_BYTES);
	buf_fini(&text);
}

/* 1: it is ours; 0: it is not. */
static int read_head(const struct history *history)
{
	char head[HEAD_BYTES], there[HEAD_BYTES];
	make_head(history->figures, history->n, head);
	ssize_t n = pread(history->fd, there, sizeof there, 0);
	return n < 0 ? -errno : n == HEAD_BYTES && !memcmp(head, there, HEAD_BYTES);
}

static int write_head(const struct history *history)
{
	char head[HEAD_BYTES];
	make_head(history->figures, history->n, head);
	if (ftruncate(history->fd, 0) || ftruncate(history->fd, ring_at(HISTORY_STEPS)))
		return -errno;
	ssize_t n = pwrite(history->fd, head, sizeof head, 0);
	return n < 0 ? -errno : n == HEAD_BYTES ? 0 : -ENOSPC;
}

/* --- open, close --- */

static int open_file(const char *path, int flags, const struct history_figure *figures, size_t n,
		     struct history **ret_history, struct weir_error *err)
{
	struct history *history = malloc(sizeof *history);
	if (!history)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*history = (struct history){open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600), figures, n, false, false, false};
	int code = history->fd < 0 ? -errno : read_head(history);
	if (code == 0)
		code = flags & O_CREAT ? write_head(history) : WEIR_EDATA;
	if (code < 0) {
		history_close(history);
		return weir_error_set(err, code, "%s: %s", path,
				      code == WEIR_EDATA ? "written by another version of weir" : weir_strerror(code));
	}
	*ret_history = history;
	return 0;
}

int history_open(const char *path, const struct history_figure *figures, size_t n, struct history **ret_history,
		 struct weir_error *err)
{
	return open_file(path, O_RDWR | O_CREAT, figures, n, ret_history, err);
}

int history_look(const char *path, const struct history_figure *figures, size_t n, struct history **ret_history,
		 struct weir_error *err)
{
	return open_file(path, O_RDONLY, figures, n, ret_history, err);
}

void history_close(struct history *history)
{
	if (!history)
		return;
	if (history->fd >= 0)
		close(history->fd);
	free(history);
}

/* --- add --- */

static float merged(enum history_kind kind, float was, uint32_t looks, float value)
{
	switch (kind) {
	case HISTORY_SUM:
		return was + value;
	case HISTORY_MEAN:
		return was + (value - was) / (float)(looks + 1);
	default:
		return fmaxf(was, value);
	}
}

static int add_to(struct history *history, enum history_step step, int64_t at, const float *values)
{
	int64_t begin = at - at % rings[step].seconds;
	off_t offset = ring_at(step) + place_of(step, at) * RECORD_BYTES;
	union record record;
	ssize_t n = pread(history->fd, record.bytes, sizeof record, offset);
	if (n < 0)
		return -errno;
	bool is_there = n == RECORD_BYTES && record.row.at == begin && record.row.sum == checksum(&record);
	if (!is_there)
		record = (union record){.row.at = begin};
	for (size_t i = 0; i < history->n; i++)
		record.row.values[i] =
			is_there ? merged(history->figures[i].kind, record.row.values[i], record.row.looks, values[i])
				 : values[i];
	record.row.looks++;
	record.row.sum = checksum(&record);
	n = pwrite(history->fd, record.bytes, sizeof record, offset);
	return n < 0 ? -errno : n == RECORD_BYTES ? 0 : -ENOSPC;
}

int history_add(struct history *history, int64_t at, const float *values)
{
	int code = 0;
	history->is_ours = history->is_ours || !flock(history->fd, LOCK_EX | LOCK_NB);
	bool adds = history->is_ours && !history->was_denied;
	for (enum history_step step = 0; step < HISTORY_STEPS && !code && adds; step++)
		code = add_to(history, step, at, values);
	history->was_denied = !history->is_ours; /* what it saw since then another one has added */
	if (history->yields && history->is_ours)
		history->is_ours = flock(history->fd, LOCK_UN) != 0;
	return code;
}

void history_yield(struct history *history)
{
	history->yields = true;
}

/* --- read --- */

int history_read(const struct history *history, enum history_step step, int64_t since, int64_t now,
		 struct history_row **ret_rows, size_t *ret_n)
{
	int64_t seconds = rings[step].seconds, places = rings[step].places, last = now - now % seconds;
	size_t bytes = (size_t)places * RECORD_BYTES, n = 0;
	union record *ring = malloc(bytes);
	struct history_row *rows = malloc(bytes);
	ssize_t got = ring && rows ? pread(history->fd, ring, bytes, ring_at(step)) : WEIR_ENOMEM;
	int code = !ring || !rows ? WEIR_ENOMEM : got < 0 ? -errno : 0;
	for (int64_t at = last - (places - 1) * seconds; at <= last && !code; at += seconds) {
		const union record *record = &ring[place_of(step, at)];
		bool is_whole = (const char *)(record + 1) <= (const char *)ring + got;
		if (at + seconds > since && is_whole && record->row.at == at && record->row.sum == checksum(record))
			rows[n++] = record->row;
	}
	free(ring);
	if (code) {
		free(rows);
		return code;
	}
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

static void put_value(struct buf *out, float value)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%.7g", isfinite(value) ? (double)value : 0);
	json_put_raw(out, NULL, text, (size_t)n);
}

int history_json(const struct history *history, enum history_step step, int64_t since, int64_t now, struct buf *out)
{
	struct history_row *rows;
	size_t n;
	int code = history_read(history, step, since, now, &rows, &n);
	if (code)
		return code;
	json_open(out, NULL, '{');
	json_put_int(out, "step", rings[step].seconds);
	json_open(out, "columns", '[');
	json_put_text(out, NULL, "at");
	json_put_text(out, NULL, "looks");
	for (size_t i = 0; i < history->n; i++)
		json_put_text(out, NULL, history->figures[i].name);
	json_close(out, ']');
	json_open(out, "rows", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(out, NULL, '[');
		json_put_int(out, NULL, rows[i].at);
		json_put_uint(out, NULL, rows[i].looks);
		for (size_t k = 0; k < history->n; k++)
			put_value(out, rows[i].values[k]);
		json_close(out, ']');
	}
	json_close(out, ']');
	json_close(out, '}');
	buf_add_char(out, '\n');
	free(rows);
	return out->failed ? WEIR_ENOMEM : 0;
}
