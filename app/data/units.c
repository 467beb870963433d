/* SPDX-License-Identifier: MIT */
/*
 * Decimals are read exactly, in integers: 1.5s is 1,500,000,000 ns and not what a double makes of it.  A value is its
 * digits times the unit, divided by the power of ten of its fraction.
 */
#include "data/units.h"

#include <stdio.h>
#include <string.h>

enum { RATE_COUNT_MOST = 1000000000 };
#define RATE_PERIOD_MOST (365 * 86400 * WEIR_SEC)

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"ns", 1},
	{"us", WEIR_USEC},
	{"ms", WEIR_MSEC},
	{"s", WEIR_SEC},
	{"m", 60 * WEIR_SEC},
	{"h", 3600 * WEIR_SEC},
	{"d", 86400 * WEIR_SEC},
};

static const struct unit sizes[] = {
	{"", 1},
	{"B", 1},
	{"KB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", (int64_t)1 << 40},
};

/* A number with the scale of its fraction: 1.5 is 15 / 10. */
struct decimal {
	uint64_t value, scale;
};

/* Returns the first byte behind the digits; NULL when there are too many. */
static const char *read_digits(const char *p, const char *end, struct decimal *number, bool fraction)
{
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (number->value > (UINT64_MAX - 9) / 10 || number->scale > UINT64_MAX / 10)
			return NULL;
		number->value = number->value * 10 + (uint64_t)(*p - '0');
		number->scale *= fraction ? 10 : 1;
	}
	return p;
}

/* Digits, perhaps with a fraction: the first byte behind them, NULL if there are none. */
static const char *read_decimal(const char *text, const char *end, struct decimal *ret_number)
{
	struct decimal number = {.scale = 1};
	const char *p = read_digits(text, end, &number, false);
	if (!p || p == text)
		return NULL;
	if (end - p > 1 && *p == '.' && p[1] >= '0' && p[1] <= '9')
		p = read_digits(p + 1, end, &number, true);
	*ret_number = number;
	return p;
}

static bool multiply(const struct decimal *number, int64_t factor, int64_t *ret_value)
{
	__extension__ unsigned __int128 product = (unsigned __int128)number->value * (uint64_t)factor / number->scale;
	if (product > INT64_MAX)
		return false;
	*ret_value = (int64_t)product;
	return true;
}

static bool is_word(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && !memcmp(word, text, n);
}

static bool read_scaled(const char *text, size_t n, const struct unit *units, size_t count, int64_t *ret_value)
{
	struct decimal number;
	const char *end = text + n, *p = read_decimal(text, end, &number);
	for (size_t i = 0; p && i < count; i++)
		if (is_word(p, (size_t)(end - p), units[i].name))
			return multiply(&number, units[i].factor, ret_value);
	return false;
}

bool units_duration(const char *text, size_t n, weir_nsec *ret_value)
{
	if (n == 1 && *text == '0') {
		*ret_value = 0;
		return true;
	}
	return read_scaled(text, n, durations, sizeof durations / sizeof *durations, ret_value);
}

/* The two sides of ".."; false where there is none. */
static bool split(const char *text, size_t n, size_t *ret_left, const char **ret_right)
{
	const char *dots = memmem(text, n, "..", 2);
	if (!dots)
		return false;
	*ret_left = (size_t)(dots - text);
	*ret_right = dots + 2;
	return true;
}

bool units_durations(const char *text, size_t n, weir_nsec ret_pair[2])
{
	weir_nsec first, last;
	const char *right = text;
	size_t left = n;
	split(text, n, &left, &right);
	if (!units_duration(text, left, &first) || !units_duration(right, (size_t)(text + n - right), &last) ||
	    first > last)
		return false;
	ret_pair[0] = first;
	ret_pair[1] = last;
	return true;
}

bool units_size(const char *text, size_t n, uint64_t *ret_value)
{
	int64_t value;
	if (!read_scaled(text, n, sizes, sizeof sizes / sizeof *sizes, &value))
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

bool units_share(const char *text, size_t n, double *ret_value)
{
	struct decimal number;
	const char *end = text + n, *p = read_decimal(text, end, &number);
	if (!p || !(p == end || is_word(p, (size_t)(end - p), "%")))
		return false;
	double share = (double)number.value / (double)number.scale / (p == end ? 1 : 100);
	if (share > 1)
		return false;
	*ret_value = share;
	return true;
}

bool units_count(const char *text, size_t n, int64_t least, int64_t most, int64_t *ret_value)
{
	struct decimal number = {.scale = 1};
	bool minus = n && *text == '-';
	const char *end = text + n, *first = text + minus, *p = read_digits(first, end, &number, false);
	if (!p || p == first || p != end || number.value > (uint64_t)INT64_MAX || (minus && !number.value))
		return false;
	int64_t value = minus ? -(int64_t)number.value : (int64_t)number.value;
	if (value < least || value > most)
		return false;
	*ret_value = value;
	return true;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* The period is a unit, its name, or a duration. */
static bool read_period(const char *text, size_t n, weir_nsec *ret_period)
{
	static const struct unit names[] = {
		{"sec", WEIR_SEC},         {"second", WEIR_SEC},      {"min", 60 * WEIR_SEC},
		{"minute", 60 * WEIR_SEC}, {"hour", 3600 * WEIR_SEC}, {"day", 86400 * WEIR_SEC},
	};
	char one[40];
	bool is_unit = n && (*text < '0' || *text > '9');
	if (!is_unit || n > sizeof one - 2)
		return units_duration(text, n, ret_period);
	int length = snprintf(one, sizeof one, "1%.*s", (int)n, text);
	return units_duration(one, (size_t)length, ret_period) ||
	       read_scaled(one, (size_t)length, names, sizeof names / sizeof *names, ret_period);
}

/* What stands between the count and the period: "/", " per ", or "rp", as in 60rpm; NULL if nothing does. */
static const char *read_per(const char *text, const char *end)
{
	static const char *const words[] = {"/", "per ", "rp"};
	const char *p = text;
	while (p < end && *p == ' ')
		p++;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(end - p) > n && !memcmp(p, words[i], n))
			return p + n + strspn(p + n, " ");
	}
	return NULL;
}

