/* SPDX-License-Identifier: MIT */
/*
 * Lines are read as they come, into numbers; only at the end, when Date and all names are known, is it decided what
 * they mean together.  Of a limit's name only a hash is kept: hashes that collide take one limit for another of the
 * same answer, no more.
 */
#include "http/limits.h"

#include "http/fields.h"

#include <string.h>
#include <strings.h>
#include <weir/table.h>

#define THOUSAND   1000
#define NAME_BYTES 48 /* longer names are none of ours */

static void take_date(struct http_limits *limits, struct span value)
{
	size_t n = value.n < sizeof limits->date ? value.n : 0;
	memcpy(limits->date, value.at, n);
	limits->date[n] = '\0';
}

static bool take_retry_after(struct http_limits *limits, struct span name, struct span value)
{
	bool in_ms = span_is(name, "retry-after-ms") || span_is(name, "x-ms-retry-after-ms");
	if (!in_ms && !span_is(name, "retry-after"))
		return false;
	int64_t time = in_ms ? field_number(value) / THOUSAND : field_time(value);
	int64_t *kept = time > FIELD_POINT ? &limits->retry_after_at : &limits->retry_after;
	if (time > *kept)
		*kept = time;
	return true;
}

/* ---- the headers */

static uint32_t hash(struct span name)
{
	return (uint32_t)weir_hash(WEIR_HASH, name.at, name.n);
}

static int64_t cut(int64_t value, int64_t most)
{
	return value < most ? value : most;
}

static void add_value(struct http_limits_row *row, int64_t thousandths)
{
	if (thousandths >= 0 && row->n < HTTP_LIMITS_MOST)
		row->values[row->n++] = thousandths;
}

static void add_policy(struct http_limits *limits, const struct field_member *member, int64_t quota)
{
	if (quota < THOUSAND || limits->policies == HTTP_LIMITS_NAMES)
		return;
	limits->policy[limits->policies++] = (struct http_limits_policy){
		.name = hash(member->word),
		.other = member->other_unit,
		.quota = cut(quota / THOUSAND, HTTP_LIMITS_QUOTA),
		.window_s = member->w > 0 ? cut((member->w + THOUSAND - 1) / THOUSAND, HTTP_LIMITS_LONG) : 0,
	};
}

static void take_policies(struct http_limits *limits, struct span value)
{
	struct field_cursor cursor = field_begin(value);
	struct field_member member;
	while (field_next(&cursor, &member))
		add_policy(limits, &member, member.q >= 0 ? member.q : field_number(member.word));
}

static void add_state(struct http_limits *limits, const struct field_member *member)
{
	if (limits->states == HTTP_LIMITS_NAMES)
		return;
	limits->state[limits->states++] = (struct http_limits_state){
		.name = hash(member->word), .left = cut(member->r / THOUSAND, HTTP_LIMITS_QUOTA), .reset = member->t};
}

static void take_states(struct http_limits *limits, struct http_limits_triple *triple, struct span value)
{
	struct field_cursor cursor = field_begin(value);
	struct field_member member;
	while (field_next(&cursor, &member)) {
		if (member.r >= 0)
			add_state(limits, &member);
		else if (span_is(member.word, "limit"))
			add_value(&triple->limit, field_number(member.value));
		else if (span_is(member.word, "remaining"))
			add_value(&triple->remaining, field_number(member.value));
		else if (span_is(member.word, "reset"))
			add_value(&triple->reset, field_time(member.value));
	}
}

/* "100, 100;w=60": those without a window are limits, the others policies. */
static void take_limits(struct http_limits *limits, struct http_limits_triple *triple, struct span value)
{
	struct field_cursor cursor = field_begin(value);
	struct field_member member;
	while (field_next(&cursor, &member)) {
		int64_t limit = field_number(member.word);
		if (member.w > 0)
			add_policy(limits, &member, limit);
		else
			add_value(&triple->limit, limit);
	}
}

