/* SPDX-License-Identifier: MIT */
/*
 * Kept as one time instead of a count (GCRA): `full_at` moves on by one interval for each token taken, and never lies
 * before now.  The tokens missing at `now` are (full_at - now) / interval; a request is fine while they are fewer than
 * the burst.  Whole numbers only, so nothing drifts.
 */
#include "bucket.h"

#include <string.h>

#include "text.h"

enum { MOST_BURST = 1000000 };
static const unsigned __int128 longest_interval = 3600 * WEIR_SEC;

static weir_nsec period_of(struct mock_span unit)
{
	if (mock_text_is(unit, "s"))
		return WEIR_SEC;
	if (mock_text_is(unit, "m"))
		return 60 * WEIR_SEC;
	return mock_text_is(unit, "h") ? 3600 * WEIR_SEC : 0;
}

int mock_bucket_parse(const char *text, struct mock_bucket *ret_bucket, struct weir_error *err)
{
	struct mock_span rest = {text, strlen(text)}, rate = mock_text_cut(&rest, ',');
	uint64_t count = 0, burst = 0;
	size_t used = mock_text_decimal(rate.at, rate.n, &count);
	weir_nsec period = used && used < rate.n && rate.at[used] == '/'
				   ? period_of((struct mock_span){rate.at + used + 1, rate.n - used - 1})
				   : 0;
	if (!period || !count)
		goto fail;
	unsigned __int128 interval = (unsigned __int128)(uint64_t)period * 1000000000u / count;
	if (!interval || interval > longest_interval)
		return weir_error_set(err, WEIR_EINVAL, "the limit '%.100s' is out of range", text);
	if (text[rate.n] == ',') {
		struct mock_span name = mock_text_cut(&rest, '=');
		if (!mock_text_is(name, "burst") || !mock_text_number(rest.at, rest.n, MOST_BURST, &burst) || !burst)
			goto fail;
	} else {
		burst = (uint64_t)(WEIR_SEC / 10) / (uint64_t)interval;
		burst = burst < 1 ? 1 : burst > MOST_BURST ? MOST_BURST : burst;
	}
	*ret_bucket = (struct mock_bucket){.interval = (weir_nsec)interval};
	ret_bucket->slack = (weir_nsec)(burst - 1) * ret_bucket->interval;
	return 0;
fail:
	return weir_error_set(err, WEIR_EINVAL, "'%.100s' is no limit; expected 1000/s or 1000/s,burst=50", text);
}

weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now)
{
	weir_nsec full_at = bucket->full_at > now ? bucket->full_at : now;
	weir_nsec wait = full_at - bucket->slack - now;
	if (wait > 0)
		return wait;
	bucket->full_at = full_at + bucket->interval;
	return 0;
}
