/* SPDX-License-Identifier: MIT */
#include "store_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/random.h>
#include <weir/run.h>

#include "port/cause.h"
#include "support/test.h"

enum { PUTS_MAX = 3, SOME_MAX = 40 };

void model_fini(struct model *model)
{
	for (size_t i = 0; i < model->n; i++)
		free(model->items[i].history);
	free(model->items);
	*model = (struct model){0};
}

struct model model_copy(const struct model *model)
{
	struct model copy = *model;
	copy.items = malloc((model->n + 1) * sizeof copy.items[0]);
	if (model->n)
		memcpy(copy.items, model->items, model->n * sizeof copy.items[0]);
	for (size_t i = 0; i < copy.n; i++)
		copy.items[i].history = copy.items[i].history ? strdup(copy.items[i].history) : NULL;
	return copy;
}

static struct model_item *find_item(const struct model *model, uint64_t id)
{
	for (size_t i = 0; i < model->n; i++)
		if (model->items[i].id == id)
			return &model->items[i];
	return NULL;
}

static void add_item(struct model *model, const struct model_item *item)
{
	model->items = realloc(model->items, (model->n + 1) * sizeof *item);
	model->items[model->n++] = *item;
}

void model_start(struct model *model, struct store *store)
{
	struct weir_error err = {0};
	struct broker_start start = {.run = MODEL_RUN, .plan = "the plan", .source = "the source", .file = "p.yaml"};
	model_fini(model);
	model->next_chunk = 1;
	ck_assert_msg(store_forget(store, &err) == 0, "%s", err.text);
	ck_assert_msg(store_start(store, &start, &err) == 0, "%s", err.text);
}

/* ---- a random batch */

struct draw {
	struct store_put puts[PUTS_MAX];
	struct item *items[PUTS_MAX][STORE_CHUNK_ITEMS];
	struct store_retry retries[SOME_MAX];
	struct store_ack acks[SOME_MAX];
	struct item *dead[SOME_MAX];
	struct source_cursor cursor;
	struct value positions[OUTLETS];
	struct store_batch batch;
};

static void put_some(struct model *model, struct draw *draw, uint64_t *random)
{
	draw->batch.puts = draw->puts;
	draw->batch.put_count = weir_random_below(random, PUTS_MAX);
	for (size_t c = 0; c < draw->batch.put_count; c++) {
		size_t n = 1 + weir_random_below(random, weir_random_below(random, 4) ? 8 : STORE_CHUNK_ITEMS);
		uint64_t chunk = model->next_chunk + weir_random_below(random, 2);
		draw->puts[c] = (struct store_put){chunk, draw->items[c], n};
		for (size_t i = 0; i < n; i++) {
			struct model_item item = {.id = chunk * STORE_CHUNK_ITEMS + i, .position = ++model->position};
			struct item *made = draw->items[c][i] = item_new();
			item.number = item.id;
			item.bad = weir_random_below(random, 20) == 0;
			snprintf(item.source, sizeof item.source, "{\"n\":%llu}", (unsigned long long)item.position);
			if (item.bad)
				snprintf(item.why, sizeof item.why, "bad \"%llu\"", (unsigned long long)item.position);
			made->position = item.position;
			made->bad = item.bad;
			item_set_why(made, "%s", item.why);
			quick_assert(!value_copy(&made->source, item.source, strlen(item.source)));
			add_item(model, &item);
		}
		model->next_chunk = chunk + 1;
		model->accounts.read += n;
	}
}

/* Some that are unfinished, each at most once. */
static size_t pick(const struct model *model, uint64_t *random, struct model_item **picked)
{
	size_t n = 0, wanted = weir_random_below(random, SOME_MAX);
	bool oldest = weir_random_below(random, 2);
	for (size_t i = 0; i < model->n && n < wanted; i++)
		if (model->items[i].state == MODEL_UNFINISHED && (oldest || weir_random_below(random, 8) == 0))
			picked[n++] = &model->items[i];
	return n;
}

