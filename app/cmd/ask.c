/* SPDX-License-Identifier: MIT */
#include "cmd/ask.h"

#include "data/terminal.h"
#include "state/control.h"

#include <errno.h>
#include <string.h>

size_t cmd_answer_end(const struct buf *answer)
{
	size_t end = answer->len;
	while (end && answer->data[end - 1] == '\n')
		end--;
	const char *newline = end ? memrchr(answer->data, '\n', end) : NULL;
	return newline ? (size_t)(newline - answer->data) + 1 : 0;
}

int cmd_ask(const char *folder, const char *request, struct buf *answer, struct json **ret_json, struct weir_error *err)
{
	struct json *json = NULL;
	size_t n;
	int code = control_ask(folder, request, answer, err);
	size_t end = cmd_answer_end(answer);
	if (!code && !answer->len)
		code = weir_error_set(err, WEIR_EPIPE, "the run ended without an answer");
	if (!code)
		code = json_parse(answer->data + end, answer->len - end, &json, err);
	const struct json *refusal = code ? NULL : json_member(json, "error");
	if (refusal) {
		code = json_member(json, "ended") ? WEIR_ECLOSED : WEIR_EINVAL;
		weir_error_set(err, code, "%s", json_text(refusal, &n));
		json_free(json);
		json = NULL;
	}
	*ret_json = json;
	return code;
}

bool cmd_ask_has_ended(int code)
{
	return code == WEIR_ECLOSED || code == WEIR_EPIPE || code == -ENOENT || code == -ECONNREFUSED ||
	       code == -ECONNRESET;
}

void cmd_answer_print(const struct buf *answer, bool as_json)
{
	size_t end = cmd_answer_end(answer);
	if (as_json || !end)
		terminal_put_exact(stdout, answer->data + end, answer->len - end);
	else
		terminal_put_lines(stdout, answer->data, end); /* whatever answered, it was on a socket */
}
