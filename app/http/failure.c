/* SPDX-License-Identifier: MIT */
/* What failures are called: libcurl's codes, and what the host, or the proxy before it, is to blame for. */
#include "http/shard.h"

#include "http/origin.h"
#include "http/proxy.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weir/run.h>

static enum http_failure failure_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_CONNECT:
		return HTTP_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_DNS;
	case CURLE_URL_MALFORMAT:
		return HTTP_BAD_URL;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return HTTP_RESET;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_SHUTDOWN_FAILED:
		return HTTP_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTP_CERTIFICATE;
	default:
		return HTTP_PROTOCOL;
	}
}

/* libcurl's words may quote the server: one line, no control bytes. */
static void copy_clean(char *to, size_t room, const char *from)
{
	size_t i = 0;
	for (; from[i] && i + 1 < room; i++)
		to[i] = (char)((unsigned char)from[i] < ' ' || (unsigned char)from[i] >= 0x7f ? '?' : from[i]);
	to[i] = '\0';
}

/* What to do about a certificate that was refused, behind libcurl's words for it; the numbers are OpenSSL's. */
static const char *certificate_advice(const struct transfer *self)
{
	enum { NOT_YET_VALID = 9, EXPIRED, SELF_SIGNED = 18, SELF_SIGNED_IN_CHAIN, NO_ISSUER };
	long result = 0;
	curl_easy_getinfo(self->easy, CURLINFO_SSL_VERIFYRESULT, &result);
	if (result >= SELF_SIGNED && result <= NO_ISSUER)
		return "; tls.ca, or --ca of weir get, names the authority to trust";
	if (result == NOT_YET_VALID || result == EXPIRED)
		return "; its owner has to renew it, or the clock here is wrong";
	return strstr(self->error, "subject name") ? "; tls.server_name is the name to expect instead" : "";
}

/* Whether the error's number is there depends on who had called recv(). */
static bool is_reset(const struct transfer *self, CURLcode code, long os_error)
{
	return (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) &&
	       (os_error == ECONNRESET || strstr(self->error, "Connection reset by peer"));
}

/* Of a reset.  A server with TLS 1.3 looks for the client's certificate when the client takes the handshake for done;
 * the alert that says so is lost if it closes the connection with the request unread. */
static bool may_want_certificate(const struct transfer *self)
{
	long connects = 0;
	curl_easy_getinfo(self->easy, CURLINFO_NUM_CONNECTS, &connects);
	return self->origin->tls && self->base.sent && connects && !self->certified && !self->header_bytes;
}

static void describe_failure(const struct transfer *self, CURLcode code, struct http_response *response)
{
	long os_error = self->socket_errno;
	if (!os_error)
		curl_easy_getinfo(self->easy, CURLINFO_OS_ERRNO, &os_error);
	const char *text = self->error[0] ? self->error : curl_easy_strerror(code);
	if (code == CURLE_GOT_NOTHING)
		text = HTTP_UNANSWERED;
	else if (code == CURLE_PARTIAL_FILE)
		text = "body truncated";
	else if (code == CURLE_UNSUPPORTED_PROTOCOL)
		text = response->is_stray ? "bytes of an earlier answer were on the connection"
					  : "the answer is not HTTP";
	else if (code == CURLE_SSL_CONNECT_ERROR && strstr(self->error, "wrong version number"))
		text = "the server does not speak TLS on this port; did you mean http://?";
	else if (code == CURLE_COULDNT_CONNECT && os_error)
		text = os_error == ECONNREFUSED ? "refused" : weir_strerror(-(int)os_error);
	else if (is_reset(self, code, os_error))
		text = may_want_certificate(self)
			       ? "connection reset after the TLS handshake; the server may want a client certificate "
				 "(tls.cert)"
			       : "connection reset";
	copy_clean(response->detail, sizeof response->detail, text);
	size_t n = strlen(response->detail);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		snprintf(response->detail + n, sizeof response->detail - n, "%s", certificate_advice(self));
}

/* A failure before there was a connection to the host; what the proxy is to blame for says so. */
static void describe_proxy(const struct transfer *self, CURLcode code, struct http_response *response)
{
	const struct http_proxy *proxy = self->proxy;
	const struct http_origin *origin = self->origin;
	char *to = response->detail, before[sizeof response->detail];
	size_t room = sizeof response->detail;
	long status = 0;
	curl_easy_getinfo(self->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (code == CURLE_PROXY) {
		long error = CURLPX_OK;
		curl_easy_getinfo(self->easy, CURLINFO_PROXY_ERROR, &error);
		bool denied =
			error == CURLPX_USER_REJECTED || error == CURLPX_NO_AUTH || error == CURLPX_REPLY_NOT_ALLOWED;
		response->failure = denied ? HTTP_PROXY_DENIED : HTTP_PROXY;
		snprintf(before, sizeof before, "%s", to);
		snprintf(to, room, "%.60s: %.90s", proxy->name, before);
	} else if (status == 407 || (status == 401 && proxy->has_user)) { /* tinyproxy says 401 of a wrong password */
		response->failure = HTTP_PROXY_DENIED;
		snprintf(to, room,
			 proxy->has_user ? "%.80s does not accept the user and password of the proxy (%d)"
					 : "%.80s wants a password (%d); set proxy: http://user:password@host:port",
			 proxy->name, (int)status);
	} else if (status >= 300) {
		bool denied = status < 500 && status != 408 && status != 429;
		response->failure = denied ? HTTP_PROXY_DENIED : HTTP_PROXY;
		snprintf(to, room, "%.60s %s %.40s:%u (%d)", proxy->name,
			 denied ? "does not connect to" : "cannot reach", origin->host, (unsigned)origin->port,
			 (int)status);
	} else if (code == CURLE_COULDNT_CONNECT) {
		snprintf(before, sizeof before, "%s", to);
		snprintf(to, room, "proxy %.80s: %.60s", proxy->name, before);
	} else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING) {
		response->failure = HTTP_PROXY;
		snprintf(to, room, "%.60s closed the connection before it had one to %.50s", proxy->name, origin->host);
	} else if (failure_of(code) == HTTP_TLS) {
		snprintf(before, sizeof before, "%s", to);
		snprintf(to, room, "%.80s (through the proxy %.50s)", before, proxy->name);
	}
}

void http_transfer_describe(const struct transfer *self, CURLcode code, struct http_response *response)
{
	response->failure = failure_of(code);
	if (self->failure != HTTP_ANSWERED) {
		response->failure = self->failure;
		copy_clean(response->detail, sizeof response->detail, self->detail);
		return;
	}
	if (self->request->is_probe && code == CURLE_ABORTED_BY_CALLBACK) {
		response->failure = HTTP_ANSWERED;
		return;
	}
	describe_failure(self, code, response);
	if (self->proxy && !self->base.sent)
		describe_proxy(self, code, response);
}
