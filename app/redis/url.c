/* SPDX-License-Identifier: MIT */
#include "redis/url.h"

#include "data/secret.h"
#include "data/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int refuse(struct weir_error *err, const char *what)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "%s in the URL of Redis; expected redis://[[user]:password@]host[:port][/database], "
			      "rediss:// for TLS, or redis+unix://[[user]:password@]/path[?db=database]",
			      what);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A copy without percent-encoding: 0, WEIR_EINVAL or WEIR_ENOMEM. */
static int decode(const char *text, size_t n, char **ret_text)
{
	char *copy = malloc(n + 1), *to = copy;
	if (!copy)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		bool escape = text[i] == '%' && i + 2 < n;
		int high = escape ? hex_digit(text[i + 1]) : -1, low = escape ? hex_digit(text[i + 2]) : -1;
		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		if (high < 0 || low < 0 || !(high | low)) {
			free(copy);
			return WEIR_EINVAL;
		}
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	*to = 0;
	*ret_text = copy;
	return 0;
}

/* What is before the last "@", if there is one: [user]:password. */
static int parse_login(const char *text, size_t n, struct redis_url *url, struct weir_error *err)
{
	const char *colon = memchr(text, ':', n);
	if (!colon)
		return refuse(err, "a user without a password");
	size_t user = (size_t)(colon - text);
	int code = user ? decode(text, user, &url->user) : 0;
	if (!code)
		code = decode(colon + 1, n - user - 1, &url->password);
	if (code == WEIR_EINVAL)
		return refuse(err, "a \"%\" that begins no percent-encoding");
	return code ? code : secret_add(url->password, strlen(url->password));
}

static int parse_database(const char *text, size_t n, struct redis_url *url, struct weir_error *err)
{
	int64_t database = 0;
	if (n && !units_count(text, n, 0, 100000, &database))
		return refuse(err, "no number of a database");
	url->database = (unsigned)database;
	return 0;
}

/* name=value, of TLS. */
static int parse_parameter(const char *text, size_t n, struct redis_url *url, struct weir_error *err)
{
	const struct {
		const char *name;
		char **value;
	} names[] = {
		{"ca=", &url->ca},
		{"cert=", &url->cert},
		{"key=", &url->key},
		{"password=", &url->key_password},
		{"server_name=", &url->server_name},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t skip = strlen(names[i].name);
		if (n <= skip || strncmp(text, names[i].name, skip) != 0 || *names[i].value)
			continue;
		int code = decode(text + skip, n - skip, names[i].value);
		return code == WEIR_EINVAL ? refuse(err, "a \"%\" that begins no percent-encoding") : code;
	}
	return refuse(err, "an unknown or empty parameter, or one that comes twice,");
}

static int parse_parameters(const char *text, struct redis_url *url, struct weir_error *err)
{
	int code = 0;
	for (size_t n; *text && !code; text += n + (text[n] == '&')) {
		n = strcspn(text, "&");
		code = parse_parameter(text, n, url, err);
	}
	if (!code && url->key_password)
		code = secret_add(url->key_password, strlen(url->key_password));
	if (!code && (url->key || url->key_password) && !url->cert)
		code = refuse(err, "key or password without cert");
	return code;
}

/* host[:port][/database], and with TLS [?name=value&...] */
static int parse_tcp(const char *text, struct redis_url *url, struct weir_error *err)
{
	size_t n = strcspn(text, "/?#"), all = strcspn(text, "?#");
	if (text[all] && (text[all] != '?' || !url->tls))
		return refuse(err, "a query or fragment");
	size_t host = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/");
	if (host > n || !host || (*text == '[' && host < 4))
		return refuse(err, "no host");
	size_t skip = *text == '[';
	url->host = strndup(text + skip, host - 2 * skip);
	if (!url->host)
		return WEIR_ENOMEM;
	int64_t port = REDIS_PORT;
	bool has_port = host < n;
	if (has_port && (text[host] != ':' || !units_count(text + host + 1, n - host - 1, 1, UINT16_MAX, &port)))
		return refuse(err, "no valid port");
	url->port = (uint16_t)port;
	snprintf(url->name, sizeof url->name, "%.*s:%d", (int)host, text, (int)port);
	int code = n < all ? parse_database(text + n + 1, all - n - 1, url, err) : 0;
	return code || !text[all] ? code : parse_parameters(text + all + 1, url, err);
}

/* /path[?db=database] */
static int parse_unix(const char *text, struct redis_url *url, struct weir_error *err)
{
	size_t n = strcspn(text, "?");
	if (*text != '/' || n < 2)
		return refuse(err, "no absolute path of a socket");
	int code = decode(text, n, &url->path);
	if (code)
		return code == WEIR_EINVAL ? refuse(err, "a \"%\" that begins no percent-encoding") : code;
	snprintf(url->name, sizeof url->name, "%s", url->path);
	if (text[n] && strncmp(text + n, "?db=", 4) != 0)
		return refuse(err, "an unknown parameter");
	return text[n] ? parse_database(text + n + 4, strlen(text + n + 4), url, err) : 0;
}

int redis_url_parse(const char *text, struct redis_url *ret_url, struct weir_error *err)
{
	static const char tcp[] = "redis://", local[] = "redis+unix://", tls[] = "rediss://";
	struct redis_url url = {.tls = !strncasecmp(text, tls, sizeof tls - 1)};
	bool is_tcp = url.tls || !strncasecmp(text, tcp, sizeof tcp - 1);
	if (!is_tcp && strncasecmp(text, local, sizeof local - 1) != 0)
		return refuse(err, "no redis://, rediss:// or redis+unix://");
	text = strstr(text, "://") + 3;
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return refuse(err, "white space or a control byte");
	const char *at = strrchr(text, '@');
	int code = at ? parse_login(text, (size_t)(at - text), &url, err) : 0;
	if (!code)
		code = (is_tcp ? parse_tcp : parse_unix)(at ? at + 1 : text, &url, err);
	if (code) {
		redis_url_fini(&url);
		return code == WEIR_ENOMEM ? weir_error_set(err, code, "out of memory") : code;
	}
	*ret_url = url;
	return 0;
}

void redis_url_fini(struct redis_url *url)
{
	free(url->user);
	free(url->password);
	free(url->host);
	free(url->path);
	free(url->ca);
	free(url->cert);
	free(url->key);
	free(url->key_password);
	free(url->server_name);
	*url = (struct redis_url){0};
}
