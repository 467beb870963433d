# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Screens: what weir shows in a terminal, which is tmux.  A scenario that looks at screens reads this file.
#
#   screen NAME COLUMNS [VARIABLE=VALUE ...] -- WORD ...   runs a command in a terminal of that width
#   screen_width NAME COLUMNS                 gives it another one
#   screen_has NAME REGEX                     succeeds if a line on it is like that
#   screen_keep NAME TITLE                    writes what it shows to the file `screens`, without colours; no line wraps
#   screen_keep_colours NAME TITLE            the same with them: ␛[32m
#   screen_key NAME KEY                       presses C-c
#   expect_screens NAME                       the file is tests/screens/NAME.txt; SCREENS_WRITE=1 writes that instead
#
# shellcheck disable=SC2154 # mock_port is of scenario.sh, as fail is
#
# Figures that change from run to run are masked: rates, times, ports.  What comes and goes is left out: the time left,
# and what would make a difference.

tmux_() {
	tmux -u -S "$PWD/tmux" -f /dev/null "$@"
}

end_screens() {
	tmux_ kill-server 2>/dev/null || true
	clean_up
}
trap end_screens EXIT

screen() {
	local name=$1 columns=$2 variables=(LANG=C.UTF-8 TERM=xterm-256color)
	shift 2
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	tmux_ new-session -d -s "$name" -x "$columns" -y 24 \
		env -u LC_ALL -u LC_CTYPE -u NO_COLOR "${variables[@]}" "$@" \; \
		set-option -g status off \; set-option -g remain-on-exit on \; set-option -g remain-on-exit-format '' \; \
		resize-window -t "$name" -x "$columns" -y 24
}

screen_width() {
	tmux_ resize-window -t "$1" -x "$2" -y 24
}

screen_key() {
	tmux_ send-keys -t "$1" "$2"
}

screen_lines() {
	tmux_ capture-pane -p "${@:2}" -t "$1" | sed -E \
		-e 's/ +[0-9,.]+\/[smh]/ RATE/' -e 's/\([0-9,.]+\/[smh]\)/(RATE)/' \
		-e 's/(p50|p99) [0-9.]+ [mu]?s/\1 TIME/g' -e 's/ in [0-9][0-9hms .]*[ms]( |;|$)/ in TIME\1/' \
		-e 's/ +[0-9]+:[0-9][0-9]$/ CLOCK/' -e "s/:$mock_port\\b/:PORT/" -e 's/[0-9,]+ rate-limited/N rate-limited/' \
		-e 's/ +ETA [0-9].*//' -e 's/   [0-9,]+ queued//' -e 's,(metrics: http://127.0.0.1):[0-9]+,\1:PORT,' -e '/^Pane is dead/d' \
		-e 's/^( {8}limited by|  bottleneck)( .*), [0-9]+ %.*/\1\2, SHARE/' -e 's/^(  time {14}).*/\1BAR/' |
		awk 'cut && /^        / { next } { cut = / (SHARE|BAR)$/; print }' |
		sed -e 's/\x1b/␛/g' -e ':a' -e '/^\n*$/{$d;N;ba' -e '}'
}

screen_has() {
	screen_lines "$1" | grep -qE -- "$2"
}

# A line that wraps fills its row; remarks may.
screen_keep() {
	local columns
	columns=$(tmux_ display-message -p -t "$1" '#{pane_width}')
	[ "$(tmux_ capture-pane -p -t "$1" | grep -v '^weir: ' | LC_ALL=C.UTF-8 wc -L)" -lt "$columns" ] ||
		fail "a line wraps: $(tmux_ capture-pane -p -t "$1")"
	{
		echo "=== $2"
		screen_lines "$1"
	} >>screens
}

screen_keep_colours() {
	{
		echo "=== $2"
		screen_lines "$1" -e
	} >>screens
}

expect_screens() {
	local golden=$TREE/tests/screens/$1.txt
	[ -z "${SCREENS_WRITE:-}" ] || cp screens "$golden"
	diff -u "$golden" screens >screens.diff || fail "other screens than in $golden: $(cat screens.diff)"
}
