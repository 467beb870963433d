/* SPDX-License-Identifier: MIT */
/*
 * libcurl would read the variables of the environment by itself, but weir must know before a request whether it goes
 * through a proxy: then the proxy is what is looked up and connected to, and the host of the URL is the proxy's affair.
 *
 * What stands in no_proxy has no standard.  Here a name stands for itself and all below it, with or without a dot in
 * front; addresses may be written with a prefix length; any of them may have a port.
 */
#include "http/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_proxies {
	struct http_proxy http, https; /* a url of NULL: none */
	char *except;
	bool spares_loopback;
};

/* ---- what is excepted */

/* Whether the first bits of two addresses are the same. */
static bool is_in_network(const char *host, const char *network, int bits)
{
	unsigned char a[16], b[16];
	int family = strchr(host, ':') ? AF_INET6 : AF_INET, most = family == AF_INET6 ? 128 : 32;
	if (bits < 0 || bits > most || inet_pton(family, host, a) != 1 || inet_pton(family, network, b) != 1)
		return false;
	return !memcmp(a, b, (size_t)bits / 8) && (bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0);
}

static bool is_below(const char *host, const char *name)
{
	size_t host_bytes = strlen(host), name_bytes = strlen(name);
	const char *end = host_bytes >= name_bytes ? host + (host_bytes - name_bytes) : NULL;
	return end && name_bytes && !strcasecmp(end, name) && (end == host || end[-1] == '.');
}

/* One entry, which is taken apart. */
static bool matches(char *entry, const struct http_origin *origin)
{
	char *slash = strchr(entry, '/'), *colon = strrchr(entry, ':'), *bracket = strchr(entry, ']');
	if (slash) {
		*slash = 0;
		return origin->numeric && is_in_network(origin->host, entry, atoi(slash + 1));
	}
	bool has_port = colon && (bracket ? colon > bracket : strchr(entry, ':') == colon);
	if (has_port && atoi(colon + 1) != origin->port)
		return false;
	if (has_port)
		*colon = 0;
	if (bracket)
		*bracket = 0;
	entry += *entry == '[';
	if (origin->numeric)
		return is_in_network(origin->host, entry, strchr(origin->host, ':') ? 128 : 32);
	entry += strspn(entry, "*.");
	return is_below(origin->host, entry);
}

static bool is_excepted(const char *list, const struct http_origin *origin)
{
	static const char between[] = ", \t";
	char entry[272];
	for (const char *at = list; *at;) {
		at += strspn(at, between);
		size_t n = strcspn(at, between);
		if (n == 1 && *at == '*')
			return true;
		snprintf(entry, sizeof entry, "%.*s", (int)(n < sizeof entry ? n : 0), at);
		if (n && matches(entry, origin))
			return true;
		at += n;
	}
	return false;
}

static bool is_loopback(const struct http_origin *origin)
{
	if (origin->numeric)
		return is_in_network(origin->host, "127.0.0.0", 8) || is_in_network(origin->host, "::1", 128);
	return is_below(origin->host, "localhost");
}

const struct http_proxy *http_proxies_find(const struct http_proxies *proxies, const struct http_origin *origin)
{
	const struct http_proxy *proxy = !proxies ? NULL : origin->tls ? &proxies->https : &proxies->http;
	if (!proxy || !proxy->url || (proxies->spares_loopback && is_loopback(origin)) ||
	    (proxies->except && is_excepted(proxies->except, origin)))
		return NULL;
	return proxy;
}

/* ---- reading */

/* Of SOCKS version 5 there are two words; here the proxy looks the host up in either case. */
static const char *scheme_of(const char *text, const char **ret_rest)
{
	static const char *const words[][2] = {
		{"http://", "http"}, {"socks5h://", "socks5h"}, {"socks5://", "socks5h"}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		*ret_rest = text + strlen(words[i][0]);
		if (!strncasecmp(text, words[i][0], strlen(words[i][0])))
			return words[i][1];
	}
	*ret_rest = text;
	return strstr(text, "://") ? NULL : "http";
}

static int read_proxy(const char *text, struct http_proxy *proxy, struct weir_error *err)
{
	const char *rest, *scheme = scheme_of(text, &rest), *at = strrchr(rest, '@');
	const char *host = at ? at + 1 : rest;
	size_t n = strcspn(host, "/?#");
	char *bare = NULL;
	if (!scheme)
		return weir_error_set(err, WEIR_EINVAL,
				      "the proxy is a %.*s:// one; weir can use http:// and socks5:// (none: no proxy)",
				      strcspn(text, ":") < 20 ? (int)strcspn(text, ":") : 20, text);
	if (asprintf(&bare, "http://%.*s", (int)n, host) < 0)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	const char *wrong = http_origin_parse(bare, &proxy->origin);
	free(bare);
	if (wrong)
		return weir_error_set(err, WEIR_EINVAL, "the address of the proxy %s; expected http://host:port",
				      wrong);
	bool v6 = strchr(proxy->origin.host, ':');
	const char *behind = v6 ? memchr(host, ']', n) : host;
	if (*scheme == 's' && !memchr(behind, ':', n - (size_t)(behind - host)))
		proxy->origin.port = 1080;
	snprintf(proxy->name, sizeof proxy->name, v6 ? "[%s]:%u" : "%s:%u", proxy->origin.host,
		 (unsigned)proxy->origin.port);
	snprintf(proxy->key, sizeof proxy->key, "proxy %s", proxy->name);
	proxy->has_user = at;
	if (asprintf(&proxy->url, "%s://%.*s%s", scheme, at ? (int)(host - rest) : 0, rest, proxy->name) < 0) {
		proxy->url = NULL;
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	return 0;
}

int http_proxies_new(const struct http_proxy_settings *settings, struct http_proxies **ret_proxies,
		     struct weir_error *err)
{
	struct http_proxies *proxies = calloc(1, sizeof *proxies);
	if (!proxies)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	proxies->spares_loopback = settings->spares_loopback;
	int error = settings->http && settings->http[0] ? read_proxy(settings->http, &proxies->http, err) : 0;
	if (error == 0 && settings->https && settings->https[0])
		error = read_proxy(settings->https, &proxies->https, err);
	if (error == 0 && settings->except && !(proxies->except = strdup(settings->except)))
		error = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (error < 0)
		http_proxies_free(proxies);
	else
		*ret_proxies = proxies;
	return error;
}

void http_proxies_free(struct http_proxies *proxies)
{
	if (!proxies)
		return;
	free(proxies->http.url);
	free(proxies->https.url);
	free(proxies->except);
	free(proxies);
}
