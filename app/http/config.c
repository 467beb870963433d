/* SPDX-License-Identifier: MIT */
/*
 * The keys of the step `http`, and what their table cannot say.
 *
 * A host that comes from the item and not from the config may not be a private one; "comes from" is decided on the text
 * of the template: if the first hole begins before the authority has ended, it does.
 */
#include "http/config.h"

#include "data/secret.h"
#include "http/certificates.h"
#include "http/idn.h"
#include "http/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD(name) offsetof(struct step_http_config, name)

#define LONGEST (24 * 3600 * WEIR_SEC)

static const struct key timeout_keys[] = {
	{"connect", KEY_DURATION, FIELD(timeout_connect), NULL, WEIR_MSEC, LONGEST,
	 .text = "Maximum time to connect, TLS handshake included; default 5s, or a sixth of total if that is longer"},
	{"first_byte", KEY_DURATION, FIELD(timeout_first_byte), NULL, WEIR_MSEC, LONGEST,
	 .text = "Maximum wait for the first byte of the answer, and maximum silence after it; default 30s, or total "
		 "if that is longer"},
	{"total", KEY_DURATION, FIELD(timeout), "30s", WEIR_MSEC, LONGEST,
	 .text = "Maximum time of a request, from connecting or sending to the last byte of the answer"},
	{0},
};

static const struct key tls_keys[] = {
	{"ca", KEY_PATH_IN, FIELD(tls.ca_file),
	 .text = "PEM file with the certificates to trust instead of the system's, such as that of a private "
		 "authority; default: the file named by the environment variable SSL_CERT_FILE, if it is set"},
	{"cert", KEY_PATH_IN, FIELD(tls.cert_file),
	 .text = "PEM file with the certificate that weir shows a server which asks for one, and its chain"},
	{"key", KEY_PATH_IN, FIELD(tls.key_file),
	 .text = "PEM file with the private key of cert; default: the file of cert"},
	{"password", KEY_STRING, FIELD(tls.key_password), .flags = KEY_SECRET,
	 .text = "Password of that key, if it is encrypted"},
	{"server_name", KEY_STRING, FIELD(tls.server_name),
	 .text = "Name that the server's certificate must have, if it is not the host of url, such as for a server "
		 "that is "
		 "called by its address"},
	{0},
};

static const struct key rule_keys[] = {
	{"if", KEY_JQ, offsetof(struct step_http_rule, condition), .flags = KEY_REQUIRED | KEY_INNER,
	 .text = "Whether the rule holds: a jq expression over status, headers (names in small letters), body (JSON, "
		 "or "
		 "text) and attempt"},
	{"then", KEY_ENUM, offsetof(struct step_http_rule, then), .flags = KEY_REQUIRED,
	 .choices = "ok|retry|throttled|dead|drop|pause",
	 .text = "What the answer means. Ok: success; retry: tried again; throttled: too many calls, as a 429; dead: a "
		 "dead "
		 "letter; drop: the item is dropped; pause: the run is paused until `weir resume`, and the item is "
		 "tried "
		 "again"},
	{"after", KEY_WAIT, offsetof(struct step_http_rule, after), NULL, 0, 24 * 3600 * WEIR_SEC,
	 .text = "With retry: no attempt begins sooner; with throttled: no call goes to the upstream for so long. Cut "
		 "to "
		 "flow.retry.max_retry_after"},
	{0},
};

static const struct key poll_keys[] = {
	{"every", KEY_DURATION, FIELD(poll_every), NULL, 10 * WEIR_MSEC, LONGEST, .flags = KEY_REQUIRED | KEY_PACE,
	 .text = "How long to wait before each request for the job, unless the answer says it (Retry-After)"},
	{"url", KEY_URL, FIELD(poll_url),
	 .text = "Where to ask for the job, of values of the answer that began it: `${.id}`, `${meta.headers.NAME}`. "
		 "Its host is that of the request, or written out. Default: the header Location of that answer"},
	{"done", KEY_JQ, FIELD(poll_done), .flags = KEY_INNER,
	 .text = "Whether the job is done: a jq expression as in when.if. Default: any good status but 202"},
	{"failed", KEY_JQ, FIELD(poll_failed), .flags = KEY_INNER,
	 .text = "Whether the job has failed, which makes the item a dead letter: a jq expression as in when.if"},
	{"at_most", KEY_DURATION, FIELD(poll_at_most), NULL, WEIR_SEC, 366 * 24 * 3600 * WEIR_SEC, .flags = KEY_PACE,
	 .text = "Maximum time of the job; the item of one that takes longer is a dead letter; default: 1h"},
	{0},
};