static void retry_some(struct model *model, struct draw *draw, uint64_t *random)
{
	struct model_item *picked[SOME_MAX];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	draw->batch.retries = draw->retries;
	draw->batch.retry_count = pick(model, random, picked);
	for (size_t i = 0; i < draw->batch.retry_count; i++) {
		struct model_item *item = picked[weir_random_below(random, draw->batch.retry_count)];
		struct store_retry *retry = &draw->retries[i];
		item->attempts++;
		item->retried = true;
		snprintf(item->why, sizeof item->why, "busy %llu", (unsigned long long)weir_random_below(random, 9));
		item->due_unix_ns = now.tv_sec * (int64_t)WEIR_SEC;
		if (weir_random_below(random, 2))
			item->due_unix_ns += 100000 * (int64_t)WEIR_SEC;
		*retry = (struct store_retry){.id = item->id,
					      .attempts = item->attempts,
					      .due_unix_ns = item->due_unix_ns,
					      .ages = {-1, -1, -1}};
		snprintf(retry->why, sizeof retry->why, "%s", item->why);
	}
}

static void ack_some(struct model *model, struct draw *draw, uint64_t *random)
{
	struct model_item *picked[SOME_MAX];
	draw->batch.acks = draw->acks;
	draw->batch.ack_count = pick(model, random, picked);
	for (size_t i = 0; i < draw->batch.ack_count; i++) {
		enum fate fate = (enum fate)weir_random_below(random, 3);
		draw->acks[i] = (struct store_ack){picked[i]->id, fate};
		picked[i]->state = MODEL_SETTLED;
		++*(fate == FATE_SUCCEEDED ? &model->accounts.succeeded
		    : fate == FATE_DROPPED ? &model->accounts.dropped
					   : &model->accounts.dead);
	}
}

static void bury_some(struct model *model, struct draw *draw, uint64_t *random)
{
	struct model_item *picked[SOME_MAX];
	draw->batch.dead = draw->dead;
	draw->batch.dead_count = pick(model, random, picked) / 2;
	for (size_t i = 0; i < draw->batch.dead_count; i++) {
		struct model_item *item = picked[i];
		struct item *made = draw->dead[i] = item_new();
		item->attempts++;
		snprintf(item->why, sizeof item->why, "status: %llu",
			 (unsigned long long)(400 + weir_random_below(random, 5)));
		made->id = item->id;
		made->position = item->position;
		made->attempts = item->attempts;
		made->bad = item->bad;
		item_set_why(made, "%s", item->why);
		quick_assert(!value_copy(&made->source, item->source, strlen(item->source)));
		if (weir_random_below(random, 2)) {
			snprintf(item->evidence, sizeof item->evidence,
				 "{\"step\":%llu,\"kind\":\"http\",\"error\":\"no order %llu\"}",
				 (unsigned long long)weir_random_below(random, 3), (unsigned long long)item->id);
			quick_assert(!value_copy(&made->evidence, item->evidence, strlen(item->evidence)));
		}
		item->state = MODEL_LETTER;
	}
	model->accounts.dead += draw->batch.dead_count;
}

static void move_on(struct model *model, struct draw *draw, uint64_t *random)
{
	if (weir_random_below(random, 2)) {
		snprintf(model->cursor.text, sizeof model->cursor.text, "offset=%llu",
			 (unsigned long long)weir_random_below(random, 1000));
		draw->cursor = model->cursor;
		draw->batch.cursor = &draw->cursor;
	}
	for (int i = 0; i < OUTLETS; i++) {
		if (weir_random_below(random, 3))
			continue;
		snprintf(model->positions[i], sizeof model->positions[i], "%.*s", (int)weir_random_below(random, 9),
			 "off=12345");
		draw->positions[i] = (struct value){model->positions[i], strlen(model->positions[i])};
		draw->batch.positions[i] = &draw->positions[i];
	}
	draw->batch.seal = weir_random_below(random, 30) == 0;
	model->sealed = draw->batch.seal || (model->sealed && !draw->batch.put_count);
}

static void free_draw(struct draw *draw)
{
	for (size_t c = 0; c < draw->batch.put_count; c++)
		for (size_t i = 0; i < draw->puts[c].n; i++)
			item_free(draw->items[c][i]);
	for (size_t i = 0; i < draw->batch.dead_count; i++)
		item_free(draw->dead[i]);
	free(draw);
}

static int commit_random(struct model *model, struct store *store, uint64_t *random, struct weir_error *err)
{
	struct draw *draw = calloc(1, sizeof *draw);
	put_some(model, draw, random);
	retry_some(model, draw, random);
	ack_some(model, draw, random);
	bury_some(model, draw, random);
	move_on(model, draw, random);
	int code = store ? store_commit(store, &draw->batch, err) : 0;
	free_draw(draw);
	return code;
}

/* ---- replay, purge */

static uint32_t cause(const struct model_item *item)
{
	size_t n = strlen(item->evidence);
	return cause_of(item->why, n ? item->evidence : NULL, n);
}

