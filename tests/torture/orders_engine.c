/* SPDX-License-Identifier: MIT */
/*
 * Random flows through the engine: a source of numbered items, a broker in memory or on disk, a step that stands before
 * the gates of the step http and has an upstream that is simulated, a sink that may be slow or busy.
 *
 * Each item ends once, in the sink or as a dead letter, those of a ordering one after the other, and the rows of some
 * runs are in the order of the source; and when the upstream
 * is well again all goes on to its end.  A run that is stopped goes on in another one, if its broker remembers it.
 */
#include "torture/orders_engine.h"

#include "engine/engine.h"
#include "http/exchange.h"
#include "port/adapters.h"
#include "sqlite/broker/broker.h"
#include "torture/flow.h"
#include "torture/trouble.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (1800 * WEIR_SEC)

enum { ITEMS_MOST = 2100, ORDERINGS_MOST = 8, KEYS_MOST = 40, EXIT_OF_DEAD_LETTERS = 3, EXIT_OF_A_STOP = 5 };

/* In memory: nothing in it is to outlive a crash. */
static char folder[] = "/dev/shm/weir-orders-XXXXXX";

static struct {
	const struct order *order;
	struct engine *engine;
	uint64_t random;
	bool stopped;
	unsigned char ended[ITEMS_MOST]; /* times */
	unsigned row_last;               /* with sink.order: source */
	unsigned ordering_last[ORDERINGS_MOST];
	bool ordering_busy[ORDERINGS_MOST];
	size_t in_flight[KEYS_MOST], probes[KEYS_MOST], most;
	uint64_t probes_of[KEYS_MOST]; /* the times that the breaker had opened */
	bool paused;
	weir_nsec paused_at;
	struct trouble_watch watch;
} run;

static weir_nsec latency(void)
{
	return run.order->flow.grain * (1 + (weir_nsec)weir_random_below(&run.random, run.order->flow.latency));
}

/* ---- source */

struct source {
	unsigned at;
};

static int source_open(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	(void)config, (void)pipeline, (void)err;
	*ret_source = calloc(1, sizeof **ret_source);
	return *ret_source ? 0 : WEIR_ENOMEM;
}

static unsigned ordering_of(unsigned id)
{
	unsigned orderings = run.order->flow.orderings;
	return orderings && id % 5 ? 1 + id % orderings : 0;
}

static int source_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	char text[64];
	(void)err, (void)deadline;
	if (!weir_random_below(&run.random, 50) && weir_sleep(latency()))
		return WEIR_ECANCELED;
	if (source->at == run.order->flow.jobs)
		return SOURCE_END;
	unsigned id = ++source->at, ordering = ordering_of(id);
	/* All of a ordering are of one class: the broker hands out by class before there are orderings. */
	int n = ordering ? snprintf(text, sizeof text, "{\"id\":%u,\"class\":%u,\"ordering\":%u}", id, ordering % 3,
				    ordering)
			 : snprintf(text, sizeof text, "{\"id\":%u,\"class\":%u}", id, id % 3);
	item->position = id;
	check(!value_copy(&item->source, text, (size_t)n));
	return SOURCE_ITEM;
}

static int64_t source_total(const struct source *source, bool *ret_exact)
{
	(void)source;
	*ret_exact = true;
	return run.order->flow.jobs;
}

static bool source_identify(const struct source *source, struct buf *identity)
{
	(void)source;
	buf_add_str(identity, "numbers");
	/* Else it cannot be read again: the broker takes all there is. */
	return run.order->flow.jobs % 2 || trouble_has(TROUBLE_CANCEL);
}

static void source_cursor(const struct source *source, struct source_cursor *ret_cursor)
{
	snprintf(ret_cursor->text, sizeof ret_cursor->text, "%u", source->at);
}

static int source_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
			 struct weir_error *err)
{
	(void)identity, (void)adopt, (void)err;
	source->at = (unsigned)atoi(cursor->text);
	return 0;
}