#define PART(name) offsetof(struct step_http_part, name)

static const struct key part_keys[] = {
	{"name", KEY_STRING, PART(name), .flags = KEY_REQUIRED, .text = "Name of the field"},
	{"value", KEY_TEMPLATE, PART(value), .text = "Its value, a text"},
	{"file", KEY_PATH, PART(file),
	 .text = "Path of a file to send instead, from the folder of the pipeline file. It is read while it is sent. "
		 "What a value of the item may be is as in save.path"},
	{"filename", KEY_TEMPLATE, PART(filename),
	 .text = "File name to send with it; default: the last part of its path"},
	{"type", KEY_TEMPLATE, PART(type),
	 .text = "Content-Type of the part; default: none for a value, application/octet-stream for a file"},
	{0},
};

static const struct key save_keys[] = {
	{"path", KEY_PATH, FIELD(save.path), .flags = KEY_REQUIRED,
	 .text = "Path of the file, from the folder of the pipeline file. A value of the item is one part of the path, "
		 "or several with `${raw:.path}`, and leads nowhere out of the folder that is written before the first "
		 "`${`. That folder must exist; those below it are made"},
	{"replace", KEY_BOOL, FIELD(save.replace), "false", .flags = KEY_PACE,
	 .text = "Whether to replace a file that exists; else its item is a dead letter. One that this item of this "
		 "run has written, or with the same content, is no obstacle in any case"},
	{0},
};

