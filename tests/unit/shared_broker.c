/* SPDX-License-Identifier: MIT */
#include "unit/shared_broker.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>
#include <weir/weir.h>

/* An item that is not settled. */
struct entry {
	uint64_t id, position;
	weir_nsec lease;  /* a number; what is said of another lease comes too late */
	bool bad, handed; /* handed: its owner has heard of it */
	unsigned attempts;
	char why[ITEM_WHY_BYTES];
	struct value source, record;
	struct item_ages ages; /* as of `since` */
	weir_nsec since;
	weir_nsec due;              /* the server's clock is its own matter */
	const struct broker *owner; /* NULL: nobody's */
	char last_owner[33];
};

/* What the server has of a share. */
struct row {
	char name[128];
	uint64_t holds, needs;
};

enum { ROWS = 4 };

struct broker {
	struct broker_options opts;
	bool stopped;
	/* of the fleet */
	bool meets;
	TAILQ_ENTRY(broker) others;
	struct weir_group *meeting;
	struct buf record;
	weir_nsec said_at;
	struct row rows[ROWS];
	size_t row_count;
	char *stop; /* that it has not heard of; NULL */
};

struct shared shared;

/* ---- the server */

void shared_init(void)
{
	const struct shared was = shared;
	shared = (struct shared){.slow = was.slow, .lost = was.lost, .random = test_seed() + 1};
	TAILQ_INIT(&shared.workers);
	ck_assert_int_eq(weir_event_new(&shared.changed), 0);
}

static void drop_entry(size_t at)
{
	value_fini(&shared.entries[at].source);
	value_fini(&shared.entries[at].record);
	memmove(&shared.entries[at], &shared.entries[at + 1], (--shared.n - at) * sizeof(struct entry));
}

void shared_fini(void)
{
	shared_forget_items();
	free(shared.entries);
	free(shared.settings);
	shared.settings = NULL;
	weir_event_free(shared.changed);
	shared.entries = NULL;
	shared.changed = NULL;
}

void shared_forget_items(void)
{
	while (shared.n)
		drop_entry(shared.n - 1);
	shared.cursor.text[0] = 0;
	shared.accounts = (struct broker_accounts){0};
	shared.sealed = false;
}

static void pulse(void)
{
	weir_event_set(shared.changed);
	weir_event_clear(shared.changed);
}

static void take_from(const struct broker *owner, size_t n, bool all)
{
	for (size_t i = 0; i < shared.n && n; i++)
		if (shared.entries[i].owner && (!owner || shared.entries[i].owner == owner) &&
		    (all || shared.entries[i].handed)) {
			shared.entries[i].owner = NULL;
			n--;
		}
	pulse();
}

void shared_take_away(size_t n)
{
	take_from(NULL, n, false);
}

/* The way there, or back: 0, or the call seems to have failed. */
static int travel(struct weir_error *err)
{
	if (shared.slow && weir_sleep(shared.slow))
		return WEIR_ECANCELED;
	if (weir_random_below(&shared.random, 100) < shared.lost)
		return weir_error_set(err, WEIR_EBUSY, "the server is away");
	return 0;
}

/* The entry, if this lease of it holds. */
static struct entry *find(const struct broker *broker, const struct item *item)
{
	for (size_t i = 0; i < shared.n; i++) {
		struct entry *entry = &shared.entries[i];
		if (entry->owner == broker && entry->id == item->id && entry->lease == item->place)
			return entry;
	}
	return NULL;
}

static void write_entry(struct entry *entry, const struct item *item)
{
	entry->attempts = item->attempts;
	strcpy(entry->why, item_why(item));
	entry->ages = item_ages_of(item);
	entry->since = weir_now();
	value_fini(&entry->record);
	if (item->record.data)
		ck_assert_int_eq(value_copy(&entry->record, item->record.data, item->record.len), 0);
}

/* ---- the queue */

