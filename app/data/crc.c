/* SPDX-License-Identifier: MIT */
/* That of zlib, which libcurl and the codecs bring along; to zlib no bytes at NULL are a new beginning. */
#include "data/crc.h"

#include <zlib.h>

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n)
{
	return n ? (uint32_t)crc32_z(crc, bytes, n) : crc;
}