const struct key step_http_keys[] = {
	{"url", KEY_URL, FIELD(url), .flags = KEY_REQUIRED,
	 .text = "Where to send the request. Values of the item are percent-encoded, and may not make a part of the "
		 "path `.`, `..` or empty; a host that comes from the item must have a public address"},
	{"method", KEY_ENUM, FIELD(method), "GET", .choices = "GET|POST|PUT|PATCH|DELETE|HEAD",
	 .text = "Method of the request"},
	{"headers", KEY_HEADERS, FIELD(headers),
	 .text = "Headers to send. POST and PATCH send `Idempotency-Key` unless it is here; `\"\"` leaves it out"},
	{"body", KEY_TEMPLATE, FIELD(body),
	 .text = "What to send. It is JSON unless the header Content-Type says otherwise: then a value of the item is "
		 "escaped between quotes, and written as JSON elsewhere; `${.}` is the whole item"},
	{"json", KEY_JSON, FIELD(json),
	 .text = "What to send as JSON. Written as YAML, a text that is a `${.path}` alone becomes the value, whatever "
		 "its "
		 "type; in another text its value is text. Written as a text, it is a jq program over the item, as in "
		 "a "
		 "step jq, with exactly one output"},
	{"form", KEY_JSON, FIELD(form),
	 .text = "What to send as the fields of a form (application/x-www-form-urlencoded): a map of names to values. "
		 "A list sends its field once for each element, null sends none. Written as a text, it is a jq "
		 "program, as in json"},
	{"multipart", KEY_LIST, FIELD(multipart), .group = part_keys, .element_bytes = sizeof(struct step_http_part),
	 .text = "What to send as parts (multipart/form-data), in this order: values and files, each with a name"},
	{"max_upload", KEY_SIZE, FIELD(max_upload), "1GiB", 1, (int64_t)1 << 40, .flags = KEY_PACE,
	 .text = "Maximum size of a body with parts; an item with a longer one is a dead letter"},
	{"auth", KEY_GROUP, 0, .group = step_http_auth_keys,
	 .text = "Credentials: one of basic, bearer, aws, oauth2 and exec"},
	{"timeout", KEY_GROUP, 0, .group = timeout_keys, .shorthand = "total", .flags = KEY_PACE,
	 .text = "Time limits of one request; a plain value is the total"},
	{"http", KEY_ENUM, FIELD(http), "1.1", .choices = "1.1|2|auto", .flags = KEY_PACE,
	 .text = "Version of HTTP with https servers; 2: HTTP/2, which they must offer; auto: HTTP/2 if they offer it, "
		 "else 1.1. With http servers it is 1.1"},
	{"tls", KEY_GROUP, 0, .group = tls_keys, .flags = KEY_PACE,
	 .text = "How https servers are verified, and weir by them"},
	{"proxy", KEY_STRING, FIELD(proxy), "env", .flags = KEY_PACE,
	 .text = "Proxy for all requests, http:// or socks5://[user:password@]host:port; none; or env: as HTTPS_PROXY, "
		 "HTTP_PROXY, "
		 "ALL_PROXY and NO_PROXY say, but never for this machine. A proxy looks up the hosts, so of a host "
		 "that comes "
		 "from an item or a redirect only addresses and localhost are refused"},
	{"expect", KEY_ENUM, FIELD(expect), "json", .choices = "json|text|bytes",
	 .text = "Type of the body: a JSON value, null if the body is empty; text, which becomes a JSON string; or "
		 "bytes, which become {\"base64\": ...}"},
	{"compress", KEY_ENUM, FIELD(compress), "auto", .choices = "auto|none", .flags = KEY_PACE,
	 .text = "Whether to ask for compressed answers (gzip, deflate, br, zstd). They are decoded, asked for or not; "
		 "a "
		 "header Accept-Encoding in headers is sent instead"},
	{"compress_body", KEY_ENUM, FIELD(compress_body), "none", .choices = "none|gzip", .flags = KEY_PACE,
	 .text = "Whether to send the body compressed, for servers that take it so"},
	{"record", KEY_BOOL, FIELD(record), "false",
	 .text = "Whether a record takes the place of the answer, as `weir get` writes it: url, final_url "
		 "after redirects, status, ok, latency_ms, bytes, attempts, error, body"},
	{"save", KEY_GROUP, 0, .group = save_keys, .shorthand = "path",
	 .text = "Writes the body of a good answer to a file, whatever its size and type, and makes an object with "
		 "path, "
		 "bytes, sha256, status and content_type the answer. A plain value is the path"},
	{"into", KEY_FIELD, FIELD(into),
	 .text = "Where in the item to put the answer, such as `.answer`; the rest of the item stays. Default: the "
		 "answer "
		 "takes the place of the item"},
	{"ok", KEY_COUNTS, FIELD(ok), NULL, 100, 599, .text = "Statuses that count as success; default: every 2xx"},
	{"follow", KEY_COUNT, FIELD(follow), "0", 0, 20, .flags = KEY_PACE,
	 .text = "Maximum redirects to follow, except those whose status is in ok, retry_on or throttled_on. A 303, "
		 "and "
		 "a 301 or 302 after a POST, is followed by a GET; from https to http never; other origins get no "
		 "credentials, must have a public "
		 "address, and have limits of their own"},
	{"retry_on", KEY_COUNTS, FIELD(retry_on), NULL, 100, 599,
	 .text = "Statuses that are tried again, besides 408, 425 and 5xx"},
	{"throttled_on", KEY_COUNTS, FIELD(throttled_on), NULL, 100, 599,
	 .text = "Statuses that mean \"too many calls\", besides 429: no call goes to the upstream for a while, and "
		 "the "
		 "item is tried again without using up an attempt"},
	{"when", KEY_LIST, FIELD(when), .group = rule_keys, .element_bytes = sizeof(struct step_http_rule),
	 .text = "Rules that say what an answer means; the first that holds decides. If none does, the status does"},
	{"poll", KEY_GROUP, 0, .group = poll_keys, .shorthand = "every",
	 .text = "A good answer begins a job: GET requests ask for it until it is done, and the last answer counts. "
		 "Meanwhile the item waits without a slot. A plain value is every"},
	{"memo", KEY_BOOL, FIELD(memo), "true", .flags = KEY_PACE,
	 .text = "Whether a good answer is kept with the item until the item is settled, so that it is not requested "
		 "again when a later step fails or weir is killed"},
	{"max_connections", KEY_COUNT, FIELD(max_connections), "0", 0, 100000, .flags = KEY_PACE,
	 .text = "Maximum requests in flight to one host, each of which takes a connection in HTTP/1.1; 0: as many as "
		 "items in flight"},
	{"label", KEY_STRING, FIELD(label), .flags = KEY_PACE,
	 .text = "Name of the upstream (letters, digits, _ . and -): limits, breaker and what weir has found out are "
		 "kept under it, instead of separately for each host"},
	{"max_body", KEY_SIZE, FIELD(max_body), "10MiB", 1, (int64_t)1 << 40, .flags = KEY_PACE,
	 .text = "Maximum size of an answer, decoded; a longer one is a failure. Without save at most 1 GiB. One over "
		 "10 MiB that was compressed "
		 "to "
		 "less than a 200th is, too"},
	{"max_headers", KEY_SIZE, FIELD(max_headers), "256KiB", 1024, HTTP_HEADER_BYTES, .flags = KEY_PACE,
	 .text = "Maximum size of the headers of an answer; 256KiB is the most. A single header has 100 KiB at most"},
	{0},
};

