# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A file that is far larger than the memory of the run is saved, and sent, in a little of it.
file_server
mkdir out
MANY=100000000
pipeline <<YAML
source: { lines: { path: items } }
steps:
  - http: { url: '\${env:SERVER}/\${raw:.}', save: 'out/\${meta.position}', max_body: 2GiB, timeout: 60s }
  - http:
      url: '\${env:SERVER}/count'
      method: POST
      timeout: 60s
      multipart: [ { name: file, file: 'out/\${meta.position}' } ]
      into: .answer
sink: { jsonl: { path: out.jsonl } }
YAML
printf '%s\n' "file/$MANY/a" "gzip/$MANY/b" >items
run
expect_code 0
expect_json out.jsonl "all(.[]; .bytes == $MANY and .answer.bytes > $MANY and .answer.bytes < $MANY + 1000)"
expect_summary '.peak_rss_bytes < 60000000'