static bool matches(const struct model_item *item, const struct letter_query *query)
{
	return item->state == MODEL_LETTER && item->id > query->after && (!query->id || item->id == query->id) &&
	       (!query->group || cause(item) == query->group) && (!query->reason || strstr(item->why, query->reason));
}

/* By id, as the store goes through them. */
static struct model_item *next_letter(struct model *model, const struct letter_query *query)
{
	struct model_item *next = NULL;
	for (size_t i = 0; i < model->n; i++)
		if (matches(&model->items[i], query) && (!next || model->items[i].id < next->id))
			next = &model->items[i];
	return next;
}

static void replay_item(struct model *model, struct model_item *item, uint64_t id, bool mended)
{
	struct model_item again = *item;
	const char *history = item->history;
	again.history = NULL;
	quick_assert(asprintf(&again.history, "%.*s%s{\"id\":%llu,\"reason\":\"%s\",\"attempts\":%u,\"at\":\"T\"%s}]",
			      history ? (int)strlen(history) - 1 : 0, history ? history : "", history ? "," : "[",
			      (unsigned long long)item->id, item->why, item->attempts,
			      mended ? ",\"mended\":true" : "") > 0);
	again.id = id;
	again.number = mended ? id : item->number;
	again.evidence[0] = 0;
	again.state = MODEL_UNFINISHED;
	again.attempts = 0;
	again.due_unix_ns = 0;
	if (!again.bad)
		again.why[0] = 0;
	item->state = MODEL_SETTLED;
	model->accounts.dead--;
	add_item(model, &again);
}

static struct letter_query random_query(const struct model *model, uint64_t *random)
{
	struct letter_query query = {0};
	static const char *const reasons[] = {NULL, NULL, "402", "stat", "%"};
	query.reason = reasons[weir_random_below(random, 5)];
	query.limit = weir_random_below(random, 2) ? 0 : 1 + weir_random_below(random, 5);
	if (model->n && weir_random_below(random, 3) == 0)
		query.id = model->items[weir_random_below(random, model->n)].id;
	if (model->n && weir_random_below(random, 3) == 0)
		query.group = cause(&model->items[weir_random_below(random, model->n)]);
	if (model->n && weir_random_below(random, 3) == 0)
		query.after = model->items[weir_random_below(random, model->n)].id;
	return query;
}

static int replay_random(struct model *model, struct store *store, uint64_t *random, struct weir_error *err)
{
	struct letter_query query = random_query(model, random);
	uint64_t told = 0, n = 0;
	int code = store ? store_replay(store, &query, &told, err) : 0;
	struct letter_query at = query;
	struct model_item *item;
	uint64_t first = model->next_chunk * STORE_CHUNK_ITEMS;
	while ((!query.limit || n < query.limit) && (item = next_letter(model, &at))) {
		if (n && n % STORE_CHUNK_ITEMS == 0)
			model->next_chunk++;
		at.after = item->id;
		replay_item(model, item, first + n++, false);
	}
	model->next_chunk += n != 0;
	if (store && !code)
		quick_assert(told == n);
	return code;
}

/* Some that are letters, some that are none, one twice; the model takes them in the same order. */
static int mend_random(struct model *model, struct store *store, uint64_t *random, struct weir_error *err)
{
	static const struct value text = {"{\"mended\":1}", 12};
	struct letter_mend mends[SOME_MAX];
	uint64_t told = 0, done = 0, first = model->next_chunk * STORE_CHUNK_ITEMS;
	size_t n = model->n ? weir_random_below(random, SOME_MAX) : 0;
	for (size_t i = 0; i < n; i++)
		mends[i] =
			(struct letter_mend){.id = model->items[weir_random_below(random, model->n)].id, .item = text};
	int code = store ? store_mend(store, mends, n, &told, err) : 0;
	for (size_t i = 0; i < n; i++) {
		struct model_item *item = find_item(model, mends[i].id);
		bool is_letter = item->state == MODEL_LETTER;
		if (store && !code)
			quick_assert(mends[i].done == is_letter);
		if (!is_letter)
			continue;
		bool mended = item->bad || strcmp(item->source, text.data) != 0;
		snprintf(item->source, sizeof item->source, "%s", text.data);
		item->bad = false;
		replay_item(model, item, first + done++, mended);
		model->items[model->n - 1].why[0] = 0;
	}
	model->next_chunk += done != 0;
	if (store && !code)
		quick_assert(told == done);
	return code;
}

