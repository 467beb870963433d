/* SPDX-License-Identifier: MIT */
/* A word means to a shell what it was made from, and shows no secret. */
#include "data/secret.h"
#include "data/shell.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *word(const char *text)
{
	struct buf out = {0};
	shell_add_word(&out, text, strlen(text));
	const char *kept = test_format("%s", out.data);
	buf_fini(&out);
	return kept;
}

TEST(shell_word_is_quoted_where_a_shell_needs_it)
{
	ck_assert_str_eq(word("http://127.0.0.1:8080/orders/1"), "http://127.0.0.1:8080/orders/1");
	ck_assert_str_eq(word(""), "''");
	ck_assert_str_eq(word("a b"), "'a b'");
	ck_assert_str_eq(word("http://h/?a=1&b=2"), "'http://h/?a=1&b=2'");
	ck_assert_str_eq(word("$HOME `id` \"x\""), "'$HOME `id` \"x\"'");
	ck_assert_str_eq(word("it's"), "'it'\\''s'");
	ck_assert_str_eq(word("\xc3\xa4"), "'\xc3\xa4'");
}

/* A terminal would obey it, or show another text than what is copied. */
TEST(shell_word_shows_what_a_terminal_would_not)
{
	ck_assert_str_eq(word("a\nb"), "$'a\\nb'");
	ck_assert_str_eq(word("\x1b[31mit's \\"), "$'\\033[31mit\\'s \\\\'");
	ck_assert_str_eq(word("\xe2\x80\xae"), "$'\\342\\200\\256'");
}

TEST(shell_word_has_the_reference_in_place_of_a_secret)
{
	ck_assert_int_eq(secret_add_reference("c4n4ry-7731", 11, "${env:TOKEN}"), 0);
	ck_assert_int_eq(secret_add_reference("hunter-22", 9, "${file:/run/my key}"), 0);
	ck_assert_int_eq(secret_add("plain-5", 7), 0);
	ck_assert_str_eq(word("Authorization: Bearer c4n4ry-7731"), "\"Authorization: Bearer $TOKEN\"");
	ck_assert_str_eq(word("c4n4ry-7731x"), "\"${TOKEN}x\"");
	ck_assert_str_eq(word("k=hunter-22"), "\"k=$(cat '/run/my key')\"");
	ck_assert_str_eq(word("{\"token\":\"c4n4ry-7731\"}"), "'{\"token\":\"'\"$TOKEN\"'\"}'");
	ck_assert_str_eq(word("X: plain-5"), "'X: ***'");
	ck_assert_str_eq(word("plain-5 c4n4ry-7731"), "\"*** $TOKEN\"");
	secret_clear();
}

/* A reference in the text itself is only text: what an item holds cannot read the environment of who copies it. */
TEST(shell_word_takes_no_reference_from_the_text)
{
	ck_assert_int_eq(secret_add_reference("c4n4ry-7731", 11, "${env:TOKEN}"), 0);
	ck_assert_str_eq(word("${env:TOKEN}"), "'${env:TOKEN}'");
	ck_assert_str_eq(word("c4n4ry-7731 $(id)"), "\"$TOKEN\"' $(id)'");
	secret_clear();
}

TEST(shell_word_names_several_references)
{
	ck_assert_int_eq(secret_add_reference("me:hunter-22", 12, "${env:USER}:${env:PASS}"), 0);
	ck_assert_int_eq(secret_add_reference("abcdef", 6, "${env:no name}"), 0);
	ck_assert_str_eq(word("me:hunter-22"), "\"$USER:$PASS\"");
	ck_assert_str_eq(word("abcdef"), "\"***\"");
	secret_clear();
}

/* A shell is asked. */
TEST(shell_word_is_understood_by_a_shell)
{
	static const char *const texts[] = {"a b", "it's", "\"$HOME\"", "\\", "!", "*", "~", "-n", "#x", "a=~", ""};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char got[64] = "", command[256];
		snprintf(command, sizeof command, "printf %%s %s", word(texts[i]));
		FILE *pipe = popen(command, "re");
		size_t n = fread(got, 1, sizeof got - 1, pipe);
		got[n] = 0;
		ck_assert_int_eq(pclose(pipe), 0);
		ck_assert_str_eq(got, texts[i]);
	}
}
