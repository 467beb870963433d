/* SPDX-License-Identifier: MIT */
#include "cmd/requests.h"

#include "cmd/changes.h"
#include "cmd/figures.h"
#include "cmd/letters.h"
#include "cmd/visit.h"
#include "cmd/words.h"
#include "data/json_writer.h"
#include "spec/meaning.h"

#include <stdlib.h>
#include <string.h>

/* Where letters go if the state does not keep them; malloc'ed, NULL: it does. */
static char *letters_place(const struct requests *self)
{
	const struct plan *plan = self->plan;
	if (plan->dead_letter.adapter)
		return spec_meaning_place(plan->meaning, "dead_letter");
	return plan->broker.adapter->broker->queue.bury ? NULL : strdup(self->dead_letters);
}

/* elsewhere: where there are letters, too; NULL: nowhere. */
static void answer_count(const struct letters_request *request, uint64_t n, const char *elsewhere, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_uint(out, "n", n);
	if (elsewhere)
		json_put_text(out, "elsewhere", elsewhere);
	if (request->verb == LETTERS_MEND) {
		json_open(out, "missing", '[');
		for (size_t i = 0; i < request->mend_count; i++)
			if (!request->mends[i].done)
				json_put_uint(out, NULL, i);
		json_close(out, ']');
	}
	json_close(out, '}');
}

static int ask_journal(const struct requests *self, const struct letters_line *line, struct buf *out, uint64_t *ret_n,
		       struct weir_error *err, weir_nsec deadline)
{
	const struct journal_ops *journal;
	struct broker *broker;
	if (!self->plan->broker.adapter->broker->journal.letters)
		return 0; /* there are none */
	int code = engine_visit(self->engine, &journal, &broker, err);
	if (code)
		return code;
	if (!line->where)
		code = journal->letters(broker, &line->request, out, ret_n, err, deadline);
	engine_leave(self->engine);
	return code;
}

static int answer_letters(const struct requests *self, const char *words, struct buf *out, struct weir_error *err,
			  weir_nsec deadline)
{
	struct letters_line line;
	uint64_t n = 0;
	int code = letters_parse(words, &line, err);
	if (code)
		return code;
	char *place = line.where ? letters_place(self) : NULL;
	code = ask_journal(self, &line, out, &n, err, deadline);
	if (!code)
		answer_count(&line.request, n, place, out);
	free(place);
	letters_line_fini(&line);
	return code;
}

static int answer_change(const struct requests *self, const char *words, struct buf *out, struct weir_error *err)
{
	struct engine_changes changes;
	if (visit_is_shared(self->plan))
		return weir_error_set(err, WEIR_EINVAL,
				      "its limits are those of all processes that work on the run: weir set %s %s",
				      self->plan->file, words);
	int code = changes_parse(words, &changes, err);
	if (!code)
		code = engine_change(self->engine, &changes, err);
	if (code)
		return code;
	progress_note(self->progress, "set %s", words);
	report_look(self->report);
	words_limits(self->report, out);
	figures_json(self->report, "set", true, out);
	return 0;
}

/* A request is a word, and what it is about. */
void requests_answer(void *arg, const char *request, struct buf *out, weir_nsec deadline)
{
	const struct requests *self = arg;
	struct weir_error err = {0};
	if (!strcmp(request, "status")) {
		report_look(self->report);
		words_status(self->report, out);
		figures_json(self->report, "status", true, out);
		return;
	}
	int code = WEIR_EINVAL;
	if (!strncmp(request, "letters ", 8))
		code = answer_letters(self, request + 8, out, &err, deadline);
	else if (!strncmp(request, "set ", 4))
		code = answer_change(self, request + 4, out, &err);
	else
		weir_error_set(&err, WEIR_EINVAL, "unknown request");
	if (!code)
		return;
	buf_clear(out);
	json_open(out, NULL, '{');
	json_put_text(out, "error", err.text);
	if (code == WEIR_ECLOSED)
		json_put_bool(out, "ended", true);
	json_close(out, '}');
}