static void source_close(struct source *source)
{
	free(source);
}

/* ---- step */

static int step_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	static const struct step_http_config http = {.expect = STEP_HTTP_JSON};
	(void)config, (void)env, (void)err;
	*ret_step = calloc(1, sizeof(struct http_step));
	check(*ret_step);
	((struct http_step *)*ret_step)->config = &http;
	return 0;
}

static void step_close(struct step *step)
{
	free(step);
}

/* It has just entered.  In half-open it is a probe, of which there are not too many. */
static bool begin_probe(const struct step_call *call, unsigned key)
{
	struct weir_gate_stats stats;
	unsigned most = run.order->flow.policy.breaker.probes;
	weir_gate_stats(call->permit->gate, &stats);
	if (stats.breaker != WEIR_BREAKER_HALF_OPEN)
		return false;
	if (run.probes_of[key] != stats.breaker_opened)
		run.probes[key] = 0;
	run.probes_of[key] = stats.breaker_opened;
	check(++run.probes[key] <= (most ? most : 3));
	return true;
}

static void respond(const struct trouble_call *call, unsigned id, const struct value *input,
		    struct http_response *ret_response)
{
	struct http_response *response = ret_response;
	*response = (struct http_response){.sent = true, .hint = call->hint, .took = WEIR_MSEC, .status = 200};
	if (call->outcome == WEIR_OUTCOME_THROTTLED)
		response->status = 429;
	else if (call->outcome == WEIR_OUTCOME_DENIED)
		response->status = id % 3 ? 401 : 403;
	else if (call->outcome == WEIR_OUTCOME_ERROR)
		response->status = 500;
	else if (call->outcome == WEIR_OUTCOME_FAILED && id % 2)
		response->failure = HTTP_RESET, response->status = 0;
	else if (call->outcome == WEIR_OUTCOME_FAILED)
		response->status = 503;
	else if (id % 97 == 0)
		response->status = 404;
	response->body = strndup(input->data, input->len);
	response->body_bytes = input->len;
}

static enum step_verdict fetch(const struct http_step *step, struct step_call *call, struct exchange *x, unsigned id,
			       unsigned key)
{
	struct trouble_call answer;
	check(++run.in_flight[key] <= run.most);
	check(!run.paused || run.paused_at == weir_now());
	bool probes = begin_probe(call, key);
	uint64_t of = run.probes_of[key];
	int error = trouble_call(latency(), id, &answer);
	run.probes[key] -= probes && of == run.probes_of[key];
	run.in_flight[key]--;
	run.watch.progress++;
	if (!error)
		respond(&answer, id, call->input, &x->response);
	step_http_decide(step, call, x);
	step_http_leave(call, x, error);
	if (error == WEIR_ECANCELED)
		return STEP_CANCELED;
	if (error)
		return step_say(call, STEP_RETRY, "timeout");
	return step_http_excuse(call, step_http_judge(step, call, x));
}

static unsigned key_of(const struct value *input)
{
	unsigned keys = run.order->flow.keys;
	return keys ? (unsigned)atoi(input->data) % keys : 0;
}

static const char *step_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	(void)step;
	snprintf(room, STEP_UPSTREAM_BYTES, "http://%u", key_of(call->input));
	return room;
}

static enum step_verdict step_run(struct step *step, struct step_call *call)
{
	struct exchange x = {0};
	unsigned id = (unsigned)call->item->position, ordering = ordering_of(id);
	if (ordering)
		check(!run.ordering_busy[ordering] && run.ordering_last[ordering] <= id);
	run.ordering_busy[ordering] = true;
	run.ordering_last[ordering] = id;
	enum step_verdict verdict = call->permit->cut
					    ? step_http_turned_away(call)
					    : fetch((const struct http_step *)step, call, &x, id, key_of(call->input));
	http_response_fini(&x.response);
	run.ordering_busy[ordering] = false;
	return verdict;
}

