/* SPDX-License-Identifier: MIT */
/* Which proxy a request goes through. */
#include <string.h>

#include "http/proxy.h"
#include "support/test.h"

/* The name of the proxy for a URL; "" for none. */
static const char *proxy_of(const struct http_proxy_settings *settings, const char *url)
{
	struct weir_error err = {0};
	struct http_proxies *proxies;
	struct http_origin origin;
	ck_assert_msg(http_proxies_new(settings, &proxies, &err) == 0, "%s", err.text);
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	const struct http_proxy *proxy = http_proxies_find(proxies, &origin);
	const char *name = proxy ? test_format("%s", proxy->name) : "";
	http_proxies_free(proxies);
	return name;
}

TEST(proxy_goes_by_the_scheme_of_the_url)
{
	const struct http_proxy_settings both = {.http = "http://plain:3128", .https = "secure"};
	ck_assert_str_eq(proxy_of(&both, "http://a.example/"), "plain:3128");
	ck_assert_str_eq(proxy_of(&both, "https://a.example/"), "secure:80");
	const struct http_proxy_settings one = {.https = "http://[::1]:8080/"};
	ck_assert_str_eq(proxy_of(&one, "http://a.example/"), "");
	ck_assert_str_eq(proxy_of(&one, "https://a.example/"), "[::1]:8080");
	const struct http_proxy_settings socks = {.http = "socks5h://p", .https = "socks5://[::1]"};
	ck_assert_str_eq(proxy_of(&socks, "http://a.example/"), "p:1080");
	ck_assert_str_eq(proxy_of(&socks, "https://a.example/"), "[::1]:1080");
	ck_assert_str_eq(proxy_of(&(struct http_proxy_settings){.http = "", .except = ""}, "http://a.example/"), "");
}

TEST(proxy_keeps_user_and_password_for_libcurl)
{
	struct http_proxies *proxies;
	struct http_origin origin;
	const struct http_proxy_settings settings = {.http = "http://user:p%40ss@proxy.example:3128/",
						     .https = "socks5://user:x@proxy.example:1080"};
	ck_assert_int_eq(http_proxies_new(&settings, &proxies, NULL), 0);
	http_origin_parse("https://a.example/", &origin);
	ck_assert_str_eq(http_proxies_find(proxies, &origin)->url, "socks5h://user:x@proxy.example:1080");
	http_origin_parse("http://a.example/", &origin);
	const struct http_proxy *proxy = http_proxies_find(proxies, &origin);
	ck_assert_str_eq(proxy->url, "http://user:p%40ss@proxy.example:3128");
	ck_assert(proxy->has_user);
	ck_assert_str_eq(proxy->name, "proxy.example:3128");
	http_proxies_free(proxies);
}

TEST(proxy_is_not_used_for_what_no_proxy_lists)
{
	static const struct {
		const char *except, *url;
		bool direct;
	} rows[] = {
		{"*", "http://a.example/", true},
		{"example", "http://a.example/", true},
		{".a.example", "http://a.example/", true},
		{".a.example", "http://b.a.example/", true},
		{"*.a.example", "http://b.a.example/", true},
		{"A.Example", "http://a.example/", true},
		{"a.example", "http://ba.example/", false},
		{"a.example", "http://a.example.org/", false},
		{"x, b , a.example", "http://a.example/", true},
		{"x b a.example", "http://a.example/", true},
		{"a.example:8080", "http://a.example/", false},
		{"a.example:8080", "http://a.example:8080/", true},
		{"10.0.0.0/8", "http://10.200.1.1/", true},
		{"10.0.0.0/12", "http://10.16.1.1/", false},
		{"10.0.0.0/8", "http://10.example/", false},
		{"10.0.0.0/99", "http://10.0.0.0/", false},
		{"10.1.2.3", "http://10.1.2.3/", true},
		{"10.1.2.3:80", "http://10.1.2.3/", true},
		{"2001:db8::/32", "http://[2001:db8::7]/", true},
		{"2001:db8::7", "http://[2001:db8::7]/", true},
		{"[2001:db8::7]:81", "http://[2001:db8::7]/", false},
		{"[2001:db8::7]:80", "http://[2001:db8::7]/", true},
		{", ,", "http://a.example/", false},
		{".", "http://a.example/", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct http_proxy_settings settings = {.http = "p:1", .except = rows[i].except};
		bool direct = !proxy_of(&settings, rows[i].url)[0];
		ck_assert_msg(direct == rows[i].direct, "%s: %s", rows[i].except, rows[i].url);
	}
}

TEST(proxy_of_the_environment_is_not_for_this_machine)
{
	static const char *const own[] = {"http://localhost:1/", "http://a.localhost/", "http://127.9.9.9/",
					  "http://[::1]/"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		ck_assert_str_eq(proxy_of(&(struct http_proxy_settings){.http = "p", .spares_loopback = true}, own[i]),
				 "");
		ck_assert_str_eq(proxy_of(&(struct http_proxy_settings){.http = "p"}, own[i]), "p:80");
	}
	const struct http_proxy_settings settings = {.http = "p", .spares_loopback = true};
	ck_assert_str_eq(proxy_of(&settings, "http://notlocalhost/"), "p:80");
}

TEST(proxy_that_cannot_be_one_is_refused_without_its_password)
{
	static const char *const rows[][2] = {
		{"socks4://user:s3cret@p:1080", "the proxy is a socks4:// one"},
		{"https://user:s3cret@p:1080", "the proxy is a https:// one"},
		{"http://user:s3cret@", "no host"},
		{"http://user:s3cret@p:99999", "has a port"},
		{"http://s3cret@a b", "white space"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct weir_error err = {0};
		struct http_proxies *proxies;
		const struct http_proxy_settings settings = {.https = rows[i][0]};
		ck_assert_int_eq(http_proxies_new(&settings, &proxies, &err), WEIR_EINVAL);
		ck_assert_msg(strstr(err.text, rows[i][1]) && !strstr(err.text, "s3cret"), "%s", err.text);
	}
}
