/* SPDX-License-Identifier: MIT */
/* See progress.h.  Both forms are written with one write() each, so that lines of several programs do not mix. */
#include "cmd/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <weir/weir.h>

#define TERMINAL_PERIOD (WEIR_SEC / 10)
#define LINES_PERIOD    WEIR_SEC

enum { COLUMNS_DEFAULT = 80 };

/* What cannot be shown is no reason to stop. */
static void show(const struct buf *text)
{
	if (!text->failed && text->len && write(STDERR_FILENO, text->data, text->len) < 0)
		return;
}

static size_t columns(void)
{
	struct winsize size;
	return !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 20 ? size.ws_col : COLUMNS_DEFAULT;
}

void progress_init(struct progress *progress, struct report *report)
{
	*progress = (struct progress){.report = report, .terminal = isatty(STDERR_FILENO)};
}

static void wipe(struct progress *progress, struct buf *out)
{
	if (progress->drawn)
		buf_add_str(out, "\r\033[K");
	progress->drawn = false;
}

static void draw(struct progress *progress)
{
	struct buf out = {0};
	report_look(progress->report);
	if (progress->terminal) {
		wipe(progress, &out);
		report_line(progress->report, columns(), &out);
		progress->drawn = true;
	} else {
		report_json(progress->report, "progress", &out);
		buf_add_char(&out, '\n');
	}
	show(&out);
	buf_fini(&out);
}

int progress_run(void *arg)
{
	struct progress *progress = arg;
	report_look(progress->report);
	while (!weir_sleep(progress->terminal ? TERMINAL_PERIOD : LINES_PERIOD))
		draw(progress);
	return 0;
}

void progress_note(struct progress *progress, const char *format, ...)
{
	char text[400];
	struct buf out = {0};
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (progress->terminal) {
		wipe(progress, &out);
		buf_addf(&out, "weir: %s\n", text);
	} else {
		buf_add_str(&out, "{\"event\":\"note\",\"text\":");
		buf_add_json_str(&out, text, strlen(text));
		buf_add_str(&out, "}\n");
	}
	show(&out);
	buf_fini(&out);
}

void progress_end(struct progress *progress)
{
	struct buf out = {0};
	report_look(progress->report);
	if (progress->terminal) {
		wipe(progress, &out);
		report_closing(progress->report, &out);
	} else {
		report_json(progress->report, "end", &out);
		buf_add_char(&out, '\n');
	}
	show(&out);
	buf_fini(&out);
}
