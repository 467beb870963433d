/* SPDX-License-Identifier: MIT */
/* The keys under `auth` of the step http: what is refused, and what is said about it. */
#include "http/config.h"
#include "spec/plan.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static const char *url = "http://h/${.}";

static const char *write_pipeline(const char *auth, const char *more)
{
	return test_format("source: {range: 1-3}\n"
			   "steps:\n"
			   "  - http:\n"
			   "      url: '%s'\n"
			   "      auth: { %s }\n"
			   "%s"
			   "sink: {stdout: {}}\n",
			   url, auth, more);
}

static void expect_error(const char *auth, const char *more, const char *text)
{
	const char *pipeline = write_pipeline(auth, more);
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(pipeline, strlen(pipeline), "t.yaml", test_folder(), NULL, &plan, &err);
	ck_assert_msg(code == WEIR_EINVAL && strstr(err.text, text), "%s: %d %s", auth, code, err.text);
	ck_assert_msg(err.line == (*more ? 6 : 5), "%s: %d: %s", auth, err.line, err.text);
}

static struct plan *loaded(const char *auth)
{
	const char *pipeline = write_pipeline(auth, "");
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(pipeline, strlen(pipeline), "t.yaml", test_folder(), NULL, &plan, &err);
	ck_assert_msg(code == 0, "%s: %s", auth, err.text);
	return plan;
}

static const struct step_http_config *config_of(const struct plan *plan)
{
	return plan->steps[0].config;
}

static void clear_environment(void)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
					    "AWS_REGION", "AWS_DEFAULT_REGION"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
}

TEST(auth_has_one_kind)
{
	clear_environment();
	expect_error("basic: 'a:b', bearer: c", "", "auth has both basic and bearer; remove one of them");
	expect_error("bearer: c, aws: {service: s3, region: r, access_key: a, secret_key: s}", "",
		     "auth has both bearer and aws; remove one of them");
	expect_error("bearer: c", "      headers: { authorization: x }\n",
		     "both auth and the header Authorization; remove one of them");
}

TEST(auth_aws_says_what_is_missing)
{
	clear_environment();
	expect_error("aws: {region: r}", "", "aws: \"service\" is required");
	expect_error("aws: {service: s3}", "",
		     "auth.aws has no region; set it, or the environment variable AWS_REGION");
	expect_error("aws: {service: s3, region: r}", "",
		     "auth.aws has no access_key; set it, or the environment variable AWS_ACCESS_KEY_ID");
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	expect_error("aws: {service: s3, region: r}", "",
		     "auth.aws has no secret_key; set it, or the environment variable AWS_SECRET_ACCESS_KEY");
	setenv("AWS_SECRET_ACCESS_KEY", "secret-1", 1);
	plan_free(loaded("aws: {service: s3, region: r}"));
	expect_error("aws: {service: s3, region: 'eu central'}", "", "auth.aws.region contains a character");
	expect_error("aws: {service: s3, region: r, access_key: mine}", "", "auth.aws has no secret_key");
	expect_error(
		"aws: {service: s3, region: r, profile: p, secret_key: x}", "",
		"auth.aws has several sources of keys; expected one of profile, exec, and access_key with secret_key");
	expect_error("aws: {service: s3, region: r, profile: p, exec: [x]}", "",
		     "auth.aws has several sources of keys");
	plan_free(loaded("aws: {service: s3, region: r, profile: p}"));
	plan_free(loaded("aws: {service: s3, region: r, exec: [aws, configure, export-credentials]}"));
	expect_error("aws: {service: s3, region: r}", "      headers: { X-Amz-Date: x }\n",
		     "auth.aws sets the header X-Amz-Date itself; remove it");
	clear_environment();
}

