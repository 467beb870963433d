/* SPDX-License-Identifier: MIT */
#include "http/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <weir/base.h>

void http_digest_write(const unsigned char *hash, char ret_hex[HTTP_DIGEST_BYTES])
{
	for (size_t i = 0; i < HTTP_DIGEST_BYTES / 2; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", (unsigned)hash[i]);
}

int http_digest(const char *data, size_t n, char ret_hex[HTTP_DIGEST_BYTES])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	if (EVP_Digest(n ? data : "", n, hash, NULL, EVP_sha256(), NULL) != 1)
		return WEIR_ENOMEM;
	http_digest_write(hash, ret_hex);
	return 0;
}
