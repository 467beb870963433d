# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The real Prometheus scrapes a run and a fleet: its checks pass, and every query of the dashboard returns data of both.
fleet=()
mock --latency 20ms --limit 150/s --errors 2%
seq 5000 | jq -c '{order_id: ., class: (. % 2)}' >orders.jsonl
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json, into: .answer }
  - jq: 'if .order_id % 10 == 0 then error("no") else {id: .order_id} end'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id] } }
flow: { rate: 100/s, max_memory: 1GB, priority: { field: .class, sla: { 0: 1ms, 1: 1h } } }
stop_when: { dead: 0 }
YAML
start_run
start_redis
sed 's/^source/name: fleet\nbroker: { redis: { url: "${env:REDIS_URL}" } }\nsource/; s/out.db/fleet.db/' pipeline.yaml >fleet.yaml
for verb in submit work work; do
	"$WEIR" "$verb" fleet.yaml --progress json >/dev/null 2>"fleet.${#fleet[@]}" &
	fleet+=($!)
	pids+=($!)
done
url_of() {
	jq -rn 'first(inputs | .url // empty)' "$1" | grep -oE '[0-9.]+:[0-9]+$'
}
for i in "${!fleet[@]}"; do wait_until 10 url_of "fleet.$i"; done
wait_until 10 status_says '.dead > 0 and .retries > 0'
observed /metrics >scraped
promtool check metrics <scraped >promtool.log 2>&1 || fail "promtool: $(cat promtool.log)"
expect promtool check rules "$TREE/contrib/prometheus-rules.yaml"
expect promtool check config "$TREE/contrib/prometheus.yaml"
expect python3 -c 'import sys, yaml; [yaml.safe_load(open(f)) for f in sys.argv[1:]]' "$TREE"/contrib/compose.yaml "$TREE"/contrib/grafana/*.yaml

cat >prometheus.yaml <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$TREE/contrib/prometheus-rules.yaml]
scrape_configs:
  - { job_name: weir, static_configs: [{ targets: ['127.0.0.1:$(observe_port)', $(for i in "${!fleet[@]}"; do url_of "fleet.$i"; done | paste -sd,)] }] }
YAML
prometheus_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file=prometheus.yaml --storage.tsdb.path=tsdb --web.listen-address="127.0.0.1:$prometheus_port" \
	>prometheus.log 2>&1 &
pids+=($!)
cat >queries.py <<'PY'
# Prints the queries of the dashboard, and the conditions of the alerts, that return nothing or fail.
import json, os, sys, urllib.parse, urllib.request

base, instance, tree = f"http://127.0.0.1:{sys.argv[1]}/api/v1/", sys.argv[2], os.environ["TREE"]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
empty = 0
for panel in json.load(open(tree + "/contrib/grafana/weir.json"))["panels"]:
    query = panel["targets"][0]["expr"].replace("$__rate_interval", "10s").replace("$instance", instance)
    answer = json.load(opener.open(base + "query?" + urllib.parse.urlencode({"query": query})))
    if not answer["data"]["result"]:
        empty += 1
        print("no data:", query)
rules = json.load(opener.open(base + "rules"))["data"]["groups"][0]["rules"]
empty += sum(rule["health"] != "ok" for rule in rules)
sys.exit(empty > 0 or not rules)
PY
wait_until 30 python3 queries.py "$prometheus_port" "127.0.0.1:$(observe_port)"
wait_until 30 python3 queries.py "$prometheus_port" "$(for i in "${!fleet[@]}"; do url_of "fleet.$i"; done | paste -sd'|')"
kill -TERM "$started_pid" "${fleet[@]}"
finish
