/* SPDX-License-Identifier: MIT */
/*
 * Where a run stands that several processes work on, from what the broker has: its accounts, and what each process last
 * said of itself (engine/fleet_record.h).
 */
#include "cmd/fleet.h"

#include "data/json.h"
#include "data/json_writer.h"
#include "data/terminal.h"
#include "data/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Who has not said anything for longer is silent; a lease later the others take it for dead. */
#define SILENT (5 * WEIR_SEC)

struct fellow {
	const struct fleet_worker *worker;
	struct json *record; /* NULL: it has said nothing that can be read */
};

struct standing_of_all {
	const struct plan *plan;
	struct broker_past past;
	struct fleet_view view;
	struct fellow *members;
	const char *state;
};

static bool is_silent(const struct fleet_worker *worker)
{
	return worker->silent > SILENT;
}

size_t fleet_count_alive(const struct fleet_view *view)
{
	size_t n = 0;
	for (size_t i = 0; i < view->n; i++)
		n += !is_silent(&view->workers[i]);
	return n;
}

static const char *text_of(const struct fellow *member, const char *name)
{
	return member->record ? json_member_text(member->record, name) : "";
}

static int64_t number_of(const struct fellow *member, const char *name)
{
	return member->record ? json_member_int(member->record, name) : 0;
}

/* ---- reading */

static bool is_paused(const struct fleet_view *view)
{
	struct engine_changes changes;
	return view->settings && !engine_changes_read(view->settings, &changes, NULL) && changes.has_pause &&
	       changes.paused;
}

/* Without a worker no item is processed, even while a submit reads the source. */
static const char *find_state(const struct standing_of_all *all)
{
	bool has_workers = false;
	for (size_t i = 0; i < all->view.n; i++)
		has_workers = has_workers || (!is_silent(&all->view.workers[i]) &&
					      strcmp(text_of(&all->members[i], "role"), "submit"));
	if (!all->past.begun)
		return "new";
	if (all->past.done)
		return "done";
	if (!has_workers)
		return fleet_count_alive(&all->view) ? "waiting" : "stopped";
	return is_paused(&all->view) ? "paused" : "running";
}

static void forget(struct standing_of_all *all)
{
	for (size_t i = 0; i < all->view.n && all->members; i++)
		json_free(all->members[i].record);
	free(all->members);
	fleet_view_fini(&all->view);
	broker_past_fini(&all->past);
}

static int read_all(struct visit *visit, struct standing_of_all *ret_all, struct weir_error *err)
{
	struct standing_of_all all = {.plan = visit->plan};
	int code = visit_recall(visit, &all.past, err);
	if (!code)
		code = visit_look(visit, &all.view, err);
	all.members = code ? NULL : calloc(all.view.n + 1, sizeof *all.members);
	if (!code && !all.members)
		weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; all.members && i < all.view.n; i++) {
		const char *record = all.view.workers[i].record;
		all.members[i].worker = &all.view.workers[i];
		if (json_parse(record, strlen(record), &all.members[i].record, NULL))
			all.members[i].record = NULL;
	}
	if (!all.members) {
		forget(&all);
		return code ? code : WEIR_ENOMEM;
	}
	all.state = find_state(&all);
	*ret_all = all;
	return 0;
}

/* ---- for programs */

static void put_member(const struct fellow *member, struct buf *out)
{
	static const char *const names[] = {"host",    "pid",       "role",      "state",   "since",
					    "in_hand", "in_flight", "oldest_ms", "per_sec", "settled"};
	json_open(out, NULL, '{');
	json_put_text(out, "name", member->worker->name);
	json_put_bool(out, "alive", !is_silent(member->worker));
	json_put_int(out, "silent_ms", member->worker->silent / WEIR_MSEC);
	for (size_t i = 0; i < sizeof names / sizeof *names && member->record; i++)
		if (json_member(member->record, names[i]))
			json_put_value(out, names[i], json_member(member->record, names[i]));
	json_close(out, '}');
}

static void put_all(const struct standing_of_all *all, struct buf *out)
{
	const struct broker_accounts *accounts = &all->past.accounts;
	json_open(out, NULL, '{');
	json_put_text(out, "event", "status");
	json_put_text(out, "name", all->plan->settings.name);
	json_put_text(out, "state", all->state);
	if (all->view.stop)
		json_put_text(out, "reason", all->view.stop);
	json_put_uint(out, "read", accounts->read);
	json_put_uint(out, "succeeded", accounts->succeeded);
	json_put_uint(out, "dead", accounts->dead);
	json_put_uint(out, "dropped", accounts->dropped);
	json_put_uint(out, "unfinished", all->past.unfinished);
	json_put_uint(out, "letters", all->past.letters);
	json_put_bool(out, "sealed", all->past.sealed);
	if (all->view.settings)
		json_put_raw(out, "settings", all->view.settings, strlen(all->view.settings));
	json_open(out, "workers", '[');
	for (size_t i = 0; i < all->view.n; i++)
		put_member(&all->members[i], out);
	json_close(out, ']');
	json_close(out, '}');
	buf_add_char(out, '\n');
}

/* ---- for people */

/* The time of today, the day of all before. */
static const char *since_text(time_t since, char text[32])
{
	time_t now = time(NULL);
	struct tm at, today;
	text[0] = 0;
	if (!since || !localtime_r(&since, &at) || !localtime_r(&now, &today))
		return text;
	bool is_today = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
	strftime(text, 32, is_today ? "%H:%M:%S" : "%m-%d", &at);
	return text;
}

