/* SPDX-License-Identifier: MIT */
/*
 * Redirects, as browsers follow them (RFC 9110 and the Fetch standard):
 *
 *     301, 302    a POST becomes a GET without its body
 *     303         all but GET and HEAD do
 *     307, 308    method and body stay
 *
 * The server decides where the request goes, so it gets nothing that was meant for another: https never leads to http,
 * and once a chain has left its first origin (scheme, host and port) it carries no credentials any more, even if it
 * comes back, since by then a stranger has written the URL.  What a credential is nobody can tell by its name
 * (X-Api-Key, X-Token), so the list is of headers that are none.
 */
#include "http/redirect.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool http_is_redirect(int status)
{
	return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static bool becomes_get(int status, const char *method)
{
	if (status == 303)
		return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	return status <= 302 && !strcmp(method, "POST");
}

bool http_header_may_go(const char *line, bool is_foreign, bool is_emptied)
{
	static const char key[] = "idempotency-key"; /* it is of what is done to the item, wherever that is done */
	static const char *const plain[] = {"accept",       "accept-encoding",  "accept-language",
					    "content-type", "content-encoding", "content-language",
					    "user-agent",   "expect",           key};
	size_t n = strcspn(line, ":;");
	bool is_key = n == strlen(key) && !strncasecmp(line, key, n);
	if (is_emptied && (is_key || !strncasecmp(line, "content-", 8)))
		return false;
	if (!is_foreign)
		return true;
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (strlen(plain[i]) == n && !strncasecmp(line, plain[i], n))
			return true;
	return false;
}

/* The location as a whole URL without its fragment; NULL: it makes none.  To be freed by curl_free().  One that is a
 * fragment alone is the same URL again, of which libcurl would drop path and query. */
static char *join(const char *url, const char *location)
{
	char *joined = NULL, *bare = strndup(location, strcspn(location, "#"));
	CURLU *handle = curl_url();
	if (handle && bare && curl_url_set(handle, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
	    (!*bare ||
	     curl_url_set(handle, CURLUPART_URL, bare, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK))
		curl_url_get(handle, CURLUPART_URL, &joined, 0);
	curl_url_cleanup(handle);
	free(bare);
	return joined;
}

static int find_origin(const char *joined, const struct http_origin *from, struct http_origin *ret_origin,
		       struct weir_error *err)
{
	const char *wrong = joined ? http_origin_parse(joined, ret_origin) : "is not a URL";
	if (wrong)
		return weir_error_set(err, WEIR_EINVAL, ", which %s", wrong);
	if (from->tls && !ret_origin->tls)
		return weir_error_set(err, WEIR_EINVAL, ", from https to http, which weir does not follow");
	return 0;
}

int http_redirect(const struct http_response *response, const char *url, const struct http_origin *origin,
		  const char *method, const struct http_hop *before, struct http_hop **ret_hop, struct weir_error *err)
{
	struct http_origin to;
	char *joined = join(url, response->location);
	int error = find_origin(joined, origin, &to, err);
	size_t n = error ? 0 : strlen(joined) + 1;
	struct http_hop *hop = error ? NULL : calloc(1, sizeof *hop + n);
	if (hop) {
		hop->number = before ? before->number + 1 : 1;
		hop->is_foreign = (before && before->is_foreign) || strcmp(to.name, origin->name) != 0;
		hop->is_emptied = (before && before->is_emptied) || becomes_get(response->status, method);
		hop->took = response->took + (before ? before->took : 0);
		hop->origin = to;
		memcpy(hop->url, joined, n);
		*ret_hop = hop;
	} else if (error == 0) {
		error = WEIR_ENOMEM;
	}
	curl_free(joined);
	return error;
}
