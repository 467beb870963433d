# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each verb takes a run by its name, its pipeline file or its state folder; the only run need not be named.
mock
mkdir there
pipeline <<'YAML'
name: shop
source: { range: 1-20 }
steps: [ { http: { url: '${env:MOCK_URL}/status/404' } } ]
sink: { jsonl: { path: out.jsonl } }
stop_when: { dead: 0% }
YAML
mv pipeline.yaml there/shop.yaml
weir run there/shop.yaml
expect_code 3

expect_each() { # VERB [WORD ...] -- REGEX
	local words=() run
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	for run in there/shop.yaml there/.weir/shop; do
		weir "${words[@]}" "$run"
		expect_code 0
		expect_out "$2"
	done
	for run in '' shop shop.yaml .weir/shop .weir/shop/; do
		CODE=0
		# shellcheck disable=SC2086 # no word at all is one of them
		(cd there && "$WEIR" "${words[@]}" $run) >stdout 2>stderr || CODE=$?
		expect_code 0
		expect_out "$2"
	done
}
expect_each status -- '20 items, 20 failed; weir dead (shop|there/.weir/shop) shows why'
expect_each dead -- '^[0-9a-f]{8} +20 +100 %'
expect_each dead ls -- 'status: 404'
expect_each dead export -- '"position":20'
expect_each state verify -- ': whole'

# One letter, and one that there is not.
id=$("$WEIR" dead export there/shop.yaml | jq -s '.[0].id')
cd there || exit
weir dead show "$id"
expect_code 0
expect_out "^dead letter $id\$"
weir dead show shop "$id"
expect_code 0
for verb in show replay export purge; do
	weir dead $verb shop 999
	expect_code 69
	expect_err 'no dead letter 999; `weir dead ls shop. lists them'
	weir dead $verb shop --id 999
	expect_code 69
done

# What destroys wants to be told of which run.
weir dead purge --all
expect_code 64
weir state rm --discard
expect_code 64
expect_err 'which run\?'
weir dead purge shop --all
expect_code 0
weir dead ls
expect_code 0
expect_out '^no dead letters$'

# Several runs, and names that are none.
sed 's/name: shop/name: spare/; s/out\.jsonl/spare.jsonl/' shop.yaml >spare.yaml
weir run spare.yaml
weir dead ls
expect_code 64
expect_err 'which run\? expected one of shop, spare$'
weir pause
expect_code 64
weir status shpo
expect_code 69
expect_err 'no run called "shpo" in .weir/ below this folder; did you mean "shop"\?'
weir state verify nix.yaml
expect_code 69
expect_err 'there is no file or folder nix\.yaml'
sed 's/name: shop/name: unborn/' shop.yaml >unborn.yaml
weir status unborn.yaml
expect_code 69
expect_err 'unborn\.yaml has not been run: there is no \.weir/unborn'

# A reader that has seen enough is no failure.
weir init orders
"$WEIR" run --quiet spare.yaml --fresh=discard || true
for words in 'dead export spare' 'dead ls spare' 'state export spare' 'list http' '--help'; do
	# shellcheck disable=SC2086
	"$WEIR" $words 2>noise | true
	[ ! -s noise ] || fail "$words: $(cat noise)"
done
