/* SPDX-License-Identifier: MIT */
#include "otlp/sender.h"

#include "data/json.h"

#include <stdlib.h>
#include <string.h>
#include <weir/backoff.h>
#include <weir/run.h>

#define GIVE_UP (60 * WEIR_SEC)

static const struct weir_backoff backoff = {WEIR_SEC, 30 * WEIR_SEC, WEIR_JITTER_EQUAL};

const char *otlp_loss_name(enum otlp_loss loss)
{
	static const char *const names[] = {
#define OTLP_X(name, text) text,
		OTLP_LOSSES(OTLP_X)
#undef OTLP_X
	};
	return names[loss];
}

/* Counters, of which each is read by itself. */
void otlp_lose(struct otlp_sender *sender, enum otlp_loss loss, uint64_t n)
{
	atomic_fetch_add_explicit(&sender->lost[loss], n, memory_order_relaxed);
}

/* "rejectedSpans" or "rejectedDataPoints" of "partialSuccess": a text, or a number. */
static uint64_t rejected(const struct otlp_answer *answer, uint64_t most)
{
	static const char *const names[] = {"rejectedSpans", "rejectedDataPoints"};
	struct json *json = NULL;
	uint64_t n = 0;
	if (!answer->body || json_parse(answer->body, answer->body_bytes, &json, NULL))
		return 0;
	const struct json *partial = json_type(json) == JSON_OBJECT ? json_member(json, "partialSuccess") : NULL;
	bool is_object = partial && json_type(partial) == JSON_OBJECT;
	for (size_t i = 0; i < sizeof names / sizeof names[0] && is_object; i++) {
		const struct json *member = json_member(partial, names[i]);
		if (member && json_type(member) == JSON_TEXT)
			n += strtoull(json_member_text(partial, names[i]), NULL, 10);
		else if (member)
			n += (uint64_t)json_member_int(partial, names[i]);
	}
	json_free(json);
	return n < most ? n : most;
}

static bool is_worth_a_retry(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

void otlp_send(struct otlp_sender *sender, const struct buf *body, uint64_t n)
{
	weir_nsec until = weir_now() + GIVE_UP;
	uint64_t random = (uint64_t)until;
	for (unsigned attempts = 1;; attempts++) {
		struct otlp_answer answer = {0};
		int code = sender->post(sender->arg, body, &answer);
		if (!code && answer.status / 100 == 2) {
			uint64_t refused = rejected(&answer, n);
			otlp_lose(sender, OTLP_LOST_PARTIAL, refused);
			atomic_fetch_add_explicit(&sender->sent, n - refused, memory_order_relaxed);
			return;
		}
		if (!code && !is_worth_a_retry(answer.status)) {
			otlp_lose(sender, OTLP_LOST_REFUSED, n);
			return;
		}
		weir_nsec wait =
			answer.retry_after ? answer.retry_after : weir_backoff_wait(&backoff, attempts, 0, &random);
		if (weir_event_is_set(sender->ending) || weir_canceled()) {
			otlp_lose(sender, OTLP_LOST_END, n);
			return;
		}
		if (weir_now() + wait > until) {
			otlp_lose(sender, OTLP_LOST_UNANSWERED, n);
			return;
		}
		weir_event_wait(sender->ending, weir_now() + wait);
	}
}
