/* SPDX-License-Identifier: MIT */
/*
 * Meeting the others, about once a second: this worker's number, record and needs against all numbers, the accounts and
 * its shares.  It takes out whoever was silent for a lease, and at once a process of this machine that is gone; then
 * what those held goes back to all.
 *
 * That, and what strangers have orphaned, is also looked for at times: every few seconds by one worker or another,
 * however many there are.  So is what this worker has and does not know of: a call that a network has kept may be done
 * when nobody waits for its answer any more.
 */
#include "redis/broker/state.h"

#include <inttypes.h>
#include <stdlib.h>

#define TIDY_PERIOD  (5 * WEIR_SEC)
#define CHECK_PERIOD (60 * WEIR_SEC)
#define RETRY_PERIOD (WEIR_SEC / 4)
#define AWAY_AFTER   WEIR_SEC /* a note is due then */

/* ---- what is said */

static void add_limits(struct redis_broker *broker, struct redis_command *rest)
{
	redis_add_number(rest, (int64_t)broker->limit_count);
	for (size_t i = 0; i < broker->limit_count; i++) {
		struct fleet_limit *limit = &broker->limits[i];
		fleet_share_connected(&limit->share, broker->steady);
		fleet_share_ask(&limit->share, weir_now());
		redis_add_text(rest, limit->name);
		redis_add_number(rest, (int64_t)limit->share.capacity);
		redis_add_number(rest,
				 (int64_t)(limit->in_use > limit->share.holds ? limit->in_use : limit->share.holds));
		redis_add_number(rest, (int64_t)limit->share.wants);
		redis_add_number(rest, (int64_t)limit->share.needs);
	}
}

/* Whose shares have ended, as it is now. */
static void add_silent(const struct redis_broker *broker, struct redis_command *rest)
{
	const void *at = NULL;
	struct fleet_seen silent;
	while (broker->limit_count && fleet_watch_silent(broker->watch, FLEET_SHARE_LIFE, weir_now(), &at, &silent)) {
		redis_add_text(rest, silent.name);
		redis_add_number(rest, (int64_t)silent.number);
	}
}

static int call_meet(struct redis_broker *broker, redisReply **ret_reply, struct weir_error *err)
{
	struct redis_command rest = {0};
	struct buf record = {0};
	redis_say(broker, &record);
	redis_begin_call(broker, &rest);
	redis_add_number(&rest, (int64_t)++broker->number);
	redis_add(&rest, record.data, record.len);
	redis_add_number(&rest, (int64_t)broker->version);
	add_limits(broker, &rest);
	add_silent(broker, &rest);
	rest.words.failed |= record.failed;
	buf_fini(&record);
	return redis_run(broker, broker->redis, REDIS_MEET, &rest, ret_reply, err);
}

/* ---- what is heard */

/* What the others have of a limit: three elements each. */
static weir_nsec hear_share(struct redis_broker *broker, const redisReply *told, weir_nsec sent)
{
	const char *name = told->element[0]->str;
	const redisReply *all = told->element[2];
	size_t n = all->elements / 3;
	struct fleet_claim *claims = calloc(n + 1, sizeof *claims);
	weir_nsec wait = FLEET_MEETING;
	for (size_t i = 0; i < n && claims; i++)
		claims[i] = (struct fleet_claim){all->element[3 * i]->str, (uint64_t)all->element[3 * i + 1]->integer,
						 (uint64_t)all->element[3 * i + 2]->integer};
	for (size_t i = 0; i < broker->limit_count && claims; i++) {
		struct fleet_share *share = &broker->limits[i].share;
		if (strcmp(broker->limits[i].name, name) != 0)
			continue;
		fleet_share_hear(share, (uint64_t)told->element[1]->integer, sent);
		wait = fleet_share_plan(share, broker->name, claims, n, weir_now());
	}
	free(claims);
	return wait;
}

/* Whose share will end before the next meeting is looked at then, so that others have it soon. */
static weir_nsec sooner_for_silent(const struct redis_broker *broker, weir_nsec wait)
{
	weir_nsec now = weir_now(), next = fleet_watch_next_silence(broker->watch, FLEET_SHARE_LIFE, now);
	return broker->limit_count && next != WEIR_FOREVER && next - now < wait ? next - now : wait;
}

