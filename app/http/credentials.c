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

struct http_credentials {
	struct http_token *token;   /* NULL: requests are signed, with: */
	struct http_sigv4_keys aws; /* borrowed from the config and the environment */
	char **headers;             /* of every request */
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
	if (!error)
		error = hide(self->aws.secret_key);
	return error ? error : hide(self->aws.session_token);
}

static int sign(const struct http_credentials *self, const struct http_request *request, struct http_grant *ret_grant)
{
	struct http_request whole = *request;
	struct http_grant grant = {0};
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
	int error = http_sigv4_sign(&self->aws, &whole, (int64_t)time(NULL), grant.lines, &grant.n);
	free(lines);
	if (!error)
		*ret_grant = grant;
	return error;
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
	return self->token ? take_token(self, ret_grant, ret_lack, deadline) : sign(self, request, ret_grant);
}

void http_credentials_accepted(struct http_credentials *self, uint64_t token)
{
	http_token_accepted(self->token, token);
}

enum http_renewal http_credentials_renew(struct http_credentials *self, uint64_t token, weir_nsec *ret_after,
					 weir_nsec deadline)
{
	return http_token_renew(self->token, token, ret_after, deadline);
}

/* Where tokens come from; source->fetch is NULL: no token is needed. */
static int open_source(const struct step_http_config *config, const struct http_client_options *client,
		       struct http_token_source *source)
{
	if (config->bearer_file)
		return http_token_of_file(config->bearer_file, config->bearer, source);
	if (config->exec.n)
		return http_token_of_program(&config->exec, config->ttl, source);
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
	else
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