static void add_entry(const struct item *item)
{
	if (shared.n == shared.room)
		shared.entries = reallocarray(shared.entries, shared.room = 2 * shared.room + 64, sizeof(struct entry));
	struct entry *entry = &shared.entries[shared.n++];
	*entry = (struct entry){.id = ++shared.last_id, .position = item->position, .bad = item->bad};
	ck_assert_int_eq(value_copy(&entry->source, item->source.data, item->source.len), 0);
	write_entry(entry, item);
}

static int shared_put(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *was,
		      const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline)
{
	int code = 0;
	while (!code && !broker->stopped && shared.n && shared.n + n > broker->opts.capacity_items)
		code = weir_event_wait(shared.changed, deadline);
	if (!code)
		code = broker->stopped ? WEIR_ECLOSED : travel(err);
	if (code)
		return code;
	bool again = !strcmp(shared.cursor.text, cursor->text); /* the answer was lost */
	if (!again && strcmp(shared.cursor.text, was->text))
		return BROKER_MOVED;
	for (size_t i = 0; i < n && !again; i++)
		add_entry(items[i]);
	shared.accounts.read += again ? 0 : n;
	shared.cursor = *cursor;
	pulse();
	code = travel(err);
	for (size_t i = 0; i < n && !code; i++)
		item_free(items[i]);
	return code;
}

static int shared_seal(struct broker *broker, struct weir_error *err, weir_nsec deadline)
{
	(void)broker, (void)deadline;
	int code = travel(err);
	shared.sealed = shared.sealed || !code;
	pulse();
	return code;
}

/* What the owner has not heard of; else what came first of all that are due, those that have not failed when there is
 * no room for others. */
static struct entry *next_entry(const struct broker *broker, weir_nsec *ret_due)
{
	bool fresh = broker->opts.fresh_first && broker->opts.fresh_first(broker->opts.arg);
	struct entry *next = NULL;
	*ret_due = WEIR_FOREVER;
	for (size_t i = 0; i < shared.n; i++) {
		struct entry *entry = &shared.entries[i];
		if (entry->owner == broker && !entry->handed)
			return entry;
		if (!entry->owner && entry->due > weir_now() && (*ret_due == WEIR_FOREVER || entry->due < *ret_due))
			*ret_due = entry->due;
		bool is_free = !entry->owner && entry->due <= weir_now();
		if (is_free && (!next || (fresh && next->attempts && !entry->attempts)))
			next = entry;
	}
	return next;
}

static struct item *make_item(struct entry *entry)
{
	struct item *item = item_new();
	ck_assert(item && !value_copy(&item->source, entry->source.data, entry->source.len));
	if (entry->record.data)
		ck_assert_int_eq(value_copy(&item->record, entry->record.data, entry->record.len), 0);
	item->id = entry->id;
	item->place = entry->lease;
	item->position = entry->position;
	item->bad = entry->bad;
	item->attempts = entry->attempts;
	item_set_why(item, "%s", entry->why);
	item_set_ages(item, &entry->ages, weir_now() - entry->since);
	return item;
}

static int shared_lease(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err,
			weir_nsec deadline)
{
	struct entry *entry = NULL;
	weir_nsec due;
	(void)max;
	if (weir_canceled())
		return WEIR_ECANCELED;
	while (!broker->stopped && !(entry = next_entry(broker, &due))) {
		if (shared.sealed && !shared.n)
			return WEIR_ECLOSED;
		bool waits = deadline == WEIR_FOREVER || (due != WEIR_FOREVER && due < deadline);
		int code = weir_event_wait(shared.changed, waits ? due : deadline);
		if (code && (code != WEIR_ETIMEDOUT || !waits))
			return code;
	}
	if (broker->stopped)
		return WEIR_ECLOSED;
	shared.hops += *entry->last_owner && strcmp(entry->last_owner, broker->opts.owner);
	snprintf(entry->last_owner, sizeof entry->last_owner, "%s", broker->opts.owner);
	entry->owner = broker;
	entry->handed = false;
	entry->lease = ++shared.last_lease;
	const struct item named = {.id = entry->id, .place = entry->lease};
	int code = travel(err);
	if (code)
		return code;
	entry = find(broker, &named);
	entry->handed = true;
	*ret_items = make_item(entry);
	return 1;
}

