/* SPDX-License-Identifier: MIT */
/*
 * Lines of one file, or of several as one, become items.  Empty lines are passed over.
 *
 * The place that the cursor names is behind the last line that was dealt with: a line that was read and then found no
 * memory is read again by the run that continues.  As text a cursor is
 *
 *     offset=1234 line=56 items=50 tail=1234/0badcafe                              of a file
 *     offset=1234 line=56 items=50 tail=1234/0badcafe file=2 at=6 before=99999     of several: line 6 of the third one
 *
 * with " open" at its end when the input ended there inside quotes.
 */
#include "files/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/inputs.h"

/* A place in the source. */
struct text_place {
	size_t at; /* the file */
	struct source_place in_file;
	uint64_t lines_before, bytes_before; /* those of the files before it */
};

struct text_source {
	struct source_files files;
	enum charset charset;
	struct source_reader *reader; /* of files.all[now.at] */
	struct text_place now;        /* but for what the reader knows */
	uint64_t bytes_behind;        /* those of the files behind it */
	const struct source_format *format;
	void *arg;
	struct text_place place; /* behind the last item, and the empty lines of its file that followed it */
	uint64_t items;          /* handed out, good and bad, those before resume() included */
	bool headed;             /* the first line of each file is no item */
	bool failed;             /* a line was lost for want of memory: what is behind it may not be read now */
};

/* ---- files */

static void close_format(const struct source_format *format, void *arg)
{
	if (format->close)
		format->close(arg);
}

/* The file whose turn it is, in the place of the one before.  A file of a pattern must be the one that was looked up:
 * the state knows it so. */
static int open_file(struct text_source *source, size_t at, struct weir_error *err)
{
	const struct source_entry *entry = &source->files.all[at];
	const struct source_input input = {.path = entry->path, .charset = source->charset};
	struct source_reader *reader;
	int code = source_reader_open(&input, source->format->find_end, source->arg, &reader, err);
	if (code)
		return code;
	if (source->files.pattern)
		code = source_file_check(source_reader_file(reader), &entry->known, false, err);
	if (code) {
		source_reader_close(reader);
		return code;
	}
	source_reader_close(source->reader);
	source->reader = reader;
	source->now.at = at;
	if (source->format->begin)
		source->format->begin(source->arg, source_reader_file(reader)->name);
	return 0;
}

static bool is_last(const struct text_source *source)
{
	return source->now.at + 1 == source->files.n;
}

static int open_next_file(struct text_source *source, struct weir_error *err)
{
	struct source_progress progress;
	struct source_place end;
	source_reader_place(source->reader, &end);
	source_reader_progress(source->reader, &progress);
	if (source->items && source->place.at == source->now.at)
		source_reader_tail(source->reader, &source->place.in_file);
	int code = open_file(source, source->now.at + 1, err);
	if (code)
		return code;
	source->now.lines_before += end.lines;
	source->now.bytes_before += progress.read_bytes;
	source->bytes_behind -= source->files.all[source->now.at].known.size;
	return 0;
}

static void count_behind(struct text_source *source)
{
	source->bytes_behind = 0;
	for (size_t i = source->now.at + 1; i < source->files.n; i++)
		source->bytes_behind += source->files.all[i].known.size;
}

