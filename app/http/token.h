/* SPDX-License-Identifier: MIT */
/*
 * A token that is renewed while a run lasts: fetched when it is first needed, before it expires, and after an answer
 * that refuses it.  However many ask, one fetch is under way; it belongs to none of them, so the cancel of one loses
 * nothing.  While a new one is fetched, an old one that is still valid is used.
 *
 * Where it comes from is the source's: a file, a program, an OAuth2 server.  A fetch that has failed is repeated after
 * a pause of 1 s, doubled each time, up to 30 s, or of what the source asks for if that is longer (an hour at most);
 * who asks meanwhile is answered the same.  Calls belong on fibers of one loop.
 *
 * That a token is refused has two reasons: it is no longer valid, or it may not do what was asked for.  One that was
 * accepted before may be an old one, so what was refused waits where no other one can be had at once.
 */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <weir/run.h>

struct http_token;

/* What a source answers. */
struct http_token_news {
	char *text;     /* malloc'ed, taken over; NULL: there is none */
	weir_nsec life; /* of it from the begin of the fetch; 0: not known */
	bool refused;   /* there is none, and will be none before somebody does something; else it may be there soon */
	weir_nsec retry_after; /* there is none: when to ask again, at the earliest; 0: that was not said */
	char why[200];         /* there is none: one line */
};

struct http_token_source {
	void (*fetch)(void *arg, struct http_token_news *news, weir_nsec deadline); /* suspends; *news is zeroed */
	void (*close)(void *arg); /* no fetch is under way; may suspend, shielded.  NULL: nothing to do */
	void *arg;
	weir_nsec limit; /* the deadline of a fetch */
	weir_nsec pause; /* between two fetches because a token was refused: for sources that cost */
};

/* Takes over source->arg; on failure, too, it is closed.  WEIR_ENOMEM. */
int http_token_new(const struct http_token_source *source, struct http_token **ret_token);

/* Ends the fetch that is under way.  Contract: nobody waits for it.  Suspends, shielded.  NULL is fine. */
void http_token_free(struct http_token *token);

struct http_token_lack {
	const char *why; /* valid until the next call that suspends */
	bool refused;
	bool ever; /* there was one before */
};

/* 0 with the text, valid until the next call that suspends, and its number, from 1; each new text has a new one.
 * WEIR_EAGAIN with *ret_lack: there is none.  WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM. */
int http_token_get(struct http_token *token, const char **ret_text, uint64_t *ret_number,
		   struct http_token_lack *ret_lack, weir_nsec deadline);

/* The token with that number was accepted. */
void http_token_accepted(struct http_token *token, uint64_t number);

enum http_renewal {
	HTTP_TOKEN_STAYS,   /* there is no other one: that it is refused is the answer */
	HTTP_TOKEN_RENEWED, /* there is another one, or none at all: what was sent is worth sending again, as soon as
			     * http_token_get() gives one */
	HTTP_TOKEN_LATER,   /* the same, but not before *ret_after has passed */
};

/* The token with that number was refused: gets another one.  Suspends; HTTP_TOKEN_STAYS, too, if it is cancelled. */
enum http_renewal http_token_renew(struct http_token *token, uint64_t number, weir_nsec *ret_after, weir_nsec deadline);

#endif
