/* SPDX-License-Identifier: MIT */
/* The keys under `auth`: each kind of credentials has its rows and its checks here; credentials.h says what is made of
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/aws.h"
#include "http/config.h"
#include "http/origin.h"
#include "http/token.h"

#define FIELD(name) offsetof(struct step_http_config, name)

static const struct key aws_keys[] = {
	{"profile", KEY_STRING, FIELD(aws.profile), .flags = KEY_PACE,
	 .text = "Profile whose keys are read from ~/.aws/credentials, or the file AWS_SHARED_CREDENTIALS_FILE, and "
		 "again when they have expired"},
	{"exec", KEY_STRINGS, FIELD(aws.exec), .flags = KEY_PACE,
	 .text = "A program that prints keys as a credential_process of AWS does, such as [aws, configure, "
		 "export-credentials]; it runs again before they expire, and when they have"},
	{"service", KEY_STRING, FIELD(aws.service), .flags = KEY_REQUIRED | KEY_PACE,
	 .text = "Name of the service in the signature, such as execute-api, s3, lambda or bedrock"},
	{"region", KEY_STRING, FIELD(aws.region), .flags = KEY_PACE,
	 .text = "Region, such as eu-central-1; default: the environment variable AWS_REGION, or AWS_DEFAULT_REGION"},
	{"access_key", KEY_STRING, FIELD(aws.access_key), .flags = KEY_PACE,
	 .text = "Access key id; default: AWS_ACCESS_KEY_ID"},
	{"secret_key", KEY_STRING, FIELD(aws.secret_key), .flags = KEY_SECRET | KEY_PACE,
	 .text = "Secret access key; default: AWS_SECRET_ACCESS_KEY"},
	{"session_token", KEY_STRING, FIELD(aws.session_token), .flags = KEY_SECRET | KEY_PACE,
	 .text = "Session token of temporary keys; default: AWS_SESSION_TOKEN, if the access key is the default, too"},
	{0},
};

static const struct key oauth2_keys[] = {
	{"token_url", KEY_STRING, FIELD(oauth2.token_url), .flags = KEY_REQUIRED | KEY_PACE,
	 .text = "Where tokens are requested: the token endpoint of the server"},
	{"client_id", KEY_STRING, FIELD(oauth2.client_id), .flags = KEY_REQUIRED | KEY_PACE,
	 .text = "Name of the client"},
	{"client_secret", KEY_STRING, FIELD(oauth2.client_secret), .flags = KEY_SECRET | KEY_PACE,
	 .text = "Secret of the client; none is needed for grant refresh_token of a public client"},
	{"scope", KEY_STRING, FIELD(oauth2.scope), .flags = KEY_PACE,
	 .text = "Scopes to ask for, separated by blanks; default: those of the client"},
	{"audience", KEY_STRING, FIELD(oauth2.audience), .flags = KEY_PACE,
	 .text = "Audience to ask for, as some servers need it"},
	{"grant", KEY_ENUM, FIELD(oauth2.grant), .choices = "client_credentials|refresh_token", .flags = KEY_PACE,
	 .text = "How a token is requested; default: client_credentials"},
	{"refresh_token", KEY_STRING, FIELD(oauth2.refresh_token), .flags = KEY_SECRET | KEY_KEEP_FILE | KEY_PACE,
	 .text = "The refresh token for grant refresh_token. A new one that the server sends replaces it: in the file, "
		 "if it is ${file:PATH}, else for the rest of the run"},
	{0},
};

const struct key step_http_auth_keys[] = {
	{"basic", KEY_STRING, FIELD(basic), .flags = KEY_SECRET,
	 .text = "user:password, sent as HTTP basic authentication"},
	{"bearer", KEY_STRING, FIELD(bearer), .flags = KEY_SECRET | KEY_KEEP_FILE,
	 .text = "A token, sent as Authorization: Bearer; ${file:PATH} is read again after an answer 401"},
	{"aws", KEY_GROUP, 0, .group = aws_keys, .flags = KEY_PACE,
	 .text = "AWS Signature Version 4, made for each attempt"},
	{"oauth2", KEY_GROUP, 0, .group = oauth2_keys, .flags = KEY_PACE,
	 .text = "A bearer token from an OAuth2 server, renewed before it expires and after an answer 401"},
	{"exec", KEY_STRINGS, FIELD(exec), .flags = KEY_PACE,
	 .text = "A program with its arguments, such as [gcloud, auth, print-access-token]. The first line of its "
		 "output "
		 "is sent as a bearer token. It runs again after ttl and after an answer 401, for 30s at most"},
	{"ttl", KEY_DURATION, FIELD(ttl), NULL, WEIR_SEC, 365 * 24 * 3600 * WEIR_SEC, .flags = KEY_PACE,
	 .text = "How long the token of exec is valid; default: until an answer 401"},
	{"hosts", KEY_STRINGS, FIELD(auth_hosts), .flags = KEY_PACE,
	 .text = "Hosts that get the credentials, where the host of url comes from the item, such as "
		 "[api.example.com, '*.example.com']: a request to another one is not sent"},
	{0},
};

/* ---- checking ---- */

