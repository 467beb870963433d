# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A token of an OAuth2 server: requested once for all, before it expires and after an answer 401.  Secrets are shown
# nowhere.
token_server
token_requests() {
	grep -c '^/token' requests.log
}

# One request for ten at once, with all that was asked for.
oauth2_pipeline 1-50 "$SECRET_KEY, scope: 'a b', audience: x"
run
expect_code 0
expect_lines 50 out.jsonl
expect_summary '.attempts == 50'
expect test "$(token_requests)" = 1
expect grep -qF '{"grant_type": "client_credentials", "scope": "a b", "audience": "x"}' requests.log

# A server that takes the secret in the body alone; tokens that expire; a token that is revoked.
echo 'post' >mode
oauth2_pipeline 1-20 "$SECRET_KEY"
run
expect_code 0
expect test "$(token_requests)" = 2
echo 'ok 1' >mode
oauth2_pipeline 1-30 "$SECRET_KEY"
sed -i 's/concurrency: 10/concurrency: 10, rate: 20\/s, burst: 1/' pipeline.yaml
run
expect_code 0
expect_summary '.attempts == 30 and .dead == 0'
expect test "$(token_requests)" -ge 2
! grep -q '/items.* -$' requests.log || fail "a request was sent without a token"
echo 'ok' >mode
echo 50 >revoke_after
oauth2_pipeline 1-200 "$SECRET_KEY"
run
expect_code 0
expect_summary '.attempts == 200 and .dead == 0'
expect test "$(token_requests)" = 2

# The refresh token is replaced by the one that comes with each token.
echo 'rotate' >mode
oauth2_pipeline 1-5 "$SECRET_KEY, grant: refresh_token, refresh_token: refresh-0"
run
expect_code 0
expect grep -qF '"refresh_token": "refresh-0"' requests.log
# ... for this run: the next one has the old one again.
oauth2_pipeline 1-5 "$SECRET_KEY, grant: refresh_token, refresh_token: refresh-0"
run --quiet
expect_code 6
expect_err 'stopped: auth: the token server 127.0.0.1 refused: invalid_grant; check auth.oauth2.refresh_token: it has expired, or was used before'

! grep -rqE 's3cr|token-[0-9]|refresh-[0-9]' state dead.jsonl summary.json stdout stderr || fail "a secret is shown"
