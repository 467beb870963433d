/* SPDX-License-Identifier: MIT */
/*
 * Tokens of an OAuth2 server (RFC 6749): grants client_credentials and refresh_token.
 *
 * The client's secret goes into the header Authorization first, as each server must accept it.  One that answers
 * invalid_client is asked again with the secret in the body, and so each time from then on if that was it.
 *
 * A refresh token may be good for one use, so the request belongs to nobody who could be cancelled (token.h), and a new
 * one is in the file before the access token that came with it is used.  One that cannot be written there is kept, and
 * no token is requested until it is: else the next run would begin with one that is used up.
 *
 * Failures are told apart by what helps: waiting, or another config.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/secret.h"
#include "http/origin.h"
#include "http/token_source.h"
#include "state/kept_file.h"

#define RENEW_PAUSE (10 * WEIR_SEC)
#define LIMIT       (60 * WEIR_SEC)
#define LONGEST     ((int64_t)365 * 86400) /* s, of a token */

struct oauth2 {
	const struct step_http_oauth2 *config;
	struct http_client *client;
	struct http_origin origin;
	char *pair;          /* of id and secret, for the header; NULL: there is no secret */
	char *refresh_token; /* NULL: that of the config */
	bool is_unsaved;     /* it belongs into the file, and is not there yet */
	bool in_body;        /* where the secret is expected */
};

/* ---- the answer ---- */

/* What helps against an error of the endpoint; NULL: waiting does. */
static const char *advice(const struct step_http_oauth2 *config, const char *error)
{
	static const struct {
		const char *error, *advice;
	} rows[] = {
		{"invalid_client", "check auth.oauth2.client_id and client_secret"},
		{"unauthorized_client", "check auth.oauth2.grant: the client may not use it"},
		{"unsupported_grant_type", "check auth.oauth2.grant"},
		{"invalid_scope", "check auth.oauth2.scope"},
		{"invalid_target", "check auth.oauth2.audience"},
		{"temporarily_unavailable", NULL},
		{"server_error", NULL},
		{"slow_down", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(error, rows[i].error))
			return rows[i].advice;
	if (!strcmp(error, "invalid_grant") && config->grant == STEP_HTTP_REFRESH_TOKEN)
		return "check auth.oauth2.refresh_token: it has expired, or was used before";
	return "check auth.oauth2";
}

static void read_error(const struct step_http_oauth2 *config, int status, const struct json *json,
		       struct http_token_news *news, char ret_error[40])
{
	const char *error = json_member_text(json, "error"), *more = json_member_text(json, "error_description");
	const char *help = advice(config, error);
	snprintf(ret_error, 40, "%s", error);
	news->refused = help && status != 429 && status < 500;
	snprintf(news->why, sizeof news->why, "%s %.40s%s%s%s%.60s%s", news->refused ? "refused:" : "answered:", error,
		 help ? "; " : "", help ? help : "", more[0] ? " (" : "", more, more[0] ? ")" : "");
}

/* An answer that is not from such an endpoint, or from what stands in front of it. */
static void read_status(int status, struct http_token_news *news)
{
	bool passing = status == 408 || status == 425 || status == 429 || status >= 500;
	bool redirects = status >= 300 && status <= 399;
	news->refused = !passing;
	snprintf(news->why, sizeof news->why, "answered %d%s%s", status,
		 redirects ? " (redirects are not followed)" : "",
		 status == 401 || status == 403 ? "; check auth.oauth2.client_id and client_secret"
		 : passing                      ? ""
						: "; check auth.oauth2.token_url");
}

static void read_wait(const struct http_response *response, struct http_token_news *news)
{
	size_t n = strlen(news->why);
	news->retry_after = response->hint.retry_after;
	if (news->retry_after)
		snprintf(news->why + n, sizeof news->why - n, "; to be asked again in %lld s",
			 (long long)((news->retry_after + WEIR_SEC - 1) / WEIR_SEC));
}

/* Seconds, which some servers write as a text. */
static weir_nsec life_of(const struct json *json)
{
	const char *text = json_member_text(json, "expires_in");
	int64_t seconds = text[0] ? strtoll(text, NULL, 10) : json_member_int(json, "expires_in");
	return seconds <= 0 ? 0 : (seconds < LONGEST ? seconds : LONGEST) * WEIR_SEC;
}

static void read_token(const struct json *json, struct http_token_news *news, char **ret_refresh_token)
{
	const char *token = json_member_text(json, "access_token"), *refresh = json_member_text(json, "refresh_token");
	news->refused = !token[0];
	snprintf(news->why, sizeof news->why, "%s", token[0] ? "out of memory" : "answered without an access_token");
	news->text = token[0] ? strdup(token) : NULL;
	news->life = life_of(json);
	*ret_refresh_token = refresh[0] ? strdup(refresh) : NULL;
}

void http_oauth2_read(const struct step_http_oauth2 *config, const struct http_response *response,
		      struct http_token_news *news, char ret_error[40], char **ret_refresh_token)
{
	struct json *json = NULL;
	bool good = response->status >= 200 && response->status <= 299;
	ret_error[0] = 0;
	*ret_refresh_token = NULL;
	if (response->failure != HTTP_ANSWERED) {
		news->refused = response->failure == HTTP_CERTIFICATE || response->failure == HTTP_BAD_URL;
		snprintf(news->why, sizeof news->why, "%s: %.120s%s", http_failure_name(response->failure),
			 response->detail, response->failure == HTTP_CERTIFICATE ? "; check tls.ca" : "");
		return;
	}
	if (response->body && json_parse(response->body, response->body_bytes, &json, NULL))
		json = NULL;
	if (good && json && json_type(json) == JSON_OBJECT) {
		read_token(json, news, ret_refresh_token);
	} else if (good) {
		news->refused = true;
		snprintf(news->why, sizeof news->why, "answered %d and no JSON; check auth.oauth2.token_url",
			 response->status);
	} else if (json && json_member_text(json, "error")[0]) {
		read_error(config, response->status, json, news, ret_error);
	} else {
		read_status(response->status, news);
	}
	if (!good)
		read_wait(response, news);
	json_free(json);
}

/* ---- the request ---- */

static void add_field(struct buf *form, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(form, "%s%s=", form->len ? "&" : "", name);
	buf_add_percent(form, value, strlen(value));
}

static void write_form(const struct oauth2 *self, bool in_body, struct buf *form)
{
	const struct step_http_oauth2 *config = self->config;
	bool refreshes = config->grant == STEP_HTTP_REFRESH_TOKEN;
	add_field(form, "grant_type", refreshes ? "refresh_token" : "client_credentials");
	if (refreshes)
		add_field(form, "refresh_token", self->refresh_token ? self->refresh_token : config->refresh_token);
	add_field(form, "scope", config->scope);
	add_field(form, "audience", config->audience);
	if (in_body) {
		add_field(form, "client_id", config->client_id);
		add_field(form, "client_secret", config->client_secret);
	}
}

static void wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->room);
	buf_fini(buf);
}

