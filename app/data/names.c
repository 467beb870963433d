/* SPDX-License-Identifier: MIT */
/*
 * Damerau-Levenshtein in its usual form (optimal string alignment): letters added, left out, replaced, or two
 * neighbours swapped.  Case and '-' for '_' cost nothing.  Of a name that was not written to its end the rest counts as
 * one letter.
 */
#include "data/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 40, FAR = 1000, BEGINNING = 3, LIST_MOST = 8 };

static int fold(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

static int distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	int rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];
	if (n > WORD_MAX || m > WORD_MAX)
		return FAR;
	for (size_t j = 0; j <= m; j++)
		before[j] = last[j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			int cost = fold(a[i - 1]) != fold(b[j - 1]);
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		int *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

void names_add(struct names *names, const char *name)
{
	if (names->n < sizeof names->names / sizeof *names->names)
		names->names[names->n++] = name;
}

bool names_have(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->names[i], name) == 0)
			return true;
	return false;
}

const char *names_closest(const struct names *names, const char *word)
{
	const char *best = NULL;
	int best_distance = FAR;
	for (size_t i = 0; i < names->n; i++) {
		bool begins = strlen(word) >= BEGINNING && !strncmp(word, names->names[i], strlen(word));
		int d = begins ? 1 : distance(word, names->names[i]);
		int most = strlen(word) <= 3 || strlen(names->names[i]) <= 3 ? 1 : 2;
		if (d <= most && d < best_distance) {
			best = names->names[i];
			best_distance = d;
		}
	}
	return best;
}

const char *names_hint(const struct names *names, const char *word, char text[80])
{
	const char *best = names_closest(names, word);
	snprintf(text, 80, best ? "; did you mean \"%.40s\"?" : "", best);
	return text;
}

void names_describe(const struct names *names, const char *word, struct buf *out)
{
	char hint[80];
	names_hint(names, word, hint);
	if (*hint && names->n > LIST_MOST) {
		buf_add_str(out, hint);
		return;
	}
	buf_add_str(out, names->n == 0 ? ", expected none" : names->n == 1 ? ", expected " : ", expected one of ");
	for (size_t i = 0; i < names->n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", names->names[i]);
	buf_add_str(out, hint);
}
