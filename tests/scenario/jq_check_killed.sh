# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A jq program is checked before a run by a process that may be killed, too: once, and it is asked again; twice, and the
# exit code does not say that the config is wrong.
mkdir bin
cp "$WEIR" bin/weir
pipeline <<'YAML'
source: { range: 1-3 }
steps: [ jq: '{n: .}' ]
sink: { jsonl: { path: out.jsonl } }
YAML
stand_in() {
	printf '#!/bin/sh\n%s\n' "$1" >bin/weir-jq
	chmod +x bin/weir-jq
}

# shellcheck disable=SC2016 # of that shell
stand_in '[ -e killed ] || { : >killed; kill -9 $$; }'
WEIR=bin/weir weir check pipeline.yaml
expect_code 0
expect test -e killed
# shellcheck disable=SC2016
stand_in 'kill -9 $$'
for verb in check run; do
	WEIR=bin/weir weir $verb pipeline.yaml
	expect_code 69
	expect_err '^pipeline.yaml:2:14: cannot check the jq program with .*/bin/weir-jq: it was killed by SIGKILL, twice$'
done
stand_in 'echo no >&2; exit 1'
WEIR=bin/weir weir check pipeline.yaml
expect_code 78
expect test ! -e out.jsonl

# A weir that was copied without it.
rm bin/weir-jq
CODE=0
bin/weir check pipeline.yaml 2>stderr || CODE=$?
expect_code 69
expect_err 'bin/weir-jq: .*; it belongs beside weir$'