/* ---- checking ---- */

static bool is_fixed(const char *url, const char *hole)
{
	const char *authority = strstr(url, "://");
	if (!hole)
		return true;
	if (!authority || authority > hole)
		return false;
	const char *end = authority + 3;
	end += strcspn(end, "/?#");
	return end < hole;
}

const char *step_http_fixed_origin(const struct template *url, struct http_origin *ret_origin)
{
	const char *text = template_text(url), *hole = strstr(text, "${");
	*ret_origin = (struct http_origin){0};
	if (!is_fixed(text, hole))
		return NULL;
	struct buf literal = {0};
	buf_add(&literal, text, hole ? (size_t)(hole - text) : strlen(text));
	const char *wrong = !literal.failed && http_idn_encode(&literal) == 0 && literal.data
				    ? http_origin_parse(literal.data, ret_origin)
				    : NULL;
	buf_fini(&literal);
	return wrong;
}

static bool has_control_bytes(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static int check_headers(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	static const char *const framing[] = {"content-length", "transfer-encoding", "connection", "expect"};
	*ret_key = "headers";
	for (size_t i = 0; i < config->headers.n; i++) {
		const struct key_header *header = &config->headers.headers[i];
		for (size_t k = 0; k < sizeof framing / sizeof *framing; k++)
			if (!strcasecmp(header->name, framing[k]))
				return weir_error_set(err, WEIR_EINVAL, "weir sets the header %s itself; remove it",
						      header->name);
		if (has_control_bytes(template_text(header->value)))
			return weir_error_set(err, WEIR_EINVAL, "header %s contains a control character", header->name);
	}
	return 0;
}

const char *step_http_proxy(const struct step_http_config *config)
{
	const char *proxy = config->proxy ? config->proxy : "env";
	return !strcmp(proxy, "env") || !strcmp(proxy, "none") ? NULL : proxy;
}

static int check_into(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct buf scratch = {0};
	size_t at;
	int error = config->into ? json_write_around(NULL, config->into, &scratch, &at) : 0;
	buf_fini(&scratch);
	*ret_key = error ? "into" : NULL;
	return error ? weir_error_set(err, WEIR_EINVAL,
				      "into is \"%.80s\"; expected the name of a field, such as .answer or .a.b",
				      config->into)
		     : 0;
}

static int check_timeout(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "timeout";
	if (config->timeout_connect > config->timeout)
		return weir_error_set(err, WEIR_EINVAL, "timeout.connect is longer than timeout.total");
	if (config->timeout_first_byte > config->timeout)
		return weir_error_set(err, WEIR_EINVAL, "timeout.first_byte is longer than timeout.total");
	return 0;
}

static int check_proxy(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct http_proxies *proxies = NULL;
	const char *url = step_http_proxy(config);
	*ret_key = "proxy";
	int error = url ? http_proxies_new(&(struct http_proxy_settings){.http = url}, &proxies, err) : 0;
	http_proxies_free(proxies);
	return error;
}

static int check_tls(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct http_origin origin = {0};
	struct weir_error why = {0};
	*ret_key = "tls";
	if (http_tls_check(&config->tls, &why) < 0)
		return weir_error_set(err, WEIR_EINVAL, "tls: %.400s", why.text);
	if (!config->tls.server_name || (config->url && !step_http_fixed_origin(config->url, &origin) && origin.tls))
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "tls.server_name needs a url that begins with https:// and a host");
}

