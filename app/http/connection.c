/* SPDX-License-Identifier: MIT */
#include "http/connection.h"

#include "data/secret.h"
#include "http/proxy.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/run.h>

static int open_pem(const char *path, const char *what, FILE **ret_file, struct weir_error *err)
{
	*ret_file = fopen(path, "re");
	return *ret_file ? 0
			 : weir_error_set(err, -errno, "step http: cannot read the %s in %s: %s", what, path,
					  weir_strerror(-errno));
}

static int check_certificates(const char *path, struct weir_error *err)
{
	FILE *file;
	int error = open_pem(path, "certificates", &file, err);
	if (error < 0)
		return error;
	X509 *first = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	ERR_clear_error();
	if (!first)
		return weir_error_set(err, WEIR_EINVAL, "step http: %s contains no PEM certificate", path);
	X509_free(first);
	return 0;
}

/* Of a key, which may be encrypted, only that there is one. */
static int check_key(const char *path, struct weir_error *err)
{
	static const char begin[] = "-----BEGIN ", end[] = "PRIVATE KEY-----";
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file;
	int error = open_pem(path, "private key", &file, err);
	if (error < 0)
		return error;
	while (!found && getline(&line, &room, file) >= 0)
		found = strncmp(line, begin, sizeof begin - 1) == 0 && strstr(line, end);
	if (line)
		explicit_bzero(line, room);
	free(line);
	fclose(file);
	return found ? 0 : weir_error_set(err, WEIR_EINVAL, "step http: %s contains no PEM private key", path);
}

int step_http_find_tls(const struct step_http_config *config, const struct step_env *env, struct http_tls *ret_tls,
		       struct weir_error *err)
{
	struct http_tls tls = config->tls;
	bool is_plain = !strncasecmp(template_text(config->url), "http://", 7);
	if (!tls.ca_file && env->ca_file && env->ca_file[0] && !is_plain)
		tls.ca_file = env->ca_file;
	if (tls.cert_file && !tls.key_file)
		tls.key_file = tls.cert_file;
	int error = tls.ca_file ? check_certificates(tls.ca_file, err) : 0;
	if (error == 0 && tls.cert_file)
		error = check_certificates(tls.cert_file, err);
	if (error == 0 && tls.key_file)
		error = check_key(tls.key_file, err);
	if (error == 0)
		*ret_tls = tls;
	return error;
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