bool units_rate(const char *text, size_t n, uint64_t *ret_count, weir_nsec *ret_period)
{
	struct decimal count;
	weir_nsec period;
	const char *end = text + n, *behind = read_decimal(text, end, &count),
		   *unit = behind ? read_per(behind, end) : NULL;
	if (!unit || unit >= end || !count.value || !read_period(unit, (size_t)(end - unit), &period))
		return false;
	uint64_t divisor = common_divisor(count.value, count.scale);
	count.value /= divisor;
	count.scale /= divisor;
	if (count.value > RATE_COUNT_MOST || period < 1 || count.scale > (uint64_t)(RATE_PERIOD_MOST / period))
		return false;
	*ret_count = count.value;
	*ret_period = period * (weir_nsec)count.scale;
	return true;
}

bool units_range(const char *text, size_t n, int64_t ret_pair[2])
{
	int64_t first, last;
	const char *right, *minus = n ? memchr(text + 1, '-', n - 1) : NULL;
	size_t left;
	if (!split(text, n, &left, &right)) {
		if (!minus)
			return false;
		left = (size_t)(minus - text);
		right = minus + 1;
	}
	if (!units_count(text, left, INT64_MIN, INT64_MAX, &first) ||
	    !units_count(right, (size_t)(text + n - right), INT64_MIN, INT64_MAX, &last) || first > last)
		return false;
	ret_pair[0] = first;
	ret_pair[1] = last;
	return true;
}

static const char *write_scaled(int64_t value, const struct unit *units, size_t n, char text[32])
{
	const struct unit *best = units;
	for (size_t i = 0; i < n; i++)
		if (value % units[i].factor == 0 && units[i].factor > best->factor)
			best = &units[i];
	snprintf(text, 32, "%lld%s", (long long)(value / best->factor), value ? best->name : "");
	return text;
}

const char *units_duration_text(weir_nsec value, char text[32])
{
	return write_scaled(value, durations, sizeof durations / sizeof *durations, text);
}

const char *units_size_text(uint64_t value, char text[32])
{
	return write_scaled((int64_t)value, sizes, sizeof sizes / sizeof *sizes, text);
}

const char *units_rate_text(uint64_t count, weir_nsec period, char text[32])
{
	char unit[32];
	bool is_one = units_duration_text(period, unit)[0] == '1' && strspn(unit, "0123456789") == 1;
	snprintf(text, 32, "%llu/%.20s", (unsigned long long)count, unit + is_one);
	return text;
}

const char *units_number_text(uint64_t n, char text[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), out = 0;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			text[out++] = ',';
		text[out++] = digits[i];
	}
	text[out] = 0;
	return text;
}

const char *units_seconds_text(double seconds, char text[32])
{
	long long whole = (long long)(seconds + 0.5);
	if (seconds < 9.95)
		snprintf(text, 32, "%.1f s", seconds);
	else if (whole < 60)
		snprintf(text, 32, "%lld s", whole);
	else if (whole < 3600)
		snprintf(text, 32, "%lld m %02lld s", whole / 60, whole % 60);
	else
		snprintf(text, 32, "%lld h %02lld m", whole / 3600, whole / 60 % 60);
	return text;
}

const char *units_clock_text(weir_nsec time, char text[32])
{
	long long whole = time / WEIR_SEC;
	if (whole < 3600)
		snprintf(text, 32, "%lld:%02lld", whole / 60, whole % 60);
	else
		snprintf(text, 32, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
	return text;
}

const char *units_latency_text(weir_nsec time, char text[32])
{
	if (time >= WEIR_SEC)
		return units_seconds_text((double)time / (double)WEIR_SEC, text);
	if (time < WEIR_MSEC)
		snprintf(text, 32, "%lld us", (long long)(time / WEIR_USEC));
	else
		snprintf(text, 32, "%.*f ms", time < 10 * WEIR_MSEC ? 1 : 0, (double)time / (double)WEIR_MSEC);
	return text;
}

const char *units_per_second_text(double per_sec, char text[32])
{
	char digits[32];
	if (per_sec >= 10 || per_sec <= 0)
		snprintf(text, 32, "%.29s/s", units_number_text((uint64_t)(per_sec + 0.5), digits));
	else if (per_sec * 60 >= 10)
		snprintf(text, 32, "%.0f/m", per_sec * 60);
	else
		snprintf(text, 32, "%.0f/h", per_sec * 3600);
	return text;
}
