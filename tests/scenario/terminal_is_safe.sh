# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Characters that act on a terminal (C0, C1, DEL, those that turn the direction of text) come from items, answers and
# names of files; what weir prints shows them as \u escapes, while exports to files stay exact.
bad=$'\xc2\x9b31m\xc2\x9d0;title\xc2\x9c\x7f\xe2\x80\xae\xe2\x81\xa6\xd8\x9c'

# shows FILE: the bad text is there, made visible, and nothing in the file would act.
shows() {
	if LC_ALL=C grep -aqP '\xc2[\x80-\x9f]|[\x00-\x09\x0e-\x1f\x7f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|\xd8\x9c' "$1"; then
		fail "$1 would act: $(cat -v "$1")"
	fi
	grep -q 'u009b31m' "$1" || fail "$1 does not show it: $(cat -v "$1")"
}

# What a terminal gets, without what a terminal is meant to get.
on_terminal() {
	script -qec "$*" typescript >/dev/null 2>&1 </dev/null || true
	sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' typescript | tr -d '\r' | grep -v '^Script ' >shown
}

printf '{"s":"%s"}\n' "$bad" >in.jsonl
cp in.jsonl "in$bad.jsonl"
pipeline <<YAML
source: { jsonl: { path: $(jq -an --arg path "in$bad.jsonl" '$path' | sed 's/\x7f/\\x7f/') } }
steps: [ jq: 'error(.s)' ]
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 3
id=$("$WEIR" dead export state | jq .id)
weir dead ls state
shows stdout
weir dead show state --id "$id"
shows stdout
sed '1,/^item/d' stdout | jq -j .s >item
printf %s "$bad" | expect cmp - item
weir dead export state -o letters.jsonl
expect grep -qF "$bad" letters.jsonl
weir dead export state
expect grep -qF "$bad" stdout
on_terminal "'$WEIR' dead export state"
shows shown

# An error names a file; so does a note in the middle of a run, and its end.
weir check "no$bad.yaml"
expect_code 78
shows stderr
rm "in$bad.jsonl"
run
expect_code 78
shows stderr

# The sink on a terminal: the same JSON, but for its form.
cat >pipeline.yaml <<YAML
source: { jsonl: { path: in.jsonl } }
broker: { memory: {} }
steps: [ jq: '.' ]
sink: { stdout: {} }
YAML
run --quiet
expect cmp stdout in.jsonl
on_terminal "'$WEIR' run pipeline.yaml --quiet"
shows shown
jq -j .s shown | expect cmp - item
