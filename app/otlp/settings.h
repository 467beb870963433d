/* SPDX-License-Identifier: MIT */
/*
 * Where traces and metrics are sent, and how: what a pipeline file says, and where that says nothing, the environment
 * variables that OpenTelemetry defines.  Pure.
 */
#ifndef OTLP_SETTINGS_H
#define OTLP_SETTINGS_H

#include "data/buf.h"
#include "http/origin.h"

#include <weir/base.h>

/* All borrowed; NULL: it does not say. */
struct otlp_wish {
	const char *url;
	const char *const *headers; /* "Name: value"; count 0: it does not say */
	size_t header_count;
	const char *pipeline; /* the name of the service, where nothing else names it */
	const char *instance; /* unique to this process */
	const char *host;
	/* values of variables: OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES */
	const char *endpoint, *header_list, *service, *attributes;
};

struct otlp_settings {
	char *url; /* without a slash at its end; NULL: there is no receiver */
	struct http_origin origin;
	char **headers; /* "Name: value" */
	size_t header_count;
	struct buf resource; /* JSON: {"attributes":[…]} */
};

/* WEIR_EINVAL with err: a URL or a list that is none; WEIR_ENOMEM. */
int otlp_settings_init(struct otlp_settings *settings, const struct otlp_wish *wish, struct weir_error *err);
void otlp_settings_fini(struct otlp_settings *settings);

#endif
