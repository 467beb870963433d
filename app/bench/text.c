/* SPDX-License-Identifier: MIT */
/* Figures as people read them. */
#include "bench/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *say(char text[static 32], const char *word)
{
	snprintf(text, 32, "%s", word);
	return text;
}

/* Digits in groups of three. */
static void group_digits(double value, char text[static 32])
{
	char digits[32];
	int n = snprintf(digits, sizeof digits, "%.0f", value), out = 0;
	for (int i = 0; i < n && out < 30; i++) {
		if (i && (n - i) % 3 == 0)
			text[out++] = ',';
		text[out++] = digits[i];
	}
	text[out] = 0;
}

const char *bench_text_count(double value, char text[static 32])
{
	if (isnan(value) || value < 0)
		say(text, "-");
	else if (isinf(value) || value >= 1e18)
		say(text, "any");
	else if (value < 99.95 && value != floor(value))
		snprintf(text, 32, "%.1f", value);
	else
		group_digits(value, text);
	return text;
}

/* As many digits as count, no zeros behind the point that say nothing. */
static void write_scaled(double value, int count, const char *unit, char text[static 32])
{
	int before = value >= 999.5 ? 4 : value >= 99.95 ? 3 : value >= 9.995 ? 2 : 1;
	int after = count > before ? count - before : 0;
	char digits[24];
	snprintf(digits, sizeof digits, "%.*f", after, value);
	if (strchr(digits, '.'))
		for (size_t n = strlen(digits); digits[n - 1] == '0' || digits[n - 1] == '.';) {
			bool point = digits[n - 1] == '.';
			digits[--n] = 0;
			if (point)
				break;
		}
	snprintf(text, 32, "%s %s", digits, unit);
}

static const char *write_time(weir_nsec time, int count, char text[static 32])
{
	static const struct {
		double from, unit;
		const char *name;
	} units[] = {
		{48 * 3600e9, 24 * 3600e9, "days"},
		{120 * 60e9, 3600e9, "h"},
		{120e9, 60e9, "min"},
		{1e9, 1e9, "s"},
		{1e6, 1e6, "ms"},
		{1e3, 1e3, "us"},
	};
	double value = (double)time;
	if (time < 0)
		return say(text, "-");
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (value >= units[i].from * 0.9995) {
			write_scaled(value / units[i].unit, count, units[i].name, text);
			return text;
		}
	write_scaled(value, count, time ? "ns" : "s", text);
	return text;
}

const char *bench_text_time(weir_nsec time, char text[static 32])
{
	return write_time(time, 3, text);
}

const char *bench_text_range(weir_nsec low, weir_nsec high, char text[static 64])
{
	char from[32], to[32];
	if (low == high)
		snprintf(text, 64, "%s", bench_text_time(low, from));
	else
		snprintf(text, 64, "%s to %s", bench_text_time(low, from), bench_text_time(high, to));
	return text;
}

const char *bench_text_took(weir_nsec time, char text[static 32])
{
	return write_time(time, 4, text);
}

const char *bench_text_bytes(double bytes, char text[static 32])
{
	if (isnan(bytes) || bytes < 0)
		return say(text, "-");
	if (bytes >= 1e9)
		write_scaled(bytes / 1e9, 3, "GB", text);
	else if (bytes >= 1e6)
		write_scaled(bytes / 1e6, 3, "MB", text);
	else {
		char digits[32];
		group_digits(bytes, digits);
		snprintf(text, 32, "%.28s B", digits);
	}
	return text;
}

const char *bench_text_percent(double share, char text[static 32])
{
	if (isnan(share) || share < 0)
		return say(text, "-");
	snprintf(text, 32, share > 0 && share < 0.0995 ? "%.1f %%" : "%.0f %%", share * 100);
	return text;
}
