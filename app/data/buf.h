/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer, always NUL-terminated once it holds something.  All zero is a valid empty one.
 * A failed append leaves the content alone and is remembered in `failed`, so that a writer may check once at the end.
 */
#ifndef PORT_BUF_H
#define PORT_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len, room;
	bool failed; /* an append found no memory */
};

void buf_fini(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory, forgets `failed` */

/* 0 or WEIR_ENOMEM. */
int buf_add(struct buf *buf, const void *bytes, size_t n);
int buf_add_str(struct buf *buf, const char *str);
int buf_add_char(struct buf *buf, char c);
int buf_add_uint(struct buf *buf, uint64_t number); /* its decimal digits */
int buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for n more bytes and returns where they go, or NULL. */
char *buf_reserve(struct buf *buf, size_t n);

/* Appends a JSON string literal, quotes included; bytes that are no valid UTF-8 become U+FFFD. */
int buf_add_json_str(struct buf *buf, const char *str, size_t n);
int buf_add_json_text(struct buf *buf, const char *str, size_t n); /* the same without the quotes */

/* Appends text as a terminal or a log may show it.  Control characters (C0, DEL, C1), characters that turn the
 * direction of text, and bytes that are no UTF-8 become \uXXXX, which leaves JSON the same JSON.  With `lines` line
 * ends stay. */
int buf_add_visible(struct buf *buf, const char *text, size_t n, bool lines);

/* Appends the bytes in base64 (RFC 4648), padded. */
int buf_add_base64(struct buf *buf, const void *bytes, size_t n);

/* Appends the bytes percent-encoded (RFC 3986): all but letters, digits and -._~ */
int buf_add_percent(struct buf *buf, const char *bytes, size_t n);

/* Appends what is in a file, which is opened with these flags, too.  What the system says; -EFBIG when it has more than
 * `most` bytes: a few of those are appended, too. */
int buf_read_file(struct buf *buf, const char *path, int flags, size_t most);

/* Gives the memory away (malloc'ed, NUL-terminated, never NULL unless out of memory) and leaves the buffer empty. */
char *buf_take(struct buf *buf, size_t *ret_len);

#endif
