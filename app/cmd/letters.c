/* SPDX-License-Identifier: MIT */
#include "cmd/letters.h"

#include "cmd/ask.h"
#include "store/folder.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static const char *const verb_names[] = {"ls ", "replay ", "purge "};

/* --- the request --- */

static uint64_t number_of(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	int64_t number = member && json_fits_int(member) ? json_int(member) : 0;
	return number > 0 ? (uint64_t)number : 0;
}

static int parse_query(const char *text, struct letters_request *request, struct weir_error *err)
{
	int code = json_parse(text, strlen(text), &request->json, err);
	if (code)
		return code;
	const struct json *reason = json_member(request->json, "reason");
	size_t n;
	request->query = (struct letter_query){
		.reason = reason && json_type(reason) == JSON_TEXT ? json_text(reason, &n) : NULL,
		.id = number_of(request->json, "id"),
		.after = number_of(request->json, "after"),
		.limit = number_of(request->json, "limit"),
	};
	return 0;
}

int letters_parse(const char *words, struct letters_request *ret_request, struct weir_error *err)
{
	for (int verb = LETTERS_LIST; verb <= LETTERS_PURGE; verb++) {
		size_t n = strlen(verb_names[verb]);
		struct letters_request request = {.verb = (enum letters_verb)verb};
		if (strncmp(words, verb_names[verb], n) != 0)
			continue;
		int code = parse_query(words + n, &request, err);
		if (!code)
			*ret_request = request;
		return code;
	}
	return weir_error_set(err, WEIR_EINVAL, "unknown request");
}

void letters_request_fini(struct letters_request *request)
{
	json_free(request->json);
	*request = (struct letters_request){0};
}

static void write_request(enum letters_verb verb, const struct letter_query *query, struct buf *out)
{
	buf_addf(out, "letters %s{\"id\":%llu,\"after\":%llu,\"limit\":%zu", verb_names[verb],
		 (unsigned long long)query->id, (unsigned long long)query->after, query->limit);
	if (query->reason) {
		buf_add_str(out, ",\"reason\":");
		buf_add_json_str(out, query->reason, strlen(query->reason));
	}
	buf_add_char(out, '}');
}

/* --- either way --- */

struct letters {
	struct folder folder; /* of a run that is not alive */
	struct store *store;
	char *live; /* the folder of one that is; else NULL */
};

static bool is_alive(const char *folder)
{
	struct buf answer = {0};
	struct json *json;
	int code = cmd_ask(folder, NULL, "status", &answer, &json, NULL);
	json_free(json);
	buf_fini(&answer);
	return !code;
}

int letters_open(const char *folder, struct letters **ret_letters, struct weir_error *err)
{
	struct letters *letters = calloc(1, sizeof *letters);
	if (!letters)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	letters->folder = (struct folder){.fd = -1, .lock_fd = -1};
	int code = 0;
	if (is_alive(folder)) {
		letters->live = strdup(folder);
		code = letters->live ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
	} else {
		code = folder_open_existing(folder, &letters->folder, err);
		if (!code)
			code = store_open(folder, 0, &letters->store, err);
	}
	if (code)
		letters_close(letters);
	else
		*ret_letters = letters;
	return code;
}

void letters_close(struct letters *letters)
{
	if (!letters)
		return;
	store_close(letters->store);
	folder_close(&letters->folder);
	free(letters->live);
	free(letters);
}

bool letters_live(const struct letters *letters)
{
	return letters->live != NULL;
}

static int ask_live(const char *folder, enum letters_verb verb, const struct letter_query *query, struct buf *out,
		    uint64_t *ret_n, struct weir_error *err)
{
	struct buf request = {0}, answer = {0};
	struct json *json = NULL;
	write_request(verb, query, &request);
	int code = request.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory")
				  : cmd_ask(folder, NULL, request.data, &answer, &json, err);
	if (!code && buf_add(out, answer.data, cmd_answer_end(&answer)))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		*ret_n = number_of(json, "n");
	json_free(json);
	buf_fini(&request);
	buf_fini(&answer);
	return code;
}

int letters_do(struct letters *letters, enum letters_verb verb, const struct letter_query *query, struct buf *out,
	       uint64_t *ret_n, struct weir_error *err)
{
	if (letters->live)
		return ask_live(letters->live, verb, query, out, ret_n, err);
	switch (verb) {
	case LETTERS_LIST:
		return store_letters(letters->store, query, out, ret_n, err);
	case LETTERS_REPLAY:
		return store_replay(letters->store, query, ret_n, err);
	default:
		return store_purge(letters->store, query, ret_n, err);
	}
}