static bool has_control_bytes(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

/* NULL, or two names of kinds that are both there. */
static const char *find_second(const struct step_http_config *config, const char **ret_first)
{
	const struct {
		const char *name;
		bool is_there;
	} kinds[] = {
		{"basic", config->basic},     {"bearer", config->bearer},
		{"aws", config->aws.service}, {"oauth2", config->oauth2.token_url},
		{"exec", config->exec.n},
	};
	*ret_first = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].is_there && *ret_first)
			return kinds[i].name;
		if (kinds[i].is_there)
			*ret_first = kinds[i].name;
	}
	return NULL;
}

static int check_bearer(const char *bearer, struct weir_error *err)
{
	const char *flaw;
	if (!strncasecmp(bearer, "Bearer ", 7))
		return weir_error_set(
			err, WEIR_EINVAL,
			"auth.bearer begins with \"%.6s\", which weir sends by itself; write the token alone", bearer);
	flaw = http_token_flaw(bearer, false);
	return flaw ? weir_error_set(err, WEIR_EINVAL, "auth.bearer %s", flaw) : 0;
}

static int check_aws(const struct step_http_aws *aws, struct weir_error *err)
{
	const struct {
		const char *key, *variable, *value;
	} rows[] = {
		{"service", NULL, aws->service},
		{"region", "AWS_REGION", http_aws_region(aws)},
		{"access_key", "AWS_ACCESS_KEY_ID", http_aws_access_key(aws)},
		{"secret_key", "AWS_SECRET_ACCESS_KEY", http_aws_secret_key(aws)},
		{"session_token", "AWS_SESSION_TOKEN", http_aws_session_token(aws)},
	};
	bool changes = aws->profile || aws->exec.n;
	for (size_t i = 0; i < (changes ? 2 : sizeof rows / sizeof *rows); i++) {
		bool is_token = i == 4;
		if (!is_token && (!rows[i].value || !rows[i].value[0]))
			return weir_error_set(err, WEIR_EINVAL, "auth.aws has no %s%s%s", rows[i].key,
					      rows[i].variable ? "; set it, or the environment variable " : "",
					      rows[i].variable ? rows[i].variable : "");
		if (has_control_bytes(rows[i].value) || (!is_token && strpbrk(rows[i].value, i < 3 ? " /" : " ")))
			return weir_error_set(err, WEIR_EINVAL,
					      "auth.aws.%s contains a character that cannot be in it, such as a blank",
					      rows[i].key);
	}
	if (changes && (aws->access_key || aws->secret_key || aws->session_token || (aws->profile && aws->exec.n)))
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.aws has several sources of keys; expected one of profile, exec, and "
				      "access_key with secret_key");
	if (aws->access_key && !aws->secret_key)
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.aws has an access_key and no secret_key; set both, or neither to take them "
				      "from the environment");
	return 0;
}

static int check_oauth2(const struct step_http_oauth2 *oauth2, struct weir_error *err)
{
	bool refreshes = oauth2->grant == STEP_HTTP_REFRESH_TOKEN;
	struct http_origin origin;
	const char *wrong = http_origin_parse(oauth2->token_url, &origin);
	if (wrong)
		return weir_error_set(err, WEIR_EINVAL, "auth.oauth2.token_url: the URL %s", wrong);
	if (!refreshes && !oauth2->client_secret)
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.oauth2 has no client_secret, which grant: client_credentials needs");
	if (refreshes && !oauth2->refresh_token)
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.oauth2 has no refresh_token, which grant: refresh_token needs");
	if (!refreshes && oauth2->refresh_token)
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.oauth2 has a refresh_token, which grant: client_credentials does not use; "
				      "set grant: refresh_token, or remove it");
	return 0;
}

