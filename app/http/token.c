/* SPDX-License-Identifier: MIT */
/*
 * One fiber fetches, whenever somebody asks for it; the others wait for its word.  It is there from the start, so that
 * asking needs no memory.
 */
#include "http/token.h"

#include "data/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/group.h>

#define SHORT_PAUSE  WEIR_SEC
#define LONG_PAUSE   (30 * WEIR_SEC)
#define ASKED_MOST   (3600 * WEIR_SEC)
#define MARGIN_MOST  (30 * WEIR_SEC)
#define LATER_WITHIN (5 * WEIR_SEC)

enum { OLD_MOST = 4 };

struct http_token {
	struct http_token_source source;
	struct weir_group *group;
	struct weir_event *wanted, *told; /* a fetch is to begin; it has ended */
	bool fetching;
	char *text;                  /* NULL: none yet */
	uint64_t number, accepted;   /* of it, and of that which was accepted last */
	weir_nsec renew_at, expires; /* of it; WEIR_FOREVER: not by itself */
	weir_nsec quiet_until;       /* … it is not renewed because it was refused */
	bool is_put_off;             /* it expires because it was refused in that time */
	unsigned failures;           /* fetches in a row */
	weir_nsec pause_until;       /* … since when none is begun */
	bool refused;
	char why[200];
	char *old[OLD_MOST]; /* that may still be sent back, and are hidden */
	size_t old_at;
};

static bool is_before(weir_nsec now, weir_nsec end)
{
	return end == WEIR_FOREVER || now < end;
}

/* ---- what a fetch has brought ---- */

