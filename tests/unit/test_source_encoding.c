/* SPDX-License-Identifier: MIT */
/* Sources whose text is not UTF-8. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#include "codec/charset.h"
#include "sources.h"
#include "support/test.h"

static struct opened open_encoded(const struct adapter *adapter, const char *path, enum charset charset)
{
	static const char *const delimiter = ",";
	static const bool header = true;
	int encoding = charset;
	void *config = calloc(1, adapter->config_bytes);
	if (adapter != &source_stdin_adapter)
		memcpy(config_field(adapter, config, "path"), &path, sizeof path);
	memcpy(config_field(adapter, config, "encoding"), &encoding, sizeof encoding);
	if (adapter == &source_csv_adapter) {
		memcpy(config_field(adapter, config, "delimiter"), &delimiter, sizeof delimiter);
		memcpy(config_field(adapter, config, "header"), &header, sizeof header);
	}
	return open_with(adapter, config);
}

/* ASCII as UTF-16. */
static const char *write_wide(const char *text, bool mark, bool big)
{
	char bytes[2000];
	size_t n = 0;
	if (mark) {
		memcpy(bytes, big ? "\xFE\xFF" : "\xFF\xFE", 2);
		n = 2;
	}
	for (; *text; text++) {
		bytes[n + big] = *text;
		bytes[n + !big] = 0;
		n += 2;
	}
	return write_bytes("input", bytes, n);
}

LOOP_TEST(source_decodes_latin1_and_windows_1252)
{
	const char *path = test_write_file("input", "caf\xE9\n\x80 \x81 \x93\n\xFF");
	struct opened opened = open_encoded(&source_lines_adapter, path, CHARSET_LATIN1);
	expect_item(&opened, 1, "\"caf\xC3\xA9\"");
	expect_item(&opened, 2, "\"\xC2\x80 \xC2\x81 \xC2\x93\"");
	expect_item(&opened, 3, "\"\xC3\xBF\"");
	expect_end(&opened);
	opened = open_encoded(&source_lines_adapter, path, CHARSET_WINDOWS_1252);
	expect_item(&opened, 1, "\"caf\xC3\xA9\"");
	expect_bad(&opened, 2, "0x81 at byte 3 is not windows-1252");
	expect_item(&opened, 3, "\"\xC3\xBF\"");
	expect_end(&opened);
}

LOOP_TEST(source_decodes_utf_16_by_its_byte_order_mark_else_little_endian)
{
	for (int i = 0; i < 3; i++) {
		const char *path = write_wide("{\"a\":1}\r\n\n[2]", i > 0, i > 1);
		struct opened opened = open_encoded(&source_jsonl_adapter, path, CHARSET_UTF_16);
		expect_item(&opened, 1, "{\"a\":1}");
		expect_item(&opened, 3, "[2]");
		expect_end(&opened);
	}
}

LOOP_TEST(source_makes_dead_letters_of_lines_that_cannot_be_decoded)
{
	static const char wide[] = "a\0\n\0b\0\x00\xD8\n\0c\0\n\0d";
	struct opened opened =
		open_encoded(&source_lines_adapter, write_bytes("input", wide, sizeof wide - 1), CHARSET_UTF_16);
	expect_item(&opened, 1, "\"a\"");
	expect_bad(&opened, 2, "0x00d8 at byte 3 is not utf-16");
	expect_item(&opened, 3, "\"c\"");
	expect_bad(&opened, 4, "0x64 at byte 1 is not utf-16");
	expect_end(&opened);
	opened = open_encoded(&source_jsonl_adapter, test_write_file("input", "{\"a\":\"\x81\"}\n[]\n"),
			      CHARSET_WINDOWS_1252);
	expect_bad(&opened, 1, "0x81 at byte 7 is not windows-1252");
	expect_item(&opened, 2, "[]");
	expect_end(&opened);
}

LOOP_TEST(source_csv_decodes_what_spreadsheets_write)
{
	struct opened opened =
		open_encoded(&source_csv_adapter, test_write_file("input", "n\xE4me,b\n\x80,\"x\ny\"\n\x8D,2\n"),
			     CHARSET_WINDOWS_1252);
	expect_item(&opened, 2, "{\"n\xC3\xA4me\":\"\xE2\x82\xAC\",\"b\":\"x\\ny\"}");
	expect_bad(&opened, 4, "0x8d at byte 1 is not windows-1252");
	expect_end(&opened);
	opened = open_encoded(&source_csv_adapter, write_wide("a,b\r\n1,\"2\r\n3\"\r\n", true, false), CHARSET_UTF_16);
	expect_item(&opened, 2, "{\"a\":\"1\",\"b\":\"2\\r\\n3\"}");
	expect_end(&opened);
}

