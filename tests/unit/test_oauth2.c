/* SPDX-License-Identifier: MIT */
/* What the answers of a token endpoint mean: a token, wait, or another config. */
#include "http/token_source.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

struct row {
	int status;
	const char *body;
	bool refused;
	const char *why; /* … as it begins */
};

static void expect_row(const struct step_http_oauth2 *config, const struct row *row)
{
	struct http_response response = {
		.status = row->status, .body = strdup(row->body), .body_bytes = strlen(row->body)};
	struct http_token_news news = {0};
	char error[40], *refresh_token;
	http_oauth2_read(config, &response, &news, error, &refresh_token);
	ck_assert_ptr_null(news.text);
	ck_assert_ptr_null(refresh_token);
	ck_assert_msg(!strncmp(news.why, row->why, strlen(row->why)), "%s: %s", row->body, news.why);
	ck_assert_msg(news.refused == row->refused, "%s: %s", row->body, news.why);
	http_response_fini(&response);
}

TEST(oauth2_says_what_helps)
{
	static const struct row rows[] = {
		{400, "{\"error\":\"invalid_client\",\"error_description\":\"who?\"}", true,
		 "refused: invalid_client; check auth.oauth2.client_id and client_secret (who?)"},
		{401, "{\"error\":\"invalid_client\"}", true, "refused: invalid_client; check auth.oauth2.client_id"},
		{400, "{\"error\":\"invalid_scope\"}", true, "refused: invalid_scope; check auth.oauth2.scope"},
		{400, "{\"error\":\"unauthorized_client\"}", true,
		 "refused: unauthorized_client; check auth.oauth2.grant"},
		{400, "{\"error\":\"invalid_grant\"}", true, "refused: invalid_grant; check auth.oauth2"},
		{400, "{\"error\":\"something_new\"}", true, "refused: something_new; check auth.oauth2"},
		{503, "{\"error\":\"temporarily_unavailable\"}", false, "answered: temporarily_unavailable"},
		{400, "{\"error\":\"slow_down\"}", false, "answered: slow_down"},
		{500, "{\"error\":\"invalid_client\"}", false, "answered: invalid_client"},
		{401, "", true, "answered 401; check auth.oauth2.client_id and client_secret"},
		{404, "<html>", true, "answered 404; check auth.oauth2.token_url"},
		{302, "", true, "answered 302 (redirects are not followed); check auth.oauth2.token_url"},
		{429, "", false, "answered 429"},
		{502, "<html>", false, "answered 502"},
		{400, "{\"error\":{\"message\":\"x\"}}", true, "answered 400; check auth.oauth2.token_url"},
		{200, "<html>", true, "answered 200 and no JSON; check auth.oauth2.token_url"},
		{200, "", true, "answered 200 and no JSON"},
		{200, "[]", true, "answered 200 and no JSON"},
		{200, "{}", true, "answered without an access_token"},
		{200, "{\"access_token\":7}", true, "answered without an access_token"},
	};
	const struct step_http_oauth2 config = {0};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_row(&config, &rows[i]);
	const struct step_http_oauth2 refreshing = {.grant = STEP_HTTP_REFRESH_TOKEN};
	expect_row(&refreshing,
		   &(struct row){400, "{\"error\":\"invalid_grant\"}", true,
				 "refused: invalid_grant; check auth.oauth2.refresh_token: it has expired"});
}

TEST(oauth2_says_when_it_is_to_be_asked_again)
{
	static const int statuses[] = {429, 503};
	const struct step_http_oauth2 config = {0};
	for (size_t i = 0; i < 2; i++) {
		const struct http_response response = {.status = statuses[i], .hint.retry_after = 90 * WEIR_SEC};
		struct http_token_news news = {0};
		char error[40], *refresh_token;
		http_oauth2_read(&config, &response, &news, error, &refresh_token);
		ck_assert_str_eq(news.why, test_format("answered %d; to be asked again in 90 s", statuses[i]));
		ck_assert(!news.refused && news.retry_after == 90 * WEIR_SEC);
	}
}

TEST(oauth2_tells_trouble_of_the_network_from_that_of_the_config)
{
	static const struct {
		enum http_failure failure;
		bool refused;
		const char *why;
	} rows[] = {
		{HTTP_CONNECT, false, "connect: refused"},
		{HTTP_TIMEOUT, false, "timeout: refused"},
		{HTTP_DNS, false, "dns: refused"},
		{HTTP_CERTIFICATE, true, "tls: refused; check tls.ca"},
	};
	const struct step_http_oauth2 config = {0};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct http_response response = {.failure = rows[i].failure, .detail = "refused"};
		struct http_token_news news = {0};
		char error[40], *refresh_token;
		http_oauth2_read(&config, &response, &news, error, &refresh_token);
		ck_assert_str_eq(news.why, rows[i].why);
		ck_assert_int_eq(news.refused, rows[i].refused);
	}
}

TEST(oauth2_reads_tokens_and_how_long_they_last)
{
	static const struct {
		const char *body;
		weir_nsec life;
		const char *refresh_token;
	} rows[] = {
		{"{\"access_token\":\"t\"}", 0, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":3600}", 3600 * WEIR_SEC, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":\"3600\"}", 3600 * WEIR_SEC, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":-1}", 0, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":null}", 0, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":1e30}", 0, NULL},
		{"{\"access_token\":\"t\",\"expires_in\":99999999999999999999}", 365 * 86400 * WEIR_SEC, NULL},
		{"{\"access_token\":\"t\",\"refresh_token\":\"r\"}", 0, "r"},
	};
	const struct step_http_oauth2 config = {0};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_response response = {
			.status = 200, .body = strdup(rows[i].body), .body_bytes = strlen(rows[i].body)};
		struct http_token_news news = {0};
		char error[40], *refresh_token;
		http_oauth2_read(&config, &response, &news, error, &refresh_token);
		ck_assert_str_eq(news.text, "t");
		ck_assert_msg(news.life == rows[i].life, "%s: %lld", rows[i].body, (long long)news.life);
		ck_assert_pstr_eq(refresh_token, rows[i].refresh_token);
		free(news.text);
		free(refresh_token);
		http_response_fini(&response);
	}
}