static weir_nsec hear_shares(struct redis_broker *broker, const redisReply *told, weir_nsec sent)
{
	weir_nsec least = FLEET_MEETING;
	for (size_t i = 0; i < told->elements; i++) {
		weir_nsec wait = hear_share(broker, told->element[i], sent);
		least = wait < least ? wait : least;
	}
	return least;
}

/* ---- those that are dead */

static int call_kill(struct redis_broker *broker, const char *victim, uint64_t number, bool *ret_done,
		     struct weir_error *err)
{
	struct redis_command rest = {0};
	redisReply *reply;
	redis_begin_call(broker, &rest);
	redis_add_text(&rest, victim);
	redis_add_number(&rest, (int64_t)number);
	int code = redis_run(broker, broker->redis, REDIS_KILL, &rest, &reply, err);
	if (code)
		return code;
	*ret_done = *ret_done || reply->element[1]->integer;
	freeReplyObject(reply);
	return 0;
}

/* Those of this machine that are gone, and those that were silent for too long. */
static int kill_dead(struct redis_broker *broker, const struct fleet_seen *seen, size_t n, bool *ret_killed,
		     struct weir_error *err)
{
	struct fleet_seen victim;
	int code = 0;
	for (size_t i = 0; i < n && !code; i++)
		if (fleet_name_is_gone(&broker->host, seen[i].name))
			code = call_kill(broker, seen[i].name, seen[i].number, ret_killed, err);
	while (!code && fleet_watch_victim(broker->watch, &victim))
		code = call_kill(broker, victim.name, victim.number, ret_killed, err);
	return code;
}

static int reap(struct redis_broker *broker, struct weir_error *err)
{
	int code = 0;
	bool more = true;
	while (!code && more) {
		struct redis_command rest = {0};
		redisReply *reply;
		redis_begin_call(broker, &rest);
		redis_add_number(&rest, REDIS_ITEMS_MOST);
		redis_add_number(&rest, broker->config->deaths);
		code = redis_run(broker, broker->redis, REDIS_REAP, &rest, &reply, err);
		if (code)
			break;
		broker->counts.reaped += (uint64_t)reply->element[1]->integer;
		more = reply->element[1]->integer > 0;
		freeReplyObject(reply);
	}
	return code;
}

static int sweep_stream(struct redis_broker *broker, unsigned stream, struct weir_error *err)
{
	char from[64] = "-";
	int code = 0;
	while (!code && *from) {
		struct redis_command rest = {0};
		redisReply *reply;
		redis_begin_call(broker, &rest);
		redis_add_number(&rest, stream);
		redis_add_text(&rest, from);
		redis_add_number(&rest, REDIS_ITEMS_MOST);
		code = redis_run(broker, broker->redis, REDIS_SWEEP, &rest, &reply, err);
		if (code)
			break;
		snprintf(from, sizeof from, "%s", reply->element[2]->str);
		freeReplyObject(reply);
	}
	return code;
}

static int tidy(struct redis_broker *broker, size_t workers, struct weir_error *err)
{
	weir_nsec now = weir_now();
	if (now < broker->tidy)
		return 0;
	broker->tidy = now + TIDY_PERIOD * (weir_nsec)(workers ? workers : 1);
	broker->taken_over = 0;
	weir_event_set(broker->hungry);
	int code = reap(broker, err);
	for (unsigned stream = 1; stream <= 2 + REDIS_CLASSES_MOST && !code; stream++)
		code = sweep_stream(broker, stream, err);
	return code;
}

/* ---- a meeting */

static void tell_listener(struct redis_broker *broker, const redisReply *reply, size_t workers, bool is_new)
{
	const struct fleet_listener *listener = broker->opts.fleet;
	const char *settings = reply ? reply->element[5]->str : "", *stop = reply ? reply->element[6]->str : "";
	const struct fleet_news news = {
		.workers = workers,
		.settings = *settings ? settings : NULL,
		.stop = *stop ? stop : NULL,
		.is_new = is_new,
		.failed = broker->failed.code ? &broker->failed : NULL,
	};
	if (listener)
		listener->hear(listener->arg, &news);
}

