/* SPDX-License-Identifier: MIT */
/*
 * The bucket is kept as one time instead of a count (GCRA): `full_at` moves on by one interval for each token taken,
 * and never lies before now.  The tokens missing at `now` are (full_at - now) / interval; a request is fine while they
 * are fewer than the burst.  Whole numbers only, so nothing drifts.
 */
#include "bucket.h"

#include <string.h>

enum { MOST_BURST = 1000000 };
static const unsigned __int128 longest_interval = 3600 * WEIR_SEC;
static const uint64_t nano = 1000000000;

static weir_nsec period_of(struct mock_span unit)
{
	if (mock_text_is(unit, "s"))
		return WEIR_SEC;
	if (mock_text_is(unit, "m"))
		return 60 * WEIR_SEC;
	return mock_text_is(unit, "h") ? 3600 * WEIR_SEC : 0;
}

/* What stands behind the comma, if one does. */
static bool parse_form(struct mock_span text, struct mock_bucket *bucket)
{
	uint64_t burst = (uint64_t)(WEIR_SEC / 10) / (uint64_t)bucket->interval;
	burst = burst < 1 ? 1 : burst > MOST_BURST ? MOST_BURST : burst;
	if (mock_text_is(text, "window")) {
		bucket->window = true;
	} else if (text.at) {
		struct mock_span name = mock_text_cut(&text, '=');
		if (!mock_text_is(name, "burst") || !mock_text_number(text.at, text.n, MOST_BURST, &burst) || !burst)
			return false;
	}
	bucket->slack = (weir_nsec)(burst - 1) * bucket->interval;
	return true;
}

int mock_bucket_parse(struct mock_span text, struct mock_bucket *ret_bucket, struct weir_error *err)
{
	struct mock_span rest = text, rate = mock_text_cut(&rest, ',');
	struct mock_bucket bucket = {0};
	uint64_t count = 0;
	int shown = (int)(text.n < 100 ? text.n : 100);
	size_t used = mock_text_decimal(rate.at, rate.n, &count);
	if (mock_text_is(text, "none")) {
		*ret_bucket = bucket;
		return 0;
	}
	if (used && used < rate.n && rate.at[used] == '/')
		bucket.period = period_of((struct mock_span){rate.at + used + 1, rate.n - used - 1});
	if (!bucket.period || !count)
		goto fail;
	unsigned __int128 interval = (unsigned __int128)(uint64_t)bucket.period * nano / count;
	if (!interval || interval > longest_interval)
		return weir_error_set(err, WEIR_EINVAL, "the limit '%.*s' is out of range", shown, text.at);
	bucket.interval = (weir_nsec)interval;
	bucket.count = (count + nano - 1) / nano;
	if (!parse_form(rate.n < text.n ? rest : (struct mock_span){NULL, 0}, &bucket))
		goto fail;
	*ret_bucket = bucket;
	return 0;
fail:
	return weir_error_set(err, WEIR_EINVAL,
			      "'%.*s' is no limit; expected 1000/s, 1000/s,burst=50, 600/m,window or none", shown,
			      text.at);
}

static weir_nsec take_of_window(struct mock_bucket *bucket, weir_nsec now)
{
	if (now >= bucket->ends) {
		bucket->ends = now + bucket->period;
		bucket->used = 0;
	}
	if (bucket->used >= bucket->count)
		return bucket->ends - now;
	bucket->used++;
	return 0;
}

weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now)
{
	if (!bucket->interval)
		return 0;
	if (bucket->window)
		return take_of_window(bucket, now);
	weir_nsec full_at = bucket->full_at > now ? bucket->full_at : now;
	weir_nsec wait = full_at - bucket->slack - now;
	if (wait > 0)
		return wait;
	bucket->full_at = full_at + bucket->interval;
	return 0;
}

void mock_bucket_change(struct mock_bucket *bucket, const struct mock_bucket *to, weir_nsec now)
{
	struct mock_bucket old = *bucket;
	*bucket = *to;
	if (to->window && old.window && old.period == to->period) {
		bucket->used = old.used;
		bucket->ends = old.ends;
	} else if (!to->window && !old.window && old.full_at > now) {
		double missing = (double)(old.full_at - now) / (double)old.interval * (double)to->interval;
		double most = (double)(to->slack + to->interval);
		bucket->full_at = now + (weir_nsec)(missing < most ? missing : most);
	}
}

static int64_t round_up(weir_nsec time)
{
	return time <= WEIR_SEC ? 1 : (time + WEIR_SEC - 1) / WEIR_SEC;
}

void mock_bucket_quota(const struct mock_bucket *bucket, weir_nsec now, struct mock_quota *ret_quota)
{
	struct mock_quota quota = {.count = bucket->count, .period = bucket->period};
	if (bucket->window) {
		bool over = now >= bucket->ends;
		quota.left = bucket->count - (over ? 0 : bucket->used < bucket->count ? bucket->used : bucket->count);
		quota.reset = round_up(over ? bucket->period : bucket->ends - now);
	} else if (bucket->interval) {
		weir_nsec missing = bucket->full_at > now ? bucket->full_at - now : 0;
		quota.reset = round_up(missing);
		weir_nsec room = bucket->slack + bucket->interval - missing + quota.reset * WEIR_SEC;
		quota.left = (uint64_t)(room / bucket->interval);
		if (quota.left > quota.count)
			quota.left = quota.count;
	}
	*ret_quota = quota;
}
