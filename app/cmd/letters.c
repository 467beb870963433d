/* SPDX-License-Identifier: MIT */
#include "cmd/letters.h"

#include "cmd/ask.h"
#include "cmd/fleet.h"
#include "data/json_writer.h"
#include "spec/meaning.h"
#include "sqlite/store/store.h"
#include "state/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A run that has its folder answers when it has started; until then it is asked again. */
enum { START_ATTEMPTS = 50, START_STEP_MS = 20, PAGE = 32, WHERE = LETTERS_MEND + 1 };

/* In the order of enum letters_verb. */
static const char *const verb_names[] = {"ls ", "replay ", "purge ", "groups ", "mend ", "where "};

/* --- the request --- */

/* A whole number that is not negative; 0 if it is not there. */
static int take_number(const struct json *json, const char *name, uint64_t *ret_number, struct weir_error *err)
{
	const struct json *member = json_member(json, name);
	*ret_number = 0;
	if (!member)
		return 0;
	if (!json_fits_int(member) || json_int(member) < 0)
		return weir_error_set(err, WEIR_EINVAL, "%s is not a whole number", name);
	*ret_number = (uint64_t)json_int(member);
	return 0;
}

static int take_text(const struct json *json, const char *name, const char **ret_text, struct weir_error *err)
{
	const struct json *member = json_member(json, name);
	size_t n;
	*ret_text = NULL;
	if (!member)
		return 0;
	if (json_type(member) != JSON_TEXT)
		return weir_error_set(err, WEIR_EINVAL, "%s is not text", name);
	*ret_text = json_text(member, &n);
	return 0;
}

bool letters_group_read(const char *text, uint32_t *ret_group)
{
	if (strlen(text) != 8 || strspn(text, "0123456789abcdef") != 8)
		return false;
	*ret_group = (uint32_t)strtoul(text, NULL, 16);
	return *ret_group != 0;
}

static int parse_query(const struct json *json, struct letter_query *query, struct weir_error *err)
{
	const char *group;
	uint64_t limit = 0;
	if (take_text(json, "reason", &query->reason, err) || take_text(json, "group", &group, err) ||
	    take_number(json, "id", &query->id, err) || take_number(json, "after", &query->after, err) ||
	    take_number(json, "limit", &limit, err))
		return WEIR_EINVAL;
	if (group && !letters_group_read(group, &query->group))
		return weir_error_set(err, WEIR_EINVAL, "group is not the id of a group");
	if (json_member(json, "id") && !query->id)
		return weir_error_set(err, WEIR_EINVAL, "id is 0, which no dead letter has");
	query->limit = (size_t)limit;
	return 0;
}

static int parse_mend(const struct json *json, struct letter_mend *mend, struct weir_error *err)
{
	const struct json *item = json_member(json, "item");
	int code = take_number(json, "id", &mend->id, err);
	if (!code && (!mend->id || !item))
		code = weir_error_set(err, WEIR_EINVAL, "an id and an item are needed");
	if (code)
		return code;
	mend->item.data = json_dump(item, &mend->item.len);
	return mend->item.data ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

static int parse_mends(const struct json *json, struct letters_request *request, struct weir_error *err)
{
	const struct json *list = json_member(json, "mends"), *one;
	size_t pos = 0;
	int code = 0;
	if (!list || json_type(list) != JSON_ARRAY)
		return weir_error_set(err, WEIR_EINVAL, "mends is not a list");
	request->mends = calloc(LETTERS_MEND_MAX, sizeof *request->mends);
	if (!request->mends)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	while (!code && (one = json_next(list, &pos, NULL))) {
		if (request->mend_count == LETTERS_MEND_MAX)
			return weir_error_set(err, WEIR_EINVAL, "more than %zu mends", LETTERS_MEND_MAX);
		code = parse_mend(one, &request->mends[request->mend_count++], err);
	}
	return code;
}

static int check_purge(const struct json *json, const struct letter_query *query, struct weir_error *err)
{
	const struct json *all = json_member(json, "all");
	bool wants_all = all && json_type(all) == JSON_BOOL && json_bool(all);
	bool filtered = query->id || query->group || query->reason;
	if (filtered != wants_all)
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "a purge needs an id, a group or a reason, or \"all\": true");
}

static int parse_object(const char *text, struct letters_line *line, struct weir_error *err)
{
	struct letters_request *request = &line->request;
	int code = json_parse(text, strlen(text), &line->json, err);
	if (!code && json_type(line->json) != JSON_OBJECT)
		code = weir_error_set(err, WEIR_EINVAL, "the request is not a JSON object");
	if (!code)
		code = parse_query(line->json, &request->query, err);
	if (!code && request->verb == LETTERS_MEND)
		code = parse_mends(line->json, request, err);
	if (!code && request->verb == LETTERS_PURGE)
		code = check_purge(line->json, &request->query, err);
	return code;
}