static void take_numbers(struct http_limits_row *row, struct span value)
{
	struct field_cursor cursor = field_begin(value);
	struct field_member member;
	while (field_next(&cursor, &member))
		add_value(row, field_number(member.word));
}

static void take_times(struct http_limits_row *row, struct span value)
{
	struct field_cursor cursor = field_begin(value);
	struct field_member member;
	while (field_next(&cursor, &member))
		add_value(row, field_time(member.word));
}

/* ---- limits that the header's name tells apart: X-RateLimit-Remaining-Tokens, Anthropic-RateLimit-Tokens-Remaining */

enum part { NO_PART, LIMIT, LEFT, RESET };

struct scope {
	struct span name;
	bool known, other; /* other: it does not count requests */
	int64_t window_s;
};

static enum part part_of(struct span word)
{
	if (span_is(word, "limit") || span_is(word, "max"))
		return LIMIT;
	return span_is(word, "remaining") ? LEFT : span_is(word, "reset") ? RESET : NO_PART;
}

static struct scope scope_of(struct span name)
{
	static const struct {
		const char *name;
		int64_t window_s;
	} known[] = {{"requests", 0}, {"second", 1},  {"secondly", 1},  {"minute", 60},
		     {"hour", 3600},  {"day", 86400}, {"daily", 86400}, {"month", (int64_t)30 * 86400}};
	struct scope scope = {.name = name, .known = name.n >= 6 && memmem(name.at, name.n, "oken", 4)};
	scope.other = scope.known;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (span_is(name, known[i].name)) {
			scope.known = true;
			scope.window_s = known[i].window_s;
		}
	return scope;
}

/* Splits "limit-tokens", "tokens-limit", "daily" (a limit) or "limit". */
static enum part split_name(struct span name, struct scope *ret_scope)
{
	const char *end = name.at + name.n, *first = memchr(name.at, '-', name.n),
		   *last = memrchr(name.at, '-', name.n);
	enum part part = part_of(name);
	*ret_scope = (struct scope){.name = {"", 0}, .known = part != NO_PART};
	if (part == NO_PART && first && (part = part_of((struct span){name.at, (size_t)(first - name.at)})))
		*ret_scope = scope_of((struct span){first + 1, (size_t)(end - first - 1)});
	else if (part == NO_PART && last && (part = part_of((struct span){last + 1, (size_t)(end - last - 1)})))
		*ret_scope = scope_of((struct span){name.at, (size_t)(last - name.at)});
	else if (part == NO_PART && (*ret_scope = scope_of(name)).window_s)
		part = LIMIT;
	return ret_scope->known ? part : NO_PART;
}

static struct http_limits_policy *policy_named(struct http_limits *limits, uint32_t name)
{
	for (unsigned i = 0; i < limits->policies; i++)
		if (limits->policy[i].name == name)
			return &limits->policy[i];
	if (limits->policies == HTTP_LIMITS_NAMES)
		return NULL;
	limits->policy[limits->policies].name = name;
	return &limits->policy[limits->policies++];
}

static struct http_limits_state *state_named(struct http_limits *limits, uint32_t name)
{
	for (unsigned i = 0; i < limits->states; i++)
		if (limits->state[i].name == name)
			return &limits->state[i];
	if (limits->states == HTTP_LIMITS_NAMES)
		return NULL;
	limits->state[limits->states] = (struct http_limits_state){.name = name, .left = -1, .reset = -1};
	return &limits->state[limits->states++];
}

static void take_part(struct http_limits *limits, enum part part, const struct scope *scope, struct span value)
{
	int64_t number = part == RESET ? field_time(value) : field_number(value);
	if (number < 0)
		return;
	struct http_limits_policy *policy = policy_named(limits, hash(scope->name));
	struct http_limits_state *state = part == LIMIT ? NULL : state_named(limits, hash(scope->name));
	if (policy) {
		policy->other |= scope->other;
		policy->window_s = scope->window_s ? scope->window_s : policy->window_s;
	}
	if (part == LIMIT && policy)
		policy->quota = cut(number / THOUSAND, HTTP_LIMITS_QUOTA);
	else if (part == LEFT && state)
		state->left = cut(number / THOUSAND, HTTP_LIMITS_QUOTA);
	else if (part == RESET && state)
		state->reset = number;
}

