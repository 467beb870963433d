/* SPDX-License-Identifier: MIT */
#include "cmd/changes.h"

#include "spec/units.h"

#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 80, CONCURRENCY_MOST = 100000 };

static int take_concurrency(const char *value, struct engine_changes *changes, struct weir_error *err)
{
	int64_t n = 0;
	if (strcmp(value, "auto") != 0 && (!spec_count_read(value, &n) || n < 1 || n > CONCURRENCY_MOST))
		return weir_error_set(err, WEIR_EINVAL,
				      "concurrency is \"%s\", expected auto, or a whole number from 1 to %d", value,
				      CONCURRENCY_MOST);
	changes->has_concurrency = true;
	changes->concurrency = (size_t)n;
	return 0;
}

static int take_rate(const char *value, struct engine_changes *changes, struct weir_error *err)
{
	struct key_rate rate = {0};
	if (strcmp(value, "none") != 0 && !spec_rate_read(value, &rate))
		return weir_error_set(err, WEIR_EINVAL,
				      "rate is \"%s\", expected none, or so many in a time, such as 1000/s, 60/m or "
				      "3/10s",
				      value);
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
	const char *is = strchr(word, '=');
	for (size_t i = 0; is && i < sizeof keys / sizeof keys[0]; i++)
		if (strlen(keys[i].name) == (size_t)(is - word) && !memcmp(keys[i].name, word, (size_t)(is - word)))
			return keys[i].take(is + 1, changes, err);
	return weir_error_set(err, WEIR_EINVAL,
			      "\"%s\" cannot be set, expected concurrency=N or auto, rate=N/s or none, paused=true or "
			      "false",
			      word);
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
