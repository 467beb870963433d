/* SPDX-License-Identifier: MIT */
/* See terminal.h. */
#include "data/terminal.h"

#include "data/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_LEAST = 20 };

/* From here on characters are counted as two columns: no table of widths, and never too few. */
enum { WIDE_LEAD = 0xE1 };

void terminal_add(struct buf *out, const char *text)
{
	buf_add_visible(out, text, strlen(text), false);
}

static int put(FILE *to, const char *text, size_t n, bool lines)
{
	struct buf out = {0};
	int code = buf_add_visible(&out, text, n, lines);
	if (!code && out.len && fwrite(out.data, 1, out.len, to) != out.len)
		code = -errno;
	buf_fini(&out);
	return code;
}

void terminal_put(FILE *to, const char *text)
{
	put(to, text, strlen(text), false);
}

void terminal_put_bytes(FILE *to, const char *text, size_t n)
{
	put(to, text, n, false);
}

void terminal_put_lines(FILE *to, const char *text, size_t n)
{
	put(to, text, n, true);
}

int terminal_put_exact(FILE *to, const char *text, size_t n)
{
	if (isatty(fileno(to)))
		return put(to, text, n, true);
	return fwrite(text, 1, n, to) == n ? 0 : -errno;
}

/* ---- what it can do */

static bool is_set(const char *name)
{
	const char *value = getenv(name);
	return value && *value;
}

static bool has_utf8(void)
{
	const char *name = is_set("LC_ALL") ? "LC_ALL" : is_set("LC_CTYPE") ? "LC_CTYPE" : "LANG";
	const char *locale = getenv(name);
	return locale && (strcasestr(locale, "UTF-8") || strcasestr(locale, "UTF8"));
}

void terminal_look(int fd, struct terminal *ret_terminal)
{
	struct winsize size;
	const char *term = getenv("TERM");
	bool is_one = isatty(fd), obeys = is_one && term && *term && strcmp(term, "dumb") != 0;
	bool knows = is_one && !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col >= COLUMNS_LEAST;
	*ret_terminal = (struct terminal){
		.is_one = is_one,
		.obeys = obeys,
		.colours = obeys && !is_set("NO_COLOR"),
		.utf8 = has_utf8(),
		.columns = knows ? size.ws_col : COLUMNS_DEFAULT,
	};
}

bool terminal_is_ours(int fd)
{
	pid_t group = tcgetpgrp(fd);
	return group < 0 || group == getpgrp(); /* negative: it is a terminal, but not the one that controls us */
}

/* ---- drawing */

void terminal_add_ink(struct buf *out, const struct terminal *terminal, enum terminal_ink ink, const char *text)
{
	static const char *const inks[] = {"", "\033[31m", "\033[32m", "\033[33m", "\033[2m"};
	bool is_inked = terminal->colours && ink != INK_NONE;
	buf_addf(out, "%s%s%s", is_inked ? inks[ink] : "", text, is_inked ? "\033[0m" : "");
}

static size_t columns_of(char lead)
{
	return (unsigned char)lead >= WIDE_LEAD ? 2 : 1;
}

static size_t width_of(const char *text, size_t n)
{
	size_t width = 0;
	for (size_t i = 0; i < n; i++)
		width += utf8_is_tail((unsigned char)text[i]) ? 0 : columns_of(text[i]);
	return width;
}

size_t terminal_add_cut(struct buf *out, const struct terminal *terminal, const char *text, size_t n, size_t columns)
{
	struct buf visible = {0};
	buf_add_visible(&visible, text, n, false);
	bool fits = !visible.len || width_of(visible.data, visible.len) <= columns;
	size_t room = fits || columns < 3 ? columns : columns - 3, width = 0;
	for (size_t at = 0; at < visible.len; at += n) {
		n = utf8_length(visible.data + at, visible.len - at);
		if (width + columns_of(visible.data[at]) > room)
			break;
		width += columns_of(visible.data[at]);
		buf_add(out, n > 1 && !terminal->utf8 ? "?" : visible.data + at, n > 1 && !terminal->utf8 ? 1 : n);
	}
	if (!fits && columns >= 3)
		buf_add_str(out, "...");
	buf_fini(&visible);
	return fits || columns < 3 ? width : width + 3;
}

size_t terminal_take(const char *text, size_t n, size_t columns)
{
	size_t at = 0, width = 0;
	while (at < n && (!at || width + columns_of(text[at]) <= columns)) {
		size_t length = utf8_length(text + at, n - at);
		width += columns_of(text[at]);
		at += length ? length : 1;
	}
	return at;
}

size_t terminal_fold(const char *text, size_t columns)
{
	size_t n = strlen(text), at = columns;
	if (n <= columns)
		return n;
	while (at && text[at] != ' ')
		at--;
	return at ? at : columns;
}

void terminal_complain(const char *who, const char *format, ...)
{
	char text[1024];
	struct buf line = {0};
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	terminal_add(&line, who);
	buf_add_str(&line, ": ");
	terminal_add(&line, text);
	buf_add_char(&line, '\n');
	if (!line.failed)
		fwrite(line.data, 1, line.len, stderr);
	buf_fini(&line);
}
