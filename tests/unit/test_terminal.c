/* SPDX-License-Identifier: MIT */
/* Text on its way to a terminal: what has room, in which characters, in which colour. */
#include "data/terminal.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect_cut(const char *text, size_t columns, bool utf8, const char *expected, size_t width)
{
	const struct terminal terminal = {.utf8 = utf8};
	struct buf out = {0};
	ck_assert_uint_eq(terminal_add_cut(&out, &terminal, text, strlen(text), columns), width);
	ck_assert_str_eq(out.data ? out.data : "", expected);
	buf_fini(&out);
}

TEST(terminal_cut_counts_columns_not_bytes)
{
	expect_cut("caf\xC3\xA9", 4, true, "caf\xC3\xA9", 4);
	expect_cut("caf\xC3\xA9s au lait", 7, true, "caf\xC3\xA9...", 7);
	expect_cut("caf\xC3\xA9", 4, false, "caf?", 4);
	expect_cut("\xE6\xB0\xB4\xE6\xB0\xB4", 4, true, "\xE6\xB0\xB4\xE6\xB0\xB4", 4); /* each of two columns */
	expect_cut("\xE6\xB0\xB4\xE6\xB0\xB4\xE6\xB0\xB4", 5, true, "\xE6\xB0\xB4...", 5);
	expect_cut("\x1b[31m", 20, true, "\\u001b[31m", 10);
	expect_cut("abc", 2, true, "ab", 2);
	expect_cut("", 5, true, "", 0);
}

TEST(terminal_folds_at_blanks)
{
	ck_assert_uint_eq(terminal_fold("one two three", 13), 13);
	ck_assert_uint_eq(terminal_fold("one two three", 12), 7);
	ck_assert_uint_eq(terminal_fold("one two three", 7), 7);
	ck_assert_uint_eq(terminal_fold("one two three", 6), 3);
	ck_assert_uint_eq(terminal_fold("onetwothree", 5), 5);
}

TEST(terminal_ink_is_there_only_with_colours)
{
	struct buf out = {0};
	struct terminal terminal = {.colours = false};
	terminal_add_ink(&out, &terminal, INK_RED, "no ");
	terminal.colours = true;
	terminal_add_ink(&out, &terminal, INK_NONE, "none ");
	terminal_add_ink(&out, &terminal, INK_RED, "red");
	ck_assert_str_eq(out.data, "no none \033[31mred\033[0m");
	buf_fini(&out);
}

TEST(terminal_characters_are_those_of_the_locale)
{
	static const struct {
		const char *all, *type, *lang;
		bool utf8;
	} cases[] = {{"", "", "", false},  {"", "", "de_DE.UTF-8", true}, {"", "", "en_US.utf8", true},
		     {"", "", "C", false}, {"C", "", "C.UTF-8", false},   {"", "C.UTF-8", "C", true}};
	struct terminal terminal;
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		setenv("LC_ALL", cases[i].all, true);
		setenv("LC_CTYPE", cases[i].type, true);
		setenv("LANG", cases[i].lang, true);
		terminal_look(ends[1], &terminal);
		ck_assert_msg(terminal.utf8 == cases[i].utf8, "case %zu", i);
		ck_assert(!terminal.is_one && !terminal.obeys && !terminal.colours && terminal.columns == 80);
	}
	close(ends[0]);
	close(ends[1]);
}

TEST(terminal_take_never_takes_half_a_character)
{
	ck_assert_uint_eq(terminal_take("abcdef", 6, 4), 4);
	ck_assert_uint_eq(terminal_take("abc", 3, 4), 3);
	ck_assert_uint_eq(terminal_take("a\xc3\xa4\xc3\xb6", 5, 2), 3);
	ck_assert_uint_eq(terminal_take("\xe4\xb8\xad\xe6\x96\x87", 6, 3), 3); /* two columns each */
	ck_assert_uint_eq(terminal_take("\xe4\xb8\xad", 3, 1), 3);             /* it has to go somewhere */
	ck_assert_uint_eq(terminal_take("", 0, 4), 0);
}
