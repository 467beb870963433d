/* SPDX-License-Identifier: MIT */
/* Tokens from a source that the test plays: when it is asked, and what the others get meanwhile. */
#include "data/secret.h"
#include "http/token.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/group.h>

struct source {
	unsigned fetches;
	weir_nsec takes, life;
	bool same;       /* always the same token */
	const char *why; /* not NULL: there is none */
	bool refused, closed;
	weir_nsec retry_after; /* with why */
};

static void fetch(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	struct source *source = arg;
	ck_assert(deadline > weir_now());
	source->fetches++;
	if (source->takes && weir_sleep(source->takes)) {
		snprintf(news->why, sizeof news->why, "canceled");
		return;
	}
	if (source->why) {
		snprintf(news->why, sizeof news->why, "%s", source->why);
		news->refused = source->refused;
		news->retry_after = source->retry_after;
		return;
	}
	news->text = strdup(test_format("token-%u", source->same ? 0 : source->fetches));
	news->life = source->life;
}

static void close_source(void *arg)
{
	((struct source *)arg)->closed = true;
}

static struct http_token *make(struct source *source, weir_nsec pause)
{
	struct http_token *token;
	const struct http_token_source opts = {
		.fetch = fetch, .close = close_source, .arg = source, .limit = 30 * WEIR_SEC, .pause = pause};
	ck_assert_int_eq(http_token_new(&opts, &token), 0);
	return token;
}

static void end(struct http_token *token, struct source *source)
{
	http_token_free(token);
	ck_assert(source->closed);
	secret_clear();
}

static const char *get(struct http_token *token, uint64_t *ret_number)
{
	const char *text = "";
	uint64_t number = 0;
	struct http_token_lack lack = {0};
	int code = http_token_get(token, &text, &number, &lack, WEIR_FOREVER);
	if (ret_number)
		*ret_number = number;
	if (code == WEIR_EAGAIN)
		return test_format("%s%s: %s", lack.refused ? "refused" : "none", lack.ever ? " now" : "", lack.why);
	ck_assert_int_eq(code, 0);
	return test_format("%s", text);
}

static enum http_renewal renew(struct http_token *token, uint64_t number)
{
	weir_nsec after;
	return http_token_renew(token, number, &after, WEIR_FOREVER);
}

struct asker {
	struct http_token *token;
	unsigned answered;
	uint64_t number; /* to renew; 0: to get */
};

static int ask(void *arg)
{
	struct asker *asker = arg;
	if (!asker->number)
		ck_assert_str_eq(get(asker->token, NULL), "token-1");
	else
		ck_assert_int_eq(renew(asker->token, asker->number), HTTP_TOKEN_RENEWED);
	asker->answered++;
	return 0;
}

FIBER_TEST(token_is_fetched_once_however_many_ask)
{
	struct source source = {.takes = WEIR_SEC};
	struct http_token *token = make(&source, 0);
	struct asker asker = {token, 0, 0};
	const struct weir_group_part parts[] = {{.fn = ask, .arg = &asker, .fibers = 50}};
	ck_assert_int_eq(weir_group_run(parts, 1, WEIR_FOREVER), 0);
	ck_assert_uint_eq(source.fetches, 1);
	ck_assert_uint_eq(asker.answered, 50);

	/* So it is when it is refused; who comes late finds that it has been replaced. */
	asker = (struct asker){token, 0, 1};
	ck_assert_int_eq(weir_group_run(parts, 1, WEIR_FOREVER), 0);
	ck_assert_uint_eq(source.fetches, 2);
	ck_assert_int_eq(renew(token, 1), HTTP_TOKEN_RENEWED);
	ck_assert_uint_eq(source.fetches, 2);
	end(token, &source);
}

