# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A config that is wrong: one line with its place and what was expected, exit code 78, and no request is made.
mock
orders 3
good() {
	cat <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - http:
      url: http://127.0.0.1:9/orders/${.order_id}
      timeout: 10s
  - jq: '{id}'
flow:
  concurrency: 5
sink:
  sqlite: { path: out.db, table: orders, key: id, columns: [id] }
YAML
}

# refused PLACE TEXT SED-SCRIPT: the good file, spoilt, is refused there for that reason, by check and by run.
refused() {
	good | sed -E "$3" | sed "s,http://127.0.0.1:9,$MOCK_URL," >bad.yaml
	weir check bad.yaml
	expect_refused "bad.yaml:$1" "$2"
	weir run bad.yaml --state state
	expect_refused "bad.yaml:$1" "$2"
}

good >bad.yaml
weir check bad.yaml
expect_code 0

refused 9:3 'did you mean .?concurrency' 's/concurrency/concurency/'
refused 8:1 'did you mean .?flow' 's/^flow/flwo/'
refused 4:5 'did you mean .?http' 's/- http/- htpp/'
refused 6:7 'did you mean .?timeout' 's/timeout/timeuot/'
refused 9:16 'number' 's/concurrency: 5/concurrency: lots/'
refused 9:16 '1' 's/concurrency: 5/concurrency: 0/'
refused 6:16 'duration|unit' 's/10s/10/'
refused 6:16 'duration|unit' 's/10s/10parsecs/'
refused 5:12 'http://|https://' 's,http://127.0.0.1:9/,127.0.0.1:9/,'
refused 5:12 'http://|https://' 's,http://127.0.0.1:9/,ftp://127.0.0.1:9/,'
refused 1:26 'orders.no|no such file' 's/orders.jsonl/orders.no/'
refused 7:9 'jq' "s/'\\{id\\}'/'{id'/"
refused '5:[0-9]+' 'path|\$\{' 's/\$\{.order_id\}/${.order_id/'
when() { printf '6s/$/\\n      when: [{ if: "%s", then: throttled, after: "%s" }]/' "$1" "$2"; }
refused 7:20 'jq program does not compile: .*unexpected' "$(when '.body ==' 2s)"
refused 7:20 'jq program does not compile' "$(when 'def f: true;' 2s)"
refused 7:58 'jq program does not compile' "$(when 'true # yes' '2 seconds')"
refused 6:13 'jq program does not compile' 's,timeout: 10s,json: "{a:",'
refused 6:13 'write .path' 's,timeout: 10s,json: "[${.id}]",'
refused 10:3 'twice|duplicate' 's/^(  concurrency: 5)/\1\n\1/'
refused '5:[0-9]+' 'NO_SUCH' 's,\$\{.order_id\},${env:NO_SUCH},'
refused 2:1 'tab' '2s/.*/\tbroker: x/'
refused '[0-9]+:[0-9]+' 'expected' '1s/.*/source: [/'
expect test "$(mock_stat .requests)" -le 1
