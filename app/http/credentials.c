/* SPDX-License-Identifier: MIT */
#include "http/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/buf.h"
#include "data/secret.h"
#include "http/aws.h"
#include "http/redirect.h"
#include "http/token_source.h"

#define SKEW_LEAST 60 /* s; what AWS accepts is five minutes */

struct http_credentials {
	struct http_token *token; /* NULL: requests are signed, with: */
	struct http_sigv4_keys
		aws; /* borrowed from the config and the environment; with a token its keys are in that */
	bool signs;
	bool worked;
	int64_t skew; /* seconds by which the server's clock is before ours */
	unsigned corrections;
	char **headers; /* of every request */
	size_t header_count;
};

/* ---- signatures ---- */

static int copy_headers(struct http_credentials *self, const struct http_client_options *client)
{
	self->headers = calloc(client->header_count + 1, sizeof(char *));
	for (size_t i = 0; self->headers && i < client->header_count; i++) {
		if (!(self->headers[i] = strdup(client->headers[i])))
			return WEIR_ENOMEM;
		self->header_count++;
	}
	return self->headers ? 0 : WEIR_ENOMEM;
}

static int hide(const char *value)
{
	return value ? secret_add(value, strlen(value)) : 0;
}

static int open_aws(struct http_credentials *self, const struct step_http_aws *aws,
		    const struct http_client_options *client)
{
	self->aws = (struct http_sigv4_keys){.service = aws->service,
					     .region = http_aws_region(aws),
					     .access_key = http_aws_access_key(aws),
					     .secret_key = http_aws_secret_key(aws),
					     .session_token = http_aws_session_token(aws)};
	int error = copy_headers(self, client);
	self->signs = true;
	if (!error && !self->token)
		error = hide(self->aws.secret_key);
	return error || self->token ? error : hide(self->aws.session_token);
}

static int sign(const struct http_credentials *self, const struct http_sigv4_keys *keys,
		const struct http_request *request, struct http_grant *ret_grant)
{
	struct http_request whole = *request;
	struct http_grant grant = {.clock = self->corrections};
	const char **lines = calloc(self->header_count + request->header_count + 1, sizeof *lines);
	if (!lines)
		return WEIR_ENOMEM;
	whole.headers = lines;
	whole.header_count = 0;
	for (size_t i = 0; i < request->header_count + self->header_count; i++) {
		bool own = i < request->header_count;
		const char *line = own ? request->headers[i] : self->headers[i - request->header_count];
		if (http_header_may_go(line, request->is_foreign, request->is_emptied))
			lines[whole.header_count++] = line;
	}
	int error = http_sigv4_sign(keys, &whole, (int64_t)time(NULL) + self->skew, grant.lines, &grant.n);
	free(lines);
	if (!error)
		*ret_grant = grant;
	return error;
}

/* With the keys that a token is. */
static int sign_with_token(struct http_credentials *self, const struct http_request *request,
			   struct http_grant *ret_grant, struct http_token_lack *ret_lack, weir_nsec deadline)
{
	const char *text;
	uint64_t number;
	struct http_sigv4_keys keys = self->aws;
	int error = http_token_get(self->token, &text, &number, ret_lack, deadline);
	char *copy = error ? NULL : strdup(text);
	size_t n = copy ? strlen(copy) : 0;
	if (error || !copy)
		return error ? error : WEIR_ENOMEM;
	http_aws_split(copy, &keys);
	error = sign(self, &keys, request, ret_grant);
	ret_grant->token = error ? 0 : number;
	explicit_bzero(copy, n);
	free(copy);
	return error;
}

/* How far the clocks are apart by the server's Date, if that would have made the signature good. */
static enum http_heard hear_time(struct http_credentials *self, const struct http_grant *grant, int64_t date)
{
	int64_t skew = date - (int64_t)time(NULL);
	if (grant->clock != self->corrections)
		return HTTP_HEARD_CLOCK;
	if (!date || llabs(skew - self->skew) < SKEW_LEAST)
		return HTTP_HEARD_NOTHING;
	self->skew = skew;
	self->corrections++;
	return HTTP_HEARD_CLOCK;
}

