/* SPDX-License-Identifier: MIT */
/*
 * See progress.h.  What is shown is written with one write() each, so that lines of several programs do not mix.
 *
 * The cursor rests in the line below the block, where a ^C does no harm.  To draw the block again it goes up as many
 * rows as the lines take now: those of a terminal that became narrower were wrapped.
 */
#include "cmd/progress.h"

#include "cmd/card.h"
#include "cmd/figures.h"
#include "data/json_writer.h"
#include "data/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#define BAR_PERIOD   (WEIR_SEC / 10)
#define LOOK_PERIOD  WEIR_SEC
#define PLAIN_PERIOD (30 * WEIR_SEC)

static const char *const form_names[] = {"auto", "bar", "plain", "json", "none"};

int progress_form_read(const char *word, enum progress_form *ret_form, struct weir_error *err)
{
	struct names names = {0};
	struct buf known = {0};
	for (int form = PROGRESS_AUTO; form <= PROGRESS_NONE; form++) {
		names_add(&names, form_names[form]);
		if (!strcmp(word, form_names[form])) {
			*ret_form = (enum progress_form)form;
			return 0;
		}
	}
	names_describe(&names, word, &known);
	int code = weir_error_set(err, WEIR_EINVAL, "there is no form \"%.80s\"%s", word, known.data ? known.data : "");
	buf_fini(&known);
	return code;
}

void progress_init(struct progress *progress, struct report *report, enum progress_form form, bool is_shared)
{
	*progress = (struct progress){.report = report, .form = form, .shown_at = weir_now()};
	terminal_look(STDERR_FILENO, &progress->terminal);
	if (form == PROGRESS_AUTO)
		progress->form = is_shared ? PROGRESS_PLAIN : PROGRESS_BAR;
	if (progress->form == PROGRESS_BAR && !progress->terminal.obeys)
		progress->form = PROGRESS_PLAIN;
}

/* What cannot be shown is no reason to stop. */
static void show(const struct buf *text)
{
	if (!text->failed && text->len && write(STDERR_FILENO, text->data, text->len) < 0)
		return;
}

/* Of texts that have something from outside in them, as they are. */
static void show_visible(const struct buf *text)
{
	struct buf visible = {0};
	buf_add_visible(&visible, text->data, text->len, true);
	show(&visible);
	buf_fini(&visible);
}

/* ---- the block */

/* After a while without a drawing the process was stopped, and others have written since. */
static void forget_block(struct progress *progress)
{
	buf_fini(&progress->block.text);
	progress->block = (struct block){0};
}

static size_t rows_of(const struct block *block, size_t columns)
{
	size_t rows = 0;
	for (size_t i = 0; i < block->lines; i++)
		rows += block->widths[i] > columns ? (block->widths[i] + columns - 1) / columns : 1;
	return rows;
}

/* To where the block begins. */
static void go_up(struct progress *progress, struct buf *out)
{
	terminal_look(STDERR_FILENO, &progress->terminal);
	if (weir_now() - progress->shown_at > LOOK_PERIOD)
		forget_block(progress);
	size_t rows = rows_of(&progress->block, progress->terminal.columns);
	if (rows)
		buf_addf(out, "\r\033[%zuA", rows);
	forget_block(progress);
}

static void wipe(struct progress *progress, struct buf *out)
{
	bool is_drawn = progress->block.lines;
	go_up(progress, out);
	if (is_drawn)
		buf_add_str(out, "\033[J");
}

static void draw_block(struct progress *progress)
{
	struct buf out = {0};
	if (!terminal_is_ours(STDERR_FILENO)) {
		forget_block(progress);
		return;
	}
	go_up(progress, &out);
	block_make(progress->report, &progress->terminal, &progress->block);
	buf_add(&out, progress->block.text.data, progress->block.text.len);
	buf_add_str(&out, "\033[J");
	show(&out);
	progress->shown_at = weir_now();
	buf_fini(&out);
}

/* ---- the forms */

static void show_line(struct progress *progress)
{
	struct buf line = {0};
	block_add_line(progress->report, &line);
	buf_add_char(&line, '\n');
	show_visible(&line);
	buf_fini(&line);
	progress->shown_at = weir_now();
}

static void show_event(struct progress *progress, const char *event)
{
	struct buf line = {0};
	figures_json(progress->report, event, true, &line);
	buf_add_char(&line, '\n');
	show_visible(&line);
	buf_fini(&line);
}

int progress_run(void *arg)
{
	struct progress *progress = arg;
	report_look(progress->report);
	while (!weir_sleep(progress->form == PROGRESS_BAR ? BAR_PERIOD : LOOK_PERIOD)) {
		report_look(progress->report);
		if (progress->form == PROGRESS_BAR)
			draw_block(progress);
		else if (progress->form == PROGRESS_JSON)
			show_event(progress, "progress");
		else if (progress->form == PROGRESS_PLAIN && weir_now() - progress->shown_at >= PLAIN_PERIOD)
			show_line(progress);
	}
	return 0;
}

void progress_note(struct progress *progress, const char *format, ...)
{
	char text[400];
	struct buf out = {0};
	va_list args;
	if (progress->form == PROGRESS_NONE)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (progress->form == PROGRESS_JSON) {
		json_open(&out, NULL, '{');
		json_put_text(&out, "event", "note");
		if (progress->report->now.run)
			json_put_text(&out, "run", progress->report->now.run);
		json_put_text(&out, "text", text);
		buf_add_str(&out, "}\n");
		show_visible(&out);
	} else {
		wipe(progress, &out);
		buf_add_str(&out, "weir: ");
		terminal_add(&out, text);
		buf_add_char(&out, '\n');
		show(&out);
	}
	buf_fini(&out);
}

void progress_end(struct progress *progress, int exit_code)
{
	struct buf out = {0};
	report_look(progress->report);
	if (progress->form == PROGRESS_JSON)
		show_event(progress, "end");
	if (progress->form == PROGRESS_JSON || progress->form == PROGRESS_NONE)
		return;
	wipe(progress, &out);
	card_make(progress->report, exit_code, &progress->terminal, &out);
	show(&out);
	buf_fini(&out);
}
