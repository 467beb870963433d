# SPDX-License-Identifier: MIT
# awk -v columns="go st" -f bench-table.awk bench/targets.txt MEDIANS: the table of scripts/bench, in Markdown.
# "best" is weir, linked statically, against the best of the peers: 2.0x is twice as fast, or half as much.

FNR == NR && /^[a-z]/ {
	names[++rows] = $1
	sense[$1] = $2
	target[$1] = $3
	text = $0
	sub(/^[^ ]+ +[^ ]+ +[^ ]+ +/, "", text)
	what[$1] = text
}
FNR != NR { value[$1] = $2 }
END {
	n = split(columns, peer, " ")
	heading = "| | weir | shared | target | |"
	rule = "|---|--:|--:|--:|---|"
	for (i = 1; i <= n; i++) {
		heading = heading " " peer[i] " |"
		rule = rule "--:|"
	}
	print heading " best |"
	print rule "--:|"
	for (r = 1; r <= rows; r++)
		if (names[r] in value)
			print_row(names[r])
	if ("sleep500_bare_cpu_s" in value)
		printf "\nIn the same run a bare loop over epoll did the 20,000 sleeps in %s s, with %s s of processor time; " \
			"the bound is %s s.\n", short(value["sleep500_bare_wall_s"]), short(value["sleep500_bare_cpu_s"]),
			short(value["sleep500_bound_s"])
}

function print_row(name,   line, i, best, is_better) {
	line = "| " what[name] " | " short(value[name]) " | " short(value[name "_so"]) " | " \
		sense[name] " " short(target[name]) " | " verdict(name) " |"
	for (i = 1; i <= n; i++) {
		line = line " " short(value[peer[i] "." name]) " |"
		if (!((peer[i] "." name) in value))
			continue
		is_better = sense[name] == "<=" ? value[peer[i] "." name] < best : value[peer[i] "." name] > best
		if (best == "" || is_better)
			best = value[peer[i] "." name]
	}
	if (best != "")
		best = sprintf("%.2fx", sense[name] == "<=" ? best / value[name] : value[name] / best)
	print line " " best " |"
}

function verdict(name,   static, shared) {
	static = reaches(name, name)
	if (!((name "_so") in value))
		return static ? "met" : "missed"
	shared = reaches(name, name "_so")
	if (static == shared)
		return static ? "met" : "missed"
	return static ? "met; shared: missed" : "missed; shared: met"
}

function reaches(name, measured) {
	return sense[name] == "<=" ? value[measured] <= target[name] : value[measured] >= target[name]
}

# Three to four significant digits.
function short(x) {
	if (x == "")
		return "–"
	if (x >= 1e6)
		return sprintf(x >= 1e8 ? "%.0f M" : "%.2f M", x / 1e6)
	if (x >= 1e5)
		return sprintf("%.0f k", x / 1e3)
	if (x >= 1000)
		return sprintf("%d,%03d", int(x / 1000), x % 1000)
	return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x == int(x) ? "%d" : "%.3f", x)
}
