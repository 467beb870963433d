/* SPDX-License-Identifier: MIT */
/*
 * AWS Signature Version 4.
 *
 *     canonical request   method, path, query, headers, names of the headers, hash of the body; a line each
 *     text to sign        "AWS4-HMAC-SHA256", time, scope (day/region/service/aws4_request), hash of the above
 *     key                 HMACs of day, region, service and "aws4_request", one after the other, from the secret key
 *     signature           HMAC of the text with that key
 *
 * The server makes the same of the request that arrives, so what counts are the bytes that are sent.  It encodes the
 * path that it receives once more, after taking dot segments and doubled slashes out of it; S3 does neither, since its
 * keys may have any name.  Query parameters are decoded and encoded in the one canonical form, and sorted.
 *
 * Each header that the pipeline sets is signed, apart from four that proxies change.
 */
#include "http/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "data/array.h"
#include "data/buf.h"
#include "http/origin.h"

enum { HASH_BYTES = 32, HEX_BYTES = 2 * HASH_BYTES + 1 };

/* A piece of a text. */
struct piece {
	const char *at;
	size_t n;
};

struct pair {
	struct piece name, value;
	size_t place; /* among the others, which decides between equals */
};

struct pairs {
	struct pair *list;
	size_t n, room;
};

struct signing {
	const struct http_sigv4_keys *keys;
	const struct http_request *request;
	bool is_s3;
	char date[20]; /* "20150830T123600Z"; the first 8 bytes are the day */
	char body_hash[HEX_BYTES];
	struct pairs headers;
	struct buf host, scope, names, canonical;
};

static struct piece piece_of(const char *from, const char *end)
{
	return (struct piece){from, (size_t)(end - from)};
}

static int add_pair(struct pairs *pairs, struct piece name, struct piece value)
{
	if (array_reserve(&pairs->list, &pairs->room, pairs->n + 1, sizeof *pairs->list))
		return WEIR_ENOMEM;
	pairs->list[pairs->n] = (struct pair){name, value, pairs->n};
	pairs->n++;
	return 0;
}

/* ---- hashes ---- */

static void write_hex(const unsigned char hash[HASH_BYTES], char hex[HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < HASH_BYTES; i++) {
		hex[2 * i] = digits[hash[i] >> 4];
		hex[2 * i + 1] = digits[hash[i] & 15];
	}
	hex[HEX_BYTES - 1] = 0;
}

static int hash_hex(const char *data, size_t n, char hex[HEX_BYTES])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	if (EVP_Digest(n ? data : "", n, hash, NULL, EVP_sha256(), NULL) != 1)
		return WEIR_ENOMEM;
	write_hex(hash, hex);
	return 0;
}

/* The result may take the place of the key. */
static int sign_piece(const unsigned char *key, size_t key_bytes, const char *data, size_t n,
		      unsigned char ret_mac[HASH_BYTES])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	if (!HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)data, n, mac, NULL))
		return WEIR_ENOMEM;
	memcpy(ret_mac, mac, HASH_BYTES);
	return 0;
}

/* ---- path and query ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* In the canonical form whatever was encoded before; a plus in a query is a space. */
static void add_encoded_again(struct buf *out, struct piece text, bool query)
{
	for (size_t i = 0; i < text.n; i++) {
		const char *c = text.at + i;
		if (*c == '%' && i + 2 < text.n && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
			buf_add_percent(out, &(char){(char)(hex_digit(c[1]) << 4 | hex_digit(c[2]))}, 1);
			i += 2;
		} else {
			buf_add_percent(out, query && *c == '+' ? " " : c, 1);
		}
	}
}

/* Back to the slash before the last segment. */
static void drop_segment(struct buf *out, size_t start)
{
	while (out->len > start && out->data[out->len - 1] != '/')
		out->len--;
	out->len -= out->len > start;
}

