# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A token of an OAuth2 server: requested once for all, before it expires and after an answer 401.  Secrets are shown
# nowhere.
token_server
export SECRET=s3cr/t

# pipeline_of RANGE KEYS LINE ...
pipeline_of() {
	rm -rf state requests.log out.jsonl
	pipeline <<YAML
source: { range: $1 }
steps:
  - http:
      url: '\${env:SERVER}/items/\${.}'
      auth: { oauth2: { token_url: '\${env:SERVER}/token', client_id: me, $2 } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
	printf '%s\n' "flow: { concurrency: 10, retry: { attempts: 1 }, breaker: { open: 200ms..400ms } }" "${@:3}" \
		>>pipeline.yaml
}
secret="client_secret: '\${env:SECRET}'"
token_requests() {
	grep -c '^/token' requests.log
}

# One request for ten at once, with all that was asked for.
pipeline_of 1-50 "$secret, scope: 'a b', audience: x"
run
expect_code 0
expect_lines 50 out.jsonl
expect_summary '.attempts == 50'
expect test "$(token_requests)" = 1
expect grep -qF '{"grant_type": "client_credentials", "scope": "a b", "audience": "x"}' requests.log

# A server that takes the secret in the body alone; tokens that expire; a token that is revoked.
echo 'post' >mode
pipeline_of 1-20 "$secret"
run
expect_code 0
expect test "$(token_requests)" = 2
echo 'ok 1' >mode
pipeline_of 1-30 "$secret"
sed -i 's/concurrency: 10/concurrency: 10, rate: 20\/s, burst: 1/' pipeline.yaml
run
expect_code 0
expect_summary '.attempts == 30 and .dead == 0'
expect test "$(token_requests)" -ge 2
! grep -q '/items.* -$' requests.log || fail "a request was sent without a token"
echo 'ok' >mode
echo 50 >revoke_after
pipeline_of 1-200 "$secret"
run
expect_code 0
expect_summary '.attempts == 200 and .dead == 0'
expect test "$(token_requests)" = 2

# The refresh token is replaced by the one that comes with each token.
echo 'rotate' >mode
pipeline_of 1-5 "$secret, grant: refresh_token, refresh_token: refresh-0"
run
expect_code 0
expect grep -qF '"refresh_token": "refresh-0"' requests.log
# ... for this run: the next one has the old one again.
pipeline_of 1-5 "$secret, grant: refresh_token, refresh_token: refresh-0"
run --quiet
expect_code 6
expect_err 'stopped: auth: the token server 127.0.0.1 refused: invalid_grant; check auth.oauth2.refresh_token: it has expired, or was used before'

! grep -rqE 's3cr|token-[0-9]|refresh-[0-9]' state dead.jsonl summary.json stdout stderr || fail "a secret is shown"
