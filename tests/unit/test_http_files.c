/* SPDX-License-Identifier: MIT */
/* Bodies that lie in files: answers that are saved, and parts that are sent. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/codec.h"
#include "data/buf.h"
#include "http/multipart.h"
#include "http/place.h"
#include "http/saved.h"
#include "support/test.h"

/* ---- saved */

static const char text[] = "a weir, a weir, a weir";

static struct http_saved *make(const char *name, const char *mark, bool replaces, uint64_t most)
{
	struct http_saved *saved;
	const struct http_saved_options opts = {.path = test_format("%s/%s", test_folder(), name),
						.folder_bytes = strlen(test_folder()) + 1,
						.mark = mark,
						.most = most,
						.replaces = replaces};
	ck_assert_int_eq(http_saved_new(&opts, &saved), 0);
	return saved;
}

static int save(const char *name, const char *mark, bool replaces, const char *bytes)
{
	struct http_saved *saved = make(name, mark, replaces, 1000);
	int code = http_saved_write(saved, "", bytes, strlen(bytes));
	if (code == 0)
		code = http_saved_finish(saved);
	ck_assert_int_eq(code == 0, http_saved_sha256(saved) != NULL);
	http_saved_free(saved, false);
	return code;
}

/* It has this, and no other name has. */
static void expect_file(const char *name, const char *expected)
{
	struct buf out = {0};
	char command[300];
	ck_assert_int_eq(buf_read_file(&out, test_format("%s/%s", test_folder(), name), 0, 1 << 20), 0);
	ck_assert_str_eq(out.data, expected);
	buf_fini(&out);
	snprintf(command, sizeof command, "test -z \"$(find %s -name '.weir*')\"", test_folder());
	ck_assert_int_eq(system(command), 0);
}

LOOP_TEST(saved_file_is_there_when_it_is_whole)
{
	struct http_saved *saved = make("a", "m", false, 1000);
	ck_assert_int_eq(http_saved_write(saved, "", text, 6), 0);
	ck_assert_int_eq(access(test_format("%s/a", test_folder()), F_OK), -1);
	ck_assert_int_eq(http_saved_write(saved, "", text + 6, strlen(text) - 6), 0);
	ck_assert_int_eq(http_saved_finish(saved), 0);
	ck_assert_uint_eq(http_saved_bytes(saved), strlen(text));
	ck_assert_str_eq(http_saved_sha256(saved), "ca7844b1f8d4746d37affd71729bb55fdf7a4f3b1a4298b1f37add18043b155a");
	http_saved_free(saved, false);
	expect_file("a", text);
}

LOOP_TEST(saved_file_of_another_is_not_replaced)
{
	ck_assert_int_eq(save("a", "one", false, "1"), 0);
	ck_assert_int_eq(save("a", "one", false, "2"), 0); /* its own */
	expect_file("a", "2");
	ck_assert_int_eq(save("a", "two", false, "2"), 0); /* the same */
	ck_assert_int_eq(save("a", "two", false, "3"), -EEXIST);
	expect_file("a", "2");
	ck_assert_int_eq(save("a", "two", true, "3"), 0);
	expect_file("a", "3");
	test_write_file("b", "mine");
	ck_assert_int_eq(save("b", "one", false, "hers"), -EEXIST);
	expect_file("b", "mine");
	ck_assert_int_eq(symlink("b", test_format("%s/c", test_folder())), 0);
	ck_assert_int_eq(save("c", "one", false, "mine"), -EEXIST);
	ck_assert_int_eq(save("c", "one", true, "hers"), 0); /* the link, not what it leads to */
	expect_file("b", "mine");
	ck_assert_int_eq(mkdir(test_format("%s/d", test_folder()), 0700), 0);
	ck_assert_int_eq(save("d", "one", true, "1"), -EISDIR);
}

