/* SPDX-License-Identifier: MIT */
/*
 * Lines are read as they come, into numbers; only at the end, when Date and all names are known, is it decided what
 * they mean together.
 *
 * The reader of structured fields is a lenient one: a list of members with parameters, WORD=VALUE;NAME=VALUE, where
 * each part may be missing.  It takes each byte once and keeps nothing but numbers and a hash of the name, so that
 * there is nothing for a hostile server to make large.  Hashes that collide take one limit for another of the same
 * answer, no more.
 *
 * Only for a date is libcurl asked: its own reading of Retry-After takes garbage for 0 and gives negative and unbounded
 * times.
 */
#include "http/limits.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <weir/table.h>

#define THOUSAND 1000
#define LARGEST  ((int64_t)1000 * 1000 * 1000 * 1000 * 1000) /* epochs in milliseconds are below it */

struct span {
	const char *at;
	size_t n;
};

static bool span_is(struct span span, const char *text)
{
	return span.n == strlen(text) && !strncasecmp(span.at, text, span.n);
}

static struct span trim(const char *from, const char *end)
{
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (unsigned char)end[-1] <= ' ')
		end--;
	return (struct span){from, (size_t)(end - from)};
}

/* A number without a sign as thousandths ("2", "2.0", "0.35"); what is too large is the largest.  -1: it is none. */
static int64_t read_thousandths(struct span text)
{
	int64_t value = 0, unit = THOUSAND;
	size_t i = 0;
	for (; i < text.n && text.at[i] >= '0' && text.at[i] <= '9'; i++)
		value = value < LARGEST ? value * 10 + (text.at[i] - '0') : LARGEST;
	if (!i)
		return -1;
	value = (value < LARGEST ? value : LARGEST) * THOUSAND;
	if (i == text.n)
		return value;
	if (text.at[i++] != '.' || i == text.n)
		return -1;
	for (; i < text.n && text.at[i] >= '0' && text.at[i] <= '9'; i++)
		value += (unit /= 10) * (text.at[i] - '0');
	return i == text.n ? value : -1;
}

/* Unix time of a date with its time of the day, from 1970 on, or -1. */
static int64_t date_seconds(const char *text)
{
	time_t seconds = strchr(text, ':') ? curl_getdate(text, NULL) : -1;
	return seconds < 0 ? -1 : seconds;
}

static int64_t span_date(struct span text)
{
	char copy[64];
	if (text.n >= sizeof copy)
		return -1;
	memcpy(copy, text.at, text.n);
	copy[text.n] = '\0';
	return date_seconds(copy);
}

static void take_date(struct http_limits *limits, struct span value)
{
	size_t n = value.n < sizeof limits->date ? value.n : 0;
	memcpy(limits->date, value.at, n);
	limits->date[n] = '\0';
}

static void take_retry_after(struct http_limits *limits, struct span value)
{
	int64_t ms = read_thousandths(value);
	int64_t at = ms < 0 ? span_date(value) : -1;
	if (ms > limits->retry_after_ms)
		limits->retry_after_ms = ms;
	if (at > limits->retry_after_at)
		limits->retry_after_at = at;
}

/* ---- structured fields */

struct member {
	struct span word, value;
	int64_t q, w, r, t; /* thousandths; -1: none */
	bool other_unit;
};

struct cursor {
	const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (unsigned char)*cursor->at <= ' ')
		cursor->at++;
}

static bool is_next(struct cursor *cursor, char c)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* The rest of a string behind its opening quote, the closing one not in it. */
static struct span take_string(struct cursor *cursor)
{
	const char *from = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != '"')
		cursor->at += *cursor->at == '\\' && cursor->end - cursor->at > 1 ? 2 : 1;
	struct span string = {from, (size_t)(cursor->at - from)};
	if (cursor->at < cursor->end)
		cursor->at++;
	return string;
}

