# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each YAML block of README.md and docs is a right pipeline, and runs to its end against a mock.  To a block that is only
# a part of a file a source and a sink are added.
mkdir dump
seq 20 | jq -c '{order_id: ., customer: {id: (. % 3)}, urgency: (. % 2)}' >orders.jsonl
gzip <orders.jsonl >dump/1.jsonl.gz
printf 'id;name\n1;Caf\351\n2;Weir\n' >customers.csv
seq 20 >urls.txt
mkdir pages photos
for i in $(seq 20); do echo "$i" >"photos/$i.jpg"; done
echo secret >token
cp /etc/ssl/certs/ca-certificates.crt company.pem
mock
token_server
printf '#!/bin/sh\necho secret\n' >gcloud
chmod +x gcloud
export PATH=$PWD:$PATH
start_postgres
export DATABASE_URL=$PG_URL TOKEN=secret CONCURRENCY=10 API_URL=$MOCK_URL

# blocks FILE: each ```yaml block as FILE:LINE in blocks/.
mkdir blocks
blocks() {
	awk -v to="blocks/$(basename "$1")" '
		/^```yaml$/ { block = to ":" NR; next }
		/^```/ { block = "" }
		block { print >block }' "$1"
}
blocks "$TREE/README.md"
for text in "$TREE"/docs/*.md; do blocks "$text"; done

# The block with what it lacks, on the mock that runs here, with fewer items.
complete() {
	grep -q '^source:' "$1" || echo 'source: { range: 1-20 }'
	sed "s|http://127\.0\.0\.1:8080/token|$SERVER/token|; s|http://127\.0\.0\.1:8080|$MOCK_URL|; s|range: 1-1000|range: 1-20|; s|, follow: true||" "$1"
	grep -q '^sink:' "$1" || echo 'sink: { jsonl: { path: rest.jsonl, on_start: replace } }'
}

start_postgres
start_redis
postgres sql "CREATE TABLE users AS SELECT i AS id, 'u' || i || '@mail.example' AS email, true AS active
	FROM generate_series(1, 20) i" >/dev/null
export DATABASE_URL=$PG_URL

for block in blocks/*; do
	if grep -q "^scrape_configs:" "$block"; then continue; fi # of Prometheus
	rm -rf state ./*.db out.jsonl* pages.csv orders.csv dead.jsonl rest.jsonl summary.json
	sqlite3 shop.db "CREATE TABLE orders AS SELECT value AS id, 'new' AS state FROM generate_series(1, 20);
		CREATE UNIQUE INDEX orders_id ON orders(id)"
	complete "$block" >pipeline.yaml
	! grep -q REDIS_URL pipeline.yaml || redis FLUSHALL >/dev/null
	! grep -q DATABASE_URL pipeline.yaml || postgres sql 'DROP TABLE IF EXISTS orders, weir_ledger, weir_ledger_runs'
	! grep -q REDIS_URL pipeline.yaml || {
		redis FLUSHALL
		seq 20 | sed 's/.*/XADD orders * payload \x27{"order_id":&}\x27/' | redis
	} >/dev/null
	CODE=0
	"$WEIR" run pipeline.yaml --state state --summary summary.json <urls.txt >stdout 2>stderr || CODE=$?
	check_accounts
	[ "$CODE" = 0 ] || fail "${block#blocks/} does not run: exit code $CODE"
	jq -e '.succeeded > 1' summary.json >/dev/null || fail "${block#blocks/} makes nothing"
done
[ "$(find blocks -type f | wc -l)" -gt 20 ] || fail "hardly any block was found"