static bool shared_holds(const struct broker *broker, const struct item *item)
{
	return find(broker, item);
}

static int shared_ack(struct broker *broker, struct item *const *items, size_t n, enum broker_outlet outlet,
		      const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	(void)outlet, (void)position, (void)deadline;
	int code = travel(err);
	for (size_t i = 0; i < n && !code; i++) {
		struct entry *entry = find(broker, items[i]);
		if (!entry)
			continue;
		broker_count(&shared.accounts, items[i]->fate, 1);
		drop_entry((size_t)(entry - shared.entries));
	}
	pulse();
	if (!code)
		code = travel(err);
	for (size_t i = 0; i < n && !code; i++)
		item_free(items[i]);
	return code;
}

static int shared_extend(struct broker *broker, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)deadline;
	int code = travel(err);
	struct entry *entry = code ? NULL : find(broker, item);
	if (entry)
		write_entry(entry, item);
	return code;
}

static int shared_nack(struct broker *broker, struct item *item, weir_nsec wait, struct weir_error *err,
		       weir_nsec deadline)
{
	int code = shared_extend(broker, item, err, deadline);
	struct entry *entry = code ? NULL : find(broker, item);
	if (entry) {
		entry->due = wait > 0 ? weir_now() + wait : 0;
		entry->owner = NULL;
		pulse();
	}
	if (!code)
		code = travel(err);
	if (!code)
		item_free(item);
	return code;
}

static void shared_stop(struct broker *broker)
{
	broker->stopped = true;
	pulse();
}

static void shared_grow(struct broker *broker, size_t capacity_items)
{
	if (capacity_items > broker->opts.capacity_items)
		broker->opts.capacity_items = capacity_items;
	pulse();
}

static void shared_counts(const struct broker *broker, struct broker_counts *ret_counts)
{
	(void)broker;
	*ret_counts = (struct broker_counts){.accounts = shared.accounts, .ended = shared.sealed && !shared.n};
	for (size_t i = 0; i < shared.n; i++)
		++*(shared.entries[i].owner              ? &ret_counts->leased
		    : shared.entries[i].due > weir_now() ? &ret_counts->waiting
							 : &ret_counts->ready);
}

/* ---- the fleet */

static const struct row *find_row(const struct broker *broker, const char *name)
{
	for (size_t i = 0; i < broker->row_count; i++)
		if (!strcmp(broker->rows[i].name, name))
			return &broker->rows[i];
	return NULL;
}

enum { OTHERS_MOST = 64 };

/* What the others hold and need of a limit: how many they are. */
static size_t find_claims(const struct broker *broker, const char *name, struct fleet_claim claims[OTHERS_MOST])
{
	size_t n = 0;
	const struct broker *other;
	TAILQ_FOREACH(other, &shared.workers, others)
	{
		const struct row *row = find_row(other, name);
		if (other != broker && row)
			claims[n++] = (struct fleet_claim){other->opts.owner, row->holds, row->needs};
	}
	return n;
}

/* At the server: what is granted. */
static uint64_t grant(struct broker *broker, const struct fleet_limit *limit, struct row *row)
{
	struct fleet_claim claims[OTHERS_MOST];
	size_t n = find_claims(broker, limit->name, claims);
	uint64_t others = 0;
	for (size_t i = 0; i < n; i++)
		others += claims[i].holds;
	uint64_t granted = fleet_share_grant(limit->share.capacity, others, limit->share.wants);
	uint64_t holds = limit->in_use > limit->share.holds ? limit->in_use : limit->share.holds;
	snprintf(row->name, sizeof row->name, "%s", limit->name);
	row->holds = granted > holds ? granted : holds;
	row->needs = limit->share.needs;
	return granted;
}