/* "-Interval-Milliseconds" of HubSpot: the window of what it tells without another name. */
static void take_interval(struct http_limits *limits, struct span value)
{
	struct http_limits_policy *policy = policy_named(limits, hash((struct span){"", 0}));
	int64_t ms = field_number(value) / THOUSAND;
	if (policy && ms > 0)
		policy->window_s = cut((ms + THOUSAND - 1) / THOUSAND, HTTP_LIMITS_LONG);
}

/* "32/40" of Shopify: of a bucket of 40, which leaks empty in 20 seconds on every plan. */
static bool take_bucket(struct http_limits *limits, struct span name, struct span value)
{
	const char *slash = memchr(value.at, '/', value.n);
	struct scope scope = {.name = name, .window_s = 20};
	if (!span_is(name, "x-shopify-shop-api-call-limit") || !slash)
		return false;
	take_part(limits, LIMIT, &scope, (struct span){slash + 1, (size_t)(value.at + value.n - slash - 1)});
	return true;
}

/* ---- the headers' names */

/* suffix: what follows in the header's name.  False: that is no header of a limit. */
static bool take_triple(struct http_limits *limits, struct http_limits_triple *triple, struct span suffix,
			struct span value)
{
	if (!suffix.n)
		take_states(limits, triple, value);
	else if (span_is(suffix, "-policy"))
		take_policies(limits, value);
	else if (span_is(suffix, "-limit"))
		take_limits(limits, triple, value);
	else if (span_is(suffix, "-remaining"))
		take_numbers(&triple->remaining, value);
	else if (span_is(suffix, "-reset") || span_is(suffix, "-reset-after"))
		take_times(&triple->reset, value);
	else
		return false;
	return true;
}

static bool take_named(struct http_limits *limits, struct span suffix, struct span value)
{
	struct scope scope;
	if (suffix.n < 2 || suffix.at[0] != '-')
		return false;
	enum part part = split_name((struct span){suffix.at + 1, suffix.n - 1}, &scope);
	if (part == NO_PART)
		return false;
	take_part(limits, part, &scope, value);
	return true;
}

static bool take_rate_limit(struct http_limits *limits, struct span name, struct span value)
{
	static const char *const beginnings[] = {"x-ratelimit", "x-rate-limit",        "ratelimit",
						 "rate-limit",  "anthropic-ratelimit", "x-hubspot-ratelimit"};
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		size_t n = strlen(beginnings[i]);
		if (name.n < n || strncasecmp(name.at, beginnings[i], n))
			continue;
		struct span suffix = {name.at + n, name.n - n};
		if (span_is(suffix, "-interval-milliseconds"))
			take_interval(limits, value);
		return (i < 4 && take_triple(limits, i < 2 ? &limits->x : &limits->plain, suffix, value)) ||
		       take_named(limits, suffix, value);
	}
	return false;
}

void http_limits_line(struct http_limits *limits, const char *line, size_t bytes)
{
	char first = bytes ? (char)(line[0] | 0x20) : '\0';
	if (first != 'r' && first != 'x' && first != 'd' && first != 'a')
		return;
	const char *colon = memchr(line, ':', bytes < NAME_BYTES ? bytes : NAME_BYTES);
	if (!colon)
		return;
	struct span name = {line, (size_t)(colon - line)}, value = span_trim(colon + 1, line + bytes);
	if (span_is(name, "date"))
		take_date(limits, value);
	else
		limits->any |= take_retry_after(limits, name, value) || take_bucket(limits, name, value) ||
			       take_rate_limit(limits, name, value);
}

/* ---- what they mean together */

/* A time from now or a point in time, in thousandths of a second, as one from now; 0: it is none, or past. */
static int64_t from_now(int64_t time, int64_t wall)
{
	int64_t ms = time > FIELD_POINT ? time - wall * THOUSAND : time;
	return ms > 0 ? ms : 0;
}