FIBER_TEST(token_outlives_the_cancel_of_who_asked)
{
	struct source source = {.takes = 2 * WEIR_SEC};
	struct http_token *token = make(&source, 0);
	const char *text;
	uint64_t number;
	struct http_token_lack lack;
	ck_assert_int_eq(http_token_get(token, &text, &number, &lack, weir_after(WEIR_SEC)), WEIR_ETIMEDOUT);
	ck_assert_str_eq(get(token, &number), "token-1");
	ck_assert_uint_eq(number, 1);
	ck_assert_uint_eq(source.fetches, 1);
	end(token, &source);
}

FIBER_TEST(token_is_renewed_before_it_expires_without_a_wait)
{
	struct source source = {.life = 100 * WEIR_SEC};
	struct http_token *token = make(&source, 0);
	ck_assert_str_eq(get(token, NULL), "token-1");
	weir_sleep(89 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "token-1");
	ck_assert_uint_eq(source.fetches, 1);
	source.takes = WEIR_SEC;
	weir_sleep(2 * WEIR_SEC); /* a tenth of its life is left */
	weir_nsec begun = weir_now();
	ck_assert_str_eq(get(token, NULL), "token-1");
	ck_assert_str_eq(get(token, NULL), "token-1");
	ck_assert_int_eq(weir_now(), begun);
	weir_sleep(3 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "token-2");
	ck_assert_uint_eq(source.fetches, 2);
	weir_sleep(1000 * WEIR_SEC); /* over: nobody asked for long */
	ck_assert_str_eq(get(token, NULL), "token-3");
	end(token, &source);
}

FIBER_TEST(token_that_cannot_be_had_is_asked_for_after_pauses)
{
	struct source source = {.why = "connect: refused"};
	struct http_token *token = make(&source, 0);
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_str_eq(get(token, NULL), "none: connect: refused");
		weir_sleep(WEIR_SEC / 10);
	}
	ck_assert_uint_ge(source.fetches, 6); /* at 0, 1, 3, 7, 15, 31, 61, 91 s */
	ck_assert_uint_le(source.fetches, 8);
	source.why = NULL;
	weir_sleep(31 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), test_format("token-%u", source.fetches));

	/* What is valid stays in use. */
	source.why = "down";
	source.life = 0;
	ck_assert_int_eq(renew(token, 1), HTTP_TOKEN_RENEWED);
	ck_assert_str_eq(get(token, NULL), "none now: down");
	end(token, &source);
}

FIBER_TEST(token_that_is_valid_is_used_while_none_can_be_had)
{
	struct source source = {.life = 100 * WEIR_SEC};
	struct http_token *token = make(&source, 0);
	get(token, NULL);
	source.why = "invalid_client";
	source.refused = true;
	weir_sleep(95 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "token-1");
	weir_sleep(WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "token-1");
	ck_assert_uint_ge(source.fetches, 2);
	weir_sleep(10 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "refused now: invalid_client");
	end(token, &source);
}

FIBER_TEST(token_that_is_refused_is_not_replaced_by_itself_nor_all_the_time)
{
	struct source source = {.same = true};
	struct http_token *token = make(&source, 0);
	uint64_t number;
	get(token, &number);
	ck_assert_int_eq(renew(token, number), HTTP_TOKEN_STAYS); /* the source has no other one */
	ck_assert_uint_eq(source.fetches, 2);
	ck_assert_str_eq(get(token, NULL), "token-0");
	end(token, &source);

	source = (struct source){0};
	token = make(&source, 10 * WEIR_SEC);
	get(token, &number);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(renew(token, number), i % 10 ? HTTP_TOKEN_STAYS : HTTP_TOKEN_RENEWED);
		get(token, &number);
		weir_sleep(WEIR_SEC);
	}
	ck_assert_uint_eq(source.fetches, 11);
	end(token, &source);
}

