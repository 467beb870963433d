/* SPDX-License-Identifier: MIT */
#include "http/aws.h"

#include <stdlib.h>

/* A variable that is set to nothing counts as not set. */
static const char *or_variable(const char *value, const char *name)
{
	const char *found = value ? value : getenv(name);
	return found && found[0] ? found : NULL;
}

const char *http_aws_region(const struct step_http_aws *aws)
{
	const char *region = or_variable(aws->region, "AWS_REGION");
	return region ? region : or_variable(NULL, "AWS_DEFAULT_REGION");
}

const char *http_aws_access_key(const struct step_http_aws *aws)
{
	return or_variable(aws->access_key, "AWS_ACCESS_KEY_ID");
}

/* That of the environment belongs to the access key there, and to no other. */
const char *http_aws_secret_key(const struct step_http_aws *aws)
{
	return aws->access_key ? aws->secret_key : or_variable(aws->secret_key, "AWS_SECRET_ACCESS_KEY");
}

const char *http_aws_session_token(const struct step_http_aws *aws)
{
	return aws->access_key ? aws->session_token : or_variable(aws->session_token, "AWS_SESSION_TOKEN");
}
