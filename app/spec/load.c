/* SPDX-License-Identifier: MIT */
/* Reading the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/spec.h"

static int add_itself(struct plan *plan, const char *path, struct weir_error *err)
{
	int code = files_add(&plan->files, &(struct file_use){.path = path, .what = "the pipeline file"});
	if (code) {
		plan_free(plan);
		return weir_error_set(err, code, "out of memory");
	}
	return 0;
}

/* The text and the folder of a file; on failure both are empty. */
static int open_config(const char *path, struct buf *text, char **ret_folder, struct weir_error *err)
{
	int code = buf_read_file(text, path, 0, SPEC_BYTES_MAX + 3); /* a byte order mark does not count */
	if (code < 0 && code != -EFBIG) {                            /* which the parser finds, and says where */
		buf_fini(text);
		if (err) {
			*err = (struct weir_error){0};
			snprintf(err->source, sizeof err->source, "%s", path);
		}
		return weir_error_set(err, code, "cannot read the pipeline file: %s", weir_strerror(code));
	}
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
	*ret_folder = n ? strndup(path, n) : strdup(".");
	if (*ret_folder)
		return 0;
	buf_fini(text);
	return weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

int spec_load(const char *path, const struct spec_options *opts, struct plan **ret_plan, struct weir_error *err)
{
	struct buf text = {0};
	char *folder = NULL;
	int code = open_config(path, &text, &folder, err);
	if (code < 0)
		return code;
	code = spec_parse(text.data ? text.data : "", text.len, path, folder, opts, ret_plan, err);
	if (code == 0)
		code = add_itself(*ret_plan, path, err);
	free(folder);
	buf_fini(&text);
	return code;
}
