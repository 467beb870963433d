# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The other things an upstream can do: each ends as a dead letter with a reason, never as a row, and never in a crash.
# (id: what; "once" faults are over at the second attempt, so those become rows; an answer without
# a body is null, and a row, too.)
mock --fault /orders/1=reset-body --fault /orders/2=stall-body --fault /orders/3=chunk-cut \
	--fault /orders/4=close-cut --fault /orders/5=bad-json --fault /orders/6=bad-utf8 --fault /orders/7=empty \
	--fault /orders/8=garbage --fault /orders/9=close --fault /orders/a=big-header --fault /orders/b=once/reset \
	--fault /orders/c=once/stall --fault /orders/d=once/half --fault /orders/e=once/status/503 \
	--fault /orders/f=once/status/429/retry-after/0
printf '{"order_id": "%s"}\n' 1 2 3 4 5 6 7 8 9 a b c d e f >orders.jsonl
HTTP='timeout: 500ms' pipeline_orders 'flow: { concurrency: 5, breaker: off, retry: { attempts: 2, backoff: 5ms..10ms } }'
sed -i "s/{id, total:.*/{id: (.id | tostring), total: 1}'/" pipeline.yaml
run
expect_code 3
expect_rows 6
expect_summary '.read == 15 and .succeeded == 6 and .dead == 9'
expect_lines 9 dead.jsonl
expect_json dead.jsonl 'all(.[]; (.reason | length) > 5 and (.attempts >= 1 and .attempts <= 2))'
expect_json dead.jsonl 'map(.item.order_id) | sort == ["1", "2", "3", "4", "5", "6", "8", "9", "a"]'
expect_json dead.jsonl 'any(.[]; .item.order_id == "2" and (.reason | test("timeout")))'
expect_json dead.jsonl 'any(.[]; .item.order_id == "6" and (.reason | test("UTF-8|json"; "i")))'