int letters_parse(const char *words, struct letters_line *ret_line, struct weir_error *err)
{
	for (size_t i = 0; i < sizeof verb_names / sizeof *verb_names; i++) {
		size_t n = strlen(verb_names[i]);
		struct letters_line line = {.where = i == WHERE, .request.verb = i == WHERE ? 0 : (enum letters_verb)i};
		if (strncmp(words, verb_names[i], n) != 0)
			continue;
		int code = parse_object(words + n, &line, err);
		if (code)
			letters_line_fini(&line);
		else
			*ret_line = line;
		return code;
	}
	return weir_error_set(err, WEIR_EINVAL, "unknown request");
}

void letters_line_fini(struct letters_line *line)
{
	for (size_t i = 0; i < line->request.mend_count; i++)
		value_fini(&line->request.mends[i].item);
	free(line->request.mends);
	json_free(line->json);
	*line = (struct letters_line){0};
}

static void write_query(const struct letters_request *request, struct buf *out)
{
	const struct letter_query *query = &request->query;
	char group[16];
	snprintf(group, sizeof group, "%08x", query->group);
	json_put_uint(out, "after", query->after);
	json_put_uint(out, "limit", query->limit);
	if (query->id)
		json_put_uint(out, "id", query->id);
	if (query->group)
		json_put_text(out, "group", group);
	if (query->reason)
		json_put_text(out, "reason", query->reason);
	if (request->verb == LETTERS_PURGE && !query->id && !query->group && !query->reason)
		json_put_bool(out, "all", true);
}

static void write_mends(const struct letters_request *request, struct buf *out)
{
	json_open(out, "mends", '[');
	for (size_t i = 0; i < request->mend_count; i++) {
		json_open(out, NULL, '{');
		json_put_uint(out, "id", request->mends[i].id);
		json_put_raw(out, "item", request->mends[i].item.data, request->mends[i].item.len);
		json_close(out, '}');
	}
	json_close(out, ']');
}

/* --- either way --- */

struct letters {
	bool to_change;
	struct folder folder; /* of a run that is not alive */
	struct store *store;  /* NULL, and not live: its broker keeps no state */
	char *live;           /* the folder of one that is; else NULL */
	struct visit *visit;  /* of a broker that is shared; else NULL */
	bool is_worked_on;
	char *elsewhere;
};

static int ask_live(const char *folder, const char *request, struct buf *out, struct json **ret_json,
		    struct weir_error *err)
{
	struct buf answer = {0};
	int code = cmd_ask(folder, request, &answer, ret_json, err);
	if (!code && out && buf_add(out, answer.data, cmd_answer_end(&answer)))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	buf_fini(&answer);
	return code;
}

