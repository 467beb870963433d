/* SPDX-License-Identifier: MIT */
#include "http/multipart.h"

#include "data/array.h"
#include "http/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many bytes of the body: of the text from `begin` on, or of a file. */
struct body_piece {
	uint64_t bytes;
	size_t begin;
	char *path; /* NULL: text */
	size_t folder_bytes;
	struct stat seen; /* it is the same file as long as this is so */
};

struct http_multipart {
	char boundary[HTTP_BOUNDARY_BYTES];
	struct buf text, fields;
	struct body_piece *pieces;
	size_t n, room;
	bool failed; /* for want of memory */
	struct http_source source;
	int fd; /* of the piece `opened`; -1 */
	size_t opened;
	struct weir_error err;
};

int http_multipart_new(const char *boundary, struct http_multipart **ret_parts)
{
	struct http_multipart *parts = calloc(1, sizeof *parts);
	if (!parts)
		return WEIR_ENOMEM;
	parts->fd = -1;
	strncpy(parts->boundary, boundary, sizeof parts->boundary - 1);
	*ret_parts = parts;
	return 0;
}

void http_multipart_free(struct http_multipart *parts)
{
	if (!parts)
		return;
	if (parts->fd >= 0)
		close(parts->fd);
	for (size_t i = 0; i < parts->n; i++)
		free(parts->pieces[i].path);
	free(parts->pieces);
	buf_fini(&parts->text);
	buf_fini(&parts->fields);
	free(parts);
}

/* ---- making it */

/* As the HTML standard wants it. */
static void add_name(struct buf *out, const char *name)
{
	for (; *name; name++) {
		if (*name == '"' || *name == '\r' || *name == '\n')
			buf_addf(out, "%%%02X", (unsigned)*name);
		else
			buf_add_char(out, *name);
	}
}

static struct body_piece *add_piece(struct http_multipart *parts, const struct body_piece *piece)
{
	if (array_reserve(&parts->pieces, &parts->room, parts->n + 1, sizeof *piece)) {
		parts->failed = true;
		return NULL;
	}
	parts->pieces[parts->n] = *piece;
	return &parts->pieces[parts->n++];
}

/* The text that is not in a piece yet. */
static void end_text(struct http_multipart *parts)
{
	struct body_piece piece = {0};
	for (size_t i = 0; i < parts->n; i++)
		piece.begin += parts->pieces[i].path ? 0 : (size_t)parts->pieces[i].bytes;
	piece.bytes = parts->text.len - piece.begin;
	add_piece(parts, &piece);
}

static void begin_part(struct http_multipart *parts, const char *name, const char *filename, const char *type)
{
	struct buf *out = &parts->text;
	buf_addf(out, "%s--%s\r\nContent-Disposition: form-data; name=\"", out->len ? "\r\n" : "", parts->boundary);
	add_name(out, name);
	buf_add_str(out, filename ? "\"; filename=\"" : "");
	add_name(out, filename ? filename : "");
	buf_add_str(out, "\"\r\n");
	if (type)
		buf_addf(out, "Content-Type: %s\r\n", type);
	buf_add_str(out, "\r\n");
}

static void add_quoted(struct buf *out, const char *before, const char *text, size_t n)
{
	buf_addf(out, "%s\"", before);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_add_char(out, '\\');
		if (text[i])
			buf_add_char(out, text[i]);
	}
	buf_add_char(out, '"');
}

static void end_field(struct http_multipart *parts, const char *type)
{
	buf_addf(&parts->fields, type ? ";type=%s" : "%s", type ? type : "");
	buf_add_char(&parts->fields, 0);
}

void http_multipart_add_text(struct http_multipart *parts, const char *name, const char *type, const char *value,
			     size_t n)
{
	begin_part(parts, name, NULL, type);
	buf_add(&parts->text, value, n);
	buf_addf(&parts->fields, "%s=", name);
	add_quoted(&parts->fields, "", value, n);
	end_field(parts, type);
}

void http_multipart_add_file(struct http_multipart *parts, const char *name, const char *type, const char *filename,
			     const char *path, size_t folder_bytes)
{
	const char *slash = strrchr(path, '/');
	filename = filename ? filename : slash ? slash + 1 : path;
	type = type ? type : "application/octet-stream";
	begin_part(parts, name, filename, type);
	buf_addf(&parts->fields, "%s=@", name);
	add_quoted(&parts->fields, "", path, strlen(path));
	add_quoted(&parts->fields, ";filename=", filename, strlen(filename));
	end_field(parts, type);
	end_text(parts);
	struct body_piece piece = {.path = strdup(path), .folder_bytes = folder_bytes};
	if (!piece.path || !add_piece(parts, &piece)) {
		free(piece.path);
		parts->failed = true;
	}
}

/* ---- its files, on a thread */

