/* SPDX-License-Identifier: MIT */
/* Host names beyond ASCII (IDNA 2008), as DNS has them. */
#ifndef HTTP_IDN_H
#define HTTP_IDN_H

#include "data/buf.h"

/* Puts "xn--bcher-kva.example" in the place of a host "bücher.example" of a URL in UTF-8.  A host that can be no name
 * stays as it is.  WEIR_ENOMEM. */
int http_idn_encode(struct buf *url);

#endif