/* Rounded up; 0, too, if it makes no sense. */
static int64_t reset_seconds(int64_t time, int64_t wall)
{
	int64_t seconds = (from_now(time, wall) + THOUSAND - 1) / THOUSAND;
	return seconds <= HTTP_LIMITS_LONG ? seconds : 0;
}

/* Takes it for what is left unless that is stricter.  Without a time until the count starts anew it tells nothing. */
static bool offer_left(struct weir_hint *hint, int64_t left, int64_t reset_s)
{
	if (reset_s <= 0)
		return false;
	double one = (double)left / (double)reset_s, other = (double)hint->left / (double)hint->reset * WEIR_SEC;
	if (hint->counts && (one > other || (one == other && reset_s * WEIR_SEC <= hint->reset)))
		return false;
	hint->counts = true;
	hint->left = (uint64_t)left;
	hint->reset = reset_s * WEIR_SEC;
	return true;
}

/* A rate is stricter than none, and the lower one is. */
static void offer_quota(struct weir_hint *hint, int64_t quota, int64_t window_s)
{
	if (!quota || (hint->quota && !window_s))
		return;
	if (hint->window && (double)quota / (double)window_s >= (double)hint->quota / (double)hint->window * WEIR_SEC)
		return;
	hint->quota = (uint64_t)quota;
	hint->window = window_s * WEIR_SEC;
}

/* Of what is no request it says only when the next one may come: how many it allows depends on their size. */
static void tell_states(const struct http_limits *limits, int64_t wall, struct weir_hint *hint)
{
	for (unsigned i = 0; i < limits->states; i++) {
		const struct http_limits_state *state = &limits->state[i];
		int64_t window_s = 0;
		bool other = false;
		for (unsigned k = 0; k < limits->policies; k++)
			if (limits->policy[k].name == state->name) {
				window_s = limits->policy[k].window_s;
				other = limits->policy[k].other;
			}
		if (state->left == 0 || (state->left > 0 && !other))
			offer_left(hint, state->left, state->reset < 0 ? window_s : reset_seconds(state->reset, wall));
	}
}

/* The first of each belong together, and so on. */
static void tell_triple(const struct http_limits_triple *triple, int64_t wall, struct weir_hint *hint)
{
	for (unsigned i = 0; i < HTTP_LIMITS_MOST; i++) {
		int64_t limit = i < triple->limit.n ? cut(triple->limit.values[i] / THOUSAND, HTTP_LIMITS_QUOTA) : 0;
		if (i < triple->remaining.n && i < triple->reset.n) {
			int64_t left = cut(triple->remaining.values[i] / THOUSAND, HTTP_LIMITS_QUOTA);
			offer_left(hint, left, reset_seconds(triple->reset.values[i], wall));
		}
		offer_quota(hint, limit, 0);
	}
}

static weir_nsec retry_after(const struct http_limits *limits, int64_t wall)
{
	int64_t ms = from_now(limits->retry_after, wall), until = from_now(limits->retry_after_at, wall);
	return cut(ms > until ? ms : until, HTTP_LIMITS_LONG * THOUSAND) * WEIR_MSEC;
}

void http_limits_hint(const struct http_limits *limits, int64_t wall_seconds, struct weir_hint *ret_hint)
{
	struct weir_hint hint = {0};
	if (limits->any) {
		int64_t date = http_limits_date(limits), wall = date ? date : wall_seconds;
		hint.retry_after = retry_after(limits, wall);
		for (unsigned i = 0; i < limits->policies; i++)
			if (!limits->policy[i].other)
				offer_quota(&hint, limits->policy[i].quota, limits->policy[i].window_s);
		tell_states(limits, wall, &hint);
		tell_triple(&limits->plain, wall, &hint);
		tell_triple(&limits->x, wall, &hint);
	}
	*ret_hint = hint;
}

int64_t http_limits_date(const struct http_limits *limits)
{
	int64_t date = limits->date[0] ? field_date(limits->date) : 0;
	return date > 0 ? date : 0;
}
