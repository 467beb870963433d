#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: embed.sh OUTPUT PREFIX PRELUDE.lua SCRIPT.lua ...
#
# Makes a C file of the scripts, a C string for each line: PREFIX_SCRIPT is the script's first line, which has its flags, the
# prelude (/dev/null: none), and the rest.
set -eu
output=$1 prefix=$2 prelude=$3
shift 3
as_c() {
	sed 's/[\\"]/\\&/g; s/.*/\t"&\\n"/'
}
{
	echo '/* Made by app/redis/embed.sh. */'
	for file in "$@"; do
		name=${prefix}_$(basename "$file" .lua)
		printf '\nextern const char %s[];\nconst char %s[] =\n' "$name" "$name"
		sed -n 1p "$file" | as_c
		as_c <"$prelude"
		sed 1d "$file" | as_c
		echo '	;'
	done
} >"$output"
