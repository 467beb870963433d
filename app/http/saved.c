/* SPDX-License-Identifier: MIT */
/*
 * See saved.h.  What came goes through here without a copy of more than a piece:
 *
 *     in (a piece, as it came) --decoded into room--> out --written, hashed--> the file
 *
 * in and out say what is left, so a write that found no room resumes where it stopped.
 */
#include "http/saved.h"

#include "codec/codec.h"
#include "http/digest.h"
#include "http/encoding.h"
#include "http/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <weir/run.h>

#define ROOM_BYTES ((size_t)64 << 10)
#define ATTRIBUTE  "user.weir"

enum { MARK_BYTES = 512 };

struct http_saved {
	char *path, *mark;
	size_t folder_bytes;
	uint64_t most;
	bool replaces, is_trial;
	char temporary[40];
	const char *name; /* of the path */
	int folder, fd;   /* -1: not open */
	enum codec codec;
	struct codec_reader *reader; /* NULL: the body comes as it is, or not yet */
	struct codec_io in;
	char *room;
	const char *out;
	size_t out_bytes;
	uint64_t came, made;
	EVP_MD_CTX *hash;
	char sha256[HTTP_DIGEST_BYTES];
	bool is_finished;
	struct weir_error err;
};

int http_saved_new(const struct http_saved_options *opts, struct http_saved **ret_saved)
{
	char hash[HTTP_DIGEST_BYTES];
	struct http_saved *saved = calloc(1, sizeof *saved);
	if (!saved)
		return WEIR_ENOMEM;
	saved->folder = saved->fd = -1;
	saved->folder_bytes = opts->folder_bytes;
	saved->most = opts->most;
	saved->replaces = opts->replaces;
	saved->is_trial = opts->is_trial;
	saved->path = strdup(opts->path);
	saved->mark = strdup(opts->mark);
	saved->hash = EVP_MD_CTX_new();
	if (!saved->path || !saved->mark || !saved->hash || !EVP_DigestInit_ex(saved->hash, EVP_sha256(), NULL) ||
	    http_digest(opts->mark, strlen(opts->mark), hash) < 0) {
		http_saved_free(saved, false);
		return WEIR_ENOMEM;
	}
	snprintf(saved->temporary, sizeof saved->temporary, ".weir-%.16s.part", hash);
	*ret_saved = saved;
	return 0;
}

/* ---- on a thread ---- */

static int fail(struct http_saved *saved, int code, const char *doing)
{
	code = code == -EDQUOT ? WEIR_ENOSPC : code;
	return weir_error_set(&saved->err, code, "cannot %s %.150s: %s", doing, saved->path,
			      code == -EISDIR ? "it is a folder" : weir_strerror(code));
}

static int open_folder(struct http_saved *saved, bool make)
{
	if (saved->folder >= 0)
		return 0;
	struct weir_error err = {0};
	int code = http_place_open(saved->path, saved->folder_bytes, make, &saved->folder, &saved->name, &err);
	if (code == WEIR_ENOSPC || code == -EDQUOT)
		return fail(saved, code, "make a folder for");
	return code < 0 ? weir_error_set(&saved->err, code, "%s", err.text) : 0;
}

