/* SPDX-License-Identifier: MIT */
/*
 * One buffer, filled in big chunks at its end and emptied line by line at its start:
 *
 *     data         start          scanned            end      room
 *      |. history .|[ a line begins |  not yet looked at |  free  |
 *
 * Up to HISTORY bytes before the line stay, for the checksum that goes with a place.
 *
 * A line that is too long keeps its first bytes at the start of the buffer and its last ones behind them, while what
 * is between is thrown away.
 */
#include "files/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/crc.h"
#include "files/bytes.h"

#define CHUNK     ((size_t)256 << 10)
#define SLACK     ((size_t)20 << 10) /* history, and what is left of a usual line before the next chunk */
#define HISTORY   ((size_t)4096)
#define BOM       "\xEF\xBB\xBF"
#define BOM_BYTES ((size_t)3)

struct source_reader {
	struct source_file file;
	struct source_bytes *bytes;
	source_end_fn find_end;
	const void *arg;
	enum charset charset;
	bool begun;    /* past where a byte order mark may be */
	bool skipping; /* inside a line that is too long */
	bool ended;
	char *data;
	size_t start, scanned, end, room;
	size_t whole;    /* from here on no byte is missing before `start` */
	size_t last;     /* bytes of the line that was handed out last, with its end, in the buffer */
	bool open;       /* that line was */
	unsigned state;  /* of find_end in the line that begins at start */
	uint64_t breaks; /* in that line, so far */
	uint64_t begin, offset, lines, skipped_bytes;
};

static const char *find_newline(const void *arg, unsigned *state, const char *text, size_t n, uint64_t *breaks)
{
	(void)arg, (void)state, (void)breaks;
	return memchr(text, '\n', n);
}

static int refuse_utf_16(const struct source_reader *reader, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL, "%s looks like UTF-16; set encoding: utf-16", reader->file.name);
}

/* As far as it can be seen before anything is read. */
static int check_first(const struct source_reader *reader, struct weir_error *err)
{
	bool more;
	const struct source_file *file = &reader->file;
	bool plain = !source_bytes_decoded(reader->bytes) && !file->begin;
	return plain && charset_is_utf_16(file->first, file->first_bytes, &more) ? refuse_utf_16(reader, err) : 0;
}

int source_reader_open(const struct source_input *input, source_end_fn find_end, const void *arg,
		       struct source_reader **ret_reader, struct weir_error *err)
{
	struct source_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	reader->find_end = find_end ? find_end : find_newline;
	reader->arg = arg;
	reader->charset = input->charset;
	int code = source_file_open(input->path, &reader->file, err);
	if (!code)
		code = source_bytes_open(&reader->file, input->charset, &reader->bytes, err);
	if (!code)
		code = check_first(reader, err);
	if (code) {
		source_reader_close(reader);
		return code;
	}
	if (!source_bytes_decoded(reader->bytes))
		reader->begin = reader->offset = reader->file.begin;
	reader->begun = reader->begin > 0;
	*ret_reader = reader;
	return 0;
}

void source_reader_close(struct source_reader *reader)
{
	if (!reader)
		return;
	source_bytes_close(reader->bytes);
	source_file_close(&reader->file);
	free(reader->data);
	free(reader);
}

/* Drops what is before the history. */
static void move_down(struct source_reader *reader)
{
	size_t by = reader->start > HISTORY ? reader->start - HISTORY : 0;
	memmove(reader->data, reader->data + by, reader->end - by);
	reader->start -= by;
	reader->scanned -= by;
	reader->end -= by;
	reader->whole = reader->whole > by ? reader->whole - by : 0;
}

static int make_room(struct source_reader *reader)
{
	if (reader->start > HISTORY && reader->room - reader->end < CHUNK)
		move_down(reader);
	if (reader->room - reader->end >= CHUNK)
		return 0;
	size_t room = reader->end + CHUNK + SLACK;
	char *data = realloc(reader->data, room);
	if (!data)
		return WEIR_ENOMEM;
	reader->data = data;
	reader->room = room;
	return 0;
}

static int fill(struct source_reader *reader, struct weir_error *err, weir_nsec deadline)
{
	if (!source_bytes_busy(reader->bytes) && make_room(reader))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	ssize_t n = source_bytes_read(reader->bytes, reader->data + reader->end, CHUNK, err, deadline);
	if (n < 0)
		return (int)n;
	reader->end += (size_t)n;
	reader->ended = n == 0;
	return 0;
}

