/* SPDX-License-Identifier: MIT */
/*
 * A token bucket: `burst` tokens at most, one more each `interval`; each request takes one.  Pure: the time is passed
 * in.  1000/s with burst 50: 50 requests at once are fine, the 51st is told to come back in 1 ms.
 */
#ifndef MOCK_BUCKET_H
#define MOCK_BUCKET_H

#include <weir/base.h>

struct mock_bucket {
	weir_nsec interval; /* 0: no limit */
	weir_nsec slack;    /* (burst - 1) × interval */
	weir_nsec full_at;  /* when the bucket will be full again */
};

/* "1000/s", "90/m,burst=5" (per s, m or h); without a burst it is a tenth of a second's share, at least 1.
 * WEIR_EINVAL with err->text. */
int mock_bucket_parse(const char *text, struct mock_bucket *ret_bucket, struct weir_error *err);

/* Takes a token: 0.  None there: how long until there is one, and nothing was taken. */
weir_nsec mock_bucket_take(struct mock_bucket *bucket, weir_nsec now);

#endif