LOOP_TEST(source_goes_on_in_decoded_text)
{
	char latin1[30000], *at = latin1;
	for (int i = 0; i < 3000; i++)
		at += sprintf(at, "%d\xE9\xE8\n", i);
	for (int after = 0; after <= 3000; after += 500) {
		const char *path = test_write_file("input", latin1);
		struct opened opened = open_encoded(&source_lines_adapter, path, CHARSET_LATIN1);
		for (int i = 0; i < after; i++)
			item_free(take(&opened, SOURCE_ITEM));
		struct left left = leave(&opened);
		path = test_write_file("input", test_format("%sand\xE9\n", latin1));
		opened = open_encoded(&source_lines_adapter, path, CHARSET_LATIN1);
		go_on(&opened, &left);
		for (int i = after; i < 3000; i++)
			expect_item(&opened, (unsigned)i + 1, test_format("\"%d\xC3\xA9\xC3\xA8\"", i));
		expect_item(&opened, 3001, "\"and\xC3\xA9\"");
		expect_end(&opened);
	}
	struct opened opened = open_encoded(&source_lines_adapter, test_write_file("input", latin1), CHARSET_LATIN1);
	for (int i = 0; i < 3000; i++)
		item_free(take(&opened, SOURCE_ITEM));
	struct left left = leave(&opened);
	at[-2] = '\xE7';
	opened = open_encoded(&source_lines_adapter, test_write_file("input", latin1), CHARSET_LATIN1);
	expect_refused(&opened, &left, true, "up to which it was read, differ");
	free(left.identity);
}

LOOP_TEST(source_unpacks_and_then_decodes)
{
	struct buf text = {0}, packed = {0};
	for (int i = 0; i < 100000; i++) /* more than what is between the two stages */
		buf_addf(&text, "%d \xFC\n", i);
	ck_assert_int_eq(codec_pack(CODEC_GZIP, text.data, text.len, &packed), 0);
	ck_assert_int_eq(codec_pack(CODEC_GZIP, "\x81", 1, &packed), 0);
	const char *path = write_bytes("input", packed.data, packed.len);
	struct opened opened = open_encoded(&source_lines_adapter, path, CHARSET_WINDOWS_1252);
	for (int i = 0; i < 100000; i++) {
		struct item *item = take(&opened, SOURCE_ITEM);
		quick_assert(atoi(item->source.data + 1) == i && strstr(item->source.data, " \xC3\xBC\""));
		item_free(item);
	}
	expect_bad(&opened, 100001, "0x81 at byte 1 is not windows-1252");
	expect_end(&opened);
	write_bytes("input", packed.data, packed.len - 30);
	opened = open_encoded(&source_lines_adapter, path, CHARSET_WINDOWS_1252);
	struct weir_error err = {0};
	int verdict, n = 0;
	do {
		struct item *item = item_new();
		verdict = opened.ops->next(opened.source, item, &err, WEIR_FOREVER);
		n += verdict == SOURCE_ITEM;
		item_free(item);
	} while (verdict == SOURCE_ITEM);
	ck_assert_int_eq(verdict, WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "gzip data is truncated"), "%s", err.text);
	ck_assert_int_gt(n, 90000);
	shut(&opened);
	buf_fini(&text);
	buf_fini(&packed);
}

LOOP_TEST(source_decodes_a_pipe)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(fds[0], 0), 0);
	struct opened opened = open_encoded(&source_stdin_adapter, NULL, CHARSET_UTF_16);
	static const char wide[] = "[\0001\0]\0\n\0";
	for (size_t i = 0; i < sizeof wide - 1; i++) {
		struct item *item = item_new();
		ck_assert_int_eq(write(fds[1], wide + i, 1), 1);
		if (i + 2 < sizeof wide)
			ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC)),
					 WEIR_ETIMEDOUT);
		item_free(item);
	}
	expect_item(&opened, 1, "[1]");
	close(fds[1]);
	expect_end(&opened);
	close(fds[0]);
}

/* ---- what has another encoding than was said */

static void expect_utf_16_hint(const struct adapter *adapter, const char *path)
{
	struct source *source = NULL;
	struct weir_error err = {0};
	void *config = calloc(1, adapter->config_bytes);
	memcpy(config_field(adapter, config, "path"), &path, sizeof path);
	ck_assert_int_eq(adapter->source->open(config, NULL, &source, &err), WEIR_EINVAL);
	ck_assert_str_eq(err.text, test_format("%s looks like UTF-16; set encoding: utf-16", path));
	ck_assert_ptr_null(source);
	free(config);
}

LOOP_TEST(source_says_that_a_file_looks_like_utf_16)
{
	for (int i = 0; i < 3; i++) {
		expect_utf_16_hint(&source_jsonl_adapter, write_wide("{}\n", i > 0, i > 1));
		expect_utf_16_hint(&source_lines_adapter, write_wide("ab\n", i > 0, i > 1));
	}
	int fds[2];
	struct weir_error err = {0};
	struct item *item = item_new();
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	struct opened opened = open_path(&source_lines_adapter, test_format("/proc/self/fd/%d", fds[0]));
	ck_assert_int_eq(write(fds[1], "\xFF\xFE", 2), 2);
	ck_assert_int_eq(opened.ops->next(opened.source, item, &err, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, "looks like UTF-16; set encoding: utf-16"), "%s", err.text);
	item_free(item);
	shut(&opened);
	close(fds[0]);
	close(fds[1]);
}

LOOP_TEST(source_says_what_to_set_for_latin1)
{
	static const char why[] = "invalid UTF-8 at byte 4; if the file is Latin-1, set encoding: latin1";
	struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "caf\xE9\n"));
	expect_bad(&opened, 1, why);
	expect_end(&opened);
	opened = open_encoded(&source_csv_adapter, test_write_file("input", "a,b\n1,\xE9\n"), CHARSET_UTF_8);
	expect_bad(&opened, 2, "invalid UTF-8 at byte 3; if the file is Latin-1, set encoding: latin1");
	expect_end(&opened);
}
