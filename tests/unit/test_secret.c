/* SPDX-License-Identifier: MIT */
/* Secrets are hidden in every form in which an upstream may send them back, and nothing else is. */
#include "data/secret.h"
#include "port/adapters.h"
#include "port/item.h"
#include "spec/plan.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static void add(const char *value)
{
	ck_assert_int_eq(secret_add(value, strlen(value)), 0);
}

static const char *hidden(const char *text)
{
	char *copy = strdup(text);
	secret_hide_text(copy);
	const char *kept = test_format("%s", copy);
	free(copy);
	return kept;
}

TEST(secret_is_hidden_wherever_it_stands)
{
	add("c4n4ry-7731");
	ck_assert_str_eq(hidden("bad Authorization: Bearer c4n4ry-7731"), "bad Authorization: Bearer ***");
	ck_assert_str_eq(hidden("c4n4ry-7731c4n4ry-7731 and c4n4ry-7732"), "****** and c4n4ry-7732");
	ck_assert_str_eq(hidden("nothing of it"), "nothing of it");
	secret_clear();
	ck_assert_str_eq(hidden("c4n4ry-7731"), "c4n4ry-7731");
}

TEST(secret_is_hidden_in_all_its_forms)
{
	add("a\"b/c d");
	ck_assert_str_eq(hidden("<a\"b/c d>"), "<***>");
	ck_assert_str_eq(hidden("{\"token\":\"a\\\"b/c d\"}"), "{\"token\":\"***\"}");
	ck_assert_str_eq(hidden("{\"token\":\"a\\\"b\\/c d\"}"), "{\"token\":\"***\"}");
	ck_assert_str_eq(hidden("/x?t=a%22b%2Fc%20d&y"), "/x?t=***&y");
	ck_assert_str_eq(hidden("/x?t=a%22b%2fc%20d&y"), "/x?t=***&y");
	secret_clear();
	add("user:hunter22");
	ck_assert_str_eq(hidden("Basic dXNlcjpodW50ZXIyMg=="), "Basic ***==");
	secret_clear();
}

TEST(secret_is_hidden_until_each_who_added_it_has_forgotten_it)
{
	static const char token[] = "a/b c-7731";
	add(token);
	add(token);
	add("a%2Fb%20c-7731"); /* a form of the other */
	secret_forget(token, strlen(token));
	ck_assert_str_eq(hidden("<a/b c-7731> <a%2fb%20c-7731>"), "<***> <***>");
	secret_forget(token, strlen(token));
	ck_assert_str_eq(hidden("<a/b c-7731> <a%2Fb%20c-7731>"), "<a/b c-7731> <***>");
	secret_forget("a%2Fb%20c-7731", strlen("a%2Fb%20c-7731"));
	secret_forget("never added", strlen("never added"));
	ck_assert_str_eq(hidden("<a%2Fb%20c-7731>"), "<a%2Fb%20c-7731>");
	secret_clear();
}

TEST(secret_that_was_cut_at_the_end_is_hidden)
{
	add("c4n4ry-7731");
	ck_assert_str_eq(hidden("Bearer c4n4ry-77"), "Bearer ***");
	ck_assert_str_eq(hidden("Bearer c4n4"), "Bearer ***");
	ck_assert_str_eq(hidden("Bearer c4n"), "Bearer c4n");
	ck_assert_str_eq(hidden("Bearer c4n4ry-77..."), "Bearer ***...");
	ck_assert_str_eq(hidden("Bearer c4n4ry-7731..."), "Bearer ***...");
	ck_assert_str_eq(hidden("Bearer c4n4ry-77.."), "Bearer c4n4ry-77..");
	ck_assert_str_eq(hidden("..."), "...");
	struct item *item = item_new();
	item_set_why(item, "%0250d c4n4ry-7731", 0);
	ck_assert_ptr_null(strstr(item_why(item), "c4n4"));
	item_free(item);
	secret_clear();
}