static int purge_random(struct model *model, struct store *store, uint64_t *random, struct weir_error *err)
{
	struct letter_query query = random_query(model, random), at = query;
	uint64_t told = 0, n = 0;
	int code = store ? store_purge(store, &query, &told, err) : 0;
	struct model_item *item;
	while ((!query.limit || n < query.limit) && (item = next_letter(model, &at))) {
		at.after = item->id;
		item->state = MODEL_SETTLED;
		n++;
	}
	if (store && !code)
		quick_assert(told == n);
	return code == WEIR_ENOSPC && told ? 0 : code; /* they are purged, only the file is not yet written again */
}

int model_step(struct model *model, struct store *store, uint64_t *random, struct weir_error *err)
{
	struct model before = model_copy(model);
	uint64_t kind = weir_random_below(random, 13);
	int code = kind == 0   ? replay_random(model, store, random, err)
		   : kind == 1 ? purge_random(model, store, random, err)
		   : kind == 2 ? mend_random(model, store, random, err)
			       : commit_random(model, store, random, err);
	if (code) {
		model_fini(model);
		*model = before;
	} else
		model_fini(&before);
	return code;
}

/* ---- comparing */

static const char *compare_past(const struct model *model, const struct broker_past *past)
{
	uint64_t unfinished = 0, letters = 0;
	for (size_t i = 0; i < model->n; i++) {
		unfinished += model->items[i].state == MODEL_UNFINISHED;
		letters += model->items[i].state == MODEL_LETTER;
	}
	if (!past->begun || strcmp(past->run, MODEL_RUN) != 0 || strcmp(past->plan.data, "the plan") != 0 ||
	    strcmp(past->source.data, "the source") != 0 || strcmp(past->file.data, "p.yaml") != 0)
		return "run, plan, source or file";
	if (memcmp(&past->accounts, &model->accounts, sizeof model->accounts) != 0)
		return "accounts";
	if (past->unfinished != unfinished || past->letters != letters)
		return test_format("%llu unfinished and %llu letters are to be %llu and %llu",
				   (unsigned long long)past->unfinished, (unsigned long long)past->letters,
				   (unsigned long long)unfinished, (unsigned long long)letters);
	if (past->sealed != model->sealed || past->done != (model->sealed && !unfinished))
		return "sealed, done";
	if (strcmp(past->cursor.text, model->cursor.text) != 0)
		return "cursor";
	for (int i = 0; i < OUTLETS; i++)
		if (past->positions[i].len != strlen(model->positions[i]) ||
		    strcmp(past->positions[i].data, model->positions[i]) != 0)
			return "positions";
	return NULL;
}

static const char *compare_item(const struct model *model, const struct item *item)
{
	const struct model_item *is = find_item(model, item->id);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!is || is->state != MODEL_UNFINISHED)
		return "an item that is settled";
	int64_t left = is->due_unix_ns - now.tv_sec * (int64_t)WEIR_SEC, told = item->due ? item->due - weir_now() : 0;
	if (item->position != is->position || item->attempts != is->attempts || item->bad != is->bad ||
	    strcmp(item_why(item), is->why) != 0 || strcmp(item->source.data, is->source) != 0)
		return test_format("item %llu: why %s or %s, attempts %u or %u", (unsigned long long)item->id,
				   item_why(item), is->why, item->attempts, is->attempts);
	if (item_number(item) != is->number)
		return test_format("item %llu: number %llu or %llu", (unsigned long long)item->id,
				   (unsigned long long)item_number(item), (unsigned long long)is->number);
	if (left > 1000 * (int64_t)WEIR_SEC ? llabs(left - told) > 100 * (int64_t)WEIR_SEC : item->due != 0)
		return test_format("item %llu: due in %lld s", (unsigned long long)item->id,
				   (long long)(told / WEIR_SEC));
	return NULL;
}

static const char *compare_chunk(const struct model *model, struct store *store, const struct store_chunk *chunk)
{
	struct item *items[STORE_CHUNK_ITEMS];
	struct weir_error err = {0};
	const char *what = NULL;
	uint64_t last = 0;
	int n = store_load(store, chunk->id, items, &err);
	if (n < 0)
		return test_format("%s", err.text);
	if (n != (int)chunk->left)
		what = "items left in a chunk";
	for (int i = 0; i < n; i++) {
		if (!what)
			what = compare_item(model, items[i]);
		if (!what && items[i]->id <= last)
			what = "the order of a chunk";
		last = items[i]->id;
		item_free(items[i]);
	}
	return what;
}

