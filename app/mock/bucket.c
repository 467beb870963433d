/* SPDX-License-Identifier: MIT */
#include "bucket.h"

#include "data/units.h"

enum { MOST_BURST = 1000000 };

/* What stands behind the comma, if one does. */
static bool parse_form(struct mock_span text, struct weir_rate_options *opts, bool *ret_window)
{
	int64_t burst = (int64_t)opts->count * (WEIR_SEC / 10) / opts->period;
	burst = burst < 1 ? 1 : burst > MOST_BURST ? MOST_BURST : burst;
	if (mock_text_is(text, "window")) {
		*ret_window = true;
	} else if (text.at) {
		struct mock_span name = mock_text_cut(&text, '=');
		if (!mock_text_is(name, "burst") || !units_count(text.at, text.n, 1, MOST_BURST, &burst))
			return false;
	}
	opts->burst = (uint64_t)burst;
	return true;
}

int mock_bucket_parse(struct mock_span text, struct mock_bucket *ret_bucket, struct weir_error *err)
{
	struct mock_span rest = text, rate = mock_text_cut(&rest, ',');
	struct mock_bucket bucket = {0};
	struct weir_rate_options opts = {0};
	if (!mock_text_is(text, "none") &&
	    (!units_rate(rate.at, rate.n, &opts.count, &opts.period) ||
	     !parse_form(rate.n < text.n ? rest : (struct mock_span){NULL, 0}, &opts, &bucket.window) ||
	     weir_rate_init(&bucket.rate, &opts)))
		return weir_error_set(err, WEIR_EINVAL,
				      "'%.*s' is not a limit; expected 1000/s, 1000/s,burst=50, 600/m,window or none",
				      (int)(text.n < 100 ? text.n : 100), text.at);
	*ret_bucket = bucket;
	return 0;
}

static weir_nsec take_of_window(struct mock_bucket *bucket, weir_nsec now)
{
	const struct weir_rate_options *opts = &bucket->rate.options;
	if (now >= bucket->ends) {
		bucket->ends = now + opts->period;
		bucket->used = 0;
	}
	if (bucket->used >= opts->count)
		return bucket->ends - now;
	bucket->used++;
	return 0;
}

weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now)
{
	if (!bucket->rate.options.count)
		return 0;
	if (bucket->window)
		return take_of_window(bucket, now);
	weir_nsec at = weir_rate_next(&bucket->rate, 1, now);
	if (at <= now)
		weir_rate_take(&bucket->rate, 1, now);
	return at - now;
}

void mock_bucket_change(struct mock_bucket *bucket, const struct mock_bucket *to, weir_nsec now)
{
	struct mock_bucket old = *bucket;
	bool are_windows = to->window && old.window, are_rates = !to->window && !old.window && old.rate.options.count;
	*bucket = *to;
	if (are_windows && old.rate.options.period == to->rate.options.period) {
		bucket->used = old.used;
		bucket->ends = old.ends;
	} else if (are_rates && to->rate.options.count) {
		bucket->rate = old.rate;
		weir_rate_set(&bucket->rate, &to->rate.options, now);
	}
}

static int64_t round_up(weir_nsec time)
{
	return time <= WEIR_SEC ? 1 : (time + WEIR_SEC - 1) / WEIR_SEC;
}

void mock_bucket_quota(const struct mock_bucket *bucket, weir_nsec now, struct mock_quota *ret_quota)
{
	const struct weir_rate_options *opts = &bucket->rate.options;
	struct mock_quota quota = {.count = opts->count, .period = opts->period};
	if (bucket->window) {
		bool over = now >= bucket->ends;
		quota.left = opts->count - (over ? 0 : bucket->used < opts->count ? bucket->used : opts->count);
		quota.reset = round_up(over ? opts->period : bucket->ends - now);
	} else if (opts->count) {
		weir_nsec paid = weir_rate_paid(&bucket->rate), missing = paid > now ? paid - now : 0;
		quota.reset = round_up(missing);
		int64_t more = (quota.reset * WEIR_SEC - missing) * (int64_t)opts->count / opts->period;
		quota.left = opts->burst + (uint64_t)more;
		if (quota.left > quota.count)
			quota.left = quota.count;
	}
	*ret_quota = quota;
}
