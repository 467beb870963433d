/* SPDX-License-Identifier: MIT */
/*
 * A limit on the rate, in one of two forms.  Pure: the time is passed in.
 *
 *     1000/s,burst=50   weir/rate.h: `burst` requests at once are fine, the next is told to come back in 1 ms
 *     600/m,window      a fixed window, as most servers have that tell their quota: 600 in each minute, however they
 *                       come; the first one after a minute's end begins the next
 */
#ifndef MOCK_BUCKET_H
#define MOCK_BUCKET_H

#include <weir/rate.h>

#include "text.h"

struct mock_bucket {
	struct weir_rate rate; /* all zero: no limit */
	bool window;           /* of its options only count and period count */
	uint64_t used;         /* in the window that … */
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

/* Lets a request through: 0.  Else how long until one may pass. */
weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now);

/* Another limit from now on; what was taken still counts, so that a change is no second burst. */
void mock_bucket_change(struct mock_bucket *bucket, const struct mock_bucket *to, weir_nsec now);

void mock_bucket_quota(const struct mock_bucket *bucket, weir_nsec now, struct mock_quota *ret_quota);

#endif
