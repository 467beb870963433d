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
#include <sys/stat.h>
#include <weir/run.h>

/* ---- checking ---- */

static int open_pem(const char *path, const char *what, FILE **ret_file, struct weir_error *err)
{
	struct stat st;
	*ret_file = fopen(path, "re");
	if (!*ret_file)
		return weir_error_set(err, -errno, "cannot read the %s in %s: %s", what, path, weir_strerror(-errno));
	if (fstat(fileno(*ret_file), &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	fclose(*ret_file);
	return weir_error_set(err, -EISDIR, "cannot read the %s in %s: it is a folder", what, path);
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
		return weir_error_set(err, WEIR_EINVAL, "%s contains no PEM certificate", path);
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
	return found ? 0 : weir_error_set(err, WEIR_EINVAL, "%s contains no PEM private key", path);
}

static const char *key_file(const struct http_tls *tls)
{
	return tls->key_file ? tls->key_file : tls->cert_file;
}

static int check_files(const struct http_tls *tls, struct weir_error *err)
{
	int error = tls->ca_file ? check_certificates(tls->ca_file, err) : 0;
	if (error == 0 && tls->cert_file)
		error = check_certificates(tls->cert_file, err);
	return error == 0 && key_file(tls) ? check_key(key_file(tls), err) : error;
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
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	const char *name = config->tls.server_name;
	struct http_origin origin = {0};
	struct weir_error why = {0};
	*ret_key = "tls";
	if (config->tls.key_file && !config->tls.cert_file)
		return weir_error_set(err, WEIR_EINVAL, "tls has a key and no cert; add the certificate of that key");
	if (config->tls.key_password && !config->tls.cert_file)
		return weir_error_set(err, WEIR_EINVAL,
				      "tls has a password and no cert; add the certificate of its key");
	if (check_files(&config->tls, &why) < 0)
		return weir_error_set(err, WEIR_EINVAL, "tls: %.400s", why.text);
	if (!name)
		return 0;
	if (!name[0] || strlen(name) > 253 || strspn(name, allowed) != strlen(name))
		return weir_error_set(err, WEIR_EINVAL, "tls.server_name is \"%.80s\", expected the name of a host",
				      name);
	if (config->url && !step_http_fixed_origin(config->url, &origin) && origin.tls)
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "tls.server_name needs a url that begins with https:// and a host");
}

int step_http_check_connection(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	int error = check_proxy(config, ret_key, err);
	return error ? error : check_tls(config, ret_key, err);
}

bool step_http_is_plain(const struct step_http_config *config)
{
	struct http_origin origin, tokens = {0};
	bool asks = config->oauth2.token_url && !http_origin_parse(config->oauth2.token_url, &tokens);
	return !step_http_fixed_origin(config->url, &origin) && origin.name[0] && !origin.tls && !config->follow &&
	       !config->poll_url && !(asks && tokens.tls);
}

/* ---- opening ---- */

int step_http_find_tls(const struct step_http_config *config, const struct step_env *env, struct http_tls *ret_tls,
		       struct weir_error *err)
{
	struct weir_error why = {0};
	struct http_tls tls = config->tls;
	tls.key_file = key_file(&tls);
	if (!tls.ca_file && env->ca_file && env->ca_file[0] && !step_http_is_plain(config)) {
		int error = check_certificates(env->ca_file, &why);
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