/* A string without its quotes, or all up to one of `ends`. */
static struct span take_word(struct cursor *cursor, const char *ends)
{
	if (is_next(cursor, '"'))
		return take_string(cursor);
	const char *from = cursor->at;
	while (cursor->at < cursor->end && (!*cursor->at || !strchr(ends, *cursor->at)))
		cursor->at++;
	return trim(from, cursor->at);
}

static void take_parameter(struct cursor *cursor, struct member *member)
{
	struct span name = take_word(cursor, "=;,"), value = {"", 0};
	if (is_next(cursor, '='))
		value = take_word(cursor, ";,");
	if (span_is(name, "q"))
		member->q = read_thousandths(value);
	else if (span_is(name, "w") || span_is(name, "window"))
		member->w = read_thousandths(value);
	else if (span_is(name, "r"))
		member->r = read_thousandths(value);
	else if (span_is(name, "t"))
		member->t = read_thousandths(value);
	else if (span_is(name, "qu"))
		member->other_unit = !span_is(value, "requests");
}

static bool take_member(struct cursor *cursor, struct member *ret_member)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end)
		return false;
	*ret_member = (struct member){.value = {"", 0}, .q = -1, .w = -1, .r = -1, .t = -1};
	ret_member->word = take_word(cursor, "=;,");
	if (is_next(cursor, '='))
		ret_member->value = take_word(cursor, ";,");
	while (is_next(cursor, ';'))
		take_parameter(cursor, ret_member);
	take_word(cursor, ","); /* what is left of it makes no sense */
	is_next(cursor, ',');
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

static void add_policy(struct http_limits *limits, const struct member *member, int64_t quota)
{
	if (quota < THOUSAND || limits->policies == HTTP_LIMITS_MOST)
		return;
	unsigned i = limits->policies++;
	limits->policy[i].name = hash(member->word);
	limits->policy[i].other = member->other_unit;
	limits->policy[i].quota = cut(quota / THOUSAND, HTTP_LIMITS_QUOTA);
	limits->policy[i].window_s = member->w > 0 ? cut((member->w + THOUSAND - 1) / THOUSAND, HTTP_LIMITS_LONG) : 0;
}

static void take_policies(struct http_limits *limits, struct span value)
{
	struct cursor cursor = {value.at, value.at + value.n};
	struct member member;
	while (take_member(&cursor, &member))
		add_policy(limits, &member, member.q >= 0 ? member.q : read_thousandths(member.word));
}

static void add_state(struct http_limits *limits, const struct member *member)
{
	if (limits->states == HTTP_LIMITS_MOST)
		return;
	unsigned i = limits->states++;
	limits->state[i].name = hash(member->word);
	limits->state[i].left = cut(member->r / THOUSAND, HTTP_LIMITS_QUOTA);
	limits->state[i].reset_s = member->t < 0 ? -1 : cut((member->t + THOUSAND - 1) / THOUSAND, HTTP_LIMITS_LONG);
}

static void take_states(struct http_limits *limits, struct http_limits_triple *triple, struct span value)
{
	struct cursor cursor = {value.at, value.at + value.n};
	struct member member;
	while (take_member(&cursor, &member)) {
		if (member.r >= 0)
			add_state(limits, &member);
		else if (span_is(member.word, "limit"))
			add_value(&triple->limit, read_thousandths(member.value));
		else if (span_is(member.word, "remaining"))
			add_value(&triple->remaining, read_thousandths(member.value));
		else if (span_is(member.word, "reset"))
			add_value(&triple->reset, read_thousandths(member.value));
	}
}

/* "100, 100;w=60": those without a window are limits, the others policies. */
static void take_limits(struct http_limits *limits, struct http_limits_triple *triple, struct span value)
{
	struct cursor cursor = {value.at, value.at + value.n};
	struct member member;
	while (take_member(&cursor, &member)) {
		int64_t limit = read_thousandths(member.word);
		if (member.w > 0)
			add_policy(limits, &member, limit);
		else
			add_value(&triple->limit, limit);
	}
}

static void take_numbers(struct http_limits_row *row, struct span value)
{
	struct cursor cursor = {value.at, value.at + value.n};
	struct member member;
	while (take_member(&cursor, &member))
		add_value(row, read_thousandths(member.word));
}

