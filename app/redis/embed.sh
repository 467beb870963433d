#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: embed.sh OUTPUT SCRIPT.lua ...
#
# Makes a C file of the scripts: redis_lua_SCRIPT for each, a C string for each line.
set -eu
output=$1
shift
{
	echo '/* Made by app/redis/embed.sh. */'
	echo '#include "redis/command.h"'
	for file in "$@"; do
		printf '\nextern const char redis_lua_%s[];\n' "$(basename "$file" .lua)"
		printf 'const char redis_lua_%s[] =\n' "$(basename "$file" .lua)"
		sed 's/[\\"]/\\&/g; s/.*/\t"&\\n"/' "$file"
		echo '	;'
	done
} >"$output"
