/* SPDX-License-Identifier: MIT */
/* SHA-256, for names that nobody can guess or choose. */
#ifndef HTTP_DIGEST_H
#define HTTP_DIGEST_H

#include <stddef.h>

#define HTTP_DIGEST_BYTES 65 /* 64 digits and a NUL */

/* WEIR_ENOMEM. */
int http_digest(const char *data, size_t n, char ret_hex[HTTP_DIGEST_BYTES]);

/* 32 bytes as digits. */
void http_digest_write(const unsigned char *hash, char ret_hex[HTTP_DIGEST_BYTES]);

#endif