/* suffix: what follows in the header's name.  False: that is no header of a limit. */
static bool take_suffix(struct http_limits *limits, struct http_limits_triple *triple, struct span suffix,
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
	else if (span_is(suffix, "-reset"))
		take_numbers(&triple->reset, value);
	else
		return false;
	return true;
}

static bool take_rate_limit(struct http_limits *limits, struct span name, struct span value)
{
	static const char *const beginnings[] = {"x-ratelimit", "x-rate-limit", "ratelimit", "rate-limit"};
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		size_t n = strlen(beginnings[i]);
		if (name.n >= n && !strncasecmp(name.at, beginnings[i], n))
			return take_suffix(limits, i < 2 ? &limits->x : &limits->plain,
					   (struct span){name.at + n, name.n - n}, value);
	}
	return false;
}

void http_limits_line(struct http_limits *limits, const char *line, size_t bytes)
{
	char first = bytes ? (char)(line[0] | 0x20) : '\0';
	if (first != 'r' && first != 'x' && first != 'd')
		return;
	const char *colon = memchr(line, ':', bytes < 32 ? bytes : 32);
	if (!colon)
		return;
	struct span name = {line, (size_t)(colon - line)}, value = trim(colon + 1, line + bytes);
	if (span_is(name, "date")) {
		take_date(limits, value);
	} else if (span_is(name, "retry-after")) {
		limits->any = true;
		take_retry_after(limits, value);
	} else if (take_rate_limit(limits, name, value)) {
		limits->any = true;
	}
}

/* ---- what they mean together */

/* A Reset is a time from now or a point in time, as its size tells; in seconds, rounded up. */
static int64_t reset_seconds(int64_t thousandths, int64_t wall)
{
	int64_t ms = thousandths;
	if (ms > (int64_t)1000 * 1000 * 1000 * 1000 * THOUSAND)
		ms = ms / THOUSAND - wall * THOUSAND; /* it was in milliseconds */
	else if (ms > (int64_t)1000 * 1000 * 1000 * THOUSAND)
		ms -= wall * THOUSAND;
	return ms <= 0 ? 0 : cut((ms + THOUSAND - 1) / THOUSAND, HTTP_LIMITS_LONG);
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

static void tell_states(const struct http_limits *limits, struct weir_hint *hint)
{
	for (unsigned i = 0; i < limits->states; i++) {
		int64_t reset_s = limits->state[i].reset_s, window_s = 0;
		bool other = false;
		for (unsigned k = 0; k < limits->policies; k++)
			if (limits->policy[k].name == limits->state[i].name) {
				window_s = limits->policy[k].window_s;
				other = limits->policy[k].other;
			}
		if (!other)
			offer_left(hint, limits->state[i].left, reset_s < 0 ? window_s : reset_s);
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
	const int64_t most_ms = HTTP_LIMITS_LONG * THOUSAND;
	int64_t ms = cut(limits->retry_after_ms, most_ms), until = limits->retry_after_at - wall;
	if (limits->retry_after_at && until > 0 && cut(until, HTTP_LIMITS_LONG) * THOUSAND > ms)
		ms = cut(until, HTTP_LIMITS_LONG) * THOUSAND;
	return ms * WEIR_MSEC;
}

void http_limits_hint(const struct http_limits *limits, int64_t wall_seconds, struct weir_hint *ret_hint)
{
	struct weir_hint hint = {0};
	if (limits->any) {
		int64_t date = date_seconds(limits->date), wall = date > 0 ? date : wall_seconds;
		hint.retry_after = retry_after(limits, wall);
		for (unsigned i = 0; i < limits->policies; i++)
			if (!limits->policy[i].other)
				offer_quota(&hint, limits->policy[i].quota, limits->policy[i].window_s);
		tell_states(limits, &hint);
		tell_triple(&limits->plain, wall, &hint);
		tell_triple(&limits->x, wall, &hint);
	}
	*ret_hint = hint;
}
