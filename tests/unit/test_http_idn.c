/* SPDX-License-Identifier: MIT */
/* Host names beyond ASCII. */
#include "http/idn.h"
#include "support/test.h"

TEST(idn_encodes_the_host_and_nothing_else)
{
	static const char *const rows[][2] = {
		{"http://b\xc3\xbc"
		 "cher.example/\xc3\xbc",
		 "http://xn--bcher-kva.example/\xc3\xbc"},
		{"https://B\xc3\x9c"
		 "CHER.example:8080?q=\xc3\xbc",
		 "https://xn--bcher-kva.example:8080?q=\xc3\xbc"},
		{"http://bu\xcc\x88"
		 "cher.example",
		 "http://xn--bcher-kva.example"},
		{"http://fa\xc3\x9f.example/", "http://xn--fa-hia.example/"},
		{"http://\xe4\xbe\x8b\xe3\x81\x88.example/", "http://xn--r8jz45g.example/"},
		{"http://a.example/?u=http://\xc3\xbc.example", "http://a.example/?u=http://\xc3\xbc.example"},
		{"a.example/http://\xc3\xbc.example", "a.example/http://\xc3\xbc.example"},
		{"\xc3\xbc.example", "\xc3\xbc.example"},
		{"http://\xff\xfe.example/", "http://\xff\xfe.example/"},
		{"http://a..\xc3\xbc/", "http://a..xn--tda/"},
		{"http://", "http://"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf url = {0};
		buf_add_str(&url, rows[i][0]);
		ck_assert_int_eq(http_idn_encode(&url), 0);
		ck_assert_str_eq(url.data, rows[i][1]);
		buf_fini(&url);
	}
	struct buf none = {0};
	ck_assert_int_eq(http_idn_encode(&none), 0);
	ck_assert_ptr_null(none.data);
}
