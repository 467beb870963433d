/* SPDX-License-Identifier: MIT */
/*
 * Dead letters, page by page: what a page brings is filtered here, so the server only looks up numbers.  None of it
 * needs a worker; all of it says which run it is about, so nothing of another one is touched.
 *
 * What is replayed keeps its number, since it is the same item; what is replayed with another item gets another one.
 */
#include "redis/broker/state.h"

#include "port/cause.h"
#include "port/groups.h"
#include "port/letter.h"

#include <inttypes.h>
#include <stdlib.h>

struct letters_call {
	struct redis_broker *broker;
	char run[33];
	const struct letters_request *request;
	struct buf *out;
	struct weir_error *err;
	uint64_t n, last;
};

static void begin_call(const struct letters_call *job, struct redis_command *rest)
{
	redis_add_keys(job->broker, rest);
	redis_add_text(rest, job->run);
}

static int run(const struct letters_call *job, enum redis_script_name name, struct redis_command *rest,
	       redisReply **ret_reply)
{
	return redis_run(job->broker, job->broker->redis, name, rest, ret_reply, job->err);
}

/* ---- reading */

static int read_page(const struct letters_call *job, uint64_t after, uint64_t until, redisReply **ret_reply)
{
	struct redis_command rest = {0};
	begin_call(job, &rest);
	redis_add_number(&rest, (int64_t)after);
	redis_add_number(&rest, (int64_t)until);
	redis_add_number(&rest, REDIS_ITEMS_MOST);
	return run(job, REDIS_LETTERS, &rest, ret_reply);
}

/* Borrowed from the answer. */
static struct letter letter_in(const redisReply *entry, struct entry_meta *ret_meta)
{
	redisReply *const *of = entry->element;
	*ret_meta = (struct entry_meta){0};
	entry_meta_read(of[1]->str, of[1]->len, ret_meta);
	struct letter letter = {
		.id = strtoull(of[0]->str, NULL, 10),
		.reason = of[3]->str,
		.attempts = ret_meta->attempts,
		.position = ret_meta->position,
		.at_unix = strtoll(of[5]->str, NULL, 10) / 1000,
		.cause = cause_of(of[3]->str, of[4]->len ? of[4]->str : NULL, of[4]->len),
		.history = ret_meta->history.data, /* the last of its text, so it ends with a NUL */
		.item = {of[2]->str, of[2]->len},
	};
	if (of[4]->len)
		letter.evidence = (struct value){of[4]->str, of[4]->len};
	return letter;
}

static bool is_meant(const struct letter_query *query, const struct letter *letter)
{
	return (!query->reason || strstr(letter->reason, query->reason)) &&
	       (!query->group || query->group == letter->cause);
}

struct page {
	struct letter letters[REDIS_ITEMS_MOST];
	struct entry_meta metas[REDIS_ITEMS_MOST];
	size_t n;
};

typedef int page_fn(struct letters_call *job, const struct page *page, void *arg);

/* Those of an answer that are meant, `left` at most; *after: the last that was looked at. */
static void fill_page(struct page *page, const redisReply *entries, const struct letter_query *query, size_t left,
		      uint64_t *after)
{
	page->n = 0;
	for (size_t i = 0; i < entries->elements && page->n < left; i++) {
		struct letter *letter = &page->letters[page->n];
		*letter = letter_in(entries->element[i], &page->metas[page->n]);
		*after = letter->id;
		page->n += is_meant(query, letter);
	}
}

/* Calls fn with the letters of each page that are meant, until there are none, or as many as were asked for. */
static int for_pages(struct letters_call *job, const struct letter_query *query, page_fn *fn, void *arg)
{
	uint64_t after = query->id && query->id - 1 > query->after ? query->id - 1 : query->after;
	size_t left = query->limit ? query->limit : SIZE_MAX, seen = 1;
	struct page *page = malloc(sizeof *page);
	int code = 0;
	if (!page)
		return weir_error_set(job->err, WEIR_ENOMEM, "out of memory");
	while (!code && seen && left) {
		redisReply *reply;
		code = read_page(job, after, query->id ? query->id : INT64_MAX, &reply);
		if (code)
			break;
		seen = reply->element[1]->elements;
		fill_page(page, reply->element[1], query, left, &after);
		left -= page->n;
		code = page->n ? fn(job, page, arg) : 0;
		freeReplyObject(reply);
	}
	free(page);
	return code;
}

static int list_page(struct letters_call *job, const struct page *page, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < page->n; i++) {
		letter_write(&page->letters[i], job->out);
		buf_add_char(job->out, '\n');
		job->n = page->letters[i].id;
	}
	return job->out->failed ? weir_error_set(job->err, WEIR_ENOMEM, "out of memory") : 0;
}

/* ---- forgetting */

static int purge_page(struct letters_call *job, const struct page *page, void *arg)
{
	struct redis_command rest = {0};
	redisReply *reply;
	(void)arg;
	begin_call(job, &rest);
	for (size_t i = 0; i < page->n; i++)
		redis_add_number(&rest, (int64_t)page->letters[i].id);
	int code = run(job, REDIS_PURGE, &rest, &reply);
	if (code)
		return code;
	job->n += (uint64_t)reply->element[1]->integer;
	freeReplyObject(reply);
	return 0;
}

/* ---- replaying */

