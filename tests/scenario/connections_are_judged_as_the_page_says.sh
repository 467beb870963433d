# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Likewise each row of the table "Real connections": bytes, ends of connections, TLS, frames of HTTP/2.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.pem -days 2 \
	-subj /CN=tls -addext subjectAltName=IP:127.0.0.1 2>/dev/null
"$TREE/tests/support/zoo" "Real connections" >stdout || fail "the table is wrong"
expect_out '^[0-9]+ rows$'
