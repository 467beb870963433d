# SPDX-License-Identifier: MIT
# Holds every #include against the table of layers: awk -v table=scripts/layers.txt -f layers.awk FILES
BEGIN {
	while ((getline line < table) > 0) {
		if (line ~ /^#/ || line ~ /^[ \t]*$/) continue
		n = split(line, word, /[ \t]+/)
		may[word[1]] = ""
		for (i = 2; i <= n; i++) may[word[1]] = may[word[1]] " " word[i]
	}
}
FNR == 1 {
	layer = ""
	for (folder in may)
		if ((index(FILENAME, folder "/") == 1 || FILENAME == folder) && length(folder) > length(layer))
			layer = folder
	held = FILENAME ~ /^(lib|app|include)\//
	if (held && layer == "") print FILENAME ":1: folder is missing in " table
}
!held || layer == "" || !/^[ \t]*#[ \t]*include[ \t]*["<]/ { next }
{
	name = $0
	sub(/^[^"<]*/, "", name)
	name = substr(name, 2)
	sub(/[">].*/, "", name)
	if (!allowed(name)) print FILENAME ":" FNR ": " layer " may not include " name " (" table ")"
}
function allowed(name,    n, word, i, where, pattern) {
	if (name ~ /^weir\//) return listed("public") || layer == "include/weir"
	where = place(name)
	if (where != "") {
		if (where == layer) return listed("self") || own_header(name) || listed("app/" name)
		return listed(where) || listed("app/" name)
	}
	if (system_header(name)) return 1
	n = split(may[layer], word, " ")
	for (i = 1; i <= n; i++) {
		if (word[i] !~ /^</) continue
		pattern = substr(word[i], 2, length(word[i]) - 2)
		gsub(/\./, "\\.", pattern)
		gsub(/\*/, ".*", pattern)
		if (name ~ "^" pattern "$") return 1
	}
	return 0
}
function listed(what) { return index(may[layer] " ", " " what " ") > 0 }
# The folder a header of ours lies in: includes are written from lib/ or app/, or bare for a neighbour.
function place(name,    folder, best) {
	best = ""
	for (folder in may)
		if ((index("lib/" name, folder "/") == 1 || index("app/" name, folder "/") == 1) &&
		    length(folder) > length(best)) best = folder
	if (best == "" && name !~ /\// && exists(layer "/" name)) best = layer
	return best
}
# An adapter, whose layer has no "self", includes at most the header of its own name.
function own_header(name,    base) {
	base = FILENAME
	sub(/.*\//, "", base); sub(/\.[ch]$/, "", base)
	sub(/.*\//, "", name); sub(/\.h$/, "", name)
	return base == name
}
function exists(path,    line, found) {
	found = (getline line < path) >= 0
	close(path)
	return found
}
function system_header(name) {
	return name ~ /^(sys|netinet|arpa|net|linux|bits|sanitizer|valgrind|asm)\// || name in libc
}
BEGIN {
	split("assert.h ctype.h dirent.h dlfcn.h endian.h errno.h execinfo.h fcntl.h fenv.h float.h fnmatch.h ftw.h glob.h " \
	      "getopt.h grp.h ifaddrs.h immintrin.h inttypes.h limits.h link.h locale.h malloc.h math.h netdb.h " \
	      "poll.h pthread.h pwd.h sched.h search.h semaphore.h setjmp.h signal.h spawn.h stdalign.h " \
	      "stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h " \
	      "strings.h sysexits.h syslog.h termios.h threads.h time.h ucontext.h unistd.h utime.h wchar.h", names, " ")
	for (i in names) libc[names[i]] = 1
}
