/* SPDX-License-Identifier: MIT */
/*
 *     socket --feed--> in --SSL_read--> plain            plain --SSL_write--> out --drain--> socket
 */
#include "redis/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_tls {
	SSL_CTX *context;
	SSL *ssl;      /* owns the next two */
	BIO *in, *out; /* memory */
	const struct redis_url *url;
};

/* ---- what went wrong */

static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason ? reason : "unknown error";
}

static int refuse_file(const struct redis_tls *tls, const char *what, const char *path, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EDATA, "TLS with Redis at %s: cannot use the %s in %s: %s", tls->url->name,
			      what, path, last_reason());
}

/* What to do about a certificate that is refused. */
static const char *advice_for(long verdict)
{
	switch (verdict) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "; server_name in the URL is the name to expect instead";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "; its owner has to renew it, or the clock here is wrong";
	default:
		return "; ca in the URL names the file with the authority to trust";
	}
}

static int explain(const struct redis_tls *tls, struct weir_error *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	int reason = ERR_GET_REASON(ERR_peek_last_error());
	const char *name = tls->url->name;
	if (verdict != X509_V_OK)
		return weir_error_set(err, WEIR_EDATA, "TLS with Redis at %s: %s%s", name,
				      X509_verify_cert_error_string(verdict), advice_for(verdict));
	if (reason == SSL_R_WRONG_VERSION_NUMBER)
		return weir_error_set(err, WEIR_EDATA,
				      "Redis at %s does not speak TLS there; without TLS the URL begins "
				      "with redis://",
				      name);
	if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return weir_error_set(err, WEIR_EDATA,
				      "TLS with Redis at %s: it wants a certificate; name its file with "
				      "cert in the URL, and that of its key with key",
				      name);
	return weir_error_set(err, WEIR_EDATA, "TLS with Redis at %s: %s", name, last_reason());
}

/* ---- making it */

static int give_password(char *into, int room, int writes, void *password)
{
	int n = password ? (int)strlen(password) : 0;
	(void)writes;
	if (n > room)
		return -1;
	if (n)
		memcpy(into, password, (size_t)n);
	return n;
}

static int load_files(struct redis_tls *tls, struct weir_error *err)
{
	const struct redis_url *url = tls->url;
	const char *key = url->key ? url->key : url->cert;
	SSL_CTX_set_default_passwd_cb(tls->context, give_password);
	SSL_CTX_set_default_passwd_cb_userdata(tls->context, url->key_password);
	if (!(url->ca ? SSL_CTX_load_verify_file(tls->context, url->ca)
		      : SSL_CTX_set_default_verify_paths(tls->context)))
		return refuse_file(tls, "certificates", url->ca ? url->ca : "the system", err);
	if (url->cert && SSL_CTX_use_certificate_chain_file(tls->context, url->cert) != 1)
		return refuse_file(tls, "certificate", url->cert, err);
	if (url->cert && SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1)
		return refuse_file(tls, "private key", key, err);
	return 0;
}

static bool is_address(const char *name)
{
	unsigned char address[16];
	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* The name that the certificate must be for, which is also asked for. */
static bool set_name(struct redis_tls *tls)
{
	const char *name = tls->url->server_name ? tls->url->server_name : tls->url->host;
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), name) == 1;
	return SSL_set1_host(tls->ssl, name) == 1 && SSL_set_tlsext_host_name(tls->ssl, name) == 1;
}

static bool make(struct redis_tls *tls)
{
	tls->ssl = SSL_new(tls->context);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		return false;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_connect_state(tls->ssl);
	return set_name(tls);
}

int redis_tls_new(const struct redis_url *url, struct redis_tls **ret_tls, struct weir_error *err)
{
	struct redis_tls *tls = calloc(1, sizeof *tls);
	ERR_clear_error();
	if (tls)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls || !tls->context) {
		free(tls);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	tls->url = url;
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	int code = load_files(tls, err);
	if (!code && !make(tls))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (code)
		redis_tls_free(tls);
	else
		*ret_tls = tls;
	return code;
}

void redis_tls_free(struct redis_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	free(tls);
}

/* ---- bytes */

int redis_tls_feed(struct redis_tls *tls, const void *bytes, size_t n)
{
	size_t taken = 0;
	return BIO_write_ex(tls->in, bytes, n, &taken) == 1 && taken == n ? 0 : WEIR_ENOMEM;
}

int redis_tls_drain(struct redis_tls *tls, struct buf *out)
{
	char *bytes;
	long n = BIO_get_mem_data(tls->out, &bytes);
	if (n > 0)
		buf_add(out, bytes, (size_t)n);
	return out->failed || BIO_reset(tls->out) != 1 ? WEIR_ENOMEM : 0;
}

int redis_tls_shake(struct redis_tls *tls, struct weir_error *err)
{
	ERR_clear_error();
	int done = SSL_do_handshake(tls->ssl);
	if (done == 1)
		return 1;
	return SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ ? 0 : explain(tls, err);
}

ssize_t redis_tls_read(struct redis_tls *tls, void *bytes, size_t n, struct weir_error *err)
{
	size_t got = 0;
	ERR_clear_error();
	int done = SSL_read_ex(tls->ssl, bytes, n, &got);
	if (done == 1)
		return (ssize_t)got;
	int why = SSL_get_error(tls->ssl, done);
	return why == SSL_ERROR_WANT_READ ? 0 : why == SSL_ERROR_ZERO_RETURN ? WEIR_ECLOSED : explain(tls, err);
}

int redis_tls_write(struct redis_tls *tls, const void *bytes, size_t n, struct weir_error *err)
{
	size_t taken = 0;
	ERR_clear_error();
	return !n || SSL_write_ex(tls->ssl, bytes, n, &taken) == 1 ? 0 : explain(tls, err);
}