static int request_token(struct oauth2 *self, bool in_body, struct http_response *ret_response, weir_nsec deadline)
{
	struct buf form = {0}, authorization = {0};
	const char *lines[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json", NULL};
	write_form(self, in_body, &form);
	if (!in_body) {
		buf_add_str(&authorization, "Authorization: Basic ");
		buf_add_base64(&authorization, self->pair, strlen(self->pair));
		lines[2] = authorization.data;
	}
	const struct http_request request = {
		.method = "POST",
		.url = self->config->token_url,
		.origin = &self->origin,
		.headers = lines,
		.header_count = in_body ? 2 : 3,
		.body = form.data,
		.body_bytes = form.len,
	};
	int error = form.failed || authorization.failed
			    ? WEIR_ENOMEM
			    : http_client_fetch(self->client, &request, ret_response, deadline);
	wipe(&form);
	wipe(&authorization);
	return error;
}

static void free_secret(char *text)
{
	if (!text)
		return;
	secret_forget(text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
}

/* Takes it over; secret like the one that it replaces.  Whether it is there. */
static bool keep_refresh_token(struct oauth2 *self, char *text)
{
	if (!text || secret_add(text, strlen(text))) {
		free(text);
		return false;
	}
	free_secret(self->refresh_token);
	self->refresh_token = text;
	return true;
}

/* Into the file, if it is not there.  A negative code: it still is not. */
static int save_refresh_token(struct oauth2 *self)
{
	const char *path = self->config->refresh_token_file, *slash = strrchr(path, '/');
	struct kept_file file = {0};
	struct buf text = {0};
	if (!self->is_unsaved)
		return 0;
	char *folder = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
	int error = folder ? kept_file_init(&file, folder, slash ? slash + 1 : path) : WEIR_ENOMEM;
	buf_addf(&text, "%s\n", self->refresh_token);
	if (!error)
		error = kept_file_write(&file, &text, true);
	self->is_unsaved = error != 0;
	kept_file_fini(&file);
	free(folder);
	wipe(&text);
	return error;
}

static void say_unsaved(const struct oauth2 *self, int error, struct http_token_news *news)
{
	free(news->text);
	*news = (struct http_token_news){.refused = true};
	snprintf(news->why, sizeof news->why, "cannot write the new refresh token to %.80s: %s; make it writable",
		 self->config->refresh_token_file, weir_strerror(error));
}

/* One request and what came of it.  Whether it was refused for the way in which the client shows who it is. */
static bool ask(struct oauth2 *self, bool in_body, struct http_token_news *ret_news, weir_nsec deadline)
{
	struct http_response response = {0};
	struct http_token_news news = {0};
	char said[40] = "", *refresh_token = NULL;
	int error = request_token(self, in_body, &response, deadline);
	if (error)
		snprintf(news.why, sizeof news.why, "%s", error == WEIR_ETIMEDOUT ? "timeout" : weir_strerror(error));
	else
		http_oauth2_read(self->config, &response, &news, said, &refresh_token);
	http_response_fini(&response);
	if (keep_refresh_token(self, refresh_token))
		self->is_unsaved = self->config->refresh_token_file;
	if (!news.text) {
		char why[sizeof news.why];
		memcpy(why, news.why, sizeof why);
		snprintf(news.why, sizeof news.why, "the token server %.50s %s%.120s", self->origin.host,
			 error || response.failure ? "fails: " : "", why);
	}
	*ret_news = news;
	return !strcmp(said, "invalid_client") || (!news.text && response.status == 401);
}

/* In the way that the server accepts. */
static void ask_either_way(struct oauth2 *self, struct http_token_news *news, weir_nsec deadline)
{
	struct http_token_news other;
	bool in_body = self->in_body || !self->pair;
	if (!ask(self, in_body, news, deadline) || in_body)
		return;
	ask(self, true, &other, deadline);
	self->in_body = other.text;
	if (other.text)
		*news = other;
}

/* What is cancelled on its way would lose the refresh token that comes with it. */
static void refresh_in_file(struct oauth2 *self, const char *path, struct http_token_news *news, weir_nsec deadline)
{
	weir_shield_enter();
	int error = save_refresh_token(self);
	if (!error) {
		keep_refresh_token(self, http_token_read_file(path, deadline));
		ask_either_way(self, news, deadline);
		error = save_refresh_token(self);
	}
	weir_shield_leave();
	if (error)
		say_unsaved(self, error, news);
}

static void fetch_from_server(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	struct oauth2 *self = arg;
	const char *path = self->config->refresh_token_file;
	if (path)
		refresh_in_file(self, path, news, deadline);
	else
		ask_either_way(self, news, deadline);
}

static void close_server(void *arg)
{
	struct oauth2 *self = arg;
	http_client_free(self->client);
	free_secret(self->pair);
	free_secret(self->refresh_token);
	free(self);
}

/* The server may send it back, too. */
static int make_pair(struct oauth2 *self)
{
	const struct step_http_oauth2 *config = self->config;
	struct buf pair = {0};
	if (!config->client_secret)
		return 0;
	buf_add_percent(&pair, config->client_id, strlen(config->client_id));
	buf_add_char(&pair, ':');
	buf_add_percent(&pair, config->client_secret, strlen(config->client_secret));
	if (!pair.failed && !secret_add(pair.data, pair.len))
		self->pair = buf_take(&pair, NULL);
	wipe(&pair);
	return self->pair ? 0 : WEIR_ENOMEM;
}

int http_token_of_oauth2(const struct step_http_oauth2 *config, const struct http_client_options *client,
			 struct http_token_source *ret_source)
{
	const struct http_client_options opts = {
		.in_flight = 1,
		.timeout = client->timeout,
		.connect_timeout = client->connect_timeout,
		.silence_timeout = client->silence_timeout,
		.body_bytes = (size_t)1 << 20,
		.tls = {.ca_file = client->tls.ca_file}, /* the certificate is for another server */
		.proxies = client->proxies,
	};
	struct oauth2 *self = calloc(1, sizeof *self);
	if (!self)
		return WEIR_ENOMEM;
	self->config = config;
	http_origin_parse(config->token_url, &self->origin);
	int error = make_pair(self);
	if (!error)
		error = http_client_new(&opts, &self->client);
	if (error) {
		close_server(self);
		return error;
	}
	*ret_source = (struct http_token_source){
		.fetch = fetch_from_server, .close = close_server, .arg = self, .limit = LIMIT, .pause = RENEW_PAUSE};
	return 0;
}
