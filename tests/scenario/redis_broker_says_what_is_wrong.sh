# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A server that is not there or will not do is refused before anything is read, within five seconds: what it is, and what
# to do.
start_redis

# refused CODE TEXT [URL]
refused() {
	pipeline <<YAML
name: orders
source: { range: 1..10 }
broker: { redis: { url: '${3-$REDIS_URL}' } }
sink: { sqlite: { path: out.db, table: rows, key: n } }
steps: [ { jq: '{n: .}' } ]
YAML
	run
	expect_code "$1"
	expect_err "$2"
	! grep -q 'canary' stderr stdout || fail "a password is shown: $(cat stderr)"
	expect test ! -e out.db
}

refused 69 'cannot connect to Redis at 127.0.0.1:1: Connection refused' redis://127.0.0.1:1
refused 78 'does not accept the user and password' "redis+unix://me:canary-wrong@$PWD/redis.sock"
redis CONFIG SET maxmemory-policy allkeys-lru
refused 78 'evicts any key when its memory is full .*CONFIG SET maxmemory-policy noeviction'
redis CONFIG SET maxmemory-policy volatile-ttl
redis SET 'weir:{orders}:run' mine
weir status pipeline.yaml
expect_code 78
refused 78 'the key weir:.orders.:run in Redis at .* is a string of another program.*another name'
redis DEL 'weir:{orders}:run'
user=(on '>canary' '~weir:*' +@all -@admin -@dangerous +info) # as the documents say
redis ACL SETUSER weir "${user[@]}" -xgroup
refused 78 'does not let weir in: XGROUP; .*ACL SETUSER' "redis+unix://weir:canary@$PWD/redis.sock"
redis ACL SETUSER weir +xgroup -unlink
refused 78 'does not let weir in: UNLINK; ' "redis+unix://weir:canary@$PWD/redis.sock"
redis ACL SETUSER weir +unlink resetkeys '~other:*'
refused 78 'does not let weir in: .*keys' "redis+unix://weir:canary@$PWD/redis.sock"

# That is all the rights it needs.
redis ACL SETUSER weir resetkeys "${user[@]}"
ADMIN_URL=$REDIS_URL REDIS_URL=redis+unix://weir:canary@$PWD/redis.sock
# Another pipeline under the same name is refused with what differs.
pipeline <<'YAML'
name: orders
source: { range: 1..10 }
broker: { redis: { url: '${env:REDIS_URL}' } }
sink: { sqlite: { path: out.db, table: rows, key: n } }
steps: [ { jq: '{n: .}' } ]
YAML
run
expect_code 0
sed -i 's/{n: .}/{n: ., m: 1}/' pipeline.yaml
run
expect_code 78
expect_err 'the pipeline has changed since the run began: .*steps.1.program'
REDIS_URL=$ADMIN_URL
cp pipeline.yaml other.yaml
weir run other.yaml
expect_code 78
expect_err 'the name "orders" belongs to the run of pipeline.yaml'
# A state of another release.
redis HSET 'weir:{orders}:run' format 99
run
expect_code 78
expect_err 'has the format 99 of another release'
expect_rows 10 out.db rows
