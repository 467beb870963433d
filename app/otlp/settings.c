/* SPDX-License-Identifier: MIT */
#include "otlp/settings.h"

#include "data/json_writer.h"
#include "data/secret.h"
#include "otlp/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists of variables: "key=value,key2=value2", values percent-encoded */

static int hex_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static void decode(const char *text, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bool coded = text[i] == '%' && i + 2 < n && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0;
		buf_add_char(out, coded ? (char)(hex_of(text[i + 1]) * 16 + hex_of(text[i + 2])) : text[i]);
		i += coded ? 2 : 0;
	}
}

/* Takes the blanks off its ends. */
static void trim(const char **text, size_t *n)
{
	while (*n && strchr(" \t", **text))
		++*text, --*n;
	while (*n && strchr(" \t", (*text)[*n - 1]))
		--*n;
}

/* Calls use() for each pair.  WEIR_EINVAL: an entry has no "=". */
static int each_pair(const char *variable, const char *list, int (*use)(void *arg, const char *key, const char *value),
		     void *arg, struct weir_error *err)
{
	int code = 0;
	for (const char *at = list; *at && !code; at += *at == ',') {
		size_t n = strcspn(at, ","), key_bytes = strcspn(at, "=");
		const char *key = at, *value = at + key_bytes + 1;
		bool is_pair = key_bytes < n;
		size_t value_bytes = is_pair ? n - key_bytes - 1 : 0;
		struct buf name = {0}, text = {0};
		at += n;
		if (!n)
			continue;
		if (!is_pair)
			return weir_error_set(err, WEIR_EINVAL, "%s: expected key=value, separated by commas",
					      variable);
		trim(&key, &key_bytes);
		trim(&value, &value_bytes);
		buf_add(&name, key, key_bytes);
		buf_add_str(&text, "");
		decode(value, value_bytes, &text);
		code = name.failed || text.failed ? WEIR_ENOMEM : use(arg, name.data ? name.data : "", text.data);
		buf_fini(&name);
		buf_fini(&text);
	}
	return code;
}

/* ---- headers */

static int add_header(struct otlp_settings *settings, const char *line)
{
	char **headers = reallocarray(settings->headers, settings->header_count + 1, sizeof *headers);
	if (!headers)
		return WEIR_ENOMEM;
	settings->headers = headers;
	headers[settings->header_count] = strdup(line);
	return headers[settings->header_count++] ? 0 : WEIR_ENOMEM;
}

/* What cannot stand in a header would be another one. */
static int use_header(void *arg, const char *key, const char *value)
{
	static const char allowed[] = "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct buf line = {0};
	if (!*key || key[strspn(key, allowed)] || strpbrk(value, "\r\n"))
		return WEIR_EINVAL;
	secret_add(value, strlen(value));
	buf_addf(&line, "%s: %s", key, value);
	int code = line.failed ? WEIR_ENOMEM : add_header(arg, line.data);
	buf_fini(&line);
	return code;
}

static int make_headers(struct otlp_settings *settings, const struct otlp_wish *wish, struct weir_error *err)
{
	static const char variable[] = "OTEL_EXPORTER_OTLP_HEADERS";
	int code = 0;
	for (size_t i = 0; i < wish->header_count && !code; i++)
		code = add_header(settings, wish->headers[i]);
	if (wish->header_count || !wish->header_list)
		return code;
	code = each_pair(variable, wish->header_list, use_header, settings, err);
	return code == WEIR_EINVAL && !(err && err->text[0])
		       ? weir_error_set(err, code, "%s: a name or a value that cannot stand in a header", variable)
		       : code;
}

/* ---- the resource */

struct resource {
	struct buf *out;
	const char *service; /* that of OTEL_SERVICE_NAME, which goes first; NULL */
};

static int use_attribute(void *arg, const char *key, const char *value)
{
	struct resource *resource = arg;
	if (!resource->service || strcmp(key, "service.name") != 0)
		otlp_put_attribute(resource->out, key, value);
	return 0;
}

static int is_key(void *arg, const char *key, const char *value)
{
	(void)value;
	return !strcmp(arg, key);
}

/* Unless the user's list has it, for keys are there once. */
static void put_own(struct buf *out, const struct otlp_wish *wish, const char *key, const char *value)
{
	if (!wish->attributes || each_pair("", wish->attributes, is_key, (void *)(uintptr_t)key, NULL) != 1)
		otlp_put_attribute(out, key, value);
}

static int make_resource(struct otlp_settings *settings, const struct otlp_wish *wish, struct weir_error *err)
{
	struct buf *out = &settings->resource;
	struct resource resource = {out, wish->service};
	json_open(out, NULL, '{');
	json_open(out, "attributes", '[');
	int code = wish->attributes
			   ? each_pair("OTEL_RESOURCE_ATTRIBUTES", wish->attributes, use_attribute, &resource, err)
			   : 0;
	if (wish->service)
		otlp_put_attribute(out, "service.name", wish->service);
	else
		put_own(out, wish, "service.name", wish->pipeline);
	put_own(out, wish, "service.instance.id", wish->instance);
	put_own(out, wish, "service.version", WEIR_VERSION);
	if (wish->host)
		put_own(out, wish, "host.name", wish->host);
	put_own(out, wish, "telemetry.sdk.name", "weir");
	put_own(out, wish, "telemetry.sdk.language", "c");
	put_own(out, wish, "telemetry.sdk.version", WEIR_VERSION);
	buf_add_str(out, "]}");
	return code || !out->failed ? code : WEIR_ENOMEM;
}

/* ---- all of it */

static const char *not_empty(const char *text)
{
	return text && *text ? text : NULL;
}

static int make_url(struct otlp_settings *settings, const char *url, const char *from, struct weir_error *err)
{
	const char *wrong = http_origin_parse(url, &settings->origin);
	if (wrong || strpbrk(url, "?#"))
		return weir_error_set(err, WEIR_EINVAL, "%s: the URL %s", from, wrong ? wrong : "has a query");
	size_t n = strlen(url);
	while (n && url[n - 1] == '/')
		n--;
	settings->url = strndup(url, n);
	return settings->url ? 0 : WEIR_ENOMEM;
}

int otlp_settings_init(struct otlp_settings *settings, const struct otlp_wish *wish, struct weir_error *err)
{
	struct otlp_wish all = *wish;
	const char *url = wish->url ? wish->url : not_empty(wish->endpoint);
	*settings = (struct otlp_settings){0};
	if (!url)
		return 0;
	all.service = not_empty(wish->service);
	all.attributes = not_empty(wish->attributes);
	int code = make_url(settings, url, wish->url ? "observe.otlp.url" : "OTEL_EXPORTER_OTLP_ENDPOINT", err);
	if (!code)
		code = make_headers(settings, &all, err);
	if (!code)
		code = make_resource(settings, &all, err);
	if (code == WEIR_ENOMEM)
		weir_error_set(err, code, "out of memory");
	if (code)
		otlp_settings_fini(settings);
	return code;
}

void otlp_settings_fini(struct otlp_settings *settings)
{
	for (size_t i = 0; i < settings->header_count; i++)
		free(settings->headers[i]);
	free(settings->headers);
	free(settings->url);
	buf_fini(&settings->resource);
	*settings = (struct otlp_settings){0};
}
