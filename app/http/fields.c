/* SPDX-License-Identifier: MIT */
/*
 * Only for a date of HTTP is libcurl asked: its own reading of Retry-After takes garbage for 0 and gives negative and
 * unbounded times.
 */
#include "http/fields.h"

#include "data/units.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define THOUSAND 1000
#define LARGEST  (FIELD_LARGEST / THOUSAND)

bool span_is(struct span span, const char *text)
{
	return span.n == strlen(text) && !strncasecmp(span.at, text, span.n);
}

struct span span_trim(const char *from, const char *end)
{
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (unsigned char)end[-1] <= ' ')
		end--;
	return (struct span){from, (size_t)(end - from)};
}

/* A number without a sign as thousandths ("2", "2.0", "0.35"); what is too large is the largest.  -1: it is none. */
int64_t field_number(struct span text)
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
int64_t field_date(const char *text)
{
	time_t seconds = strchr(text, ':') ? curl_getdate(text, NULL) : -1;
	return seconds < 0 ? -1 : seconds;
}

/* "2026-01-01T00:00:00.5+02:00" (RFC 3339) as Unix time, or -1: libcurl takes "20260101 00:00:00 +0200". */
static int64_t stamp_seconds(const char *text)
{
	unsigned year, month, day;
	char time[9] = "", hours[4] = "", minutes[3] = "", date[48];
	int n = 0, end = 0;
	if (sscanf(text, "%4u-%2u-%2uT%8[0-9:]%n", &year, &month, &day, time, &n) != 4 || strlen(time) != 8)
		return -1;
	const char *zone = text + n;
	if (*zone == '.')
		zone += 1 + strspn(zone + 1, "0123456789");
	bool utc = !strcasecmp(zone, "Z");
	if (!utc && (sscanf(zone, "%3[-+0-9]:%2[0-9]%n", hours, minutes, &end) != 2 || zone[end]))
		return -1;
	snprintf(date, sizeof date, "%04u%02u%02u %s %s%s", year, month, day, time, utc ? "GMT" : hours, minutes);
	return field_date(date);
}

/* A point in time in either form, or -1. */
static int64_t span_date(struct span text)
{
	char copy[64];
	if (text.n >= sizeof copy)
		return -1;
	memcpy(copy, text.at, text.n);
	copy[text.n] = '\0';
	int64_t seconds = stamp_seconds(copy);
	return seconds < 0 ? field_date(copy) : seconds;
}

/* "6m0s", "1h2m3.5s", "20ms", as Go writes durations, in thousandths of a second, rounded up; -1: it is none. */
static int64_t read_duration(struct span text)
{
	static const char digits[] = "0123456789.";
	weir_nsec sum = 0, part;
	size_t from = 0, end;
	for (; from < text.n; from = end) {
		for (end = from; end < text.n && strchr(digits, text.at[end]);)
			end++;
		while (end < text.n && !strchr(digits, text.at[end]))
			end++;
		if (!units_duration(text.at + from, end - from, &part) || sum > INT64_MAX - part - WEIR_MSEC)
			return -1;
		sum += part;
	}
	return text.n ? (sum + WEIR_MSEC - 1) / WEIR_MSEC : -1;
}

/* A time from now, or a point in time if it is over 10^9 s, in thousandths of a second; -1: it is none.  A Unix time
 * has ten digits in seconds, and so 13, 16 and 19 in ms, µs and ns. */
int64_t field_time(struct span text)
{
	size_t digits = 0;
	while (digits < text.n && text.at[digits] >= '0' && text.at[digits] <= '9')
		digits++;
	if (digits == text.n && (digits == 13 || digits == 16 || digits == 19))
		return field_number((struct span){text.at, 13}) / THOUSAND;
	int64_t time = field_number(text);
	if (time < 0)
		time = read_duration(text);
	int64_t at = time < 0 ? span_date(text) : -1;
	return at < 0 ? time : at * THOUSAND;
}

/* ---- structured fields */

static void skip_blanks(struct field_cursor *cursor)
{
	while (cursor->at < cursor->end && (unsigned char)*cursor->at <= ' ')
		cursor->at++;
}

static bool is_next(struct field_cursor *cursor, char c)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* The rest of a string behind its opening quote, the closing one not in it. */
static struct span take_string(struct field_cursor *cursor)
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
static struct span take_word(struct field_cursor *cursor, const char *ends)
{
	if (is_next(cursor, '"'))
		return take_string(cursor);
	const char *from = cursor->at;
	while (cursor->at < cursor->end && (!*cursor->at || !strchr(ends, *cursor->at)))
		cursor->at++;
	return span_trim(from, cursor->at);
}

static void take_parameter(struct field_cursor *cursor, struct field_member *member)
{
	struct span name = take_word(cursor, "=;,"), value = {"", 0};
	if (is_next(cursor, '='))
		value = take_word(cursor, ";,");
	if (span_is(name, "q"))
		member->q = field_number(value);
	else if (span_is(name, "w") || span_is(name, "window"))
		member->w = field_number(value);
	else if (span_is(name, "r"))
		member->r = field_number(value);
	else if (span_is(name, "t"))
		member->t = field_number(value);
	else if (span_is(name, "qu"))
		member->other_unit = !span_is(value, "requests");
}

bool field_next(struct field_cursor *cursor, struct field_member *ret_member)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end)
		return false;
	*ret_member = (struct field_member){.value = {"", 0}, .q = -1, .w = -1, .r = -1, .t = -1};
	ret_member->word = take_word(cursor, "=;,");
	if (is_next(cursor, '='))
		ret_member->value = take_word(cursor, ";,");
	while (is_next(cursor, ';'))
		take_parameter(cursor, ret_member);
	take_word(cursor, ","); /* what is left of it makes no sense */
	is_next(cursor, ',');
	return true;
}
