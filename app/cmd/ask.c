/* SPDX-License-Identifier: MIT */
#include "cmd/ask.h"

#include "admin/control.h"
#include "cmd/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t cmd_answer_end(const struct buf *answer)
{
	size_t end = answer->len;
	while (end && answer->data[end - 1] == '\n')
		end--;
	const char *newline = end ? memrchr(answer->data, '\n', end) : NULL;
	return newline ? (size_t)(newline - answer->data) + 1 : 0;
}

static int ask(const char *state, const char *run, const char *request, struct buf *answer, struct weir_error *err)
{
	char *folder = cmd_state_folder(state, run);
	if (!folder)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = control_ask(folder, request, answer, err);
	if (code == -ENOENT && !state && access(folder, F_OK))
		weir_error_set(err, code, "no run called \"%s\" in .weir/ below this folder", run);
	else if (!code && !answer->len)
		code = weir_error_set(err, WEIR_EPIPE, "the run ended without an answer");
	free(folder);
	return code;
}

int cmd_ask(const char *state, const char *run, const char *request, struct buf *answer, struct json **ret_json,
	    struct weir_error *err)
{
	struct json *json = NULL;
	size_t n;
	int code = ask(state, run, request, answer, err);
	size_t end = cmd_answer_end(answer);
	if (!code)
		code = json_parse(answer->data + end, answer->len - end, &json, err);
	const struct json *refusal = code ? NULL : json_member(json, "error");
	if (refusal) {
		code = weir_error_set(err, WEIR_EINVAL, "%s", json_text(refusal, &n));
		json_free(json);
		json = NULL;
	}
	*ret_json = json;
	return code;
}