/* 0 if it is alive; then where its letters go is known, too.  A code of cmd_ask_has_ended(): it is not. */
static int find_live(struct letters *letters, const char *folder, struct weir_error *err)
{
	struct json *json = NULL;
	const char *elsewhere = NULL;
	int code = ask_live(folder, "letters where {}", NULL, &json, err);
	if (code)
		return code;
	take_text(json, "elsewhere", &elsewhere, NULL);
	letters->elsewhere = elsewhere ? strdup(elsewhere) : NULL;
	letters->live = strdup(folder);
	json_free(json);
	return letters->live ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

static int recall_sink(struct letters *letters, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = store_recall(letters->store, &past, err);
	if (!code && past.begun)
		letters->elsewhere = spec_meaning_place(past.plan.data, "dead_letter");
	broker_past_fini(&past);
	return code;
}

/* A broker without a state leaves its letters in a file of the folder. */
static bool find_file(struct letters *letters)
{
	if (faccessat(letters->folder.fd, "dead.jsonl", F_OK, 0))
		return false;
	letters->elsewhere = folder_file(&letters->folder, "dead.jsonl");
	return letters->elsewhere;
}

static int open_store(struct letters *letters, const char *folder, struct weir_error *err)
{
	int code = store_open(folder, letters->folder.readonly ? STORE_READONLY : 0, &letters->store, err);
	if (code == -ENOENT && find_file(letters))
		return 0;
	return code ? code : recall_sink(letters, err);
}

/* A run that is about to start has the folder and does not answer yet. */
static int open_either(struct letters *letters, const char *folder, struct weir_error *err)
{
	for (int attempts = 0;; attempts++) {
		int code = find_live(letters, folder, err);
		if (!cmd_ask_has_ended(code))
			return code;
		code = folder_open(folder, letters->to_change ? FOLDER_CHANGE : FOLDER_LOOK, &letters->folder, err);
		if (code != WEIR_EBUSY || attempts == START_ATTEMPTS)
			return code ? code : open_store(letters, folder, err);
		usleep(START_STEP_MS * 1000);
	}
}

int letters_open(const char *folder, bool to_change, struct letters **ret_letters, struct weir_error *err)
{
	struct letters *letters = calloc(1, sizeof *letters);
	if (!letters)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	letters->folder = (struct folder){.fd = -1, .lock_fd = -1};
	letters->to_change = to_change;
	int code = open_either(letters, folder, err);
	if (code)
		letters_close(letters);
	else
		*ret_letters = letters;
	return code;
}

int letters_visit(struct visit *visit, struct letters **ret_letters, struct weir_error *err)
{
	struct letters *letters = calloc(1, sizeof *letters);
	struct fleet_view view = {0};
	if (!letters)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	letters->folder = (struct folder){.fd = -1, .lock_fd = -1};
	letters->visit = visit;
	if (visit->plan->dead_letter.adapter)
		letters->elsewhere = spec_meaning_place(visit->plan->meaning, "dead_letter");
	int code = visit_look(visit, &view, err);
	letters->is_worked_on = !code && fleet_count_alive(&view);
	fleet_view_fini(&view);
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
	free(letters->elsewhere);
	free(letters);
}

bool letters_live(const struct letters *letters)
{
	return letters->live || letters->is_worked_on;
}

bool letters_on_loop(const struct letters *letters)
{
	return letters->visit;
}

static int do_visit(struct visit *visit, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		    struct weir_error *err)
{
	unsigned attempts = 0;
	int code;
	if (!visit->ops->journal.letters)
		return 0; /* there are none */
	do
		code = visit->ops->journal.letters(visit->broker, request, out, ret_n, err, WEIR_FOREVER);
	while (visit_again(code, &attempts));
	return code;
}

const char *letters_elsewhere(const struct letters *letters)
{
	return letters->elsewhere;
}

/* What a run that ends leaves behind. */
static int reopen(struct letters *letters, struct weir_error *err)
{
	char *folder = letters->live;
	free(letters->elsewhere);
	letters->live = letters->elsewhere = NULL;
	int code = open_either(letters, folder, err);
	free(folder);
	return code;
}

static void note_missing(const struct json *missing, const struct letters_request *request)
{
	struct letter_mend *mends = request->mends;
	const struct json *place;
	size_t pos = 0, n = request->mend_count;
	for (size_t i = 0; i < n; i++)
		mends[i].done = true;
	while (missing && (place = json_next(missing, &pos, NULL)))
		if (json_fits_int(place) && json_int(place) >= 0 && (size_t)json_int(place) < n)
			mends[json_int(place)].done = false;
}

static int do_live(const char *folder, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		   struct weir_error *err)
{
	struct buf words = {0};
	struct json *json = NULL;
	buf_addf(&words, "letters %s", verb_names[request->verb]);
	json_open(&words, NULL, '{');
	if (request->verb == LETTERS_MEND)
		write_mends(request, &words);
	else
		write_query(request, &words);
	json_close(&words, '}');
	int code = words.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory")
				: ask_live(folder, words.data, out, &json, err);
	if (!code)
		code = take_number(json, "n", ret_n, err);
	if (!code)
		note_missing(json_member(json, "missing"), request);
	json_free(json);
	buf_fini(&words);
	return code;
}

int letters_do(struct letters *letters, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
	       struct weir_error *err)
{
	while (letters->live) {
		int code = do_live(letters->live, request, out, ret_n, err);
		if (!cmd_ask_has_ended(code))
			return code;
		code = reopen(letters, err);
		if (code)
			return code;
	}
	*ret_n = request->verb == LETTERS_LIST ? request->query.after : 0;
	if (letters->visit)
		return do_visit(letters->visit, request, out, ret_n, err);
	return letters->store ? store_do(letters->store, request, out, ret_n, err) : 0;
}

/* --- page by page --- */

int letters_each_line(const struct buf *lines, letters_line_fn take, void *arg, struct weir_error *err)
{
	for (const char *at = lines->data, *end; at && *at; at = end + 1) {
		struct json *json;
		end = strchrnul(at, '\n');
		int code = json_parse(at, (size_t)(end - at), &json, err);
		if (code)
			return code;
		code = take(json, arg, err);
		json_free(json);
		if (code || !*end)
			return code;
	}
	return 0;
}

int letters_each_page(struct letters *letters, const struct letter_query *wanted, letters_page_fn take, void *arg,
		      struct weir_error *err)
{
	struct letters_request request = {.verb = LETTERS_LIST, .query = *wanted};
	struct letter_query *query = &request.query;
	size_t left = query->limit ? query->limit : SIZE_MAX;
	for (;;) {
		struct buf lines = {0};
		uint64_t last = 0;
		size_t n = 0;
		query->limit = left < PAGE ? left : PAGE;
		int code = letters_do(letters, &request, &lines, &last, err);
		for (size_t i = 0; i < lines.len; i++)
			n += lines.data[i] == '\n';
		if (!code && n && last <= query->after)
			code = weir_error_set(err, WEIR_EDATA,
					      "the state is damaged: dead letter %" PRIu64 " comes after %" PRIu64,
					      last, query->after);
		if (!code && n)
			code = take(&lines, arg, err);
		buf_fini(&lines);
		left -= n;
		if (code || n < query->limit || !left)
			return code;
		query->after = last;
	}
}