/* ---- sinks: with a config it is that of dead letters */

struct sink {
	bool letters;
};

static int sink_open(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)env, (void)err;
	*ret_sink = calloc(1, sizeof **ret_sink);
	check(*ret_sink);
	(*ret_sink)->letters = config != NULL;
	return 0;
}

static bool is_in_order(void)
{
	return run.order->flow.jobs % 5 < 2;
}

static int sink_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline)
{
	const struct order_op *slow = trouble_now(TROUBLE_SLOW_SINK);
	(void)deadline;
	if (slow && weir_sleep(slow->rank * WEIR_MSEC))
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (slow && slow->rank % 3 == 0)
		return weir_error_set(err, WEIR_EBUSY, "busy");
	for (size_t i = 0; i < n; i++) {
		unsigned id = (unsigned)items[i].item->position;
		check(++run.ended[id] == 1);
		if (!sink->letters && is_in_order()) {
			check(id > run.row_last);
			run.row_last = id;
		}
	}
	run.watch.progress++;
	return 0;
}

static int sink_close(struct sink *sink, struct weir_error *err)
{
	(void)err;
	free(sink);
	return 0;
}

/* ---- a plan */

static const struct source_ops source_ops = {
	.open = source_open,
	.next = source_next,
	.total = source_total,
	.identify = source_identify,
	.resume = source_resume,
	.cursor = source_cursor,
	.close = source_close,
};
static const struct step_ops step_ops = {
	.open = step_open, .run = step_run, .close = step_close, .upstream = step_upstream};
static const struct sink_ops sink_ops = {.open = sink_open, .write = sink_write, .close = sink_close};
static const struct adapter source_adapter = {.kind = ADAPTER_SOURCE, .name = "test", .source = &source_ops};
static const struct adapter step_adapter = {.kind = ADAPTER_STEP, .name = "test", .step = &step_ops};
static const struct adapter sink_adapter = {.kind = ADAPTER_SINK, .name = "test", .sink = &sink_ops};

static weir_nsec or_default(weir_nsec value, weir_nsec otherwise)
{
	return value ? value : otherwise;
}

static void set_breaker(struct plan_settings *s, const struct weir_policy_options *o)
{
	s->breaker_off = o->gate_flags & WEIR_GATE_NO_BREAKER;
	s->breaker_failure_rate = o->breaker.failure_rate > 0 ? o->breaker.failure_rate : 0.5;
	s->breaker_window = or_default(o->breaker.window, 30 * WEIR_SEC);
	s->breaker_calls = o->breaker.calls_least ? o->breaker.calls_least : 20;
	s->breaker_open[0] = or_default(o->breaker.open, 5 * WEIR_SEC);
	s->breaker_open[1] = or_default(o->breaker.open_most, 30 * WEIR_SEC);
	s->breaker_probes = o->breaker.probes;
	s->breaker_when_open = o->gate_flags & WEIR_GATE_REJECT ? WHEN_OPEN_REJECT : WHEN_OPEN_DEFER;
	s->breaker_slow = o->breaker.slow;
	s->breaker_slow_rate = o->breaker.slow_rate;
	s->breaker_denied = o->breaker.denied_rate;
}

