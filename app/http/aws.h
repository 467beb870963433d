/* SPDX-License-Identifier: MIT */
/* The keys with which requests are signed: those of the config, else those of the environment. */
#ifndef HTTP_AWS_H
#define HTTP_AWS_H

#include "http/config.h"

/* NULL: there is none. */
const char *http_aws_region(const struct step_http_aws *aws);
const char *http_aws_access_key(const struct step_http_aws *aws);
const char *http_aws_secret_key(const struct step_http_aws *aws);
const char *http_aws_session_token(const struct step_http_aws *aws);

#endif
