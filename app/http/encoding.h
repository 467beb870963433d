/* SPDX-License-Identifier: MIT */
/* Content-Encoding: what may be asked for, and answers that are encoded. */
#ifndef HTTP_ENCODING_H
#define HTTP_ENCODING_H

#include "codec/codec.h"
#include "http/client.h"

#define HTTP_RATIO      200                       /* a body stands for so many times its bytes at most, … */
#define HTTP_RATIO_FROM ((size_t)10 << 20)        /* … unless it stands for no more than this */
#define HTTP_ENCODINGS  "deflate, gzip, br, zstd" /* that http_decode() knows, as curl --compressed names them */

/* What bodies with that Content-Encoding are packed with; CODEC_NONE: they are not, or by one that is not known. false:
 * with several, one over the other. */
bool http_codec(const char *encoding, enum codec *ret_codec);

/* Whether what follows a whole member or frame is more of the body: another one.  is_all: nothing comes behind that;
 * else the beginning of one will do. */
bool http_codec_follows(enum codec codec, const struct codec_io *io, bool is_all);

/* Puts what the body of a whole answer stands for in its place, and sets encoded_bytes.  Of several codings, such as
 * "gzip, br", each is taken off; one that is not known leaves all as it is.  A body that is damaged, or that would have
 * more than `most` bytes or HTTP_RATIO times those that came, is a failure (HTTP_PROTOCOL, HTTP_TOO_LARGE). */
void http_decode(struct http_response *response, size_t most);

#endif