static struct plan_settings settings_of(const struct order_flow *flow)
{
	const struct weir_policy_options *o = &flow->policy;
	struct plan_settings s = {
		.name = (char *)(uintptr_t) "orders",
		.pattern = (int)o->pattern,
		.concurrency = (int64_t)o->concurrency,
		.rate = {.count = o->rate.count, .period = WEIR_SEC},
		.burst = (int64_t)o->rate.burst,
		.retry_attempts = o->retry.attempts ? o->retry.attempts : 5,
		.retry_backoff = {or_default(o->retry.backoff.base, 200 * WEIR_MSEC),
				  or_default(o->retry.backoff.cap, 30 * WEIR_SEC)},
		.retry_jitter = (int)o->retry.backoff.jitter,
		.retry_budget = o->retry.budget.share,
		.retry_elapsed = o->retry.elapsed,
		.max_retry_after = or_default(o->longest, 300 * WEIR_SEC),
		.priority_field = flow->classes ? (char *)(uintptr_t) ".class" : NULL,
		.order_by = flow->orderings ? (char *)(uintptr_t) ".ordering" : NULL,
		.timeout_attempt = o->timeout,
		.timeout_queue = o->queue_timeout,
		.timeout_total = o->total_timeout,
		.batch_items = flow->jobs % 7 ? 1 + flow->jobs % 7 : 500,
		.batch_bytes = 1 << 20,
		.batch_period = 20 * WEIR_MSEC,
		.drain = WEIR_SEC,
		.retry_throttled = flow->jobs % 3 ? 0 : 20 * WEIR_SEC,
		.breaker_give_up = flow->jobs % 4 ? 0 : 40 * WEIR_SEC,
		.order = is_in_order() ? ORDER_SOURCE : ORDER_COMPLETION,
		/* Of some in order: no memory at all, so that one item at a time may begin. */
		.max_memory = flow->jobs % 10 == 1,
	};
	if (s.retry_backoff[1] < s.retry_backoff[0])
		s.retry_backoff[1] = s.retry_backoff[0];
	if (s.pattern == WEIR_PATTERN_CHUNKED && !s.concurrency)
		s.concurrency = 10;
	set_breaker(&s, o);
	return s;
}

/* ---- a run */

static void change(const struct order_op *op, bool on)
{
	const struct order_flow *flow = &run.order->flow;
	struct engine_changes changes = {
		.has_concurrency = op->kind == TROUBLE_CONCURRENCY,
		.has_rate = op->kind == TROUBLE_RATE,
		.has_pause = op->kind == TROUBLE_PAUSE,
		.concurrency = on ? op->rank : flow->policy.concurrency,
		.rate = {.count = on ? op->rank : flow->policy.rate.count, .period = WEIR_SEC},
		.paused = on,
	};
	struct weir_error err = {0};
	if (!run.engine)
		return;
	if (changes.has_pause) {
		run.paused = on;
		run.paused_at = weir_now();
	}
	if (op->kind == TROUBLE_CANCEL && on) {
		run.stopped = true;
		engine_stop(run.engine, "the order says so");
	} else if (op->kind != TROUBLE_CANCEL && engine_change(run.engine, &changes, &err) == 0 &&
		   changes.has_concurrency && (!changes.concurrency || changes.concurrency > run.most)) {
		run.most = changes.concurrency ? changes.concurrency : SIZE_MAX;
	}
}

static void tell(void)
{
	struct engine_stats stats;
	struct engine_flow flow = {0};
	if (!run.engine)
		return;
	engine_stats(run.engine, &stats);
	engine_flow(run.engine, &flow);
	fprintf(stderr,
		"at %lld: %s, read %llu, unfinished %llu, in flight %llu, waiting %llu; concurrency %zu, breaker %s, "
		"held by %s, why %s\n",
		(long long)weir_now(), engine_state_name(stats.state), (unsigned long long)stats.read,
		(unsigned long long)stats.unfinished, (unsigned long long)stats.in_flight,
		(unsigned long long)stats.waiting, flow.concurrency, weir_breaker_state_name(flow.breaker),
		weir_held_by_name(flow.held_by), engine_why_name(flow.why));
}

static void note(void *arg, const char *text)
{
	(void)arg, (void)text;
}