static int refuse(struct http_multipart *parts, const char *path, int code)
{
	const char *why = code == -ENOENT   ? "no such file"
			  : code == -ELOOP  ? "it is a symbolic link"
			  : code == -EISDIR ? "it is no file"
					    : weir_strerror(code);
	return weir_error_set(&parts->err, code, "cannot read %.150s: %s", path, why);
}

/* The descriptor, with *ret_st. */
static int open_file(struct http_multipart *parts, const struct body_piece *piece, struct stat *ret_st)
{
	struct weir_error err = {0};
	const char *name;
	int folder, code = http_place_open(piece->path, piece->folder_bytes, false, &folder, &name, &err);
	if (code < 0)
		return weir_error_set(&parts->err, code, "cannot read %.100s: %.120s", piece->path, err.text);
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	code = fd < 0 || fstat(fd, ret_st) ? -errno : S_ISREG(ret_st->st_mode) ? 0 : -EISDIR;
	close(folder);
	if (code == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return refuse(parts, piece->path, code);
}

static int look_at_files(void *arg)
{
	struct http_multipart *parts = arg;
	for (size_t i = 0; i < parts->n; i++) {
		struct body_piece *piece = &parts->pieces[i];
		int fd = piece->path ? open_file(parts, piece, &piece->seen) : -1;
		if (piece->path && fd < 0)
			return fd;
		if (fd >= 0)
			close(fd);
		piece->bytes += piece->path ? (uint64_t)piece->seen.st_size : 0;
	}
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Opens the file of that piece, unless it is open. */
static int turn_to(struct http_multipart *parts, size_t i)
{
	struct stat st = {0};
	if (parts->fd >= 0 && parts->opened == i)
		return 0;
	if (parts->fd >= 0)
		close(parts->fd);
	parts->fd = open_file(parts, &parts->pieces[i], &st);
	parts->opened = i;
	if (parts->fd < 0)
		return parts->fd;
	return is_same(&st, &parts->pieces[i].seen)
		       ? 0
		       : weir_error_set(&parts->err, WEIR_EDATA, "%.150s has changed since its size was looked at",
					parts->pieces[i].path);
}

struct file_reading {
	struct http_multipart *parts;
	size_t i;
	uint64_t at;
	char *to;
	size_t n;
};

static int read_file(void *arg)
{
	struct file_reading *reading = arg;
	struct http_multipart *parts = reading->parts;
	const char *path = parts->pieces[reading->i].path;
	int code = turn_to(parts, reading->i);
	for (size_t done = 0; code == 0 && done < reading->n;) {
		ssize_t n = pread(parts->fd, reading->to + done, reading->n - done, (off_t)(reading->at + done));
		if (n < 0 && errno != EINTR)
			return refuse(parts, path, -errno);
		if (n == 0)
			return weir_error_set(&parts->err, WEIR_EDATA, "%.150s became shorter while it was sent", path);
		done += n > 0 ? (size_t)n : 0;
	}
	return code;
}

/* ---- the body */

static int fill(void *arg, uint64_t at, char *to, size_t n)
{
	struct http_multipart *parts = arg;
	uint64_t begin = 0;
	int code = 0;
	for (size_t i = 0; i < parts->n && n && code == 0; begin += parts->pieces[i++].bytes) {
		const struct body_piece *piece = &parts->pieces[i];
		uint64_t from = at - begin;
		if (at < begin || from >= piece->bytes)
			continue;
		size_t some = piece->bytes - from < n ? (size_t)(piece->bytes - from) : n;
		struct file_reading reading = {.parts = parts, .i = i, .at = from, .to = to, .n = some};
		if (piece->path)
			code = http_place_call(read_file, &reading);
		else
			memcpy(to, parts->text.data + piece->begin + from, some);
		at += some;
		to += some;
		n -= some;
	}
	return code;
}

int http_multipart_end(struct http_multipart *parts, struct weir_error *err)
{
	buf_addf(&parts->text, "\r\n--%s--\r\n", parts->boundary);
	end_text(parts);
	if (parts->failed || parts->text.failed || parts->fields.failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	bool has_files = parts->n > 1;
	int code = has_files ? http_place_call(look_at_files, parts) : 0;
	if (code < 0)
		return weir_error_set(err, code, "%s", parts->err.text);
	parts->source = (struct http_source){.fill = fill, .arg = parts};
	for (size_t i = 0; i < parts->n; i++)
		parts->source.bytes += parts->pieces[i].bytes;
	return 0;
}

const struct http_source *http_multipart_source(const struct http_multipart *parts)
{
	return &parts->source;
}

const struct buf *http_multipart_text(const struct http_multipart *parts)
{
	return &parts->text;
}

const struct buf *http_multipart_fields(const struct http_multipart *parts)
{
	return &parts->fields;
}

const char *http_multipart_wrong(const struct http_multipart *parts)
{
	return parts->err.text;
}
