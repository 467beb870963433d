/* SPDX-License-Identifier: MIT */
/* `sqlite: { max_size: 1GiB }`: the durable broker, on the store in the state folder.  durable.h is the map of its
 * files.
 */
#include "port/adapters.h"
#include "sqlite/broker/durable.h"

#include <stdlib.h>
#include <string.h>

/* --- open and close --- */

static void free_broker(struct sqlite_broker *broker)
{
	broker_committer_free(broker);
	broker_feeder_free(broker);
	broker_line_free(&broker->line);
	weir_group_free(broker->fibers);
	weir_sem_free(broker->put_turn);
	weir_event_free(broker->room);
	weir_pool_free(broker->pool);
	free(broker);
}

static int make_objects(struct sqlite_broker *broker, const struct broker_options *opts)
{
	int code = weir_pool_new(1, &broker->pool);
	if (!code)
		code = weir_group_new(NULL, &broker->fibers);
	if (!code)
		code = weir_sem_new(1, &broker->put_turn);
	if (!code)
		code = weir_event_new(&broker->room);
	if (!code)
		code = broker_line_open(&broker->line, opts, broker->most_capacity);
	if (!code)
		code = broker_feeder_open(broker);
	return code ? code : broker_committer_open(broker);
}

struct opening {
	struct sqlite_broker *broker;
	const char *folder;
	const struct broker_start *start;
	struct broker_past past;
	struct store_chunk *chunks;
	size_t chunk_count;
	struct weir_error *err;
};

static int open_on_thread(void *arg)
{
	struct opening *opening = arg;
	return store_open(opening->folder, STORE_CREATE | STORE_CHECK_LATER, &opening->broker->store, opening->err);
}

static int close_on_thread(void *arg)
{
	struct sqlite_broker *broker = arg;
	if (broker->unclean)
		store_leave_unclean(broker->store);
	store_close(broker->store);
	return 0;
}

static void close_store(struct sqlite_broker *broker)
{
	if (broker->store && broker_on_thread(broker, close_on_thread, broker) == WEIR_ENOMEM)
		store_close(broker->store);
}

static int sqlite_open(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		       struct weir_error *err)
{
	if (!opts->folder)
		return weir_error_set(err, WEIR_EINVAL, "the sqlite broker needs a state folder");
	struct sqlite_broker *broker = calloc(1, sizeof *broker);
	if (!broker)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	struct opening opening = {.broker = broker, .folder = opts->folder, .err = err};
	broker->config = config;
	broker->trip_ns = opts->trip_ns;
	broker->capacity_items = opts->capacity_items;
	broker->most_capacity = opts->most_items > opts->capacity_items ? opts->most_items : opts->capacity_items;
	broker->capacity_bytes = opts->capacity_bytes;
	int code = make_objects(broker, opts);
	if (code)
		weir_error_set(err, code, "sqlite broker: %s", weir_strerror(code));
	else
		code = broker_on_thread(broker, open_on_thread, &opening);
	if (code) {
		close_store(broker);
		free_broker(broker);
		return code;
	}
	*ret_broker = (struct broker *)broker;
	return 0;
}

static int recall_on_thread(void *arg)
{
	struct opening *opening = arg;
	return store_recall(opening->broker->store, &opening->past, opening->err);
}

static int sqlite_recall(struct broker *handle, struct broker_past *ret_past, struct weir_error *err,
			 weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct opening opening = {.broker = broker, .err = err};
	(void)deadline;
	int code = broker_on_thread(broker, recall_on_thread, &opening);
	if (!code)
		*ret_past = opening.past;
	return code;
}

static int forget_on_thread(void *arg)
{
	struct opening *opening = arg;
	return store_forget(opening->broker->store, opening->err);
}

static int sqlite_forget(struct broker *handle, const char *was, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct opening opening = {.broker = broker, .err = err};
	(void)was, (void)deadline; /* nobody else has the store */
	return broker_on_thread(broker, forget_on_thread, &opening);
}

static int start_on_thread(void *arg)
{
	struct opening *opening = arg;
	struct sqlite_broker *broker = opening->broker;
	int code = store_start(broker->store, opening->start, opening->err);
	if (!code)
		code = store_recall(broker->store, &opening->past, opening->err);
	if (!code)
		code = store_chunks(broker->store, &opening->chunks, &opening->chunk_count, opening->err);
	broker->counts.stored_bytes = store_bytes(broker->store);
	return code;
}

static int start_fibers(struct sqlite_broker *broker)
{
	static const struct {
		struct weir_spawn_options opts;
		weir_fiber_fn run;
	} fibers[] = {
		{{.name = "committer"}, broker_committer_run},
		{{.name = "feeder"}, broker_feeder_run},
	};
	int code = 0;
	for (size_t i = 0; i < sizeof fibers / sizeof *fibers && !code; i++)
		code = weir_group_spawn_with(broker->fibers, &fibers[i].opts, fibers[i].run, broker, WEIR_FOREVER);
	return code;
}