TEST(auth_oauth2_says_what_is_missing)
{
	expect_error("oauth2: {client_id: a}", "", "oauth2: \"token_url\" is required");
	expect_error("oauth2: {token_url: 'http://h/t'}", "", "oauth2: \"client_id\" is required");
	expect_error("oauth2: {token_url: h/t, client_id: a, client_secret: b}", "",
		     "auth.oauth2.token_url: the URL does not start with http:// or https://");
	expect_error("oauth2: {token_url: 'http://h/t', client_id: a}", "", "auth.oauth2 has no client_secret");
	expect_error("oauth2: {token_url: 'http://h/t', client_id: a, client_secret: b, refresh_token: c}", "",
		     "auth.oauth2 has a refresh_token, which grant: client_credentials does not use");
	expect_error("oauth2: {token_url: 'http://h/t', client_id: a, grant: refresh_token}", "",
		     "auth.oauth2 has grant: refresh_token and no refresh_token");
	expect_error("oauth2: {token_url: 'http://h/t', client_id: a, grant: password}", "", "grant is \"password\"");
	plan_free(loaded("oauth2: {token_url: 'http://h/t', client_id: a, grant: refresh_token, refresh_token: c}"));
}

TEST(auth_exec_is_a_list)
{
	expect_error("exec: gcloud auth print-access-token", "",
		     "auth.exec is one text with blanks; expected a list, such as [gcloud, auth, print-access-token]");
	expect_error("exec: []", "", "auth.exec names no program");
	expect_error("exec: ''", "", "auth.exec names no program");
	expect_error("ttl: 50m", "", "auth.ttl without exec");
	expect_error("exec: [a, b], bearer: c", "", "auth has both bearer and exec; remove one of them");
	struct plan *plan = loaded("exec: [gcloud, auth, print-access-token], ttl: 50m");
	ck_assert_uint_eq(config_of(plan)->exec.n, 3);
	ck_assert_int_eq(config_of(plan)->ttl, 3000 * WEIR_SEC);
	plan_free(plan);
	plan_free(loaded("exec: print-token"));
}

TEST(auth_keeps_the_path_of_a_token_that_is_a_file)
{
	test_write_file("token", "first\n");
	struct plan *plan = loaded("bearer: '${file:token}'");
	ck_assert_str_eq(config_of(plan)->bearer, "first");
	ck_assert_str_eq(config_of(plan)->bearer_file, test_format("%s/token", test_folder()));
	plan_free(plan);
	setenv("WEIR_TEST_TOKEN", "other", 1);
	static const char *const others[] = {"bearer: 'x${file:token}'", "bearer: '${file:token}${file:token}'",
					     "bearer: '${env:WEIR_TEST_TOKEN}'", "bearer: plain",
					     "bearer: '$${file:token}'"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		plan = loaded(others[i]);
		ck_assert_ptr_null(config_of(plan)->bearer_file);
		plan_free(plan);
	}
}

TEST(auth_with_a_host_of_the_item_needs_the_hosts)
{
	static const char *const open[] = {"${.}", "https://${.host}/x", "https://api.example.com${.path}"};
	expect_error("bearer: c, hosts: [h]", "", "auth.hosts is for a url whose host comes from the item; remove it");
	for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
		url = open[i];
		expect_error("bearer: c", "", "auth would go to any host; name those that may get it in auth.hosts");
		expect_error("exec: [a, b]", "", "auth would go to any host");
		expect_error("hosts: [h]", "", "auth.hosts without credentials; remove it");
		expect_error("basic: 'a:b', hosts: ['https://h']", "", "auth.hosts has \"https://h\", expected a host");
		expect_error("basic: 'a:b', hosts: ['*.h', '*']", "", "auth.hosts has \"*\", expected a host");
		struct plan *plan = loaded("basic: 'a:b', hosts: ['*.example.com', Example.org]");
		const struct step_http_config *config = config_of(plan);
		ck_assert(step_http_may_see_auth(config, "a.example.com"));
		ck_assert(step_http_may_see_auth(config, "b.a.example.com"));
		ck_assert(step_http_may_see_auth(config, "example.org"));
		ck_assert(!step_http_may_see_auth(config, "example.com"));
		ck_assert(!step_http_may_see_auth(config, "notexample.com"));
		ck_assert(!step_http_may_see_auth(config, "a.example.com.evil.example"));
		ck_assert(!step_http_may_see_auth(config, "a.example.org"));
		plan_free(plan);
	}
	url = "https://api.example.com/${.}";
	struct plan *plan = loaded("basic: 'a:b'");
	ck_assert(step_http_may_see_auth(config_of(plan), "api.example.com"));
	plan_free(plan);
}