/* In how long to meet again. */
static weir_nsec meet(struct broker *broker)
{
	const struct fleet_listener *fleet = broker->opts.fleet;
	struct fleet_claim claims[OTHERS_MOST];
	struct row rows[ROWS] = {{{0}}};
	struct weir_error err;
	uint64_t granted[ROWS];
	size_t n, workers = 0;
	weir_nsec sent = weir_now(), wait = FLEET_MEETING;
	const struct broker *other;
	buf_clear(&broker->record);
	struct fleet_limit *limits = fleet->say(fleet->arg, &broker->record, &n);
	broker->said_at = sent;
	for (size_t i = 0; i < n; i++) {
		size_t claim_count = find_claims(broker, limits[i].name, claims);
		fleet_share_plan(&limits[i].share, broker->opts.owner, claims, claim_count, weir_now());
		fleet_share_ask(&limits[i].share, weir_now());
	}
	if (travel(&err))
		return wait;
	for (size_t i = 0; i < n; i++)
		granted[i] = grant(broker, &limits[i], &rows[i]);
	memcpy(broker->rows, rows, sizeof rows);
	broker->row_count = n;
	if (travel(&err))
		return wait;
	for (size_t i = 0; i < n; i++) {
		size_t claim_count = find_claims(broker, limits[i].name, claims);
		fleet_share_hear(&limits[i].share, granted[i], sent);
		weir_nsec soon =
			fleet_share_plan(&limits[i].share, broker->opts.owner, claims, claim_count, weir_now());
		wait = soon < wait ? soon : wait;
	}
	TAILQ_FOREACH(other, &shared.workers, others)
	workers++;
	fleet->hear(fleet->arg,
		    &(struct fleet_news){.workers = workers, .settings = shared.settings, .stop = broker->stop});
	free(broker->stop);
	broker->stop = NULL;
	return wait;
}

static int keep_meeting(void *arg)
{
	weir_nsec wait = 0;
	do
		wait = meet(arg);
	while (!weir_sleep(wait > WEIR_MSEC ? wait : WEIR_MSEC));
	return 0;
}

static void join(struct broker *broker)
{
	if (!broker->opts.fleet || broker->meets)
		return;
	broker->meets = true;
	TAILQ_INSERT_TAIL(&shared.workers, broker, others);
	ck_assert_int_eq(weir_group_new(NULL, &broker->meeting), 0);
	meet(broker);
	ck_assert_int_eq(weir_group_spawn(broker->meeting, keep_meeting, broker, WEIR_FOREVER), 0);
}

static void leave(struct broker *broker)
{
	if (broker->meets) {
		weir_group_cancel(broker->meeting);
		weir_group_wait(broker->meeting, WEIR_FOREVER);
		weir_group_free(broker->meeting);
		TAILQ_REMOVE(&shared.workers, broker, others);
	}
	buf_fini(&broker->record);
	free(broker->stop);
}

static int shared_look(struct broker *broker, struct fleet_view *ret_view, struct weir_error *err, weir_nsec deadline)
{
	(void)broker, (void)deadline;
	int code = travel(err);
	if (code)
		return code;
	*ret_view = (struct fleet_view){.workers = calloc(OTHERS_MOST, sizeof(struct fleet_worker))};
	const struct broker *other;
	TAILQ_FOREACH(other, &shared.workers, others)
	ret_view->workers[ret_view->n++] = (struct fleet_worker){
		.name = strdup(other->opts.owner),
		.record = strdup(other->record.data ? other->record.data : ""),
		.silent = weir_now() - other->said_at,
	};
	ret_view->settings = shared.settings ? strdup(shared.settings) : NULL;
	return 0;
}

