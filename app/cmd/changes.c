/* SPDX-License-Identifier: MIT */
#include "cmd/changes.h"

#include "data/names.h"
#include "data/units.h"

#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 80, CONCURRENCY_MOST = 100000 };

static int take_concurrency(const char *value, struct engine_changes *changes, struct weir_error *err)
{
	int64_t n = 0;
	if (strcmp(value, "auto") != 0 && !units_count(value, strlen(value), 1, CONCURRENCY_MOST, &n))
		return weir_error_set(err, WEIR_EINVAL,
				      "concurrency is \"%s\", expected auto or a whole number from 1 to %d", value,
				      CONCURRENCY_MOST);
	changes->has_concurrency = true;
	changes->concurrency = (size_t)n;
	return 0;
}

static int take_rate(const char *value, struct engine_changes *changes, struct weir_error *err)
{
	struct key_rate rate = {0};
	if (strcmp(value, "none") != 0 && !units_rate(value, strlen(value), &rate.count, &rate.period))
		return weir_error_set(err, WEIR_EINVAL,
				      "rate is \"%s\", expected none, or a rate, such as 1000/s, 60/m or 3/10s", value);
	changes->has_rate = true;
	changes->rate = rate;
	return 0;
}

static int take_paused(const char *value, struct engine_changes *changes, struct weir_error *err)
{
	changes->paused = strcmp(value, "true") == 0;
	if (!changes->paused && strcmp(value, "false") != 0)
		return weir_error_set(err, WEIR_EINVAL, "paused is \"%s\", expected true or false", value);
	changes->has_pause = true;
	return 0;
}

static int take_word(const char *word, struct engine_changes *changes, struct weir_error *err)
{
	static const struct {
		const char *name;
		int (*take)(const char *value, struct engine_changes *changes, struct weir_error *err);
	} keys[] = {{"concurrency", take_concurrency}, {"rate", take_rate}, {"paused", take_paused}};
	struct names names = {0};
	char hint[80];
	size_t n = strcspn(word, "=");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (word[n] && strlen(keys[i].name) == n && !memcmp(keys[i].name, word, n))
			return keys[i].take(word + n + 1, changes, err);
		names_add(&names, keys[i].name);
	}
	char name[WORD_BYTES];
	snprintf(name, sizeof name, "%.*s", (int)n, word);
	return weir_error_set(err, WEIR_EINVAL,
			      "\"%s\" cannot be set, expected concurrency=N or auto, rate=N/s or none, paused=true or "
			      "false%s",
			      word, names_hint(&names, name, hint));
}

int changes_parse(const char *words, struct engine_changes *ret_changes, struct weir_error *err)
{
	struct engine_changes changes = {0};
	const char *at = words + strspn(words, " ");
	while (*at) {
		char word[WORD_BYTES];
		size_t n = strcspn(at, " ");
		snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word), at);
		int code = take_word(word, &changes, err);
		if (code)
			return code;
		at += n + strspn(at + n, " ");
	}
	*ret_changes = changes;
	return 0;
}