/* ---- tokens ---- */

static int take_token(struct http_credentials *self, struct http_grant *ret_grant, struct http_token_lack *ret_lack,
		      weir_nsec deadline)
{
	const char *text;
	struct http_grant grant = {.n = 1};
	struct buf line = {0};
	int error = http_token_get(self->token, &text, &grant.token, ret_lack, deadline);
	if (error)
		return error;
	buf_addf(&line, "Authorization: Bearer %s", text);
	grant.lines[0] = line.failed ? NULL : buf_take(&line, NULL);
	buf_fini(&line);
	if (!grant.lines[0])
		return WEIR_ENOMEM;
	*ret_grant = grant;
	return 0;
}

/* ---- both ---- */

int http_credentials_grant(struct http_credentials *self, const struct http_request *request,
			   struct http_grant *ret_grant, struct http_token_lack *ret_lack, weir_nsec deadline)
{
	if (!self->signs)
		return take_token(self, ret_grant, ret_lack, deadline);
	return self->token ? sign_with_token(self, request, ret_grant, ret_lack, deadline)
			   : sign(self, &self->aws, request, ret_grant);
}

enum http_heard http_credentials_hear(struct http_credentials *self, const struct http_grant *grant,
				      const struct http_response *response)
{
	bool is_good = response->status >= 200 && response->status <= 299;
	if (is_good && self->token)
		http_token_accepted(self->token, grant->token);
	self->worked = self->worked || is_good;
	if (!self->signs)
		return response->status == 401 ? HTTP_HEARD_REFUSED : HTTP_HEARD_NOTHING;
	switch (http_aws_trouble_of(response)) {
	case HTTP_AWS_KEYS:
		return HTTP_HEARD_REFUSED;
	case HTTP_AWS_CLOCK:
		return hear_time(self, grant, response->date);
	default:
		return HTTP_HEARD_NOTHING;
	}
}

enum http_renewal http_credentials_renew(struct http_credentials *self, const struct http_grant *grant,
					 weir_nsec *ret_after, weir_nsec deadline)
{
	return self->token ? http_token_renew(self->token, grant->token, ret_after, deadline) : HTTP_TOKEN_STAYS;
}

bool http_credentials_sign(const struct http_credentials *self)
{
	return self->signs;
}

bool http_credentials_ever_worked(const struct http_credentials *self)
{
	return self->worked;
}

/* Where tokens come from; source->fetch is NULL: no token is needed. */
static int open_source(const struct step_http_config *config, const struct http_client_options *client,
		       struct http_token_source *source)
{
	if (config->bearer_file)
		return http_token_of_file(config->bearer_file, config->bearer, source);
	if (config->exec.n)
		return http_token_of_program(&config->exec, config->ttl, NULL, source);
	if (config->aws.profile || config->aws.exec.n)
		return http_token_of_aws(&config->aws, source);
	if (config->oauth2.token_url)
		return http_token_of_oauth2(&config->oauth2, client, source);
	return 0;
}

int http_credentials_new(const struct step_http_config *config, const struct http_client_options *client,
			 struct http_credentials **ret_credentials, struct weir_error *err)
{
	struct http_token_source source = {0};
	struct http_credentials *self = NULL;
	int error = open_source(config, client, &source);
	*ret_credentials = NULL;
	if (error || (!source.fetch && !config->aws.service))
		goto end;
	self = calloc(1, sizeof *self);
	if (!self)
		error = WEIR_ENOMEM;
	else if (source.fetch)
		error = http_token_new(&source, &self->token);
	if (!error && config->aws.service)
		error = open_aws(self, &config->aws, client);
end:
	if (error) {
		http_credentials_free(self);
		return weir_error_set(err, error, "step http: auth: %s", weir_strerror(error));
	}
	*ret_credentials = self;
	return 0;
}

void http_credentials_free(struct http_credentials *self)
{
	if (!self)
		return;
	http_token_free(self->token);
	for (size_t i = 0; i < self->header_count; i++)
		free(self->headers[i]);
	free(self->headers);
	free(self);
}
