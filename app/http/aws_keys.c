/* SPDX-License-Identifier: MIT */
/*
 * AWS keys that change while a run lasts: those of a profile in the file of credentials, which somebody rewrites, and
 * those that a program prints, as its credential_process would (aws configure export-credentials).  They are one token,
 * "ACCESS_KEY SECRET_KEY [SESSION_TOKEN]", so that one fetch serves all (token.h).
 */
#include "http/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/secret.h"
#include "http/fields.h"

/* ---- one text ---- */

static bool is_key(const char *text)
{
	return text[0] && !strpbrk(text, " \t\r\n");
}

/* Each part is shown by itself, too. */
static void join(const char *access_key, const char *secret_key, const char *session_token,
		 struct http_token_news *news)
{
	bool has_token = session_token[0];
	if (asprintf(&news->text, "%s %s%s%s", access_key, secret_key, has_token ? " " : "", session_token) < 0)
		news->text = NULL;
	if (news->text && (secret_add(secret_key, strlen(secret_key)) ||
			   (has_token && secret_add(session_token, strlen(session_token))))) {
		free(news->text);
		news->text = NULL;
	}
	if (!news->text)
		snprintf(news->why, sizeof news->why, "out of memory");
}

void http_aws_split(char *text, struct http_sigv4_keys *keys)
{
	char *rest = text;
	keys->access_key = strsep(&rest, " ");
	keys->secret_key = strsep(&rest, " ");
	keys->session_token = strsep(&rest, " ");
}

/* ---- a program ---- */

/* When it says that they end. */
static weir_nsec life_until(const char *expiration)
{
	int64_t ms = expiration[0] ? field_time((struct span){expiration, strlen(expiration)}) : -1;
	int64_t left = ms / 1000 - (int64_t)time(NULL);
	return ms < 0 ? 0 : left < 1 ? WEIR_SEC : left < 365 * 86400 ? left * WEIR_SEC : 0;
}

void http_aws_read_process(const char *output, size_t n, struct http_token_news *news)
{
	struct json *json = NULL;
	bool parsed = !json_parse(output, n, &json, NULL) && json_type(json) == JSON_OBJECT;
	const char *access_key = parsed ? json_member_text(json, "AccessKeyId") : "";
	const char *secret_key = parsed ? json_member_text(json, "SecretAccessKey") : "";
	if (is_key(access_key) && is_key(secret_key)) {
		join(access_key, secret_key, json_member_text(json, "SessionToken"), news);
		news->life = life_until(json_member_text(json, "Expiration"));
	} else {
		news->refused = true;
		snprintf(news->why, sizeof news->why,
			 "the program of auth.aws.exec printed no JSON with AccessKeyId and SecretAccessKey");
	}
	json_free(json);
}

/* ---- a profile ---- */

char *http_aws_credentials_path(void)
{
	const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
	char *usual = NULL;
	if (path && path[0])
		return strdup(path);
	return asprintf(&usual, "%s/.aws/credentials", home ? home : "") < 0 ? NULL : usual;
}

/* Without blanks around it. */
static char *trim(char *text)
{
	text += strspn(text, " \t");
	size_t n = strlen(text);
	while (n && strchr(" \t\r", text[n - 1]))
		text[--n] = '\0';
	return text;
}

/* [NAME], and [profile NAME] as in the other file of AWS. */
static bool is_section(char *line, const char *profile)
{
	char *name = trim(line + 1), *end = strchr(name, ']');
	if (end)
		*end = '\0';
	if (!strncmp(name, "profile ", strlen("profile ")))
		name += strlen("profile ");
	return !strcmp(trim(name), profile);
}

void http_aws_read_profile(char *text, const char *profile, struct http_token_news *news)
{
	static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
	const char *values[3] = {"", "", ""};
	bool is_here = false;
	for (char *line; (line = strsep(&text, "\n"));) {
		line = trim(line);
		char *value = strchr(line, '=');
		if (*line == '[')
			is_here = is_section(line, profile);
		if (!is_here || !value || *line == '[' || *line == '#' || *line == ';')
			continue;
		*value++ = '\0';
		for (size_t i = 0; i < 3; i++)
			if (!strcmp(trim(line), names[i]))
				values[i] = trim(value);
	}
	if (is_key(values[0]) && is_key(values[1])) {
		join(values[0], values[1], values[2], news);
		return;
	}
	news->refused = true;
	snprintf(news->why, sizeof news->why, "the file of AWS credentials has no keys of the profile %.60s", profile);
}

static void fetch_profile(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	const struct step_http_aws *aws = arg;
	char *path = http_aws_credentials_path(), *text = path ? http_token_read_file(path, deadline) : NULL;
	if (text) {
		http_aws_read_profile(text, aws->profile, news);
	} else {
		news->refused = true;
		snprintf(news->why, sizeof news->why, "cannot read %.120s; check auth.aws.profile",
			 path ? path : "the file of AWS credentials");
	}
	free(text);
	free(path);
}

int http_token_of_aws(const struct step_http_aws *aws, struct http_token_source *ret_source)
{
	if (aws->exec.n)
		return http_token_of_program(&aws->exec, 0, http_aws_read_process, ret_source);
	*ret_source = (struct http_token_source){
		.fetch = fetch_profile, .arg = (void *)(uintptr_t)aws, .limit = 30 * WEIR_SEC};
	return 0;
}
