/* SPDX-License-Identifier: MIT */
/* Whether what stands in the keys tls, and in their files, can be used. */
#ifndef HTTP_CERTIFICATES_H
#define HTTP_CERTIFICATES_H

#include "http/client.h"

/* Looks into the files: one that holds no certificate, or no key, would fail every request, one after the other.
 * WEIR_EINVAL, or why a file cannot be read, with err->text, which names the key or the file. */
int http_tls_check(const struct http_tls *tls, struct weir_error *err);

#endif