int source_text_open(const struct source_input *input, const struct source_format *format, void *arg,
		     struct source **ret_source, struct weir_error *err)
{
	struct text_source *source = calloc(1, sizeof *source);
	if (!source) {
		close_format(format, arg);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	source->format = format;
	source->arg = arg;
	source->charset = input->charset;
	int code = source_files_find(input->path, &source->files, err);
	if (!code)
		code = open_file(source, 0, err);
	if (code) {
		source_text_close((struct source *)source);
		return code;
	}
	count_behind(source);
	*ret_source = (struct source *)source;
	return 0;
}

void source_text_close(struct source *handle)
{
	struct text_source *source = (struct text_source *)handle;
	if (!source)
		return;
	source_reader_close(source->reader);
	source_files_fini(&source->files);
	close_format(source->format, source->arg);
	free(source);
}

/* ---- lines */

/* The place behind the line that came last. */
static void move_place(struct text_source *source)
{
	if (source->place.at != source->now.at || !source->items)
		source->place = source->now;
	source_reader_place(source->reader, &source->place.in_file);
}

/* The next line that is not empty: as source_reader_next().  Before its first item the place is not in a file, since
 * the header of it may be due. */
static int next_line(struct text_source *source, struct source_line *ret_line, struct weir_error *err,
		     weir_nsec deadline)
{
	for (;;) {
		int code = source_reader_next(source->reader, ret_line, err, deadline);
		if (code < 0 || (code == 1 && ret_line->len))
			return code;
		if (code == 1 && source->items && source->place.at == source->now.at)
			move_place(source);
		if (code == 0 && is_last(source))
			return 0;
		code = code == 0 ? open_next_file(source, err) : 0;
		if (code)
			return code;
	}
}

int source_text_begin(struct source *handle, struct weir_error *err)
{
	struct text_source *source = (struct text_source *)handle;
	struct item none = {0};
	struct source_line line;
	int code;
	source->headed = true;
	if (!source_reader_file(source->reader)->regular)
		return 0;
	do
		code = source_reader_next(source->reader, &line, err, WEIR_FOREVER);
	while (code == 1 && !line.len);
	return code == 1 ? source->format->take(source->arg, &line, &none, err) : code;
}

/* Of several files the line's own place, too. */
static void name_place(const struct text_source *source, const struct source_line *line, struct item *item)
{
	if (source->files.n > 1)
		item_set_why(item, "%.100s:%" PRIu64 ": %s", source->files.all[source->now.at].name, line->number,
			     item_why(item));
}

int source_text_next(struct source *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct text_source *source = (struct text_source *)handle;
	struct source_line line;
	int code;
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (source->failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	do {
		code = next_line(source, &line, err, deadline);
		if (code <= 0)
			return code;
		code = source->format->take(source->arg, &line, item, err);
	} while (code == SOURCE_END);
	if (code == SOURCE_BAD && source_set_excerpt(item, &line))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	source->failed = code == WEIR_ENOMEM;
	if (code < 0)
		return code;
	if (code == SOURCE_BAD)
		name_place(source, &line, item);
	item->position = source->now.lines_before + line.number;
	move_place(source);
	source->items++;
	return code;
}

/* What is left is taken to be like what was read. */
int64_t source_text_total(const struct source *handle, bool *ret_exact)
{
	const struct text_source *source = (const struct text_source *)handle;
	struct source_progress progress;
	source_reader_progress(source->reader, &progress);
	*ret_exact = progress.ended && is_last(source);
	if (*ret_exact)
		return (int64_t)source->items;
	if (progress.total_bytes < 0 || !source->items)
		return -1;
	double done = (double)source->now.bytes_before + (double)progress.bytes;
	double left = (double)progress.total_bytes - (double)progress.bytes;
	left = (left > 0 ? left : 0) + (double)source->bytes_behind;
	return done > 0 ? (int64_t)source->items + (int64_t)(left / (done / (double)source->items)) : -1;
}

/* ---- places */

bool source_text_identify(const struct source *handle, struct buf *identity)
{
	const struct text_source *source = (const struct text_source *)handle;
	if (!source->files.pattern)
		return source_file_identify(source_reader_file(source->reader), identity);
	source_files_identify(&source->files, identity);
	return true;
}

/* Earlier versions wrote nothing behind `items`. */
static bool parse_cursor(const char *text, struct text_place *place, uint64_t *items)
{
	const char *tail = strstr(text, " tail="), *file = strstr(text, " file=");
	uint64_t line, at;
	*place = (struct text_place){.in_file.open = strstr(text, " open")};
	if (sscanf(text, "offset=%" SCNu64 " line=%" SCNu64 " items=%" SCNu64, &place->in_file.offset, &line, items) !=
	    3)
		return false;
	if (tail && sscanf(tail, " tail=%u/%" SCNx32, &place->in_file.tail_bytes, &place->in_file.tail_crc) != 2)
		return false;
	place->in_file.lines = line;
	if (!file)
		return true;
	if (sscanf(file, " file=%zu at=%" SCNu64 " before=%" SCNu64, &place->at, &at, &place->bytes_before) != 3 ||
	    at > line)
		return false;
	place->in_file.lines = at;
	place->lines_before = line - at;
	return true;
}

static int resume_file(struct text_source *source, const char *identity, const struct text_place *place, bool begun,
		       bool adopt, struct weir_error *err)
{
	const struct source_file *file = source_reader_file(source->reader);
	struct source_known was;
	if (strchr(identity, '\n') || !source_file_recall(identity, &was))
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s was a different source when this run began (%.*s); restore that, or start over "
			"with --fresh",
			file->name, (int)strcspn(identity, "\n"), identity);
	int code = source_file_check(file, &was, adopt, err);
	return code || !begun ? code : source_reader_goto(source->reader, &place->in_file, err);
}

/* A header is read again: the records behind the place are made by it. */
static int resume_files(struct text_source *source, const char *identity, const struct text_place *place, bool begun,
			bool adopt, struct weir_error *err)
{
	const struct source_reached reached = {begun, place->at, place->bytes_before};
	int code = source_files_recall(&source->files, identity, &reached, adopt, err);
	if (!code)
		code = open_file(source, place->at, err);
	if (!code && source->headed)
		code = source_text_begin((struct source *)source, err);
	if (code)
		return code;
	source->now = *place;
	count_behind(source);
	return begun ? source_reader_goto(source->reader, &place->in_file, err) : 0;
}

int source_text_resume(struct source *handle, const char *identity, const struct source_cursor *cursor, bool adopt,
		       struct weir_error *err)
{
	struct text_source *source = (struct text_source *)handle;
	struct text_place place = {0};
	uint64_t items = 0;
	bool begun = *cursor->text;
	if (begun && !parse_cursor(cursor->text, &place, &items))
		return weir_error_set(err, WEIR_EINVAL, "invalid position in a file: %s", cursor->text);
	int code = source->files.pattern ? resume_files(source, identity, &place, begun, adopt, err)
					 : resume_file(source, identity, &place, begun, adopt, err);
	if (code)
		return code;
	move_place(source);
	source->items = items;
	return 0;
}

void source_text_cursor(const struct source *handle, struct source_cursor *ret_cursor)
{
	const struct text_source *source = (const struct text_source *)handle;
	struct text_place place = source->place;
	char *text = ret_cursor->text;
	size_t room = sizeof ret_cursor->text;
	*ret_cursor = (struct source_cursor){0};
	if (!source->items)
		return;
	if (place.at == source->now.at)
		source_reader_tail(source->reader, &place.in_file);
	int n = snprintf(text, room, "offset=%" PRIu64 " line=%" PRIu64 " items=%" PRIu64 " tail=%u/%08" PRIx32,
			 place.in_file.offset, place.lines_before + place.in_file.lines, source->items,
			 place.in_file.tail_bytes, place.in_file.tail_crc);
	if (source->files.pattern)
		n += snprintf(text + n, room - (size_t)n, " file=%zu at=%" PRIu64 " before=%" PRIu64, place.at,
			      place.in_file.lines, place.bytes_before);
	if (place.in_file.open)
		snprintf(text + n, room - (size_t)n, " open");
}
