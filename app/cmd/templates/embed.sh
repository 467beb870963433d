#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: embed.sh OUTPUT FILE.yaml ...
#
# Makes a C file of the templates: their names, what their first line says, and their text, a C string for each line.
set -eu
output=$1
shift
{
	echo '/* Made by app/cmd/templates/embed.sh. */'
	echo '#include "cmd/init.h"'
	echo
	echo 'const struct cmd_template cmd_templates[] = {'
	for file in "$@"; do
		name=${file##*/}
		text=$(sed -n '1s/^# *//p' "$file" | sed 's/[\\"]/\\&/g')
		[ -n "$text" ] || { echo "$file: the first line is no comment" >&2; exit 1; }
		printf '\t{"%s", "%s",\n' "${name%.yaml}" "$text"
		sed 's/[\\"]/\\&/g; s/.*/\t "&\\n"/' "$file"
		printf '\t},\n'
	done
	printf '\t{0},\n};\n'
} >"$output"
