/* SPDX-License-Identifier: MIT */
/* A token that somebody else renews, in a file.  It is read on a thread, since it may lie on a slow file system. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/offload.h>

#include "data/buf.h"
#include "http/token_source.h"

enum { FILE_BYTES_MAX = 64 * 1024 };

struct token_file {
	const char *path;
	char *last;    /* that was read; never NULL */
	bool was_used; /* else it is what was read with the config */
};

struct reading {
	const char *path;
	struct buf text;
};

static int read_file(void *arg)
{
	struct reading *reading = arg;
	return buf_read_file(&reading->text, reading->path, O_NONBLOCK, FILE_BYTES_MAX);
}

/* Without the line's end after it.  Nothing if it is empty, as while it is written. */
static char *text_of(struct buf *text)
{
	for (const char *end = "\n\r"; *end; end++)
		if (text->len && text->data[text->len - 1] == *end)
			text->data[--text->len] = 0;
	return text->len && strlen(text->data) == text->len ? strdup(text->data) : NULL;
}

char *http_token_read_file(const char *path, weir_nsec deadline)
{
	struct reading reading = {.path = path};
	int error = weir_offload(read_file, &reading, deadline);
	char *text = error ? NULL : text_of(&reading.text);
	if (reading.text.data)
		explicit_bzero(reading.text.data, reading.text.room);
	buf_fini(&reading.text);
	return text;
}

static void read_again(struct token_file *file, weir_nsec deadline)
{
	char *text = http_token_read_file(file->path, deadline);
	if (!text)
		return;
	explicit_bzero(file->last, strlen(file->last));
	free(file->last);
	file->last = text;
}

static void fetch_from_file(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	struct token_file *file = arg;
	if (file->was_used)
		read_again(file, deadline);
	file->was_used = true;
	news->text = strdup(file->last);
	if (!news->text)
		snprintf(news->why, sizeof news->why, "out of memory");
}

static void close_file(void *arg)
{
	struct token_file *file = arg;
	explicit_bzero(file->last, strlen(file->last));
	free(file->last);
	free(file);
}

int http_token_of_file(const char *path, const char *first, struct http_token_source *ret_source)
{
	struct token_file *file = calloc(1, sizeof *file);
	if (!file || !(file->last = strdup(first))) {
		free(file);
		return WEIR_ENOMEM;
	}
	file->path = path;
	*ret_source = (struct http_token_source){
		.fetch = fetch_from_file, .close = close_file, .arg = file, .limit = 30 * WEIR_SEC};
	return 0;
}