static int check_label(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *label = config->label;
	*ret_key = "label";
	if (label && (!label[0] || strlen(label) > 64 || strspn(label, allowed) != strlen(label)))
		return weir_error_set(err, WEIR_EINVAL,
				      "label is \"%.80s\", expected up to 64 letters, digits, _ . and -", label);
	return 0;
}

enum { RULES_MOST = 32, RULES_BYTES_MOST = 500000 };

static int check_rules(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	const struct step_http_rule *rules = config->when.elements;
	size_t bytes = 0;
	*ret_key = "when";
	if (config->when.n > RULES_MOST)
		return weir_error_set(err, WEIR_EINVAL, "when has %zu rules, expected at most %d", config->when.n,
				      RULES_MOST);
	for (size_t i = 0; i < config->when.n; i++) {
		const struct key_wait *after = &rules[i].after;
		bool waits = rules[i].then == STEP_HTTP_RETRY || rules[i].then == STEP_HTTP_THROTTLED;
		if (!waits && (after->program || after->time))
			return weir_error_set(err, WEIR_EINVAL,
					      "when: rule %zu has after, which is for retry and throttled; remove it",
					      i + 1);
		bytes += strlen(rules[i].condition) + (after->program ? strlen(after->program) : 0);
	}
	return bytes > RULES_BYTES_MOST
		       ? weir_error_set(err, WEIR_EINVAL, "when has more than %d bytes of jq", RULES_BYTES_MOST)
		       : 0;
}

/* Two lists that have a status in common. */
static int check_lists(const struct key_counts *one, const char *name, const struct key_counts *other,
		       const char *other_name, struct weir_error *err)
{
	for (size_t i = 0; i < one->n; i++)
		for (size_t k = 0; k < other->n; k++)
			if (one->values[i] == other->values[k])
				return weir_error_set(err, WEIR_EINVAL, "%lld is in %s and in %s; expected one of them",
						      (long long)one->values[i], other_name, name);
	return 0;
}

static int check_statuses(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "retry_on";
	int error = check_lists(&config->retry_on, "retry_on", &config->ok, "ok", err);
	if (error < 0)
		return error;
	*ret_key = "throttled_on";
	error = check_lists(&config->throttled_on, "throttled_on", &config->ok, "ok", err);
	return error ? error : check_lists(&config->throttled_on, "throttled_on", &config->retry_on, "retry_on", err);
}

static int check_url(const struct step_http_config *config, struct weir_error *err)
{
	struct http_origin origin;
	const char *wrong = step_http_fixed_origin(config->url, &origin);
	return wrong ? weir_error_set(err, WEIR_EINVAL, "the URL %s", wrong) : 0;
}

/* Every item would make the same request.  What is wrong with a "$id" or a "{{.id}}" is said where it stands. */
static bool is_same_for_all(const struct step_http_config *config)
{
	for (size_t i = 0; i < config->headers.n; i++)
		if (!template_is_constant(config->headers.headers[i].value))
			return false;
	return !step_http_has_body(config) && template_is_constant(config->url) &&
	       !strpbrk(template_text(config->url), "${");
}

static bool is_open(const struct step_http_config *config)
{
	struct http_origin origin;
	return config->url && !step_http_fixed_origin(config->url, &origin) && !origin.name[0];
}

bool step_http_is_plain(const struct step_http_config *config)
{
	struct http_origin origin, tokens = {0};
	bool asks = config->oauth2.token_url && !http_origin_parse(config->oauth2.token_url, &tokens);
	return !step_http_fixed_origin(config->url, &origin) && origin.name[0] && !origin.tls && !config->follow &&
	       !config->poll_url && !(asks && tokens.tls);
}