static int sqlite_begin(struct broker *handle, const struct broker_start *start, struct weir_error *err,
			weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct opening opening = {.broker = broker, .start = start, .err = err};
	uint64_t most = (uint64_t)broker->config->max_items;
	(void)deadline;
	broker->again = start->source && *start->source;
	broker->most_items = broker->again && most > broker->capacity_items ? broker->capacity_items : most;
	int code = broker_on_thread(broker, start_on_thread, &opening);
	if (!code) {
		code = broker_backlog_reserve(broker, opening.chunk_count);
		for (size_t i = 0; i < opening.chunk_count && !code; i++) {
			struct broker_chunk chunk = broker_chunk_of(&opening.chunks[i]);
			broker_backlog_add(broker, &chunk);
		}
		broker->counts.letters = opening.past.letters;
		broker->counts.accounts = opening.past.accounts;
		if (!code)
			code = start_fibers(broker);
		if (code)
			weir_error_set(err, code, "sqlite broker: %s", weir_strerror(code));
	}
	broker_past_fini(&opening.past);
	free(opening.chunks);
	return code;
}

/* A full disk at the end costs no item: what could not be written is known as unfinished, with fewer attempts.  But
 * dead letters that were counted are a failure. */
static int flush(struct sqlite_broker *broker, struct weir_error *err)
{
	struct broker_request request = {.kind = REQUEST_FLUSH};
	struct weir_error own = {0};
	int code = broker->failed.code ? broker_answer_failed(broker, &own) : broker_commit(broker, &request, &own);
	if (!code || (broker_may_work_later(code) && !broker->committer.dead.n))
		return 0;
	return weir_error_set(err, code, "%s", own.text);
}

/* Its own count against what it holds, and both against the store, unless that cannot be written now. */
static int sqlite_audit(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	const struct broker_accounts *accounts = &broker->counts.accounts;
	struct broker_request flushed = {.kind = REQUEST_FLUSH};
	int code = broker_check_accounts(accounts, broker_unfinished(broker), err);
	if (code || broker->failed.code || broker_commit(broker, &flushed, NULL))
		return code;
	struct broker_past past = {0};
	code = sqlite_recall(handle, &past, err, deadline);
	if (!code && (memcmp(accounts, &past.accounts, sizeof *accounts) || past.letters != broker->counts.letters))
		code = weir_error_set(
			err, WEIR_EDATA,
			"the accounts do not match: the store has %llu read, %llu succeeded, %llu dropped, %llu dead, "
			"and weir counted other numbers",
			(unsigned long long)past.accounts.read, (unsigned long long)past.accounts.succeeded,
			(unsigned long long)past.accounts.dropped, (unsigned long long)past.accounts.dead);
	if (!code)
		code = broker_check_accounts(&past.accounts, past.unfinished, err);
	broker_past_fini(&past);
	return code;
}

static void sqlite_leave_unclean(struct broker *handle)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	broker->unclean = true;
}

static int sqlite_close(struct broker *handle, struct weir_error *err)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	int code = 0;
	weir_shield_enter();
	if (weir_group_alive(broker->fibers)) {
		code = flush(broker, err);
		weir_group_cancel(broker->fibers);
		weir_group_wait(broker->fibers, WEIR_FOREVER);
	}
	close_store(broker);
	free_broker(broker);
	weir_shield_leave();
	return code;
}

/* --- what a worker and an output call --- */

static int sqlite_seal(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct broker_request seal = {.kind = REQUEST_SEAL};
	(void)deadline;
	return broker_commit(broker, &seal, err);
}

/* Items that die faster than their letters are written would pile up what explains them.  On a full disk they do not
 * wait: who is handed out may make room. */
static int wait_for_letters(struct sqlite_broker *broker, weir_nsec deadline)
{
	int code = 0;
	while (!code && broker->evidence_bytes > broker->capacity_bytes && !broker->counts.degraded &&
	       !broker->stopped && !broker->failed.code)
		code = weir_event_wait(broker->room, deadline);
	return code ? code : broker->stopped || broker->failed.code ? WEIR_ECLOSED : 0;
}

static int sqlite_lease(struct broker *handle, struct item **ret_items, size_t max, struct weir_error *err,
			weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	int n = wait_for_letters(broker, deadline);
	if (!n) {
		bool ends = broker->stopped || broker->failed.code;
		n = ends ? WEIR_ECLOSED : broker_line_take(&broker->line, ret_items, max, deadline);
	}
	if (n < 0)
		return n == WEIR_ECLOSED && broker->failed.code ? broker_answer_failed(broker, err) : n;
	for (int i = 0; i < n; i++)
		broker->held_bytes -= ret_items[i]->record.len;
	if (broker->backlog.n && broker->line.n <= broker->capacity_items / 8)
		weir_event_set(broker->hungry);
	return n;
}

static int sqlite_ack(struct broker *handle, struct item *const *items, size_t n, enum broker_outlet outlet,
		      const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct broker_request ack = {
		.kind = REQUEST_ACK, .items = items, .n = n, .outlet = outlet, .position = position};
	(void)deadline;
	return broker_commit(broker, &ack, err);
}

