/* SPDX-License-Identifier: MIT */
#include "http/connection.h"

#include "data/secret.h"
#include "http/certificates.h"
#include "http/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

int step_http_find_tls(const struct step_http_config *config, const struct step_env *env, struct http_tls *ret_tls,
		       struct weir_error *err)
{
	struct weir_error why = {0};
	struct http_tls tls = config->tls;
	tls.key_file = tls.key_file ? tls.key_file : tls.cert_file;
	if (!tls.ca_file && env->ca_file && env->ca_file[0] && !step_http_is_plain(config)) {
		int error = http_tls_check(&(struct http_tls){.ca_file = env->ca_file}, &why);
		if (error < 0)
			return weir_error_set(err, error, "step http: the environment variable SSL_CERT_FILE: %.400s",
					      why.text);
		tls.ca_file = env->ca_file;
	}
	*ret_tls = tls;
	return 0;
}

/* The password in a URL, which the command lines of curl have whole. */
static int hide_password(const char *url)
{
	const char *begin = url ? strstr(url, "://") : NULL;
	begin = begin ? begin + 3 : url;
	const char *at = begin ? strrchr(begin, '@') : NULL;
	const char *colon = at ? memchr(begin, ':', (size_t)(at - begin)) : NULL;
	return colon ? secret_add(colon + 1, (size_t)(at - colon - 1)) : 0;
}

int step_http_find_proxies(const struct step_http_config *config, const struct step_env *env,
			   struct http_proxies **ret_proxies, struct weir_error *err)
{
	const char *all = step_http_proxy(config);
	bool env_says = !all && (!config->proxy || !strcmp(config->proxy, "env"));
	const struct http_proxy_settings settings = {
		.http = env_says ? env->http_proxy : all,
		.https = env_says ? env->https_proxy : all,
		.except = env_says ? env->no_proxy : NULL,
		.spares_loopback = env_says,
	};
	int error = hide_password(settings.http) || hide_password(settings.https)
			    ? WEIR_ENOMEM
			    : http_proxies_new(&settings, ret_proxies, err);
	char why[sizeof err->text];
	if (error == WEIR_EINVAL && env_says && err) {
		snprintf(why, sizeof why, "%s", err->text);
		weir_error_set(err, error, "step http: the environment variables HTTP_PROXY and the like: %.400s", why);
	}
	return error;
}