/* A key that does something only for https, which is not spoken; NULL: none. */
static const char *find_vain(const struct step_http_config *config)
{
	const struct http_tls *tls = &config->tls;
	if (!config->url || !step_http_is_plain(config))
		return NULL;
	return config->http == STEP_HTTP_2 ? "http" : tls->ca_file || tls->cert_file ? "tls" : NULL;
}

/* A header with a secret; NULL: there is none. */
static const char *find_secret_header(const struct step_http_config *config)
{
	for (size_t i = 0; i < config->headers.n; i++)
		if (secret_is_name(config->headers.headers[i].name))
			return config->headers.headers[i].name;
	return NULL;
}

/* Whether anybody on the way can read what is sent there: not within one machine or one network. */
static bool is_overheard(const struct http_origin *origin)
{
	return origin->name[0] && !origin->tls && strchr(origin->host, '.') && http_host_may_be_public(origin->host);
}

/* The key of a secret that is sent where it can be read; NULL: there is none. */
static const char *find_overheard(const struct step_http_config *config, struct http_origin *ret_origin)
{
	const char *token_url = config->oauth2.token_url;
	if (token_url && !http_origin_parse(token_url, ret_origin) && is_overheard(ret_origin))
		return "auth";
	if (!config->url || step_http_fixed_origin(config->url, ret_origin) || !is_overheard(ret_origin))
		return NULL;
	bool tells = config->basic || config->bearer || token_url || config->exec.n; /* a signature tells little */
	return tells ? "auth" : find_secret_header(config) ? "headers" : NULL;
}

/* What may be meant otherwise: 1 and a warning, or 0. */
static int doubt(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	struct http_origin origin;
	*ret_key = is_open(config) && find_secret_header(config) ? "headers" : NULL;
	if (*ret_key)
		return weir_error_set(err, 1,
				      "the host of url comes from the item, and the header %s goes to any host; auth "
				      "with auth.hosts does not",
				      find_secret_header(config));
	*ret_key = find_vain(config);
	if (*ret_key)
		return weir_error_set(err, 1,
				      "%s has no effect, since url begins with http:// (did you mean https://?)",
				      **ret_key == 'h' ? "http: 2" : *ret_key);
	*ret_key = find_overheard(config, &origin);
	if (*ret_key)
		return weir_error_set(err, 1,
				      "%s: a secret is sent to %s, unencrypted, so anybody on the way can read it (did "
				      "you mean https://?)",
				      *ret_key, origin.name);
	*ret_key = "url";
	return is_same_for_all(config)
		       ? weir_error_set(err, 1,
					"url has no ${...}: every item calls the same URL; did you mean ${.id}?")
		       : 0;
}

int step_http_check(const void *arg, const char **ret_key, struct weir_error *err)
{
	const struct step_http_config *config = arg;
	*ret_key = "url";
	if (config->url && check_url(config, err) < 0)
		return WEIR_EINVAL;
	*ret_key = "expect";
	if (config->method == STEP_HTTP_HEAD && config->expect == STEP_HTTP_JSON)
		return weir_error_set(err, WEIR_EINVAL, "an answer to HEAD has no body; set expect: text");
	int error = step_http_check_auth(config, is_open(config), ret_key, err);
	if (error == 0)
		error = step_http_check_bodies(config, ret_key, err);
	if (error == 0 && config->compress_body && step_http_header(config, "content-encoding")) {
		*ret_key = "compress_body";
		error = weir_error_set(err, WEIR_EINVAL,
				       "compress_body beside a header Content-Encoding; remove one of them");
	}
	if (error == 0)
		error = check_into(config, ret_key, err);
	if (error == 0)
		error = check_proxy(config, ret_key, err);
	if (error == 0)
		error = check_tls(config, ret_key, err);
	if (error == 0)
		error = check_timeout(config, ret_key, err);
	if (error == 0)
		error = check_headers(config, ret_key, err);
	if (error == 0)
		error = check_statuses(config, ret_key, err);
	if (error == 0)
		error = check_rules(config, ret_key, err);
	if (error == 0)
		error = check_label(config, ret_key, err);
	return error < 0 ? error : doubt(config, ret_key, err);
}