static int open_file(struct http_saved *saved)
{
	struct stat st;
	int code = saved->fd < 0 ? open_folder(saved, true) : 0;
	if (code < 0 || saved->fd >= 0)
		return code;
	if (fstatat(saved->folder, saved->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return fail(saved, -EISDIR, "write");
	if (unlinkat(saved->folder, saved->temporary, 0) && errno != ENOENT)
		return fail(saved, -errno, "write");
	saved->fd = openat(saved->folder, saved->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	return saved->fd < 0 ? fail(saved, -errno, "write") : 0;
}

/* Room for what is decoded; a reader if there is something to decode. */
static int decode(struct http_saved *saved)
{
	struct codec_io *io = &saved->in;
	if (codec_reader_whole(saved->reader) && io->in_bytes && !http_codec_follows(saved->codec, io, false)) {
		io->in_bytes = 0; /* nothing of the body */
		return 0;
	}
	io->out = saved->room;
	io->room = ROOM_BYTES;
	struct weir_error err = {0};
	int code = codec_read(saved->reader, io, &err);
	if (code < 0)
		return code == WEIR_ENOMEM
			       ? code
			       : weir_error_set(&saved->err, WEIR_EDATA, "the body cannot be decoded (%s): %.100s",
						codec_name(saved->codec), err.text);
	saved->out = saved->room;
	saved->out_bytes = ROOM_BYTES - io->room;
	return 0;
}

static int check_size(struct http_saved *saved)
{
	bool is_bomb = saved->reader && saved->made > HTTP_RATIO_FROM && saved->made / HTTP_RATIO > saved->came;
	if (saved->made <= saved->most && !is_bomb)
		return 0;
	return weir_error_set(&saved->err, -E2BIG, "%s", saved->made > saved->most ? "body" : "ratio");
}

/* Fills out again.  0: it may be empty, then there is nothing left. */
static int make_more(struct http_saved *saved)
{
	int code = 0;
	if (saved->reader) {
		code = decode(saved);
	} else {
		saved->out = saved->in.in;
		saved->out_bytes = saved->in.in_bytes;
		saved->in.in_bytes = 0;
	}
	if (code < 0 || !saved->out_bytes)
		return code;
	saved->made += saved->out_bytes;
	if (EVP_DigestUpdate(saved->hash, saved->out, saved->out_bytes) != 1)
		return WEIR_ENOMEM;
	return check_size(saved);
}

static int write_out(struct http_saved *saved)
{
	while (saved->out_bytes) {
		ssize_t n = write(saved->fd, saved->out, saved->out_bytes);
		if (n < 0 && errno != EINTR)
			return fail(saved, -errno, "write");
		saved->out += n > 0 ? n : 0;
		saved->out_bytes -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int advance(void *arg)
{
	struct http_saved *saved = arg;
	int code = open_file(saved);
	while (code == 0) {
		code = write_out(saved);
		size_t in = saved->in.in_bytes;
		if (code == 0)
			code = make_more(saved);
		if (!saved->out_bytes && saved->in.in_bytes == in)
			break;
	}
	return code;
}

/* Whether the file that is there has what was written. */
static bool is_same(const struct http_saved *saved, int fd)
{
	char *ours = malloc(2 * ROOM_BYTES), *theirs = ours ? ours + ROOM_BYTES : NULL;
	ssize_t n = ours ? 1 : -1;
	for (off_t at = 0; n > 0; at += n) {
		n = pread(saved->fd, ours, ROOM_BYTES, at);
		if (n > 0 && (pread(fd, theirs, (size_t)n, at) != n || memcmp(ours, theirs, (size_t)n) != 0))
			n = -1;
	}
	free(ours);
	return n == 0;
}

static bool has_mark(const struct http_saved *saved, int fd)
{
	char mark[MARK_BYTES];
	ssize_t n = fgetxattr(fd, ATTRIBUTE, mark, sizeof mark);
	return n >= 0 && (size_t)n == strlen(saved->mark) && !memcmp(mark, saved->mark, (size_t)n);
}

/* A file of that name is there. */
static int replace(struct http_saved *saved)
{
	struct stat st;
	int fd = openat(saved->folder, saved->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	bool is_ours = is_file && has_mark(saved, fd);
	bool is_done = is_file && !is_ours && st.st_size == (off_t)saved->made && is_same(saved, fd) && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	if (is_done)
		return unlinkat(saved->folder, saved->temporary, 0) ? fail(saved, -errno, "write") : 0;
	if (!is_ours && !saved->replaces)
		return weir_error_set(
			&saved->err, -EEXIST,
			"%.150s exists, and this item of this run has not written it; move it away, or set "
			"save.replace",
			saved->path);
	return renameat(saved->folder, saved->temporary, saved->folder, saved->name) ? fail(saved, -errno, "write") : 0;
}

/* A file system that cannot refuse to replace one is asked before. */
static int place(struct http_saved *saved)
{
	struct stat st;
	int code =
		renameat2(saved->folder, saved->temporary, saved->folder, saved->name, RENAME_NOREPLACE) ? -errno : 0;
	if (code == -EINVAL || code == -ENOSYS)
		code = fstatat(saved->folder, saved->name, &st, AT_SYMLINK_NOFOLLOW) == 0      ? -EEXIST
		       : renameat(saved->folder, saved->temporary, saved->folder, saved->name) ? -errno
											       : 0;
	if (code == -EEXIST)
		code = replace(saved);
	else if (code < 0)
		code = fail(saved, code, "write");
	if (code == 0 && fsync(saved->folder))
		code = fail(saved, -errno, "sync");
	return code;
}

static int finish(void *arg)
{
	struct http_saved *saved = arg;
	unsigned char hash[EVP_MAX_MD_SIZE];
	int code = advance(saved);
	if (code == 0 && saved->reader && !codec_reader_whole(saved->reader))
		return weir_error_set(&saved->err, WEIR_EDATA, "the body cannot be decoded (%s): it ends too early",
				      codec_name(saved->codec));
	if (code < 0)
		return code;
	fsetxattr(saved->fd, ATTRIBUTE, saved->mark, strlen(saved->mark), 0); /* where the file system has it */
	if (fsync(saved->fd))
		return fail(saved, -errno, "sync");
	if (!saved->is_trial)
		code = place(saved);
	else if (unlinkat(saved->folder, saved->temporary, 0))
		code = fail(saved, -errno, "write");
	if (code == 0 && !saved->sha256[0]) {
		if (EVP_DigestFinal_ex(saved->hash, hash, NULL) != 1)
			return WEIR_ENOMEM;
		http_digest_write(hash, saved->sha256);
	}
	saved->is_finished = code == 0;
	return code;
}

static int sweep(void *arg)
{
	struct http_saved *saved = arg;
	if (open_folder(saved, false) == 0)
		unlinkat(saved->folder, saved->temporary, 0);
	return 0;
}

/* ---- on a fiber ---- */

int http_saved_write(struct http_saved *saved, const char *encoding, const char *bytes, size_t n)
{
	http_codec(encoding, &saved->codec);
	if (n && saved->codec != CODEC_NONE && !saved->reader) {
		saved->room = malloc(ROOM_BYTES);
		int error = saved->room ? codec_reader_new(saved->codec, &saved->reader) : WEIR_ENOMEM;
		if (error < 0)
			return error;
	}
	if (n) {
		saved->in.in = bytes;
		saved->in.in_bytes = n;
		saved->came += n;
	}
	return http_place_call(advance, saved);
}

int http_saved_finish(struct http_saved *saved)
{
	return http_place_call(finish, saved);
}

const char *http_saved_wrong(const struct http_saved *saved)
{
	return saved->err.text;
}

const char *http_saved_path(const struct http_saved *saved)
{
	return saved->path;
}

uint64_t http_saved_bytes(const struct http_saved *saved)
{
	return saved->made;
}

const char *http_saved_sha256(const struct http_saved *saved)
{
	return saved->is_finished ? saved->sha256 : NULL;
}

void http_saved_free(struct http_saved *saved, bool sweeps)
{
	if (!saved)
		return;
	if (!saved->is_finished && (saved->fd >= 0 || sweeps)) {
		weir_shield_enter();
		http_place_call(sweep, saved);
		weir_shield_leave();
	}
	if (saved->fd >= 0)
		close(saved->fd);
	if (saved->folder >= 0)
		close(saved->folder);
	codec_reader_free(saved->reader);
	EVP_MD_CTX_free(saved->hash);
	free(saved->room);
	free(saved->path);
	free(saved->mark);
	free(saved);
}
