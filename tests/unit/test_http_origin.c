/* SPDX-License-Identifier: MIT */
/* URLs and addresses, as the client's filter sees them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "http/origin.h"
#include "support/test.h"

TEST(origin_of_good_urls)
{
	static const struct {
		const char *url, *name;
		bool numeric;
	} rows[] = {
		{"http://example.org", "http://example.org:80", false},
		{"HTTPS://Example.ORG/a?b#c", "https://example.org:443", false},
		{"http://h:8080?q=http://evil@x", "http://h:8080", false},
		{"http://h/@x", "http://h:80", false},
		{"http://127.0.0.1:65535/", "http://127.0.0.1:65535", true},
		{"http://[::1]:81/x", "http://[::1]:81", true},
		{"http://my_host-1.example./", "http://my_host-1.example.:80", false},
		{"http://0x7f.1/", "http://0x7f.1:80", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_origin origin;
		const char *wrong = http_origin_parse(rows[i].url, &origin);
		ck_assert_msg(!wrong, "%s: %s", rows[i].url, wrong);
		ck_assert_str_eq(origin.name, rows[i].name);
		ck_assert_int_eq(origin.numeric, rows[i].numeric);
	}
}

TEST(origin_refuses_what_two_parsers_could_read_in_two_ways)
{
	static const char *const urls[] = {
		"",
		"example.org",
		"ftp://x/",
		"file:///etc/passwd",
		"http:/x",
		"http://",
		"http:///x",
		"http://:80/",
		"http://a@b/",
		"http://user:pw@b/",
		"http://good.example@127.0.0.1/",
		"http://good.example\\@127.0.0.1/",
		"http://a b/",
		"http://a/ b",
		"http://a/\r\nHost: b",
		"http://a/\x7f",
		"http://a:0/",
		"http://a:65536/",
		"http://a:99999999999/",
		"http://a:8x/",
		"http://a:80:80/",
		"http://[::1/",
		"http://[1.2.3.4]/",
		"http://[fe80::1%25eth0]/",
		"http://::1/",
		"http://a%2eb/",
		"http://caf\xc3\xa9/",
		"http://[::1]x/",
	};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct http_origin origin = {.port = 1};
		ck_assert_msg(http_origin_parse(urls[i], &origin) != NULL, "%s was taken", urls[i]);
		ck_assert_msg(origin.port == 1, "%s: the output was touched", urls[i]);
	}
}

TEST(origin_refuses_a_host_name_that_is_too_long)
{
	char url[400] = "http://";
	struct http_origin origin;
	memset(url + 7, 'a', 253);
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	url[7 + 253] = 'a';
	ck_assert_ptr_nonnull(http_origin_parse(url, &origin));
}

TEST(addresses_that_are_not_public)
{
	static const char *const closed[] = {
		"0.0.0.0",
		"0.1.2.3",
		"10.0.0.1",
		"100.64.0.1",
		"127.0.0.1",
		"127.255.0.1",
		"169.254.169.254",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.1.1",
		"198.18.0.1",
		"224.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"fc00::1",
		"fdff::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::127.0.0.1",
		"64:ff9b::a00:1",
		"2002:7f00:1::",
		"::ffff:10.0.0.1",
		"nonsense",
		"192.0.2.1",
		"2001:db8::1",
		"2001:0:7f00:1::",
		"::ffff:169.254.169.254",
		"64:ff9b::7f00:1",
		"64:ff9b:1::7f00:1",
		"2002:a9fe:a9fe::1",
		"fe80::1%eth0",
	};
	static const char *const open[] = {
		"1.1.1.1",        "9.255.255.255",        "11.0.0.1",        "100.63.0.1",     "100.128.0.1",
		"128.0.0.1",      "169.253.0.1",          "172.15.0.1",      "172.32.0.1",     "192.167.0.1",
		"192.169.0.1",    "223.255.0.1",          "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101",
		"2002:101:101::", "2001:4860:4860::8888",
	};
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		ck_assert_msg(!http_address_text_is_public(closed[i]), "%s passed", closed[i]);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		ck_assert_msg(http_address_text_is_public(open[i]), "%s was refused", open[i]);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	ck_assert(!http_address_is_public((struct sockaddr *)&v4));
	v4.sin_addr.s_addr = htonl(0x01010101);
	ck_assert(http_address_is_public((struct sockaddr *)&v4));
}

TEST(hosts_that_say_by_themselves_that_they_are_not_public)
{
	static const char *const closed[] = {
		"localhost",  "localhost.",   "a.localhost", "a.localhost.",  "127.0.0.1",
		"127.0.0.1.", "127.1",        "0177.0.0.1",  "0x7f.1",        "0x7f000001",
		"2130706433", "017700000001", "0",           "0.0.0.0",       "169.254.169.254",
		"2852039166", "0xa9fea9fe",   "10.1",        "172.16.1",      "192.168.257",
		"100.64.0.1", "::1",          "::",          "::ffff:7f00:1", "64:ff9b::7f00:1",
		"fe80::1",    "fd00::1"};
	static const char *const open[] = {"example.org",
					   "example.org.",
					   "localhost.example",
					   "notlocalhost",
					   "1.65793",
					   "16843009",
					   "127.0.0.1.example",
					   "2606:4700::1111",
					   "",
					   "."};
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		ck_assert_msg(!http_host_may_be_public(closed[i]), "%s passed", closed[i]);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		ck_assert_msg(http_host_may_be_public(open[i]), "%s was refused", open[i]);
}
