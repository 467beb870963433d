# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Configs that are meant to hurt are refused soon and in little memory.
bounded() {
	(
		ulimit -v 300000 -t 1 # seconds of work
		CODE=0
		"$WEIR" check "$1" >stdout 2>stderr || CODE=$?
		echo "$CODE" >code
	)
	CODE=$(cat code)
	no_crash
	expect_refused "$1:[0-9]+(:[0-9]+)?" "$2"
}

head -c 100000000 /dev/zero | tr '\0' '#' >large.yaml
bounded large.yaml '1 MiB|large|long'
head -c 900000 /dev/zero | tr '\0' '[' >deep.yaml
bounded deep.yaml 'deep|nest'
{
	echo 'a: &a [x,x,x,x,x,x,x,x,x]'
	for i in b c d e f g h i; do
		echo "$i: &$i [*a,*a,*a,*a,*a,*a,*a,*a,*a]"
	done
} >alias.yaml
bounded alias.yaml 'alias|anchor'
printf 'source: \0x\n' >nul.yaml
bounded nul.yaml ''
printf 'source: \xff\xfe\n' >bytes.yaml
bounded bytes.yaml ''

weir check no-such-file.yaml
expect_code 78
expect_err 'no-such-file.yaml.*(no such file|not found|No such file)'
: >empty.yaml
weir check empty.yaml
expect_code 78
