# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An upstream that answers 503 beyond its connections: retried until all are through.
mock --latency 5ms --max-connections 10
orders 200
pipeline_orders 'flow: { concurrency: 40, retry: { attempts: 50, backoff: 10ms..100ms } }'
run
expect_code 0
expect_rows 200