static int hear(struct redis_broker *broker, const redisReply *reply, weir_nsec sent, weir_nsec *ret_wait,
		struct weir_error *err)
{
	const redisReply *alive = reply->element[2];
	size_t n = alive->elements / 2;
	bool killed = false, is_new = broker->number == 1;
	struct fleet_seen *seen = calloc(n + 1, sizeof *seen);
	if (!seen)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		seen[i] = (struct fleet_seen){alive->element[2 * i]->str,
					      strtoull(alive->element[2 * i + 1]->str, NULL, 10)};
	redis_hear_accounts(broker, reply->element[1]);
	*ret_wait = hear_shares(broker, reply->element[3], sent);
	fleet_watch_round(broker->watch, seen, n, weir_now());
	*ret_wait = sooner_for_silent(broker, *ret_wait);
	if (*reply->element[5]->str) /* settings: limits may be others now */
		*ret_wait = 0;
	tell_listener(broker, reply, n, is_new && broker->rejoined);
	broker->version = strtoull(reply->element[4]->str, NULL, 10);
	if (broker->counts.ended) {
		broker->ended = true;
		redis_look_all(broker);
	}
	int code = kill_dead(broker, seen, n, &killed, err);
	if (!code && killed)
		code = reap(broker, err);
	if (!code)
		code = tidy(broker, n, err);
	free(seen);
	return code;
}

int redis_meet_once(struct redis_broker *broker, weir_nsec *ret_wait, struct weir_error *err)
{
	uint64_t connection = redis_connections(broker->redis);
	weir_nsec sent = weir_now();
	redisReply *reply;
	*ret_wait = FLEET_MEETING;
	if (connection != broker->met_over)
		broker->steady = broker->met_over ? sent : broker->steady;
	broker->met_over = connection;
	int code = call_meet(broker, &reply, err);
	if (code)
		return code;
	if (redis_says(reply, "OK"))
		code = hear(broker, reply, sent, ret_wait, err);
	freeReplyObject(reply);
	return code;
}

/* The plan was changed while this worker was taken for dead: the others were told then. */
static void stop_listener(const struct redis_broker *broker, const char *why)
{
	const struct fleet_listener *listener = broker->opts.fleet;
	if (listener)
		listener->hear(listener->arg, &(struct fleet_news){.workers = 1, .stop = why});
}

/* Taken for dead: joins again. */
static int join_again(struct redis_broker *broker, struct weir_error *err)
{
	int code = redis_join(broker, NULL, err);
	if (code == BROKER_MOVED)
		redis_fail(broker, WEIR_ECLOSED, "the broker was reset: Redis at %s has another run of \"%s\"",
			   redis_name(broker->redis), broker->opts.name);
	else if (code == WEIR_EAGAIN)
		redis_fail(broker, code, "this process was taken for dead, and cannot join again: %s", err->text);
	else if (code == WEIR_EINVAL)
		redis_fail(broker, code, "%s", err->text);
	else if (code == CALL_CHANGED)
		stop_listener(broker, err->text);
	if (code)
		return code;
	broker->rejoined = true;
	broker->tidy = 0; /* what it had goes back to all */
	broker->steady = weir_now();
	redis_look_all(broker);
	return 0;
}

static void check(struct redis_broker *broker)
{
	struct weir_error err;
	if (weir_now() < broker->checked + CHECK_PERIOD)
		return;
	broker->checked = weir_now();
	if (redis_check_server(broker, &err) == WEIR_EINVAL)
		redis_fail(broker, WEIR_EINVAL, "%s", err.text);
}

/* A worker that has met nobody for a while says so, also one that has nothing to do. */
static void tell_of_silence(const struct redis_broker *broker, int code, const struct weir_error *why,
			    weir_nsec *silent_since)
{
	const struct fleet_listener *listener = broker->opts.fleet;
	weir_nsec now = weir_now();
	if (code >= 0 || broker->failed.code)
		*silent_since = WEIR_FOREVER;
	else if (*silent_since == WEIR_FOREVER)
		*silent_since = now;
	else if (listener && now - *silent_since >= AWAY_AFTER)
		listener->hear(listener->arg, &(struct fleet_news){.away = why});
}