static void add_path(struct signing *self, struct piece path)
{
	struct buf *out = &self->canonical;
	const char *end = path.at + path.n;
	size_t start = out->len;
	bool is_folder = false; /* it ends in a slash, or in a segment that means none */
	for (const char *from = path.at; from < end;) {
		const char *slash = memchr(from, '/', (size_t)(end - from));
		struct piece segment = piece_of(from, slash ? slash : end);
		bool is_dot = segment.n == 1 && segment.at[0] == '.';
		bool is_up = segment.n == 2 && !memcmp(segment.at, "..", 2);
		from = segment.at + segment.n + 1;
		if (self->is_s3) {
			if (segment.at != path.at)
				buf_add_char(out, '/');
			add_encoded_again(out, segment, false);
			continue;
		}
		is_folder = segment.n == 0 || is_dot || is_up || slash == end - 1;
		if (is_up)
			drop_segment(out, start);
		if (segment.n == 0 || is_dot || is_up)
			continue;
		buf_add_char(out, '/');
		buf_add_percent(out, segment.at, segment.n);
	}
	bool ends_with_slash = path.n && end[-1] == '/';
	if (out->len == start || (self->is_s3 ? ends_with_slash && path.n > 1 : is_folder))
		buf_add_char(out, '/');
}

static int compare_bytes(struct piece a, struct piece b)
{
	int order = memcmp(a.at, b.at, a.n < b.n ? a.n : b.n);
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* By name, then by value, as they are written. */
static int compare_parameters(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = compare_bytes(x->name, y->name);
	return order ? order : compare_bytes(x->value, y->value);
}

static void encode_parameter(struct piece parameter, struct buf *out, size_t *ret_name_bytes)
{
	const char *end = parameter.at + parameter.n, *equals = memchr(parameter.at, '=', parameter.n);
	size_t start = out->len;
	add_encoded_again(out, piece_of(parameter.at, equals ? equals : end), true);
	*ret_name_bytes = out->len - start;
	if (equals)
		add_encoded_again(out, piece_of(equals + 1, end), true);
}

/* Encoded first, since that is what the order is of; pieces of a buffer only once it does not grow any more. */
static int add_query(struct signing *self, struct piece query)
{
	struct buf encoded = {0};
	struct pairs pairs = {0};
	const char *end = query.at + query.n;
	int error = 0;
	if (!buf_reserve(&encoded, 3 * query.n + 1))
		return WEIR_ENOMEM;
	for (const char *from = query.at; from < end && !error;) {
		const char *stop = memchr(from, '&', (size_t)(end - from));
		struct piece parameter = piece_of(from, stop ? stop : end);
		from = parameter.at + parameter.n + 1;
		if (!parameter.n)
			continue;
		size_t start = encoded.len, name_bytes;
		encode_parameter(parameter, &encoded, &name_bytes);
		const char *at = encoded.data + start;
		error = add_pair(&pairs, (struct piece){at, name_bytes},
				 piece_of(at + name_bytes, encoded.data + encoded.len));
	}
	if (pairs.n)
		qsort(pairs.list, pairs.n, sizeof *pairs.list, compare_parameters);
	for (size_t i = 0; i < pairs.n && !error; i++) {
		buf_add_str(&self->canonical, i ? "&" : "");
		buf_add(&self->canonical, pairs.list[i].name.at, pairs.list[i].name.n);
		buf_add_char(&self->canonical, '=');
		buf_add(&self->canonical, pairs.list[i].value.at, pairs.list[i].value.n);
	}
	free(pairs.list);
	buf_fini(&encoded);
	return error;
}

/* ---- headers ---- */

static bool is_name(struct piece name, const char *word)
{
	return name.n == strlen(word) && !strncasecmp(name.at, word, name.n);
}

/* "Name: value", or "Name;" for an empty value, as libcurl wants it. */
static int add_line(struct pairs *headers, const char *line)
{
	const char *end = line + strlen(line), *colon = strchr(line, ':');
	if (!colon)
		return add_pair(headers, piece_of(line, line + strcspn(line, ";")), (struct piece){end, 0});
	const char *value = colon + 1;
	value += strspn(value, " \t");
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	struct piece name = piece_of(line, colon);
	if (is_name(name, "user-agent") || is_name(name, "accept-encoding") || is_name(name, "x-amzn-trace-id") ||
	    is_name(name, "traceparent"))
		return 0;
	return add_pair(headers, name, piece_of(value, end));
}

static int compare_headers(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int order = strncasecmp(x->name.at, y->name.at, n);
	if (!order && x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	return order ? order : (x->place > y->place) - (x->place < y->place);
}

static void add_lower(struct buf *out, struct piece name)
{
	for (size_t i = 0; i < name.n; i++)
		buf_add_char(out, (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 32 : name.at[i]));
}

/* Several blanks count as one. */
static void add_folded(struct buf *out, struct piece value)
{
	for (size_t i = 0; i < value.n; i++)
		if (i == 0 || value.at[i] != ' ' || value.at[i - 1] != ' ')
			buf_add_char(out, value.at[i]);
}

/* The values of a name that comes several times stand in one line. */
static void add_headers(struct signing *self)
{
	const struct pair *list = self->headers.list;
	struct buf *out = &self->canonical;
	for (size_t i = 0; i < self->headers.n; i++) {
		bool again = i && list[i].name.n == list[i - 1].name.n &&
			     !strncasecmp(list[i].name.at, list[i - 1].name.at, list[i].name.n);
		if (again) {
			out->len--;
			buf_add_char(out, ',');
		} else {
			add_lower(out, list[i].name);
			buf_add_char(out, ':');
			buf_add_str(&self->names, i ? ";" : "");
			add_lower(&self->names, list[i].name);
		}
		add_folded(out, list[i].value);
		buf_add_char(out, '\n');
	}
	buf_add_char(out, '\n');
}

/* As libcurl sends it: without the port that is usual for the scheme. */
static int add_host(struct signing *self)
{
	const struct http_request *request = self->request;
	for (size_t i = 0; i < self->headers.n; i++)
		if (is_name(self->headers.list[i].name, "host"))
			return 0;
	const char *from = strstr(request->url, "://") + 3, *end = from + strcspn(from, "/?#");
	const char *colon = memrchr(from, ':', (size_t)(end - from)),
		   *bracket = memchr(from, ']', (size_t)(end - from));
	bool has_port = colon && (!bracket || colon > bracket);
	buf_add(&self->host, from, (size_t)((has_port ? colon : end) - from));
	if (request->origin->port != (request->origin->tls ? 443 : 80))
		buf_addf(&self->host, ":%u", (unsigned)request->origin->port);
	if (self->host.failed)
		return WEIR_ENOMEM;
	return add_pair(&self->headers, (struct piece){"host", 4}, (struct piece){self->host.data, self->host.len});
}

static int collect_headers(struct signing *self, char *const *lines, size_t n)
{
	int error = 0;
	for (size_t i = 0; i < self->request->header_count && !error; i++)
		error = add_line(&self->headers, self->request->headers[i]);
	for (size_t i = 0; i < n && !error; i++)
		error = add_line(&self->headers, lines[i]);
	if (!error)
		error = add_host(self);
	if (!error)
		qsort(self->headers.list, self->headers.n, sizeof *self->headers.list, compare_headers);
	return error;
}

/* ---- the signature ---- */

static int make_canonical(struct signing *self)
{
	const char *url = self->request->url, *path = strstr(url, "://") + 3;
	path += strcspn(path, "/?#");
	const char *query = path + strcspn(path, "?#"), *end = query + strcspn(query, "#");
	struct buf *out = &self->canonical;
	buf_addf(out, "%s\n", self->request->method);
	add_path(self, piece_of(path, query));
	buf_add_char(out, '\n');
	int error = *query == '?' ? add_query(self, piece_of(query + 1, end)) : 0;
	buf_add_char(out, '\n');
	add_headers(self);
	if (!self->names.failed)
		buf_addf(out, "%s\n%s", self->names.data, self->body_hash);
	return error ? error : out->failed || self->names.failed ? WEIR_ENOMEM : 0;
}

static int make_key(const struct signing *self, unsigned char ret_key[HASH_BYTES])
{
	struct buf first = {0};
	buf_addf(&first, "AWS4%s", self->keys->secret_key);
	int error = first.failed ? WEIR_ENOMEM
				 : sign_piece((const unsigned char *)first.data, first.len, self->date, 8, ret_key);
	if (first.data)
		explicit_bzero(first.data, first.room);
	buf_fini(&first);
	const char *const parts[] = {self->keys->region, self->keys->service, "aws4_request"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts && !error; i++)
		error = sign_piece(ret_key, HASH_BYTES, parts[i], strlen(parts[i]), ret_key);
	return error;
}

static int make_signature(struct signing *self, char ret_hex[HEX_BYTES])
{
	unsigned char key[HASH_BYTES] = {0}, mac[HASH_BYTES];
	char hash[HEX_BYTES];
	struct buf text = {0};
	int error = make_canonical(self);
	if (!error)
		error = hash_hex(self->canonical.data, self->canonical.len, hash);
	if (!error)
		buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", self->date, self->scope.data, hash);
	if (!error && text.failed)
		error = WEIR_ENOMEM;
	if (!error)
		error = make_key(self, key);
	if (!error)
		error = sign_piece(key, HASH_BYTES, text.data, text.len, mac);
	if (!error)
		write_hex(mac, ret_hex);
	explicit_bzero(key, sizeof key);
	buf_fini(&text);
	return error;
}

static int take_line(struct buf *line, char **lines, size_t *n)
{
	char *text = buf_take(line, NULL);
	if (!text)
		return WEIR_ENOMEM;
	lines[(*n)++] = text;
	return 0;
}

/* The lines that are signed themselves. */
static int make_lines(const struct signing *self, char **lines, size_t *n)
{
	struct buf line = {0};
	buf_addf(&line, "X-Amz-Date: %s", self->date);
	int error = take_line(&line, lines, n);
	if (!error && self->is_s3) {
		buf_addf(&line, "X-Amz-Content-Sha256: %s", self->body_hash);
		error = take_line(&line, lines, n);
	}
	if (!error && self->keys->session_token) {
		buf_addf(&line, "X-Amz-Security-Token: %s", self->keys->session_token);
		error = take_line(&line, lines, n);
	}
	buf_fini(&line);
	return error;
}

static int make_authorization(struct signing *self, char **lines, size_t *n)
{
	char signature[HEX_BYTES];
	struct buf line = {0};
	int error = make_signature(self, signature);
	if (error)
		return error;
	buf_addf(&line, "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		 self->keys->access_key, self->scope.data, self->names.data, signature);
	return take_line(&line, lines, n);
}

int http_sigv4_sign(const struct http_sigv4_keys *keys, const struct http_request *request, int64_t unix_time,
		    char *ret_lines[HTTP_SIGV4_LINES], size_t *ret_n)
{
	struct signing self = {.keys = keys, .request = request, .is_s3 = !strcmp(keys->service, "s3")};
	time_t now = (time_t)unix_time;
	struct tm utc;
	char *lines[HTTP_SIGV4_LINES];
	size_t n = 0;
	if (!gmtime_r(&now, &utc) || !strftime(self.date, sizeof self.date, "%Y%m%dT%H%M%SZ", &utc))
		return WEIR_ENOMEM; /* no year has so many digits */
	buf_addf(&self.scope, "%.8s/%s/%s/aws4_request", self.date, keys->region, keys->service);
	int error = self.scope.failed ? WEIR_ENOMEM : hash_hex(request->body, request->body_bytes, self.body_hash);
	if (!error)
		error = make_lines(&self, lines, &n);
	if (!error)
		error = collect_headers(&self, lines, n);
	if (!error)
		error = make_authorization(&self, lines, &n);
	free(self.headers.list);
	buf_fini(&self.host);
	buf_fini(&self.scope);
	buf_fini(&self.names);
	buf_fini(&self.canonical);
	for (size_t i = 0; i < n; i++) {
		if (error)
			free(lines[i]);
		else
			ret_lines[i] = lines[i];
	}
	if (!error)
		*ret_n = n;
	return error;
}
