/* SPDX-License-Identifier: MIT */
#include "http/certificates.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/run.h>

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

static int check_name(const char *name, struct weir_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	return name[0] && strlen(name) <= 253 && strspn(name, allowed) == strlen(name)
		       ? 0
		       : weir_error_set(err, WEIR_EINVAL, "server_name is \"%.80s\", expected the name of a host",
					name);
}

int http_tls_check(const struct http_tls *tls, struct weir_error *err)
{
	const char *key = tls->key_file ? tls->key_file : tls->cert_file;
	if (tls->key_file && !tls->cert_file)
		return weir_error_set(err, WEIR_EINVAL, "key without cert; add the certificate of that key");
	if (tls->key_password && !tls->cert_file)
		return weir_error_set(err, WEIR_EINVAL, "password without cert; add the certificate of its key");
	int error = tls->ca_file ? check_certificates(tls->ca_file, err) : 0;
	if (error == 0 && tls->cert_file)
		error = check_certificates(tls->cert_file, err);
	if (error == 0 && key)
		error = check_key(key, err);
	return error == 0 && tls->server_name ? check_name(tls->server_name, err) : error;
}
