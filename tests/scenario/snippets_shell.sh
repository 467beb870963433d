# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each command in README.md, CONTRIBUTING.md and docs works as it is written there.  A command is a line of an indented
# block that begins with one, or with "$ "; what follows two blanks or a # explains it.  Each runs in a folder of its own
# that has what the text speaks of: orders.yaml and pipeline.yaml, runs of them, a list of URLs.

# why_not COMMAND: the commands that are not run, and why.
why_not() {
	case $1 in
	make | make\ * | scripts/*) echo "builds, measures or tests the whole tree; it is there, though" ;;
	"weir bench "*) echo "takes minutes; bench_quick_real.sh and bench_virtual.sh run short ones" ;;
	*) return 1 ;;
	esac
}

# A verb of the Makefile, or a script, that exists.
is_there() {
	local words
	read -ra words <<<"$1"
	case $1 in
	make | make\ *) grep -q "^${words[1]:-all}:" "$TREE/Makefile" ;;
	scripts/*) [ -x "$TREE/${words[0]}" ] ;;
	"weir bench "*) "$WEIR" bench --help | grep -q "${words[2]}" ;;
	esac
}

# FILE:LINE COMMAND, each command of a text.
commands_of() {
	awk -v name="$(basename "$1")" '
		/^```/ { fenced = !fenced }
		fenced || !/^    [^ ]/ { block = ""; next }
		{ line = substr($0, 5) }
		!block { block = line ~ /^(weir|make|scripts\/[a-z-]+|cc)( |$)/ ? "commands" : line ~ /^\$ / ? "session" : "text" }
		block == "text" || line ~ /^#/ || (block == "session" && !sub(/^\$ /, "", line)) { next }
		{
			sub(/(   *[^-'"'"']|  *#).*/, "", line)
			print name ":" NR " " line
		}' "$1"
}

# run_of FOLDER/NAME ORDERS [QTY]: a pipeline and its orders; the third has that quantity.
run_of() {
	local name=${1#*/}
	cat >"$1.yaml" <<YAML
name: $name
source: { jsonl: { path: $name.jsonl } }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }
  - jq: 'if \$source.qty | type == "number" then {id, qty: \$source.qty} else error("qty is no number") end'
sink: { sqlite: { path: $name.db, table: orders, key: id } }
YAML
	seq "$2" | sed "s/.*/{\"order_id\": &, \"qty\": 1}/; 3s/1}/${3:-1}}/" >"$1.jsonl"
}

mock
start_redis
mkdir bin fresh whole letters alive shared
ln -s "$WEIR" bin/weir
PKG_CONFIG_PATH=$(dirname "$WEIR")/meson-uninstalled
export PKG_CONFIG_PATH PATH=$PWD/bin:$PATH

run_of fresh/orders 20
run_of fresh/pipeline 20
seq 3 | sed "s|^|$MOCK_URL/orders/|" >fresh/urls.txt
ln -s "$TREE/include" "$TREE/examples" fresh
ln -s "$(dirname "$WEIR")" fresh/build
cp "$TREE/examples/basics.c" fresh/program.c
run_of shared/orders 20
echo 'broker: { redis: "${env:REDIS_URL}" }' >>shared/orders.yaml
run_of whole/orders 20
weir run whole/orders.yaml
expect_code 0
run_of letters/orders 20 '"3"'
weir run letters/orders.yaml
expect_code 3
weir dead export letters/orders.yaml -o letters/letters.jsonl
letter=$(jq .id letters/letters.jsonl) group=$(jq -r .group letters/letters.jsonl)
run_of alive/orders 100000
echo 'flow: { rate: 10/s }' >>alive/orders.yaml
start "$WEIR" run alive/orders.yaml
wait_until 5 test -S alive/.weir/orders/ctl

# The folder that a command needs.
folder_for() {
	case $1 in
	"weir set "* | "weir pause "* | "weir status"*) echo alive ;;
	"weir dead "*) echo letters ;;
	"weir state "* | "weir history"*) echo whole ;;
	"weir submit "* | "weir work "*) echo shared ;;
	*) echo fresh ;;
	esac
}

# The command as it can be run here: ids are those of this run, and a server takes any port and ends when it is ready.
adapt() {
	sed -E "s/--group [0-9a-f]{8}/--group $group/; s/ (258|3073)$/ $letter/; s/^weir get/& --allow-private/
		s/^weir init ([a-z-]+)$/rm -f \1.yaml \&\& &/
		/^weir mock/s/$/ --listen 127.0.0.1:0 --port-file port \& until [ -s port ]; do sleep 0.02; done; kill \$! \&\& wait/" <<<"$1"
}

for text in "$TREE"/{README,CONTRIBUTING}.md "$TREE"/docs/*.md; do commands_of "$text"; done >commands
ran=0
while read -r place command; do
	if why_not "$command" >/dev/null; then
		is_there "$command" || fail "$place: there is no such thing: $command"
		continue
	fi
	folder=$(folder_for "$command")
	if [ "$folder" != alive ]; then
		rm -rf here
		cp -a "$folder" here
		folder=here
	fi
	CODE=0
	(cd "$folder" && exec bash -c "$(adapt "$command")") >stdout 2>stderr </dev/null || CODE=$?
	[ "$CODE" = 0 ] || fail "$place: exit code $CODE: $command"
	ran=$((ran + 1))
done <commands
[ "$ran" -gt 20 ] || fail "hardly any command was found: $(cat commands)"
