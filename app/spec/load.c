/* SPDX-License-Identifier: MIT */
/* Reading the file, and the one way in which all of this folder fails. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/spec.h"

void spec_error(struct spec_load *load, int line, int column, const char *format, ...)
{
	char text[sizeof load->err->text];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	load->err->line = line;
	load->err->column = column;
	weir_error_set(load->err, WEIR_EINVAL, "%s", text);
}

int spec_fail_in(struct spec_load *load, const struct spec_node *node, size_t at, const char *text)
{
	size_t begin = node->offset + (node->plain ? 0 : 1), len = strlen(node->text);
	bool verbatim = at <= len && begin < load->n && len <= load->n - begin &&
			memcmp(load->text + begin, node->text, len) == 0 && !memchr(node->text, '\n', len);
	int shift = verbatim ? (int)(at + begin - node->offset) : 0;
	return spec_fail(load, node->line, node->column + shift, "%s", text);
}

static int read_all(int fd, struct buf *out)
{
	/* One byte more than allowed is enough to know. */
	while (out->len <= SPEC_BYTES_MAX) {
		char *to = buf_reserve(out, 65536);
		if (!to)
			return WEIR_ENOMEM;
		ssize_t got = read(fd, to, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		out->len += (size_t)got;
	}
	return 0;
}

static int read_config(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int code = read_all(fd, out);
	close(fd);
	return code;
}

int spec_load(const char *path, const struct spec_options *opts, struct plan **ret_plan, struct weir_error *err)
{
	struct buf text = {0};
	int code = read_config(path, &text);
	if (code < 0) {
		buf_fini(&text);
		if (err) {
			*err = (struct weir_error){0};
			snprintf(err->source, sizeof err->source, "%s", path);
		}
		return weir_error_set(err, code, "%s, expected a readable config file", weir_strerror(code));
	}
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
	char *folder = n ? strndup(path, n) : strdup(".");
	if (folder)
		code = spec_parse(text.data ? text.data : "", text.len, path, folder, opts, ret_plan, err);
	else
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	free(folder);
	buf_fini(&text);
	return code;
}
