# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What fills URL, headers and body: values of the item, escaped where they stand; the environment; position and key.
mock
cat >items.jsonl <<'JSON'
{"q": "say \"hi\"", "w": "C:\\temp", "p": "a/b", "tags": ["x", "y"]}
{"q": "x\", \"admin\": true, \"y\": \"z", "w": "line\nbreak", "p": "d", "tags": []}
JSON
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
steps:
  - http:
      url: '${env:MOCK_URL}/echo?raw=${raw:.p}&p=${.p}&n=${meta.position}'
      method: POST
      headers: { X-Key: '${meta.key}', X-Where: '${env:WHERE}-${meta.position}' }
      body: '{"q": "${.q}", "w": "${.w}", "tags": ${.tags}, "env": "${env:WHERE}", "n": ${meta.position}, "key": "${meta.key}"}'
  - jq: |
      {path, key: .headers["x-key"], where: .headers["x-where"], sent: (.body | fromjson)}
      | .ok = (.key == .sent.key and .key == $meta.key and .sent.n == $meta.position)
      | .ok = (.ok and ([.sent.q, .sent.w, .sent.tags] == ($source | [.q, .w, .tags])))
sink: { jsonl: { path: out.jsonl } }
YAML
WHERE=here run
expect_code 0
expect_json out.jsonl 'map(.ok) == [true, true]'
expect_json out.jsonl 'map(.where) | sort == ["here-1", "here-2"]'
expect_json out.jsonl 'map(.sent.env) == ["here", "here"]'
expect_json out.jsonl 'map(.path) | sort == ["/echo?raw=a/b&p=a%2Fb&n=1", "/echo?raw=d&p=d&n=2"]'
expect_json out.jsonl 'map(.key) | unique | length == 2'

# The same body, written as YAML.
rm -rf state out.jsonl
sed -i "s/^      body: .*/      json: { q: '\${.q}', w: '\${.w}', tags: '\${.tags}', env: '\${env:WHERE}', n: '\${meta.position}', key: '\${meta.key}' }/" pipeline.yaml
WHERE=here run
expect_code 0
expect_json out.jsonl 'map(.ok) == [true, true]'
expect_json out.jsonl 'map(.sent | keys_unsorted) == [["q", "w", "tags", "env", "n", "key"], ["q", "w", "tags", "env", "n", "key"]]'

# A raw value may have slashes, and may not lead out of its folder.
rm -rf state out.jsonl
printf '{"p": "%s"}\n' 7 a/../7 .. ../x >items.jsonl
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${raw:.p}' }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
stop_when: { dead: 0% }
YAML
run
expect_code 3
expect_lines 1 out.jsonl
expect_dead 3 "^template: '\.\.' cannot be a part of a URL path"
