/* SPDX-License-Identifier: MIT */
/*
 * Decimals are read exactly, in integers: 1.5s is 1,500,000,000 ns and not what a double makes of it.  A value is its
 * digits times the unit, divided by the power of ten of its fraction.
 */
#include "spec/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"us", WEIR_USEC},    {"ms", WEIR_MSEC},      {"s", WEIR_SEC},
	{"m", 60 * WEIR_SEC}, {"h", 3600 * WEIR_SEC}, {"d", 86400 * WEIR_SEC},
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

/* NULL when there are too many; of a fraction only nine digits are any use. */
static const char *read_digits(const char *p, uint64_t *value, uint64_t *scale)
{
	for (; *p >= '0' && *p <= '9'; p++) {
		if (*value > (UINT64_MAX - 9) / 10 || *scale > UINT64_MAX / 10)
			return NULL;
		*value = *value * 10 + (uint64_t)(*p - '0');
		*scale *= 10;
	}
	return p;
}

/* Digits, perhaps with a fraction, and a unit that ends at `end`. */
static bool read_scaled(const char *text, const char *end, const struct unit *units, size_t n, int64_t *ret_value)
{
	uint64_t value = 0, scale = 1, ignored = 1;
	const char *p = read_digits(text, &value, &ignored);
	if (!p || p == text)
		return false;
	if (*p == '.' && p[1] >= '0' && p[1] <= '9') {
		p = read_digits(p + 1, &value, &scale);
		if (!p)
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (strlen(units[i].name) != (size_t)(end - p) || memcmp(units[i].name, p, (size_t)(end - p)) != 0)
			continue;
		__extension__ unsigned __int128 product = (unsigned __int128)value * (uint64_t)units[i].factor / scale;
		if (product > INT64_MAX)
			return false;
		*ret_value = (int64_t)product;
		return true;
	}
	return false;
}

static bool read_duration(const char *text, const char *end, weir_nsec *ret_value)
{
	if (end - text == 1 && *text == '0') {
		*ret_value = 0;
		return true;
	}
	return read_scaled(text, end, durations, sizeof durations / sizeof *durations, ret_value);
}

bool spec_duration_read(const char *text, weir_nsec *ret_value)
{
	return read_duration(text, text + strlen(text), ret_value);
}

bool spec_durations_read(const char *text, weir_nsec ret_pair[2])
{
	const char *dots = strstr(text, "..");
	weir_nsec first, last;
	if (!read_duration(text, dots ? dots : text + strlen(text), &first))
		return false;
	last = first;
	if (dots && !spec_duration_read(dots + 2, &last))
		return false;
	if (first > last)
		return false;
	ret_pair[0] = first;
	ret_pair[1] = last;
	return true;
}

bool spec_size_read(const char *text, uint64_t *ret_value)
{
	int64_t value;
	if (!read_scaled(text, text + strlen(text), sizes, sizeof sizes / sizeof *sizes, &value))
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static const char *read_count(const char *text, int64_t *ret_value)
{
	char *end;
	if (!((text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '0' && text[1] <= '9')))
		return NULL;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno)
		return NULL;
	*ret_value = value;
	return end;
}

bool spec_count_read(const char *text, int64_t *ret_value)
{
	int64_t value;
	const char *end = read_count(text, &value);
	if (!end || *end)
		return false;
	*ret_value = value;
	return true;
}

bool spec_percent_read(const char *text, double *ret_value)
{
	if (!strchr("0123456789.", text[0]) || strspn(text, "0123456789.%") != strlen(text))
		return false;
	char *end;
	double value = strtod(text, &end);
	if (end == text)
		return false;
	if (*end == '%') {
		value /= 100;
		end++;
	}
	if (*end || value > 1)
		return false;
	*ret_value = value;
	return true;
}

/* The period is a unit, or a duration. */
bool spec_rate_read(const char *text, struct key_rate *ret_rate)
{
	char period[40];
	int64_t count;
	weir_nsec ns;
	const char *end = read_count(text, &count);
	if (!end || *end != '/' || strlen(end + 1) >= sizeof period - 1)
		return false;
	bool is_unit = end[1] < '0' || end[1] > '9';
	snprintf(period, sizeof period, "%s%s", is_unit ? "1" : "", end + 1);
	if (!spec_duration_read(period, &ns))
		return false;
	if (count < 1 || count > 1000000000 || ns < 1 || ns > 365 * 86400 * WEIR_SEC)
		return false;
	*ret_rate = (struct key_rate){.count = (uint64_t)count, .period = ns};
	return true;
}

bool spec_range_read(const char *text, int64_t ret_pair[2])
{
	int64_t first, last;
	const char *end = read_count(text, &first);
	if (!end)
		return false;
	if (strncmp(end, "..", 2) == 0)
		end += 2;
	else if (*end == '-')
		end++;
	else
		return false;
	if (!spec_count_read(end, &last) || first > last)
		return false;
	ret_pair[0] = first;
	ret_pair[1] = last;
	return true;
}

static void write_scaled(int64_t value, const struct unit *units, size_t n, char text[32])
{
	const struct unit *best = units;
	for (size_t i = 0; i < n; i++)
		if (value % units[i].factor == 0 && units[i].factor > best->factor)
			best = &units[i];
	snprintf(text, 32, "%lld%s", (long long)(value / best->factor), value ? best->name : "");
}

void spec_duration_write(weir_nsec value, char text[32])
{
	write_scaled(value, durations, sizeof durations / sizeof *durations, text);
}

void spec_size_write(uint64_t value, char text[32])
{
	write_scaled((int64_t)value, sizes, sizeof sizes / sizeof *sizes, text);
}
