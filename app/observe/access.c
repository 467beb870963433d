/* SPDX-License-Identifier: MIT */
#include "observe/access.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_BYTES = 256 };

/* The host of "host:port" and "[::1]:port", without brackets.  False: there is none, or it is too long. */
static bool take_host(const char *text, char host[HOST_BYTES])
{
	bool bracketed = text[0] == '[';
	size_t n = strcspn(text += bracketed, bracketed ? "]" : ":");
	if (n == 0 || n >= HOST_BYTES)
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	return true;
}

static bool is_ours(const char *text)
{
	char host[HOST_BYTES], name[HOST_NAME_MAX + 1];
	struct in6_addr address;
	if (!take_host(text, host))
		return false;
	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		return true;
	if (strcasecmp(host, "localhost") == 0)
		return true;
	return gethostname(name, sizeof name) == 0 && strcasecmp(host, name) == 0;
}

/* Takes as long wherever they differ. */
static bool is_token(const char *text, const char *token)
{
	size_t n = strlen(token), length = strlen(text);
	unsigned char difference = n != length;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(text[i] ^ token[n ? i % n : 0]);
	return !difference;
}

static bool has_token(const char *authorization, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t n = sizeof scheme - 1;
	return authorization && strncasecmp(authorization, scheme, n) == 0 && is_token(authorization + n, token);
}

enum access access_check(const struct access_request *request, const char *token)
{
	static const char scheme[] = "http://";
	size_t n = sizeof scheme - 1;
	if (!request->host || (!token && !is_ours(request->host)))
		return ACCESS_FOREIGN_HOST;
	if (request->origin && (strncmp(request->origin, scheme, n) || strcasecmp(request->origin + n, request->host)))
		return ACCESS_FOREIGN_ORIGIN;
	if (token && !has_token(request->authorization, token))
		return ACCESS_NO_TOKEN;
	return ACCESS_GRANTED;
}