/* Runs it once; whether all is done. */
static bool run_once(const struct plan *plan, struct engine_stats *ret_stats)
{
	static const int letters;
	const struct engine_options opts = {
		.dead_adapter = &sink_adapter,
		.dead_config = &letters,
		.state = run.order->flow.postpones ? folder : NULL,
		.most_concurrency = 200,
		.note = note,
	};
	struct weir_error err = {0};
	int code;
	run.paused = false;
	if (engine_open(plan, &opts, &run.engine, &code, &err))
		fprintf(stderr, "%s\n", err.text);
	check(run.engine);
	code = engine_run(run.engine, &err);
	engine_stats(run.engine, ret_stats);
	engine_free(run.engine);
	run.engine = NULL;
	bool all = code == 0 || code == EXIT_OF_DEAD_LETTERS;
	if (!all && !run.stopped)
		fprintf(stderr, "exit code %d: %s\n", code, err.text);
	check(all || run.stopped);
	check(all || code == EXIT_OF_A_STOP || trouble_has(TROUBLE_SLOW_SINK)); /* one that stays busy is a failure */
	check(ret_stats->read == ret_stats->succeeded + ret_stats->dead + ret_stats->dropped + ret_stats->unfinished);
	return all;
}

static void check_items(const struct engine_stats *stats, bool all)
{
	uint64_t ended = stats->letters;
	for (unsigned id = 1; id <= run.order->flow.jobs; id++)
		ended += run.ended[id];
	check(ended == stats->succeeded + stats->dead);
	check(!all || ended == run.order->flow.jobs);
}

static void empty_folder(void)
{
	char path[sizeof folder + 256];
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

void order_engine_begin(void)
{
	check(mkdtemp(folder));
}

void order_engine_end(void)
{
	empty_folder();
	rmdir(folder);
}

static void run_plan(const struct order *order)
{
	static const struct broker_sqlite_config sqlite = {.max_size = 1 << 30, .max_items = 1 << 30};
	struct plan_adapter step = {.adapter = &step_adapter};
	struct engine_stats stats;
	struct plan plan = {
		.meaning = (char *)(uintptr_t) "numbers\n",
		.settings = settings_of(&order->flow),
		.source = {.adapter = &source_adapter},
		.broker = {.adapter = &broker_memory_adapter},
		.sink = {.adapter = &sink_adapter},
		.steps = &step,
		.step_count = 1,
	};
	if (order->flow.postpones)
		plan.broker =
			(struct plan_adapter){.adapter = &broker_sqlite_adapter, .config = (void *)(uintptr_t)&sqlite};
	run.most = plan.settings.concurrency && plan.settings.pattern != WEIR_PATTERN_NAIVE
			   ? (size_t)plan.settings.concurrency
			   : SIZE_MAX;
	bool all = run_once(&plan, &stats);
	check_items(&stats, all);
	while (!all && order->flow.postpones) {
		memset(run.ordering_last, 0, sizeof run.ordering_last);
		all = run_once(&plan, &stats);
		check_items(&stats, all);
	}
}

static int run_order(void *arg)
{
	const struct order *order = arg;
	struct weir_group *helpers;
	memset(&run, 0, sizeof run);
	run.order = order;
	run.random = order->schedule + 7;
	run.watch = (struct trouble_watch){.patience = PATIENCE, .tell = tell};
	if (order->flow.postpones)
		empty_folder();
	trouble_begin(order);
	check(!weir_group_new(NULL, &helpers));
	trouble_changes(helpers, change);
	check(!weir_group_spawn(helpers, trouble_watch, &run.watch, WEIR_FOREVER));
	run_plan(order);
	weir_group_cancel(helpers);
	weir_group_wait(helpers, WEIR_FOREVER);
	weir_group_free(helpers);
	return 0;
}

/* One in twenty has its broker on disk: that takes real time. */
static void draw(struct order *order, uint64_t *random)
{
	trouble_draw(order, random, 90000);
	flow_draw(order, random);
	order->flow.postpones = !order_random(random, 20);
	order->flow.runs = 1;
	order->flow.callers = 0;
	order->flow.flags = 0;
}

const struct order_object order_engine = {"engine", draw, run_order, flow_simplify, trouble_print_op, flow_print};
