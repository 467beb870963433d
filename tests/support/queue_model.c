/* SPDX-License-Identifier: MIT */
#include "support/queue_model.h"

#include <stddef.h>
#include <string.h>
#include <weir/run.h>

void model_init(struct queue_model *model, const struct weir_queue_options *opts)
{
	memset(model, 0, offsetof(struct queue_model, items)); /* the rest is large, and not looked at */
	model->options = *opts;
	model->capacity = opts->flags & WEIR_QUEUE_UNBOUNDED ? SIZE_MAX : opts->capacity;
}

bool model_has_place(const struct queue_model *model)
{
	return model->n < model->capacity;
}

bool model_has_classes(const struct queue_model *model)
{
	return model->options.order >= WEIR_PRIORITY || model->options.flags & WEIR_QUEUE_TIMED;
}

bool model_is_timed(const struct queue_model *model)
{
	return model->options.name || model->options.flags & WEIR_QUEUE_TIMED;
}

/* ---- lines of those who wait */

static void remove_from(struct model_line *line, const struct model_worker *worker)
{
	size_t kept = 0;
	for (size_t i = 0; i < line->n; i++)
		if (line->workers[i] != worker)
			line->workers[kept++] = line->workers[i];
	line->n = kept;
}

static void leave_line(struct queue_model *model, struct model_line *line, size_t at, int answer)
{
	struct model_worker *worker = line->workers[at];
	worker->foretold = answer;
	if (worker->selecting) {
		worker->has_put = line == &model->putters;
		remove_from(&model->getters, worker);
		remove_from(&model->putters, worker);
	} else {
		remove_from(line, worker);
	}
}

static void prune_line(struct queue_model *model, struct model_line *line)
{
	for (size_t i = 0; i < line->n;)
		if (line->workers[i]->deadline != WEIR_FOREVER && line->workers[i]->deadline <= weir_now())
			leave_line(model, line, i, WEIR_ETIMEDOUT);
		else
			i++;
}

void model_prune(struct queue_model *model)
{
	prune_line(model, &model->getters);
	prune_line(model, &model->putters);
	prune_line(model, &model->joiners);
}

static void answer_all(struct queue_model *model, struct model_line *line, int answer)
{
	while (line->n)
		leave_line(model, line, 0, answer);
}

void model_cancel(struct queue_model *model, struct model_worker *worker)
{
	struct model_line *lines[] = {&model->getters, &model->putters, &model->joiners};
	for (int l = 0; l < 3; l++)
		for (size_t i = 0; i < lines[l]->n; i++)
			if (lines[l]->workers[i] == worker)
				leave_line(model, lines[l], i, WEIR_ECANCELED);
	worker->canceled = true;
}

