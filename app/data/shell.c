/* SPDX-License-Identifier: MIT */
/*
 * A word is made of pieces, which alternate: text, and references.  In double quotes if the text has nothing that means
 * something there, else each piece in its own:
 *
 *     "Authorization: Bearer $TOKEN"           '{"token":"'"$TOKEN"'"}'
 */
#include "data/shell.h"

#include <stdbool.h>
#include <string.h>

#include "data/secret.h"

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"

static bool is_plain(const char *text, size_t n)
{
	static const char plain[] = NAME_BYTES "%+,-./:=@";
	for (size_t i = 0; i < n; i++)
		if (!text[i] || !strchr(plain, text[i]))
			return false;
	return n;
}

/* Whether a terminal shows it as it is. */
static bool is_visible(const char *text, size_t n)
{
	struct buf visible = {0};
	buf_add_visible(&visible, text, n, false);
	bool same = visible.len == n && (!n || memcmp(visible.data, text, n) == 0);
	buf_fini(&visible);
	return same;
}

static void add_escaped(struct buf *out, const char *text, size_t n)
{
	buf_add_str(out, "$'");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\n')
			buf_add_str(out, "\\n");
		else if (c < ' ' || c >= 0x7F)
			buf_addf(out, "\\%03o", c);
		else
			buf_addf(out, c == '\'' || c == '\\' ? "\\%c" : "%c", c);
	}
	buf_add_char(out, '\'');
}

static void add_quoted(struct buf *out, const char *text, size_t n)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\'')
			buf_add_str(out, "'\\''");
		else
			buf_add_char(out, text[i]);
	buf_add_char(out, '\'');
}

static void add_text(struct buf *out, const char *text, size_t n)
{
	if (is_plain(text, n))
		buf_add(out, text, n);
	else if (is_visible(text, n))
		add_quoted(out, text, n);
	else
		add_escaped(out, text, n);
}

/* ---- references */

/* Where there is a variable that a name in braces leads to. */
static bool is_name(const char *name, size_t n)
{
	return n && strspn(name, NAME_BYTES) >= n && !(*name >= '0' && *name <= '9');
}

/* "${env:TOKEN}" as "$TOKEN", "${file:/path}" as "$(cat /path)", inside double quotes; next: what stands behind it.
 * Several go one by one. */
static void add_reference(struct buf *out, const char *reference, char next)
{
	static const char env[] = "${env:", file[] = "${file:";
	while (*reference) {
		bool is_env = strncmp(reference, env, strlen(env)) == 0;
		const char *end = strchr(reference, '}');
		if (!end || (!is_env && strncmp(reference, file, strlen(file)) != 0)) {
			buf_add_char(out, *reference++);
			continue;
		}
		reference += is_env ? strlen(env) : strlen(file);
		size_t n = (size_t)(end - reference);
		char after = end[1] ? end[1] : next;
		if (!is_env) {
			buf_add_str(out, "$(cat ");
			add_text(out, reference, n);
			buf_add_char(out, ')');
		} else if (is_name(reference, n)) {
			bool goes_on = after && strchr(NAME_BYTES, after);
			buf_addf(out, goes_on ? "${%.*s}" : "$%.*s", (int)n, reference);
		} else {
			buf_add_str(out, "***");
		}
		reference = end + 1;
	}
}

/* ---- words */

/* Without the secrets that nothing stands for. */
static void hide_nameless(struct buf *out, const char *text, size_t n)
{
	const char *reference;
	for (size_t at, bytes; n; text += at + bytes, n -= at + bytes) {
		at = secret_find(text, n, &bytes, &reference);
		bytes = at < n ? bytes : 0;
		buf_add(out, text, at);
		if (bytes && reference)
			buf_add(out, text + at, bytes);
		else if (bytes)
			buf_add_str(out, "***");
	}
}

/* Whether double quotes keep the text between the references as it is, and there are any. */
static bool suits_double_quotes(const char *text, size_t n)
{
	const char *reference = NULL;
	bool suits = true, found = false;
	for (size_t at, bytes; n && suits; text += at + bytes, n -= at + bytes) {
		at = secret_find(text, n, &bytes, &reference);
		found = found || at < n;
		bytes = at < n ? bytes : 0;
		for (size_t i = 0; i < at && suits; i++)
			suits = !strchr("\"$`\\!", text[i]);
		suits = suits && is_visible(text, at);
	}
	return suits && found;
}

static void add_pieces(struct buf *out, const char *text, size_t n, bool in_quotes)
{
	const char *reference = NULL;
	for (size_t at, bytes; n; text += at + bytes, n -= at + bytes) {
		at = secret_find(text, n, &bytes, &reference);
		bytes = at < n ? bytes : 0;
		if (in_quotes)
			buf_add(out, text, at);
		else if (at)
			add_text(out, text, at);
		if (!bytes)
			continue;
		buf_add_str(out, in_quotes ? "" : "\"");
		add_reference(out, reference ? reference : "***", in_quotes && at + bytes < n ? text[at + bytes] : 0);
		buf_add_str(out, in_quotes ? "" : "\"");
	}
}

void shell_add_word(struct buf *out, const char *text, size_t n)
{
	struct buf word = {0};
	hide_nameless(&word, text, n);
	bool in_quotes = word.len && suits_double_quotes(word.data, word.len);
	if (!word.len)
		buf_add_str(out, "''");
	buf_add_str(out, in_quotes ? "\"" : "");
	add_pieces(out, word.data, word.len, in_quotes);
	buf_add_str(out, in_quotes ? "\"" : "");
	out->failed = out->failed || word.failed;
	buf_fini(&word);
}