static void forget(char *text)
{
	if (!text)
		return;
	secret_forget(text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
}

static weir_nsec lesser(weir_nsec a, weir_nsec b)
{
	return a < b ? a : b;
}

static void fail(struct http_token *token, bool refused, const char *why, weir_nsec asked_for)
{
	unsigned doubled = token->failures < 5 ? token->failures : 5;
	weir_nsec pause = lesser(SHORT_PAUSE << doubled, LONG_PAUSE), asked = lesser(asked_for, ASKED_MOST);
	token->failures++;
	token->pause_until = weir_now() + (asked > pause ? asked : pause);
	token->refused = refused;
	snprintf(token->why, sizeof token->why, "%s", why);
	secret_hide_text(token->why);
}

/* What may stand in a header, and in a Bearer token (RFC 6750) at that, but for blanks. */
static bool is_text(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			return false;
	return *text;
}

static void adopt(struct http_token *token, const struct http_token_news *news, weir_nsec asked)
{
	weir_nsec margin = lesser(news->life / 10, MARGIN_MOST);
	bool same = token->text && !strcmp(token->text, news->text);
	token->failures = 0;
	token->pause_until = 0;
	token->expires = news->life ? asked + news->life : WEIR_FOREVER;
	token->renew_at = news->life ? token->expires - margin : WEIR_FOREVER;
	if (same) {
		forget(news->text);
		return;
	}
	forget(token->old[token->old_at]);
	token->old[token->old_at] = token->text;
	token->old_at = (token->old_at + 1) % OLD_MOST;
	token->text = news->text;
	token->number++;
}

static void fetch(struct http_token *token)
{
	struct http_token_news news = {0};
	weir_nsec asked = weir_now();
	if (token->is_put_off)
		token->quiet_until = asked + token->source.pause;
	token->is_put_off = false;
	token->source.fetch(token->source.arg, &news, weir_after(token->source.limit));
	if (news.text && !is_text(news.text)) {
		fail(token, true, news.text[0] ? "the token has a character that cannot be sent" : "the token is empty",
		     0);
		free(news.text);
	} else if (news.text && secret_add(news.text, strlen(news.text))) {
		fail(token, false, "out of memory", 0);
		free(news.text);
	} else if (news.text) {
		adopt(token, &news, asked);
	} else {
		fail(token, news.refused, news.why, news.retry_after);
	}
	token->fetching = false;
	weir_event_set(token->told);
}

static int serve(void *arg)
{
	struct http_token *token = arg;
	while (!weir_event_wait(token->wanted, WEIR_FOREVER)) {
		weir_event_clear(token->wanted);
		fetch(token);
	}
	return 0;
}

/* ---- who asks ---- */

/* Unless one is under way, or has failed just now. */
static void want(struct http_token *token)
{
	if (token->fetching || weir_now() < token->pause_until)
		return;
	token->fetching = true;
	weir_event_clear(token->told);
	weir_event_set(token->wanted);
}

int http_token_get(struct http_token *token, const char **ret_text, uint64_t *ret_number,
		   struct http_token_lack *ret_lack, weir_nsec deadline)
{
	for (;;) {
		weir_nsec now = weir_now();
		bool valid = token->text && is_before(now, token->expires);
		if (!valid || !is_before(now, token->renew_at))
			want(token);
		if (valid) {
			*ret_text = token->text;
			*ret_number = token->number;
			return 0;
		}
		if (!token->fetching) {
			*ret_lack = (struct http_token_lack){token->why, token->refused, token->number > 0};
			return WEIR_EAGAIN;
		}
		int error = weir_event_wait(token->told, deadline);
		if (error)
			return error;
	}
}

void http_token_accepted(struct http_token *token, uint64_t number)
{
	token->accepted = number;
}

/* The token is asked for again when the pause has passed, once for all that wait for it.  Until then it is used: it may
 * be good for others. */
static enum http_renewal put_off(struct http_token *token, uint64_t number, weir_nsec *ret_after)
{
	weir_nsec now = weir_now(), until = token->quiet_until > now ? token->quiet_until : now + LATER_WITHIN;
	if (token->accepted != number)
		return HTTP_TOKEN_STAYS;
	if (is_before(until, token->expires))
		token->expires = until;
	token->is_put_off = true;
	*ret_after = until - now;
	return HTTP_TOKEN_LATER;
}

enum http_renewal http_token_renew(struct http_token *token, uint64_t number, weir_nsec *ret_after, weir_nsec deadline)
{
	if (number == token->number && !token->fetching) {
		if (weir_now() < token->quiet_until)
			return put_off(token, number, ret_after);
		token->quiet_until = weir_now() + token->source.pause;
		want(token);
	}
	if (number == token->number && token->fetching && weir_event_wait(token->told, deadline))
		return HTTP_TOKEN_STAYS;
	if (number == token->number && !token->failures)
		return put_off(token, number, ret_after);
	if (number == token->number)
		token->expires = 0;
	return HTTP_TOKEN_RENEWED;
}

/* ---- life ---- */

int http_token_new(const struct http_token_source *source, struct http_token **ret_token)
{
	struct http_token *token = calloc(1, sizeof *token);
	int error = token ? 0 : WEIR_ENOMEM;
	if (!error) {
		token->source = *source;
		error = weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &token->group);
	}
	if (!error)
		error = weir_event_new(&token->told);
	if (!error)
		error = weir_event_new(&token->wanted);
	if (!error)
		error = weir_group_spawn(token->group, serve, token, WEIR_FOREVER);
	if (error) {
		if (!token && source->close)
			source->close(source->arg);
		http_token_free(token);
		return error;
	}
	*ret_token = token;
	return 0;
}

void http_token_free(struct http_token *token)
{
	if (!token)
		return;
	if (token->group) {
		weir_group_cancel(token->group);
		weir_shield_enter();
		weir_group_wait(token->group, WEIR_FOREVER);
		weir_shield_leave();
		weir_group_free(token->group);
	}
	weir_event_free(token->told);
	weir_event_free(token->wanted);
	if (token->source.close)
		token->source.close(token->source.arg);
	forget(token->text);
	for (size_t i = 0; i < OLD_MOST; i++)
		forget(token->old[i]);
	free(token);
}
