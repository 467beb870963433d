/* SPDX-License-Identifier: MIT */
/*
 * Credentials that are no constant header: what a request carries to show who sends it is made for each one, and
 * changes while a run lasts.
 *
 *     aws           a signature of the request (sigv4.h)
 *     bearer file   a token (token.h) that is read again when an answer refuses it
 *     oauth2        a token that a server issues
 *     exec          a token that a program prints
 *
 * Calls belong on fibers of one loop.
 */
#ifndef HTTP_CREDENTIALS_H
#define HTTP_CREDENTIALS_H

#include "http/client.h"
#include "http/config.h"
#include "http/sigv4.h"
#include "http/token.h"

struct http_credentials;

/* What one request was given. */
struct http_grant {
	char *lines[HTTP_SIGV4_LINES]; /* header lines, malloc'ed: the receiver's */
	size_t n;
	uint64_t token; /* the number of its token; 0: it has none */
	unsigned clock; /* how often the clock had been corrected when it was signed */
};

/* What an answer says of the credentials of its request. */
enum http_heard {
	HTTP_HEARD_NOTHING,
	HTTP_HEARD_REFUSED, /* they are no longer valid, or never were */
	HTTP_HEARD_CLOCK,   /* the time in the signature was wrong; now it is the server's */
};

/* client: the headers in it are those of every request, which a signature covers; the rest is how a server is asked for
 * a token.  *ret_credentials is NULL where the config needs none.  A code with err->text. */
int http_credentials_new(const struct step_http_config *config, const struct http_client_options *client,
			 struct http_credentials **ret_credentials, struct weir_error *err);

/* Contract: no call is under way.  Suspends, shielded.  NULL is fine. */
void http_credentials_free(struct http_credentials *credentials);

/* For the request as it will be sent, but for the lines of its grant.  0 with *ret_grant.  WEIR_EAGAIN with *ret_lack:
 * there are none at the moment, or will be none.  WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM. */
int http_credentials_grant(struct http_credentials *credentials, const struct http_request *request,
			   struct http_grant *ret_grant, struct http_token_lack *ret_lack, weir_nsec deadline);

/* The whole answer to a request with that grant, whose lines are not looked at. */
enum http_heard http_credentials_hear(struct http_credentials *credentials, const struct http_grant *grant,
				      const struct http_response *response);

/* They are refused: whether what was sent is worth sending again (http_token_renew()).  Suspends. */
enum http_renewal http_credentials_renew(struct http_credentials *credentials, const struct http_grant *grant,
					 weir_nsec *ret_after, weir_nsec deadline);

/* Whether they sign requests: then an answer that refuses them says so for sure, and it may be for good.  And whether
 * there was ever a good answer. */
bool http_credentials_sign(const struct http_credentials *credentials);
bool http_credentials_ever_worked(const struct http_credentials *credentials);

#endif