static int wait_in(struct model_line *line, struct model_worker *worker)
{
	if (worker->deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	if (worker->deadline != WEIR_FOREVER && worker->deadline <= weir_now())
		return WEIR_ETIMEDOUT;
	worker->since = weir_now();
	line->workers[line->n++] = worker;
	return OPEN;
}

/* ---- what is counted */

static void count_time(struct model_times *times, weir_nsec time)
{
	times->n++;
	times->total += (uint64_t)time;
	times->most = time > times->most ? time : times->most;
}

void model_count_wait(struct model_times *times, const struct model_worker *worker)
{
	count_time(times, weir_now() - worker->since);
}

static void count_got(struct queue_model *model, const struct model_entry *entry)
{
	struct model_class *class = &model->classes[entry->class];
	weir_nsec waited = weir_now() - entry->entered;
	struct model_entry *in_hand = &model->in_hand[model->n_in_hand++];
	*in_hand = *entry;
	in_hand->got_at = weir_now();
	model->got++;
	class->got++;
	count_time(&class->waits, waited);
	for (size_t i = 0; i < model->n; i++)
		if (model->items[i].seq < entry->seq) {
			class->overtook++;
			break;
		}
	if (model->options.order == WEIR_EDF)
		class->breaches += entry->key < weir_now();
	else if (model->options.order == WEIR_PRIORITY)
		class->breaches += waited > model->options.sla[entry->class];
}

static void settle(struct queue_model *model, size_t n)
{
	model->unsettled -= n;
	if (n && !model->unsettled)
		answer_all(model, &model->joiners, 0);
}

void model_settle(struct queue_model *model)
{
	const struct model_entry *first = &model->in_hand[0];
	count_time(&model->classes[first->class].tasks, weir_now() - first->got_at);
	memmove(&model->in_hand[0], &model->in_hand[1], --model->n_in_hand * sizeof model->in_hand[0]);
	settle(model, 1);
}

/* ---- items in, items out */

static int64_t key_of(const struct queue_model *model, int64_t rank)
{
	switch (model->options.order) {
	case WEIR_LIFO:
		return -(int64_t)model->next_seq;
	case WEIR_PRIORITY:
		return rank * MODEL_AGING + weir_now();
	case WEIR_EDF:
		return rank == WEIR_FOREVER ? INT64_MAX : rank;
	default:
		return (int64_t)model->next_seq;
	}
}

static void accept_item(struct queue_model *model, uint64_t item, int64_t rank)
{
	bool is_priority = model->options.order == WEIR_PRIORITY;
	struct model_entry entry = {
		.item = item,
		.seq = ++model->next_seq,
		.key = key_of(model, rank),
		.class = is_priority ? (unsigned)(rank < MODEL_CLASSES ? rank : MODEL_CLASSES - 1) : 0,
		.entered = weir_now(),
	};
	model->unsettled++;
	model->put++;
	if (!model->getters.n) {
		model->items[model->n++] = entry;
		return;
	}
	model->getters.workers[0]->item = item;
	leave_line(model, &model->getters, 0, 0);
	count_got(model, &entry);
}

static void admit(struct queue_model *model)
{
	while (model->putters.n && model_has_place(model)) {
		struct model_worker *putter = model->putters.workers[0];
		leave_line(model, &model->putters, 0, 0);
		accept_item(model, putter->item, putter->rank);
	}
}

int model_put(struct queue_model *model, struct model_worker *worker)
{
	if (model->closed)
		return WEIR_ECLOSED;
	if (!model_has_place(model))
		return wait_in(&model->putters, worker);
	accept_item(model, worker->item, worker->rank);
	return 0;
}

/* The next item, of which there is one. */
static uint64_t take(struct queue_model *model)
{
	size_t next = 0;
	for (size_t i = 1; i < model->n; i++)
		if (model->items[i].key < model->items[next].key) /* of equal keys the first: they lie as they came */
			next = i;
	struct model_entry entry = model->items[next];
	model->n--;
	for (size_t i = next; i < model->n; i++)
		model->items[i] = model->items[i + 1];
	count_got(model, &entry);
	admit(model);
	return entry.item;
}

static bool is_drained(const struct queue_model *model)
{
	return model->closed && !model->n;
}

int model_get(struct queue_model *model, struct model_worker *worker)
{
	if (!model->n)
		return is_drained(model) ? WEIR_ECLOSED : wait_in(&model->getters, worker);
	worker->item = take(model);
	return 0;
}

/* Either can happen at once, or it stands in both lines. */
int model_select(struct queue_model *model, struct model_worker *worker)
{
	weir_nsec deadline = worker->deadline;
	worker->deadline = WEIR_TRY;
	worker->has_put = worker->puts_first;
	int code = (worker->has_put ? model_put : model_get)(model, worker);
	if (code == WEIR_EAGAIN) {
		worker->has_put = !worker->puts_first;
		code = (worker->has_put ? model_put : model_get)(model, worker);
	}
	worker->deadline = deadline;
	if (code != WEIR_EAGAIN)
		return code;
	worker->selecting = true;
	code = wait_in(&model->putters, worker);
	return code == OPEN ? wait_in(&model->getters, worker) : code;
}

/* ---- the end */

int model_join(struct queue_model *model, struct model_worker *worker)
{
	return model->unsettled ? wait_in(&model->joiners, worker) : 0;
}

size_t model_close(struct queue_model *model, bool drop)
{
	size_t dropped = drop ? model->n : 0;
	model->closed = true;
	answer_all(model, &model->putters, WEIR_ECLOSED);
	model->n -= dropped;
	model->dropped += dropped;
	if (is_drained(model))
		answer_all(model, &model->getters, WEIR_ECLOSED);
	settle(model, dropped);
	return dropped;
}

void model_resize(struct queue_model *model, size_t capacity)
{
	model->capacity = capacity;
	admit(model);
}
