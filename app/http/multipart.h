/* SPDX-License-Identifier: MIT */
/*
 * A body of several parts (multipart/form-data, RFC 7578), of which files are read while they are sent.
 *
 *     --weir-1c7d…                                             text
 *     Content-Disposition: form-data; name="title"
 *
 *     A cat
 *     --weir-1c7d…
 *     Content-Disposition: form-data; name="photo"; filename="7.jpg"
 *     Content-Type: image/jpeg
 *
 *     (the bytes of photos/7.jpg)                              a file
 *                                                              text
 *     --weir-1c7d…--
 *
 * So it is a row of pieces, whose lengths are known before anything is sent.  The text of all is one buffer, which is
 * also what a dead letter shows.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "data/buf.h"
#include "http/client.h"

#define HTTP_BOUNDARY_BYTES 40

struct http_multipart;

/* With that boundary, a token.  WEIR_ENOMEM. */
int http_multipart_new(const char *boundary, struct http_multipart **ret_parts);
void http_multipart_free(struct http_multipart *parts); /* NULL is fine */

/* Adds a part.  type: NULL: that of a text is not stated, that of a file is application/octet-stream.  filename: of a
 * file; NULL: the last part of its path.  Quotes and line ends in names are percent-encoded, as browsers do it.
 * WEIR_ENOMEM is kept, and told at the end. */
void http_multipart_add_text(struct http_multipart *parts, const char *name, const char *type, const char *value,
			     size_t n);
void http_multipart_add_file(struct http_multipart *parts, const char *name, const char *type, const char *filename,
			     const char *path, size_t folder_bytes);

/* There are no more: looks at the files.  0; WEIR_ENOMEM; or what the system says of a file, with err->text.
 * Suspends. */
int http_multipart_end(struct http_multipart *parts, struct weir_error *err);

/* Of one that has ended: the body, and its text; borrowed. */
const struct http_source *http_multipart_source(const struct http_multipart *parts);
const struct buf *http_multipart_text(const struct http_multipart *parts);

/* Its parts as curl has them behind -F: `photo=@"photos/7.jpg";filename="7.jpg"`, each with a NUL. */
const struct buf *http_multipart_fields(const struct http_multipart *parts);

/* Why a request with this source has failed; "": not because of that. */
const char *http_multipart_wrong(const struct http_multipart *parts);

#endif