/* It was good a moment ago, so it may be over again: what it was refused for waits, and so is asked for once. */
FIBER_TEST(token_that_was_accepted_and_is_refused_is_renewed_once_the_pause_has_passed)
{
	struct source source = {0};
	struct http_token *token = make(&source, 10 * WEIR_SEC);
	uint64_t number;
	weir_nsec after = 0;
	get(token, &number);
	http_token_accepted(token, number);
	ck_assert_int_eq(renew(token, number), HTTP_TOKEN_RENEWED);
	get(token, &number);
	http_token_accepted(token, number);
	weir_sleep(4 * WEIR_SEC);
	for (unsigned i = 0; i < 300; i++) {
		ck_assert_int_eq(http_token_renew(token, number, &after, WEIR_FOREVER), HTTP_TOKEN_LATER);
		ck_assert_int_eq(after, 6 * WEIR_SEC);
	}
	ck_assert_str_eq(get(token, NULL), "token-2"); /* good for others, perhaps */
	ck_assert_uint_eq(source.fetches, 2);
	weir_sleep(after);
	ck_assert_str_eq(get(token, &number), "token-3");

	/* Another pause begins. */
	http_token_accepted(token, number);
	ck_assert_int_eq(http_token_renew(token, number, &after, WEIR_FOREVER), HTTP_TOKEN_LATER);
	ck_assert_int_eq(after, 10 * WEIR_SEC);
	ck_assert_uint_eq(source.fetches, 3);
	end(token, &source);
}

FIBER_TEST(token_that_was_accepted_and_has_no_successor_yet_is_looked_for_a_little_later)
{
	struct source source = {.same = true};
	struct http_token *token = make(&source, 0);
	uint64_t number;
	weir_nsec after = 0;
	get(token, &number);
	http_token_accepted(token, number);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(http_token_renew(token, number, &after, WEIR_FOREVER), HTTP_TOKEN_LATER);
	ck_assert_int_eq(after, 5 * WEIR_SEC);
	source.same = false;
	weir_sleep(after);
	ck_assert_str_eq(get(token, NULL), test_format("token-%u", source.fetches));
	end(token, &source);
}

FIBER_TEST(token_is_asked_for_again_when_the_source_says)
{
	struct source source = {.why = "429", .retry_after = 90 * WEIR_SEC};
	struct http_token *token = make(&source, 0);
	for (unsigned i = 0; i < 89; i++) {
		ck_assert_str_eq(get(token, NULL), "none: 429");
		weir_sleep(WEIR_SEC);
	}
	ck_assert_uint_eq(source.fetches, 1);
	source.retry_after = 1000 * 3600 * WEIR_SEC; /* nobody waits for weeks */
	weir_sleep(2 * WEIR_SEC);
	get(token, NULL);
	source.why = NULL;
	weir_sleep(3600 * WEIR_SEC);
	ck_assert_str_eq(get(token, NULL), "token-3");
	end(token, &source);
}

FIBER_TEST(token_is_hidden_while_it_may_be_sent_back)
{
	struct source source = {0};
	struct http_token *token = make(&source, 0);
	char text[200];
	uint64_t number;
	for (unsigned i = 0; i < 8; i++) {
		get(token, &number);
		renew(token, number);
	}
	get(token, &number);
	snprintf(text, sizeof text, "token-9 token-8 token-5 token-4 token-1");
	secret_hide_text(text);
	ck_assert_str_eq(text, "*** *** *** token-4 token-1");
	http_token_free(token);
	snprintf(text, sizeof text, "token-9");
	secret_hide_text(text);
	ck_assert_str_eq(text, "token-9");
}

static void fetch_odd(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	(void)deadline;
	news->text = strdup(arg);
}

FIBER_TEST(token_that_cannot_stand_in_a_header_is_refused)
{
	static const char *const odd[] = {"", "a\nb", "a\rX: y", "tok\x7f"};
	for (size_t i = 0; i < 4; i++) {
		struct http_token *token;
		const struct http_token_source opts = {
			.fetch = fetch_odd, .arg = (void *)(uintptr_t)odd[i], .limit = WEIR_SEC};
		ck_assert_int_eq(http_token_new(&opts, &token), 0);
		ck_assert_str_eq(get(token, NULL), i ? "refused: the token has a character that cannot be sent"
						     : "refused: the token is empty");
		http_token_free(token);
	}
}