/* The words of a letter that becomes an item: as it was, or `instead`. */
static int add_revival(const struct letters_call *job, const struct letter *letter, const struct entry_meta *was,
		       const struct value *instead, struct redis_command *rest)
{
	struct buf history = {0}, text = {0};
	bool mended = false;
	int code = instead ? letter_is_mended(letter, instead, &mended) : 0;
	letter_add_death(letter, mended, &history);
	struct entry_meta meta = {.position = was->position,
				  .bad = was->bad && !instead,
				  .ages = {.taken = -1, .attempted = -1},
				  .history = {history.data, history.len}};
	if (meta.bad)
		meta.why = (struct value){(char *)(uintptr_t)letter->reason, strlen(letter->reason)};
	if (!code && !history.failed && !mended)
		code = letter_number(history.data, letter->id, &meta.number);
	entry_meta_write(&meta, &text);
	redis_add_number(rest, (int64_t)letter->id);
	redis_add(rest, text.data, text.len);
	redis_add(rest, instead ? instead->data : "", instead ? instead->len : 0);
	if (code || history.failed || text.failed)
		code = weir_error_set(job->err, WEIR_ENOMEM, "out of memory");
	buf_fini(&history);
	buf_fini(&text);
	return code;
}

/* done[i]: it was a letter. */
static int revive(struct letters_call *job, struct redis_command *rest, bool *done)
{
	redisReply *reply;
	int code = run(job, REDIS_REVIVE, rest, &reply);
	if (code)
		return code;
	for (size_t i = 0; i < reply->element[1]->elements; i++) {
		done[i] = reply->element[1]->element[i]->integer;
		job->n += done[i];
	}
	freeReplyObject(reply);
	return 0;
}

static int replay_page(struct letters_call *job, const struct page *page, void *arg)
{
	struct redis_command rest = {0};
	bool done[REDIS_ITEMS_MOST];
	int code = 0;
	(void)arg;
	begin_call(job, &rest);
	for (size_t i = 0; i < page->n && !code; i++)
		code = add_revival(job, &page->letters[i], &page->metas[i], NULL, &rest);
	if (!code)
		return revive(job, &rest, done);
	redis_command_fini(&rest);
	return code;
}

static int mend_page(struct letters_call *job, const struct page *page, void *arg)
{
	struct letter_mend *mend = arg;
	struct redis_command rest = {0};
	begin_call(job, &rest);
	int code = add_revival(job, page->letters, page->metas, &mend->item, &rest);
	if (!code)
		return revive(job, &rest, &mend->done);
	redis_command_fini(&rest);
	return code;
}

static int mend_all(struct letters_call *job)
{
	int code = 0;
	for (size_t i = 0; i < job->request->mend_count; i++)
		job->request->mends[i].done = false;
	for (size_t i = 0; i < job->request->mend_count && !code; i++) {
		struct letter_mend *mend = &job->request->mends[i];
		const struct letter_query query = {.id = mend->id};
		code = mend->id ? for_pages(job, &query, mend_page, mend) : 0;
	}
	return code;
}

/* ---- groups */

static int count_page(struct letters_call *job, const struct page *page, void *arg)
{
	(void)job;
	for (size_t i = 0; i < page->n; i++)
		letter_groups_count(arg, &page->letters[i]);
	return 0;
}

static int write_group(struct letters_call *job, const struct page *page, void *arg)
{
	letter_group_write(arg, page->letters, job->out);
	return 0;
}

static int write_groups(struct letters_call *job)
{
	struct letter_groups *groups = calloc(1, sizeof *groups);
	if (!groups)
		return weir_error_set(job->err, WEIR_ENOMEM, "out of memory");
	int code = for_pages(job, &(struct letter_query){0}, count_page, groups);
	letter_groups_sort(groups);
	for (size_t i = 0; i < groups->n && i < GROUPS_TOLD && !code; i++)
		code = for_pages(job, &(struct letter_query){.id = groups->slots[i].example}, write_group,
				 &groups->slots[i]);
	letter_groups_end(groups, job->out);
	free(groups);
	return !code && job->out->failed ? weir_error_set(job->err, WEIR_ENOMEM, "out of memory") : code;
}

/* ---- */

static int work(struct letters_call *job)
{
	const struct letter_query *query = &job->request->query;
	switch (job->request->verb) {
	case LETTERS_LIST:
		job->n = query->after;
		return for_pages(job, query, list_page, NULL);
	case LETTERS_REPLAY:
		return for_pages(job, query, replay_page, NULL);
	case LETTERS_PURGE:
		return for_pages(job, query, purge_page, NULL);
	case LETTERS_GROUPS:
		return write_groups(job);
	case LETTERS_MEND:
		break;
	}
	return mend_all(job);
}

int redis_letters(struct broker *handle, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		  struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct letters_call job = {.broker = broker, .request = request, .out = out, .err = err};
	bool back = request->verb == LETTERS_REPLAY || request->verb == LETTERS_MEND;
	(void)deadline;
	if (back && broker->ended)
		return weir_error_set(err, WEIR_ECLOSED, "the run has ended");
	int code = redis_find_run(broker, job.run, err);
	if (code == WEIR_ENOENT) { /* without a run there are none */
		*ret_n = 0;
		return 0;
	}
	code = code ? code : work(&job);
	if (code)
		return code;
	uint64_t gone = back || request->verb == LETTERS_PURGE ? job.n : 0;
	broker->counts.letters -= gone < broker->counts.letters ? gone : broker->counts.letters;
	if (back) {
		broker->counts.accounts.dead -=
			job.n < broker->counts.accounts.dead ? job.n : broker->counts.accounts.dead;
		broker->left += job.n;
	}
	*ret_n = job.n;
	return 0;
}