static const char *compare_chunks(const struct model *model, struct store *store)
{
	struct store_chunk *chunks = NULL;
	const char *what = NULL;
	size_t n = 0, left = 0, unfinished = 0;
	if (store_chunks(store, &chunks, &n, NULL))
		return "no chunks";
	for (size_t i = 0; i < n && !what; i++) {
		left += chunks[i].left;
		what = i && chunks[i].id <= chunks[i - 1].id ? "the order of chunks"
							     : compare_chunk(model, store, &chunks[i]);
	}
	free(chunks);
	for (size_t i = 0; i < model->n; i++)
		unfinished += model->items[i].state == MODEL_UNFINISHED;
	return what ? what : left != unfinished ? "items in chunks" : NULL;
}

/* "at":"2026-..." becomes "at":"T". */
static void hide_times(struct buf *buf)
{
	char *to = buf->data;
	for (const char *from = buf->data; from && *from;) {
		bool time = strncmp(from, "\"at\":\"", 6) == 0;
		size_t n = time ? 6 : 1;
		memmove(to, from, n);
		to += n;
		from += n;
		if (time) {
			*to++ = 'T';
			from += strlen("2026-05-01T12:00:00Z");
		}
	}
	if (to)
		*to = 0;
}

static const char *compare_letters(const struct model *model, struct store *store)
{
	struct letter_query query = {.limit = 7}, at = {0};
	struct buf is = {0}, wanted = {0};
	struct model_item *item;
	uint64_t last = 0;
	const char *what = NULL;
	do {
		query.after = last;
		if (store_letters(store, &query, &is, &last, NULL))
			return "no letters";
	} while (last != query.after);
	hide_times(&is);
	while ((item = next_letter((struct model *)(uintptr_t)model, &at))) {
		buf_addf(&wanted,
			 "{\"id\":%llu,\"reason\":\"%s\",\"attempts\":%u,\"position\":%llu,\"at\":\"T\","
			 "\"group\":\"%08x\"",
			 (unsigned long long)item->id, item->why, item->attempts, (unsigned long long)item->position,
			 cause(item));
		if (item->history)
			buf_addf(&wanted, ",\"history\":%s", item->history);
		if (item->evidence[0])
			buf_addf(&wanted, ",\"evidence\":%s", item->evidence);
		buf_addf(&wanted, ",\"item\":%s}\n", item->source);
		at.after = item->id;
	}
	if (strcmp(is.data ? is.data : "", wanted.data ? wanted.data : "") != 0)
		what = test_format("letters\n%s and not\n%s", is.data, wanted.data);
	buf_fini(&is);
	buf_fini(&wanted);
	return what;
}

/* Each group once, with as many letters as it has. */
static const char *compare_groups(const struct model *model, struct store *store)
{
	struct buf lines = {0};
	const char *what = NULL;
	uint64_t letters = 0, counted = 0;
	if (store_groups(store, &lines, NULL))
		return "no groups";
	for (size_t i = 0; i < model->n; i++)
		letters += model->items[i].state == MODEL_LETTER;
	for (const char *at = lines.data, *end; (end = strchr(at, '\n')) && end[1] && !what; at = end + 1) {
		unsigned group;
		unsigned long long n, is = 0;
		quick_assert(sscanf(at, "{\"group\":\"%8x\",\"letters\":%llu,", &group, &n) == 2);
		for (size_t i = 0; i < model->n; i++)
			is += model->items[i].state == MODEL_LETTER && cause(&model->items[i]) == group;
		counted += n;
		what = is == n ? NULL : test_format("group %08x has %llu letters, not %llu", group, is, n);
	}
	buf_fini(&lines);
	return what ? what : counted == letters ? NULL : "letters in groups";
}

const char *model_compare(const struct model *model, struct store *store)
{
	struct broker_past past = {0};
	struct buf findings = {0};
	if (store_recall(store, &past, NULL))
		return "no recall";
	const char *what = compare_past(model, &past);
	broker_past_fini(&past);
	if (!what && store_next_chunk(store) != model->next_chunk)
		what = test_format("next chunk %llu, not %llu", (unsigned long long)store_next_chunk(store),
				   (unsigned long long)model->next_chunk);
	if (!what)
		what = compare_chunks(model, store);
	if (!what)
		what = compare_letters(model, store);
	if (!what)
		what = compare_groups(model, store);
	if (!what && store_verify(store, &findings, NULL))
		what = test_format("verify: %s", findings.data);
	buf_fini(&findings);
	return what;
}