int redis_meeter(void *arg)
{
	struct redis_broker *broker = arg;
	weir_nsec wait = FLEET_MEETING, silent_since = WEIR_FOREVER;
	while (!weir_canceled() && !broker->failed.code) {
		weir_event_clear(broker->meet_now);
		weir_event_wait(broker->meet_now, weir_now() + wait);
		if (weir_canceled() || broker->failed.code)
			break;
		check(broker);
		struct weir_error err = {0};
		int code = broker->joined ? 0 : join_again(broker, &err);
		if (!code)
			code = redis_meet_once(broker, &wait, &err);
		tell_of_silence(broker, code, &err, &silent_since);
		if (code)
			wait = code == CALL_FENCED ? 0 : RETRY_PERIOD;
	}
	if (broker->failed.code)
		tell_listener(broker, NULL, 0, false);
	return 0;
}

/* Its shares are free then, so first it uses nothing of them any more. */
void redis_leave(struct redis_broker *broker)
{
	bool done = false;
	for (size_t i = 0; i < broker->limit_count; i++)
		broker->limits[i].share.until = 0;
	if (broker->joined && !broker->failed.code)
		call_kill(broker, broker->name, 0, &done, NULL);
}

/* ---- for who asks */

static char *text_of(const redisReply *reply)
{
	return *reply->str ? strdup(reply->str) : NULL;
}

static int fill_view(const redisReply *reply, struct fleet_view *view)
{
	const redisReply *workers = reply->element[1];
	view->workers = calloc(workers->elements + 1, sizeof *view->workers);
	for (size_t i = 0; i < workers->elements && view->workers; i++) {
		redisReply *const *worker = workers->element[i]->element;
		struct fleet_worker *to = &view->workers[view->n++];
		to->name = strdup(worker[0]->str);
		to->silent = worker[1]->integer * WEIR_MSEC;
		to->record = strdup(worker[2]->str);
		if (!to->name || !to->record)
			return WEIR_ENOMEM;
	}
	view->settings = text_of(reply->element[2]);
	view->stop = text_of(reply->element[3]);
	return view->workers ? 0 : WEIR_ENOMEM;
}

/* By the tickets at their ends, which grow. */
static int compare(const void *a, const void *b)
{
	const char *x = strrchr(((const struct fleet_worker *)a)->name, '.');
	const char *y = strrchr(((const struct fleet_worker *)b)->name, '.');
	uint64_t first = x ? strtoull(x + 1, NULL, 10) : 0, second = y ? strtoull(y + 1, NULL, 10) : 0;
	return (first > second) - (first < second);
}

int redis_look(struct broker *handle, struct fleet_view *ret_view, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct fleet_view view = {0};
	struct redis_command rest = {0};
	redisReply *reply;
	(void)deadline;
	redis_begin_call(broker, &rest);
	int code = redis_run(broker, broker->redis, REDIS_LOOK, &rest, &reply, err);
	if (code)
		return code;
	if (redis_says(reply, "OK") && (code = fill_view(reply, &view)))
		weir_error_set(err, code, "out of memory");
	freeReplyObject(reply);
	if (code) {
		fleet_view_fini(&view);
		return code;
	}
	if (view.n)
		qsort(view.workers, view.n, sizeof *view.workers, compare);
	*ret_view = view;
	return 0;
}

int redis_tell(struct broker *handle, const struct fleet_order *order, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct redis_command rest = {0};
	redisReply *reply;
	char run[33];
	(void)deadline;
	int code = redis_find_run(broker, run, err);
	if (code)
		return code;
	redis_add_keys(broker, &rest);
	redis_add_text(&rest, run);
	redis_add_text(&rest, order->settings ? order->settings : "");
	redis_add_text(&rest, order->stop ? order->stop : "");
	code = redis_run(broker, broker->redis, REDIS_TELL, &rest, &reply, err);
	if (!code)
		freeReplyObject(reply);
	return code;
}
