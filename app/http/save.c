/* SPDX-License-Identifier: MIT */
/*
 * The body of a good answer becomes a file (saved.h), and an object that says where it is becomes the answer:
 *
 *     {"path": "out/7.jpg", "bytes": 90412, "sha256": "…", "status": 200, "content_type": "image/jpeg"}
 *
 * A long body goes there while it comes, if its status says that it is good.  Whether it is, is known at its end: then
 * the file gets its name, or is removed.  Only after that the permit is given back, so that a disk that is slow or full
 * holds up further requests.
 *
 *     no room                      waits for it with all that has come; if that takes too long, the item waits, and
 *                                  its request is made again, which uses up no attempt
 *     too large, or not allowed    a dead letter
 *     the disk fails               another attempt
 */
#include "http/exchange.h"

#include "http/place.h"

#include <errno.h>
#include <stdio.h>
#include <weir/run.h>

#define ROOM_PERIOD  (WEIR_SEC / 2) /* how often to look whether there is room again */
#define AGAIN_AFTER  (5 * WEIR_SEC)
#define DAMAGED_MOST 2

/* ---- while the body comes */

static bool wants(const void *arg, int status)
{
	const struct http_saving *saving = arg;
	const struct http_response so_far = {.status = status};
	return step_http_by_status(saving->step->config, &so_far).then == STEP_HTTP_OK;
}

/* What is done to the file until there is room for it. */
static int wait_for_room(struct http_saving *saving, int error, int (*again)(struct http_saved *file))
{
	struct http_step *step = saving->step;
	bool is_full = error == WEIR_ENOSPC;
	if (is_full) {
		step->full_count++;
		snprintf(step->full, sizeof step->full, "%s", http_saved_path(saving->file));
	}
	while (error == WEIR_ENOSPC) {
		error = weir_sleep(ROOM_PERIOD);
		error = error < 0 ? error : again(saving->file);
	}
	step->full_count -= is_full;
	saving->was_full = saving->was_full || is_full;
	saving->error = error;
	return error;
}

static int write_on(struct http_saved *file)
{
	return http_saved_write(file, "", NULL, 0);
}

static int take(void *arg, const struct http_response *response, const char *bytes, size_t n)
{
	struct http_saving *saving = arg;
	int error = http_saved_write(saving->file, response->encoding, bytes, n);
	return wait_for_room(saving, error, write_on);
}

/* ---- before the request */

/* Of the item, and of the step if there are several. */
static void write_mark(const struct http_step *step, const struct step_call *call, struct buf *out)
{
	step_put_key(call, out);
	buf_addf(out, "-%zu", step->key_number);
}

enum step_verdict step_http_save_open(struct http_step *step, struct step_call *call,
				      const struct template_input *input, struct exchange *x)
{
	const struct step_http_config *config = step->config;
	struct http_saving *saving = &x->saving;
	struct weir_error err = {0};
	struct buf path = {0}, mark = {0};
	if (!config->save.path.template)
		return STEP_OK;
	int error = template_render(config->save.path.template, input, &path, &err);
	write_mark(step, call, &mark);
	if (error == 0 && (path.failed || mark.failed))
		error = WEIR_ENOMEM;
	const struct http_saved_options opts = {.path = path.data,
						.folder_bytes = http_place_folder(config->save.path.template),
						.mark = mark.data,
						.most = config->max_body,
						.replaces = config->save.replace,
						.is_trial = call->explain};
	if (error == 0)
		error = http_saved_new(&opts, &saving->file);
	buf_fini(&path);
	buf_fini(&mark);
	if (error == WEIR_EDATA)
		return step_say(call, STEP_DEAD, "save: %.200s", err.text);
	if (error < 0)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	saving->step = step;
	saving->sink = (struct http_sink){.wants = wants, .take = take, .arg = saving};
	return STEP_OK;
}

/* ---- after it */

static enum step_verdict say_failed(const struct http_step *step, struct step_call *call, const struct exchange *x,
				    int error)
{
	const char *wrong = http_saved_wrong(x->saving.file);
	switch (error) {
	case WEIR_ENOSPC:
	case WEIR_EMFILE:
	case -ENFILE:
		call->after = AGAIN_AFTER;
		return step_say(call, STEP_REFUSED, "save: %s; tried again when there is room", wrong);
	case WEIR_ENOMEM:
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	case WEIR_ETIMEDOUT:
		return step_say(call, STEP_RETRY, "timeout: the attempt took too long (flow.timeout.attempt)");
	case -E2BIG:
		return step_http_say_too_large(step, call, wrong, &x->response);
	case WEIR_EDATA:
		return step_say(call, call->attempt < DAMAGED_MOST ? STEP_RETRY : STEP_DEAD, "protocol: %s", wrong);
	case WEIR_EIO:
		return step_say(call, STEP_RETRY, "save: %s", wrong);
	default:
		return step_say(call, STEP_DEAD, "save: %s", wrong);
	}
}

/* The rest of the body, and its end. */
static void save_rest(struct exchange *x)
{
	struct http_saving *saving = &x->saving;
	struct http_response *response = &x->response;
	const char *encoding = response->is_handed_on ? response->encoding : "";
	int error = http_saved_write(saving->file, encoding, response->body, response->body_bytes);
	if (wait_for_room(saving, error, write_on) == 0)
		wait_for_room(saving, http_saved_finish(saving->file), http_saved_finish);
}

/* Of a call that has ended with that error: a time limit that has passed while there was no room says nothing of the
 * upstream. */
static bool is_late(const struct exchange *x, int error)
{
	bool ended = error == WEIR_ETIMEDOUT || x->saving.error == WEIR_ETIMEDOUT;
	return x->saving.was_full && (ended || (error == 0 && x->response.failure != HTTP_ANSWERED));
}

enum step_verdict step_http_save(const struct http_step *step, struct step_call *call, struct exchange *x, int *error)
{
	struct http_saving *saving = &x->saving;
	bool is_whole = *error == 0 && x->response.failure == HTTP_ANSWERED;
	if (!saving->file || *error == WEIR_ECANCELED)
		return STEP_OK;
	if (is_whole && x->verdict.then == STEP_HTTP_OK && !step_http_is_followed(step, call, x))
		save_rest(x);
	if (saving->error == WEIR_ECANCELED)
		return STEP_CANCELED;
	if (is_late(x, *error))
		saving->error = *error = WEIR_ENOSPC;
	return saving->error ? say_failed(step, call, x, saving->error) : STEP_OK;
}

void step_http_save_close(const struct step_call *call, struct exchange *x, enum step_verdict verdict)
{
	bool is_last = verdict == STEP_DEAD || (verdict == STEP_RETRY && call->last_attempt);
	http_saved_free(x->saving.file, is_last);
}
