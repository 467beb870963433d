/* SPDX-License-Identifier: MIT */
/*
 * URLs, as far as weir itself must read them.
 *
 * libcurl parses the URL again when it sends the request.  Two parsers that disagree about the host are how address
 * filters are got round, so this one accepts only what cannot be read in two ways: the authority is `host`,
 * `host:port` or `[v6]:port`, of letters, digits, '.', '-' and '_'.  What libcurl makes of stranger numeric forms
 * (0x7f.1) is caught when the socket is opened.
 */
#include "http/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '_';
}

/* Copies the host in lower case; returns what follows it, or NULL with *ret_why. */
static const char *take_host(const char *text, struct http_origin *origin, const char **ret_why)
{
	bool bracket = *text == '[';
	const char *from = bracket ? text + 1 : text, *end = from;
	if (bracket)
		end += strspn(end, "0123456789abcdefABCDEF:.");
	else
		while (is_host_byte(*end))
			end++;
	size_t n = (size_t)(end - from);
	*ret_why = "has a host name with invalid characters";
	if (bracket && *end != ']')
		return NULL;
	if (n == 0 || n >= sizeof origin->host) {
		*ret_why = n ? "has a host name that is too long" : *end && *end != '/' ? *ret_why : "has no host";
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		origin->host[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
	origin->host[n] = '\0';

	struct in6_addr v6;
	struct in_addr v4;
	bool is_v6 = inet_pton(AF_INET6, origin->host, &v6) == 1;
	if (bracket != is_v6) /* without brackets a colon is no host byte, so this is "[1.2.3.4]" and the like */
		return NULL;
	origin->numeric = is_v6 || inet_pton(AF_INET, origin->host, &v4) == 1;
	return end + bracket;
}

/* Reads ":port", if there; returns what follows, or NULL. */
static const char *take_port(const char *text, struct http_origin *origin)
{
	origin->port = origin->tls ? 443 : 80;
	if (*text != ':')
		return text;
	unsigned port = 0;
	const char *digit = text + 1;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		if ((port = port * 10 + (unsigned)(*digit - '0')) > 65535)
			return NULL;
	if (port == 0)
		return NULL;
	origin->port = (uint16_t)port;
	return digit;
}

/* Each URL comes through here, some twice: snprintf() would take longer than all the rest. */
static void write_name(struct http_origin *origin)
{
	bool v6 = strchr(origin->host, ':');
	char digits[8], *digit = digits + sizeof digits - 1, *to = origin->name;
	to = stpcpy(to, origin->tls ? "https://" : "http://");
	to = stpcpy(stpcpy(stpcpy(to, v6 ? "[" : ""), origin->host), v6 ? "]:" : ":");
	*digit = 0;
	for (unsigned port = origin->port; port; port /= 10)
		*--digit = (char)('0' + port % 10);
	stpcpy(to, digit);
}

const char *http_origin_parse(const char *url, struct http_origin *ret_origin)
{
	struct http_origin origin = {0};
	const char *why, *rest;
	if (!strncasecmp(url, "https://", 8))
		origin.tls = true, rest = url + 8;
	else if (!strncasecmp(url, "http://", 7))
		rest = url + 7;
	else
		return "does not start with http:// or https://";
	for (const char *c = rest; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return "contains white space or control characters";
	if (memchr(rest, '@', strcspn(rest, "/?#")))
		return "contains a user or password; they belong in auth, or in a header";
	if (!(rest = take_host(rest, &origin, &why)))
		return why;
	if (!(rest = take_port(rest, &origin)))
		return "has a port that is not a number from 1 to 65535";
	if (*rest && !strchr("/?#", *rest))
		return "has a host name with invalid characters";
	write_name(&origin);
	*ret_origin = origin;
	return NULL;
}

static bool v4_is_public(uint32_t address)
{
	static const struct {
		uint32_t prefix;
		int bits;
	} closed[] = {
		{0x00000000, 8},  /* this network */
		{0x0a000000, 8},  /* private */
		{0x64400000, 10}, /* shared by carriers */
		{0x7f000000, 8},  /* loopback */
		{0xa9fe0000, 16}, /* link-local, cloud metadata */
		{0xac100000, 12}, /* private */
		{0xc0000000, 24}, /* protocol assignments */
		{0xc0000200, 24}, /* documentation */
		{0xc0a80000, 16}, /* private */
		{0xc6120000, 15}, /* benchmarks */
		{0xc6336400, 24}, /* documentation */
		{0xcb007100, 24}, /* documentation */
		{0xe0000000, 3},  /* multicast, reserved, broadcast */
	};
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		if ((address ^ closed[i].prefix) >> (32 - closed[i].bits) == 0)
			return false;
	return true;
}

static uint32_t v4_within(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool v6_is_public(const uint8_t *a)
{
	static const uint8_t zero[12], mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t teredo[4] = {0x20, 0x01}, documentation[4] = {0x20, 0x01, 0x0d, 0xb8};
	if (!memcmp(a, zero, 12)) /* ::, ::1 and the old IPv4-compatible form */
		return false;
	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
		return v4_is_public(v4_within(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return v4_is_public(v4_within(a + 2));
	if (!memcmp(a, teredo, 4) || !memcmp(a, documentation, 4))
		return false;
	return (a[0] & 0xe0) ==
	       0x20; /* 2000::/3 is all that is given out; fc00::/7, fe80::/10, ff00::/8 are not in it */
}

bool http_address_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		return v4_is_public(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		return v6_is_public(v6.sin6_addr.s6_addr);
	}
	return false;
}

bool http_address_text_is_public(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return v4_is_public(ntohl(v4.s_addr));
	return inet_pton(AF_INET6, text, &v6) == 1 && v6_is_public(v6.s6_addr);
}

/* inet_aton() reads what getaddrinfo() and proxies do: 1 to 4 numbers, also octal and hexadecimal. */
bool http_host_may_be_public(const char *host)
{
	static const char own[] = "localhost";
	char name[sizeof((struct http_origin *)0)->host];
	size_t n = strlen(host);
	struct in_addr v4;
	n -= n && host[n - 1] == '.';
	if (n >= sizeof name)
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	if (inet_aton(name, &v4))
		return v4_is_public(ntohl(v4.s_addr));
	if (strchr(name, ':'))
		return http_address_text_is_public(name);
	size_t from = n > strlen(own) ? n - strlen(own) : 0;
	return strcmp(name + from, own) != 0 || (from && name[from - 1] != '.');
}
