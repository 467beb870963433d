/* SPDX-License-Identifier: MIT */
#include "http/telling.h"

#include <string.h>
#include <strings.h>

static bool is_name(const char *line, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(line, name, n) == 0;
}

static bool begins(const char *text, size_t n, const char *word)
{
	size_t len = strlen(word);
	return len <= n && strncasecmp(text, word, len) == 0;
}

/* X-Request-Id, X-Amzn-RequestId, X-B3-TraceId, X-RateLimit-Remaining, … */
static bool has_telling_part(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = name + i;
		size_t left = n - i;
		switch (*at | 0x20) {
		case 'r':
			if (begins(at, left, "request-id") || begins(at, left, "requestid") ||
			    begins(at, left, "ratelimit") || begins(at, left, "rate-limit"))
				return true;
			break;
		case 't':
			if (begins(at, left, "trace-id") || begins(at, left, "traceid"))
				return true;
			break;
		case 'c':
			if (begins(at, left, "correlation-id"))
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

bool http_header_is_telling(const char *line, size_t n)
{
	char first = (char)(line[0] | 0x20);
	if (!strchr("clrtwx", first) || !first)
		return false;
	const char *colon = memchr(line, ':', n);
	size_t name = colon ? (size_t)(colon - line) : 0;
	switch (first) {
	case 'c':
		return is_name(line, name, "content-type") || is_name(line, name, "cf-ray") ||
		       is_name(line, name, "correlation-id");
	case 'l':
		return is_name(line, name, "location");
	case 't':
		return is_name(line, name, "trace-id") || is_name(line, name, "traceparent");
	case 'w':
		return is_name(line, name, "www-authenticate");
	case 'r':
		return is_name(line, name, "retry-after") || has_telling_part(line, name);
	default:
		return has_telling_part(line, name);
	}
}
