/* SPDX-License-Identifier: MIT */
/*
 * ${env:NAME} and ${file:PATH}: what a config takes from outside, secrets above all.  Errors show the reference, never
 * what it stands for.  `$${env:` is a plain `${env:`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/secret.h"
#include "spec/spec.h"

enum { FILE_BYTES_MAX = 64 * 1024 };

char *spec_resolve(const struct spec_load *load, const char *path)
{
	char *full = NULL;
	if (path[0] == '/' || !load->folder[0] || strcmp(load->folder, ".") == 0)
		return strdup(path);
	return asprintf(&full, "%s/%s", load->folder, path) < 0 ? NULL : full;
}

static const char *reference_at(const char *p, size_t *ret_prefix)
{
	*ret_prefix = strncmp(p, "${env:", 6) == 0 ? 6 : strncmp(p, "${file:", 7) == 0 ? 7 : 0;
	return *ret_prefix ? strchr(p, '}') : NULL;
}

bool spec_is_external(const char *text)
{
	size_t prefix;
	for (const char *p = text; (p = strstr(p, "${")) != NULL; p += 2)
		if ((p == text || p[-1] != '$') && reference_at(p, &prefix))
			return true;
	return false;
}

/* Without the line's end after it. */
static int read_file(const char *path, struct buf *out)
{
	int code = buf_read_file(out, path, O_NONBLOCK, FILE_BYTES_MAX);
	for (const char *end = "\n\r"; *end && !code; end++)
		if (out->len && out->data[out->len - 1] == *end)
			out->data[--out->len] = 0;
	return code;
}

/* What a reference stands for. */
static int look_up(struct spec_load *load, const struct spec_node *node, size_t at, const char *name, bool env,
		   struct buf *out)
{
	char text[320];
	int code = 0;
	if (env) {
		const char *value = getenv(name);
		code = value ? buf_add_str(out, value) : WEIR_ENOENT;
		snprintf(text, sizeof text, "the environment variable %.100s is not set", name);
	} else {
		char *path = spec_resolve(load, name);
		code = path ? read_file(path, out) : WEIR_ENOMEM;
		if (!code && load->files)
			code = files_add(load->files, &(struct file_use){.path = path,
									 .what = "a file that the pipeline refers to",
									 .line = node->line,
									 .column = node->column});
		snprintf(text, sizeof text, "cannot read %.200s: %.60s%s", name, weir_strerror(code),
			 code == -EFBIG ? "; at most 64 KiB" : "");
		free(path);
	}
	if (code == WEIR_ENOMEM)
		return spec_fail_memory(load);
	if (code < 0)
		return spec_fail_in(load, node, at, text);
	if (out->len && (memchr(out->data, 0, out->len) || !json_utf8_valid(out->data, out->len))) {
		snprintf(text, sizeof text, "%.200s contains bytes that are not UTF-8 text", name);
		return spec_fail_in(load, node, at, text);
	}
	return 0;
}

static void add_outside(struct buf *out, const struct buf *value, bool template)
{
	for (size_t i = 0; i < value->len; i++) {
		if (template && value->data[i] == '$' && value->data[i + 1] == '{')
			buf_add_char(out, '$');
		buf_add_char(out, value->data[i]);
	}
}

/* With the path as it leads there from the working directory. */
static int keep_secret(const struct spec_load *load, const char *name, bool env, const struct buf *value)
{
	char *path = env ? NULL : spec_resolve(load, name), *reference = NULL;
	int n = asprintf(&reference, "${%s:%s}", env ? "env" : "file", path ? path : name);
	int code = n < 0 ? WEIR_ENOMEM : secret_add_reference(value->data, value->len, reference);
	if (n >= 0)
		free(reference);
	free(path);
	return code;
}

static int add_reference(struct spec_load *load, const struct spec_node *node, const char *p, size_t prefix,
			 bool template, struct buf *out)
{
	size_t at = (size_t)(p - node->text);
	const char *end = strchr(p, '}');
	if (!end || end == p + prefix)
		return spec_fail_in(load, node, at, "expected ${env:NAME} or ${file:PATH}");
	char *name = strndup(p + prefix, (size_t)(end - p) - prefix);
	if (!name)
		return spec_fail_memory(load);
	struct buf value = {0};
	int code = look_up(load, node, at, name, prefix == 6, &value);
	if (code == 0 && keep_secret(load, name, prefix == 6, &value))
		code = spec_fail_memory(load);
	if (code == 0)
		add_outside(out, &value, template);
	buf_fini(&value);
	free(name);
	return code;
}

int spec_expand(struct spec_load *load, const struct key *key, const struct spec_node *node, char **ret_text)
{
	bool template = key->type == KEY_TEMPLATE || key->type == KEY_JSON || key->type == KEY_URL ||
			key->type == KEY_HEADERS || key->type == KEY_PATH;
	struct buf out = {0};
	int code = 0;
	buf_add_str(&out, "");
	for (const char *p = node->text; *p && code == 0;) {
		size_t prefix;
		reference_at(p + 1, &prefix);
		if (p[0] == '$' && p[1] == '$' && p[2] == '{' && (template || prefix)) {
			buf_add_str(&out, template ? "$${" : "${");
			p += 3;
			continue;
		}
		reference_at(p, &prefix);
		if (prefix) {
			code = add_reference(load, node, p, prefix, template, &out);
			p = code == 0 ? strchr(p, '}') + 1 : p;
		} else if (!template && key->type != KEY_JQ && strncmp(p, "${.", 3) == 0) {
			code = spec_fail_in(load, node, (size_t)(p - node->text),
					    "a ${.path} of the item cannot be used here; write a fixed value");
		} else {
			buf_add_char(&out, *p++);
		}
	}
	if (code < 0) {
		buf_fini(&out);
		return code;
	}
	char *text = buf_take(&out, NULL);
	if (!text)
		return spec_fail_memory(load);
	*ret_text = text;
	return 0;
}
