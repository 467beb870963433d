/* SPDX-License-Identifier: MIT */
/* What the key `headers` says. */
#include "http/config.h"

#include <string.h>
#include <strings.h>

const struct key_header *step_http_header(const struct step_http_config *config, const char *name)
{
	for (size_t i = 0; i < config->headers.n; i++)
		if (!strcasecmp(config->headers.headers[i].name, name))
			return &config->headers.headers[i];
	return NULL;
}

const struct key_header *step_http_content_type(const struct step_http_config *config)
{
	return step_http_header(config, "content-type");
}

static bool is_idempotent(int method)
{
	return method != STEP_HTTP_POST && method != STEP_HTTP_PATCH;
}

bool step_http_sends_key(const struct step_http_config *config)
{
	return !is_idempotent(config->method) && !step_http_header(config, STEP_HTTP_KEY);
}

bool step_http_is_repeatable(const struct step_http_config *config)
{
	const struct key_header *key = step_http_header(config, STEP_HTTP_KEY);
	return is_idempotent(config->method) || !key || !step_http_leaves_out(key);
}

bool step_http_leaves_out(const struct key_header *header)
{
	return !strcasecmp(header->name, STEP_HTTP_KEY) && !template_text(header->value)[0];
}

bool step_http_is_json(const char *content_type)
{
	const char *json = strcasestr(content_type, "json");
	return json && json < content_type + strcspn(content_type, ";");
}
