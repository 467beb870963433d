/* SPDX-License-Identifier: MIT */
/*
 * A gate is a time and a count of refusals in a row.  Only hosts that refused have one, so the table is empty in a run
 * without refusals and then costs a comparison per request.
 *
 * Dates are read by hand: libcurl's reading of Retry-After takes garbage for 0 and gives negative and unbounded times.
 */
#include "http/gate.h"

#include "http/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SECONDS ((int64_t)10 * 365 * 86400)
#define MOST_STRIKES    20

struct gate {
	struct http_entry entry; /* first */
	weir_nsec until;
	unsigned strikes; /* refusals in a row, each after the gate had opened again */
};

struct http_gates {
	struct http_table table;
	size_t most;
	weir_nsec longest;
};

/* Days from 1970-01-01 to a day of the proleptic Gregorian calendar; month from 1. */
static int64_t days_to(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_number(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; i < 12; i++)
		if (!memcmp(names + (ptrdiff_t)3 * i, name, 3))
			return i + 1;
	return 0;
}

/* Unix time of an HTTP date, or -1. */
static int64_t date_seconds(const char *text)
{
	int day = 0, year = 0, hour = 0, minute = 0, second = 0, end = 0;
	char month[4] = "";
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year, &hour, &minute,
		   &second, &end) == 6 &&
	    end) {
		/* Sun, 06 Nov 1994 08:49:37 GMT */
	} else if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year, &hour, &minute,
			  &second, &end) == 6 &&
		   end) { /* Sunday, 06-Nov-94 08:49:37 GMT */
		year += year < 70 ? 2000 : 1900;
	} else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &hour, &minute, &second,
			  &year, &end) != 6 ||
		   !end) { /* Sun Nov  6 08:49:37 1994 */
		return -1;
	}
	int number = strlen(month) == 3 ? month_number(month) : 0;
	if (!number || day < 1 || day > 31 || year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
	    second < 0 || second > 60)
		return -1;
	return days_to(year, number, day) * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
}

weir_nsec http_retry_after(const char *text, int64_t wall_seconds)
{
	int64_t seconds = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits && text[digits] == '\0') {
		for (size_t i = 0; i < digits && seconds <= LONGEST_SECONDS; i++)
			seconds = seconds * 10 + (text[i] - '0');
	} else {
		seconds = date_seconds(text);
		seconds = seconds < 0 ? -1 : seconds - wall_seconds;
	}
	if (seconds <= 0)
		return -1;
	return (seconds < LONGEST_SECONDS ? seconds : LONGEST_SECONDS) * WEIR_SEC;
}

int http_gates_new(size_t most, weir_nsec longest, struct http_gates **ret_gates)
{
	struct http_gates *gates = calloc(1, sizeof *gates);
	if (!gates)
		return WEIR_ENOMEM;
	gates->most = most;
	gates->longest = longest;
	if (http_table_init(&gates->table, 1024) < 0) {
		free(gates);
		return WEIR_ENOMEM;
	}
	*ret_gates = gates;
	return 0;
}

static void forget_oldest(struct http_gates *gates)
{
	struct http_entry *oldest = TAILQ_FIRST(&gates->table.ages);
	http_table_remove(&gates->table, oldest);
	free(oldest);
}

void http_gates_free(struct http_gates *gates)
{
	if (!gates)
		return;
	while (gates->table.n)
		forget_oldest(gates);
	http_table_fini(&gates->table);
	free(gates);
}

static struct gate *find_gate(struct http_gates *gates, const char *origin)
{
	return gates->table.n ? (struct gate *)http_table_find(&gates->table, origin) : NULL;
}

static struct gate *make_gate(struct http_gates *gates, const char *origin)
{
	while (gates->table.n >= gates->most)
		forget_oldest(gates);
	struct gate *gate = calloc(1, sizeof *gate);
	if (gate && http_table_add(&gates->table, &gate->entry, origin) < 0) {
		free(gate);
		return NULL;
	}
	return gate;
}

weir_nsec http_gates_closed_until(struct http_gates *gates, const char *origin, weir_nsec now)
{
	const struct gate *gate = find_gate(gates, origin);
	return gate && gate->until > now ? gate->until : 0;
}

weir_nsec http_gates_refused(struct http_gates *gates, const char *origin, weir_nsec wait, weir_nsec now)
{
	struct gate *gate = find_gate(gates, origin);
	if (!gate)
		gate = make_gate(gates, origin);
	bool was_open = !gate || gate->until <= now;
	unsigned strikes = gate ? gate->strikes : 0;
	if (wait < 0 && !was_open)
		return gate->until;
	if (wait < 0)
		wait = WEIR_SEC << strikes;
	if (wait > gates->longest)
		wait = gates->longest;
	if (!gate)
		return now + wait;
	if (was_open && gate->strikes < MOST_STRIKES)
		gate->strikes++;
	if (gate->until < now + wait)
		gate->until = now + wait;
	return gate->until;
}

void http_gates_answered(struct http_gates *gates, const char *origin, weir_nsec now)
{
	struct gate *gate = find_gate(gates, origin);
	if (!gate || gate->until > now)
		return;
	http_table_remove(&gates->table, &gate->entry);
	free(gate);
}

size_t http_gates_closed(const struct http_gates *gates, weir_nsec now)
{
	size_t n = 0;
	const struct http_entry *entry;
	TAILQ_FOREACH(entry, &gates->table.ages, age)
	n += ((const struct gate *)entry)->until > now;
	return n;
}
