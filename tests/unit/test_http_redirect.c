/* SPDX-License-Identifier: MIT */
/* Where redirects lead, and what goes along. */
#include <stdlib.h>
#include <string.h>

#include "http/redirect.h"
#include "support/test.h"

/* The hop that an answer to the request makes; NULL: none, and why is in *err. */
static struct http_hop *follow(int status, const char *url, const char *location, const char *method,
			       const struct http_hop *before, struct weir_error *err)
{
	struct http_origin origin;
	struct http_response response = {.status = status, .location = (char *)(uintptr_t)location, .took = 5};
	struct http_hop *hop = NULL;
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	int error = http_redirect(&response, url, &origin, method, before, &hop, err);
	ck_assert_int_eq(error, hop ? 0 : WEIR_EINVAL);
	return hop;
}

TEST(redirect_resolves_the_location_against_the_url)
{
	static const char *const rows[][3] = {
		{"http://a.example/x/y?q=1", "/z", "http://a.example/z"},
		{"http://a.example/x/y?q=1", "z?k=2", "http://a.example/x/z?k=2"},
		{"http://a.example/x/y", "../z", "http://a.example/z"},
		{"http://a.example/x/y", "?p=2", "http://a.example/x/y?p=2"},
		{"http://a.example/x/", "//b.example/z", "http://b.example/z"},
		{"http://a.example/x/", "https://b.example", "https://b.example/"},
		{"http://a.example/x/", "HTTP://B.example:8080/#top", "http://B.example:8080/"},
		{"http://a.example/x/y?q=1", "#top", "http://a.example/x/y?q=1"},
		{"http://a.example/x/y?q=1", "", "http://a.example/x/y?q=1"},
		{"http://a.example/x/y?q=1", "z#?a=/b", "http://a.example/x/z"},
		{"http://[::1]:80/x/", "y", "http://[::1]:80/x/y"},
		{"http://a.example/", "/caf\xc3\xa9 1", "http://a.example/caf%c3%a9%201"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct weir_error err = {0};
		struct http_hop *hop = follow(302, rows[i][0], rows[i][1], "GET", NULL, &err);
		ck_assert_msg(hop != NULL, "%s: %s", rows[i][1], err.text);
		ck_assert_str_eq(hop->url, rows[i][2]);
		free(hop);
	}
}

TEST(redirect_refuses_what_is_not_safe)
{
	static const char *const rows[][3] = {
		{"https://a.example/", "http://a.example/", "from https to http"},
		{"http://a.example/", "file:///etc/passwd", "does not start with http"},
		{"http://a.example/", "gopher://a.example/", "does not start with http"},
		{"http://a.example/", "javascript:alert(1)", "is not a URL"},
		{"http://a.example/", "http://user:pass@b.example/", "user or password"},
		{"http://a.example/", "http://", "is not a URL"},
		{"http://a.example/", "http://b.example:0/", "port"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct weir_error err = {0};
		struct http_hop *hop = follow(302, rows[i][0], rows[i][1], "GET", NULL, &err);
		ck_assert_msg(!hop && strstr(err.text, rows[i][2]), "%s: %s", rows[i][1], err.text);
	}
}

TEST(redirect_changes_the_method_as_browsers_do)
{
	static const struct {
		int status;
		const char *method;
		bool is_emptied;
	} rows[] = {
		{301, "POST", true},  {302, "POST", true},  {303, "POST", true},  {307, "POST", false},
		{308, "POST", false}, {301, "PUT", false},  {303, "PUT", true},   {303, "DELETE", true},
		{303, "GET", false},  {303, "HEAD", false}, {302, "HEAD", false}, {302, "GET", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct weir_error err = {0};
		struct http_hop *hop = follow(rows[i].status, "http://a.example/", "/b", rows[i].method, NULL, &err);
		ck_assert_msg(hop->is_emptied == rows[i].is_emptied, "%d after %s", rows[i].status, rows[i].method);
		free(hop);
	}
}

TEST(redirect_that_left_its_origin_is_foreign_for_good)
{
	struct weir_error err = {0};
	struct http_hop *near = follow(307, "http://a.example/", "http://A.example:80/x", "POST", NULL, &err);
	struct http_hop *far = follow(307, near->url, "http://a.example:81/", "POST", near, &err);
	struct http_hop *back = follow(302, far->url, "http://a.example/admin", "POST", far, &err);
	struct http_hop *last = follow(307, back->url, "/end", "GET", back, &err);
	ck_assert(!near->is_foreign && far->is_foreign && back->is_foreign && last->is_foreign);
	ck_assert(!far->is_emptied && back->is_emptied && last->is_emptied);
	ck_assert_uint_eq(last->number, 4);
	ck_assert_int_eq(last->took, 20);
	struct http_hop *tls = follow(301, "http://a.example/", "https://a.example/", "GET", NULL, &err);
	ck_assert(tls->is_foreign);
	free(near);
	free(far);
	free(back);
	free(last);
	free(tls);
}

TEST(redirect_lets_no_credential_go_to_another_origin)
{
	static const char *const credentials[] = {"Authorization: Bearer x",
						  "Cookie: a=b",
						  "X-Api-Key: k",
						  "Proxy-Authorization: b",
						  "Host: a",
						  "X-Empty;",
						  "Accept-X: y",
						  "Referer: r"};
	static const char *const plain[] = {"Accept: a/b",      "accept-encoding: gzip",
					    "User-Agent: weir", "Content-Type: a/b",
					    "Expect:",          "Idempotency-Key: k"};
	for (size_t i = 0; i < sizeof credentials / sizeof *credentials; i++) {
		ck_assert_msg(!http_header_may_go(credentials[i], true, false), "%s", credentials[i]);
		ck_assert_msg(http_header_may_go(credentials[i], false, true), "%s", credentials[i]);
	}
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		ck_assert_msg(http_header_may_go(plain[i], true, false), "%s", plain[i]);
	ck_assert(!http_header_may_go("Content-Type: a/b", false, true));
	ck_assert(!http_header_may_go("Idempotency-Key: k", false, true));
}
