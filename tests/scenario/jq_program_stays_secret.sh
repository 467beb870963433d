# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A secret in a jq program is in no argument of a process, where every user of the machine could see it.
export CANARY=c4n4ry-7731
pipeline <<'YAML'
source: { range: 1-20 }
steps: [ jq: '{n: ., k: "${env:CANARY}", s: ([range(60000)] | add), p: $meta.position}' ]
sink: { jsonl: { path: out.jsonl } }
YAML
start_run
wait_until 10 status_says ".jq_restarts == 0"
# shellcheck disable=SC2046 # words
args=$(cat /proc/"$started_pid"/cmdline $(pgrep -P "$started_pid" | sed 's,.*,/proc/&/cmdline,') | tr '\0' ' ')
finish
expect_code 0
expect_json out.jsonl 'length == 20 and all(.[]; .k == "c4n4ry-7731")'
case $args in
*c4n4ry*) fail "the secret is an argument: $args" ;;
*weir-jq*) ;;
*) fail "the child was not seen: $args" ;;
esac
