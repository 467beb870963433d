#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: embed.sh OUTPUT prelude.lua SCRIPT.lua ...
#
# Makes a C file of the scripts: for each its first line, which has its flags, the prelude, and the rest, a C string for
# each line.
set -eu
output=$1 prelude=$2
shift 2
as_c() {
	sed 's/[\\"]/\\&/g; s/.*/\t "&\\n"/'
}
{
	echo '/* Made by app/redis/scripts/embed.sh. */'
	echo '#include "redis/scripts.h"'
	echo
	echo 'const char *const redis_script_texts[REDIS_SCRIPTS] = {'
	for file in "$@"; do
		name=$(basename "$file" .lua | tr '[:lower:]' '[:upper:]')
		echo "	[REDIS_$name] ="
		sed -n 1p "$file" | as_c
		as_c <"$prelude"
		sed 1d "$file" | as_c
		echo '	,'
	done
	echo '};'
} >"$output"
