/* SPDX-License-Identifier: MIT */
/*
 * By libidn2: the only file that includes it.  libcurl would use it too, but takes the text for one in the encoding of
 * the locale; and weir must know the host itself (origin.h).
 */
#include "http/idn.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

static bool is_ascii(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

int http_idn_encode(struct buf *url)
{
	size_t before = url->data ? strcspn(url->data, "/?#") : 0;
	const char *host = url->data ? url->data + before + 2 : NULL;
	if (!before || url->data[before - 1] != ':' || strncmp(url->data + before, "//", 2) != 0)
		return 0;
	size_t n = strcspn(host, ":/?#");
	if (is_ascii(host, n))
		return 0;
	char *name = strndup(host, n), *ascii = NULL;
	int rc = name ? idn2_lookup_u8((const uint8_t *)name, (uint8_t **)&ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)
		      : IDN2_MALLOC;
	free(name);
	if (rc != IDN2_OK)
		return rc == IDN2_MALLOC ? WEIR_ENOMEM : 0;
	struct buf encoded = {0};
	buf_add(&encoded, url->data, (size_t)(host - url->data));
	buf_add_str(&encoded, ascii);
	buf_add(&encoded, host + n, url->len - (size_t)(host + n - url->data));
	idn2_free(ascii);
	if (encoded.failed) {
		buf_fini(&encoded);
		return WEIR_ENOMEM;
	}
	buf_fini(url);
	*url = encoded;
	return 0;
}
