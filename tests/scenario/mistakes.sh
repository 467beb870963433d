# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Mistakes that are no errors: check and run warn, and the end says which column stayed empty and which step dropped all.
mock
seq 5 | sed 's/.*/{"id": &, "score": &}/' >in.jsonl
cat >same.yaml <<YAML
source: { jsonl: in.jsonl }
steps: [ { http: "$MOCK_URL/orders/{{.id}}" } ]
sink: stdout
YAML
weir check same.yaml
expect_code 0
expect_err '^same.yaml:2:18: warning: url has "\{\{.id\}\}", which is sent as it stands; did you mean \$\{.id\}\?$'
expect_out '^same.yaml: ok$'
weir run same.yaml
expect_err '^same.yaml:2:18: warning: url has'
weir run same.yaml --fresh=discard --quiet
expect test "$(grep -c warning stderr)" = 0

cat >secret.yaml <<'YAML'
source: { jsonl: in.jsonl }
steps: [ { http: { url: 'http://h/${.id}', headers: { Authorization: Bearer s3cret } } } ]
sink: stdout
YAML
weir check --explain secret.yaml
expect_err 'secret.yaml:2:70: warning: Authorization is a secret in plain text; take it from \$\{env:NAME\} or'
expect_out 'Authorization: "\*\*\*"'
expect test "$(grep -c s3cret stdout)" = 0

# Secrets that anybody on the way could read; within one network that is its owner's business.
overheard() {
	printf 'source: { jsonl: in.jsonl }\nsteps:\n  - http: { url: "%s/${.id}", %s }\nsink: stdout\n' "$1" "$2" >plain.yaml
	weir check plain.yaml
	expect_code 0
}
tokens="auth: { oauth2: { token_url: 'http://b.example.com/t', client_id: a, client_secret: '\${env:HOME}' } }"
for secret in "auth: { bearer: '\${env:HOME}' }" "headers: { X-Api-Key: '\${env:HOME}' }"; do
	overheard http://a.example.com "$secret"
	expect_err '^plain.yaml:3:.*: warning: (auth|headers): a secret is sent to http://a.example.com:80, unencrypted'
	for url in https://a.example.com http://127.0.0.1:8080 http://10.0.0.1 http://api:8080; do
		overheard "$url" "$secret"
		expect test ! -s stderr
	done
done
overheard https://a.example.com "$tokens"
expect_err 'warning: auth: a secret is sent to http://b.example.com:80, unencrypted'

# Keys that are for https alone, unless a redirect or a token may need them.
for keys in 'http: 2' 'tls: { ca: ca.pem }'; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -subj /CN=a -out ca.pem 2>/dev/null
	printf 'source: { jsonl: in.jsonl }\nsteps:\n  - http: { url: "http://h/${.id}", %s }\nsink: stdout\n' "$keys" >vain.yaml
	weir check vain.yaml
	expect_code 0
	expect_err '^vain.yaml:3:.*: warning: (http: 2|tls) has no effect, since url begins with http:// \(did you mean https://\?\)$'
	sed -i 's/, \(http\|tls\): /, follow: 1&/' vain.yaml
	weir check vain.yaml
	expect test ! -s stderr
done

for sink in 'csv: { path: out.csv, columns: [id, scroe] }' 'sqlite: { path: out.db, table: t, columns: [id, scroe] }'; do
	printf 'source: { jsonl: in.jsonl }\nbroker: memory\nsink: { %s }\n' "$sink" >empty.yaml
	weir run empty.yaml
	expect_code 0
	expect_err 'column scroe was empty in all 5 rows'
done

cat >dropped.yaml <<'YAML'
source: { jsonl: in.jsonl }
broker: memory
steps: [ { jq: . }, { jq: 'select(.id == "5")' } ]
sink: stdout
YAML
weir run dropped.yaml
expect_code 0
expect_err '5 of 5 items were dropped by step 2 \(jq\)'