/* Steps over a byte order mark: 1; 0: it takes more bytes to know; WEIR_EINVAL: this is text of another kind. */
static int begin_text(struct source_reader *reader, struct weir_error *err)
{
	const char *at = reader->data + reader->start;
	size_t n = reader->end - reader->start, look = n < BOM_BYTES ? n : BOM_BYTES;
	bool more = false, mark = look == 0 || memcmp(at, BOM, look) == 0;
	if (reader->charset == CHARSET_UTF_8 && charset_is_utf_16(at, n, &more))
		return refuse_utf_16(reader, err);
	if ((more || (mark && look < BOM_BYTES)) && !reader->ended)
		return 0;
	reader->begun = true;
	if (mark && look == BOM_BYTES) {
		reader->start += BOM_BYTES;
		reader->scanned = reader->start;
		reader->offset += BOM_BYTES;
	}
	return 1;
}

static void begin_line(struct source_reader *reader)
{
	reader->scanned = reader->start;
	reader->skipping = false;
	reader->skipped_bytes = 0;
	reader->state = 0;
	reader->breaks = 0;
}

/* Hands out data[start..end of line) and steps over `ending` bytes behind it. */
static int take_line(struct source_reader *reader, size_t len, size_t ending, struct source_line *ret_line)
{
	struct source_line line = {
		.text = reader->data + reader->start,
		.len = len,
		.number = reader->lines + 1,
		.lines = reader->breaks + (ending || reader->data[reader->start + len - 1] != '\n'),
		.charset = reader->charset,
		.open = !ending && (reader->state & SOURCE_OPEN),
	};
	reader->lines += line.lines;
	reader->open = line.open;
	reader->offset += len + ending + reader->skipped_bytes;
	reader->last = len + ending;
	reader->start += len + ending;
	if (ending && line.len && line.text[line.len - 1] == '\r')
		line.len--;
	line.too_long = reader->skipping || line.len > SOURCE_LINE_MAX;
	if (line.too_long && line.len > SOURCE_EXCERPT_MAX)
		line.len = SOURCE_EXCERPT_MAX;
	begin_line(reader);
	*ret_line = line;
	return 1;
}

/* No end of line so far: a line that cannot become short enough any more is thrown away but for its beginning and what
 * was read last. */
static void skip_excess(struct source_reader *reader)
{
	size_t kept = SOURCE_EXCERPT_MAX + HISTORY, n = reader->end - reader->start;
	if (n <= (reader->skipping ? kept : SOURCE_LINE_MAX + 1))
		return;
	reader->skipping = true;
	reader->skipped_bytes += n - kept;
	reader->whole = reader->start + SOURCE_EXCERPT_MAX;
	memmove(reader->data + reader->whole, reader->data + reader->end - HISTORY, HISTORY);
	reader->end = reader->scanned = reader->start + kept;
}

int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline)
{
	for (;;) {
		int begun = reader->begun ? 1 : begin_text(reader, err);
		if (begun < 0)
			return begun;
		size_t left = begun ? reader->end - reader->scanned : 0;
		const char *end = left ? reader->find_end(reader->arg, &reader->state, reader->data + reader->scanned,
							  left, &reader->breaks)
				       : NULL;
		if (end)
			return take_line(reader, (size_t)(end - reader->data) - reader->start, 1, ret_line);
		reader->scanned += left;
		if (left)
			skip_excess(reader);
		if (reader->ended)
			return reader->end > reader->start ? take_line(reader, reader->end - reader->start, 0, ret_line)
							   : 0;
		int code = fill(reader, err, deadline);
		if (code)
			return code;
	}
}

/* ---- places */

void source_reader_tail(const struct source_reader *reader, struct source_place *place)
{
	size_t at = reader->start - (place->offset == reader->offset ? 0 : reader->last);
	size_t n = at > reader->whole ? at - reader->whole : 0;
	place->tail_bytes = (unsigned)(n < HISTORY ? n : HISTORY);
	place->tail_crc = place->tail_bytes ? crc_add(0, reader->data + at - place->tail_bytes, place->tail_bytes) : 0;
}

