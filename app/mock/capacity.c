/* SPDX-License-Identifier: MIT */
/*
 * Nobody waits here: since latencies are drawn when a request comes, it is known at once when a worker will be free for
 * it, and the line is only a heap of times.
 */
#include "capacity.h"

#include <stdlib.h>
#include <string.h>

#include "data/units.h"

static int parse_status(struct mock_span text, int *ret_status, struct weir_error *err)
{
	int64_t status;
	if (!units_count(text.at, text.n, 400, 599, &status))
		return weir_error_set(err, WEIR_EINVAL, "'%.*s' is not a status from 400 to 599",
				      (int)(text.n < 60 ? text.n : 60), text.at);
	*ret_status = (int)status;
	return 0;
}

int mock_capacity_limit(struct mock_capacity_plan *plan, const char *text, struct weir_error *err)
{
	struct mock_span rest = {text, strlen(text)}, limit = mock_text_cut(&rest, '@');
	struct mock_step step = {0};
	weir_nsec from[2] = {0};
	if (text[limit.n] == '@' && (!mock_text_durations(rest, from) || from[0] != from[1]))
		return weir_error_set(err, WEIR_EINVAL, "'%.60s' is not a time; expected %.*s@20s", rest.at,
				      (int)(limit.n < 60 ? limit.n : 60), text);
	step.from = from[0];
	if (plan->steps == MOCK_STEPS)
		return weir_error_set(err, WEIR_EINVAL, "more than %d of them", MOCK_STEPS);
	if (plan->steps && plan->step[plan->steps - 1].from >= step.from)
		return weir_error_set(
			err, WEIR_EINVAL,
			"'%.100s' is not later than the limit before it; expected 1000/s 300/s@20s none@40s", text);
	int result = mock_bucket_parse(limit, &step.limit, err);
	if (!result)
		plan->step[plan->steps++] = step;
	return result;
}

int mock_capacity_outage(struct mock_capacity_plan *plan, const char *text, struct weir_error *err)
{
	struct mock_span rest = {text, strlen(text)}, times = mock_text_cut(&rest, ':');
	struct mock_outage outage = {.status = 503};
	weir_nsec pair[2];
	if (!mock_text_durations(times, pair) || pair[0] == pair[1])
		return weir_error_set(err, WEIR_EINVAL, "'%.100s' is not an outage; expected 10s..70s or 10s..70s:502",
				      text);
	outage.from = pair[0];
	outage.to = pair[1];
	if (plan->outages == MOCK_OUTAGES)
		return weir_error_set(err, WEIR_EINVAL, "more than %d of them", MOCK_OUTAGES);
	int result = times.n < strlen(text) ? parse_status(rest, &outage.status, err) : 0;
	if (!result)
		plan->outage[plan->outages++] = outage;
	return result;
}

int mock_capacity_in_flight(struct mock_capacity_plan *plan, const char *text, struct weir_error *err)
{
	struct mock_span rest = {text, strlen(text)}, number = mock_text_cut(&rest, ':');
	int64_t most;
	int status = 429, result = 0;
	if (!units_count(number.at, number.n, 1, 1000000, &most))
		return weir_error_set(err, WEIR_EINVAL, "invalid value '%.100s'; expected 100 or 100:503", text);
	if (number.n < strlen(text))
		result = parse_status(rest, &status, err);
	if (result < 0)
		return result;
	plan->max_in_flight = (size_t)most;
	plan->in_flight_status = status;
	return 0;
}

int mock_capacity_init(struct mock_capacity *capacity, const struct mock_capacity_plan *plan)
{
	*capacity = (struct mock_capacity){.plan = plan};
	if (plan->workers)
		capacity->free_at = calloc(plan->workers, sizeof *capacity->free_at);
	return plan->workers && !capacity->free_at ? WEIR_ENOMEM : 0;
}

void mock_capacity_fini(struct mock_capacity *capacity)
{
	free(capacity->free_at);
	capacity->free_at = NULL;
}

enum mock_refusal mock_capacity_ask(struct mock_capacity *capacity, weir_nsec now, int *ret_status, weir_nsec *ret_wait)
{
	const struct mock_capacity_plan *plan = capacity->plan;
	if (!capacity->begun) {
		capacity->begun = true;
		capacity->began = now;
	}
	weir_nsec time = now - capacity->began;
	*ret_wait = 0;
	while (capacity->next_step < plan->steps && plan->step[capacity->next_step].from <= time)
		mock_bucket_change(&capacity->limit, &plan->step[capacity->next_step++].limit, now);
	for (size_t i = 0; i < plan->outages; i++)
		if (plan->outage[i].from <= time && time < plan->outage[i].to) {
			*ret_status = plan->outage[i].status;
			return MOCK_IN_OUTAGE;
		}
	if (plan->max_in_flight && capacity->in_flight >= plan->max_in_flight) {
		*ret_status = plan->in_flight_status;
		return MOCK_TOO_MANY_AT_ONCE;
	}
	*ret_wait = mock_bucket_take(&capacity->limit, now);
	*ret_status = 429;
	return *ret_wait ? MOCK_OVER_LIMIT : MOCK_TAKEN;
}

/* Puts a time in place of the earliest. */
static void replace_top(weir_nsec *heap, size_t n, weir_nsec time)
{
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= time)
			break;
		heap[at] = heap[child];
	}
	heap[at] = time;
}

weir_nsec mock_capacity_work(struct mock_capacity *capacity, weir_nsec takes, weir_nsec now)
{
	if (!capacity->free_at)
		return takes;
	weir_nsec begins = capacity->free_at[0] > now ? capacity->free_at[0] : now;
	capacity->queued += begins > now;
	replace_top(capacity->free_at, capacity->plan->workers, begins + takes);
	return begins + takes - now;
}

void mock_capacity_enter(struct mock_capacity *capacity)
{
	if (++capacity->in_flight > capacity->max_in_flight)
		capacity->max_in_flight = capacity->in_flight;
}

void mock_capacity_leave(struct mock_capacity *capacity)
{
	capacity->in_flight--;
}