/* One that comes back as it was needs no row. */
static int sqlite_nack(struct broker *handle, struct item *item, weir_nsec wait, struct weir_error *err,
		       weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	(void)err, (void)deadline;
	bool unchanged = !item->attempts && !item->retried && !item->record.data && wait <= 0;
	broker->held_bytes += item->record.len;
	broker_line_give_back(&broker->line, item, wait);
	if (!unchanged)
		broker_commit_retry(broker, item);
	return 0;
}

/* Due at once, as far as those after it are concerned. */
static int sqlite_extend(struct broker *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct broker_request flush = {.kind = REQUEST_FLUSH};
	(void)deadline;
	item->due = 0;
	broker_commit_retry(broker, item);
	return broker_commit(broker, &flush, err);
}

static int sqlite_bury(struct broker *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	(void)err, (void)deadline;
	broker_line_forget(&broker->line, 1);
	broker->counts.letters++;
	broker->counts.accounts.dead++;
	broker_commit_dead(broker, item);
	broker_end_if_done(broker);
	return 0;
}

static void sqlite_stop(struct broker *handle)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	broker->stopped = true;
	broker_line_close(&broker->line);
	broker_pulse(broker->room);
}

static void sqlite_grow(struct broker *handle, size_t capacity)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	uint64_t most = (uint64_t)broker->config->max_items;
	capacity = capacity < broker->most_capacity ? capacity : broker->most_capacity;
	if (capacity <= broker->capacity_items)
		return;
	broker->capacity_items = capacity;
	if (broker->again)
		broker->most_items = most > capacity ? capacity : most;
	broker_pulse(broker->room);
	weir_event_set(broker->hungry);
}

static void sqlite_look(struct broker *handle)
{
	broker_line_look(&((struct sqlite_broker *)handle)->line);
}

static void sqlite_counts(const struct broker *handle, struct broker_counts *ret_counts)
{
	const struct sqlite_broker *broker = (const struct sqlite_broker *)handle;
	const struct broker_line *line = &broker->line;
	*ret_counts = broker->counts;
	ret_counts->ready = line->n + broker->backlog.items;
	ret_counts->leased = line->leased;
	ret_counts->waiting = line->waiting.n;
	ret_counts->filled = (double)broker->counts.stored_bytes / (double)broker->config->max_size;
	ret_counts->ended = broker->sealed && !broker_unfinished(broker);
}

/* ---- a look from outside */

struct look {
	const char *folder;
	struct broker_past past;
	struct weir_error *err;
};

static int look_on_thread(void *arg)
{
	struct look *look = arg;
	struct store *store = NULL;
	int code = store_open(look->folder, STORE_READONLY | STORE_CHECK_LATER, &store, look->err);
	if (!code)
		code = store_recall(store, &look->past, look->err);
	store_close(store);
	return code == -ENOENT ? 0 : code;
}

static int sqlite_probe(const void *config, const char *folder, struct broker_past *ret_past, struct weir_error *err)
{
	struct look look = {.folder = folder, .err = err};
	(void)config;
	int code = folder ? weir_offload(look_on_thread, &look, WEIR_FOREVER) : 0;
	if (!code)
		*ret_past = look.past;
	return code;
}

static const struct broker_ops sqlite_ops = {
	.exactness = BROKER_ALONE,
	.queue = {.put_most = BROKER_PUT_MAX,
		  .put = broker_put,
		  .seal = sqlite_seal,
		  .lease = sqlite_lease,
		  .extend = sqlite_extend,
		  .ack = sqlite_ack,
		  .nack = sqlite_nack,
		  .bury = sqlite_bury,
		  .stop = sqlite_stop,
		  .grow = sqlite_grow,
		  .look = sqlite_look,
		  .counts = sqlite_counts},
	.journal = {.recall = sqlite_recall,
		    .forget = sqlite_forget,
		    .begin = sqlite_begin,
		    .audit = sqlite_audit,
		    .leave_unclean = sqlite_leave_unclean,
		    .letters = broker_letters},
	.open = sqlite_open,
	.probe = sqlite_probe,
	.close = sqlite_close,
};

#define FIELD(name) offsetof(struct broker_sqlite_config, name)

static const struct key sqlite_keys[] = {
	{"max_size", KEY_SIZE, FIELD(max_size), "1GiB", 1 << 20, INT64_C(1) << 42,
	 .text = "Maximum size of the state file; when it is reached, the source is not read until items are settled"},
	{"max_items", KEY_COUNT, FIELD(max_items), "10000000", 1, INT64_C(1) << 40,
	 .text = "Maximum number of unfinished items"},
	{"when_full", KEY_ENUM, FIELD(when_full), "block", .choices = "block",
	 .text = "What to do when it is full: block stops reading the source"},
	{.name = NULL},
};

const struct adapter broker_sqlite_adapter = {
	.kind = ADAPTER_BROKER,
	.name = "sqlite",
	.text = "Keeps accepted items, their attempts and the dead letters on disk, in the state folder; a run that "
		"was killed resumes where it stopped",
	.keys = sqlite_keys,
	.config_bytes = sizeof(struct broker_sqlite_config),
	.broker = &sqlite_ops,
};
