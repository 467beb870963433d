# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Wrong use of the command: exit code 64 and a hint; help and version are answers, not errors.
weir
expect_code 64
expect_err '^usage: weir VERB'

# WORD ... -- TEXT: two lines, what is wrong and where to look; nothing on the standard output.
expect_wrong() {
	local words=()
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	weir "${words[@]}"
	expect_code 64
	expect test ! -s stdout
	expect test "$(wc -l <stderr)" = 2
	expect grep -qF -- "$2" stderr
	expect grep -qE '^`weir.* --help` shows' stderr
}
expect_wrong frobnicate -- 'weir: unknown verb "frobnicate"'
expect_wrong stat -- '; did you mean "status"?'
expect_wrong help statis -- '; did you mean "status"?'
expect_wrong chekc -- '; did you mean "check"?'
expect_wrong run -- 'weir run: which FILE?'
expect_wrong run a.yaml b.yaml -- 'one FILE, not several'
expect_wrong run --no-such-option x.yaml -- 'unknown option --no-such-option'
expect_wrong run --sumary x.yaml -- '; did you mean --summary?'
expect_wrong run --quiet=yes x.yaml -- '--quiet takes no value'
expect_wrong run x.yaml --state -- '--state needs a value: DIR'
expect_wrong run --fresh=all x.yaml -- '--fresh: unexpected value "all"; expected none or discard'
expect_wrong get -x -- 'unknown option -x'
expect_wrong get --header nonsense -i urls -- "--header: expected 'NAME: VALUE'"
expect_wrong get -- '-i FILE or --range is required'
expect_wrong check -- 'which FILE?'
expect_wrong init -ofile -- '-o FILE needs a TEMPLATE'
expect_wrong init order -- 'did you mean "orders"?'
expect_wrong list htpp -- 'did you mean "http"?'
expect_wrong list stop_whn -- 'did you mean "stop_when"?'
expect_wrong list --all -- 'unknown option --all'
expect_wrong pause a b -- 'weir pause: which run?'
expect_wrong resume --jsn -- 'did you mean --json?'
expect_wrong status a b -- 'weir status: which run?'
expect_wrong set orders -- 'weir set: what?'
expect_wrong set orders concurency=5 -- '; did you mean "concurrency"?'
expect_wrong set orders rate=fast -- 'rate is "fast", expected none'
expect_wrong state verfy orders -- 'unknown verb "verfy"'
expect_wrong dead lss orders -- 'did you mean "ls"?'
expect_wrong dead ls --limit many orders -- '--limit: "many" is not a whole number from 0'
expect_wrong dead ls --group xyz orders -- '"xyz" is not a group (eight digits)'
expect_wrong mock --seed=-1 -- '--seed: "-1" is not a whole number from 0'
expect_wrong mock 8080 -- 'unexpected argument "8080"'
expect_wrong mock --limit 5 -- "--limit: '5' is not a limit"
expect_wrong bench -- 'patterns, backpressure or orders'
expect_wrong bench nix -- "unknown suite 'nix'"
expect_wrong bench patterns --only nix -- "--only: unknown row 'nix'"

# weir get names its options, never a key of the pipeline that it makes of them.
list=(get -i /dev/null)
expect_wrong get https://example.com -- 'is required (for one URL: echo URL | weir get -i -)'
expect_wrong get -i nix.txt -- 'weir get: -i: cannot read "nix.txt": no such file'
expect_wrong "${list[@]}" -o nix/out.jsonl -- 'weir get: -o: cannot write "nix/out.jsonl": its folder does not exist'
expect_wrong "${list[@]}" --on-start append -- 'weir get: --on-start needs -o FILE'
expect_wrong "${list[@]}" --state s -- 'weir get: --state needs -o FILE'
expect_wrong "${list[@]}" -o out --on-start x -- 'weir get: --on-start is "x", expected one of refuse, append, replace'
expect_wrong "${list[@]}" --concurrency 0 -- 'weir get: --concurrency is "0", expected auto, or a whole number'
expect_wrong "${list[@]}" --rate fast -- 'weir get: --rate is "fast", expected a rate, such as 1000/s'
expect_wrong "${list[@]}" --timeout 10 -- 'weir get: --timeout is "10", expected a duration with a unit'
expect_wrong "${list[@]}" --attempts -1 -- 'weir get: --attempts is "-1", expected a whole number, from 1'
expect_wrong "${list[@]}" --give-up soon -- 'weir get: --give-up is "soon", expected a duration'
expect_wrong "${list[@]}" --throttled 5 -- 'weir get: --throttled is "5", expected a duration'
expect_wrong "${list[@]}" --method FETCH -- 'weir get: --method is "FETCH", expected one of GET, POST'
expect_wrong "${list[@]}" --header 'a b: c' -- 'weir get: --header: "a b" is not a header name'
expect_wrong "${list[@]}" --header 'X: ${env:NO_SUCH_NAME}' -- 'weir get: --header: the environment variable NO_SUCH_NAME'
expect_wrong "${list[@]}" --ca nix.pem -- 'weir get: --ca: cannot read "nix.pem": no such file'
expect_wrong get --range 5-1 'http://x/{}' -- 'weir get: --range is "5-1", expected a range of whole numbers'
expect_wrong get --range 1-5 'ftp://x/{}' -- 'weir get: URL is "ftp://x/{}", expected http:// or https://'

# Behind -- everything is a word; options and words mix, and values stand behind = or a blank.
weir run -- --quiet
expect_code 78
expect_err '^--quiet: '
weir init orders -o - --
expect_code 0
weir --help
expect_code 0
for verb in run get init check list status mock; do expect_out "$verb"; done
weir help
expect_code 0
expect_out '^usage: weir VERB'
weir help dead
expect_code 0
expect_out '^usage: weir dead'
for word in --version -V version; do
	weir "$word"
	expect_code 0
	expect_out '^weir [0-9]+\.[0-9]+\.[0-9]+$'
	expect_out '^libcurl [0-9.]+ \(.*\), SQLite [0-9.]+, libuv [0-9.]+, jq [0-9]'
done
weir list
expect_code 0
for kind in jsonl lines range stdin http jq sqlite stdout memory flow batch stop_when shutdown 'weir list NAME'; do expect_out "$kind"; done

# All of it fits a terminal of 80 columns.
expect_narrow() {
	expect_code 0
	wide=$(awk 'length > 80' stdout)
	[ -z "$wide" ] || fail "wider than 80 columns: $wide"
}
for verb in '' run get init check list dead state set pause resume status mock bench; do
	# shellcheck disable=SC2086 # no verb at all is one of them
	weir $verb --help
	expect_narrow
	expect_out '^usage: weir'
done
weir init
expect_narrow
weir list stop_when
expect_out 'of_first: .* 200$'
weir list templates
expect_out '^  orders '
for part in '' flow batch stop_when shutdown templates http lines csv jsonl sqlite jq; do
	# shellcheck disable=SC2086
	weir list $part
	expect_narrow
done

# A port that is taken.
mock
weir mock --listen "127.0.0.1:$mock_port"
expect_code 69
expect_err "cannot listen on 127\\.0\\.0\\.1:$mock_port: Address already in use"