/* Reads up to the place, and two bytes behind it if there are so many; what is before it becomes history. */
static int go_to(struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	uint64_t from = place->offset > HISTORY ? place->offset - HISTORY : 0;
	int code = source_bytes_goto(reader->bytes, from, &from, err);
	if (code)
		return code;
	reader->start = reader->end = reader->whole = 0;
	reader->ended = false;
	reader->offset = from;
	while (!code) {
		uint64_t missing = place->offset - reader->offset;
		size_t step = reader->end - reader->start;
		step = step < missing ? step : (size_t)missing;
		reader->start += step;
		reader->offset += step;
		reader->scanned = reader->start;
		if (reader->ended || (step == missing && reader->end - reader->start >= 2))
			break;
		code = fill(reader, err, WEIR_FOREVER);
	}
	return code;
}

static int refuse_place(const struct source_reader *reader, struct weir_error *err, const char *what)
{
	return weir_error_set(err, WEIR_EINVAL, "%s has %s; restore the file, or start over with --fresh",
			      reader->file.name, what);
}

/* A last line that had no end has perhaps got one since, or has become longer: then what was handed out was only its
 * beginning.  Returns how many bytes its end has, or WEIR_EINVAL. */
static int check_line_end(const struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	const char *at = reader->data + reader->start;
	size_t n = reader->end - reader->start;
	char what[128];
	if (!place->offset || !n)
		return 0;
	if (place->open)
		return refuse_place(reader, err, "changed: it ended inside quotes, and is longer now");
	if (at[-1] == '\n')
		return 0;
	if (*at == '\n' && at[-1] != '\r')
		return 1;
	if (n >= 2 && at[0] == '\r' && at[1] == '\n')
		return 2;
	snprintf(what, sizeof what,
		 "changed: line %" PRIu64 ", which was read, ended at byte %" PRIu64 " and does not now", place->lines,
		 place->offset);
	return refuse_place(reader, err, what);
}

/* What was read last has to be there still. */
static int check_tail(const struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	unsigned n = place->tail_bytes;
	char what[128];
	if (n <= reader->start && crc_add(0, reader->data + reader->start - n, n) == place->tail_crc)
		return 0;
	snprintf(what, sizeof what, "changed: the %u bytes before byte %" PRIu64 ", up to which it was read, differ", n,
		 place->offset);
	return refuse_place(reader, err, what);
}

static int refuse_shorter(const struct source_reader *reader, const struct source_place *place, uint64_t size,
			  struct weir_error *err)
{
	char what[128];
	snprintf(what, sizeof what, "become shorter: %" PRIu64 " bytes%s were read, and it has %" PRIu64, place->offset,
		 source_bytes_decoded(reader->bytes) ? " of decoded text" : "", size);
	return refuse_place(reader, err, what);
}

int source_reader_goto(struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	bool decoded = source_bytes_decoded(reader->bytes);
	if (!decoded && reader->file.known.size < place->offset)
		return refuse_shorter(reader, place, reader->file.known.size, err);
	int code = go_to(reader, place, err);
	if (!code && reader->offset < place->offset)
		code = refuse_shorter(reader, place, reader->offset, err);
	if (!code && place->tail_bytes)
		code = check_tail(reader, place, err);
	int ending = code ? code : check_line_end(reader, place, err);
	if (ending < 0)
		return ending;
	reader->start += (size_t)ending;
	reader->offset += (uint64_t)ending;
	reader->last = 0;
	reader->open = place->open;
	reader->begun = reader->offset > 0;
	reader->begin = 0;
	reader->lines = place->lines;
	begin_line(reader);
	return 0;
}

void source_reader_place(const struct source_reader *reader, struct source_place *ret_place)
{
	*ret_place = (struct source_place){.offset = reader->offset, .lines = reader->lines, .open = reader->open};
}

/* Of what is decoded the text is counted, so the place in the file is estimated. */
void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress)
{
	bool decoded = source_bytes_decoded(reader->bytes);
	uint64_t begin = decoded ? reader->file.begin : reader->begin, size = reader->file.known.size;
	uint64_t bytes = reader->offset - reader->begin;
	uint64_t text = bytes + reader->skipped_bytes + (reader->end - reader->start);
	if (decoded && text)
		bytes = (uint64_t)((double)source_bytes_used(reader->bytes) * ((double)bytes / (double)text));
	*ret_progress = (struct source_progress){
		.total_bytes = !reader->file.regular ? -1
			       : size > begin        ? (int64_t)(size - begin)
						     : 0,
		.bytes = bytes,
		.read_bytes = source_bytes_used(reader->bytes),
		.ended = reader->ended && reader->start == reader->end,
	};
}

const struct source_file *source_reader_file(const struct source_reader *reader)
{
	return &reader->file;
}
