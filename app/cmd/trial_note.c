/* SPDX-License-Identifier: MIT */
#include "cmd/trial_note.h"

#include "data/json.h"
#include "data/json_writer.h"
#include "data/secret.h"

static double in_ms(weir_nsec time)
{
	return (double)time / (double)WEIR_MSEC;
}

/* A value without secrets; one that is no JSON without them, or never was, as text. */
static void put_hidden(struct buf *out, const char *name, const char *text, size_t n)
{
	struct buf copy = {0};
	struct json *json = NULL;
	buf_add(&copy, text, n);
	n = copy.len ? secret_hide(copy.data, copy.len) : 0;
	if (n && json_parse(copy.data, n, &json, NULL) == 0)
		json_put_value(out, name, json);
	else
		json_put_bytes(out, name, copy.data ? copy.data : "", n);
	out->failed = out->failed || copy.failed;
	json_free(json);
	buf_fini(&copy);
}

static void put_renamed(struct buf *out, const char *name, const struct json *evidence, const char *member)
{
	const struct json *value = json_member(evidence, member);
	if (value)
		json_put_value(out, name, value);
}

/* The pairs of http (port/evidence.h), by request and response. */
static void put_exchange(struct buf *out, const struct json *evidence, const struct step_call *call)
{
	if (!json_member(evidence, "method"))
		return;
	json_open(out, "request", '{');
	put_renamed(out, "method", evidence, "method");
	put_renamed(out, "url", evidence, json_member(evidence, "final_url") ? "final_url" : "url");
	put_renamed(out, "headers", evidence, "sent_headers");
	put_renamed(out, "body", evidence, "sent");
	put_renamed(out, "body_bytes", evidence, "sent_bytes");
	put_renamed(out, "curl", evidence, "curl");
	json_close(out, '}');
	if (json_member(evidence, "status")) {
		json_open(out, "response", '{');
		put_renamed(out, "status", evidence, "status");
		put_renamed(out, "headers", evidence, "headers");
		put_renamed(out, "body", evidence, "answer");
		put_renamed(out, "body_bytes", evidence, "answer_bytes");
		json_put_real(out, "latency_ms", in_ms(call->took), 1);
		json_close(out, '}');
	}
	json_put_uint(out, "attempts", call->sent);
}

static const char *name_verdict(const struct trial_run *run, size_t outputs)
{
	switch (run->verdict) {
	case STEP_OK:
		if (run->call->permit->next)
			return "followed";
		return outputs ? "ok" : "dropped";
	case STEP_RETRY:
		return "retry";
	case STEP_REFUSED:
		return run->call->pause ? "pause" : "refused";
	case STEP_WAIT:
		return "waits";
	default:
		return "dead";
	}
}

static void put_outputs(struct buf *out, const struct trial_run *run, size_t made)
{
	json_open(out, "outputs", '[');
	for (size_t i = run->before; i < run->before + made; i++)
		put_hidden(out, NULL, run->call->outputs->values[i].data, run->call->outputs->values[i].len);
	json_close(out, ']');
}

void trial_note_step(struct trial_note *note, const struct trial_run *run)
{
	struct buf *out = &note->json, object = {0};
	struct json *json = NULL;
	size_t made = run->verdict == STEP_OK ? run->call->outputs->n - run->before : 0;
	buf_clear(out);
	json_open(out, NULL, '{');
	json_put_uint(out, "step", run->step);
	json_put_text(out, "kind", run->kind);
	json_open(&object, NULL, '{');
	json_put_raw(&object, NULL, run->evidence->data, run->evidence->len);
	json_close(&object, '}');
	if (object.failed || run->evidence->failed)
		out->failed = true;
	else if (json_parse(object.data, object.len, &json, NULL) == 0)
		put_exchange(out, json, run->call);
	json_put_text(out, "verdict", name_verdict(run, made));
	json_put_text(out, "why", run->verdict == STEP_OK ? NULL : run->call->why);
	put_outputs(out, run, made);
	json_put_real(out, "ms", in_ms(run->took), 1);
	json_close(out, '}');
	json_put_raw(&note->steps, NULL, out->data, out->len);
	note->steps.failed = note->steps.failed || out->failed;
	json_free(json);
	buf_fini(&object);
}

static void open_whole(struct trial_note *note)
{
	buf_clear(&note->json);
	json_open(&note->json, NULL, '{');
	json_put_raw(&note->json, NULL, note->item.data, note->item.len);
	note->json.failed = note->json.failed || note->item.failed;
}

void trial_note_begin(struct trial_note *note, const struct item *item)
{
	note->begun = weir_clock();
	buf_clear(&note->item);
	buf_clear(&note->steps);
	buf_clear(&note->rows);
	put_hidden(&note->item, "item", item->source.data, item->source.len);
	json_put_uint(&note->item, "position", item->position);
	open_whole(note);
	json_close(&note->json, '}');
}

void trial_note_row(struct trial_note *note, const char *row, size_t n)
{
	put_hidden(&note->rows, NULL, row, n);
}

void trial_note_no_rows(struct trial_note *note)
{
	buf_clear(&note->rows);
}

void trial_note_end(struct trial_note *note, const char *result, const char *why)
{
	struct buf *out = &note->json;
	open_whole(note);
	json_open(out, "steps", '[');
	json_put_raw(out, NULL, note->steps.data, note->steps.len);
	json_close(out, ']');
	json_open(out, "rows", '[');
	json_put_raw(out, NULL, note->rows.data, note->rows.len);
	json_close(out, ']');
	json_put_text(out, "result", result);
	json_put_text(out, "why", why);
	json_put_real(out, "ms", in_ms(weir_clock() - note->begun), 1);
	json_close(out, '}');
	out->failed = out->failed || note->steps.failed || note->rows.failed;
}

void trial_note_fini(struct trial_note *note)
{
	buf_fini(&note->json);
	buf_fini(&note->item);
	buf_fini(&note->steps);
	buf_fini(&note->rows);
}