static int check_exec(const struct step_http_config *config, struct weir_error *err)
{
	const struct key_strings *exec = &config->exec;
	if (config->ttl && !exec->values)
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.ttl without exec; it says how long the token of exec is valid");
	if (exec->values && (!exec->n || !exec->values[0][0]))
		return weir_error_set(
			err, WEIR_EINVAL,
			"auth.exec is empty; expected a program, such as [gcloud, auth, print-access-token]");
	if (exec->values && exec->n == 1 && strchr(exec->values[0], ' '))
		return weir_error_set(err, WEIR_EINVAL,
				      "auth.exec is one text with blanks; expected a list, such as [gcloud, auth, "
				      "print-access-token]");
	return 0;
}

/* Headers that the credentials write. */
static int check_headers(const struct step_http_config *config, const char **ret_key, const char *kind,
			 struct weir_error *err)
{
	static const char *const signed_names[] = {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"};
	*ret_key = "headers";
	for (size_t i = 0; i < config->headers.n; i++) {
		const char *name = config->headers.headers[i].name;
		if (!strcasecmp(name, "authorization"))
			return weir_error_set(err, WEIR_EINVAL,
					      "both auth and the header Authorization; remove one of them");
		for (size_t k = 0; config->aws.service && k < sizeof signed_names / sizeof *signed_names; k++)
			if (!strcasecmp(name, signed_names[k]))
				return weir_error_set(err, WEIR_EINVAL, "auth.%s sets the header %s itself; remove it",
						      kind, name);
	}
	return 0;
}

/* A name, or "*." and a name. */
static bool is_host(const char *text)
{
	struct http_origin origin;
	char *url = NULL;
	bool found = asprintf(&url, "http://%s", strncmp(text, "*.", 2) ? text : text + 2) >= 0 &&
		     !http_origin_parse(url, &origin) && !url[7 + strcspn(url + 7, ":/?#")];
	free(url);
	return found;
}

/* Otherwise the author of the items decides where the credentials go. */
static int check_hosts(const struct key_strings *hosts, const char *kind, bool is_open, struct weir_error *err)
{
	if (is_open && kind && !hosts->n)
		return weir_error_set(err, WEIR_EINVAL,
				      "the host of url comes from the item, so auth would go to any host; name those "
				      "that may get it in auth.hosts, such as [api.example.com, '*.example.com']");
	if (hosts->n && !(is_open && kind))
		return weir_error_set(err, WEIR_EINVAL, "auth.hosts %s; remove it",
				      kind ? "is for a url whose host comes from the item" : "without credentials");
	for (size_t i = 0; i < hosts->n; i++)
		if (!is_host(hosts->values[i]))
			return weir_error_set(err, WEIR_EINVAL,
					      "auth.hosts has \"%.80s\", expected a host such as api.example.com or "
					      "*.example.com",
					      hosts->values[i]);
	return 0;
}

bool step_http_may_see_auth(const struct step_http_config *config, const char *host)
{
	const struct key_strings *hosts = &config->auth_hosts;
	for (size_t i = 0; i < hosts->n; i++) {
		const char *name = hosts->values[i];
		size_t n = strlen(host), tail = strlen(name) - 1; /* of "*.example.com": ".example.com" */
		bool matches =
			*name != '*' ? !strcasecmp(name, host) : n > tail && !strcasecmp(name + 1, host + n - tail);
		if (matches)
			return true;
	}
	return !hosts->n;
}

int step_http_check_auth(const struct step_http_config *config, bool is_open, const char **ret_key,
			 struct weir_error *err)
{
	const char *first, *second = find_second(config, &first);
	*ret_key = "auth";
	if (second)
		return weir_error_set(err, WEIR_EINVAL, "auth has both %s and %s; remove one of them", first, second);
	if (config->basic && !strchr(config->basic, ':'))
		return weir_error_set(err, WEIR_EINVAL, "auth.basic has no colon; expected user:password");
	if (has_control_bytes(config->basic) || has_control_bytes(config->bearer))
		return weir_error_set(err, WEIR_EINVAL,
				      "auth contains a control character, such as a newline at its end");
	int error = config->bearer ? check_bearer(config->bearer, err) : 0;
	if (!error && config->aws.service)
		error = check_aws(&config->aws, err);
	if (!error && config->oauth2.token_url)
		error = check_oauth2(&config->oauth2, err);
	if (!error)
		error = check_exec(config, err);
	if (!error)
		error = check_hosts(&config->auth_hosts, first, is_open, err);
	return error || !first ? error : check_headers(config, ret_key, first, err);
}