/* The path of the only file in the folder; NULL: there is none. */
static const char *find_file(void)
{
	const char *found = NULL;
	DIR *folder = opendir(test_folder());
	for (const struct dirent *entry; (entry = readdir(folder));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			found = test_format("%s/%s", test_folder(), entry->d_name);
	closedir(folder);
	return found;
}

LOOP_TEST(saved_file_that_was_left_half_is_removed)
{
	struct http_saved *saved = make("a", "m", false, 1000);
	ck_assert_int_eq(http_saved_write(saved, "", text, 6), 0);
	const char *half = find_file();
	ck_assert_ptr_nonnull(strstr(half, "/.weir-"));
	http_saved_free(saved, false);
	ck_assert_ptr_null(find_file());
	test_write_file(strrchr(half, '/') + 1, "as a killed process leaves it");
	http_saved_free(make("a", "m", false, 1000), false); /* there may be another attempt */
	ck_assert_str_eq(find_file(), half);
	http_saved_free(make("a", "m", false, 1000), true);
	ck_assert_ptr_null(find_file());
	test_write_file(strrchr(half, '/') + 1, "as a killed process leaves it");
	ck_assert_int_eq(save("a", "m", false, "1"), 0);
	expect_file("a", "1");
}

/* In pieces of that size. */
static int save_packed(const struct buf *packed, size_t piece, uint64_t most, uint64_t *ret_bytes)
{
	struct http_saved *saved = make(test_format("p%zu", piece), "m", true, most);
	int code = 0;
	for (size_t at = 0; at < packed->len && code == 0; at += piece)
		code = http_saved_write(saved, "gzip", packed->data + at,
					packed->len - at < piece ? packed->len - at : piece);
	if (code == 0)
		code = http_saved_finish(saved);
	*ret_bytes = http_saved_bytes(saved);
	http_saved_free(saved, false);
	return code;
}

LOOP_TEST(saved_file_is_decoded_however_it_comes)
{
	struct buf packed = {0};
	uint64_t bytes;
	ck_assert_int_eq(codec_pack(CODEC_GZIP, text, 10, &packed), 0);
	ck_assert_int_eq(codec_pack(CODEC_GZIP, text + 10, strlen(text) - 10, &packed), 0);
	for (size_t piece = 1; piece <= packed.len; piece++) {
		ck_assert_int_eq(save_packed(&packed, piece, 1000, &bytes), 0);
		ck_assert_uint_eq(bytes, strlen(text));
		expect_file(test_format("p%zu", piece), text);
	}
	ck_assert_int_eq(save_packed(&packed, 7, strlen(text) - 1, &bytes), -E2BIG);
	packed.len -= 3;
	ck_assert_int_eq(save_packed(&packed, 7, 1000, &bytes), WEIR_EDATA);
	packed.data[2] ^= 0x40;
	ck_assert_int_eq(save_packed(&packed, 7, 1000, &bytes), WEIR_EDATA);
	buf_fini(&packed);
}

LOOP_TEST(saved_file_is_no_bomb)
{
	struct buf zeros = {0}, packed = {0};
	uint64_t bytes;
	const size_t n = (size_t)40 << 20;
	ck_assert_ptr_nonnull(buf_reserve(&zeros, n));
	memset(zeros.data, 0, n);
	ck_assert_int_eq(codec_pack(CODEC_GZIP, zeros.data, n, &packed), 0);
	ck_assert_int_eq(save_packed(&packed, 4096, UINT64_MAX, &bytes), -E2BIG);
	ck_assert_uint_lt(bytes, (uint64_t)12 << 20);
	buf_fini(&zeros);
	buf_fini(&packed);
}

/* ---- places */

LOOP_TEST(place_follows_no_link_below_its_folder)
{
	struct weir_error err = {0};
	const char *name;
	int folder;
	size_t n = strlen(test_folder()) + 1;
	ck_assert_int_eq(symlink("/", test_format("%s/link", test_folder())), 0);
	test_write_file("file", "");
	ck_assert_int_eq(http_place_open(test_format("%s/link/x", test_folder()), n, true, &folder, &name, &err),
			 -ELOOP);
	ck_assert_int_eq(http_place_open(test_format("%s/file/x", test_folder()), n, true, &folder, &name, &err),
			 -ENOTDIR);
	ck_assert_int_eq(http_place_open(test_format("%s/new/x", test_folder()), n, false, &folder, &name, &err),
			 -ENOENT);
	ck_assert_int_eq(http_place_open(test_format("%s/new/er/x", test_folder()), n, true, &folder, &name, &err), 0);
	ck_assert_str_eq(name, "x");
	close(folder);
	ck_assert_int_eq(
		http_place_open(test_format("%s/link/tmp/x", test_folder()), n + 5, false, &folder, &name, &err),
		0); /* the link is the user's */
	close(folder);
}

/* ---- parts */

static struct http_multipart *make_parts(const char *path)
{
	struct http_multipart *parts;
	ck_assert_int_eq(http_multipart_new("b", &parts), 0);
	http_multipart_add_text(parts, "t", NULL, "1", 1);
	http_multipart_add_file(parts, "f\"\r\n", NULL, "x\"\r\ny", path, strlen(test_folder()) + 1);
	http_multipart_add_text(parts, "u", "a/b", "", 0);
	return parts;
}

LOOP_TEST(multipart_is_the_same_in_pieces_of_any_size)
{
	static const char expected[] = "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n1\r\n"
				       "--b\r\nContent-Disposition: form-data; name=\"f%22%0D%0A\"; "
				       "filename=\"x%22%0D%0Ay\"\r\nContent-Type: application/octet-stream\r\n\r\n"
				       "0123456789\r\n--b\r\nContent-Disposition: form-data; name=\"u\"\r\n"
				       "Content-Type: a/b\r\n\r\n\r\n--b--\r\n";
	struct http_multipart *parts = make_parts(test_write_file("x", "0123456789"));
	struct weir_error err = {0};
	ck_assert_int_eq(http_multipart_end(parts, &err), 0);
	const struct http_source *source = http_multipart_source(parts);
	ck_assert_uint_eq(source->bytes, strlen(expected));
	char body[sizeof expected] = "";
	for (size_t piece = 1; piece <= source->bytes; piece += 3) {
		memset(body, 0, sizeof body);
		for (size_t at = 0; at < source->bytes; at += piece) {
			size_t n = source->bytes - at < piece ? (size_t)source->bytes - at : piece;
			ck_assert_int_eq(source->fill(source->arg, at, body + at, n), 0);
		}
		ck_assert_str_eq(body, expected);
	}
	http_multipart_free(parts);
}

LOOP_TEST(multipart_file_that_changes_is_not_sent)
{
	struct weir_error err = {0};
	char byte[400];
	const char *path = test_write_file("x", "0123456789");
	struct http_multipart *parts = make_parts(path);
	ck_assert_int_eq(http_multipart_end(parts, &err), 0);
	const struct http_source *source = http_multipart_source(parts);
	test_write_file("x", "01234567");
	ck_assert_int_eq(source->fill(source->arg, 0, byte, (size_t)source->bytes), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(http_multipart_wrong(parts), "has changed since its size was looked at"));
	http_multipart_free(parts);
	parts = make_parts(path);
	ck_assert_int_eq(http_multipart_end(parts, &err), 0);
	source = http_multipart_source(parts);
	ck_assert_int_eq(source->fill(source->arg, 0, byte, (size_t)source->bytes - 60), 0); /* it is open */
	ck_assert_int_eq(truncate(path, 2), 0);
	ck_assert_int_eq(source->fill(source->arg, 0, byte, (size_t)source->bytes), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(http_multipart_wrong(parts), "became shorter"));
	http_multipart_free(parts);
	parts = make_parts(test_format("%s/gone", test_folder()));
	ck_assert_int_eq(http_multipart_end(parts, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "gone: no such file"));
	http_multipart_free(parts);
}