static const char *seconds_text(int64_t ms, char text[32])
{
	return units_seconds_text((double)ms / 1000, text);
}

static void say_member(const struct fellow *member, struct buf *out)
{
	char since[32], hand[32] = "", oldest[32] = "", rate[48] = "", silent[32], number[32];
	bool works = strcmp(text_of(member, "role"), "submit") != 0;
	double per_sec = member->record ? json_member_real(member->record, "per_sec") : NAN;
	if (works && member->record)
		units_number_text((uint64_t)number_of(member, "in_hand"), hand);
	if (works && number_of(member, "in_hand"))
		seconds_text(number_of(member, "oldest_ms"), oldest);
	if (works && isfinite(per_sec))
		snprintf(rate, sizeof rate, "%s", units_per_second_text(per_sec, number));
	buf_addf(out, "  %-12.12s %7lld  %-6.6s  %-8s %5s %7s %8s  ", text_of(member, "host"),
		 (long long)number_of(member, "pid"), text_of(member, "role"),
		 since_text((time_t)number_of(member, "since"), since), hand, oldest, rate);
	if (is_silent(member->worker))
		buf_addf(out, "silent %s", seconds_text(member->worker->silent / WEIR_MSEC, silent));
	else
		buf_add_str(out, "alive");
	buf_add_char(out, '\n');
}

static void say_next(const struct standing_of_all *all, struct buf *out)
{
	const char *file = all->plan->file;
	if (!strcmp(all->state, "new"))
		buf_addf(out, "weir submit %s begins one\n", file);
	else if (!strcmp(all->state, "waiting"))
		buf_addf(out, "no worker: weir work %s processes the items\n", file);
	else if (!strcmp(all->state, "stopped"))
		buf_addf(out, "nobody is at it: weir %s %s resumes it\n", all->past.sealed ? "work" : "run", file);
	else if (!strcmp(all->state, "paused"))
		buf_addf(out, "weir resume %s continues it\n", file);
	else if (all->past.letters)
		buf_addf(out, "why items failed: weir dead %s\n", file);
}

static void say_all(const struct standing_of_all *all, struct buf *out)
{
	const struct broker_past *past = &all->past;
	char a[32], b[32], c[32];
	if (!past->begun) {
		buf_addf(out, "%s: no run has begun\n", all->plan->settings.name);
	} else {
		buf_addf(out, "%s: %s, %s of %s%s done, %s failed\n", all->plan->settings.name, all->state,
			 units_number_text(past->accounts.read - past->unfinished, a),
			 units_number_text(past->accounts.read, b), past->sealed ? "" : "+",
			 units_number_text(past->accounts.dead, c));
	}
	if (all->view.stop)
		buf_addf(out, "  stopped: %s\n", all->view.stop);
	if (all->view.n)
		buf_addf(out, "  %-12s %7s  %-6s  %-8s %5s %7s %8s\n", "HOST", "PID", "ROLE", "SINCE", "HELD", "OLDEST",
			 "RATE");
	for (size_t i = 0; i < all->view.n; i++)
		say_member(&all->members[i], out);
	say_next(all, out);
}

int fleet_show(struct visit *visit, void *arg, struct weir_error *err)
{
	bool as_json = *(const bool *)arg;
	struct standing_of_all all;
	struct buf out = {0};
	int code = read_all(visit, &all, err);
	if (code)
		return code;
	(as_json ? put_all : say_all)(&all, &out);
	if (out.failed)
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	else if (as_json)
		terminal_put_exact(stdout, out.data, out.len);
	else
		terminal_put_lines(stdout, out.data, out.len);
	buf_fini(&out);
	forget(&all);
	return code;
}

/* ---- settings */

static void merge(struct engine_changes *to, const struct engine_changes *from)
{
	if (from->has_concurrency) {
		to->has_concurrency = true;
		to->concurrency = from->concurrency;
	}
	if (from->has_rate) {
		to->has_rate = true;
		to->rate = from->rate;
	}
	if (from->has_pause) {
		to->has_pause = true;
		to->paused = from->paused;
	}
}

static int tell(struct visit *visit, const char *settings, struct weir_error *err)
{
	const struct fleet_order order = {.settings = settings};
	unsigned attempts = 0;
	int code;
	do
		code = visit->ops->fleet->tell(visit->broker, &order, err, WEIR_FOREVER);
	while (visit_again(code, &attempts));
	return code;
}

int fleet_set(struct visit *visit, void *arg, struct weir_error *err)
{
	const struct fleet_setting *setting = arg;
	struct engine_changes all = {0};
	struct fleet_view view = {0};
	struct buf text = {0};
	int code = visit_look(visit, &view, err);
	if (!code && view.settings && engine_changes_read(view.settings, &all, NULL))
		all = (struct engine_changes){0}; /* of a later release: these are in place of them */
	merge(&all, &setting->changes);
	engine_changes_write(&all, &text);
	if (!code && text.failed)
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = tell(visit, text.data, err);
	size_t alive = fleet_count_alive(&view);
	if (!code && setting->as_json)
		printf("%s\n", text.data);
	else if (!code)
		printf("%s: set for %zu process%s, and for those that join\n", visit->plan->settings.name, alive,
		       alive == 1 ? "" : "es");
	buf_fini(&text);
	fleet_view_fini(&view);
	return code;
}
