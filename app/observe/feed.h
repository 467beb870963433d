/* SPDX-License-Identifier: MIT */
/*
 * A feed: a text that one thread publishes again and again, and that the thread of libmicrohttpd sends.
 *
 * A text is counted by its readers: one that is being sent stays while a newer one takes its place.  A stream that has
 * sent the newest is suspended, and resumed when there is a newer one; what came in between it skips.
 */
#ifndef OBSERVE_FEED_H
#define OBSERVE_FEED_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct feed {
	pthread_mutex_t lock; /* of all below; held for a few instructions */
	struct feed_text *newest;
	uint64_t published;
	LIST_HEAD(feed_streams, feed_stream) streams;
	unsigned stream_count;
	bool ended;
};

void feed_init(struct feed *feed);
void feed_fini(struct feed *feed); /* when all responses are gone */

/* Publishes a copy.  WEIR_ENOMEM: the previous text stays.  Waits for no reader. */
int feed_publish(struct feed *feed, const char *text, size_t n);

/* Ends the streams, now and later ones. */
void feed_end(struct feed *feed);

/* The newest text as a response; NULL: there is none, or no memory. */
struct MHD_Response *feed_response(struct feed *feed);

/* Server-sent events, the newest text first; it must be one line.  NULL: `most` are there already, or no memory. */
struct MHD_Response *feed_stream(struct feed *feed, struct MHD_Connection *connection, unsigned most);

#endif
