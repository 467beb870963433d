/* SPDX-License-Identifier: MIT */
/*
 * A fixed time is a range with equal ends, a range is a mixture of one: so there is one form to draw from.  The parts'
 * weights are kept as running sums; one number in [0, 1) chooses the part, a second one the place in it.
 */
#include "latency.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

#include "data/array.h"
#include "data/units.h"
#include "text.h"

static int parse_range(struct mock_span text, struct mock_latency_part *part, struct weir_error *err)
{
	weir_nsec pair[2];
	if (!mock_text_durations(text, pair))
		return weir_error_set(err, WEIR_EINVAL, "'%.*s' is not a latency; expected 200ms or 10ms..300ms",
				      (int)(text.n > 100 ? 100 : text.n), text.at);
	part->low = pair[0];
	part->high = pair[1];
	return 0;
}

static int parse_mixture(const char *text, struct mock_latency *latency, struct weir_error *err)
{
	struct mock_span rest = {text, strlen(text)};
	double sum = 0;
	while (rest.n) {
		struct mock_span piece = mock_text_cut(&rest, ',');
		if (latency->parts == MOCK_LATENCY_PARTS)
			return weir_error_set(err, WEIR_EINVAL, "more than %d parts in a latency", MOCK_LATENCY_PARTS);
		struct mock_latency_part *part = &latency->part[latency->parts++];
		struct mock_span weight = mock_text_cut(&piece, ':');
		double share;
		if (!units_share(weight.at, weight.n, &share))
			return weir_error_set(err, WEIR_EINVAL,
					      "'%.*s' is not a percentage; expected 90%%:10ms..50ms,10%%:1s",
					      (int)(weight.n > 100 ? 100 : weight.n), weight.at);
		int result = parse_range(piece, part, err);
		if (result < 0)
			return result;
		part->up_to = sum += share;
	}
	if (sum < 0.999999 || sum > 1.000001)
		return weir_error_set(err, WEIR_EINVAL, "the shares in '%.100s' do not add up to 100%%", text);
	return 0;
}

static int add_observed(struct mock_latency *latency, const char *line, size_t n, const char *path, size_t number,
			struct weir_error *err)
{
	size_t used = latency->observed_items;
	if (used == MOCK_LATENCY_OBSERVED)
		return weir_error_set(err, WEIR_EINVAL, "%s has more than %d latencies", path, MOCK_LATENCY_OBSERVED);
	if (array_reserve(&latency->observed, &latency->observed_room, used + 1, sizeof *latency->observed))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	char text[140];
	bool bare = line[n - 1] >= '0' && line[n - 1] <= '9';
	int length = snprintf(text, sizeof text, "%.*s%s", (int)n, line, bare ? "ms" : "");
	weir_nsec pair[2];
	if (!mock_text_durations((struct mock_span){text, (size_t)length}, pair) || pair[0] != pair[1])
		return weir_error_set(err, WEIR_EINVAL,
				      "%s:%zu: not a latency; expected 12.5ms, or 12.5 for milliseconds", path, number);
	latency->observed[latency->observed_items++] = pair[0];
	return 0;
}

static int read_observed(const char *path, struct mock_latency *latency, struct weir_error *err)
{
	char line[128];
	size_t number = 0;
	int result = 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return weir_error_set(err, -errno, "%s: %s", path, strerror(errno));
	while (!result && fgets(line, sizeof line, file)) {
		size_t from = strspn(line, " \t"), n = strcspn(line, "\r\n");
		number++;
		while (n > from && (line[n - 1] == ' ' || line[n - 1] == '\t'))
			n--;
		if (n > from)
			result = add_observed(latency, line + from, n - from, path, number, err);
	}
	if (!result && ferror(file))
		result = weir_error_set(err, WEIR_EIO, "%s cannot be read", path);
	if (!result && !latency->observed_items)
		result = weir_error_set(err, WEIR_EINVAL, "%s has no latencies", path);
	fclose(file);
	return result;
}

int mock_latency_parse(const char *text, struct mock_latency *ret_latency, struct weir_error *err)
{
	struct mock_latency latency = {0};
	int result;
	if (text[0] == '@') {
		result = read_observed(text + 1, &latency, err);
	} else if (strchr(text, ':') || strchr(text, '%')) {
		result = parse_mixture(text, &latency, err);
	} else {
		latency.parts = 1;
		latency.part[0].up_to = 1;
		result = parse_range((struct mock_span){text, strlen(text)}, &latency.part[0], err);
	}
	if (result < 0)
		mock_latency_fini(&latency);
	else
		*ret_latency = latency;
	return result;
}

void mock_latency_fini(struct mock_latency *latency)
{
	free(latency->observed);
	*latency = (struct mock_latency){0};
}

weir_nsec mock_latency_draw(const struct mock_latency *latency, uint64_t *random)
{
	if (latency->observed)
		return latency->observed[weir_random_below(random, latency->observed_items)];
	if (!latency->parts)
		return 0;
	size_t i = 0;
	if (latency->parts > 1) {
		double place = weir_random_unit(random);
		while (i + 1 < latency->parts && place >= latency->part[i].up_to)
			i++;
	}
	const struct mock_latency_part *part = &latency->part[i];
	if (part->low == part->high)
		return part->low;
	return part->low + (weir_nsec)weir_random_below(random, (uint64_t)(part->high - part->low) + 1);
}
