/* SPDX-License-Identifier: MIT */
#include "observe/feed.h"

#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

enum { STREAM_BLOCK_BYTES = 4096 };

struct feed_text {
	unsigned readers; /* and one for being the newest */
	uint64_t number;  /* from 1 */
	size_t bytes;
	char text[];
};

/* A text as the content of a response. */
struct lent {
	struct feed *feed;
	struct feed_text *text;
};

struct feed_stream {
	struct feed *feed;
	struct MHD_Connection *connection;
	LIST_ENTRY(feed_stream) others;
	struct feed_text *text; /* that is being sent; NULL: none */
	size_t sent;            /* of its event */
	uint64_t number;        /* of the last one that was begun */
	bool suspended;
};

void feed_init(struct feed *feed)
{
	*feed = (struct feed){0};
	pthread_mutex_init(&feed->lock, NULL);
}

/* With the lock. */
static struct feed_text *ref(struct feed_text *text)
{
	if (text)
		text->readers++;
	return text;
}

/* With the lock. */
static void unref(struct feed_text *text)
{
	if (text && --text->readers == 0)
		free(text);
}

void feed_fini(struct feed *feed)
{
	unref(feed->newest);
	pthread_mutex_destroy(&feed->lock);
}

/* With the lock. */
static void resume_all(struct feed *feed)
{
	struct feed_stream *stream;
	for (stream = LIST_FIRST(&feed->streams); stream; stream = LIST_NEXT(stream, others)) {
		if (!stream->suspended)
			continue;
		stream->suspended = false;
		MHD_resume_connection(stream->connection);
	}
}

int feed_publish(struct feed *feed, const char *bytes, size_t n)
{
	struct feed_text *text = malloc(sizeof *text + n);
	if (!text)
		return WEIR_ENOMEM;
	*text = (struct feed_text){.readers = 1, .bytes = n};
	memcpy(text->text, bytes, n);
	pthread_mutex_lock(&feed->lock);
	text->number = ++feed->published;
	unref(feed->newest);
	feed->newest = text;
	resume_all(feed);
	pthread_mutex_unlock(&feed->lock);
	return 0;
}

void feed_end(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->ended = true;
	resume_all(feed);
	pthread_mutex_unlock(&feed->lock);
}

/* --- the text as it is --- */

static void give_back(void *arg)
{
	struct lent *lent = arg;
	pthread_mutex_lock(&lent->feed->lock);
	unref(lent->text);
	pthread_mutex_unlock(&lent->feed->lock);
	free(lent);
}

struct MHD_Response *feed_response(struct feed *feed)
{
	struct lent *lent = malloc(sizeof *lent);
	if (!lent)
		return NULL;
	pthread_mutex_lock(&feed->lock);
	*lent = (struct lent){feed, ref(feed->newest)};
	pthread_mutex_unlock(&feed->lock);
	struct MHD_Response *response = lent->text ? MHD_create_response_from_buffer_with_free_callback_cls(
							     lent->text->bytes, lent->text->text, give_back, lent)
						   : NULL;
	if (!response)
		give_back(lent);
	return response;
}

/* --- streams --- */

/* Takes the next text for a stream.  False: it has the newest, and is suspended.  With the lock. */
static bool take_text(struct feed_stream *stream)
{
	struct feed_text *newest = stream->feed->newest;
	if (stream->text)
		return true;
	if (newest && newest->number != stream->number) {
		stream->text = ref(newest);
		stream->number = newest->number;
		stream->sent = 0;
		return true;
	}
	stream->suspended = true;
	MHD_suspend_connection(stream->connection);
	return false;
}

/* Copies what follows of the event "data: TEXT\n\n".  With the lock. */
static size_t copy_event(struct feed_stream *stream, char *out, size_t room)
{
	static const char before[] = "data: ", behind[] = "\n\n";
	const struct {
		const char *bytes;
		size_t n;
	} parts[] = {
		{before, sizeof before - 1}, {stream->text->text, stream->text->bytes}, {behind, sizeof behind - 1}};
	size_t copied = 0, start = 0;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		size_t at = stream->sent + copied - start; /* within this part */
		size_t n = at < parts[i].n ? parts[i].n - at : 0;
		if (n > room - copied)
			n = room - copied;
		memcpy(out + copied, parts[i].bytes + (n ? at : 0), n);
		copied += n;
		if (at + n < parts[i].n)
			break;
		start += parts[i].n;
		if (i == sizeof parts / sizeof parts[0] - 1) {
			unref(stream->text);
			stream->text = NULL;
			break;
		}
	}
	stream->sent += copied;
	return copied;
}

static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t room)
{
	struct feed_stream *stream = arg;
	struct feed *feed = stream->feed;
	ssize_t got = 0;
	(void)position;
	pthread_mutex_lock(&feed->lock);
	if (feed->ended)
		got = MHD_CONTENT_READER_END_OF_STREAM;
	else if (take_text(stream))
		got = (ssize_t)copy_event(stream, out, room);
	pthread_mutex_unlock(&feed->lock);
	return got;
}

static void free_stream(void *arg)
{
	struct feed_stream *stream = arg;
	struct feed *feed = stream->feed;
	pthread_mutex_lock(&feed->lock);
	LIST_REMOVE(stream, others);
	feed->stream_count--;
	unref(stream->text);
	pthread_mutex_unlock(&feed->lock);
	free(stream);
}

/* False: there are enough. */
static bool add_stream(struct feed *feed, struct feed_stream *stream, unsigned most)
{
	pthread_mutex_lock(&feed->lock);
	bool fits = feed->stream_count < most;
	if (fits) {
		feed->stream_count++;
		LIST_INSERT_HEAD(&feed->streams, stream, others);
	}
	pthread_mutex_unlock(&feed->lock);
	return fits;
}

struct MHD_Response *feed_stream(struct feed *feed, struct MHD_Connection *connection, unsigned most)
{
	struct feed_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return NULL;
	stream->feed = feed;
	stream->connection = connection;
	if (!add_stream(feed, stream, most)) {
		free(stream);
		return NULL;
	}
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
									  read_stream, stream, free_stream);
	if (!response)
		free_stream(stream);
	return response;
}