TEST(secret_hides_the_longer_one_whole)
{
	add("abcd");
	add("abcdefgh");
	ck_assert_str_eq(hidden("abcdefgh abcd abcdefg"), "*** *** ***");
	secret_clear();
}

TEST(secret_list_leaves_out_what_would_hide_too_much)
{
	add("abc");
	add("    ");
	add("http://127.0.0.1:8080");
	add("https://api.example.com/");
	ck_assert_str_eq(hidden("abc     http://127.0.0.1:8080/orders/7 https://api.example.com/"),
			 "abc     http://127.0.0.1:8080/orders/7 https://api.example.com/");
	add("https://hooks.example.com/T0/x1y2");
	add("https://me:word@example.com");
	ck_assert_str_eq(hidden("https://hooks.example.com/T0/x1y2 https://me:word@example.com"), "*** ***");
	secret_clear();
}

TEST(secret_list_takes_what_a_config_has_from_outside_and_under_secret_keys)
{
	static const char text[] = "source: { range: 1-2 }\n"
				   "steps:\n"
				   "  - http:\n"
				   "      url: http://127.0.0.1/${env:WEIR_TEST_PATH}\n"
				   "      headers: { X-Key: '${file:key}' }\n"
				   "      auth: { basic: 'me:pass word' }\n"
				   "sink: { stdout: {} }\n";
	struct plan *plan;
	struct weir_error err = {0};
	setenv("WEIR_TEST_PATH", "se/cret", 1);
	test_write_file("key", "from a file\n");
	int code = spec_parse(text, sizeof text - 1, "p.yaml", test_folder(), NULL, &plan, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	ck_assert_str_eq(hidden("se/cret, se%2Fcret, from a file, me:pass word, bWU6cGFzcyB3b3Jk, http"),
			 "***, ***, ***, ***, ***, http");
	plan_free(plan);
	secret_clear();
}

/* What the first secret of a text stands for. */
static const char *reference_of(const char *text)
{
	const char *reference = NULL;
	size_t bytes, n = strlen(text), at = secret_find(text, n, &bytes, &reference);
	return at == n ? "none" : reference ? reference : "unknown";
}

TEST(secret_is_found_with_what_stands_for_it)
{
	static const char text[] =
		"source: { range: 1-2 }\n"
		"steps:\n"
		"  - http:\n"
		"      url: http://127.0.0.1/${env:WEIR_TEST_PATH}\n"
		"      headers: { X-Key: 'k ${file:key}' }\n"
		"      auth: { basic: '${env:WEIR_TEST_USER}:${env:WEIR_TEST_WORD}' }\n"
		"  - http: { url: http://127.0.0.1/2, auth: { bearer: 'a-${env:WEIR_TEST_WORD}' } }\n"
		"sink: { stdout: {} }\n";
	struct plan *plan;
	struct weir_error err = {0};
	setenv("WEIR_TEST_PATH", "se/cret", 1);
	setenv("WEIR_TEST_USER", "me", 1);
	setenv("WEIR_TEST_WORD", "pass-word", 1);
	test_write_file("key", "from a file\n");
	int code = spec_parse(text, sizeof text - 1, "p.yaml", test_folder(), NULL, &plan, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	ck_assert_str_eq(reference_of("http://127.0.0.1/se/cret"), "${env:WEIR_TEST_PATH}");
	ck_assert_str_eq(reference_of("from a file"), test_format("${file:%s/key}", test_folder()));
	ck_assert_str_eq(reference_of("me:pass-word"), "${env:WEIR_TEST_USER}:${env:WEIR_TEST_WORD}");
	ck_assert_str_eq(reference_of("x pass-word"), "${env:WEIR_TEST_WORD}");
	ck_assert_str_eq(reference_of("a-pass-word"), "unknown"); /* a part of it stands in the file */
	ck_assert_str_eq(reference_of("se%2Fcret"), "unknown");   /* in another form */
	ck_assert_str_eq(reference_of("se/cr"), "unknown");       /* cut */
	ck_assert_str_eq(reference_of("nothing"), "none");
	plan_free(plan);
	secret_clear();
}
