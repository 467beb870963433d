/* SPDX-License-Identifier: MIT */
#include "sources.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/buf.h"
#include "data/json.h"
#include "support/test.h"

void *config_field(const struct adapter *adapter, void *config, const char *name)
{
	const struct key *key = adapter->keys;
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	ck_assert_msg(key->name, "%s has no key %s", adapter->name, name);
	return (char *)config + key->offset;
}

struct opened open_with(const struct adapter *adapter, void *config)
{
	struct opened opened = {.ops = adapter->source, .config = config};
	struct weir_error err = {0};
	int code = adapter->source->open(config, &opened.source, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	return opened;
}

struct opened open_path(const struct adapter *adapter, const char *path)
{
	void *config = calloc(1, adapter->config_bytes);
	memcpy(config_field(adapter, config, "path"), &path, sizeof path);
	return open_with(adapter, config);
}

const char *write_bytes(const char *name, const char *bytes, size_t n)
{
	const char *path = test_write_file(name, "");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	return path;
}

struct opened open_bytes(const struct adapter *adapter, const char *bytes, size_t n)
{
	return open_path(adapter, write_bytes("input", bytes, n));
}

void shut(struct opened *opened)
{
	opened->ops->close(opened->source);
	free(opened->config);
}

struct item *take(struct opened *opened, int verdict)
{
	struct item *item = item_new();
	struct weir_error err = {0};
	int code = opened->ops->next(opened->source, item, &err, WEIR_FOREVER);
	ck_assert_msg(code == verdict, "verdict %d, expected %d: %s%s", code, verdict, err.text, item_why(item));
	return item;
}

void expect_item(struct opened *opened, uint64_t position, const char *text)
{
	struct item *item = take(opened, SOURCE_ITEM);
	ck_assert_str_eq(item->source.data, text);
	ck_assert_uint_eq(item->source.len, strlen(text));
	ck_assert_uint_eq(item->position, position);
	item_free(item);
}

/* A dead letter is made of it, so the excerpt has to be JSON. */
void expect_bad(struct opened *opened, uint64_t position, const char *why)
{
	struct item *item = take(opened, SOURCE_BAD);
	struct json *json = NULL;
	ck_assert_msg(strncmp(item_why(item), why, strlen(why)) == 0, "%s, expected %s", item_why(item), why);
	ck_assert_uint_eq(item->position, position);
	ck_assert_int_eq(json_parse(item->source.data, item->source.len, &json, NULL), 0);
	ck_assert_int_eq(json_type(json), JSON_TEXT);
	json_free(json);
	item_free(item);
}

void expect_end(struct opened *opened)
{
	for (int i = 0; i < 2; i++)
		item_free(take(opened, SOURCE_END));
	shut(opened);
}

char *repeat(char c, size_t n, const char *tail)
{
	char *text = malloc(n + strlen(tail) + 1);
	memset(text, c, n);
	strcpy(text + n, tail);
	return text;
}

long peak_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

void reset_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "we");
	ck_assert_ptr_nonnull(file);
	fputs("5", file);
	ck_assert_int_eq(fclose(file), 0);
}

struct left leave(struct opened *opened)
{
	struct left left = {0};
	struct buf identity = {0};
	opened->ops->cursor(opened->source, &left.cursor);
	if (opened->ops->identify(opened->source, &identity))
		left.identity = buf_take(&identity, NULL);
	ck_assert_uint_eq(identity.len, 0);
	shut(opened);
	return left;
}

void go_on(struct opened *opened, struct left *left)
{
	struct weir_error err = {0};
	int code = opened->ops->resume(opened->source, left->identity, &left->cursor, false, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	free(left->identity);
	left->identity = NULL;
}

void expect_refused(struct opened *opened, const struct left *left, bool adopt, const char *text)
{
	struct weir_error err = {0};
	int code = opened->ops->resume(opened->source, left->identity, &left->cursor, adopt, &err);
	ck_assert_int_eq(code, WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, text), "%s, expected %s", err.text, text);
	ck_assert_msg(strstr(err.text, "--fresh"), "%s, expected a way out", err.text);
	shut(opened);
}

const char *read_items(const struct source_ops *ops, struct source *source, size_t most)
{
	struct buf out = {0};
	struct weir_error err = {0};
	int code = 1;
	buf_add_str(&out, "");
	for (size_t i = 0; i < most && code > 0; i++) {
		struct item *item = item_new();
		code = ops->next(source, item, &err, WEIR_FOREVER);
		if (code > 0)
			buf_addf(&out, "%llu %s%s\n", (unsigned long long)item->position, code == SOURCE_BAD ? "!" : "",
				 code == SOURCE_BAD ? item_why(item) : item->source.data);
		item_free(item);
	}
	if (code < 0 && code != WEIR_ETIMEDOUT)
		buf_addf(&out, "failed: %s\n", err.text);
	const char *text = test_format("%s", out.data);
	buf_fini(&out);
	return text;
}