static int shared_tell(struct broker *broker, const struct fleet_order *order, struct weir_error *err,
		       weir_nsec deadline)
{
	struct broker *other;
	(void)broker, (void)deadline;
	int code = travel(err);
	if (code)
		return code;
	if (order->settings) {
		free(shared.settings);
		shared.settings = strdup(order->settings);
	}
	TAILQ_FOREACH(other, &shared.workers, others)
	if (order->stop) {
		free(other->stop);
		other->stop = strdup(order->stop);
	}
	return 0;
}

static const struct fleet_ops shared_fleet = {.look = shared_look, .tell = shared_tell};

/* ---- the journal */

static int shared_recall(struct broker *broker, struct broker_past *ret_past, struct weir_error *err,
			 weir_nsec deadline)
{
	(void)broker, (void)err, (void)deadline;
	*ret_past = (struct broker_past){.begun = shared.run[0],
					 .sealed = shared.sealed,
					 .done = shared.sealed && !shared.n,
					 .cursor = shared.cursor,
					 .accounts = shared.accounts,
					 .unfinished = shared.n};
	memcpy(ret_past->run, shared.run, sizeof shared.run);
	ck_assert_int_eq(value_copy(&ret_past->plan, shared.plan, strlen(shared.plan)), 0);
	ck_assert_int_eq(value_copy(&ret_past->source, shared.source, strlen(shared.source)), 0);
	ck_assert_int_eq(value_copy(&ret_past->file, shared.file, strlen(shared.file)), 0);
	return 0;
}

static int shared_forget(struct broker *broker, const char *was, struct weir_error *err, weir_nsec deadline)
{
	(void)broker, (void)err, (void)deadline;
	if (strcmp(shared.run, was))
		return BROKER_MOVED;
	shared_forget_items();
	shared.run[0] = shared.source[0] = 0;
	return 0;
}

static int shared_begin(struct broker *broker, const struct broker_start *start, struct weir_error *err,
			weir_nsec deadline)
{
	(void)broker, (void)deadline;
	if (shared.slow && weir_sleep(shared.slow))
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (strcmp(shared.run, start->was))
		return BROKER_MOVED;
	snprintf(shared.run, sizeof shared.run, "%s", start->run);
	snprintf(shared.plan, sizeof shared.plan, "%s", start->plan);
	snprintf(shared.file, sizeof shared.file, "%s", start->file);
	if (start->source) {
		snprintf(shared.source, sizeof shared.source, "%s", start->source);
		shared.sealed = false;
	}
	join(broker);
	return 0;
}

static int shared_audit(struct broker *broker, struct weir_error *err, weir_nsec deadline)
{
	(void)broker, (void)deadline;
	return broker_check_accounts(&shared.accounts, shared.n, err);
}

static int shared_open(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		       struct weir_error *err)
{
	(void)config, (void)err;
	struct broker *broker = calloc(1, sizeof *broker);
	broker->opts = *opts;
	*ret_broker = broker;
	return 0;
}

/* What it has leased is free again. */
static int shared_close(struct broker *broker, struct weir_error *err)
{
	(void)err;
	take_from(broker, SIZE_MAX, true);
	leave(broker);
	free(broker);
	return 0;
}

static const struct broker_ops shared_ops = {
	.exactness = BROKER_SHARED,
	.fleet = &shared_fleet,
	.queue = {.put_most = BROKER_PUT_MAX,
		  .put = shared_put,
		  .seal = shared_seal,
		  .lease = shared_lease,
		  .extend = shared_extend,
		  .holds = shared_holds,
		  .ack = shared_ack,
		  .nack = shared_nack,
		  .stop = shared_stop,
		  .grow = shared_grow,
		  .counts = shared_counts},
	.journal = {.recall = shared_recall, .forget = shared_forget, .begin = shared_begin, .audit = shared_audit},
	.open = shared_open,
	.close = shared_close,
};

const struct adapter shared_broker_adapter = {.kind = ADAPTER_BROKER, .name = "shared", .broker = &shared_ops};
