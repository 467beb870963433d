# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# No file is two things: each pair of paths of which one is written, by the same name, another spelling, a symbolic link
# and a hard link.  A run that is refused changes nothing.

# Everything there is: names, kinds, inodes, links, contents.
picture() {
	find . -printf '%p %y %i %n %s %l\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
}

# A name of the given kind for the file at $1.
name_of_kind() {
	case $2 in
	same) echo "$1" ;;
	dotted) echo "./folder/../$1" ;;
	symlink)
		ln -s "$1" link
		echo link
		;;
	hardlink)
		ln "$1" hard
		echo hard
		;;
	esac
}

# Names for all parts; one of them is then made the same as another.
begin() {
	rm -rf case
	mkdir -p case/folder case/state
	cd case || exit
	printf '{"n": %d}\n' 1 2 3 >in.jsonl
	echo '{"old": 1}' | tee out.jsonl dead.jsonl >summary.json
	echo 'no store of weir' >state/state.db
	source=in.jsonl sink=out.jsonl letters=dead.jsonl summary=summary.json
}

refused() {
	cat >pipeline.yaml <<-YAML
		source: { jsonl: { path: $source } }
		sink: { jsonl: { path: $sink, on_start: append } }
		dead_letter: { jsonl: { path: $letters, on_start: append } }
	YAML
	picture >../before
	CODE=0
	"$WEIR" run pipeline.yaml --state state --summary "$summary" >../stdout 2>../stderr || CODE=$?
	picture >../after
	cd .. || exit
	expect_code 78
	expect_err 'name another file'
	[ "$(wc -l <stderr)" = 1 ] || fail "stderr should be one line"
	cmp -s before after || fail "$1: a refused run has changed something: $(diff before after)"
}

for kind in same dotted symlink hardlink; do
	for target in in.jsonl pipeline.yaml state/state.db out.jsonl dead.jsonl; do
		for role in sink letters summary; do
			case "$target $role" in 'out.jsonl sink' | 'dead.jsonl letters') continue ;; esac
			begin
			touch pipeline.yaml
			declare "$role=$(name_of_kind "$target" "$kind")"
			refused "$role $kind $target"
		done
	done
done

# The shell may have opened one of them already, to append to.
begin
cat >pipeline.yaml <<YAML
source: { jsonl: { path: in.jsonl } }
sink: { stdout: {} }
YAML
picture >../before
CODE=0
"$WEIR" run pipeline.yaml --state state >>in.jsonl 2>../stderr || CODE=$?
picture >../after
cd ..
expect_code 78
expect_err 'the source'
expect cmp before after

# So say `weir check` and `weir get`.
begin
cd ..
cat >pipeline.yaml <<YAML
source: { jsonl: case/in.jsonl }
sink: { jsonl: case/folder/../in.jsonl }
YAML
weir check pipeline.yaml
expect_refused 'pipeline.yaml:2:16' 'is the same file as the source'
echo http://127.0.0.1:1/ >urls.txt
ln urls.txt hard.txt
weir get -i urls.txt -o hard.txt --allow-private
expect_code 78
expect_err 'same file as the source'
expect_lines 1 urls.txt
weir get -i urls.txt --summary urls.txt --allow-private
expect_code 78
expect_lines 1 urls.txt

# One of the files of a pattern counts, too.
cat >pipeline.yaml <<YAML
source: { jsonl: 'case/*.jsonl' }
sink: { jsonl: case/dead.jsonl }
YAML
weir check pipeline.yaml
expect_refused 'pipeline.yaml:2:16' 'case/dead.jsonl'

# Two tables of one database are two things.
cat >pipeline.yaml <<YAML
source: { jsonl: case/in.jsonl }
sink: { sqlite: { path: out.db, table: good } }
dead_letter: { sqlite: { path: out.db, table: dead } }
YAML
weir check pipeline.yaml
expect_code 0
