/* SPDX-License-Identifier: MIT */
/* CRC-32, as zlib and gzip have it (polynomial 0xEDB88320, reflected): finds what was cut, torn or replaced. */
#ifndef PORT_CRC_H
#define PORT_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what had `crc` (0: nothing) with n more bytes behind it. */
uint32_t crc_add(uint32_t crc, const void *bytes, size_t n);

#endif
