# SPDX-License-Identifier: MIT
# Shared by the scripts: where things are, how to say something.  To be sourced by bash.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${WEIR_BUILD:-$root/build} # another folder to build in, where wanted

# The library's own cases of bench/core that take seconds at most.
# shellcheck disable=SC2034 # for scripts/bench and scripts/compare
core_cases=(switch_ns switch_1000_ns queue_1x1_per_s queue_cap1_per_s queue_4x50_per_s spawn_per_s
	sleeper_bytes_10k sleeper_bytes_100k sleep500 flow)

# Colours only for people.
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi

say() {
	printf '%s%s%s\n' "$bold" "$*" "$plain" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The packages of the named groups, one a line.
packages_of() {
	local group
	for group in "$@"; do
		awk -v group="$group" '$1 == group { print $2 }' "$root/scripts/packages.txt"
	done
}

# The comment block at the head of a script is its help.
print_help() {
	sed -n '3,/^[^#]/ { /^#/ s/^# \{0,1\}//p }' "$0"
}

# Files of the tree that match the patterns: what git knows or would add, else what lies there.
tree_files() {
	(
		cd "$root" || exit
		if git -c safe.directory="$root" rev-parse --git-dir >/dev/null 2>&1; then
			git -c safe.directory="$root" ls-files --cached --others --exclude-standard -- "$@"
		else
			local pattern
			for pattern in "$@"; do
				find . -path ./build\* -prune -o -path ./demo -prune -o -path ./.git -prune -o \
					-type f -path "./$pattern" -print
			done | sed 's,^\./,,'
		fi
	) | sort -u | while IFS= read -r file; do
		if [ -f "$root/$file" ]; then echo "$file"; fi
	done
}

# Compiles build/, showing only what goes wrong.
compile() {
	local dir=${1:-$build} log
	shift || true
	log=$(mktemp)
	if ! ninja -C "$dir" "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
