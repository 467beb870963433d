/* SPDX-License-Identifier: MIT */
/*
 * A limit on the rate, in one of two forms.  Pure: the time is passed in.
 *
 *     1000/s,burst=50   a token bucket: `burst` tokens at most, one more each `interval`; each request takes one.
 *                       50 requests at once are fine, the 51st is told to come back in 1 ms
 *     600/m,window      a fixed window, as most servers have that tell their quota: 600 in each minute, however they
 *                       come; the first one after a minute's end begins the next
 */
#ifndef MOCK_BUCKET_H
#define MOCK_BUCKET_H

#include <weir/base.h>

#include "text.h"

struct mock_bucket {
	weir_nsec interval; /* 0: no limit */
	weir_nsec slack;    /* (burst - 1) × interval */
	weir_nsec full_at;  /* when the bucket will be full again */

	uint64_t count; /* as it was written: so many, rounded up, … */
	weir_nsec period;
	bool window;
	uint64_t used; /* in the window that … */
	weir_nsec ends;
};

/* What is left of it. */
struct mock_quota {
	uint64_t count; /* 0: there is no limit */
	weir_nsec period;
	uint64_t left; /* requests that may come … */
	int64_t reset; /* … in so many seconds: until the window's end; until the bucket is full, rounded up, with the
			* tokens that come in until then */
};

/* "1000/s", "90/m,burst=5", "5000/h,window" (per s, m or h); without a burst it is a tenth of a second's share, at
 * least 1.  "none": no limit.  WEIR_EINVAL with err->text. */
int mock_bucket_parse(struct mock_span text, struct mock_bucket *ret_bucket, struct weir_error *err);

/* Takes a token: 0.  None there: how long until there is one, and nothing was taken. */
weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now);

/* Another limit from now on; what was taken still counts, so that a change is no second burst. */
void mock_bucket_change(struct mock_bucket *bucket, const struct mock_bucket *to, weir_nsec now);

void mock_bucket_quota(const struct mock_bucket *bucket, weir_nsec now, struct mock_quota *ret_quota);

#endif
