/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { max_size: 1GiB }`: the durable broker, on the store in the state folder.  durable.h is the map of its
 * files.
 *
 * put() waits for room in the store; then its items are one chunk of a commit, and go straight to the window when
 * nothing older is still to be loaded and there is room.  A store in which nothing is unfinished takes a put of any
 * size: nothing could ever make more room, so waiting would be for ever.
 *
 * A source that can be read again is not read further ahead than the window: what lies in the store instead of in the
 * source is only written and read once more.  One that cannot is taken as far as the store reaches.
 */
#include "broker/durable.h"
#include "port/adapters.h"

#include <stdlib.h>
#include <string.h>

int broker_on_thread(struct broker *broker, weir_offload_fn fn, void *arg)
{
	weir_shield_enter();
	int code = weir_pool_call(broker->pool, fn, arg, WEIR_FOREVER);
	weir_shield_leave();
	return code;
}

void broker_fail(struct broker *broker, int code, const struct weir_error *err)
{
	if (broker->failed.code)
		return;
	weir_error_set(&broker->failed, code, "%s", err->text[0] ? err->text : weir_strerror(code));
	weir_queue_close(broker->ready, 0);
	broker_pulse(broker->room);
	weir_event_set(broker->committer.work);
}

int broker_answer_failed(const struct broker *broker, struct weir_error *err)
{
	return broker->failed.code ? weir_error_set(err, broker->failed.code, "%s", broker->failed.text) : 0;
}

void broker_end_if_done(struct broker *broker)
{
	if (!broker->sealed || broker->ended || broker->replays || broker_unfinished(broker))
		return;
	broker->ended = true;
	weir_queue_close(broker->ready, 0);
}

/* --- open and close --- */

static void free_broker(struct broker *broker)
{
	broker_committer_free(broker);
	broker_feeder_free(broker);
	broker_window_free(broker);
	broker_past_fini(&broker->past);
	weir_group_free(broker->fibers);
	weir_sem_free(broker->put_turn);
	weir_event_free(broker->room);
	weir_pool_free(broker->pool);
	free(broker);
}

static int make_objects(struct broker *broker)
{
	int code = weir_pool_new(1, &broker->pool);
	if (!code)
		code = weir_group_new(NULL, &broker->fibers);
	if (!code)
		code = weir_sem_new(1, &broker->put_turn);
	if (!code)
		code = weir_event_new(&broker->room);
	if (!code)
		code = broker_window_open(broker);
	if (!code)
		code = broker_feeder_open(broker);
	return code ? code : broker_committer_open(broker);
}

struct opening {
	struct broker *broker;
	const char *folder;
	const struct broker_start *start;
	struct store_chunk *chunks;
	size_t chunk_count;
	struct weir_error *err;
};

static int open_on_thread(void *arg)
{
	struct opening *opening = arg;
	struct broker *broker = opening->broker;
	int code = store_open(opening->folder, STORE_CREATE, &broker->store, opening->err);
	return code ? code : store_recall(broker->store, &broker->past, opening->err);
}

static int close_on_thread(void *arg)
{
	struct broker *broker = arg;
	store_close(broker->store);
	return 0;
}

static void close_store(struct broker *broker)
{
	if (broker->store && broker_on_thread(broker, close_on_thread, broker) == WEIR_ENOMEM)
		store_close(broker->store);
}

static int sqlite_open(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		       struct weir_error *err)
{
	if (!opts->folder)
		return weir_error_set(err, WEIR_EINVAL, "the sqlite broker needs a state folder");
	struct broker *broker = calloc(1, sizeof *broker);
	if (!broker)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	struct opening opening = {.broker = broker, .folder = opts->folder, .err = err};
	broker->config = config;
	broker->capacity_items = opts->capacity_items;
	broker->most_capacity = opts->most_items > opts->capacity_items ? opts->most_items : opts->capacity_items;
	broker->capacity_bytes = opts->capacity_bytes;
	broker->class_of = opts->class_of;
	broker->arg = opts->arg;
	broker->aging = opts->aging;
	int code = make_objects(broker);
	if (code)
		weir_error_set(err, code, "sqlite broker: %s", weir_strerror(code));
	else
		code = broker_on_thread(broker, open_on_thread, &opening);
	if (code) {
		close_store(broker);
		free_broker(broker);
		return code;
	}
	*ret_broker = broker;
	return 0;
}

static int copy_past(const struct broker_past *past, struct broker_past *copy)
{
	int code = value_copy(&copy->plan, past->plan.data, past->plan.len);
	if (!code)
		code = value_copy(&copy->source, past->source.data, past->source.len);
	for (int i = 0; i < LANES && !code; i++)
		code = value_copy(&copy->positions[i], past->positions[i].data, past->positions[i].len);
	return code;
}

static int sqlite_recall(const struct broker *broker, struct broker_past *ret_past)
{
	struct broker_past copy = broker->past;
	memset(&copy.plan, 0, sizeof copy.plan);
	memset(&copy.source, 0, sizeof copy.source);
	memset(copy.positions, 0, sizeof copy.positions);
	int code = copy_past(&broker->past, &copy);
	if (code)
		broker_past_fini(&copy);
	else
		*ret_past = copy;
	return code;
}

static int forget_on_thread(void *arg)
{
	struct opening *opening = arg;
	struct broker *broker = opening->broker;
	int code = store_forget(broker->store, opening->err);
	if (code)
		return code;
	broker_past_fini(&broker->past);
	return store_recall(broker->store, &broker->past, opening->err);
}

static int sqlite_forget(struct broker *broker, struct weir_error *err, weir_nsec deadline)
{
	struct opening opening = {.broker = broker, .err = err};
	(void)deadline;
	return broker_on_thread(broker, forget_on_thread, &opening);
}

static int start_on_thread(void *arg)
{
	struct opening *opening = arg;
	struct broker *broker = opening->broker;
	int code = store_start(broker->store, opening->start, opening->err);
	if (code)
		return code;
	broker_past_fini(&broker->past);
	code = store_recall(broker->store, &broker->past, opening->err);
	if (!code)
		code = store_chunks(broker->store, &opening->chunks, &opening->chunk_count, opening->err);
	broker->counts.stored_bytes = store_bytes(broker->store);
	return code;
}

static int start_fibers(struct broker *broker)
{
	static const struct {
		struct weir_spawn_options opts;
		weir_fiber_fn run;
	} fibers[] = {
		{{.name = "committer"}, broker_committer_run},
		{{.name = "feeder"}, broker_feeder_run},
		{{.name = "mover"}, broker_window_move_due},
	};
	int code = 0;
	for (size_t i = 0; i < sizeof fibers / sizeof *fibers && !code; i++)
		code = weir_group_spawn_with(broker->fibers, &fibers[i].opts, fibers[i].run, broker, WEIR_FOREVER);
	return code;
}

static int sqlite_start(struct broker *broker, const struct broker_start *start, struct weir_error *err,
			weir_nsec deadline)
{
	struct opening opening = {.broker = broker, .start = start, .err = err};
	uint64_t most = (uint64_t)broker->config->max_items;
	(void)deadline;
	broker->again = *start->source;
	broker->most_items = broker->again && most > broker->capacity_items ? broker->capacity_items : most;
	int code = broker_on_thread(broker, start_on_thread, &opening);
	if (!code) {
		code = broker_backlog_reserve(broker, opening.chunk_count);
		for (size_t i = 0; i < opening.chunk_count && !code; i++) {
			struct broker_chunk chunk = broker_chunk_of(&opening.chunks[i]);
			broker_backlog_add(broker, &chunk);
		}
		broker->counts.letters = broker->past.letters;
		if (!code)
			code = start_fibers(broker);
		if (code)
			weir_error_set(err, code, "sqlite broker: %s", weir_strerror(code));
	}
	free(opening.chunks);
	return code;
}

/* A full disk at the end costs no item: what could not be written is known as unfinished, with fewer attempts.  But
 * dead letters that were counted are a failure. */
static int flush(struct broker *broker, struct weir_error *err)
{
	struct broker_request request = {.kind = REQUEST_FLUSH};
	struct weir_error own = {0};
	int code = broker->failed.code ? broker_answer_failed(broker, &own) : broker_commit(broker, &request, &own);
	if (!code || (broker_may_work_later(code) && !broker->committer.dead.n))
		return 0;
	return weir_error_set(err, code, "%s", own.text);
}

static int sqlite_close(struct broker *broker, struct weir_error *err)
{
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

/* --- what a worker and a lane call --- */

static int sqlite_seal(struct broker *broker, struct weir_error *err, weir_nsec deadline)
{
	struct broker_request seal = {.kind = REQUEST_SEAL};
	(void)deadline;
	return broker_commit(broker, &seal, err);
}

static int sqlite_lease(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err,
			weir_nsec deadline)
{
	int code = broker->stopped || broker->failed.code ? WEIR_ECLOSED
							  : weir_queue_get(broker->ready, &ret_items[0], deadline);
	if (code)
		return code == WEIR_ECLOSED && broker->failed.code ? broker_answer_failed(broker, err) : code;
	size_t n = 1;
	while (n < max && !weir_queue_try_get(broker->ready, &ret_items[n]))
		n++;
	broker->counts.ready -= n;
	broker->counts.leased += n;
	if (broker->backlog.n && broker->counts.ready <= broker->capacity_items / 8)
		weir_event_set(broker->hungry);
	return (int)n;
}

static int sqlite_ack(struct broker *broker, struct item *const *items, size_t n, enum broker_lane lane,
		      const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	struct broker_request ack = {.kind = REQUEST_ACK, .items = items, .n = n, .lane = lane, .position = position};
	(void)deadline;
	return broker_commit(broker, &ack, err);
}

/* One that comes back as it was needs no row. */
static void sqlite_nack(struct broker *broker, struct item *item, weir_nsec due)
{
	bool unchanged = !item->attempts && !item->retried && due <= weir_now();
	broker_window_postpone(broker, item, due);
	if (!unchanged)
		broker_commit_retry(broker, item);
}

/* Due at once, as far as those after it are concerned. */
static void sqlite_note(struct broker *broker, struct item *item)
{
	item->due = 0;
	broker_commit_retry(broker, item);
}

static void sqlite_bury(struct broker *broker, struct item *item)
{
	broker->counts.leased--;
	broker->counts.letters++;
	broker_commit_dead(broker, item);
	broker_end_if_done(broker);
}

static void sqlite_stop(struct broker *broker)
{
	broker->stopped = true;
	weir_queue_close(broker->ready, 0);
	broker_pulse(broker->room);
}

static void sqlite_grow(struct broker *broker, size_t capacity)
{
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

static void sqlite_counts(const struct broker *broker, struct broker_counts *ret_counts)
{
	*ret_counts = broker->counts;
	ret_counts->ready += broker->backlog.items;
}

static const struct broker_ops sqlite_ops = {
	.durable = true,
	.open = sqlite_open,
	.recall = sqlite_recall,
	.forget = sqlite_forget,
	.start = sqlite_start,
	.put = broker_put,
	.seal = sqlite_seal,
	.lease = sqlite_lease,
	.ack = sqlite_ack,
	.nack = sqlite_nack,
	.note = sqlite_note,
	.bury = sqlite_bury,
	.stop = sqlite_stop,
	.grow = sqlite_grow,
	.counts = sqlite_counts,
	.letters = broker_letters,
	.replay = broker_replay,
	.purge = broker_purge,
	.close = sqlite_close,
};

#define FIELD(name) offsetof(struct broker_sqlite_config, name)

static const struct key sqlite_keys[] = {
	{"max_size", KEY_SIZE, FIELD(max_size), "1GiB", 1 << 20, INT64_C(1) << 42,
	 .text = "How large the file may become; reading the source waits then until items are settled"},
	{"max_items", KEY_COUNT, FIELD(max_items), "10000000", 1, INT64_C(1) << 40,
	 .text = "Most items that are read and not settled"},
	{"when_full", KEY_ENUM, FIELD(when_full), "block", .choices = "block",
	 .text = "What reading the source does when there is no room: it waits"},
	{.name = NULL},
};

const struct adapter broker_sqlite_adapter = {
	.kind = ADAPTER_BROKER,
	.name = "sqlite",
	.text = "keeps accepted items, their attempts and the dead letters on disk, in the state folder; a run that is "
		"killed goes on where it was",
	.keys = sqlite_keys,
	.config_bytes = sizeof(struct broker_sqlite_config),
	.broker = &sqlite_ops,
};
